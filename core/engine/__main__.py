"""``python -m core.engine TOOL ARGUMENT…``: XTuner's own tools with patches, and the few of ours.

XTuner's ``xtuner`` wrapper (0.2.0) drops the child's exit code and starts whatever ``python`` is first on
PATH; here its tool files run in this interpreter, and a failure is this process's exit code.
"""

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from core.engine import unsloth_way
from core.engine.left_out import leave_out, leave_out_bitsandbytes, names_bitsandbytes
from core.engine.program import as_a_program, is_one_of_several
from core.engine.stopping import Stopped, end_as_asked, stop_with_parent
from core.jobs import progress
from core.jobs.progress import Phase
from core.machine import OtherWork, slowdown

# Seconds that are said to be how much other programs take now.
MEASURED_OVER = 10.0


def main(arguments: Sequence[str]) -> None:
    """Run one tool. Exits 2 when there is no such tool."""
    tool = TOOLS.get(arguments[0]) if arguments else None
    if tool is None:
        print(f"core.engine: {arguments[:1]} is none of {', '.join(TOOLS)}", file=sys.stderr)
        sys.exit(2)
    if arguments[0] in SAY_NOTHING:
        tool(list(arguments[1:]))
        return
    try:
        with progress.telling(OtherWork(MEASURED_OVER).cores, slowdown):
            tool(list(arguments[1:]))
    except Stopped:
        end_as_asked()


def _train(arguments: list[str]) -> None:
    from mmengine.config import Config

    from core.engine.fast.work import compile_ahead

    config, others = Config.fromfile(arguments[0]), OtherWork()
    # Somebody may have written more into the config than a recipe does.
    text = Path(arguments[0]).read_text(encoding="utf-8").lower()
    with_deepspeed = "deepspeed" in text + " ".join(arguments)
    if not with_deepspeed:
        leave_out("deepspeed")
    unsloth = config.get("acceleration") == unsloth_way.NAME
    if unsloth:
        unsloth_way.import_unsloth()
    accelerated = bool(config.get("acceleration")) and not unsloth
    ahead = compile_ahead(config) if accelerated else None
    if not (unsloth or names_bitsandbytes(text)):
        leave_out_bitsandbytes(config.pretrained_model_name_or_path)

    from core.engine.own_card import take_own_card

    if is_one_of_several():
        stop_with_parent()
    take_own_card()
    from core.engine.around_training import put_around
    from core.engine.fast.settings import distills_replay
    from core.engine.learning import questions_beside
    from core.engine.patches import deepspeed_shards_without_pickle, patch_xtuner
    from core.engine.pissa import keep_where_it_begins
    from core.engine.several import train_together
    from core.engine.teacher import Replay, keep_replay_to_the_base
    from core.engine.threads import take_free_cores
    from core.engine.xtuner_tool import run_xtuner_tool

    patch_xtuner()
    if is_one_of_several():
        train_together()
    put_around(questions_beside(Path(arguments[0])) if config.get("stop_when_learned") else None)
    progress.phase(Phase.loading)
    work_dir = arguments[arguments.index("--work-dir") + 1] if "--work-dir" in arguments else config.work_dir
    keep_where_it_begins(Path(work_dir), resumes="--resume" in arguments)
    replay = Replay.of(config) if distills_replay(config) else None
    if replay:
        keep_replay_to_the_base(replay)
    if accelerated:
        from core.engine.fast.install import install
        from core.engine.fast.settings import Acceleration

        install(Acceleration.of(config.acceleration), config.max_length, replay, ahead)
    if unsloth:
        unsloth_way.install(config.max_length, config.randomness["seed"])
    if ahead is None:  # what is compiled ahead is compiled for as many threads as there are cores
        take_free_cores(others)
    with deepspeed_shards_without_pickle() if with_deepspeed else nullcontext():
        run_xtuner_tool("xtuner.tools.train", arguments)


def _ranks(arguments: list[str]) -> None:
    from core.engine.ranks import main as ranks

    ranks(arguments)


def _answer(arguments: list[str]) -> None:
    others = OtherWork()
    from core.engine.answer import main as answer
    from core.engine.threads import take_free_cores

    take_free_cores(others)
    answer(*arguments)


def _answer_checkpoints(arguments: list[str]) -> None:
    request, _ = arguments
    others = OtherWork()
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    if not any(Path(one["checkpoint"]).is_dir() for one in asked["checkpoints"]):
        leave_out("deepspeed")
    leave_out_bitsandbytes(asked["model"])

    from core.engine.answer_checkpoints import main as answer_checkpoints
    from core.engine.threads import take_free_cores

    take_free_cores(others)
    answer_checkpoints(*arguments)


def _starter(arguments: list[str]) -> None:
    from core.engine.starter import main as starter

    starter(*arguments)


def _download(arguments: list[str]) -> None:
    from core.engine.download import main as download

    download(*arguments)


def _import_model(arguments: list[str]) -> None:
    from core.engine.import_model import main as import_model

    import_model(*arguments)


def _convert(arguments: list[str]) -> None:
    _, checkpoint, _, _, base, _ = arguments
    if not Path(checkpoint).is_dir():
        leave_out("deepspeed")
    leave_out_bitsandbytes(base)

    from core.engine.export import convert

    convert(*arguments)


def _convert_whole(arguments: list[str]) -> None:
    checkpoint, *_ = arguments
    if not Path(checkpoint).is_dir():
        leave_out("deepspeed")
    leave_out("bitsandbytes")

    from core.engine.export import convert_whole

    convert_whole(*arguments)


def _merge(arguments: list[str]) -> None:
    leave_out("deepspeed", "bitsandbytes")

    from core.engine.export import merge

    merge(*arguments)


def _compile(arguments: list[str]) -> None:
    leave_out("deepspeed")

    from core.engine.fast.ahead import main as compile_work

    compile_work(*arguments)


def _probe(arguments: list[str]) -> None:
    from core.engine.probe import main as probe

    probe(*arguments)


def _serve(arguments: list[str]) -> None:
    from core.engine.serve import main as serve

    serve(arguments)


def _shard(arguments: list[str]) -> None:
    from core.engine.export import shard

    shard(*arguments)


def _gguf(arguments: list[str]) -> None:
    from core.engine.gguf_file import main as gguf

    gguf(*arguments)


def _begin(arguments: list[str]) -> None:
    leave_out("deepspeed", "bitsandbytes")

    from core.engine.adapter import begin

    begin(*arguments)


def _weaken(arguments: list[str]) -> None:
    leave_out("deepspeed", "bitsandbytes")

    from core.engine.adapter import weaken

    weaken(*arguments)


def _arrival(arguments: list[str]) -> None:
    from core.engine.arrival import main as arrival

    arrival(*arguments)


def _worker(arguments: list[str]) -> None:
    from core.engine.worker import main as work

    work(arguments[0], run=main)


TOOLS: dict[str, Callable[[list[str]], None]] = {
    "train": _train,
    "ranks": _ranks,
    "answer": _answer,
    "answer_checkpoints": _answer_checkpoints,
    "starter": _starter,
    "download": _download,
    "import_model": _import_model,
    "convert": _convert,
    "convert_whole": _convert_whole,
    "merge": _merge,
    "compile": _compile,
    "probe": _probe,
    "serve": _serve,
    "shard": _shard,
    "gguf": _gguf,
    "begin": _begin,
    "weaken": _weaken,
    "arrival": _arrival,
    "worker": _worker,
}
# They live as long as somebody wants them, or what they start says it.
SAY_NOTHING = {"serve", "worker", "ranks"}

if __name__ == "__main__":
    if is_one_of_several():
        as_a_program(lambda: main(sys.argv[1:]))
    main(sys.argv[1:])
