"""What is compiled while a model is loaded is what its training would compile: torch finds all of it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from transformers import AutoConfig, AutoModelForCausalLM

from core.engine.fast.ahead import LINEAR, make_layers
from core.engine.fast.layers import read_layers
from core.engine.fast.settings import Acceleration
from core.engine.fast.work import LayerToCompile, compile_ahead
from core.jobs.job import JobPaths
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.lora_models import KINDS, SHAPE, make
from tests.small_model import make_small_model
from tests.test_engine_fast_real import ITERATIONS, with_acceleration
from tests.test_engine_train import prepared, trained

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("default"),  # torch and transformers speak of their own future
]

# A step of the whole model, and what torch says of its caches.
TRAIN = """
import json, sys, torch
from torch._dynamo.utils import counters
from transformers import AutoConfig, AutoModelForCausalLM
from peft import LoraConfig, get_peft_model
from core.engine.fast.batches import collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.work import LayerToCompile

work = LayerToCompile.read(sys.argv[1])
config = AutoConfig.from_pretrained(work.model)
base = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, work.dtype))
layers = list(range(work.first, base.config.num_hidden_layers))
lora = LoraConfig(
    r=work.rank, lora_alpha=work.alpha, target_modules=list(work.targets), layers_to_transform=layers
)
model = get_peft_model(base.requires_grad_(False), lora).train().get_base_model()
decoder = Decoder(model, work.acceleration)
rows = [{"input_ids": [7] * work.length, "labels": [7] * work.length}] * work.rows
decoder.loss(collate(rows, work.length, work.acceleration.padding_free)["data"]["batch"]).backward()
print(json.dumps({name: dict(found) for name, found in counters.items()}))
"""


def work(model: Path, **settings: Any) -> LayerToCompile:
    return LayerToCompile(
        model=str(model),
        dtype="float32",
        nf4=False,
        rank=4,
        alpha=16,
        dropout=0.0,
        targets=LINEAR,
        first=1,
        rows=3,
        length=64,
        packed=True,
        distill=False,
        acceleration=Acceleration(compile="layers", **settings),
    )


@pytest.mark.parametrize("packed", [False, True])
def test_what_the_base_says_is_laid_out_as_in_training(model: Path, packed: bool) -> None:
    """Packed rows have it not: several conversations lie in one."""
    from core.engine.fast.ahead import _laid_out

    told = replace(work(model), distill=True, packed=packed, likeliest=0 if packed else 20)
    batch = _laid_out(told)
    shape = None if batch.likeliest is None else batch.likeliest.shape
    assert shape == (None if packed else (len(batch.ids), 20))


def deeper(folder: Path) -> Path:
    """Four layers, of which only the first two have weights: those of a layer like all others are enough."""
    make_small_model(folder, num_hidden_layers=4)
    return folder


def run(cache: Path, *arguments: str) -> str:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_the_training_compiles_nothing_again(tmp_path: Path) -> None:
    """Rows that fill their batch; those of any length are computed row by row on a processor, each compiled
    for itself, and need a GPU to be tried. Four layers: one without LoRA, one computed again, two kept."""
    wanted = json.dumps(asdict(work(deeper(tmp_path / "模 型"), padding_free=False, checkpointed_layers=2)))
    run(tmp_path / "cache", "-m", "core.engine", "compile", wanted)
    said = json.loads(run(tmp_path / "cache", "-c", TRAIN, wanted).splitlines()[-1])
    assert said["aot_autograd"]["autograd_cache_hit"] == len(("loss", "without LoRA", "again", "kept"))
    assert not {"autograd_cache_miss", "autograd_cache_bypass"} & set(said["aot_autograd"])
    assert "fxgraph_cache_miss" not in said["inductor"]


@pytest.mark.parametrize(
    ("first", "again", "few", "of_those"),
    [(0, 0, 1, 0), (0, 9, 1, 9), (0, 3, 2, 1), (1, 1, 2, 0), (1, 3, 3, 2), (1, 9, 2, 9)],
)
def test_a_layer_of_each_kind(tmp_path: Path, first: int, again: int, few: int, of_those: int) -> None:
    """Of four layers: how many stand for them, and up to which one they are computed again."""
    wanted = replace(work(deeper(tmp_path / "m"), checkpointed_layers=again), first=first)
    layers, settings = make_layers(wanted, "cpu")
    assert (len(layers), settings.checkpointed_layers) == (few, of_those)
    assert [bool(layer.qkv.adapted) for layer in layers] == [False] * first + [True] * (few - first)


@pytest.mark.parametrize(("kind", "shape"), KINDS)
def test_the_stand_in_is_like_the_model(tmp_path: Path, kind: str, shape: dict[str, Any]) -> None:
    """Every number, and every tensor's kind, in a layer with LoRA and in one without."""
    config = AutoConfig.for_model(kind, **{**SHAPE, **shape})
    AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(tmp_path)
    found, _ = make_layers(replace(work(tmp_path), dtype="bfloat16"), "cpu")
    lora = {"r": 4, "lora_alpha": 16, "layers_to_transform": [1, 2]}
    real = read_layers(make(kind, lora, dtype=torch.bfloat16, **shape).get_base_model())
    assert [described(layer) for layer in found] == [described(layer) for layer in real[:2]]


def described(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return (type(value), value.shape, value.stride(), value.dtype, value.requires_grad)
    return [described(part) for part in value] if isinstance(value, tuple) else value


def test_one_attention_is_not_taken_for_another(tmp_path: Path) -> None:
    model = deeper(tmp_path / "m")
    by_flash = json.dumps(asdict(work(model, padding_free=False)))
    by_cudnn = json.dumps(asdict(work(model, padding_free=False, attention="cudnn")))
    run(tmp_path / "cache", "-m", "core.engine", "compile", by_flash)
    said = json.loads(run(tmp_path / "cache", "-c", TRAIN, by_cudnn).splitlines()[-1])
    assert "autograd_cache_hit" not in said["aot_autograd"]


def test_a_training_waits_for_it_and_finds_it(
    workspace: Workspace, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the config that a recipe makes, under the real XTuner; the curve stays the plain one."""
    cache = tmp_path / "compiled"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(cache))
    plain = trained(packed(prepared(workspace, model, *ITERATIONS, "--no-replay")))
    compiled = packed(prepared(workspace, model, *ITERATIONS, "--no-replay"))
    with_acceleration(compiled, compile="layers", padding_free=False)
    wanted = LayerToCompile.of(Config.fromfile(compiled.config))
    run(cache, "-m", "core.engine", "compile", json.dumps(asdict(wanted)))
    before = entries(cache)
    fast = trained(compiled)
    assert [loss for _, loss in fast] == pytest.approx([loss for _, loss in plain], rel=2e-3)
    said = JobPaths(compiled.job("train")).log.read_text(encoding="utf-8")
    assert "Compiled ahead." in said and "does not know" not in said
    assert before and entries(cache) == before


def packed(run: RunPaths) -> RunPaths:
    """Every batch of one shape: one row, and that is full."""
    config = run.config.read_text(encoding="utf-8")
    for name, other in {"pack_to_max_length": True, "max_length": 64, "batch_size": 1}.items():
        config, count = re.subn(rf"(?m)^{name} = \w+", f"{name} = {other}", config)
        assert count == 1
    run.config.write_text(config, encoding="utf-8")
    return run


def entries(cache: Path) -> set[str]:
    """What torch keeps of graphs, by their keys."""
    return {path.name for path in (cache / "aotautograd").iterdir()}


def test_layers_of_another_family_are_compiled_at_the_first_step(tmp_path: Path) -> None:
    """What compiles ahead would make Llama's of them, and the training would compile its own beside it."""
    made = work(make_small_model(tmp_path / "llama"))
    other = work(make_small_model(tmp_path / "glm", architectures=["Glm4ForCausalLM"]))
    assert made.is_like_llama and not other.is_like_llama


def test_only_where_something_is_compiled_and_known() -> None:
    assert compile_ahead(ConfigDict(acceleration={"compile": "none"})) is None
    assert compile_ahead(ConfigDict(acceleration={"compile": "layers"})) is None
