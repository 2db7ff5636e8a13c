"""What XTuner 0.2.0 and mmengine 0.10.7 need to run well and safely today; each patch with its reason.

None but ``replay_distillation``, which a config asks for by that name, changes what is learned: plain
``xtuner train`` gives the same model up to rounding.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from core.engine.checkpoint_file import allow_curves, read_weights
from core.engine.distillation import answer_loss
from core.engine.divergence import leave_out_what_is_no_number
from core.engine.on_import import when_imported
from core.workspace.presence import ensure_folder


def patch_xtuner() -> None:
    """Apply every patch; before XTuner's tool is run."""
    _name_bf16_on_cpu()
    _trust_no_remote_code()
    _load_checkpoints_without_pickle()
    _save_checkpoints_whole()
    _begin_with_deepspeed_as_without()
    _take_lengths_as_a_list()
    _begin_without_a_first_token()
    _take_no_attention_of_cudnn()
    _lay_out_a_config_once()
    leave_out_what_is_no_number()
    if not torch.cuda.is_available():
        _train_on_the_processor()


def _name_bf16_on_cpu() -> None:
    """XTuner 0.2.0 asks ``torch.cpu.is_bf16_supported()`` on a machine without a GPU; torch 2.13 has none."""
    if not hasattr(torch.cpu, "is_bf16_supported"):
        torch.cpu.is_bf16_supported = lambda: False


def _trust_no_remote_code() -> None:
    """XTuner 0.2.0 reads every model's config with ``trust_remote_code=True`` (model/sft.py), which would run
    code from the model's folder."""
    from transformers import AutoConfig
    from xtuner.model import sft

    class NativeConfig(AutoConfig):
        @classmethod
        def from_pretrained(cls, name: str, **options: Any) -> Any:
            return AutoConfig.from_pretrained(name, **{**options, "trust_remote_code": False})  # nosec B615  # a folder

    sft.AutoConfig = NativeConfig


def _load_checkpoints_without_pickle() -> None:
    """XTuner's ``pth_to_hf`` would unpickle anything."""
    from xtuner.model import utils

    allow_curves()
    deepspeed_folder = utils.guess_load_checkpoint

    def guess_load_checkpoint(path: str) -> Any:
        if Path(path).is_dir():
            with deepspeed_shards_without_pickle():
                return deepspeed_folder(path)
        return read_weights(Path(path))

    utils.guess_load_checkpoint = guess_load_checkpoint


@contextmanager
def deepspeed_shards_without_pickle() -> Iterator[None]:
    """XTuner 0.2.0 and DeepSpeed 0.18.9 itself ask for shards with ``weights_only=False``, which they do not
    get (core.engine.model_code). Besides tensors these hold four of DeepSpeed's own types, and settings in
    mmengine's."""
    from deepspeed.runtime.fp16.loss_scaler import DynamicLossScaler, LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address
    from mmengine.config import ConfigDict

    with torch.serialization.safe_globals(
        [ConfigDict, DynamicLossScaler, LossScaler, ZeroStageEnum, fragment_address]
    ):
        yield


def _save_checkpoints_whole() -> None:
    """mmengine 0.10.7 writes a checkpoint in its place: a run stopped meanwhile leaves half a file that looks
    whole. Written beside and renamed, TERM or a full disk leaves the older one. It also holds the file in
    memory twice before it writes, which of a full fine-tune is 24 bytes a weight."""
    from mmengine._strategy import deepspeed
    from mmengine.runner import checkpoint, runner

    def save_checkpoint(found: dict[str, Any], filename: str, *_: object, **__: object) -> None:
        target = Path(filename)
        ensure_folder(target.parent)
        partial_file = target.with_name(f".{target.name}.partial")
        try:
            with partial_file.open("wb") as stream:
                torch.save(found, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial_file.replace(target)
        finally:
            partial_file.unlink(missing_ok=True)

    for module in (checkpoint, runner, deepspeed):
        module.save_checkpoint = save_checkpoint
    _save_folders_whole(deepspeed.DeepSpeedStrategy)


def _save_folders_whole(strategy: Any) -> None:
    """DeepSpeed's checkpoint is a folder to which every process adds files: renamed when all have."""
    from mmengine.dist import barrier, is_main_process

    save = strategy.save_checkpoint

    def save_checkpoint(self: Any, filename: str, **options: Any) -> None:
        target = Path(filename)
        partial = target.with_name(f".{target.name}.partial")
        if is_main_process():
            shutil.rmtree(partial, ignore_errors=True)
        barrier()
        save(self, str(partial), **options)
        barrier()
        if is_main_process():
            shutil.rmtree(target, ignore_errors=True)
            partial.replace(target)

    strategy.save_checkpoint = save_checkpoint


def _begin_with_deepspeed_as_without() -> None:
    """mmengine 0.10.7 reads the rows between the seed and the model where DeepSpeed trains, and draws random
    numbers meanwhile: LoRA began with others than the same seed gives without DeepSpeed."""
    from mmengine._strategy.deepspeed import DeepSpeedStrategy

    build = DeepSpeedStrategy.build_model

    def build_model(self: Any, model: Any) -> Any:
        self._set_randomness(**{**self._randomness, "seed": self.seed})
        return build(self, model)

    DeepSpeedStrategy.build_model = build_model


def _take_lengths_as_a_list() -> None:
    """From datasets 4 a column is no list any more, which XTuner 0.2.0's length-grouped sampler wants."""
    from xtuner.dataset.samplers import LengthGroupedSampler

    original = LengthGroupedSampler.__init__

    def init(self: object, dataset: Any, *positional: Any, **options: Any) -> None:
        name = options.get("length_property", "length")
        if hasattr(dataset, name):
            setattr(dataset, name, list(getattr(dataset, name)))
        original(self, dataset, *positional, **options)

    LengthGroupedSampler.__init__ = init


def _begin_without_a_first_token() -> None:
    """XTuner 0.2.0 crashes on a tokenizer without a first token, unless its class is Qwen's."""
    from xtuner.dataset import utils

    original = utils.get_bos_eos_token_ids

    def get_bos_eos_token_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
        first, last = original(tokenizer)
        return first or [], last

    utils.get_bos_eos_token_ids = get_bos_eos_token_ids


def _take_no_attention_of_cudnn() -> None:
    """torch 2.11 and later takes cuDNN's attention on Hopper cards. Its backward pass gives no numbers
    in some shapes (pytorch issue 196678, cudnn-frontend issues 160 and 1072). The fast path takes it for a
    recipe that asks for it."""
    torch.backends.cuda.enable_cudnn_sdp(False)


def _lay_out_a_config_once() -> None:
    """mmengine 0.10.7 has YAPF lay out the whole config whenever it is shown: four times at a training's
    start, once more for each checkpoint, a tenth of a second each."""
    from mmengine.config import config

    lay_out, known = config.FormatCode, {}

    def format_code(text: str, **options: Any) -> Any:
        key = (text, repr(options))
        if key not in known:
            known[key] = lay_out(text, **options)
        return known[key]

    config.FormatCode = format_code


def _train_on_the_processor() -> None:
    """Two things XTuner 0.2.0 does that cost a processor much of its time.

    ``prepare_model_for_kbit_training`` turns the frozen weights into float32 (it is meant for a quantized
    base on a GPU), which undoes bfloat16 where the processor multiplies it; and the logits of all tokens are
    computed, of a vocabulary as wide as 49,152, though only the answers' enter the loss.
    """
    from xtuner.model import sft

    sft.prepare_model_for_kbit_training = _freeze
    sft.SupervisedFinetune.compute_loss = answer_loss
    when_imported("deepspeed.comm.torch", _let_deepspeed_speak_by_gloo)


def _let_deepspeed_speak_by_gloo(module: Any) -> None:
    """DeepSpeed 0.18.9 compiles, on a processor, what adds up numbers of several processes when a model
    answers: for minutes, with a compiler. Trainings do not use it. And gloo of torch 2.13 collects into parts
    of one tensor, which autograd refuses for a tensor of weights."""
    module.build_shm_op = lambda: None
    gather = module.TorchBackend.all_gather_into_tensor
    module.TorchBackend.all_gather_into_tensor = torch.no_grad()(gather)


def _freeze(model: Any, *_: object, **__: object) -> Any:
    for parameter in model.parameters():
        parameter.requires_grad = False
    return model
