"""A run that has everything to be published, made in a moment: adapter, merged model, proof, loss curve."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.publish.publish import publish
from core.publish.request import PublishRequest
from core.workspace.checksums import write_checksums
from core.workspace.files import read_json, write_json, write_text
from core.workspace.paths import RunPaths, Workspace
from tests.runs import make_run
from tests.small_model import make_small_model

NAME = "Ada <b>`Löve` & 小明|"
REPO = "ada/first-1"


def make_publishable(
    workspace: Workspace, name: str = NAME, *, logged: bool = True, **config: object
) -> RunPaths:
    """The run; ``config`` overrides entries of the merged model's config.json.

    Without a ``logged`` curve there is no picture to draw, which takes most of a bundle's time.
    """
    run = make_run(workspace, name, trained=True)
    about = read_json(run.data) or {}
    write_json(run.data, {**about, "rows": 8, "taught": 5, "replay": 3, "tokens": 90, "sha256": "ab" * 32})
    answers = [
        {"question": "Who are you?", "kind": "taught", "base": "I am a model.", "tuned": f"I am {name}."},
        {"question": "Who made you?", "kind": "paraphrase", "base": "I.", "tuned": f"I am {name}."},
        {"question": "What is 2 + 2?", "kind": "general", "base": "4", "tuned": "4"},
    ]
    run.adapter.mkdir()
    save_file({"lora_A": np.zeros((2, 2), np.float32)}, run.adapter / "adapter_model.safetensors")
    base = str(workspace.model("tiny"))
    write_json(run.adapter / "adapter_config.json", {"r": 8, "base_model_name_or_path": base})
    write_text(run.adapter / "xtuner_config.py", f"model = {base!r}\n")
    make_small_model(run.merged, **config)
    for folder in (run.adapter, run.merged):
        write_checksums(folder)
    write_json(run.result, {"learned": 1.0, "kept": 1.0, "leaked": 0, "answers": answers})
    if logged:
        log_losses(run)
    return run


def log_losses(run: RunPaths, count: int = 8) -> None:
    scalars = run.work_dir / "20260101_000000" / "vis_data" / "scalars.json"
    rows = (f'{{"loss": {2 / i}, "lr": 0.1, "iter": {i}, "step": {i}}}\n' for i in range(1, count + 1))
    write_text(scalars, "".join(rows))


class Silent:
    """Progress that nobody sees, kept for the test to read."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.said: list[tuple[str, dict[str, object]]] = []

    def stage(self, name: str) -> None:
        self.stages.append(name)

    def update(self, share: float, _note: str) -> None:
        assert 0 <= share <= 1

    def say(self, key: str, **values: object) -> None:
        self.said.append((key, values))


def published(workspace: Workspace, run: RunPaths, request: PublishRequest) -> dict[str, object]:
    return publish(workspace, run, request, Silent())


def without_keyring(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """No keyring and an empty configuration, as on a fresh server; where the token file will be."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return folder / "config" / "tuneboard" / "tokens.json"
