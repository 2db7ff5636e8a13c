"""A job folder: its files by name, and what was asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import DamagedFile, NoSuchJob
from core.queue.devices import Devices
from core.workspace.files import read_record

if TYPE_CHECKING:  # what checks a profile takes longer to import than all that a list of runs needs
    from core.slurm.profile import Profile


@dataclass(frozen=True)
class JobPaths:
    """Every file of one job."""

    folder: Path

    @property
    def spec(self) -> Path:
        """What was asked for: command, folder, environment, by whom and when. Written by the launch."""
        return self.folder / "job.json"

    @property
    def request(self) -> Path:
        """What the tool was asked for, where a command line cannot say it. Written by the launch."""
        return self.folder / "request.json"

    @property
    def log(self) -> Path:
        """Everything the tool printed, in that order. Written by the tool: its output is this file."""
        return self.folder / "output.log"

    @property
    def supervisor(self) -> Path:
        """Who watches: process id, start time, host, boot. Written by the supervisor when it is up."""
        return self.folder / "supervisor.json"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself printed. Written by it; empty, unless it broke, or a worker forked it
        and its tool had to be started all the same: then why."""
        return self.folder / "supervisor.log"

    @property
    def tool(self) -> Path:
        """The tool's process id and start time. Written by the supervisor when the tool has started."""
        return self.folder / "tool.json"

    @property
    def progress(self) -> Path:
        """What the tool does and how far it is (core.jobs.progress). Written by it every few seconds."""
        return self.folder / "progress.json"

    @property
    def batch(self) -> Path:
        """Which of Slurm's jobs it is, or is a step of (core.jobs.batch). Written by whoever submits it, and
        by its supervisor there."""
        return self.folder / "slurm.json"

    @property
    def need(self) -> Path:
        """How long the tool may need to end well (core.jobs.grace). Written by the tool, where it is long."""
        return self.folder / "need.json"

    @property
    def stop(self) -> Path:
        """A request to stop: who asked, when, and how long the tool may take. Written by whoever asks."""
        return self.folder / "stop.json"

    @property
    def exit(self) -> Path:
        """How it ended: code, signal, reason, start and end. Written by the supervisor, last of all."""
        return self.folder / "exit.json"

    @property
    def done(self) -> Path:
        """That its work is done, and which process says so. Written by the tool, last of all: it counts where
        no supervisor was left to write ``exit.json``."""
        return self.folder / "done.json"

    @property
    def resumed(self) -> Path:
        """How often it went on by itself after a crash. Written by whoever let it (core.jobs.again)."""
        return self.folder / "resumed.json"

    @property
    def refusal(self) -> Path:
        """Why the tool gave up, where it knows that: the error's name and its values. Written by the tool."""
        return self.folder / "refusal.json"

    @property
    def ranks(self) -> Path:
        """Of a tool in several processes, the logs of all but the first (core.jobs.ranks)."""
        return self.folder / "ranks"

    @property
    def dead_rank(self) -> Path:
        """Which of several processes ended the job, and how. Written by the tool."""
        return self.folder / "dead_rank.json"

    @property
    def reserve(self) -> Path:
        """A little of the disk, given back when a full disk leaves no room for ``exit.json``. Written by the
        supervisor at its start, and deleted at the end."""
        return self.folder / ".reserve"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives."""
        return self.folder / ".supervisor.lock"

    @property
    def launch_lock(self) -> Path:
        """Held by a launch: of two at once the second waits, and is then refused."""
        return self.folder / ".launch.lock"

    @property
    def previous(self) -> Path:
        """Earlier tries of the same job, numbered. Made by the launch of the next try."""
        return self.folder / "previous"

    @property
    def next_spec(self) -> Path:
        """The ``job.json`` of a relaunch until the earlier try's files are out of its way."""
        return self.folder / ".job.json.next"

    @property
    def next_request(self) -> Path:
        """The same of ``request.json``."""
        return self.folder / ".request.json.next"

    @property
    def holds_a_job(self) -> bool:
        """Whether anything says that there is a job here: its ``job.json`` may have been deleted."""
        if self.spec.exists():
            return True
        # Most steps without a job have no folder either: of ten thousand runs no more files are asked for.
        others = (self.supervisor, self.tool, self.exit, self.batch)
        return self.folder.exists() and any(file.exists() for file in others)

    @property
    def of_one_try(self) -> tuple[Path, ...]:
        """What one try writes besides ``job.json``, ``request.json`` and ``exit.json``."""
        mine = (
            self.log,
            self.supervisor_log,
            self.supervisor,
            self.tool,
            self.batch,
            self.ranks,
            self.dead_rank,
        )
        return (*mine, self.progress, self.need, self.stop, self.done, self.resumed, self.refusal)


def job_folders(around: Path, depth: int = 1) -> Iterator[Path]:
    """The folders so deep below ``around`` in which there is a job."""
    return (folder for folder in around.glob("*/" * depth) if JobPaths(folder).holds_a_job)


def tries(folder: Path) -> list[Path]:
    """The folders of a job's tries, the newest first: its own, then those of earlier ones."""
    earlier = [path for path in JobPaths(folder).previous.glob("*") if path.name.isdigit()]
    return [folder, *sorted(earlier, key=lambda path: int(path.name), reverse=True)]


@dataclass(frozen=True)
class JobSpec:
    """What to run: a list of arguments, never a shell's line. ``env`` is added to the inherited one.

    ``request`` is what stands in the folder's ``request.json``, as JSON's own types; ``results`` names the
    files there that the tool makes. Both are written and cleared by ``launch``, never by whoever plans
    a job: beside a live one, nothing of it may change. ``asked_at`` is ISO 8601 in UTC. ``restarts``: so
    often the tool is started again when a signal has ended it that nobody sent on purpose. ``devices``: what
    the job takes as long as it runs, and waits for before its tool is started; None for what computes little.
    ``profile``: how it is asked of Slurm; None for this machine. Raises ValueError for an empty command.
    """

    command: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] = field(default_factory=dict)
    asked_by: str = ""
    asked_at: str = ""
    request: Mapping[str, Any] | None = None
    results: tuple[str, ...] = ()
    restarts: int = 0
    profile: "Profile | None" = None
    devices: Devices | None = None

    def __post_init__(self) -> None:
        if not self.command:
            raise ValueError("a job needs a command")

    def as_json(self) -> dict[str, Any]:
        """What stands in ``job.json``; the request has its own file."""
        return {
            "command": list(self.command),
            "cwd": str(self.cwd),
            "env": dict(self.env),
            "asked_by": self.asked_by,
            "asked_at": self.asked_at,
            "results": list(self.results),
            "restarts": self.restarts,
            **({"profile": self.profile.as_json()} if self.profile else {}),
            "devices": self.devices and self.devices.as_json(),
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "JobSpec":
        """The spec of :meth:`as_json`. Raises KeyError for one without a command or a folder, TypeError or
        ValueError for values of other types."""
        return cls(
            command=tuple(found["command"]),
            cwd=Path(found["cwd"]),
            env=dict(found.get("env", {})),
            asked_by=found.get("asked_by", ""),
            asked_at=found.get("asked_at", ""),
            results=tuple(found.get("results", ())),
            restarts=int(found.get("restarts", 0)),
            profile=_profile(found.get("profile")),
            devices=Devices.of(taken) if (taken := found.get("devices")) else None,
        )


def _profile(found: object) -> "Profile | None":
    if not found:
        return None
    from core.slurm.profile import of_json

    return of_json(found)


def read_spec(folder: Path) -> JobSpec:
    """Read ``job.json`` and ``request.json``. Raises NoSuchJob, DamagedFile."""
    paths = JobPaths(folder)
    found = read_record(paths.spec)
    if found is None:
        raise NoSuchJob(folder=folder)
    try:
        spec = JobSpec.from_json(found)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(path=paths.spec) from error
    return replace(spec, request=read_record(paths.request))


def profile_of(folder: Path) -> "Profile | None":
    """How the job in ``folder`` is asked of Slurm; None where it is not, or nobody can say it any more.
    Raises DamagedFile."""
    return read_spec(folder).profile if JobPaths(folder).spec.exists() else None
