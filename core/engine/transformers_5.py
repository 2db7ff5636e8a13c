"""What transformers 5.24 does otherwise than XTuner 0.2.0, written for 4, counts on."""

from types import ModuleType
from typing import Any

from core.engine.on_import import when_imported


def suit_xtuner() -> None:
    """For this process, before or after transformers is imported. Twice is harmless."""
    when_imported("transformers.utils", _name_what_is_gone)
    when_imported("transformers.models.auto.tokenization_auto", _read_tokenizers_as_they_stand)


def _name_what_is_gone(module: ModuleType) -> None:
    """XTuner imports ``is_safetensors_available`` (utils/handle_moe_load_and_save.py), which transformers 5
    has no more: safetensors is one of its own requirements."""
    if not hasattr(module, "is_safetensors_available"):
        module.is_safetensors_available = lambda: True  # type: ignore[attr-defined]


def _read_tokenizers_as_they_stand(module: ModuleType) -> None:
    """What a config of XTuner names is ``AutoTokenizer.from_pretrained``."""
    made_by_transformers = module.AutoTokenizer.from_pretrained

    def from_pretrained(pretrained_model_name_or_path: str, *positional: Any, **options: Any) -> Any:
        from core.engine.tokenizer_file import has_file, load_tokenizer

        if options.get("gguf_file") or not has_file(pretrained_model_name_or_path):
            return made_by_transformers(pretrained_model_name_or_path, *positional, **options)
        return load_tokenizer(pretrained_model_name_or_path, **options)

    module.AutoTokenizer.from_pretrained = from_pretrained
