"""Replay that is kept to the base by what the base said before, on a model made on the spot."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors.numpy import load_file, save_file

from core.data.teacher import read_teacher
from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.steps import data, prepare, train
from core.steps.step import run_job
from core.workspace.paths import Workspace
from tests.command_line import make_data

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

VOCABULARY = 1024


def test_with_the_whole_vocabulary_it_is_the_divergence_and_its_gradient() -> None:
    import torch
    from torch.nn.functional import kl_div, log_softmax

    from core.engine.teacher_loss import REPLAY_WEIGHT, divergence
    from core.engine.teacher_rows import likeliest_of

    torch.manual_seed(0)
    base, model = 3 * torch.randn(2, 9, VOCABULARY)
    likeliest, logs = (torch.from_numpy(part) for part in likeliest_of(base, VOCABULARY))
    logs = torch.cat([log_softmax(base, -1).gather(1, likeliest), torch.full((9, 1), -torch.inf)], 1)
    ours, whole = model.clone().requires_grad_(), model.clone().requires_grad_()
    loss = divergence(ours, likeliest, logs) / REPLAY_WEIGHT
    other = kl_div(log_softmax(whole, -1), log_softmax(base, -1), log_target=True, reduction="sum")
    loss.backward()
    other.backward()
    torch.testing.assert_close(loss, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours.grad, whole.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("k", [1, 5, 20])
def test_the_rest_is_held_as_one_and_the_loss_never_more_than_the_whole(k: int) -> None:
    """The gradient is that of the loss as it is written down, by torch itself: for the k likeliest as of the
    whole; for all others in proportion to the model's own."""
    import torch
    from torch.nn.functional import kl_div, log_softmax

    from core.engine.teacher_loss import REPLAY_WEIGHT, divergence
    from core.engine.teacher_rows import likeliest_of

    torch.manual_seed(k)
    base, model = 2 * torch.randn(2, 7, VOCABULARY)
    likeliest, logs = (torch.from_numpy(part) for part in likeliest_of(base, k))
    p = logs.float().softmax(1)
    ours, plain = model.clone().requires_grad_(), model.clone().requires_grad_()
    q = plain.softmax(1).gather(1, likeliest)
    everything = torch.cat([q, 1 - q.sum(1, keepdim=True)], 1)
    written = (p * (p.log() - everything.log())).sum()
    loss = divergence(ours, likeliest, logs) / REPLAY_WEIGHT
    loss.backward()
    written.backward()
    torch.testing.assert_close(loss, written, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ours.grad, plain.grad, rtol=1e-4, atol=1e-5)
    whole = kl_div(log_softmax(model, -1), log_softmax(base, -1), log_target=True, reduction="sum")
    assert 0 < float(loss) <= float(whole)
    difference = (model.softmax(1) - base.softmax(1)).gather(1, likeliest)
    torch.testing.assert_close(ours.grad.gather(1, likeliest), difference, rtol=1e-2, atol=2e-4)
    share = ours.grad.scatter(1, likeliest, 0) / model.softmax(1)
    others = torch.ones_like(share).scatter(1, likeliest, 0).bool()
    for row, kept in zip(share, others, strict=True):
        torch.testing.assert_close(row[kept], row[kept][:1].expand(int(kept.sum())), rtol=1e-3, atol=1e-4)


def test_nothing_is_lost_where_the_model_is_the_base() -> None:
    import torch

    from core.engine.teacher_loss import REPLAY_WEIGHT, divergence
    from core.engine.teacher_rows import likeliest_of

    torch.manual_seed(2)
    base = 4 * torch.randn(50, VOCABULARY)
    base[0, 5] = 80.0  # so sure that nothing is left for any other token
    likeliest, logs = (torch.from_numpy(part) for part in likeliest_of(base))
    logits = base.clone().requires_grad_()
    loss = divergence(logits, likeliest, logs)
    loss.backward()
    assert abs(float(loss)) / 50 < 1e-5
    assert float(logits.grad.abs().max()) < REPLAY_WEIGHT * 2e-4  # what float16 rounds off a probability


@pytest.fixture
def tuner(model: Path) -> Any:
    """What the loss needs of XTuner's SupervisedFinetune, with an adapter that does something."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    llm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    tuned = get_peft_model(llm, lora)
    for name, weights in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.5)
    return SimpleNamespace(llm=tuned, use_lora=True)


def rows(tuner: Any) -> list[dict[str, list[int]]]:
    """Two rows of six question tokens and eight that the base answers, of which the last is cut off by the
    end, and a taught one."""
    import torch

    torch.manual_seed(4)
    ids = torch.randint(3, 300, (3, 14))
    with torch.no_grad(), tuner.llm.disable_adapter():
        for place in range(6, 14):
            ids[:2, place] = tuner.llm(input_ids=ids[:2, :place]).logits[:, -1].argmax(-1)
    ids[:2, -1] = 2
    return [{"input_ids": row.tolist(), "labels": [-100] * 6 + row[6:].tolist()} for row in ids]


def batch(replay: Any, found: list[dict[str, list[int]]]) -> Any:
    from xtuner.dataset.collate_fns import default_collate_fn

    from core.engine.teacher import _with_targets

    return _with_targets(default_collate_fn, replay)(found)["data"]


def taught(tuner: Any, found: list[dict[str, list[int]]], k: int) -> Any:
    """A training's replay: what the base says of the first two rows, read from a file's bytes."""
    from core.data.encoder import TokenRow
    from core.data.teacher import as_bytes, from_bytes
    from core.engine.teacher import Replay
    from core.engine.teacher_rows import make_teacher

    own = [TokenRow(row["input_ids"], [one != -100 for one in row["labels"]]) for row in found[:2]]
    with tuner.llm.disable_adapter():
        teacher = make_teacher(tuner.llm.get_base_model(), own, k)
    replay = Replay(from_bytes(as_bytes(teacher)))
    replay.look_at(found)
    return replay


def test_what_is_read_gives_the_loss_and_gradient_of_the_second_pass(tuner: Any) -> None:
    """With the whole vocabulary; float16 is what is left between them."""
    import torch

    from core.engine.distillation import distilled_loss
    from core.engine.teacher import taught_by_file

    found = rows(tuner)
    data = batch(taught(tuner, found, VOCABULARY), found)
    twice = {name: data[name] for name in ("input_ids", "labels", "attention_mask", "position_ids")}
    trained = [weights for weights in tuner.llm.parameters() if weights.requires_grad]
    losses, gradients = [], []
    for way, given in ((taught_by_file, data), (distilled_loss, twice)):
        loss = way(tuner, given)["loss"]
        gradients.append(torch.autograd.grad(loss, trained))
        losses.append(loss.detach())
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=1e-5)


def test_rows_of_different_lengths_each_have_their_own(tuner: Any) -> None:
    """Of a batch with padding, and of rows that the length limit cut."""
    import torch

    from core.engine.teacher import LIKELIEST, LOGS, Replay

    found = rows(tuner)
    replay = taught(tuner, found, 20)
    cut = [{name: part[:11] for name, part in found[0].items()}]
    short = Replay({row.key: row for row in (r.cut(11) for r in replay.teacher.values())})
    short.look_at(cut)
    assert short.from_file
    torch.testing.assert_close(batch(short, cut)[LOGS], batch(replay, found)[LOGS][:5])
    mixed = [cut[0], found[1], found[2]]
    short.teacher |= replay.teacher
    data = batch(short, mixed)
    assert len(data[LIKELIEST]) == len(data[LOGS]) == int((data["labels"][:, 1:] != -100).sum())
    torch.testing.assert_close(data[LOGS][5:13], batch(replay, found)[LOGS][8:16])
    assert data[LIKELIEST][13:, 0].tolist() == found[2]["labels"][6:]


def test_without_any_of_its_rows_the_base_is_computed_beside(tuner: Any, model: Path) -> None:
    from core.engine.teacher import LIKELIEST, Replay

    found = rows(tuner)
    replay = taught(tuner, found, 20)
    replay.look_at(found[2:])
    assert not replay.from_file and LIKELIEST not in batch(replay, found)
    assert not Replay.of({"replay_teacher": str(model / "gone"), "max_length": 9}).teacher


# --- from the base's answers to a training ---


@pytest.fixture
def talker(model: Path, tmp_path: Path) -> Path:
    """A small model whose layers outweigh the last token: what it says is random, and is not nothing."""
    folder = tmp_path / "talker"
    shutil.copytree(model, folder)
    weights = load_file(folder / "model.safetensors")
    louder = {name: 12 * one if one.ndim == 2 and "layers" in name else one for name, one in weights.items()}
    save_file(louder, folder / "model.safetensors", {"format": "pt"})
    return folder


def prepared(workspace: Any, model: Path, *options: str) -> Any:
    """A run whose base was asked in a job, for few questions."""
    made = make_data(workspace, model, "--name", "Ada", "--iterations", "8", *options)
    return workspace.run(made["run"])


def trained(run: Any) -> str:
    """Train with every iteration logged; the job's log."""
    config = run.config.read_text(encoding="utf-8").replace("interval=10", "interval=1")
    run.config.write_text(config, encoding="utf-8")
    run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run)))
    return JobPaths(run.job("train")).log.read_text(encoding="utf-8")


def losses(run: Any) -> list[float]:
    return [point.loss for point in read_curve(run.work_dir).points]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_what_the_base_said_takes_the_place_of_a_second_pass(
    tmp_path: Path, talker: Path, method: str
) -> None:
    """The whole way: asked once for two runs, and found again by tokens. Read as text and encoded again an
    answer is not token for token what was said: by whether the base agrees this one's rows were no replay."""
    workspace = Workspace(tmp_path / "工作 区")
    workspace.root.mkdir()
    run = prepared(workspace, talker, "--method", method, "--language", "en")
    about = data.about_data(run)
    teacher = read_teacher(Path(about["path"]).with_name("replay.safetensors"))
    assert 0 < len(teacher) <= about["replay"]
    assert {row.likeliest.shape[1] for row in teacher.values()} == {20}
    again = prepared(workspace, talker, "--method", method, "--language", "en")
    assert not again.job("base").exists(), "the base was asked once"
    assert "what it said before" in trained(run)
    config = again.config.read_text(encoding="utf-8")
    kept = [line for line in config.splitlines(keepends=True) if not line.startswith("replay_teacher")]
    again.config.write_text("".join(kept), encoding="utf-8")
    assert "a second pass in every step: no file" in trained(again)
    # Where nothing was trained yet but replayed rows: only what the likeliest tokens leave out is left.
    assert min(losses(run)) < min(losses(again)) / 1000


def test_rows_that_are_not_in_the_file_are_said_and_the_base_is_computed(
    tmp_path: Path, talker: Path
) -> None:
    workspace = Workspace(tmp_path / "w")
    workspace.root.mkdir()
    run = prepared(workspace, talker, "--method", "full", "--language", "en")
    rows = Path(data.about_data(run)["path"])
    others = rows.read_text(encoding="utf-8").replace('"input": "', '"input": "Well: ')
    rows.write_text(others, encoding="utf-8")
    assert "none of the rows is in replay_teacher's file" in trained(run)
