"""What a failure is put down to: a table of logs, and jobs that really end that way."""

import signal
import sys
from pathlib import Path

import pytest

from core.errors import DamagedFile, RecipeChanged
from core.jobs import supervise
from core.jobs.ending import Ending, Reason, ending, failure
from core.jobs.explain import Cause, explain
from core.jobs.failure import leave_refusal, why_failed
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.launch import launch, wait
from core.jobs.status import State, Status, read_status
from core.jobs.tail import last_lines
from core.wording import sentences
from core.workspace.files import write_json
from core.workspace.paths import PROJECT

FAILED = Status(State.failed, 1, None, "failed")
LIMITED = Status(State.failed, 1, None, Reason.memory_limited)
TRACEBACK = 'Traceback (most recent call last):\n  File "train.py", line 1, in <module>\n    main()\n'
OOM = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
WARNING = "UserWarning: flash_attn is not used: No module named 'flash_attn'\n"
PROGRESS = "Iter(train) [ 10/160]  lr: 1.0e-03  time: 1.0  loss: 2.5  grad_norm: 1.0\n"
NAN = PROGRESS.replace("2.5", "nan")


@pytest.mark.parametrize(
    ("log", "status", "key", "line"),
    [
        (TRACEBACK + OOM, FAILED, "cuda_out_of_memory", OOM),
        (f"{OOM}\n{TRACEBACK}RuntimeError: NCCL is gone", FAILED, "cuda_out_of_memory", OOM),
        (
            f"{TRACEBACK}_pickle.UnpicklingError: Weights only load failed. This file can still …\n"
            "\tWeightsUnpickler error: Unsupported global: GLOBAL pathlib.PosixPath.touch was not an allowed "
            "global by default. Please use `torch.serialization.add_safe_globals(…)`",
            FAILED,
            "foreign_checkpoint",
            "GLOBAL pathlib.PosixPath.touch",
        ),
        (PROGRESS, Status(State.failed, 137, "SIGKILL", "failed"), "killed", PROGRESS),
        (PROGRESS, Status(State.failed, 137, None, "failed"), "killed", PROGRESS),
        (PROGRESS, Status(State.failed, 1, None, Reason.out_of_memory), "killed_out_of_memory", PROGRESS),
        (TRACEBACK + "MemoryError", FAILED, "cpu_out_of_memory", "MemoryError"),
        (
            TRACEBACK + "OSError: [Errno 28] No space left on device: 'iter_1.pth'",
            FAILED,
            "disk_full",
            "OSError: [Errno 28] No space left on device: 'iter_1.pth'",
        ),
        (PROGRESS, Status(State.failed, 1, None, Reason.disk_full), "disk_full", PROGRESS),
        (TRACEBACK + "MemoryError", LIMITED, "memory_limited", "MemoryError"),
        (NAN + PROGRESS + "end", FAILED, "nan_loss", NAN),
        (TRACEBACK + "FloatingPointError: no number", FAILED, "nan_loss", "FloatingPointError: no number"),
        (PROGRESS.replace("1.0\n", "inf"), FAILED, "nan_loss", PROGRESS.replace("1.0\n", "inf")),
        (
            TRACEBACK + "ModuleNotFoundError: No module named 'peft'",
            FAILED,
            "module_missing",
            "ModuleNotFoundError: No module named 'peft'",
        ),
        (
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
            Status(State.failed, 126, None, Reason.not_started),
            "too_many_threads",
            "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        ),
        ("python: No module named xtuner", FAILED, "module_missing", "python: No module named xtuner"),
        (
            WARNING + TRACEBACK + "ValueError: num_samples should be a positive integer, got num_samples=0",
            FAILED,
            "dataset_empty",
            "ValueError: num_samples should be a positive integer, got num_samples=0",
        ),
        (
            TRACEBACK + "OSError: [Errno 98] Address already in use",
            FAILED,
            "port_in_use",
            "OSError: [Errno 98] Address already in use",
        ),
        (
            TRACEBACK + "PermissionError: [Errno 13] Permission denied: '/w'",
            FAILED,
            "permission",
            "PermissionError: [Errno 13] Permission denied: '/w'",
        ),
        (
            TRACEBACK + "FileNotFoundError: [Errno 2] No such file or directory: 'rows.jsonl'",
            FAILED,
            "file_missing",
            "FileNotFoundError: [Errno 2] No such file or directory: 'rows.jsonl'",
        ),
        (
            TRACEBACK + '  File "config.py", line 3\n    lr = = 1\n         ^\nSyntaxError: invalid syntax',
            FAILED,
            "config_error",
            "SyntaxError: invalid syntax",
        ),
        (
            TRACEBACK + "mmengine.config.utils.ConfigParsingError: no",
            FAILED,
            "config_error",
            "mmengine.config.utils.ConfigParsingError: no",
        ),
        (  # a name that does not end in Error, found by its traceback
            TRACEBACK + "huggingface_hub.errors.EntryNotFound: 404\nbye",
            FAILED,
            "unknown",
            "huggingface_hub.errors.EntryNotFound: 404",
        ),
        (  # a worker's word, not the launcher's
            "[rank0]: Traceback (most recent call last):\n[rank0]:   File x\n[rank0]: ValueError: lr\n"
            + TRACEBACK
            + "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:",
            FAILED,
            "unknown",
            "[rank0]: ValueError: lr",
        ),
        (WARNING + "what a pity\n\n", FAILED, "unknown", "what a pity"),
        ("", FAILED, "unknown", ""),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'nope'",
            Status(State.failed, 127, None, Reason.not_started),
            "not_started",
            "FileNotFoundError: [Errno 2] No such file or directory: 'nope'",
        ),
        (PROGRESS, Status(State.lost, reason=Reason.abandoned), "lost", PROGRESS),
    ],
)  # fmt: skip
def test_a_cause(log: str, status: Status, key: str, line: str) -> None:
    assert explain(log.splitlines(), status) == Cause(key, line.strip())


@pytest.mark.parametrize("state", [State.waiting, State.running, State.finished, State.stopped])
def test_what_has_not_failed_has_no_cause(state: State) -> None:
    assert explain([OOM], Status(state)) is None


@pytest.mark.parametrize(
    ("returned", "tail", "kernel_killed", "disk_full", "reason"),
    [
        (1, [], False, False, Reason.failed),
        (-9, [], False, False, Reason.failed),
        (-9, [], True, False, Reason.out_of_memory),
        (137, [], True, False, Reason.out_of_memory),
        (1, [], True, False, Reason.failed),
        (1, [OOM], False, False, Reason.out_of_memory),
        (1, [], False, True, Reason.disk_full),
        (1, ["OSError: No space left on device"], False, False, Reason.disk_full),
    ],
)
def test_the_reason(
    returned: int, tail: list[str], kernel_killed: bool, disk_full: bool, reason: Reason
) -> None:
    assert failure(returned, tail, kernel_killed, disk_full) is reason


@pytest.mark.parametrize(
    ("returned", "tail", "reason"),
    [
        (-11, [], Reason.memory_limited),
        (-6, ["what():  std::bad_alloc"], Reason.memory_limited),
        (1, ["RuntimeError: can't start new thread"], Reason.memory_limited),
        (1, ["SystemError: error return without exception set"], Reason.memory_limited),
        (1, ["KeyError: 'x'"], Reason.failed),
        (-9, [], Reason.failed),
        (1, ["OSError: No space left on device"], Reason.disk_full),
    ],
)
def test_the_reason_where_memory_is_limited(returned: int, tail: list[str], reason: Reason) -> None:
    assert failure(returned, tail, False, False, limited=True) is reason
    assert failure(returned, tail, False, False) is not Reason.memory_limited


def test_the_code_of_a_signal() -> None:
    assert (ending(-15, Reason.failed, 1.0, 2.0).code, ending(-15, Reason.failed, 1.0, 2.0).signal) == (
        143,
        "SIGTERM",
    )
    assert ending(-40, Reason.failed, 1.0, 2.0).signal == "SIG40"
    assert ending(2, Reason.failed, 1.0, 2.0).signal is None


def run(folder: Path, command: tuple[str, ...], **env: str) -> tuple[Status, Cause | None]:
    launch(folder, JobSpec(command, PROJECT, env))
    status = wait(folder, poll=0.05, timeout=30)
    return status, explain(last_lines(JobPaths(folder).log, 200), status)


@pytest.mark.parametrize(
    ("fault", "key", "line"),
    [
        ("FAKE_XTUNER_CRASH_AT", "unknown", "RuntimeError: fake crash at iteration 25"),
        ("FAKE_XTUNER_OOM_AT", "cuda_out_of_memory", "torch.OutOfMemoryError: CUDA out of memory."),
        ("FAKE_XTUNER_KILL_AT", "killed", "11/"),
    ],
)
def test_a_training_job_that_fails(tmp_path: Path, fault: str, key: str, line: str) -> None:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    (folder / "config.py").write_text("max_iters = 60\n")
    command = (sys.executable, "-m", "tests.fake_xtuner", "train", str(folder / "config.py"))
    status, cause = run(folder, (*command, "--work-dir", str(folder / "work_dir")), **{fault: "25"})
    assert status.state is State.failed and cause is not None and cause.key == key
    assert "[20/60]" in cause.line if key == "killed" else cause.line.startswith(line)


def test_a_job_the_kernel_kills_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the kernel's counter is made up: a real kill would need a memory cgroup of our own."""
    kills = iter([5, 6])
    monkeypatch.setattr(supervise, "oom_kills", lambda: next(kills))
    supervisor, before = supervise.Supervisor(JobPaths(tmp_path)), supervise.oom_kills()
    assert supervisor._reason(-signal.SIGKILL, before) is Reason.out_of_memory


def failed_with(folder: Path, command: tuple[str, ...], log: str, code: int) -> Status:
    """A job that ended in this way; its status."""
    paths = JobPaths(folder)
    write_json(paths.spec, JobSpec(command, PROJECT).as_json())
    write_json(paths.exit, Ending(code, None, Reason.failed, 1.0, 2.0).as_json())
    paths.log.write_text(log, encoding="utf-8")
    return read_status(folder)


def test_why_a_job_failed_is_what_its_tool_said_itself(tmp_path: Path) -> None:
    status = failed_with(tmp_path, ("x",), TRACEBACK + OOM, 1)
    why = why_failed(tmp_path, status)
    assert why is not None and why.cause == "cuda_out_of_memory" and why.line == OOM
    told = why.error("train")
    assert OOM in told.text() and str(JobPaths(tmp_path).log) in told.text() and told.job == tmp_path
    leave_refusal(tmp_path, RecipeChanged(iteration=20, changes="  - rank: 8 → 4", run="r"))
    why = why_failed(tmp_path, status)
    assert why is not None and "rank: 8 → 4" in why.error("train").text() and "rank: 8 → 4" in why.text("zh")
    assert isinstance(why.error("train"), RecipeChanged)


def test_a_command_of_an_earlier_version_said_it_last(tmp_path: Path) -> None:
    command = ("python", "-m", "core", "tune", "--name=x")
    status = failed_with(tmp_path, command, "[ 10%] Training\nThe recipe has problems.\n", 2)
    why = why_failed(tmp_path, status)
    assert why is not None and why.is_known and why.text() == "The recipe has problems."
    other = failed_with(tmp_path, ("python", "-m", "core.engine", "train"), "Something.\n", 2)
    why = why_failed(tmp_path, other)
    assert why is not None and why.cause == "unknown" and why.text() == sentences("en")["cause.unknown"]


@pytest.mark.parametrize("reason", [Reason.finished, Reason.stopped])
def test_what_did_not_fail_has_no_reason(tmp_path: Path, reason: Reason) -> None:
    failed_with(tmp_path, ("x",), TRACEBACK + OOM, 1)
    write_json(JobPaths(tmp_path).exit, Ending(0, None, reason, 1.0, 2.0).as_json())
    assert why_failed(tmp_path, read_status(tmp_path)) is None


@pytest.mark.parametrize(
    "left",
    [
        {"error": "RecipeChanged", "values": {"an": "earlier version's"}},
        {"error": "RecipeChanged", "values": None},
        {"error": "RecipeChanged", "values": ["a"]},
        {"error": "RecipeChanged"},
        {"error": "TuneboardError", "values": {}},
        {"error": ["RecipeChanged"], "values": {}},
    ],
)
def test_a_refusal_that_another_version_left_hides_no_job(tmp_path: Path, left: object) -> None:
    status = failed_with(tmp_path, ("x",), OOM, 1)
    write_json(JobPaths(tmp_path).refusal, left)
    why = why_failed(tmp_path, status)
    assert why is not None and why.said is None and OOM in why.error("train").text() and why.text()


def test_no_folder_is_made_for_a_refusal(tmp_path: Path) -> None:
    leave_refusal(tmp_path / "gone", RecipeChanged(iteration=20, changes="", run="r"))
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    "spec",
    [{}, {"command": []}, {"command": ["x"], "cwd": None}, {"command": ["x"], "cwd": "/", "env": None}],
)
def test_a_job_of_other_content_is_damaged(tmp_path: Path, spec: object) -> None:
    status = failed_with(tmp_path, ("x",), "words", 2)
    write_json(JobPaths(tmp_path).spec, spec)
    with pytest.raises(DamagedFile, match=r"job\.json"):
        read_spec(tmp_path)
    why = why_failed(tmp_path, status)
    assert why is not None and why.words == ""
