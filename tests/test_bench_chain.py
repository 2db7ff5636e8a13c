"""scripts/bench chain with the fast engine: a real chain for each way, and what the table says of them."""

import json
import subprocess
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT
from scripts.benches import chain
from tests.small_model import make_small_model


def test_it_prints_each_stage_with_its_start_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    model, kept = make_small_model(tmp_path / "a model"), tmp_path / "result.json"
    words = ["--model", str(model), "--workspace", str(tmp_path / "work 1"), "--json", str(kept)]
    chain.main([*words, "--iterations", "10", "--name", "Zoë"])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert lines[0] == "| stage | cold | warm |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        f"| {n}" for n in (*chain.STAGES, "between", "all")
    ]
    found = json.loads(kept.read_text(encoding="utf-8"))
    assert {"date", "processor", "cores", "amx", "gpus", "versions", "before"} <= set(found)
    cold, warm = found["chains"]
    assert (cold["way"], warm["way"]) == ("cold", "warm") and warm["worker"]["resident"] > 0
    for name in chain.STAGES:
        assert cold["stages"][name]["start"] > 0 and not cold["stages"][name]["forked"]
        assert min(warm["stages"][name]["start"], warm["stages"][name]["work"]) >= 0
    assert cold["seconds"] > sum(stage["start"] + stage["work"] for stage in cold["stages"].values())
    assert cold["worker"]["resident"] == 0


def test_a_chain_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "convert")
    model = make_small_model(tmp_path / "model")
    with pytest.raises(RuntimeError, match="warm: exit 1"):
        chain.main(["--model", str(model), "--workspace", str(tmp_path / "work"), "--ways", "warm"])


def test_the_code_of_a_revision_is_gone_afterwards(tmp_path: Path) -> None:
    git = ["git", "-C", str(PROJECT)]
    if subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True).returncode:
        pytest.skip("not a repository")
    with chain.revision("HEAD") as code:
        assert (code / "core/__main__.py").exists()
    assert not code.exists()
