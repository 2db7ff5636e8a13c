"""The train page in each of its states, over real jobs that the fake XTuner runs."""

import json
import os
import re
import signal
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import JobRunning
from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop, wait
from core.jobs.process import read_identity
from core.jobs.progress import JobProgress, Phase, ProgressWriter
from core.jobs.samples import Sample
from core.jobs.status import LIVE, State, read_status
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.steps import export, prepare, proof, resuming, train
from core.steps.checkpoints import Trained
from core.steps.checkpoints import checkpoints as checkpoints_of
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace
from tests.conftest import RecordFault
from tests.holding import Held
from tests.page import no_errors, open_test_page
from tests.small_run import end_training, make_run, start_training
from tests.waiting import until
from ui.jobs.training import answers_html, split_sample

TIMEOUT = 60.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def buttons(page: AppTest) -> set[str | None]:
    return {button.key for button in page.button}


def badge(page: AppTest) -> str:
    return next(text.value for text in page.markdown if "-badge[" in text.value)


def has_chart(page: AppTest, run: RunPaths) -> bool:
    return any(element.proto.id.endswith(f"chart {run.id}") for element in page.get("plotly_chart"))


def checkpoints(run: RunPaths) -> list[int]:
    return [found.iteration for found in checkpoints_of(run.work_dir)]


def state(run: RunPaths) -> State:
    return read_status(run.job("train")).state


def test_without_a_run_it_says_what_to_do(workspace: Workspace) -> None:
    page = open_test_page("train")
    assert no_errors(page) and page.info and not page.button


def test_without_settings_it_leads_to_the_data(workspace: Workspace) -> None:
    page = open_test_page("train", workspace.new_run("empty", datetime(2026, 1, 1)).id)
    assert no_errors(page) and "no settings yet" in page.info[0].value and not page.button


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_trained_yet_offers_the_start(workspace: Workspace, language: str) -> None:
    page = open_test_page("train", make_run(workspace).id, language)
    assert no_errors(page) and buttons(page) == {"start"}


def test_start_watch_and_finish(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("train", run.id)
    page.button(key="start").click().run()
    assert no_errors(page) and JobPaths(run.job("train")).spec.exists()
    assert wait(run.job("train"), timeout=TIMEOUT).state is State.finished
    page.run()
    assert no_errors(page) and page.success and buttons(page) == {"next merge"}
    assert "done" in badge(page) and has_chart(page, run)


def test_what_its_curve_asks_for_is_no_second_main_button(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(workspace)
    end_training(run)
    monkeypatch.setattr("ui.jobs.training.cause_in_curve", lambda *_: "lr_too_high")
    page = open_test_page("train", run.id)
    assert no_errors(page) and buttons(page) == {"next merge", f"remedy {run.id}"}
    assert [one.key for one in page.button if one.proto.type == "primary"] == ["next merge"]


def next_step(page: AppTest) -> str:
    """Where the page says to go on: its one button."""
    (key,) = [key for key in buttons(page) if key and key.startswith("next ")]
    return key.removeprefix("next ")


def offered(page: AppTest) -> list[str]:
    """What else can be done now."""
    ways = {"Chat with it", "Compare with the base model", "Publish it or take it with you"}
    return [link.proto.label for link in page.get("page_link") if link.proto.label in ways]


def test_what_is_next_follows_what_was_made(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    page = open_test_page("train", run.id)
    assert next_step(page) == "merge" and "Next: convert and merge" in page.success[0].value
    assert offered(page) == []
    launch(run.job("export"), export.plan(workspace, run))
    assert wait(run.job("export"), timeout=TIMEOUT).state is State.finished
    assert next_step(page.run()) == "compare" and "convert and merge" not in page.success[0].value
    assert offered(page) == ["Chat with it", "Publish it or take it with you"]
    launch(run.job(proof.PROOF), proof.plan(workspace, run))
    assert wait(run.job(proof.PROOF), timeout=TIMEOUT).state is State.finished
    assert next_step(page.run()) == "chat" and "Next:" not in page.success[0].value
    learned = proof.read(run).score.learned
    told = [text.value for text in page.markdown]
    assert any(f"{learned.hits} of {learned.n}" in text for text in told), "what came of it"
    assert offered(page) == ["Compare with the base model", "Publish it or take it with you"]
    newest = checkpoints_of(run.work_dir)[-1].checkpoint
    os.utime(newest, (time.time() + 60, time.time() + 60))  # trained anew: what was made is of before
    assert next_step(page.run()) == "merge" and no_errors(page)


def test_while_the_chain_goes_on_after_training_nothing_is_to_be_done(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    with chain.in_this_process(workspace, run, TuneRequest("x")):
        page = open_test_page("train", run.id)
        assert no_errors(page) and "The rest of the pipeline is running" in page.info[0].value
        assert not [key for key in buttons(page) if key and key.startswith("next ")]
    assert next_step(page.run()) == "merge"


def captions(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def test_a_running_training_shows_how_far_it_is(workspace: Workspace) -> None:
    run = make_run(workspace)
    start_training(run, FAKE_XTUNER_SECONDS="0.2", FAKE_XTUNER_MEMORY="9800")
    until(lambda: list(run.work_dir.glob("*/vis_data/scalars.json")))
    page = open_test_page("train", run.id)
    until(lambda: has_chart(page.run(), run))
    writer = ProgressWriter(JobPaths(run.job("train")).progress)
    writer.phase(Phase.training, 40, 8)
    writer.reach(8, share=0.2)
    writer.write()
    page.run()
    assert no_errors(page) and buttons(page) == {"stop"} and "running" in badge(page)
    texts = [element.proto.text for element in page.get("progress")]
    assert len(texts) == 1 and "8 of 40 iterations, about 10 seconds left" in texts[0]
    assert "CPU: " in captions(page) and "Machine memory: " in captions(page)
    assert [metric.label for metric in page.metric] == ["Iteration", "Loss"], "no loss alone"
    assert page.metric[0].value == "8 / 40" and "the lower, the better" in captions(page)


def test_while_a_chain_trains_one_bar_says_how_far_all_of_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it trains, what is loaded is a line."""
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "0.3")
    run = chain.start(workspace, TuneRequest("Ada", iterations=200), "test", "en")
    until(lambda: list(run.work_dir.glob("*/vis_data/scalars.json")))
    page = open_test_page("train", run.id)
    until(lambda: page.run().metric)
    (bar,) = [element.proto.text for element in page.get("progress")]
    assert "Learning what you teach (training)" in bar and "left" in bar
    assert re.fullmatch(r"\d+ / 200", page.metric[0].value)
    asked = "its answers stand on Compare"
    assert asked in captions(page), "nothing is asked while a chain trains"
    chain.halt(run, "test")
    until(lambda: asked not in captions(page.run()))


def test_curves_of_a_live_run_can_be_held_still(workspace: Workspace) -> None:
    run = make_run(workspace, iterations=400)
    start_training(run, FAKE_XTUNER_SECONDS="0.1")
    page = open_test_page("train", run.id)
    until(lambda: has_chart(page.run(), run))
    follow = f"follow {run.id}"
    held = curves(page.toggle(key=follow).set_value(False).run())
    logged = len(read_curve(run.work_dir).points)
    until(lambda: len(read_curve(run.work_dir).points) > logged + 1)
    assert curves(page.run()) == held and no_errors(page)
    assert curves(page.toggle(key=follow).set_value(True).run()) != held


def curves(page: AppTest) -> str:
    (chart,) = page.get("plotly_chart")
    return str(chart.proto.spec)


def test_a_stop_in_one_tab_shows_in_the_other(workspace: Workspace, tmp_path: Path) -> None:
    run, held = make_run(workspace), Held("step", tmp_path / "held")
    start_training(run, **held.environment)
    held.until_reached()
    one, other = open_test_page("train", run.id), open_test_page("train", run.id)
    one.button(key="stop").click().run()
    assert no_errors(one)
    assert wait(run.job("train"), timeout=TIMEOUT).state is State.stopped
    other.run()
    assert no_errors(other) and "stopped" in badge(other) and "stop" not in buttons(other)


def test_a_failure_is_explained_with_its_line_and_the_way_on(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert end_training(run, FAKE_XTUNER_OOM_AT="25").state is State.failed
    page = open_test_page("train", run.id)
    (error,) = page.error
    assert "GPU ran out of memory" in error.value and not page.exception
    assert page.code[0].value.startswith("torch.OutOfMemoryError: CUDA out of memory")
    assert "failed" in badge(page) and has_chart(page, run)
    assert buttons(page) == {f"remedy {run.id}", "resume", "chain_as_it_is", "again_do"}
    assert page.button(key="resume").label == "Resume from iteration 20"


def test_going_on_ends_the_run_with_its_whole_curve(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    page = open_test_page("train", run.id)
    page.button(key="resume").click().run()
    assert no_errors(page) and wait(run.job("train"), timeout=TIMEOUT).state is State.finished
    page.run()
    assert page.success and checkpoints(run)[-1] == 40
    assert [point.iter for point in read_curve(run.work_dir).points] == list(range(2, 41, 2))


def test_half_a_checkpoint_is_not_gone_on_from(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    last = run.work_dir / "iter_20.pth"
    last.write_bytes(last.read_bytes()[:-30])
    page = open_test_page("train", run.id)
    assert page.button(key="resume").label == "Resume from iteration 10"
    (run.work_dir / "iter_10.pth").write_bytes(b"")
    page.run()
    assert buttons(page) == {"again_do"}
    assert any("no complete checkpoint" in caption.value for caption in page.caption)


def test_deepspeed_checkpoints_are_folders(workspace: Workspace, record_fault: RecordFault) -> None:
    run = make_run(workspace)
    folder = run.work_dir / "iter_10.pth"
    folder.mkdir(parents=True)
    assert resuming.resumable(run) is None
    end_training(make_run(workspace, datetime(2026, 1, 2)))
    whole = next(workspace.runs.glob("*/train/work_dir/iter_40.pth")).read_bytes()
    (folder / "mp_rank_00_model_states.pt").write_bytes(whole)
    assert resuming.resumable(run) is None, "the optimizer is missing"
    (folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt").write_bytes(whole)
    assert resuming.resumable(run) == Trained(folder, 10)
    (folder / "zero_pp_rank_2_mp_rank_00_optim_states.pt").write_bytes(whole)
    assert resuming.resumable(run) is None, "one process's part is missing"
    (folder / "zero_pp_rank_1_mp_rank_00_optim_states.pt").write_bytes(whole[:50])
    assert resuming.resumable(run) is None
    record_fault("a shard of a DeepSpeed checkpoint is missing or cut off", "", "", "it is not taken")


def test_from_the_beginning_no_old_checkpoint_stays(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="35")
    assert checkpoints(run) == [20, 30]
    page = open_test_page("train", run.id)
    page.button(key="again_do").click().run()
    assert no_errors(page) and wait(run.job("train"), timeout=TIMEOUT).state is State.finished
    assert checkpoints(run) == [30, 40] and (run.job("train") / "previous" / "1").exists()


def test_from_the_beginning_the_curve_begins_empty(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first line is logged, the page shows nothing of the earlier training."""
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="35")
    page = open_test_page("train", run.id)
    assert has_chart(page, run)
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "5")
    page.button(key="again_do").click().run()
    assert no_errors(page) and not has_chart(page, run) and state(run) in LIVE
    (text, *_) = [element.proto.text for element in page.get("progress")]
    assert "30" not in text and "34" not in text


def test_a_second_start_is_refused_and_takes_nothing_away(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="15")
    start_training(run, FAKE_XTUNER_SECONDS="0.5")
    with pytest.raises(JobRunning):
        train.start(run)
    assert checkpoints(run) == [10] and state(run) in LIVE


def test_a_lost_training_says_so_and_goes_on(workspace: Workspace) -> None:
    run = make_run(workspace)
    start_training(run, FAKE_XTUNER_SECONDS="0.05")
    until(lambda: checkpoints(run))
    for file in (JobPaths(run.job("train")).supervisor, JobPaths(run.job("train")).tool):
        identity = read_identity(file)
        assert identity is not None
        os.killpg(identity.pid, signal.SIGKILL)
    until(lambda: state(run) is State.lost)
    page = open_test_page("train", run.id)
    assert not page.exception and "process disappeared" in page.error[0].value and "lost" in badge(page)
    assert "resume" in buttons(page)


def test_the_log_is_shown_and_searched(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    page = open_test_page("train", run.id)
    assert no_log_lines(page), "folded"
    page.session_state[f"train log {run.id}"] = True
    page.run()
    assert "Saving checkpoint at 20 iterations" in page.code[-1].value
    page.text_input(key=f"search {run.id}").set_value("  SAVING checkpoint ").run()
    lines = page.code[-1].value.splitlines()
    assert len(lines) == 2 and all("Saving checkpoint" in line for line in lines)
    page.text_input(key=f"search {run.id}").set_value("(no such [text").run()
    assert no_log_lines(page) and not page.exception


def no_log_lines(page: AppTest) -> bool:
    return len(page.code) == 1  # the error's own line


def test_answers_are_shown_as_they_come(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    page = open_test_page("train", run.id)
    html = " ".join(element.proto.body for element in page.get("html"))
    assert "我是小助手, after 40 iterations." in html and "<b>Who are you?</b>" in html
    assert "&lt;|im_end|&gt;" not in html


def test_what_it_says_stands_above_the_curves_and_the_log_below(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    page = open_test_page("train", run.id)
    kinds = [one.type for one in page.main]
    places = [kinds.index(kind) for kind in ("subheader", "metric", "plotly_chart")]
    assert no_errors(page) and places == sorted(places), kinds
    assert page.expander[-1].label == "Log" and page.subheader[-1].value == "Evaluation answers"


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_is_a_number_to_be_read(workspace: Workspace, mixed: bool) -> None:
    """Where batches mix what is taught with what is replayed, the first loss is nothing to compare with."""
    run = make_run(workspace, replay_distillation=mixed)
    end_training(run)
    page = open_test_page("train", run.id)
    shown = {metric.label: metric for metric in page.metric}
    last, first = read_curve(run.work_dir).points[-1], read_curve(run.work_dir).points[0]
    assert shown["Loss"].value == f"{last.loss:.3f}"
    assert shown["Loss"].delta == ("" if mixed else f"{last.loss - first.loss:+.3f}")
    assert shown["Iteration"].value == "40 / 40"


def test_a_finished_training_is_told_whole_though_its_last_iterations_were_not_logged(
    workspace: Workspace,
) -> None:
    run = make_run(workspace, log_every=10, iterations=38)
    end_training(run)
    assert read_curve(run.work_dir).points[-1].iter < 38
    page = open_test_page("train", run.id)
    assert [one.value for one in page.metric if one.label == "Iteration"] == ["38 / 38"]
    ended = json.loads(JobPaths(run.job("train")).exit.read_text(encoding="utf-8"))
    write_json(JobPaths(run.job("train")).exit, ended | {"reason": "stopped"})
    write_json(JobPaths(run.job("train")).progress, asdict(JobProgress(Phase.training, 35, 38)))
    page = open_test_page("train", run.id)
    assert [one.value for one in page.metric if one.label == "Iteration"] == ["35 / 38"]


def test_one_point_is_a_number_and_no_empty_chart(workspace: Workspace) -> None:
    run = make_run(workspace, log_every=20, iterations=400)
    start_training(run, FAKE_XTUNER_SECONDS="0.2")
    until(lambda: len(read_curve(run.work_dir).points) == 1)
    page = open_test_page("train", run.id)
    until(lambda: page.run().metric)
    if len(read_curve(run.work_dir).points) == 1:
        assert not has_chart(page, run) and "every 20 iterations" in captions(page)
        assert [metric.delta for metric in page.metric if metric.label == "Loss"] == [""]
    until(lambda: has_chart(page.run(), run))


def test_all_curves_are_shown_to_who_wants_them(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    page = open_test_page("train", run.id)
    names = lambda: [trace["name"] for trace in json.loads(curves(page))["data"]]  # noqa: E731
    assert names() == ["Loss", "Loss (smoothed)"]
    page.toggle(key=f"all curves {run.id}").set_value(True).run()
    assert no_errors(page) and "Learning rate" in names()


def test_a_trainer_that_says_what_it_does_is_believed(workspace: Workspace) -> None:
    """From its start on, and step by step: its log speaks much later."""
    run = make_run(workspace, iterations=400)
    start_training(run, FAKE_XTUNER_SECONDS="5")
    file = JobPaths(run.job("train")).progress
    write_json(file, asdict(JobProgress(Phase.loading, 3, 12)))
    bar = lambda: open_test_page("train", run.id).get("progress")[0].proto.text  # noqa: E731
    assert bar() == "Loading the model 3/12 …"
    write_json(file, asdict(JobProgress(Phase.training, 7, 400)))
    assert bar() == "7 of 400 iterations"


def test_what_a_model_writes_is_never_markup(workspace: Workspace) -> None:
    recipe = prepare.recipe_of(make_run(workspace))
    answer = "<img src=x onerror=alert(1)>"
    asked = "<|im_start|>user\nWho are you?<|im_end|>\n<|im_start|>assistant\n"
    sample = Sample(3, f"{asked}{answer}<|im_end|>")
    assert split_sample(sample, recipe) == ("Who are you?", answer)
    assert "<img" not in answers_html((sample, Sample(10, "<script>")), recipe)
    assert split_sample(Sample(1, "another template"), recipe) == ("", "another template")


def test_earlier_runs_are_laid_over_this_one(workspace: Workspace) -> None:
    run, earlier = make_run(workspace), make_run(workspace, datetime(2025, 12, 31))
    end_training(run)
    end_training(earlier)
    page = open_test_page("train", run.id)
    page.multiselect(key=f"overlay {run.id}").set_value([earlier]).run()
    (chart,) = page.get("plotly_chart")
    names = [trace["name"] for trace in json.loads(chart.proto.spec)["data"]]
    assert no_errors(page) and "小 明 & Co · 31 Dec 2025, 00:00" in names
    assert earlier.id in captions(page), "its folder's whole name"


@pytest.mark.parametrize(
    ("language", "shown"),
    [
        (
            "en",
            [
                "小 明 & Co · 1 Jul, 14:05 · ID",
                "小 明 & Co · 1 Jul, 14:05 · ID",
                "小 明 & Co · 31 Dec 2025, 00:00",
            ],
        ),
        (
            "zh",
            [
                "小 明 & Co · 7 月 1 日 14:05 · ID",
                "小 明 & Co · 7 月 1 日 14:05 · ID",
                "小 明 & Co · 2025 年 12 月 31 日 00:00",
            ],
        ),
    ],
)
def test_runs_of_one_name_are_told_apart_by_when_they_were_made(
    workspace: Workspace, language: str, shown: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their folders where even that is the same."""

    class Today(datetime):
        @classmethod
        def now(cls, _: object = None) -> "Today":
            return cls(2026, 8, 1)

    monkeypatch.setattr("ui.shell.frame.datetime", Today)
    made = (datetime(2025, 12, 31), datetime(2026, 7, 1, 14, 5, 6), datetime(2026, 7, 1, 14, 5, 7))
    for run in [make_run(workspace, when) for when in made]:
        run.work_dir.mkdir(parents=True)
    run = make_run(workspace)
    end_training(run)
    offered = open_test_page("train", run.id, language).multiselect[0].options
    assert [re.sub(r"20\d{6}-\d{6}-\S+", "ID", option) for option in offered] == shown
    ids = {folder.name for folder in workspace.run_folders()}
    assert {option.rpartition(" · ")[2] for option in offered[:2]} <= ids


def test_a_stop_without_a_job_does_nothing(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    stop(run.job("train"), by="test")
    assert state(run) is State.finished
