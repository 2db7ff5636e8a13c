"""Unsloth (2026.10.9) inside XTuner 0.2.0's own training: it loads the model and puts LoRA on it.

Data set, loop, hooks, mixed precision, optimizer and checkpoints stay XTuner's and mmengine's. Its model
computes the loss in a forward pass of its own, and its LoRA layers are PEFT's under PEFT's names, so that a
checkpoint is resumed, converted and merged like any other.
"""

import os
from typing import Any

# What a config's ``acceleration`` says instead of the fast path's settings.
NAME = "unsloth"


def import_unsloth() -> None:
    """Before anything imports transformers, PEFT or TRL: its import replaces functions of theirs.

    Without a network: ``from_pretrained`` would fetch a file from Hugging Face to be counted
    (``get_statistics``), and looks models up by name. Raises ImportError where it is not installed.
    """
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ["UNSLOTH_DISABLE_STATISTICS"] = "1"
    # With it a hub would be asked after all.
    os.environ.pop("UNSLOTH_USE_MODELSCOPE", None)
    import unsloth  # noqa: F401  (imported for what it does)


def install(longest: int, seed: int) -> None:
    """From here on XTuner's models of this process are Unsloth's; after :func:`import_unsloth`.

    ``longest``: tokens of the longest row, at which Unsloth cuts; ``seed``: of LoRA's initial weights.
    """
    from unsloth import FastLanguageModel
    from xtuner.model import sft

    def build(_: Any, llm: Any, *__: Any) -> Any:
        """XTuner's switches initialization off meanwhile (``LoadWoInit``), also of what Unsloth makes anew,
        and then replaces attention (``dispatch_modules``)."""
        return load(FastLanguageModel, llm, longest)

    def prepare(self: Any, adapter: str | None = None, checkpointing: bool = True) -> None:
        """XTuner's would first turn all weights that are not quantized into float32. What it has done for its
        own checkpointing is taken back."""
        if checkpointing:
            self.llm.disable_input_require_grads()
        self.llm = put_lora_on(FastLanguageModel, self.llm, self.lora, checkpointing, seed)
        if adapter is not None:
            sft.load_checkpoint(self, adapter)

    _put_in(sft.SupervisedFinetune, FastLanguageModel, build, prepare)


def _put_in(finetune: Any, fast: Any, build: Any, prepare: Any) -> None:
    train = finetune.train

    def switch(self: Any, mode: bool = True) -> Any:
        """Unsloth generates otherwise than it trains: XTuner's EvaluateChatHook goes there and back. mmengine
        0.10.7 says ``train()`` in every iteration, which need not walk through all layers twice."""
        changed = self.training != mode
        train(self, mode)
        if changed:
            (fast.for_training if mode else fast.for_inference)(self.llm)
        return self

    def leave(_: Any) -> None:
        """Checkpointing comes with LoRA, and for_training and for_inference switch it."""

    finetune.build_llm_from_cfg, finetune._prepare_for_lora = build, prepare
    finetune.train = switch
    finetune.activation_checkpointing_enable = finetune.activation_checkpointing_disable = leave


def load(fast: Any, llm: Any, longest: int) -> Any:
    """The causal language model of a config's ``model.llm``, from its folder alone."""
    quantized = llm.get("quantization_config") or {}
    model, _ = fast.from_pretrained(
        llm["pretrained_model_name_or_path"],
        max_seq_length=longest,
        dtype=llm.get("torch_dtype"),
        load_in_4bit=bool(quantized.get("load_in_4bit")),
        # Named: else it would divide the model over all GPUs, of which XTuner's training has one.
        device_map=llm.get("device_map") or "cuda",
        # By its name it would take one of its own uploads instead, quantized by others.
        use_exact_model_name=True,
        local_files_only=True,
        trust_remote_code=False,
        # It comes with LoRA; here it would take its buffers whether they are used or not.
        use_gradient_checkpointing=False,
        # The tokenizer that counts is XTuner's, built from the same folder.
        fix_tokenizer=False,
        # Where memory is tight it would move the embeddings to the host by itself.
        offload_embedding=False,
    )
    model.config.use_cache = False
    return model


def put_lora_on(fast: Any, model: Any, lora: Any, checkpointing: bool, seed: int) -> Any:
    """``model`` under PEFT as the config's ``lora`` wants it, LoRA in float32, ready to train."""
    from xtuner.model.utils import find_all_linear_names

    wanted = lora.target_modules or find_all_linear_names(model)
    model = fast.get_peft_model(
        model,
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        bias=lora.bias,
        target_modules=wanted if isinstance(wanted, str) else sorted(wanted),
        layers_to_transform=lora.layers_to_transform,
        # Its own keeps the layers' inputs in the host's memory.
        use_gradient_checkpointing="unsloth" if checkpointing else False,
        random_state=seed,
    )
    # transformers loads a model for inference, and mmengine's first train() changes nothing.
    fast.for_training(model)
    return model
