"""A model's tokenizer.json as it stands: what counting, training, chat and GGUF all read.

transformers 5.24 takes vocabulary and merges out of the file and puts the splitting, normalizing and decoding
of the named class around them (``TokenizersBackend.convert_to_native_format``): SmolLM2's, named as Qwen2's,
would cut other tokens than the model was trained with. These two classes have no such rules of their own.
"""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase
from transformers import PreTrainedTokenizerFast as TokenizersBackend

from core.recipe.templates import WITHOUT_FIRST_TOKEN
from core.workspace.files import read_json

FILE = "tokenizer.json"


class PreTrainedTokenizerFast(TokenizersBackend):
    """Any tokenizer. Saved under this name, which transformers 4 and 5 both read as it stands."""


class Qwen2TokenizerFast(TokenizersBackend):
    """One without a first token: XTuner 0.2.0 puts ``bos_token`` before every conversation, whatever
    ``add_bos_token`` says, except for this name (xtuner/dataset/utils.py)."""


def load_tokenizer(folder: str | Path, **options: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; without a tokenizer.json, as transformers makes it."""
    if not has_file(folder):
        return AutoTokenizer.from_pretrained(folder, **options)  # nosec B615  # a folder
    named = (read_json(Path(folder) / "tokenizer_config.json") or {}).get("tokenizer_class")
    kind = Qwen2TokenizerFast if named in WITHOUT_FIRST_TOKEN else PreTrainedTokenizerFast
    theirs = {"trust_remote_code", "use_fast"}
    return kind.from_pretrained(folder, **{k: v for k, v in options.items() if k not in theirs})


def has_file(folder: str | Path) -> bool:
    return (Path(folder) / FILE).exists()


def save_for_others(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Under the name that makes nobody read it otherwise: Qwen2's would."""
    if tokenizer.bos_token is None and isinstance(tokenizer, Qwen2TokenizerFast):
        tokenizer.__class__ = PreTrainedTokenizerFast
    tokenizer.save_pretrained(folder)
