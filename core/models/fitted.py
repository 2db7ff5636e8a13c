"""A model that is a base with an adapter on it: a folder that says so, with the files that tell how it is
spoken to, and no weights. Whoever asks models asks it by its folder like any other; only loading it is
another thing (core.engine.adapter).
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from core.models.adapter import Adapter, brings_tokens
from core.models.folder import MORE_TEMPLATES, chat_template_of, fingerprint
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import make_folder

RECORD = "fitted.json"
JINJA = "chat_template.jinja"
SPEECH = ("special_tokens_map.json", "added_tokens.json", "tokenizer_config.json")
OF_A_TOKENIZER = ("tokenizer.json", "tokenizer.model", *SPEECH, JINJA, "chat_template.json")
OF_A_MODEL = ("config.json", "generation_config.json", *OF_A_TOKENIZER)


@dataclass(frozen=True)
class Fitted:
    """``base`` with ``adapter`` (a folder; None: the base alone, spoken to in another way), whose part is
    multiplied by ``scale``. ``whole``: the weights that the adapter brings along whole; ``rows``: of its
    embedding, where that has another length. ``marks`` change when one of the two folders does."""

    base: str
    adapter: str | None = None
    scale: float = 1.0
    whole: tuple[str, ...] = ()
    rows: int = 0
    marks: tuple[str, ...] = ()


def fitted_in(folder: Path) -> Fitted | None:
    """What a folder says of itself; None for a model of its own weights. Raises DamagedFile."""
    found = read_json(folder / RECORD)
    return None if found is None else Fitted(**found)


def fit(folder: Path, base: Path, adapter: Adapter, scale: float = 1.0) -> Path:
    """Make ``folder`` a model of ``base`` and ``adapter``, which speaks as the adapter was trained."""
    spoken_as(folder, base, adapter)
    marks = (fingerprint(base), fingerprint(adapter.folder))
    fitted = Fitted(str(base), str(adapter.folder), scale, adapter.whole, adapter.rows, marks)
    write_json(folder / RECORD, asdict(fitted))
    return folder


def revoiced(folder: Path, base: Path, voice: Path) -> Path:
    """Make ``folder`` the model ``base`` that is spoken to by the chat template in the folder ``voice``."""
    _copy(base, folder, OF_A_MODEL)
    _take_template(voice, folder)
    write_json(folder / RECORD, asdict(Fitted(str(base), marks=(fingerprint(base),))))
    return folder


def linked(folder: Path, base: Path, adapter: Adapter) -> Path:
    """Make ``folder`` the base model itself, its weights as links, that speaks as the adapter was trained."""
    spoken_as(folder, base, adapter)
    for file in (*base.glob("*.safetensors"), *base.glob("*.safetensors.index.json")):
        (folder / file.name).unlink(missing_ok=True)
        (folder / file.name).symlink_to(file.resolve())
    return folder


def spoken_as(folder: Path, base: Path, adapter: Adapter) -> None:
    """The base's files that say how it is spoken to, and over them what the adapter has of its own: a chat
    template with its special tokens, and a tokenizer with more tokens."""
    _copy(base, folder, OF_A_MODEL)
    if not adapter.speaks and (base / MORE_TEMPLATES).is_dir():
        shutil.copytree(base / MORE_TEMPLATES, folder / MORE_TEMPLATES, dirs_exist_ok=True)
    more = brings_tokens(adapter.folder, base)
    if adapter.speaks or more:
        _copy(adapter.folder, folder, (*SPEECH, *(("tokenizer.json",) if more else ())))
    if adapter.speaks:
        _take_template(adapter.folder, folder)


def _take_template(source: Path, folder: Path) -> None:
    (folder / "chat_template.json").unlink(missing_ok=True)
    write_text(folder / JINJA, chat_template_of(source))


def _copy(source: Path, folder: Path, names: tuple[str, ...]) -> None:
    make_folder(folder, exist_ok=True)
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
