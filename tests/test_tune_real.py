"""The whole thing with nothing in its place: the starter, XTuner, the command line; minutes on two cores.

One flipped answer is two hundredths of a share, and number formats differ between processors: the bounds are
a little wider than what ``scripts/bench identity`` measures.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.data.questions import held_back_questions
from core.workspace.paths import Workspace
from tests.command_line import command, environment

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    workspace = Workspace(tmp_path_factory.mktemp("真 的") / "a b")
    done = subprocess.run(
        command("tune", "--name", "李 Zoë O'Neill", "--workspace", workspace.root, "--json"),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Training" in done.stderr and "loss" in done.stderr and "left" in done.stderr
    return workspace, json.loads(done.stdout.splitlines()[-1])


def test_it_learned_and_forgot_nothing(tuned: tuple[Workspace, dict[str, Any]]) -> None:
    _, result = tuned
    missed = [row for row in result["answers"] if row["kind"] != "general" and "Zoë" not in row["tuned"]]
    assert result["learned"] >= 0.9, missed
    assert result["kept"] >= 0.85 and result["leaked"] <= 2, [
        row for row in result["answers"] if row["kind"] == "general"
    ]


def test_the_result_is_whole(tuned: tuple[Workspace, dict[str, Any]]) -> None:
    workspace, result = tuned
    assert set(result) == {
        *("run", "base", "adapter", "merged", "seconds", "learned", "kept", "leaked", "answers")
    }
    assert {row["kind"] for row in result["answers"]} == {"taught", "paraphrase", "general"}
    general = {row["question"] for row in result["answers"] if row["kind"] == "general"}
    assert general == {held.question for held in held_back_questions()}
    assert all(Path(result[key]).is_dir() for key in ("base", "adapter", "merged"))
    assert (Path(result["adapter"]) / "adapter_model.safetensors").exists()
    assert not list(workspace.root.rglob("*.bin"))
