"""Where a model may come from: a folder, or a name on a hub; and which of its files are wanted."""

import os
import re
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import with_config

from core.errors import NoSuchSource, NotAModel
from core.wording import say

Hub: TypeAlias = Literal["huggingface", "modelscope"]
HUBS: tuple[Hub, ...] = ("huggingface", "modelscope")
# Another address of all of Hugging Face, asked where that itself gives no answer; empty asks nobody.
MIRROR, MIRROR_VARIABLE = "https://hf-mirror.com", "TUNEBOARD_HF_MIRROR"
# Seconds before the first further try of whoever speaks with a hub; each next wait is longer.
PAUSE_VARIABLE = "TUNEBOARD_HUB_PAUSE"
# A page of a model, as it is copied from a browser. Only the model's name is taken from it: what is asked
# over the network is always the hub that the environment names.
_PAGE = re.compile(
    r"https://(?:(?P<hf>huggingface\.co|hf-mirror\.com)|(?:www\.)?modelscope\.(?:cn|ai)/models)"
    r"/(?P<repo>[^/]+/[^/?#]+)(?:[/?#].*)?"
)
_REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,199}", re.ASCII)

# Where Hugging Face's cache keeps the files of each commit of a model.
SNAPSHOTS = "snapshots"
# A file of these is a tokenizer by itself.
TOKENIZERS = {"tokenizer.json", "tokenizer.model"}

_SMALL = re.compile(
    r"(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab)\.json"
    r"|tokenizer\.model|merges\.txt|chat_template\.(jinja|json)|(LICENSE|NOTICE|README|USE_POLICY)(\.\w{2,4})?",
    re.IGNORECASE | re.ASCII,
)
_SAFETENSORS = re.compile(r"(?!consolidated|adapter)[\w.-]+\.safetensors(\.index\.json)?", re.ASCII)
_PICKLES = re.compile(r"pytorch_model[\w.-]*\.bin(\.index\.json)?", re.ASCII)


@with_config(extra="forbid")
@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: ``name`` on a hub at a branch, tag or commit, or a folder without a hub."""

    hub: Hub | None
    name: str
    revision: str | None = None

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        return f"{self.name}{at}" if self.hub is None else f"{self.hub}:{self.name}{at}"

    @property
    def title(self) -> str:
        """What the model is called where nobody gave it another name: in a hub's cache, as it is there."""
        folder = Path(self.name)
        if self.hub is None and folder.parent.name == SNAPSHOTS and "--" in folder.parents[1].name:
            return folder.parents[1].name.rpartition("--")[2]
        return folder.name


@dataclass(frozen=True)
class HubPlace:
    """Where a model is asked for: its source, and the address of a mirror where that is not the hub's own."""

    source: ModelSource
    mirror: str = ""

    def __str__(self) -> str:
        return f"{self.source} ({self.title})" if self.mirror else str(self.source)

    @property
    def title(self) -> str:
        """Who is asked, as a person calls it."""
        return title_of(str(self.source.hub), self.mirror)


def title_of(hub: str, mirror: str = "") -> str:
    """A hub, or a mirror of it, as a person calls it."""
    return urlsplit(mirror).netloc or say(f"hub.{hub}")


def places(sources: Iterable[ModelSource]) -> list[HubPlace]:
    """Where a model with these sources is asked for, in turn: at last at Hugging Face's mirror, unless the
    environment names an address itself, or forbids to ask at all."""
    found = [HubPlace(source) for source in sources]
    mirror = os.environ.get(MIRROR_VARIABLE, MIRROR)
    own = os.environ.get("HF_ENDPOINT") or os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"}
    mirrored = [] if own or not mirror else [one.source for one in found if one.source.hub == "huggingface"]
    return [*found, *(HubPlace(source, mirror) for source in mirrored)]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a model; ``digest`` is ``sha256:…``, ``git:…`` (a blob's sha1) or, unknown, ""."""

    name: str
    size: int
    digest: str = ""


def source_of(given: str, hub: Hub | None = None, revision: str | None = None) -> ModelSource:
    """A folder that is there, else a model's name or page on a hub. Raises NoSuchSource."""
    given = given.strip()
    if hub is None and (folder := _folder(given)):
        return ModelSource(None, str(folder))
    if page := _PAGE.fullmatch(given):
        hub, given = hub or ("huggingface" if page["hf"] else "modelscope"), page["repo"]
    if not _REPO.fullmatch(given) or ".." in given or (revision and not _usable(revision)):
        raise NoSuchSource(source=f"{given}@{revision}" if revision else given)
    return ModelSource(hub or HUBS[0], given, revision)


def wanted(files: Iterable[RemoteFile], where: object) -> list[RemoteFile]:
    """The files that make the model: its small files and one form of its weights, safetensors if there are.

    No code, no weights of other programs. Raises NotAModel with the reason when there is no model.
    """
    top = [file for file in files if "/" not in file.name]
    small = [file for file in top if _SMALL.fullmatch(file.name)]
    names = {file.name for file in top}
    for form in (_SAFETENSORS, _PICKLES):
        weights = [file for file in top if form.fullmatch(file.name)]
        if "config.json" in names and any(not file.name.endswith(".json") for file in weights):
            return [*small, *weights]
    raise NotAModel(folder=where, reason=_why_none(names))


def files_of(folder: Path) -> list[RemoteFile]:
    """A folder's files as a hub would list them. Raises OSError."""
    return [RemoteFile(file.name, file.stat().st_size) for file in sorted(folder.iterdir()) if file.is_file()]


def is_pickle(name: str) -> bool:
    """Whether a wanted file holds weights in the form that must be converted."""
    return name.endswith(".bin")


def _why_none(names: set[str]) -> str:
    if any(name.endswith(".gguf") for name in names):
        return say("model.gguf_only")
    if "adapter_config.json" in names and "config.json" not in names:
        return say("model.adapter")
    return say("model.no_weights" if "config.json" in names else "model.no_config")


def _folder(given: str) -> Path | None:
    """The folder of that name; None where no file could have it either."""
    with suppress(OSError, ValueError, RuntimeError):
        folder = Path(given).expanduser().resolve()
        str(folder).encode()  # no JSON file could hold it
        if given and folder.is_dir():
            return snapshot_of(folder)
    return None


def snapshot_of(folder: Path) -> Path:
    """The model in a folder of Hugging Face's cache (models--org--name): the snapshot that its main branch
    names, else the newest one that has a config. Any other folder is itself."""
    if (folder / "config.json").exists() or not (folder / SNAPSHOTS).is_dir():
        return folder
    main = folder / "refs" / "main"
    named = main.read_text(encoding="utf-8", errors="replace").strip() if main.is_file() else ""
    found = [one.parent for one in (folder / SNAPSHOTS).glob("*/config.json")]
    newest = sorted(found, key=lambda one: (one.name == named, one.stat().st_mtime))
    return newest[-1] if newest else folder


def check_tokenizer(names: Collection[str], where: object) -> None:
    """Raises NotAModel, which names the missing file, for a model without a tokenizer."""
    if TOKENIZERS & {*names}:
        return
    missing = [name for name in ("vocab.json", "merges.txt") if name not in names]
    if len(missing) == 1:
        raise NotAModel(folder=where, reason=say("model.tokenizer_half", file=missing[0]))
    if missing:
        raise NotAModel(folder=where, reason=say("model.tokenizer_missing"))


def _usable(revision: str) -> bool:
    return bool(_REVISION.fullmatch(revision)) and ".." not in revision
