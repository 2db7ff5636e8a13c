"""The max length of a training for which nobody names one, and what cutting costs, said before a launch."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.data.conversations import Turn, write_rows
from core.machine import Gpu, Machine
from core.models.folder import Model, read_model
from core.recipe import max_length
from core.recipe.max_length import enough, lengthened
from core.recipe.memory import memory
from core.recipe.recipe import Recipe, from_yaml
from core.steps import first_recipe
from core.steps.first_recipe import recipe_for
from core.steps.taught import to_teach
from core.wording import percent
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json, make_data
from tests.known_answers import know_answers
from tests.page import no_errors, open_test_page
from tests.small_model import make_small_model
from tests.small_run import make_run
from tests.test_recipe_memory import LLAMA2_7B

MACHINE = Machine(cores=2, memory=64 << 30, bf16=False, gpus=())
RECIPE = Recipe(model="m", data="d", device="cpu", precision="fp32", iterations=100)


@dataclass(frozen=True)
class Rows:
    """Rows of one length each, all of them answers."""

    tokens: tuple[int, ...]

    @property
    def longest(self) -> int:
        return max(self.tokens)

    def kept(self, length: int) -> float:
        return sum(min(one, length) for one in self.tokens) / sum(self.tokens)

    def mean(self, length: int) -> float:
        return sum(min(one, length) for one in self.tokens) / len(self.tokens)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return read_model(make_small_model(tmp_path_factory.mktemp("m") / "m", max_length=6000))


@pytest.mark.parametrize(
    ("tokens", "positions", "expected"),
    [
        ((30, 60), 6000, 512),
        ((512, 512), 6000, 512),
        ((30, 60), 128, 128),
        ((600,) * 9, 6000, 1024),
        ((2000,) * 9, 6000, 2048),
        ((*(100,) * 999, 5000), 6000, 4096),
        ((*(100,) * 9999, 5000), 6000, 512),
        ((5000, 5000), 6000, 6000),
        ((9000, 9000), 6000, 6000),
        ((9000, 9000), 4096, 4096),
        ((9000, 9000), 700, 700),
        ((9000, 9000), 0, 16384),
    ],
)
def test_the_smallest_step_that_keeps_enough(
    tokens: tuple[int, ...], positions: int, expected: int, small: Model
) -> None:
    model, rows = replace(small, max_length=positions), Rows(tokens)
    found = lengthened(RECIPE, model, MACHINE, rows)
    assert found.max_length == expected == enough(model, rows)
    assert found == RECIPE.changed(max_length=expected), "there is room: nothing else changes"


class Behind(Rows):
    """Answers that stand behind a long question."""

    def kept(self, length: int) -> float:
        return float(length >= self.longest)


def test_a_length_that_gains_nothing_is_not_paid_for(small: Model) -> None:
    model = replace(small, max_length=4096)
    assert lengthened(RECIPE, model, MACHINE, Behind((9000,))).max_length == 512
    assert lengthened(RECIPE, model, MACHINE, Behind((4000,))).max_length == 4096


def test_a_card_takes_a_smaller_batch_and_then_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = LLAMA2_7B
    monkeypatch.setattr(max_length, "read_shape", lambda _: shape)
    recipe = RECIPE.changed(device="cuda", precision="bf16", accelerate="on", cuda_graph="off")
    rows = Rows((4000,) * 9)

    def on(size: int) -> Recipe:
        gpus = (Gpu(0, "card", size << 30, size << 30),)
        return lengthened(recipe, model, replace(MACHINE, gpus=gpus), rows)

    large, middle, least = on(141), on(24), on(12)
    assert (large.max_length, large.batch_size) == (4096, 4)
    assert middle.max_length > 512 and middle.quantization == "none"
    assert middle.batch_size * middle.gradient_accumulation_steps == 4
    assert (middle.iterations or 0) * middle.batch_size == 400, "as many rows as before"
    assert memory(middle, model, shape, 4000).total <= 24 << 30
    assert least == recipe, "what does not fit at 512 is said elsewhere, and not made longer"


def test_a_processor_has_one_night(small: Model) -> None:
    model, rows = replace(small, parameters=135_000_000), Rows((4000,) * 9)
    short, long = RECIPE.changed(iterations=20), RECIPE.changed(iterations=2000)
    assert lengthened(short, model, MACHINE, rows).max_length == 4096
    assert lengthened(long, model, MACHINE, rows).max_length == 512
    assert lengthened(long, model, replace(MACHINE, cores=64), rows).max_length == 4096
    assert lengthened(long, model, MACHINE, rows, share=0.1).max_length > 512, "others are short"


def test_the_identity_keeps_its_length(small: Model) -> None:
    recipe = recipe_for(small, to_teach("Zoë", None), replay=True, seed=1, iterations=None)
    assert (recipe.max_length, recipe.batch_size, recipe.iterations) == (512, 4, 420)


@pytest.mark.parametrize(
    ("parameters", "iterations", "chosen"), [(0, None, "none"), (7 * 10**9, 9000, "layers")]
)
def test_a_run_is_compiled_where_that_is_worth_it(
    small: Model, monkeypatch: pytest.MonkeyPatch, parameters: int, iterations: int | None, chosen: str
) -> None:
    card = Gpu(0, "card", 141 << 30, 141 << 30)
    monkeypatch.setattr(first_recipe, "this_machine", lambda: replace(MACHINE, gpus=(card,)))
    model = replace(small, parameters=parameters or small.parameters)
    recipe = recipe_for(model, to_teach("Zoë", None), replay=True, seed=1, iterations=iterations)
    assert (recipe.device, recipe.accelerate, recipe.compile) == ("cuda", "on", chosen)


def test_a_processor_s_memory_is_not_its_own(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model, shape = LLAMA2_7B
    monkeypatch.setattr(max_length, "read_shape", lambda _: shape)
    rows, machine = Rows((4000,) * 9), replace(MACHINE, cores=10**6)
    needed = memory(RECIPE.changed(max_length=4096), model, shape, 4000).total
    for size, batch in ((needed * 2, 4), (needed + 1, 2)):
        found = lengthened(RECIPE, model, replace(machine, memory=size), rows)
        assert (found.max_length, found.batch_size) == (4096, batch)


@pytest.mark.parametrize(
    ("share", "said"),
    [(0.0, "0.0%"), (0.0001, "0.1%"), (0.5912, "59.1%"), (0.99996, "99.9%"), (1.0, "100.0%")],
)
def test_a_little_is_not_nothing(share: float, said: str) -> None:
    assert percent(share) == said


# --- the command line ---


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    """Ten conversations of some 1,500 tokens in many turns, and ten short ones."""
    many = tuple(Turn(f"question {n} of many", f"the answer to number {n} " * 6) for n in range(24))
    path = tmp_path / "turns.jsonl"
    write_rows(path, [*(many for _ in range(10)), *((Turn(f"q{n}", f"a{n}"),) for n in range(10))])
    return path


@pytest.fixture
def long(tmp_path: Path, workspace: Workspace) -> Path:
    folder = make_small_model(tmp_path / "long m", max_length=8192)
    know_answers(workspace, folder)
    return folder


def test_a_file_of_many_turns_gets_the_length_that_it_needs(
    turns: Path, long: Path, workspace: Workspace
) -> None:
    options = ("--model", long, "--workspace", workspace.root, "--json")
    done = cli("data", "--name", "Zoë", "--data", turns, *options, cwd=workspace.root)
    about = last_json(done)
    recipe = from_yaml(workspace.run(about["run"]).recipe)
    assert recipe.max_length == about["max_length"] == 2048
    assert about["truncated_rows"] == about["answer_tokens_lost"] == 0
    assert "up to 2048 tokens are trained" in done.stderr
    checked = last_json(cli("data", "check", turns, *options, cwd=workspace.root))
    assert (checked["max_length"], checked["truncated_rows"]) == (2048, 0)


def test_what_is_cut_is_said_before_the_launch(turns: Path, long: Path, workspace: Workspace) -> None:
    options = ("--model", long, "--workspace", workspace.root, "--max-length", "512", "--json")
    done = cli("data", "--name", "Zoë", "--data", turns, *options, cwd=workspace.root)
    about = last_json(done)
    assert from_yaml(workspace.run(about["run"]).recipe).max_length == 512
    share = about["answer_tokens_lost"] / about["answer_tokens"]
    assert "10 of 20 conversations are longer than 512 tokens and lose their end" in done.stderr
    assert "With --max-length 2048, 100.0% of the answer tokens would be trained on" in done.stderr
    assert about["truncated_rows"] > 0 and share > 0.3
    checked = last_json(cli("data", "check", turns, *options, cwd=workspace.root))
    assert (checked["max_length"], checked["truncated_rows"]) == (512, 10)
    lost = checked["answer_tokens_lost"] / checked["answer_tokens"]
    assert f"{lost:.1%} of the answer tokens will not be trained on" in done.stderr


def test_a_model_of_few_positions_is_not_asked_for_more(
    turns: Path, workspace: Workspace, model: Path
) -> None:
    options = ("--model", model, "--workspace", workspace.root)
    done = cli("data", "--name", "Zoë", "--data", turns, *options, "--json", cwd=workspace.root)
    assert last_json(done)["max_length"] == 512
    assert "longer than 512 tokens" in done.stderr and "--max-length" not in done.stderr
    refused = cli("data", "--name", "Zoë", "--max-length", "1024", *options, cwd=workspace.root)
    assert refused.returncode == 2 and "512" in refused.stderr


def test_short_rows_say_nothing_of_it(workspace: Workspace, model: Path) -> None:
    options = ("--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", "--name", "Zoë", *options, cwd=workspace.root)
    assert "512" not in done.stderr and last_json(done)["answer_tokens_lost"] == 0
    small = make_data(workspace, model, "--name", "Zoë", "--max-length", "24")
    assert small["max_length"] == 24 and small["answer_tokens_lost"] > 0


# --- the page ---


def test_the_launch_on_the_page_warns(page_workspace: Workspace) -> None:
    run: RunPaths = make_run(page_workspace, max_length=40)
    for name in ("train", "config"):
        page = open_test_page(name, run.id)
        assert no_errors(page), name
        assert any("longer than 40 tokens" in warning.value for warning in page.warning), name
    whole = make_run(page_workspace)
    warned = open_test_page("train", whole.id).warning
    assert not [warning.value for warning in warned if "longer than" in warning.value]
    assert json.loads(run.data.read_text(encoding="utf-8"))["answer_tokens_lost"] > 0
