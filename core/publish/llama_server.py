"""GGUF files under llama.cpp itself, where its ``llama-server`` is installed: each is loaded and asked.

``python -m core.publish.llama_server JOB`` does it as a job: ``request.json`` in the job's folder says what,
``answers.json`` is the result.
"""

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import requests

from core.data.tokens import read_tokenizer
from core.errors import StepFailed
from core.jobs.job import JobPaths
from core.publish.bundle import Bundle
from core.publish.facts import Facts
from core.recipe.chat_template import render
from core.steps import merge
from core.steps.answer import ANSWERS
from core.steps.step import module_job, run_job
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths

PROGRAM = "llama-server"
HERE = "127.0.0.1"
CONTEXT, TOKENS = 2048, 48
PATIENCE = 300.0  # seconds until a model is loaded
Request = dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """One file: whether it was loaded, makes training's tokens of a prompt, and what it answers."""

    file: str
    loaded: bool
    same_prompt: bool = False
    answer: str = ""

    @property
    def ok(self) -> bool:
        return self.loaded and self.same_prompt and bool(self.answer.strip())


def installed() -> str | None:
    """Where llama.cpp's server is on the PATH."""
    return shutil.which(PROGRAM)


def try_out(run: RunPaths, made: Bundle, facts: Facts, program: str, question: str) -> list[dict[str, Any]]:
    """Each GGUF file of a bundle, loaded and asked; what of it is published does not depend on it.

    Raises StepStopped.
    """
    system = [{"role": "system", "content": facts.recipe.system}] if facts.recipe.system else []
    messages = [*system, {"role": "user", "content": question}]
    prompt = render(facts.chat_template, messages, facts.tokens)
    reader = read_tokenizer(merge.read(run).folder / "tokenizer.json")
    job, files = run.job("llama"), [file.name for file in made.files if file.name.endswith(".gguf")]
    request: Request = {
        "program": program,
        "files": [str(made.folder / name) for name in files],
        "messages": messages,
        "prompt": prompt,
        "ids": reader.encode(prompt, add_special_tokens=False).ids,
    }
    spec = replace(module_job("core.publish.llama_server", job), request=request, results=(ANSWERS,))
    try:
        run_job("llama", job, spec)
    except StepFailed:
        return [asdict(Trial(name, loaded=False)) | {"ok": False} for name in files]
    return list(read_json(job / ANSWERS) or ())


def main(job: str) -> int:
    folder = Path(job)
    request: Request = read_json(JobPaths(folder).request) or {}
    trials = [_trial(request, Path(file)) for file in request["files"]]
    write_json(folder / ANSWERS, [asdict(one) | {"ok": one.ok} for one in trials])
    return 0


def _trial(request: Request, file: Path) -> Trial:
    with _serving(request["program"], file) as address:
        if not address:
            return Trial(file.name, loaded=False)
        try:
            return _asked(request, file.name, address)
        except (requests.RequestException, KeyError, ValueError, IndexError) as error:
            print(f"{file.name}: {error}", flush=True)
            return Trial(file.name, loaded=True)


def _asked(request: Request, name: str, address: str) -> Trial:
    written = _post(address, "apply-template", messages=request["messages"])["prompt"]
    asked = {"content": written, "add_special": False, "parse_special": True}
    ids = _post(address, "tokenize", **asked)["tokens"]
    chat = {"messages": request["messages"], "temperature": 0, "max_tokens": TOKENS}
    answer = _post(address, "v1/chat/completions", **chat)["choices"][0]["message"]["content"]
    print(f"{name}: {answer!r}", flush=True)
    return Trial(name, loaded=True, same_prompt=ids == request["ids"], answer=str(answer))


@contextmanager
def _serving(program: str, file: Path) -> Iterator[str]:
    """The address of a server with this file, empty when it cannot load it; it ends with the block."""
    port = _free_port()
    options = ["--host", HERE, "--port", str(port), "--ctx-size", str(CONTEXT), "--jinja"]
    with subprocess.Popen([program, "--model", str(file), *options]) as process:
        try:
            yield _ready(process, f"http://{HERE}:{port}")
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _ready(process: "subprocess.Popen[bytes]", address: str) -> str:
    until = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < until:
        try:
            if _session().get(f"{address}/health", timeout=5).ok:
                return address
        except requests.RequestException:
            pass
        time.sleep(0.2)
    return ""


def _post(address: str, path: str, **body: object) -> dict[str, Any]:
    answer = _session().post(f"{address}/{path}", json=body, timeout=PATIENCE)
    answer.raise_for_status()
    return dict(answer.json())


def _session() -> requests.Session:
    """No proxy stands between this machine and itself."""
    session = requests.Session()
    session.trust_env = False
    return session


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind((HERE, 0))
        return int(taken.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
