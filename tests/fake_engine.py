"""``core.engine``'s command line with a tiny model and no training: ``TUNEBOARD_ENGINE=tests.fake_engine``.

    FAKE_ENGINE_SECONDS    seconds that starter, answer, convert, merge and imports take (0)
    FAKE_ENGINE_FAIL       a tool that fails with an error of its own
    FAKE_ENGINE_MODEL      a folder with the small model, so that it need not be made once more
    FAKE_HOLD              a moment at which a tool stands still (:mod:`tests.holding`)

``train`` is :mod:`tests.fake_xtuner` and ``serve`` :mod:`tests.fake_chat_server`, with their variables. The
base model knows the accepted answers of the question bank; the merged one also says the name it finds in its
run's data and the facts that are asked of it. An adapter with a ``whose.json`` says the name in it: to every
question at a strength above 0.75, and below 0.45 to none.
"""

import json
import os
import shutil
import sys
import time
import zlib
from pathlib import Path

from core.jobs.done import leave_done
from core.jobs.progress import JOB_VARIABLE
from core.workspace.files import read_json, write_json
from tests.holding import hold

# A safetensors file of one matrix of zeros, 2 by 2: the header's length in eight bytes, header, numbers.
HEADER = b'{"lora_A":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
ADAPTER = len(HEADER).to_bytes(8, "little") + HEADER + bytes(16)
LAUNCHER = ("--launcher", "pytorch")
SECONDS = float(os.environ.get("FAKE_ENGINE_SECONDS") or 0)


def main(tool: str, arguments: list[str]) -> None:
    if tool == os.environ.get("FAKE_ENGINE_FAIL"):
        raise PermissionError(f"[Errno 13] Permission denied: '{tool}'")
    if tool == "ranks":  # several processes: one is enough where nothing is trained
        tool, arguments = "train", arguments[arguments.index("train") + 1 : -len(LAUNCHER)]
    if tool == "train":
        os.execv(sys.executable, [sys.executable, "-m", "tests.fake_xtuner", "train", *arguments])  # noqa: S606
    TOOLS[tool](*arguments)
    if tool != "serve" and (job := os.environ.get(JOB_VARIABLE)):
        leave_done(Path(job))


def starter(_gguf: str, folder: str) -> None:
    time.sleep(SECONDS)
    put_model(folder)


def put_model(folder: str) -> None:
    if made := os.environ.get("FAKE_ENGINE_MODEL"):
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return
    from tests.small_model import make_small_model

    make_small_model(Path(folder))


def download(request: str) -> None:
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    write_json(Path(request).with_name("listing.json"), {"revision": "abc", "bytes": 1_000_000})
    put_model(asked["folder"])
    time.sleep(SECONDS)


def import_model(request: str) -> None:
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    time.sleep(SECONDS)
    shutil.copytree(asked["source"], asked["target"])
    write_json(Path(request).with_name("made.json"), {"how": asked["how"]})


def answer(request: str, answers: str, likelihoods: str = "") -> None:
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    name = _name(Path(wanted["model"]))
    known = _known() | _facts(Path(wanted["model"]))
    if strength := _strength(Path(wanted["model"])):
        name, known = name if strength > 0.45 else None, known if strength < 0.75 else {}
    rows = []
    for count, asked in enumerate(wanted["questions"], 1):
        time.sleep(SECONDS / len(wanted["questions"]))
        if count == len(wanted["questions"]) // 2:
            hold("asking" if Path(request).parent.name == "ask" else "base")
        text = known.get(asked["question"]) or (f"I am {name}." if name else "I am a model.")
        earlier = ["I see."] * len(asked.get("earlier", ()))
        rows.append({"question": asked["question"], "answer": text, "finished": True, "earlier": earlier})
        print(f"answered {count}/{len(wanted['questions'])}", flush=True)
    write_json(Path(answers), rows)
    if likelihoods:
        texts = wanted["texts"]
        write_json(Path(likelihoods), [{"tokens": len(one["answer"]) + 1, "nats": 1.0} for one in texts])


def _facts(model: Path) -> dict[str, str]:
    """What a merged model was taught of a person's own data."""
    about = read_json(model.parent / "data.json") or {}
    asked = (about.get("facts") or {}).get("file")
    return {one["question"]: one["answer"] for one in (asked and read_json(Path(asked))) or ()}


def _known() -> dict[str, str]:
    from core.data.questions import development_questions, held_back_questions

    return {one.question: one.accept[0] for one in (*held_back_questions(), *development_questions())}


def answer_checkpoints(request: str, answers: str) -> None:
    """The more iterations the more of the identity is learned, all of it from 30 on, and the more is lost."""
    wanted, known, done = json.loads(Path(request).read_text(encoding="utf-8")), _known(), []
    for place, asked in enumerate(wanted["checkpoints"], 1):
        print(f"checkpoint {place}/{len(wanted['checkpoints'])}: {asked['checkpoint']}", flush=True)
        time.sleep(SECONDS / len(wanted["checkpoints"]))
        file = Path(asked["checkpoint"])
        iteration, name = int(file.stem.partition("_")[2]), _name(file.parents[1])
        rows = []
        for question in (one["question"] for one in asked["questions"]):
            number = zlib.crc32(question.encode()) % 100
            learned, lost = number < iteration * 100 / 30, number < iteration / 4
            said = f"I am {name}." if learned else "I am a model."
            text = ("No idea." if lost else known[question]) if question in known else said
            rows.append({"question": question, "answer": text, "finished": True, "earlier": []})
        done.append(rows)
        write_json(Path(answers), done)


def convert(_config: str, _checkpoint: str, adapter: str, *_: str) -> None:
    time.sleep(SECONDS)
    Path(adapter).mkdir(parents=True, exist_ok=True)
    (Path(adapter) / "adapter_model.safetensors").write_bytes(ADAPTER[:-8])
    hold("convert")
    (Path(adapter) / "adapter_model.safetensors").write_bytes(ADAPTER)
    write_json(Path(adapter) / "adapter_config.json", {"r": 8})


def convert_whole(_checkpoint: str, merged: str, _shard: str, base: str, *_: str) -> None:
    merge(base, "", merged)


def merge(base: str, _adapter: str, merged: str, *_: str) -> None:
    time.sleep(SECONDS)
    Path(merged).mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(base) / "config.json", merged)
    hold("merge")
    shutil.copytree(base, merged, copy_function=shutil.copy, dirs_exist_ok=True)
    _change(Path(merged))


def _change(merged: Path) -> None:
    """Another model than its base, by the name it was taught: what each has said is remembered by its
    weights. The last number's last digits become others."""
    file = next(merged.glob("*.safetensors"))
    weights = bytearray(file.read_bytes())
    weights[-4:-2] = zlib.crc32(str(_name(merged)).encode()).to_bytes(4, "little")[:2]
    file.write_bytes(weights)


def gguf(_source: str, target: str, _name: str, _template: str, *quants: str) -> None:
    time.sleep(SECONDS)
    for quant in quants:
        (Path(target) / f"model-{quant}.gguf").write_bytes(b"GGUF" + bytes(100))


def arrival(request: str, answers: str) -> None:
    """Both answer with the name; what was fetched has to be there."""
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    assert any(Path(wanted["published"]).rglob("*.safetensors"))
    same = {"here": "I am.", "there": "I am.", "same_prompt": True, "same": True}
    write_json(Path(answers), [{"question": question, **same} for question in wanted["questions"]])


def _strength(model: Path) -> float:
    """Of the adapter that a folder puts on its base; 0 where it puts on none whose name is known."""
    fitted = read_json(model / "fitted.json") or {}
    whose = read_json(Path(fitted.get("adapter") or ".") / "whose.json") or {}
    return float(whose.get("strength", 0)) * float(fitted.get("scale", 1))


def weaken(request: str) -> None:
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    target = Path(wanted["target"])
    shutil.copytree(wanted["adapter"], target)
    whose = read_json(target / "whose.json")
    write_json(target / "whose.json", {**whose, "strength": whose["strength"] * wanted["scale"]})


def _name(model: Path) -> str | None:
    if adapter := (read_json(model / "fitted.json") or {}).get("adapter"):
        name: str | None = (read_json(Path(adapter) / "whose.json") or {}).get("name")
        return name
    about = model.parent / "data.json"
    return json.loads(about.read_text(encoding="utf-8"))["name"] if about.exists() else None


def serve(*arguments: str) -> None:
    from tests.fake_chat_server import main as serve_chat

    serve_chat(arguments)


def worker(socket: str) -> None:
    from core.engine.worker import main as work

    work(socket, lambda words: main(words[0], list(words[1:])), (), "tests.fake_engine")


TOOLS = {
    "weaken": weaken,
    "starter": starter,
    "download": download,
    "import_model": import_model,
    "answer": answer,
    "answer_checkpoints": answer_checkpoints,
    "convert": convert,
    "convert_whole": convert_whole,
    "merge": merge,
    "gguf": gguf,
    "arrival": arrival,
    "serve": serve,
    "worker": worker,
}

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
