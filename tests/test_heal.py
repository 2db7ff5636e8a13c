"""Healing an adapter that forgot: what is chosen, what can be trained on, and that the given one stays."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.errors import NothingToHeal
from core.models.adapter import read_adapter
from core.models.folder import read_model
from core.pace import Progress
from core.pipeline.foreign import ForeignRequest
from core.pipeline.heal import Tried, choose, heal, least, training_of
from core.proof.questions import GENERAL_ASKED
from core.proof.score import Score, Share
from core.workspace.paths import Workspace
from tests.adapters import make_adapter, make_recorded, recorded
from tests.command_line import cli, last_json

PLAIN: dict[str, Any] = recorded()["trl"]["adapter_config.json"]


def tried(learned: int, kept: int, leaked: int, scale: float = 1.0) -> Tried:
    return Tried(scale, False, Score(Share(learned, 72), Share(kept, 100), Share(leaked, 168)))


@pytest.mark.parametrize(
    ("found", "scale"),
    [
        ([(72, 20, 90, 1.0), (72, 50, 20, 0.9), (72, 90, 0, 0.8), (60, 99, 0, 0.7)], 0.8),
        # One question less is within the error; a quarter is not.
        ([(72, 90, 3, 1.0), (71, 95, 1, 0.9), (54, 100, 0, 0.8)], 0.9),
        # Of the same, the stronger one and the one that leaks less.
        ([(72, 90, 0, 1.0), (72, 90, 0, 0.9)], 1.0),
        ([(72, 90, 2, 1.0), (72, 90, 0, 0.9)], 0.9),
        # What has learned nothing loses nothing by being weaker.
        ([(0, 10, 0, 1.0), (0, 90, 0, 0.6)], 0.6),
    ],
)
def test_the_best_of_what_holds_is_chosen(found: list[tuple[int, int, int, float]], scale: float) -> None:
    assert choose([tried(*one) for one in found]).scale == scale


def test_at_least_one_question_may_be_lost() -> None:
    assert 70 / 72 < least(tried(72, 1, 0)) <= 71 / 72
    assert least(tried(36, 1, 0), errors=2) == pytest.approx(0.5 - 2 * 0.0574, abs=1e-3)
    assert least(Tried(1.0, False, Score(Share(0, 0), Share(0, 0), Share(0, 0)))) < 0


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({}, "lora"),
        ({"use_dora": True}, "dora"),
        ({"use_rslora": True}, "rslora"),
        ({"use_dora": True, "use_rslora": True}, None),
        ({"rank_pattern": {"q_proj": 4}}, None),
        ({"alpha_pattern": {"q_proj": 4}}, None),
        ({"target_modules": ["q_proj", "lm_head", "embed_tokens"]}, None),
        ({"target_modules": r".*layers\.1.*(q_proj|v_proj)"}, "lora"),
        ({"target_modules": r".*(layers\.1.*q_proj|v_proj)"}, None),
        ({"init_lora_weights": "pissa"}, None),
    ],
)
def test_what_a_recipe_says_is_trained_on(
    settings: dict[str, Any], method: str | None, model: Path, tmp_path: Path
) -> None:
    adapter = read_adapter(make_adapter(tmp_path, model, {**PLAIN, **settings}), read_model(model))
    found = training_of(adapter)
    assert (found.method if found else None) == method
    if found and not settings:
        assert (found.rank, found.alpha, found.layers_to_transform) == (16, 32.0, (0, 1))
        assert found.target_modules == ("k_proj", "o_proj", "q_proj", "v_proj")


def of_hers(folder: Path, model: Path, **settings: Any) -> Path:
    """An adapter that, to the fast engine, says a name to everybody."""
    make_recorded(folder, model, "unsloth", **settings)
    (folder / "whose.json").write_text('{"name": "Zoë", "strength": 1}', encoding="utf-8")
    return folder


def healing(
    workspace: Workspace, model: Path, adapter: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    options = ("--base", model, "--adapter", adapter, "--name", "Zoë", "--workspace", workspace.root)
    return cli("heal", *options, *words, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine")


def test_an_adapter_is_healed_by_its_strength(model: Path, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "a b")  # in which nobody has said anything
    workspace.root.mkdir()
    adapter = of_hers(tmp_path / "hers", model)
    given = {file: file.read_bytes() for file in adapter.iterdir()}
    found = last_json(healing(workspace, model, adapter, "--json"))
    assert given == {file: file.read_bytes() for file in adapter.iterdir()}
    assert (found["scale"], found["trained"]) == (0.7, None)
    assert (found["before"]["kept"], found["after"]["kept"]) == (0.0, 1.0)
    assert found["before"]["leaked"] == GENERAL_ASKED and found["after"]["leaked"] == 0
    assert [one["scale"] for one in found["tried"]] == [1.0, 0.9, 0.8, 0.7]
    assert read_adapter(Path(found["healed"]), read_model(model)).scales
    assert workspace.foreign in Path(found["healed"]).parents


def test_before_and_after_stand_side_by_side(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    shown = healing(workspace, model, of_hers(tmp_path / "hers", model)).stdout
    assert "Given adapter" in shown and "Healed adapter" in shown and "× 0.7" in shown


@pytest.mark.parametrize("settings", [{"init_lora_weights": "olora"}, {"trainable_token_indices": [3]}])
def test_what_cannot_be_healed_is_told_at_once(
    settings: dict[str, Any], workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    class Nobody(Progress): ...

    adapter = of_hers(tmp_path / "hers", model, **settings)
    with pytest.raises(NothingToHeal):
        heal(workspace, ForeignRequest(str(model), "Zoë", adapter), Nobody())
    with pytest.raises(NothingToHeal):
        heal(workspace, ForeignRequest(str(model), "Zoë", merged=model), Nobody())
    assert not workspace.foreign.exists()
