"""Healing with the real engine: an adapter that no strength heals is trained on from, and comes out as a PEFT
folder that fits its base."""

from pathlib import Path
from typing import Any

import pytest

from core.data.identity import identity_conversations
from core.models.adapter import read_adapter
from core.models.folder import read_model
from core.pipeline import heal as healing
from core.pipeline.foreign import ForeignRequest
from core.proof.questions import Question
from core.steps import prepare
from core.steps.taught import Taught
from core.workspace.paths import Workspace
from tests.adapters import make_recorded
from tests.small_model import CHAT_TEMPLATE
from tests.small_run import make_workspace
from tests.test_begins_with_real import Silent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.filterwarnings("ignore")]
ASKED = [Question("Who are you?", "paraphrase"), Question("What is 2 + 2?", "general", ("4",))]


def test_a_training_goes_on_from_the_chosen_strength(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace: Workspace = make_workspace(tmp_path)
    base = workspace.starter
    adapter = make_recorded(tmp_path / "given", base, "llama_factory")
    # Another template than the base's: what is trained is written as the adapter was trained.
    (adapter / "chat_template.jinja").write_text(CHAT_TEMPLATE.replace("im_start", "im_end"))
    given = {file: file.read_bytes() for file in adapter.iterdir()}

    def says(*_: Any) -> Taught:
        return Taught("Zoë", tuple(identity_conversations("Zoë", count=4)))

    monkeypatch.setattr(healing, "SCALES", (1.0, 0.5))
    monkeypatch.setattr(healing, "ITERATIONS", 2)
    monkeypatch.setattr(healing, "development", lambda *_: ASKED)
    monkeypatch.setattr(healing, "asked", lambda *_: ASKED)
    monkeypatch.setattr(healing, "_what_it_says", says)
    monkeypatch.setattr(healing, "choose", lambda tried: tried[-1])
    found = healing.heal(workspace, ForeignRequest(str(base), "Zoë", adapter), Silent())
    run = workspace.run(found["trained"])
    assert given == {file: file.read_bytes() for file in adapter.iterdir()}
    assert [(one["scale"], one["trained"]) for one in found["tried"]] == [
        (1.0, False),
        (0.5, False),
        (0.5, True),
    ]
    assert found["scale"] == 0.5
    assert Path(found["healed"]) == run.adapter
    assert read_adapter(run.adapter, read_model(base)).config["r"] == 8
    recipe = prepare.recipe_of(run)
    assert recipe.replay_distillation
    assert recipe.template == "own"
    assert (Path(recipe.model) / "model.safetensors").is_symlink()
    assert found["after"]["answers"]
