"""Puts the fast path under XTuner 0.2.0 and mmengine 0.10.7, for the trainings of this process."""

from functools import partial
from typing import Any

from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper

from core.engine.fast.batches import collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.families import check_layers
from core.engine.fast.groups import Unsupported
from core.engine.fast.meter import Meter
from core.engine.fast.scalars import read_scalars_late
from core.engine.fast.settings import Acceleration
from core.engine.fast.step import Step
from core.engine.fast.streams import leave_default_stream, wait_for_gradients
from core.engine.fast.work import CompiledAhead
from core.engine.several import as_first_rank, mean_over_ranks
from core.engine.teacher import Replay


class FastTraining:
    """What one model's steps share; made at the first step, when the model stands on its device."""

    def __init__(self, finetune: Any, settings: Acceleration, distill: bool) -> None:
        trained = [parameter for parameter in finetune.parameters() if parameter.requires_grad]
        leave_default_stream()
        as_first_rank(trained)
        self._ranks = get_world_size()
        self._step = Step(Decoder(base_model(finetune), settings, distill), trained)
        self._meter = Meter()

    def train_step(self, data: dict[str, Any], optim_wrapper: Any) -> dict[str, Any]:
        """mmengine's ``BaseModel.train_step``, without mixed precision: weights and products are bfloat16 and
        need no scaled loss, LoRA and its optimizer are float32."""
        batch, tokens = data["data"]["batch"], data["data"]["tokens"]
        loss = self._step.run(batch, optim_wrapper.scale_loss(1.0))
        optim_wrapper._inner_count += 1
        if optim_wrapper.should_update():
            self._step.gather()
            wait_for_gradients(optim_wrapper.optimizer)
            OptimWrapper.step(optim_wrapper)
            self._step.forget()
        # Every process has about as many tokens.
        speed = self._meter.read(self._ranks * tokens, self._ranks * len(batch.ids))
        return {"loss": mean_over_ranks(loss), **speed}


class FastPath:
    """Whether the model of this process takes the fast path; its rows are then laid out for it."""

    def __init__(
        self, settings: Acceleration, longest: int, replay: Replay | None, ahead: CompiledAhead | None
    ) -> None:
        self.settings, self.longest, self.replay, self.ahead = settings, longest, replay, ahead
        self.taken = False

    def take(self, finetune: Any) -> None:
        """For the model that was just built, unless it has something that the layers do not know."""
        refused = self.refusal(base_model(finetune)) if finetune.use_lora else "a model without LoRA"
        if refused:
            print_log(f"The fast path does not know {refused}: trained as XTuner does it.", "current")
            if self.ahead:
                self.ahead.stop()
            return
        self.taken = True
        finetune.train_step = partial(self._first_step, finetune)

    def refusal(self, model: Any) -> str:
        """What of the model the fast path does not know; empty where it knows everything."""
        try:
            check_layers(model, self.longest)
        except Unsupported as refused:
            return str(refused)
        return ""

    def _first_step(self, finetune: Any, data: dict[str, Any], optim_wrapper: Any) -> dict[str, Any]:
        if self.ahead:
            why_not = self.ahead.wait()
            said = (
                f"Not compiled ahead ({why_not}): the first step takes longer."
                if why_not
                else "Compiled ahead."
            )
            print_log(said, "current")
        finetune.train_step = FastTraining(finetune, self.settings, self.replay is not None).train_step
        logged: dict[str, Any] = finetune.train_step(data, optim_wrapper)
        return logged


def install(
    settings: Acceleration, longest: int, replay: Replay | None, ahead: CompiledAhead | None = None
) -> None:
    """From here on a model that the fast path knows is trained by it, and another one as XTuner does it.

    ``longest``: the length limit in tokens; ``replay``: replayed rows keep to the base model, after
    ``keep_replay_to_the_base``; ``ahead``: what compiles meanwhile.
    """
    path = FastPath(settings, longest, replay, ahead)
    read_scalars_late()
    _build_models_for(path)
    _lay_out_rows_for(path)
    _leave_models_unwrapped(path)


def _leave_models_unwrapped(path: FastPath) -> None:
    """In several processes mmengine 0.10.7 wraps the model in DistributedDataParallel, whose step is its own
    and whose hooks a recorded step would not call. The fast path adds up its gradients itself."""
    from mmengine.device import get_device
    from mmengine.runner import Runner

    wrap = Runner.wrap_model

    def wrap_model(self: Any, wrapper: Any, model: Any) -> Any:
        return model.to(get_device()) if path.taken else wrap(self, wrapper, model)

    Runner.wrap_model = wrap_model


def _build_models_for(path: FastPath) -> None:
    from xtuner.model import sft

    build, prepare = sft.SupervisedFinetune.__init__, sft.prepare_model_for_kbit_training

    def prepare_model(model: Any, *positional: Any, **options: Any) -> Any:
        """PEFT turns what is not quantized into float32; the fast path computes in half precision."""
        if path.refusal(model):
            return prepare(model, *positional, **options)
        for parameter in model.parameters():
            parameter.requires_grad = False
        return model

    def init(self: Any, *positional: Any, **options: Any) -> None:
        build(self, *positional, **options)
        path.take(self)

    sft.SupervisedFinetune.__init__ = init
    sft.prepare_model_for_kbit_training = prepare_model


def _lay_out_rows_for(path: FastPath) -> None:
    import xtuner.dataset
    from xtuner.dataset import collate_fns

    own_collate, own_process = collate_fns.default_collate_fn, xtuner.dataset.process_hf_dataset

    def collate_rows(rows: Any, **options: Any) -> Any:
        if not path.taken:
            return own_collate(rows, **options)
        targets = path.replay.targets if path.replay and path.replay.from_file else None
        free, recorded = path.settings.padding_free, path.settings.cuda_graph
        return collate(rows, path.longest, free, targets, recorded)

    def process_dataset(*positional: Any, **options: Any) -> Any:
        """Rows packed into one know where each begins: they are not to read each other."""
        if path.taken and path.settings.padding_free and options.get("pack_to_max_length"):
            options["use_varlen_attn"] = True
        return own_process(*positional, **options)

    collate_fns.default_collate_fn = collate_rows
    xtuner.dataset.process_hf_dataset = process_dataset


def base_model(finetune: Any) -> Any:
    """The causal language model under PEFT."""
    return finetune.llm.get_base_model()
