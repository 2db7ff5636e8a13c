"""What is compiled while a model is loaded is what its training would compile: torch finds all of it."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import ConfigDict

from core.engine.fast.settings import Acceleration
from core.engine.fast.work import Work, compile_ahead
from core.jobs.job import JobPaths
from core.paths import PROJECT, Workspace
from tests.small_model import make_small_model
from tests.test_engine_fast_real import ITERATIONS, with_acceleration
from tests.test_engine_train import prepared, trained

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

# A step of the whole model, and what torch says of its caches.
TRAIN = """
import json, sys, torch
from torch._dynamo.utils import counters
from transformers import AutoModelForCausalLM
from peft import LoraConfig, get_peft_model
from core.engine.fast.batches import collate
from core.engine.fast.decoder import Decoder
from core.engine.fast.work import Work

work = Work.read(sys.argv[1])
base = AutoModelForCausalLM.from_pretrained(work.model, dtype=getattr(torch, work.dtype))
lora = LoraConfig(r=work.rank, target_modules=list(work.targets))
model = get_peft_model(base.requires_grad_(False), lora).train().get_base_model()
decoder = Decoder(model, work.acceleration)
rows = [{"input_ids": [7] * work.length, "labels": [7] * work.length}] * work.rows
decoder.loss(collate(rows, work.length, work.acceleration.padding_free)["data"]["batch"]).backward()
print(json.dumps({name: dict(found) for name, found in counters.items()}))
"""
ALL = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def work(model: Path, **settings: Any) -> Work:
    return Work(
        model=str(model),
        dtype="float32",
        nf4=False,
        rank=4,
        dropout=0.0,
        targets=ALL,
        rows=3,
        length=64,
        packed=True,
        distill=False,
        acceleration=Acceleration(compile="layers", **settings),
    )


def run(cache: Path, *arguments: str) -> str:
    environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(cache), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("again", [0, 1])
def test_the_training_compiles_nothing_again(tmp_path: Path, again: int) -> None:
    """Rows that fill their batch; those of any length are computed row by row on a processor, each compiled
    for itself, and need a GPU to be tried."""
    model = make_small_model(tmp_path / "模 型")
    wanted = json.dumps(asdict(work(model, padding_free=False, checkpointed_layers=again)))
    run(tmp_path / "cache", "-m", "core.engine", "compile", wanted)
    said = json.loads(run(tmp_path / "cache", "-c", TRAIN, wanted).splitlines()[-1])
    assert said["aot_autograd"].get("autograd_cache_hit", 0) >= 2
    assert "autograd_cache_miss" not in said["aot_autograd"]
    assert "fxgraph_cache_miss" not in said["inductor"]


def test_a_training_waits_for_it(workspace: Workspace, model: Path) -> None:
    """From the config that a recipe makes, under the real XTuner; the curve stays the plain one."""
    plain = trained(prepared(workspace, model, *ITERATIONS, "--no-replay"))
    compiled = with_acceleration(prepared(workspace, model, *ITERATIONS, "--no-replay"), compile="kernels")
    fast = trained(compiled)
    assert [loss for _, loss in fast] == pytest.approx([loss for _, loss in plain], rel=2e-3)
    said = JobPaths(compiled.job("train")).log.read_text(encoding="utf-8")
    assert "Nothing was compiled ahead" not in said and "does not know" not in said


def test_only_where_something_is_compiled_and_known() -> None:
    assert compile_ahead(ConfigDict(acceleration={"compile": "none"})) is None
    assert compile_ahead(ConfigDict(acceleration={"compile": "layers"})) is None
