"""No program in a model's folder is run, by any tool: each is let loose on a folder full of them.

A program leaves a line in a file that the environment names, which only that program could write.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.chat import server as chat_server
from core.chat.history import ChatMessage, SamplingParams
from core.chat.reply import reply
from core.jobs.job import JobSpec
from core.models.folder import read_model
from core.steps import convert, merge, prepare, train
from core.steps.step import engine_job
from core.workspace.files import read_json, write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.command_line import make_data
from tests.conftest import end_leftovers
from tests.known_answers import know_answers
from tests.small_model import make_small_model
from tests.test_chat import loaded

# A promise of safety is tried on what a person starts.
pytestmark = [pytest.mark.slow, pytest.mark.real_start, pytest.mark.timeout(900)]
CANARY = "TEST_CANARY"
PROGRAM = f"""
import os
with open(os.environ["{CANARY}"], "a") as canary:
    canary.write(__file__ + " in " + open("/proc/self/cmdline").read().replace(chr(0), " ") + chr(10))
def generate(*args, model, **kwargs):
    return type(model).generate(model, *args, **kwargs)
class Anything:
    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        return cls()
    @classmethod
    def register_for_auto_class(cls, *args):
        pass
"""
# What each config may say of the class that reads it.
AUTO_MAP = {
    "config.json": dict.fromkeys(
        ("AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer"), "evil.Anything"
    ),
    "tokenizer_config.json": {"AutoTokenizer": ["evil.Anything", "evil.Anything"]},
    "generation_config.json": {"GenerationConfig": "evil.Anything"},
    "preprocessor_config.json": {"AutoImageProcessor": "evil.Anything", "AutoProcessor": "evil.Anything"},
    "processor_config.json": {"AutoProcessor": "evil.Anything"},
    "adapter_config.json": {},
}


def poison(folder: Path) -> Path:
    """Programs at every place where a library looks for one, and configs that ask for them."""
    for name in ("custom_generate/generate.py", "evil.py", "generate.py", "setup.py", "sitecustomize.py"):
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(PROGRAM, encoding="utf-8")
    for name, classes in AUTO_MAP.items():
        there = read_json(folder / name)
        if there is not None or name.startswith("p"):
            there = {**(there or {}), "trust_remote_code": True}
            write_json(folder / name, {**there, "auto_map": classes} if classes else there)
    return folder


class Poisoned:
    """A workspace whose model, run, adapter and merged model are full of programs, made tool by tool."""

    def __init__(self, root: Path) -> None:
        self.root, self.canary = root, root / "canary"
        self.workspace = Workspace(root / "工作 区")
        self.workspace.root.mkdir()
        self.model = poison(make_small_model(root / "模 型"))
        know_answers(self.workspace, self.model)
        made = make_data(self.workspace, self.model, "--name", "Zoë", "--iterations", "2")
        self.run: RunPaths = self.workspace.run(made["run"])

    def work(self, spec: JobSpec) -> None:
        done = subprocess.run(
            spec.command,
            cwd=spec.cwd,
            env={**os.environ, **spec.env, CANARY: str(self.canary), "CUDA_VISIBLE_DEVICES": ""},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]

    def request(self, name: str, **wanted: object) -> Path:
        file = self.root / name / "request.json"
        write_json(file, wanted)
        return file

    def answer(self) -> None:
        asked = {"question": "Who are you?", "tokens": 4}
        request = self.request(
            *("answer",), model=str(self.model), template="qwen_chat", precision="fp32", questions=[asked]
        )
        self.work(engine_job("answer", request, request.with_name("answers.json")))

    def train(self) -> None:
        recipe = prepare.recipe_of(self.run).changed(evaluate_every=1, evaluation_tokens=4)
        prepare.prepare(self.run, recipe, read_model(self.model), Path(recipe.data))
        assert "EvaluateChatHook" in self.run.config.read_text(encoding="utf-8")
        self.work(train.plan(self.run, recipe))

    def convert(self) -> None:
        self.work(convert.plan(self.run))
        poison(self.run.adapter)

    def merge(self) -> None:
        self.work(merge.plan(self.run))
        assert not list(self.run.merged.rglob("*.py"))
        poison(self.run.merged)

    def arrival(self) -> None:
        for what, folder in (("adapter", self.run.adapter), ("merged", self.run.merged)):
            request = self.request(
                f"arrival {what}",
                **{"what": what, "published": str(folder), "base": str(self.model)},
                **{"merged": str(self.run.merged), "template": "qwen_chat", "system": ""},
                **{"precision": "fp32", "questions": ["Who are you?"], "tokens": 4},
            )
            self.work(engine_job("arrival", request, request.with_name("answers.json")))

    def shard(self) -> None:
        (self.root / "sharded").mkdir()
        self.work(engine_job("shard", self.run.merged, self.root / "sharded", "1000000"))

    def gguf(self) -> None:
        (self.root / "gguf").mkdir()
        self.work(engine_job("gguf", self.run.merged, self.root / "gguf", "x", "qwen_chat", "f16"))

    def import_model(self) -> None:
        for how in ("copy", "link"):
            target = self.root / f"taken {how}"
            request = self.request(f"import {how}", source=str(self.model), target=str(target), how=how)
            self.work(engine_job("import_model", request))
            assert not list(target.rglob("*.py"))
            assert "auto_map" not in json.loads((target / "config.json").read_text(encoding="utf-8"))

    def serve(self) -> None:
        folder = poison(make_small_model(self.workspace.model("tiny")))
        for file in folder.glob("*processor_config.json"):
            file.unlink()  # a class that transformers does not know: it is said, and nothing is served
        before = dict(os.environ)
        os.environ |= {CANARY: str(self.canary), "CUDA_VISIBLE_DEVICES": ""}
        try:
            said = reply(
                loaded(self.workspace).socket,
                "",
                [ChatMessage("user", "one two")],
                SamplingParams(max_tokens=4),
            )
            assert "".join(said) is not None
            chat_server.unload(self.workspace)
        finally:
            os.environ.clear()
            os.environ.update(before)


# In this order: each works on what those before it made.
TOOLS: dict[str, Callable[[Poisoned], None]] = {
    "answer": Poisoned.answer,
    "train": Poisoned.train,
    "convert": Poisoned.convert,
    "merge": Poisoned.merge,
    "arrival": Poisoned.arrival,
    "shard": Poisoned.shard,
    "gguf": Poisoned.gguf,
    "import_model": Poisoned.import_model,
    "serve": Poisoned.serve,
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What programs of the folders ran, by the tool that ran them."""
    root = tmp_path_factory.mktemp("毒 药")
    poisoned, found = Poisoned(root), {}
    try:
        for name, tool in TOOLS.items():
            poisoned.canary.write_text("", encoding="utf-8")
            try:
                tool(poisoned)
            finally:
                found[name] = poisoned.canary.read_text(encoding="utf-8")
    finally:
        end_leftovers(root)
    return found


@pytest.mark.parametrize("tool", TOOLS)
def test_no_tool_runs_a_models_program(ran: dict[str, str], tool: str) -> None:
    assert ran[tool] == ""


def python(program: str, *arguments: str | Path, cwd: Path = PROJECT, stdin: str = "", **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "HF_HUB_OFFLINE": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


ASK_FOR_IT = """
import sys
import core.engine
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
for kind in (AutoConfig, AutoTokenizer, AutoModelForCausalLM):
    try:
        print("made", type(kind.from_pretrained(sys.argv[1], trust_remote_code=True)).__name__)
    except OSError as error:
        print("refused", error)
    except Exception as error:
        print("failed", error)
model = AutoModelForCausalLM.from_pretrained(sys.argv[2], trust_remote_code=True)
try:
    model.generate(custom_generate=sys.argv[2], trust_remote_code=True)
except OSError as error:
    print("refused", error)
"""


def test_not_even_when_it_is_asked_for(tmp_path: Path) -> None:
    """Somebody's own config.py may say ``trust_remote_code=True``."""
    poisoned = poison(make_small_model(tmp_path / "m"))
    other = make_small_model(tmp_path / "other")
    (other / "custom_generate").mkdir()
    (other / "custom_generate" / "generate.py").write_text(PROGRAM, encoding="utf-8")
    said = python(ASK_FOR_IT, poisoned, other, **{CANARY: str(tmp_path / "canary")}).splitlines()
    # A tokenizer.json is read as it stands: no class of the model's is even looked for.
    assert [line.partition(" ")[0] for line in said] == ["refused", "made", "refused", "refused"], said
    assert said[1] == "made Qwen2TokenizerFast"
    assert not (tmp_path / "canary").exists()


PICKLE = """
import os, pathlib, sys, torch
class Evil:
    def __reduce__(self): return (pathlib.Path.touch, (pathlib.Path(os.environ["TEST_CANARY"]),))
torch.save({"model.norm.weight": Evil()}, sys.argv[1])
"""
LOAD = """
import sys, core.engine, torch
for options in ({}, {"weights_only": False}, {"weights_only": None}):
    try:
        torch.load(sys.argv[1], **options)
    except Exception as error:
        print(type(error).__name__)
from transformers import AutoModelForCausalLM
try:
    AutoModelForCausalLM.from_pretrained(sys.argv[2])
except Exception as error:
    print(type(error).__name__)
"""


SAY = """
import sys, core.engine, torch
for file in sys.argv[1:]:
    try:
        torch.load(file, weights_only=True)
    except Exception as error:
        print(str(error).splitlines())
"""


def test_nobody_is_told_how_to_load_a_pickle_all_the_same(tmp_path: Path) -> None:
    evil, text = tmp_path / "evil.pth", tmp_path / "text.pth"
    python(PICKLE, evil, **{CANARY: str(tmp_path / "canary")})
    text.write_text('{"a": 1}')
    said = python(SAY, evil, text)
    assert "weights_only" not in said and "add_safe_globals" not in said and "trusted" not in said
    assert "WeightsUnpickler error: Unsupported global: GLOBAL " in said
    assert "WeightsUnpickler error: Unsupported operand 123" in said and said.count("\n") <= 2


def test_no_pickle_is_run_whoever_allows_it(tmp_path: Path) -> None:
    """Neither a library's ``weights_only=False`` nor a variable of the environment."""
    folder = make_small_model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    canary, file = tmp_path / "canary", folder / "pytorch_model.bin"
    python(PICKLE, file, **{CANARY: str(canary)})
    allowed = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "TRUST_REMOTE_CODE": "1", CANARY: str(canary)}
    assert python(LOAD, file, folder, **allowed).split() == ["UnpicklingError"] * 4
    assert not canary.exists()


RESUME = """
import sys, core.engine
from types import SimpleNamespace
from mmengine.runner import FlexibleRunner, Runner
found = {"meta": {"epoch": 0, "iter": 0, "config": sys.stdin.read()}}
loads = SimpleNamespace(resume=lambda *_, **__: found)
for kind in (Runner, FlexibleRunner):
    runner = SimpleNamespace(
        load_checkpoint=lambda *_, **__: found, strategy=loads, train_loop=SimpleNamespace(), world_size=1
    )
    try:
        kind.resume(runner, "evil.pth", map_location="cpu")
    except (AttributeError, KeyError):
        print("past it:", kind.__name__)
"""


def test_no_text_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    """mmengine's runners read a config out of the checkpoint that they resume: text, as weights may hold."""
    canary = tmp_path / "canary"
    said = python(RESUME, stdin=f"open({str(canary)!r}, 'a').write('ran')\n").splitlines()
    assert {"past it: Runner", "past it: FlexibleRunner"} <= {*said} and not canary.exists()
