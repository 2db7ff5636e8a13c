"""Real failures, recorded (tests/record_failures.py): each is put down to its cause, and to no other's."""

import json
import re
from pathlib import Path

import pytest

from core.jobs.causes import BY_LOSS, BY_REASON, BY_SIGNAL, CAUSES, LOST, OTHERS, RULES
from core.jobs.ending import Reason
from core.jobs.explain import errors_in, explain, matches
from core.jobs.failure import LOG_LINES
from core.jobs.status import State, Status
from core.wording import say, sentences
from tests.conftest import RecordFault

FOLDER = Path(__file__).parent / "recorded" / "failures"
INDEX = json.loads((FOLDER / "index.json").read_text(encoding="utf-8"))
# Rules that are true of another cause's log as well, and stand below that cause's own for it.
ALSO = {
    ("deepspeed_mpi", "module_missing"),
    ("bitsandbytes_library", "file_missing"),
    ("gated_model", "token_refused"),
    ("certificate", "hub_out_of_reach"),
    ("config_error", "module_missing"),
    ("lfs_pointer", "damaged_checkpoint"),
    ("token_refused", "hub_out_of_reach"),
}  # fmt: skip


def log_of(name: str) -> list[str]:
    return (FOLDER / f"{name}.log").read_text(encoding="utf-8").splitlines()[-LOG_LINES:]


def ended(name: str) -> Status:
    found = INDEX[name]
    return Status(State.failed, found["code"], found["signal"], found["reason"])


@pytest.mark.parametrize("name", sorted(INDEX))
def test_a_recorded_failure_has_its_cause(name: str) -> None:
    found = explain(log_of(name), ended(name))
    assert found is not None and found.key == INDEX[name]["cause"], found


@pytest.mark.parametrize("name", sorted(INDEX))
def test_no_other_cause_s_rule_fits_its_log(name: str) -> None:
    tail, cause = log_of(name), INDEX[name]["cause"]
    errors = errors_in(tail)
    found = {rule.cause for rule in RULES if matches(rule, tail, errors) is not None}
    allowed = {cause, *(other for own, other in ALSO if own == cause)}
    allowed |= {"nan_loss"} if cause == "lr_too_high" else set()  # told apart by the losses before
    assert found <= allowed


def test_cuda_out_of_memory(record_fault: RecordFault) -> None:
    """There is no GPU where faults are recorded: logs of others are explained, of torch, cuBLAS, bitsandbytes
    and NCCL (Triton's "out of resource" is no such one). On a GPU: tests/test_cuda_out_of_memory.py."""
    names = [name for name, found in INDEX.items() if found["cause"] == "cuda_out_of_memory"]
    found = [explain(log_of(name), ended(name)) for name in names]
    assert all(one and re.search("out of memory|ALLOC_FAILED", one.line) for one in found) and len(found) > 5
    seen = f"\u201c{say('cause.cuda_out_of_memory', 'en')}\u201d"
    record_fault("CUDA out of memory (logs of other machines)", "", "", seen)


def test_no_rule_fits_a_healthy_training_s_log() -> None:
    tail = (FOLDER / "healthy.txt").read_text(encoding="utf-8").splitlines()
    for end in range(0, len(tail) + 1, 50):
        part = tail[max(0, end - LOG_LINES) : end]
        errors = errors_in(part)
        assert [rule.cause for rule in RULES if matches(rule, part, errors) is not None] == []
        assert explain(part, Status(State.finished)) is None
        found = explain(part, Status(State.failed, 1, None, Reason.failed))
        assert found is not None and found.key == "unknown"


def test_every_rule_has_a_recorded_failure() -> None:
    recorded = {found["cause"] for found in INDEX.values()}
    assert {rule.cause for rule in RULES} <= recorded
    assert set(BY_REASON.values()) | set(BY_SIGNAL.values()) <= recorded
    assert set(CAUSES) - recorded == {*LOST.values(), *OTHERS, *BY_LOSS} - recorded
    assert len(recorded) >= 25


def test_every_record_says_where_it_is_from() -> None:
    assert {path.stem for path in FOLDER.glob("*.log")} == INDEX.keys()
    assert all(found["source"] for found in INDEX.values())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_cause_has_a_sentence(language: str) -> None:
    told = {key for key in sentences(language) if key.startswith("cause.")}  # type: ignore[arg-type]
    assert told == {f"cause.{cause}" for cause in CAUSES}


@pytest.mark.parametrize(
    ("reason", "key"),
    [
        (Reason.restarted, "machine_restarted"),
        (Reason.elsewhere, "other_machine"),
        (Reason.abandoned, "lost"),
        (Reason.never_started, "lost"),
        (None, "lost"),
    ],
)
def test_what_is_lost_says_how(reason: Reason | None, key: str) -> None:
    found = explain(["step 1"], Status(State.lost, reason=reason))
    assert found is not None and found.key == key


@pytest.mark.parametrize(
    ("losses", "key"),
    [
        (["nan", "nan"], "nan_loss"),
        (["2.5", "nan"], "nan_loss"),
        (["2.5", "2.1", "2.0", "nan"], "nan_loss"),
        (["2.5", "2.1", "9.0", "nan"], "lr_too_high"),
        (["2.5", "4.1", "inf"], "lr_too_high"),
    ],
)
def test_a_rate_that_is_too_high_shows_in_the_losses_before(losses: list[str], key: str) -> None:
    tail = [
        f"Iter(train) [ {n}/160]  lr: 1.0e-03  loss: {loss}  grad_norm: 1.0" for n, loss in enumerate(losses)
    ]
    found = explain(tail, Status(State.failed, 1, None, Reason.failed))
    assert found is not None and found.key == key
    error = [*tail, "Traceback (most recent call last):", "  File", "FloatingPointError: no number"]
    found = explain(error, Status(State.failed, 1, None, Reason.failed))
    assert found is not None and found.key == key and found.line.startswith("FloatingPointError")
