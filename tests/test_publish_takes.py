"""How long publishing is said to take before any of it is known."""

from pathlib import Path

import pytest

from core.publish import takes
from core.publish.request import PublishRequest
from core.workspace.paths import RunPaths

MB, GB = 10**6, 10**9


def seconds(run: RunPaths, request: PublishRequest) -> dict[str, int]:
    return {name: round(cost.whole) for name, cost in takes.costs(run, request).items()}


def test_only_what_will_be_done_counts_and_a_stick_takes_its_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, size = RunPaths(tmp_path), 300 * MB
    monkeypatch.setattr(takes, "bytes_of", lambda *_: size)
    monkeypatch.setattr(takes.llama_server, "installed", lambda: "")
    assert seconds(run, PublishRequest("app")) == {"bundle": 4, "copy": 2}, "and nothing is sent"
    assert seconds(run, PublishRequest("app", into="STICK")) == {"bundle": 4, "copy": 15}
    assert seconds(run, PublishRequest("app", dry_run=True)) == {"bundle": 4}
    assert seconds(run, PublishRequest("gguf", "zip")) == {"bundle": 22, "copy": 2}
    sent = seconds(run, PublishRequest("merged", "huggingface", repo="ada/x"))
    assert list(sent) == ["bundle", "send", "fetch", "arrival"]
    size = 14 * GB
    assert seconds(run, PublishRequest("merged", out=tmp_path / "x"))["copy"] == 700
    assert takes.written(run, PublishRequest("merged")) == ("about 3 minutes", "about 30 minutes")
