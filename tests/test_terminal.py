"""What a person sees: progress as bars or lines, results as tables, nothing that steers the terminal."""

import io
import os
import pty
import sys
from typing import Any

import pytest
from rich.console import Console

from core.cli import results, terminal
from core.cli.results import SHOWN_ANSWERS, show
from core.cli.terminal import BarProgress, PlainProgress, printable, progress
from core.machine import Gpu, Machine
from core.pace import COSTS, LINE, Clock, Cost
from core.wording import say


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    monkeypatch.setenv("COLUMNS", "80")


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(terminal, "time", made)
    return made


def test_the_time_left_is_reckoned_from_the_pace_so_far(time: Time) -> None:
    clock = Clock({"a": 30, "b": 60, "c": 10}, now=time.monotonic)
    assert clock.seconds() == pytest.approx(103), "what is known beforehand, and its own start"
    clock.stage("a")
    time.now = 1010.0
    clock.reach(0.25)
    time.now = 1025.0
    clock.reach(0.5)
    assert clock.fraction == pytest.approx(0.15)
    # A quarter took 15 s: the other half takes 30, and the rest is twice as slow as thought as well.
    assert clock.seconds() == pytest.approx(30 + 140, rel=0.15)
    time.now = 1055.0
    clock.stage("b")
    assert clock.fraction == pytest.approx(0.3) and clock.seconds() == pytest.approx(70 * 55 / 30, rel=0.1)
    clock.stage("c")
    clock.reach(1.0)
    assert clock.fraction == 1.0 and clock.seconds() == 0
    clock.reach(5.0)
    assert clock.fraction == 1.0


def test_a_stage_s_own_pace_soon_weighs_more_than_what_was_known(time: Time) -> None:
    """Five times slower than thought: after a tenth of the stage that is what is said."""
    clock = Clock({"a": Cost(2, 98, measured=True), "b": 1}, now=time.monotonic)
    clock.stage("a")
    for step in range(11):
        time.now = 1010.0 + 5 * step
        clock.reach(step / 100)
    assert clock.seconds() == pytest.approx(5 * 90, rel=0.2)


def test_what_comes_next_goes_as_it_went_lately(time: Time) -> None:
    """A machine that is left alone again is fast again: near the end the last half minute tells."""
    clock = Clock({"a": 100}, now=time.monotonic)
    clock.stage("a")
    time.now = 1300.0
    clock.reach(0.9, first=(1000.0, 0.0), lately=(1270.0, 0.6))
    assert clock.seconds() == pytest.approx(10)
    clock.reach(0.9, first=(1000.0, 0.0))
    assert clock.seconds() > 30


def test_between_two_words_of_a_command_the_time_left_counts_down(time: Time) -> None:
    """What polls a log says the same share again and again; only another one is news."""
    clock = Clock({"a": 50, "b": Cost(40, 0), "c": 10}, now=time.monotonic)
    clock.stage("a")
    time.now += 50
    clock.stage("b")
    shown = [round(clock.seconds())]
    for _ in range(60):
        time.now += 1
        clock.reach(0.0)
        shown.append(round(clock.seconds()))
    assert shown[:4] == [50, 49, 48, 47]
    assert shown[40] == 10, "what comes after the running stage is still to be done"
    assert shown[40:] == sorted(shown[40:]) and shown[-1] <= 20, "a start that is late makes the rest late"
    clock.reach(0.5)
    time.now += 600
    assert clock.seconds() >= 1, "never nothing while something is to be done"
    clock.stage("c")
    clock.reach(1.0)
    assert clock.seconds() == 0


def test_what_stages_took_here_before_is_believed_the_less_the_longer_it_is_not_so(time: Time) -> None:
    known = {name: Cost(0, cost, measured=True) for name, cost in {"a": 60, "b": 600, "c": 40}.items()}
    clock = Clock(known, now=time.monotonic)
    clock.stage("a")
    assert clock.seconds() == pytest.approx(700)
    time.now += 60
    clock.stage("b")
    assert clock.seconds() == pytest.approx(640), "as before"
    clock.stage("c", time.now + 1200)
    time.now += 1200
    assert 40 < clock.seconds() < 2 * 40


def test_what_one_kind_of_work_takes_says_half_as_much_of_another(time: Time) -> None:
    """In logarithms; and few answers say little of many, none of how fast a line is."""
    known = {
        "base": Cost(0, 2, kind="answers"),
        "train": Cost(0, 200, kind="train"),
        "fetch": Cost(0, 30, kind=LINE),
        "ask": Cost(0, 40, kind="answers"),
    }
    clock = Clock(known, now=time.monotonic)
    clock.stage("base")
    time.now += 20
    clock.stage("train")
    assert 200 + 30 + 40 < clock.seconds() < 220 + 30 + 50
    for step in range(11):
        time.now += 80
        clock.reach(step / 10)
    assert 2 * 40 < clock.seconds() - 30 < 3 * 40, "four times as slow"


def test_other_programs_slow_what_is_computed(time: Time) -> None:
    known = {"train": Cost(2, 200, kind="train"), "fetch": Cost(0, 30, kind=LINE), "merge": Cost(0, 5)}
    clock = Clock(known, now=time.monotonic, slower=3.0)
    clock.stage("train")
    assert clock.seconds() == pytest.approx(3 * 207 + 30)
    time.now += 606
    clock.stage("fetch")
    assert clock.seconds() == pytest.approx(30 + 3 * 5)


def test_a_skipped_stage_costs_nothing(time: Time) -> None:
    """It would make the pace look better than it is."""
    clock = Clock({"a": 30, "b": 60, "c": 10}, now=time.monotonic)
    clock.stage("b")
    assert clock.fraction == 0 and clock.seconds() == pytest.approx(70)
    time.now = 1030.0
    clock.reach(0.5)
    assert clock.fraction == pytest.approx(3 / 7)
    clock.stage("unknown")
    assert clock.fraction == pytest.approx(6 / 7)
    clock.stage("c")
    clock.stage("d")
    assert clock.fraction == 1.0


def test_what_others_know_better_is_said_instead(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress(Clock(COSTS, now=time.monotonic)) as shown:
        shown.stage("train")
        shown.told = lambda: (0.42, 190.0)
        time.now += 20
        shown.update(0.1, "")
    assert "[ 42%] Training  about 3 minutes left" in capsys.readouterr().err


def test_a_command_of_one_stage_is_whole_at_its_end() -> None:
    shown = progress("train")
    shown.stage("train")
    shown.update(1.0, "")
    assert shown.clock.fraction == 1.0
    with progress("data") as both:
        both.stage("base")
        both.update(0.5, "")
    assert both.clock.fraction == 0.5
    with progress("export") as both:
        both.stage("convert")
        both.stage("merge")
        both.update(1.0, "")
    assert both.clock.fraction == 1.0


def test_lines_for_a_pipe(time: Time, capsys: pytest.CaptureFixture[str]) -> None:
    with PlainProgress(Clock(COSTS, now=time.monotonic)) as shown:
        shown.stage("train")
        for step in range(100):
            time.now += 1
            shown.update(step / 100, f"{step}/100  loss 1.0")
        shown.say("tune.name_not_in_data", name="{x} [red]", path="p")
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and 8 <= len(lines) <= 13, "a line now and then"
    assert lines[0].startswith("[  0%]") and "Training" in lines[0] and "left" in lines[0]
    assert "loss 1.0" in lines[-2] and "{x} [red]" in lines[-1] and "\x1b" not in err


def test_bars_on_a_terminal() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=120)
    with BarProgress(Clock(COSTS), console) as shown:
        for stage in COSTS:
            shown.stage(stage)
            shown.update(0.5, "[bold]5/10[/bold] loss 1.2")
        shown.say("tune.name_not_in_data", name="[red]x[/red]", path="p")
    text = stream.getvalue()
    for stage in COSTS:
        assert say(f"stage.{stage}") in text
    assert say("progress.whole") in text and "[red]x[/red]" in text and "[bold]5/10[/bold]" in text


def test_which_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(progress("tune"), PlainProgress)
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        assert isinstance(progress("tune"), BarProgress)
    os.close(master)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 张伟 👩‍🔧\ttab\nline", "plain 张伟 👩‍🔧\ttab\nline"),
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("\x9b31m", "\ufffd31m"),
        ("a\rb", "a\ufffdb"),
        ("\u202eabc", "\ufffdabc"),
        ("a\udcffb", "a\ufffdb"),
    ],
)
def test_what_steers_a_terminal_is_not_printed(text: str, shown: str) -> None:
    assert printable(text) == shown


def shown(kind: str, result: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    show(kind, result)
    return capsys.readouterr().out


def answers(*kinds: str | None) -> list[dict[str, Any]]:
    return [
        {"question": f"q{n} [bold]?", "kind": kind, "base": "\x1b[2Jbase\\", "tuned": "[/] {x} 👩‍🔧"}
        for n, kind in enumerate(kinds)
    ]


def test_answers_and_scores(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = ["taught"] * 5 + ["general"] * 5
    result = {"run": "r [x]", "answers": answers(*kinds), "learned": 1.0, "kept": None, "leaked": 0}
    text = shown("tune", {**result, "merged": "/工作 区/" + "x" * 200}, capsys)
    assert "\x1b" not in text and "q0 [bold]?" in text and "[/] {x}" in text and "r [x]" in text
    assert text.count("\ufffd[2Jbase\\") == 2 * SHOWN_ANSWERS, "a few of each kind"
    assert "x" * 200 in text, "a path broken into lines cannot be copied"
    for key, value in (("learned", "1.0"), ("kept", "–"), ("leaked", "0")):
        assert say(f"result.{key}", value=value) in text


def test_a_thought_is_not_printed_for_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"base": "<think>\nWell, who", "tuned": "<think>\nAda?\n</think>\n\nI am 小明."}
    text = shown("ask", {"run": "r", "answers": [{"question": "q", **said}]}, capsys)
    assert "I am 小明." in text and "Ada" not in text and "Well" not in text
    assert say("result.only_thought")[:10] in text


def test_all_answers_to_one_s_own_questions(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{k: v for k, v in row.items() if k != "kind"} for row in answers(*[None] * 7)]
    text = shown("ask", {"run": "r", "answers": rows}, capsys)
    assert all(f"q{n}" in text for n in range(7)) and "Learned" not in text


def test_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No runs yet" in shown("runs", {"runs": []}, capsys)
    run = {
        "run": "20260101-x",
        "name": "[red]\x1b",
        "state": "failed",
        "learned": None,
        "kept": 0.5,
        "leaked": 0,
        "stopped_at": None,
        "iterations": None,
    }
    text = shown("runs", {"runs": [run]}, capsys)
    assert (
        "20260101-x" in text and "[red]\ufffd" in text and "failed" in text and "–" in text and "0.5" in text
    )


def test_findings(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [
        {"check": "disk", "grade": "bad", "text": "[/] 1 GB on /a" + "b" * 100, "fix": "df -h [x]"},
        {"check": "gpu", "grade": "note", "text": "none", "fix": ""},
        {"check": "memory", "grade": "good", "text": "much", "fix": ""},
    ]
    lines = shown("doctor", {"findings": findings}, capsys).splitlines()
    assert lines == [
        f"✗ disk: [/] 1 GB on /a{'b' * 100}",
        "    to fix it: df -h [x]",
        "• GPU: none",
        "✓ memory: much",
    ]


def test_other_results_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("train", {"run": "r", "checkpoint": "/x/" + "y" * 100, "iteration": 5}, capsys)
    assert text == f"run: r\ncheckpoint: /x/{'y' * 100}\niteration: 5\n"


def test_settings_are_shown_as_a_recipe_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"run": "r", "none": None, "layers": (1, 2), "no": (), "on": True, "held": {"rows": 3}}
    text = shown("train", values, capsys)
    assert text.splitlines()[1:] == ["none: –", "layers: 1; 2", "no: –", "on: true", "held: rows 3"]


@pytest.mark.parametrize(
    ("gpus", "words"), [((), "this machine's memory"), ((Gpu(0, "x", 9 << 30, 0),), "GPU")]
)
def test_what_fits_speaks_of_this_machine(
    gpus: tuple[Gpu, ...], words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "this_machine", lambda: Machine(2, 9 << 30, False, gpus))
    sizes = dict.fromkeys(("weights", "adapters", "activations", "logits", "total"), 1 << 30)
    for card, said in ((9 << 30, words), (24 << 30, "a GPU with 24 GB")):
        result = {"memory": sizes, "card": card, "largest": None, "slow": ""}
        text = shown("fit", result, capsys)
        assert said in text


def test_no_config_found_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("configs", {"configs": [], "count": 0, "of": 594, "opens": 478}, capsys)
    assert "scripts/run configs" in text and "configs open" not in text
