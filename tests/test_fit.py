"""``scripts/run fit``: what a run holds in memory, and the largest that fits a card."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.steps.fit import report
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.small_run import make_run, make_workspace, stop_jobs


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = make_workspace(tmp_path)
    yield workspace
    stop_jobs(workspace)


def test_for_a_card_that_is_named(workspace: Workspace) -> None:
    run = make_run(workspace, batch_size=1, gradient_accumulation_steps=8)
    options = (run.id, "--workspace", workspace.root)
    found = last_json(cli("fit", *options, "--card", "8", "--json", cwd=workspace.root))
    parts = ("weights", "adapters", "activations", "logits")
    assert sum(found["memory"][part] for part in parts) == found["memory"]["allocated"]
    assert found["card"] == 8 * 2**30 and found["largest"]["memory"]["total"] < found["card"]
    assert (found["largest"]["batch_size"], found["largest"]["gradient_accumulation_steps"]) == (8, 1)
    assert found["largest"]["quantization"] == "none", "a tiny model needs none"
    shown = cli("fit", *options, "--card", "8", cwd=workspace.root, TUNEBOARD_LANG="en").stdout
    assert (
        "Largest settings that fit a GPU with 8 GB: batch_size 8" in shown
        and "checkpointed_layers 0," in shown
    )


def test_for_this_machine_and_for_none(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert report(run, None)["largest"] is not None
    wrong = cli("fit", run.id, "--card", "0", "--workspace", workspace.root, cwd=workspace.root)
    assert wrong.returncode == 2 and "Traceback" not in wrong.stderr


def test_a_run_without_data_of_its_own(workspace: Workspace) -> None:
    run = make_run(workspace)
    with_data = report(run, 8)["memory"]["activations"]
    run.data.unlink()
    assert report(run, 8)["memory"]["activations"] > with_data
