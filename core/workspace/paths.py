"""Where a path of the workspace is joined: here and nowhere else.

A name that came from a person is no part of a path as it is: :func:`slug` keeps letters and digits alone.
"""

import os
import re
import secrets
import shlex
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path

from core.errors import (
    NoSuchChat,
    NoSuchRun,
    NoSuchSweep,
    NotWritable,
    StorageFailed,
    WorkspaceGone,
    WorkspaceOfAnother,
    reason_of,
)
from core.wording import did_you_mean, say
from core.workspace import presence
from core.workspace.file_states import TICK, changed_last, number_of, states_of
from core.workspace.files import write_json
from core.workspace.known_places import mount_known, remember
from core.workspace.names import folders_in, is_entry, is_open, slug, unusable
from core.workspace.private import close_to_others, keep_private
from core.workspace.user import user_name

PROJECT = Path(__file__).resolve().parent.parent.parent
BANKS = PROJECT / "core" / "data" / "banks"
# What the starter answers, so that nobody has to ask it.
STARTER_ANSWERS = PROJECT / "core" / "data" / "starter"
# A Unix socket's address has at most this many bytes (unix(7)).
SOCKET_BYTES = 107
SOCKET_FOLDER = "tuneboard-"


def new_socket() -> Path:
    """A place for a Unix socket, in a new folder that only this user can enter."""
    folder = Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER))
    if len(bytes(folder / "socket")) > SOCKET_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER, dir="/tmp"))  # nosec B108  # a new folder of mkdtemp's
    return folder / "socket"


# What stands in a workspace; a folder that was named as one may hold other things of its owner's.
PARTS = (
    *(
        "adapters",
        "answers",
        "cache",
        "chat-server",
        "chats",
        "checks",
        "clients",
        "compiled",
        "dashboard.log",
        "data",
    ),
    *(
        "files",
        "models",
        "published",
        "queue",
        "runs",
        "sets",
        "slurm",
        "sweeps",
        "uploads",
        "workspace.json",
    ),
)
# Of these, what stands in no other folder: any project has its "data" or its "files".
TELLING = ("answers", "chat-server", "chats", "checks", "dashboard.log", "sets")


# The names of the runs' folders by the state of the folder they are in: a page asks for them over and over. A
# link among them may lead to nothing meanwhile: then it is shown as one that cannot be read.
_LISTED: dict[Path, tuple[int, list[str]]] = {}


@dataclass(frozen=True)
class RunPaths:
    """The files of one run (one fine-tune)."""

    root: Path

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def doomed(self) -> Path:
        """Where a run's folder goes to be deleted: gone from the list at once, whatever happens then."""
        return self.root.with_name(f".{self.root.name}.deleted")

    @property
    def about(self) -> Path:
        """What a person calls this run."""
        return self.root / "about.json"

    @property
    def recipe(self) -> Path:
        """What was asked for: every setting of the fine-tune."""
        return self.root / "recipe.yaml"

    @property
    def config(self) -> Path:
        """XTuner's own config file, made of the recipe; plain XTuner runs it."""
        return self.root / "config.py"

    @property
    def data(self) -> Path:
        """What was trained on: path, sha256, rows, tokens."""
        return self.root / "data.json"

    @property
    def token_rows(self) -> Path:
        """The rows as the model's own chat template writes them, tokenized: what such a config reads."""
        return self.root / "rows.tokens.jsonl"

    @property
    def compiled(self) -> Path:
        """Code and pickles that torch made for this workspace; in its own place under /tmp anybody could."""
        return self.root.parent.parent / "compiled"

    @property
    def adopted(self) -> Path:
        """For a run whose training was made elsewhere: its work_dir, and what of its config did not fit."""
        return self.root / "adopted.json"

    @property
    def written(self) -> Path:
        """Recipe and config as the program wrote them last: what was edited by hand since differs."""
        return self.root / "written.json"

    @property
    def workspace(self) -> "Workspace":
        """The workspace that the run lies in."""
        return Workspace(self.root.parent.parent)

    @property
    def deepspeed(self) -> Path:
        """DeepSpeed's settings of a training on the processor, for which XTuner has none."""
        return self.root / "deepspeed.json"

    @property
    def versions(self) -> Path:
        """Which versions of the libraries it was trained with."""
        return self.root / "versions.json"

    @property
    def inputs(self) -> Path:
        """The SHA-256 of what it was prepared with: the base model's files and the rows."""
        return self.root / "inputs.json"

    @property
    def result(self) -> Path:
        """What :mod:`core.steps.prove` measured."""
        return self.root / "result.json"

    @property
    def chatted(self) -> Path:
        """That somebody talked with what it has made."""
        return self.root / "chatted.json"

    @property
    def learning(self) -> Path:
        """What a training that stops when it has learned is asked meanwhile."""
        return self.root / "learning.json"

    @property
    def chosen(self) -> Path:
        """The checkpoint that was chosen to be used, where it is not the last."""
        return self.root / "chosen.json"

    @property
    def checkpoints_proof(self) -> Path:
        """What each kept checkpoint has learned and kept, by the development questions."""
        return self.root / "checkpoints.json"

    @property
    def work_dir(self) -> Path:
        """XTuner's own folder: checkpoints, logs, curves."""
        return self.job("train") / "work_dir"

    @property
    def scalars(self) -> list[Path]:
        """The numbers that each start of its training logged."""
        return sorted(self.work_dir.glob("*/vis_data/scalars.json"))

    @property
    def abandoned(self) -> Path:
        """What XTuner logged of trainings that were begun again: no part of the run's curve any more."""
        return self.job("train") / "abandoned"

    @property
    def adapter(self) -> Path:
        """The adapter in PEFT's format, the tokenizer beside it."""
        return self.root / "adapter"

    @property
    def merged(self) -> Path:
        """The merged model: one folder that every server reads."""
        return self.root / "merged"

    def job(self, step: str) -> Path:
        """The job folder of one step (``train``, ``convert``, ``merge``, …)."""
        return self.root / step


def teacher_beside(rows: Path) -> Path:
    """What the base says in those of the ``rows`` that are replayed, where that is known."""
    return rows.with_name("replay.safetensors")


@dataclass(frozen=True)
class DataPaths:
    """The files of one data set."""

    root: Path

    @property
    def source(self) -> Path:
        """The conversations as given or made, in the tutorial's own format."""
        return self.root / "personal_assistant.json"

    @property
    def rows(self) -> Path:
        """What is trained on: one conversation a line, replay mixed in."""
        return self.root / "rows.jsonl"

    @property
    def teacher(self) -> Path:
        """What the base says in the rows that are replayed."""
        return teacher_beside(self.rows)

    @property
    def left_out(self) -> Path:
        """What was left out of the file that was given: a finding a line."""
        return self.root / "left_out.jsonl"

    @property
    def facts(self) -> Path:
        """What the proof asks of the data that was given, and the answers that are taught."""
        return self.root / "facts.json"

    def given(self, number: int, kind: str) -> Path:
        """A file as it was given, by its number among them; ``kind`` is the known end of its name."""
        return self.root / "given" / ".".join(map(slug, (str(number), *kind.split("."))))


@dataclass(frozen=True)
class ForeignPaths:
    """The files of one proof, or one healing, of a model that was tuned elsewhere."""

    root: Path

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def result(self) -> Path:
        """What was asked, every answer, and what they come to."""
        return self.root / "result.json"

    @property
    def healed(self) -> Path:
        """The healed adapter, a PEFT folder."""
        return self.root / "adapter"

    def model(self, name: str) -> Path:
        """A model that stands on others' weights: ``base``, ``tuned``, one of each scale."""
        return self.root / "models" / slug(name)

    def job(self, step: str) -> Path:
        """The job folder of one step, or of the whole (``prove``, ``heal``)."""
        return self.root / slug(step)


@dataclass(frozen=True)
class SweepPaths:
    """The files of one sweep; its trials are runs as any other."""

    root: Path

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def about(self) -> Path:
        """What is varied, from which run and recipe, and by which rules."""
        return self.root / "sweep.json"

    @property
    def journal(self) -> Path:
        """Optuna's storage: each trial, its values, its losses on the way and what it came to."""
        return self.root / "trials.log"

    @property
    def job(self) -> Path:
        """The job folder of what starts one trial after the other."""
        return self.root / "sweep"


@dataclass(frozen=True)
class QueuePaths:
    """The files by which the jobs of one machine wait for its devices: a device belongs to a machine, and a
    workspace may be shared by several."""

    root: Path

    @classmethod
    def of(cls, workspace: Path, host: str) -> "QueuePaths":
        return cls(workspace / "queue" / slug(host))

    @property
    def waiting(self) -> Path:
        """The tickets of the jobs that wait, named by their places; each is held by its supervisor."""
        return self.root / "waiting"

    @property
    def running(self) -> Path:
        """The tickets of the jobs that have devices; each is held by its supervisor and its tool."""
        return self.root / "running"

    @property
    def lock(self) -> Path:
        """Held while the line is changed, for a moment."""
        return self.root / ".lock"


# Where the job folders of a workspace lie that compute: how deep, and in which of its folders.
_JOBS = ((1, "chat-server"), (3, "runs"), (3, "adapters"), (3, "sets"))


def workspace_around(job: Path) -> Path | None:
    """The workspace that a job's folder lies in; None for a job of none."""
    above = (job, *job.parents)
    for depth, name in _JOBS:
        if len(above) > depth and above[depth - 1].name == name:
            return above[depth]
    return None


def know_workspace_of(job: Path) -> None:
    """Let this process know the workspace that a job's folder lies in: gone, it makes nothing there."""
    if around := workspace_around(job.absolute()):
        with suppress(WorkspaceGone):
            presence.see(around)


@dataclass(frozen=True)
class Workspace:
    """``TUNEBOARD_HOME``, by default ``./workspace``."""

    root: Path

    @classmethod
    def of(cls, given: str | Path | None = None) -> "Workspace":
        """The workspace named on the command line, else by the environment, else ``./workspace``.

        Raises NotWritable for the home of a user who is not there, or a link that leads back to itself.
        """
        named = Path(given or os.environ.get("TUNEBOARD_HOME") or "workspace")
        try:
            named = named.expanduser()
        except RuntimeError as error:
            raise NotWritable(folder=named, reason=say("file.no_home")) from error
        try:
            return cls(named.resolve())
        except RuntimeError as error:
            raise NotWritable(folder=named, reason=say("file.ELOOP")) from error

    @property
    def option(self) -> str:
        """How a command at this terminal names this workspace: `` --workspace DIR``, or nothing where it is
        the one that is taken anyway."""
        return "" if Workspace.of().root == self.root else f" --workspace {shlex.quote(str(self.root))}"

    @property
    def models(self) -> Path:
        """The base models, a folder each; what begins with a dot belongs to one that is being imported."""
        return self.root / "models"

    @property
    def starter(self) -> Path:
        """The small model that comes with the program, once it is made."""
        return self.models / "starter"

    @property
    def starter_job(self) -> Path:
        """The job folder of the starter's making."""
        return self.models / ".starter.job"

    @property
    def starter_lock(self) -> Path:
        """Held while it is made."""
        return self.models / ".starter.lock"

    @property
    def runs(self) -> Path:
        """The runs, a folder each."""
        return self.root / "runs"

    @property
    def run_index(self) -> Path:
        """What was read of the runs, by the state of their files; made again where it is gone."""
        return self.root / "cache" / "runs.json"

    @property
    def profiles(self) -> Path:
        """Profiles of how work is asked of Slurm, a JSON file each."""
        return self.root / "slurm"

    @property
    def arrays(self) -> Path:
        """The list of each Slurm array's job folders, and what was printed before their jobs began."""
        return self.root / "slurm" / "arrays"

    def profile(self, name: str) -> Path:
        """The file of the profile that a person calls ``name``."""
        return self.profiles / f"{slug(name)}.json"

    @property
    def queue(self) -> Path:
        """Who computes and who waits for a device: a folder for each machine that shares the workspace."""
        return self.root / "queue"

    @property
    def log(self) -> Path:
        """The dashboard's own log; a job has its own in its folder."""
        return self.root / "dashboard.log"

    @property
    def hashes(self) -> Path:
        """The SHA-256 of files of models and of rows, by their state: each is read once."""
        return self.root / "cache" / "hashes.json"

    @property
    def answers(self) -> Path:
        """Answers of base models, kept by the model's fingerprint: the same question is asked once."""
        return self.root / "answers"

    @property
    def sets(self) -> Path:
        """The data sets that are made step by step, a folder each."""
        return self.root / "sets"

    @property
    def chats(self) -> Path:
        """The chats with the models, one JSON file each."""
        return self.root / "chats"

    @property
    def chat_server(self) -> Path:
        """The job folder of the chat server."""
        return self.root / "chat-server"

    @property
    def chat_server_lock(self) -> Path:
        """Held by whoever decides which model the chat server has."""
        return self.chat_server / ".model.lock"

    @property
    def chat_server_users(self) -> Path:
        """Held, shared, by each dashboard and by whatever else asks the chat server's model."""
        return self.chat_server / ".users.lock"

    def model(self, name: str) -> Path:
        """The folder of the model that a person calls ``name``."""
        return self.models / slug(name)

    def upload(self, digest: str, kind: str = "json") -> Path:
        """Where a data file is kept: under the hash of its content, never under a name it came with."""
        return self.root / "uploads" / ".".join(map(slug, (digest, *kind.split("."))))

    def model_folders(self) -> list[Path]:
        """Every model's folder that can be read, by name."""
        return [folder for folder in self.all_model_folders() if not unusable(folder)]

    def all_model_folders(self) -> list[Path]:
        """Every model's folder, by name; :func:`unusable` says which cannot be read."""
        return [self.models / name for name in sorted(folders_in(self.models))]

    def data(self, name: str) -> DataPaths:
        """What the run with this name is trained on."""
        return DataPaths(self.data_sets / slug(name))

    @property
    def data_sets(self) -> Path:
        """What runs are trained on, a folder for each run."""
        return self.root / "data"

    def run(self, run_id: str) -> RunPaths:
        """The run called ``run_id``. Raises NoSuchRun, StorageFailed for a folder that cannot be read; a name
        with a separator is never a run."""
        if not is_entry(run_id) or not os.path.isdir(self.runs / run_id):  # noqa: PTH112 (also of no path)
            known = {name: (name[len("20260102-030405-") :],) for name in self.run_names()}
            raise NoSuchRun(run=run_id, workspace=self.root, near=did_you_mean(run_id, known))
        if reason := unusable(folder := self.runs / run_id):
            raise StorageFailed(path=folder, reason=reason)
        return RunPaths(folder)

    def chat(self, chat_id: str) -> Path:
        """The file of a chat. Raises NoSuchChat; a name with a separator is never a chat."""
        for file in self.chat_files():
            if file.stem == chat_id:
                return file
        raise NoSuchChat(chat=chat_id, workspace=self.root)

    def chat_files(self) -> list[Path]:
        """Every chat's file, newest first."""
        return sorted(self.chats.glob("*.json"), reverse=True)

    def new_chat(self, now: datetime) -> Path:
        """A file name for a new chat, by which chats are in their order also within a second."""
        return self.chats / f"{now:%Y%m%d-%H%M%S-%f}-{secrets.token_hex(3)}.json"

    def run_folders(self, newest: int | None = None) -> list[Path]:
        """Every run's folder that can be read, newest first; with ``newest`` only so many of them."""
        usable = (name for name in self.run_names() if is_open(f"{self.runs}/{name}"))
        return [self.runs / name for name in islice(usable, newest)]

    def run_names(self) -> list[str]:
        """The names of every run's folder, newest first; :func:`unusable` says which cannot be read."""
        begun, states = time.time_ns(), states_of(str(self.runs), ("",))
        known, names = _LISTED.get(self.runs, (None, []))
        if known != (number := number_of(states)):
            names = sorted(folders_in(self.runs), reverse=True)
            if begun - changed_last(states) > TICK:
                _LISTED[self.runs] = number, names
        return [*names]

    def new_run(self, name: str, now: datetime) -> RunPaths:
        """Make the folder of a new run. Two of one second get different names."""
        return RunPaths(_new_folder(self.runs, name, now))

    @property
    def foreign(self) -> Path:
        """What was found of adapters and models that were tuned elsewhere, a folder each time."""
        return self.root / "adapters"

    def new_foreign(self, name: str, now: datetime) -> ForeignPaths:
        """Make the folder of a new proof or healing. Two of one second get different names."""
        return ForeignPaths(_new_folder(self.foreign, name, now))

    def foreign_place(self, place_id: str) -> ForeignPaths:
        """The one called ``place_id``. Raises NoSuchRun; a name with a separator is never one."""
        for place in self.foreign_folders():
            if place.id == place_id:
                return place
        raise NoSuchRun(run=place_id, workspace=self.root, near="")

    def foreign_folders(self) -> list[ForeignPaths]:
        """Every proof and healing of a model that was tuned elsewhere, newest first."""
        with suppress(FileNotFoundError):
            return [ForeignPaths(p) for p in sorted(self.foreign.iterdir(), reverse=True) if p.is_dir()]
        return []

    @property
    def sweeps(self) -> Path:
        """The sweeps, a folder each."""
        return self.root / "sweeps"

    def new_sweep(self, name: str, now: datetime) -> SweepPaths:
        """Make the folder of a new sweep. Two of one second get different names."""
        return SweepPaths(_new_folder(self.sweeps, name, now))

    def sweep(self, sweep_id: str) -> SweepPaths:
        """The sweep called ``sweep_id``. Raises NoSuchSweep; a name with a separator is never one."""
        found = self.sweep_folders()
        for sweep in found:
            if sweep.id == sweep_id:
                return sweep
        known = {sweep.id: (sweep.id[len("20260102-030405-") :],) for sweep in found}
        raise NoSuchSweep(sweep=sweep_id, workspace=self.root, near=did_you_mean(sweep_id, known))

    def sweep_folders(self) -> list[SweepPaths]:
        """Every sweep, newest first."""
        return [SweepPaths(self.sweeps / name) for name in sorted(folders_in(self.sweeps), reverse=True)]

    def keep_private(self) -> None:
        """Nothing in it is for other users of this machine, what an earlier version left included.

        In a folder that was no workspace yet nothing is closed: it is somebody's, named for the first time or
        by mistake.
        """
        keep_private(self.root)
        if any((self.root / name).exists() for name in TELLING):
            close_to_others(self.root / name for name in PARTS)

    @property
    def identity(self) -> Path:
        """By which the workspace is known again, or missed (core.workspace.presence)."""
        return self.root / presence.NAME

    def find(self) -> None:
        """Look whether it is still there, where it was there before. Raises WorkspaceGone: its disk is not
        mounted, does not answer, or is another one; WorkspaceOfAnother."""
        self._refuse_unless_let_in(os.R_OK | os.X_OK)
        if reason := presence.why_gone(self.root):
            raise WorkspaceGone(folder=self.root, reason=reason)
        if presence.seen(self.root) is None and presence.see(self.root) is None:
            mount = mount_known(self.root)
            if mount and not os.path.ismount(mount):
                raise WorkspaceGone(folder=self.root, reason=say("workspace.unmounted", mount=mount))

    def _refuse_unless_let_in(self, how: int) -> None:
        """Raises WorkspaceOfAnother where it is somebody else's, who does not let this user do so,
        StorageFailed where nobody can tell, for a folder above it is closed."""
        try:
            owner = self.root.stat().st_uid
        except PermissionError as error:
            raise StorageFailed(path=self.root, reason=reason_of(error)) from error
        except OSError:  # it is not there, or its disk is gone
            return
        if owner != os.geteuid() and not os.access(self.root, how):
            raise WorkspaceOfAnother(folder=self.root, owner=user_name(owner), user=user_name())

    def prepare(self) -> None:
        """Make the workspace and prove that it can be written. Raises NotWritable, WorkspaceGone."""
        _refuse_unusable(self.root)
        self.find()
        make_folder(self.root, exist_ok=True)
        self._refuse_unless_let_in(os.W_OK)
        try:
            with tempfile.TemporaryFile(dir=self.root):
                pass
            if not self.identity.exists():
                self._make_identity()
        except OSError as error:
            raise NotWritable(folder=self.root, reason=reason_of(error)) from error
        presence.see(self.root)

    def _make_identity(self) -> None:
        """Of two processes that use a new folder at once the second takes what the first has made: another
        one in its place would be missed by the first. Raises OSError."""
        known = presence.seen(self.root)
        made = self.root / f".{secrets.token_hex(8)}"
        write_json(made, {"id": known.id if known else secrets.token_hex(16)})
        try:
            self.identity.hardlink_to(made)
        except FileExistsError:
            pass
        except OSError:  # a disk that knows no links, as a memory stick's
            made.replace(self.identity)
        finally:
            made.unlink(missing_ok=True)
        remember(self.root, presence.mount_of(self.root))


def _new_folder(parent: Path, name: str, now: datetime) -> Path:
    stem = f"{now:%Y%m%d-%H%M%S}-{slug(name)}"
    for count in range(1, 1000):
        folder = parent / (stem if count == 1 else f"{stem}-{count}")
        with suppress(FileExistsError):
            make_folder(folder)
            return folder
    raise NotWritable(folder=parent, reason="1000 folders in one second")


def _refuse_unusable(folder: Path) -> None:
    """datasets 5.0.1 takes "::" for a chain of protocols and fills in "$NAME"; mmengine 0.10.7 reads no
    config from a path with a double quote, and fills in "{{ … }}"; JSON files want UTF-8."""
    if "::" in str(folder) or os.path.expandvars(folder) != str(folder):
        raise NotWritable(folder=folder, reason=say("file.unusable_path"))
    if re.search(r'["\x00-\x1f\x7f]|\{\{', str(folder)):
        raise NotWritable(folder=repr(str(folder)), reason=say("file.quoted_path"))
    if re.search("[\ud800-\udfff]", str(folder)):
        raise NotWritable(folder=folder, reason=say("file.not_utf8_name"))


def make_folder(folder: Path, exist_ok: bool = False) -> None:
    """Make a folder and its parents. Raises NotWritable, WorkspaceGone; FileExistsError unless
    ``exist_ok``."""
    try:
        presence.refuse_if_gone(folder)
        folder.mkdir(parents=True, exist_ok=exist_ok)
    except presence.WorkspaceGoneError as error:
        raise WorkspaceGone(folder=error.root, reason=error.reason) from error
    except OSError as error:
        if isinstance(error, FileExistsError) and not folder.is_file():
            raise
        raise NotWritable(folder=folder, reason=reason_of(error)) from error
