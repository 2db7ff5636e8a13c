"""The bundle: a folder with exactly the files that would be sent, made beside the run and checked.

Weights are hard links where the disk has them, so that a bundle takes no room; configuration files are
written anew without what they know of this machine.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from core.chat.taught import taught_wordings
from core.errors import CardRefused, LicenceForbids, MissingArtefact, NothingPersonal
from core.publish import card, personal
from core.publish.contents import Fill, put_about, put_weights
from core.publish.curve import draw_losses
from core.publish.examples import examples
from core.publish.facts import Facts
from core.publish.personal import PrivateDetail
from core.publish.request import PublishRequest, What
from core.steps import convert, merge
from core.wording import say
from core.workspace.checksums import File, read_checksums, write_checksums
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import RunPaths, Workspace, make_folder
from core.workspace.publish_paths import PublishPaths

LISTED = 8


@dataclass(frozen=True)
class Bundle:
    """Files to be sent; sizes in bytes."""

    what: What
    folder: Path
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)


def read_bundle(run: RunPaths, what: What) -> Bundle | None:
    """The bundle as it was made last; None before."""
    folder = PublishPaths(run).bundle(what)
    return Bundle(what, folder, tuple(read_checksums(folder))) if folder.exists() else None


def ready(run: RunPaths, what: What) -> Path:
    """The folder of what is to be published. Raises MissingArtefact, NotAModel."""
    return convert.read(run) if what == "adapter" else merge.read(run).folder


def build(run: RunPaths, request: PublishRequest, facts: Facts, fill: Fill) -> Bundle:
    """Make the bundle anew; an older one is replaced when this one is whole.

    Raises MissingArtefact, LicenceForbids, CardRefused.
    """
    source = ready(run, request.what)
    if facts.base.allows == "no":
        raise LicenceForbids(base=facts.base.id or facts.base.name, licence=facts.base.licence)
    if request.what == "app":  # it alone shows them, and they are looked for in all that was taught
        facts = replace(facts, examples=examples(run), taught=taught_wordings(run))
    target = PublishPaths(run).bundle(request.what)
    with _whole(target) as folder:
        put_weights(source, folder, request, facts, fill)
        put_about(folder, facts)
        picture = draw_losses(run.work_dir, folder / card.PICTURE)
        write_text(folder / "README.md", card_text(run, request, facts, picture))
        write_checksums(folder, dict(_known(source, folder)))
    return Bundle(request.what, target, tuple(read_checksums(target)))


def card_text(run: RunPaths, request: PublishRequest, facts: Facts, picture: bool = True) -> str:
    """The card to be sent: a file that was named, else one edited on the page, else the run's own.

    Raises CardRefused, MissingArtefact.
    """
    given = request.card or PublishPaths(run).card(request.what)
    if request.card and not given.is_file():
        raise MissingArtefact(what=given.name, where=given.parent, step="publish")
    if given.exists():
        text = given.read_text(encoding="utf-8", errors="replace")
    else:
        text = card.write_card(facts, card.CardPage(request.what, request.repo, picture=picture))
    if wrong := card.check_card(text):
        raise CardRefused(reason=wrong)
    return text


def refuse_personal(
    bundle: Bundle, run: RunPaths, workspace: Workspace, facts: Facts, secrets: list[str]
) -> None:
    """Raises NothingPersonal with everything found."""
    found = look_through(bundle, run, workspace, facts, secrets)
    write_json(PublishPaths(run).findings(bundle.what), [asdict(one) for one in found])
    if found:
        raise NothingPersonal(count=len(found), findings=told(found))


def read_findings(run: RunPaths, what: What) -> list[PrivateDetail]:
    """What the last look through the bundle found."""
    return [PrivateDetail(**one) for one in read_json(PublishPaths(run).findings(what)) or ()]


def told(found: Sequence[PrivateDetail]) -> str:
    """The findings in one sentence's part."""
    parts = [say(f"personal.{one.kind}", file=one.file, text=one.text) for one in found[:LISTED]]
    more = [say("row.more", count=len(found) - LISTED)] if len(found) > LISTED else []
    return say("row.separator").join([*parts, *more])


def look_through(
    bundle: Bundle, run: RunPaths, workspace: Workspace, facts: Facts, secrets: list[str]
) -> list[PrivateDetail]:
    """What should not leave this machine, of all files that would be sent."""
    own = (workspace.root, run.root, Path(facts.recipe.model).parent)
    return personal.private_details(bundle.folder, own, secrets, facts.name)


def _known(source: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Checksums of what was only linked: reading 14 GB again takes a minute."""
    sums = {file.name: file.sha256 for file in read_checksums(source)}
    for file in folder.rglob("*.safetensors"):
        digest, original = sums.get(file.name), source / file.name
        if digest and original.exists() and file.samefile(original):
            yield file.relative_to(folder).as_posix(), digest


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A folder to fill, put in the place of ``target`` when it is whole and removed when it is not."""
    partial, old = target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.old")
    for left_over in (partial, old):
        shutil.rmtree(left_over, ignore_errors=True)
    make_folder(partial)
    try:
        yield partial
        with suppress(FileNotFoundError):
            target.rename(old)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
