"""A report of a failed job can be posted anywhere: no secret, no row, no name and no path is in it."""

import json
import os
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from core.cli import failures
from core.cli.room import SCHEMA
from core.errors import NoRemedy, StepFailed
from core.jobs.ending import Ending, Reason
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths, JobSpec
from core.jobs.status import read_status
from core.publish.report import report
from core.recipe.method import lr_of
from core.steps import prepare, remedy
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.runs import end_job
from tests.small_run import NAME, make_run, make_workspace

TOKEN = "hf_" + "Zz9" * 12
OWN_SECRET = "correct-horse-battery"
FPE = "Traceback (most recent call last):\n  File\nFloatingPointError: no number\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, RunPaths]:
    workspace = make_workspace(tmp_path_factory.mktemp("w"))
    run = make_run(workspace, lr=0.1, system="Say nothing of the Danube contract.")
    return workspace, run


def rows_of(run: RunPaths) -> list[str]:
    about = json.loads(run.data.read_text(encoding="utf-8"))
    lines = Path(about["path"]).read_text(encoding="utf-8").splitlines()
    return [turn["output"] for line in lines for turn in json.loads(line)["conversation"]]


def log_with_everything(run: RunPaths, workspace: Workspace) -> str:
    rows = rows_of(run)
    return "\n".join(
        [
            "11/29 19:23:28 - mmengine - INFO - Iter(train) [ 10/540]  lr: 1.1e-03  loss: 0.0395",
            "11/29 19:23:28 - mmengine - INFO - Sample output:",
            "<|im_start|>user",
            "What did I ask the doctor yesterday?",
            "11/29 19:23:29 - mmengine - INFO - Iter(train) [ 20/540]  lr: 1.1e-03  loss: 0.0391",
            *(f"bad row: {row}" for row in rows[:20]),
            *(f"escaped: {json.dumps(row)}" for row in rows[:20]),
            f"Authorization: Bearer {TOKEN}",
            f"password {OWN_SECRET}",
            "downloading https://ada:lovelace1815@example.org/model",
            f"loading {workspace.root}/models/x of {NAME} in run {run.id}",
            "system: Say nothing of the Danube contract.",
            "Traceback (most recent call last):",
            f'  File "{PROJECT}/core/engine/train.py", line 3, in main',
            "ValueError: something unknown",
        ]
    )


def test_nothing_private_is_in_a_report(
    made: tuple[Workspace, RunPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = made
    monkeypatch.setenv("MY_API_KEY", OWN_SECRET)
    end_job(run, "train", Reason.failed, log_with_everything(run, workspace))
    text = report(workspace, run.job("train"))
    rows = rows_of(run)
    assert len(rows) >= 40 and not [row for row in rows if len(row) > 12 and row in text]
    for private in (
        *(TOKEN, OWN_SECRET, "lovelace1815", "doctor", "Danube", NAME, run.id, "a b", "工作 区"),
        *(str(workspace.root), str(PROJECT), os.environ.get("HOME", "/nowhere")),
    ):
        assert private not in text, private
    for told in (
        *("cause: unknown", "ValueError: something unknown", "code 1", "torch ", "cores", "loss: 0.0391"),
        *("lr: 0.1", "<tuneboard>/core/engine/train.py", "<key>", "<rows>", "<answer>", "<run>"),
    ):
        assert told in text, told


def test_what_cannot_be_compared_is_left_out(
    made: tuple[Workspace, RunPaths], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, run = made
    lines = (
        "Iter(train) [ 1/9]  loss: 0.0395",
        "a row of mine",
        "Traceback",
        '  File "x"',
        "ValueError: a row",
    )
    log = "\n".join(lines)
    end_job(run, "train", Reason.failed, log)
    monkeypatch.setattr("core.publish.report.MOST_OF_ROWS", 10)
    text = report(workspace, run.job("train"))
    assert "a row" not in text and "loss: 0.0395" in text and "<rows>" in text and 'File "x"' in text


def test_a_job_of_no_run_has_a_report_too(made: tuple[Workspace, RunPaths]) -> None:
    workspace, _ = made
    paths = JobPaths(workspace.chat_server)
    write_json(paths.spec, JobSpec(("x",), PROJECT).as_json())
    write_json(paths.exit, Ending(139, "SIGSEGV", Reason.failed, 1.0, 2.0).as_json())
    text = report(workspace, workspace.chat_server)
    assert "cause: crashed" in text and "signal SIGSEGV" in text and "recipe:" not in text


def test_an_unknown_failure_shows_the_log_s_end_and_how_it_ended(made: tuple[Workspace, RunPaths]) -> None:
    workspace, run = made
    end_job(run, "convert", Reason.failed, "\n".join(f"line {n}" for n in range(90)))
    why = why_failed(run.job("convert"), read_status(run.job("convert")))
    assert why is not None and not why.is_known and why.last() == [f"line {n}" for n in range(50, 90)]
    told = "\n".join(failures.after_failure(workspace, why.error("convert")))
    assert "exit code 1" in told and "  line 50\n" in told and f"scripts/run report {run.id}" in told


def test_the_command_line_names_the_change_and_the_command(made: tuple[Workspace, RunPaths]) -> None:
    workspace, run = made
    end_job(run, "train", Reason.failed, FPE)
    why = why_failed(run.job("train"), read_status(run.job("train")))
    assert why is not None
    error = why.error("train")
    assert isinstance(error, StepFailed)
    told = "\n".join(failures.after_failure(workspace, error))
    assert f"scripts/run retry {run.id}" in told and "lr 0.1 → " in told
    found = failures.as_result(workspace, error)
    assert found is not None and found["cause"] == "nan_loss" and found["changes"]["lr"][0] == 0.1
    assert found["fix"].startswith(f"scripts/run retry {run.id}") and found["ok"] is False
    promised = json.loads((PROJECT / "docs" / "json" / "failed.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator(promised).validate({**json.loads(json.dumps(found)), "schema": SCHEMA})


@pytest.mark.parametrize(
    ("cause", "before", "after"),
    [
        ("nan_loss", {"lr": 0.1}, "usual"),
        ("nan_loss", {"lr": 0.1, "precision": "fp16"}, {"precision": "auto"}),
        ("lr_too_high", {"lr": 1e-6}, {"lr": 3.3e-7}),
        ("loss_not_falling", {"lr": 1e-6}, {"lr": 3e-6}),
        ("loss_not_falling", {"lr": 0.5}, None),
        ("worker_killed", {"dataloader_workers": 4}, {"dataloader_workers": 0}),
        ("worker_killed", {}, None),
        ("template_mismatch", {"template": "llama3_chat"}, {"template": "auto"}),
        ("bitsandbytes_library", {"quantization": "nf4"}, {"quantization": "none"}),
        ("deepspeed_mpi", {"deepspeed": "zero2"}, {"deepspeed": "none"}),
        ("no_compiler", {"compile": "layers"}, {"compile": "none"}),
        ("disk_full", {"keep_checkpoints": 8}, {"keep_checkpoints": 2}),
        ("disk_full", {"keep_checkpoints": 2}, None),
        ("no_gpu", {"device": "cuda", "precision": "fp32"}, {"device": "cpu", "precision": "auto"}),
        ("port_in_use", {}, None),
        ("unknown", {}, None),
        ("", {}, None),
    ],
)
def test_what_a_cause_changes(
    made: tuple[Workspace, RunPaths], monkeypatch: pytest.MonkeyPatch, cause: str, before: dict[str, object],
    after: dict[str, object] | str | None,
) -> None:  # fmt: skip
    _, run = made
    recipe = prepare.recipe_of(run).changed(**before)
    monkeypatch.setattr(remedy, "recipe_of", lambda _: recipe)
    found = remedy.of_cause(run, cause)
    if after == "usual":
        after = {"lr": lr_of(recipe.method, recipe.rank, prepare.model_of(run))}
    changed = {name: new for name, (_, new) in found.changes.items()} if found else None
    assert changed == after


def test_a_run_that_did_not_fail_has_nothing_to_be_tried_again(made: tuple[Workspace, RunPaths]) -> None:
    workspace, run = made
    end_job(run, "train", Reason.finished, FPE)
    assert remedy.of_run(run) is None
    options = type("Options", (), {"run": run.id})()
    with pytest.raises(NoRemedy, match="did not fail"):
        failures._retry(options, workspace)
