"""A model's tokenizer, read without loading torch."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from core.errors import NotAModel
from core.models.folder import refuse_pointer
from core.recipe.chat_template import tokenizer_settings
from core.recipe.templates import WITHOUT_FIRST_TOKEN
from core.wording import say
from core.workspace.files import Stamp, stamp


def read_tokenizer(tokenizer: Path) -> Tokenizer:
    """A model's ``tokenizer.json``. Raises NotAModel."""
    refuse_pointer(tokenizer)
    return _read(tokenizer, stamp(tokenizer))


@lru_cache(maxsize=4)
def _read(tokenizer: Path, _stamp: Stamp) -> Tokenizer:
    """A vocabulary of 150,000 takes half a second."""
    try:
        return Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # tokenizers 0.23 raises nothing narrower
        reason = say("model.unreadable", file=tokenizer.name, detail=str(error)[:120])
        raise NotAModel(folder=tokenizer.parent, reason=reason) from error


def token_id(tokenizer: Tokenizer, named: Any) -> int | None:
    """The id of a special token as tokenizer_config.json names it: text, or an object with its content."""
    text = named.get("content") if isinstance(named, dict) else named
    found: int | None = tokenizer.token_to_id(text) if text else None
    return found


def first_tokens(tokenizer: Path) -> int:
    """How many tokens XTuner puts before a conversation."""
    config = tokenizer_settings(tokenizer.parent)
    plain = config.get("tokenizer_class") in WITHOUT_FIRST_TOKEN or not config.get("bos_token")
    return 0 if plain else 1
