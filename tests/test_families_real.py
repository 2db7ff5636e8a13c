"""Some of today's families through the whole chain with the real XTuner: tiny and random, and each of a kind
of its own. docs/models.md has all of them, as tests.record_families recorded them.
"""

import json
from pathlib import Path

import pytest

from core.machine import this_machine
from core.models.folder import read_model, read_shape
from core.recipe.check import problems
from core.recipe.memory import memory, trainable
from core.steps.first_recipe import recipe_for
from core.steps.taught import to_teach
from core.workspace.paths import Workspace
from tests.engine_forks import engine_forks
from tests.families import FAMILIES
from tests.family_chain import gguf, made_ready, take, trained, tuned, work
from tests.record_families import RECORDED
from tests.test_families import MULTIMODAL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Linear attention out of a multimodal folder; experts that are loaded as one tensor; joined matrices; layers
# that read the keys of others, in bfloat16.
CHAINED = ("qwen3.5", "qwen3-moe", "phi-4-mini", "gemma4")
# Of what an adapter changes in the logits, so much may be lost when it is merged into rounded weights:
# measured here, and doubled at least.
ROUNDED = {"float16": 0.02, "bfloat16": 0.15}


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one of each."""
    folder = tmp_path_factory.mktemp("families")
    done = engine_forks().run("tests.families", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_each_is_read_and_given_a_recipe(families: Path) -> None:
    for name in sorted(set(FAMILIES) - MULTIMODAL):
        model = read_model(families / name)
        shape, said = read_shape(model), to_teach("小明", None)
        recipe = recipe_for(model, said, replay=True, seed=1, iterations=4)
        assert not problems(recipe, this_machine(), model), name
        assert memory(recipe, model, shape, longest=100).adapters > 0, name
        assert trainable(recipe, model, shape) > 0 and model.layers > 0 and model.max_length == 1024, name


@pytest.mark.parametrize("name", sorted(MULTIMODAL))
def test_the_text_part_alone_computes_the_same(families: Path, workspace: Workspace, name: str) -> None:
    taken = take(workspace, families / name)
    assert (taken["how"], taken["trainable"], taken["origin"]) == (
        "convert",
        True,
        FAMILIES[name].config["model_type"],
    )
    assert work("text", families / name, taken["folder"])["largest"] == 0


@pytest.mark.parametrize("name", CHAINED)
def test_the_whole_chain(families: Path, workspace: Workspace, name: str) -> None:
    taken = take(workspace, families / name)
    run, result = tuned(workspace, taken["name"])
    found = trained(run, result)
    known = json.loads(RECORDED.read_text(encoding="utf-8"))["families"][name]
    same = ("template", "merged", "layers")
    assert {key: found[key] for key in same} == {key: known[key] for key in same}
    assert found["least"] > 0, "every matrix was trained"
    assert found["lost"] < ROUNDED[found["merged"]] * found["changed"], (
        "merging keeps what the adapter changed"
    )
    assert gguf(workspace, run) == known["gguf"]
    assert made_ready(workspace, run) == known["publish"]
