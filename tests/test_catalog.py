"""The list of models: its numbers are whole, its sentences are there, and it says honestly what fits."""

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from core.cli import results
from core.errors import NoSuchModel
from core.jobs.status import State
from core.machine import Gpu, Machine
from core.model_store import choosing
from core.model_store.choosing import offer, recommended, shape_of
from core.models.catalog import Entry, catalog, differences, find, read
from core.models.families import CONVERTED, refusal
from core.models.folder import find_model, read_model, read_shape
from core.models.hubs import source_of
from core.pace import whole
from core.pipeline import saying, took, tune_request
from core.pipeline.took import offers
from core.pipeline.tune_request import TuneRequest
from core.recipe.memory import memory
from core.steps import expected, first_recipe, fit
from core.steps.expected import Known, usual_pace
from core.wording import say
from core.workspace.files import write_json
from core.workspace.import_paths import importing
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.small_model import make_small_model
from tests.small_run import end_training, make_run, make_workspace

ENTRIES = catalog().models
GB = 2**30
OF_ITS_TYPE = {"architectures", "model_type"}


def card(size: int) -> Machine:
    return Machine(8, 64 * GB, bf16=True, gpus=(Gpu(0, "A card", size * GB, size * GB),))


def processor(cores: int, size: int) -> Machine:
    return Machine(cores, size * GB, bf16=True, gpus=())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区" / "a b")


def on(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    """This is the machine, with a disk that is never full."""
    for module in (expected, first_recipe, fit):
        monkeypatch.setattr(module, "this_machine", lambda: machine)
    monkeypatch.setattr(choosing.shutil, "disk_usage", lambda _: type("Disk", (), {"free": 10**13}))


def named(name: str) -> Entry:
    return next(entry for entry in ENTRIES if entry.name == name)


# --- the list ---


def test_the_list_is_whole() -> None:
    assert date.fromisoformat(catalog().date)
    names = [name for entry in ENTRIES for name in {entry.name, entry.huggingface, entry.title}]
    assert len(names) == len(set(names)) and 12 <= len(ENTRIES) <= 20
    assert ENTRIES[0].name == "starter"
    assert all(entry.well and {*entry.well} <= {*entry.languages} for entry in ENTRIES)
    assert list(ENTRIES) == sorted(ENTRIES, key=lambda entry: entry.parameters)
    with pytest.raises(ValueError, match="Unexpected"):
        read(json.dumps({"date": "2026-01-01", "models": [{"more": 1}]}).encode())


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_numbers_of_a_model_belong_together(entry: Entry) -> None:
    """Its weights are those of its layers, the embeddings once or twice, and little else; its files hold them
    in two bytes."""
    layers = sum(rows * columns for rows, columns in shape_of(entry).linear.values())
    rest = (entry.parameters - layers) / (entry.vocabulary * entry.hidden)
    assert min(abs(rest - 1), abs(rest - 2)) < 0.02
    assert entry.size == 2 * entry.parameters
    assert entry.gated or entry.licence is None or entry.licence in {"apache-2.0", "mit", "other"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_model_of_the_list_can_be_trained(entry: Entry) -> None:
    config = {"model_type": entry.model_type, "architectures": [entry.architecture]}
    own_code = {"auto_map": {}} if entry.model_type in {*CONVERTED, "phi3"} else {}
    assert not refusal({**config, **own_code})


@pytest.mark.slow
def test_the_list_is_what_transformers_makes_of_its_numbers() -> None:
    """Every model of the list, made without its weights: as many, in layers of the same names and sizes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    twice = {"qwen3-0.6b", "qwen3-1.7b"}  # their files hold the last layer beside the embeddings it shares
    for entry in ENTRIES:
        model, kind = choosing.model_of(entry, Path()), choosing.model_of(entry, Path()).model_type
        layers = sum(rows * columns for rows, columns in shape_of(entry).linear.values())
        embeddings = entry.vocabulary * entry.hidden
        tied = entry.name in twice or (entry.parameters - layers) < 1.5 * embeddings
        config = AutoConfig.for_model(
            kind,
            **{
                name: listed
                for name, (listed, _) in differences(entry, {}).items()
                if name not in OF_ITS_TYPE
            },
            tie_word_embeddings=tied,
            attention_bias=entry.model_type == "internlm",
            pad_token_id=0,
        )
        with torch.device("meta"):
            made = AutoModelForCausalLM.from_config(config)
        assert type(made).__name__ == model.architecture
        weights = dict(made.named_parameters())
        counted = sum(weight.numel() for weight in weights.values())
        assert counted + (embeddings if entry.name in twice else 0) == entry.parameters, entry.name
        linear = {name: tuple(w.shape) for name, w in weights.items() if w.dim() == 2 and ".layers." in name}
        assert linear == dict(shape_of(entry).linear), entry.name


def test_what_it_is_called() -> None:
    qwen = named("qwen2.5-0.5b")
    assert find("Qwen2.5-0.5B ") is qwen is find("qwen/qwen2.5-0.5b-instruct")
    assert find("Shanghai_AI_Laboratory/internlm-chat-7b") is named("internlm-7b")
    assert find(None) is find("") is find("starter") is find("qwen") is None
    assert qwen.title == "Qwen2.5-0.5B-Instruct" and named("starter").title == "starter"


def test_modelscope_comes_first_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    llama = named("llama-3.2-1b")
    here, there = (
        "huggingface:meta-llama/Llama-3.2-1B-Instruct",
        "modelscope:LLM-Research/Llama-3.2-1B-Instruct",
    )
    assert [str(one) for one in llama.sources("en")] == [here, there]
    assert [str(one) for one in llama.sources("zh")] == [there, here]
    assert [str(one) for one in llama.sources("zh", "huggingface")] == [here]
    assert all(source_of(one.name, one.hub) == one for one in llama.sources("en"))
    monkeypatch.setenv("HF_ENDPOINT", "https://a-mirror.example")  # somebody's own choice
    assert [str(one) for one in llama.sources("zh")] == [here, there]
    assert llama.is_from(f"{there}@v1") and not llama.is_from("modelscope:LLM-Research/Llama-3.2-3B-Instruct")


def test_a_config_that_is_not_as_listed() -> None:
    entry = named("qwen3-0.6b")
    as_listed = {name: listed for name, (listed, _) in differences(entry, {}).items()}
    config = {**as_listed, "architectures": [entry.architecture]}
    assert not differences(entry, config)
    assert differences(entry, {**config, "num_hidden_layers": 27}) == {"num_hidden_layers": (28, 27)}
    no_heads = {name: value for name, value in config.items() if name != "head_dim"}
    assert differences(entry, no_heads) == {"head_dim": (128, 64)}


# --- what fits ---


def test_a_model_takes_here_what_it_will_take_when_it_is_there(tmp_path: Path) -> None:
    """The numbers of the list come to the very shape and memory that the folder's own files come to."""
    model = read_model(make_small_model(tmp_path / "m"))
    config = json.loads((model.folder / "config.json").read_text())
    numbers = {name: there for name, (_, there) in differences(ENTRIES[0], config).items()}
    entry = replace(
        ENTRIES[0],
        layers=numbers["num_hidden_layers"],
        hidden=numbers["hidden_size"],
        intermediate=numbers["intermediate_size"],
        heads=numbers["num_attention_heads"],
        kv_heads=numbers["num_key_value_heads"],
        head_dim=numbers["head_dim"],
        vocabulary=numbers["vocab_size"],
        parameters=model.parameters,
    )
    assert shape_of(entry) == read_shape(model)
    listed = choosing.model_of(entry, model.folder)
    recipe = first_recipe.usual_recipe(model)
    assert memory(recipe, listed, shape_of(entry), 100) == memory(recipe, model, read_shape(model), 100)


@pytest.mark.parametrize(
    ("machine", "name", "says"),
    [
        (processor(2, 16), "starter", r"fits this machine: processor, about \d minutes, 2\.\d GB of memory"),
        (
            processor(16, 64),
            "qwen2.5-1.5b",
            r"fits this machine: processor, about \d+ minutes, 7\.\d GB of memory",
        ),
        (processor(2, 4), "qwen3-8b", "does not fit this machine: it needs"),
        (card(80), "qwen2.5-7b", "fits this GPU: LoRA, "),
        (card(12), "qwen2.5-7b", "fits this GPU: QLoRA, "),
        (card(4), "qwen2.5-7b", "does not fit this GPU: even with QLoRA it needs"),
    ],
)
def test_it_says_whether_a_model_fits(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, machine: Machine, name: str, says: str
) -> None:
    on(monkeypatch, machine)
    (found,) = (one for one in offers(workspace) if one.entry.name == name)
    assert re.match(says, found.says), found.says
    assert found.fits == (found.memory <= found.room) == says.startswith("fits")
    assert found.as_json()["says"] == found.says


@pytest.mark.parametrize(
    ("machine", "quantization", "fits"),
    [(card(80), "none", True), (card(12), "nf4", True), (card(4), "none", False)],
)
def test_what_is_promised_is_what_a_run_is_made_with(
    workspace: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    quantization: str,
    fits: bool,
) -> None:
    """A card too small for the whole model gets it quantized, without anybody asking; of one that is far too
    small the run's own failure will tell."""
    on(monkeypatch, machine)
    qwen = named("qwen2.5-7b")
    small = read_model(make_small_model(tmp_path / "m"))
    model = replace(small, parameters=qwen.parameters, layers=qwen.layers, model_type="qwen2")
    monkeypatch.setattr(tune_request, "read_shape", lambda _: shape_of(qwen))
    asked = TuneRequest("Ada Lovelace")
    recipe = tune_request.recipe_asked_for(asked, tune_request.taught(asked), model)
    promised = offer(workspace, qwen, None, {})
    assert (recipe.quantization, promised.fits) == (quantization, fits)
    assert promised.quantization == (recipe.quantization if fits else "nf4")
    rows = recipe.batch_size * recipe.gradient_accumulation_steps
    assert rows == first_recipe.usual_recipe(model).batch_size
    heard: list[str] = []
    saying.say_fit(
        recipe, type("Heard", (), {"say": lambda _, key, **values: heard.append(say(key, **values))})()
    )
    assert len(heard) == (quantization == "nf4")


def test_a_full_disk_is_said(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, card(80))
    monkeypatch.setattr(choosing.shutil, "disk_usage", lambda _: type("Disk", (), {"free": 20 * 10**9}))
    large, small = (offer(workspace, named(name), None, {}) for name in ("qwen2.5-7b", "qwen3-0.6b"))
    assert (large.obstacle, small.obstacle) == ("disk", "")
    assert large.says == "the disk is too full: 32.0 GB must be free"
    assert offer(workspace, named("qwen2.5-7b"), "it-is-here", {}).obstacle == ""  # nothing to fetch


@pytest.mark.parametrize(
    ("machine", "chinese"),
    [
        (processor(2, 4), "qwen2.5-0.5b"),
        (processor(16, 64), "qwen2.5-7b"),
        (card(6), "qwen3-4b"),
        (card(24), "qwen2.5-7b"),
        (processor(1, 1), None),
    ],
)
def test_which_to_take(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, machine: Machine, chinese: str | None
) -> None:
    on(monkeypatch, machine)
    found = recommended(offers(workspace), "zh")
    assert (found.entry.name if found else None) == chinese


def test_times_follow_what_was_measured_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a run that was trained here, by a model large enough; a tiny one says nothing about others."""
    workspace = make_workspace(tmp_path)
    first = {one.entry.name: one.costs for one in offers(workspace)}
    run = make_run(workspace)
    assert end_training(run, FAKE_XTUNER_SECONDS="0.02").state is State.finished
    still = {one.entry.name: one.costs for one in offers(workspace)}
    assert {name for name in first if still[name] != first[name]} == {"starter"}
    # The starter of this workspace is the tiny one itself.
    monkeypatch.setattr(expected, "TELLING", {"cpu": 0, "cuda": 0})
    (measured,) = Known.of(workspace).jobs
    now = {one.entry.name: one.costs for one in offers(workspace)}
    for entry in ENTRIES:
        if entry.name != "starter":
            before, after = first[entry.name], now[entry.name]
            faster = measured.pace / usual_pace("train", "cpu")
            assert after["train"].work * faster == pytest.approx(before["train"].work)
            others = {name: cost for name, cost in after.items() if name != "train"}
            assert others == {name: cost for name, cost in before.items() if name != "train"}


def test_times_are_of_what_is_asked_for_on_a_machine_left_alone(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file has rows to learn and questions to answer, a model has to be fetched. What others do at this
    moment is said beside it (core.steps.busy), and is in no number."""
    file = tmp_path / "menu.md"
    items = "\n".join(f"- Dish {n}: {n} dollars" for n in range(1, 200))
    file.write_text(f"# Menu\n\n{items}\n", encoding="utf-8")
    (plain,) = (one for one in offers(workspace) if one.entry.name == "qwen2.5-0.5b")
    asked = replace(took.ANYBODY, data=file)
    (taught,) = (one for one in offers(workspace, asked) if one.entry.name == "qwen2.5-0.5b")
    assert taught.costs["train"].work > 1.5 * plain.costs["train"].work
    assert taught.costs["ask"].work > plain.costs["ask"].work
    assert taught.seconds == whole(took.costs_of(workspace, replace(asked, model="qwen2.5-0.5b")))
    assert taught.seconds > taught.making + 60
    monkeypatch.setattr("core.machine.NEIGHBOURS.cores", lambda *_: 1.9)
    (busy,) = (one for one in offers(workspace, asked) if one.entry.name == "qwen2.5-0.5b")
    assert busy.seconds == taught.seconds


def test_what_is_here_already(workspace: Workspace) -> None:
    """By its name, or by where it was imported from."""
    assert {one.here for one in offers(workspace)} == {None}
    make_small_model(workspace.starter)
    make_small_model(workspace.model("Qwen3-0.6B"))
    mine = make_small_model(workspace.model("my one"))
    origin = importing(workspace, "my one").origin
    origin.parent.mkdir()
    write_json(origin, {"source": "modelscope:Qwen/Qwen2.5-0.5B-Instruct@master", "revision": "r"})
    here = {one.entry.name: one.here for one in offers(workspace) if one.here}
    assert here == {"starter": "starter", "qwen3-0.6b": "qwen3-0-6b", "qwen2.5-0.5b": mine.name}
    assert find_model(workspace, "qwen3-0.6b") == find_model(workspace, "Qwen/Qwen3-0.6B")
    with pytest.raises(NoSuchModel, match="on the list of models, but not on this machine"):
        find_model(workspace, "qwen3-8b")
    with pytest.raises(NoSuchModel, match=r"did you mean .*qwen3-1\.7b"):
        find_model(workspace, "qwen3-1.7")


# --- the command ---


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_command(tmp_path: Path, language: str) -> None:
    make_small_model(tmp_path / "w" / "models" / "qwen3-0-6b")
    done = cli("models", "catalog", "--workspace", "w", cwd=tmp_path, TUNEBOARD_LANG=language)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sum(entry.name in line for entry in ENTRIES for line in lines) >= len(ENTRIES)
    word = {"en": "on this machine", "zh": "本机已有"}[language]
    assert ["qwen3-0.6b" in line for line in lines if word in line] == [True]
    found: dict[str, Any] = last_json(
        cli("models", "catalog", "--workspace", "w", "--json", cwd=tmp_path, TUNEBOARD_LANG=language)
    )
    assert found["date"] == catalog().date and {*found["recommended"]} == {"en", "zh"}
    assert [one["name"] for one in found["models"]] == [entry.name for entry in ENTRIES]


def test_the_command_shows_what_does_not_fit(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    on(monkeypatch, processor(2, 4))
    found = offers(workspace)
    advice = {"en": None, "zh": "qwen2.5-0.5b"}
    shown = {"date": "2026-01-01", "models": [one.as_json() for one in found], "recommended": advice}
    results.show("models catalog", shown)
    said = capsys.readouterr().out
    assert "  ✗ does not fit this machine" in said and "  ✓ fits this machine" in said
    assert said.count("→") == 1
