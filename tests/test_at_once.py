"""Several people, or processes, who change the same file at once: none undoes what another did."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data.conversations import one_turn
from core.data.documents.files import Passage
from core.data.drafts import accept_new, decide, keep, read_drafts
from core.data.sets import SetPaths
from core.data.versions import make_set, read_set, rows_of
from core.errors import DamagedFile
from core.publish import tokens
from core.publish.places import read_places
from core.steps.answer import AnswerCache, PromptFormat
from core.workspace.files import change_record, read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace

PEOPLE, TIMES = 4, 12
# What each person does: ``who`` is 0, 1, 2 …, ``turn`` counts their times; ``folder`` is the workspace's.
BEGIN = """
import sys, time
from dataclasses import replace
from pathlib import Path
from core.workspace.paths import RunPaths, Workspace
from core.data.sets import SetPaths
folder, who = Path(sys.argv[1]), int(sys.argv[2])
workspace, place, run = Workspace(folder), SetPaths(folder / "sets" / "s"), RunPaths(folder / "runs" / "r")
"""
WAIT = """
(folder / f"ready{who}").touch()
while not (folder / "go").exists():
    time.sleep(0.001)
"""
DECIDES = """
from core.data.drafts import decide, read_drafts
mine = read_drafts(place)[who * 12:(who + 1) * 12]
def act(turn):
    decide(place, [replace(mine[turn], state="accepted")])
"""
KEEPS = """
from core.data.documents.files import Passage
from core.data.drafts import keep
def act(turn):
    text = f"{who} {turn} " + "x" * 20_000
    keep(place, Passage("d", 0, 0, 1, text), "m", [(f"q{who} {turn}", text)])
"""
GROWS = """
from core.data import making
from core.data.conversations import one_turn
def act(turn):
    making.grow(place, [one_turn(f"q{who} {turn}", "a")], "identity", {})
"""
PUBLISHES = """
from core.publish.request import PublishRequest
from core.publish.places import note
def act(turn):
    note(run, PublishRequest("adapter"), {"where": f"/{who}/{turn}"})
"""
SAYS_A_TOKEN = """
from core.publish import tokens
hub = ("huggingface", "modelscope", "openxlab", "")[who]
def act(turn):
    hub and tokens.keep(hub, f"{hub} {turn}")
"""
REMEMBERS = """
from core.steps import answer
answer.ask = lambda job, model, speech, asks, *rest: {a: answer.Answer("x", True) for a in asks}
memory = answer.AnswerCache(workspace, folder, answer.PromptFormat("default", "", "fp32"))
def act(turn):
    memory.ask(folder, [answer.Ask(f"q{who} {turn}", 8)], "cpu", print)
"""
RUN = f"""
for turn in range({TIMES}):
    act(turn)
"""


def at_once(folder: Path, what: str) -> None:
    """Everybody is ready before the first begins."""
    people = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN + what + WAIT + RUN, str(folder), str(who)],
            cwd=PROJECT,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        for who in range(PEOPLE)
    ]
    while not all((folder / f"ready{who}").exists() for who in range(PEOPLE)):
        assert all(person.poll() is None for person in people)
    (folder / "go").touch()
    for person in people:
        _, said = person.communicate(timeout=120)
        assert person.returncode == 0, said.decode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    found = tmp_path / "工作 区"
    make_set(Workspace(found), "s")
    return found


def place(folder: Path) -> SetPaths:
    return SetPaths(folder / "sets" / "s")


def drafts_of(folder: Path, count: int) -> SetPaths:
    found = place(folder)
    keep(found, Passage("d", 0, 0, 4, "text"), "m", [(f"q{n}", f"a{n}") for n in range(count)])
    return found


def accepted(folder: Path) -> int:
    return sum(draft.state == "accepted" for draft in read_drafts(place(folder)))


def kept_drafts(folder: Path) -> int:
    return len(read_drafts(place(folder)))


def rows(folder: Path) -> int:
    return len(rows_of(place(folder)))


def places(folder: Path) -> int:
    return len(read_places(RunPaths(folder / "runs" / "r")))


def answers(folder: Path) -> int:
    return len(AnswerCache(Workspace(folder), folder, PromptFormat("default", "", "fp32"))._all())


@pytest.mark.parametrize(
    ("what", "count"),
    [
        pytest.param(DECIDES, accepted, id="reviewers"),
        pytest.param(KEEPS, kept_drafts, id="makers of drafts"),
        pytest.param(GROWS, rows, id="growers of one data set"),
        pytest.param(PUBLISHES, places, id="publishers of one run"),
        pytest.param(REMEMBERS, answers, id="runs on one base model"),
    ],
)
def test_nobody_undoes_what_another_did(folder: Path, what: str, count: Callable[[Path], int]) -> None:
    drafts_of(folder, PEOPLE * TIMES if what == DECIDES else 0)
    at_once(folder, what)
    assert count(folder) == PEOPLE * TIMES


def test_tokens_of_several_hubs(folder: Path) -> None:
    at_once(folder, SAYS_A_TOKEN)
    assert [tokens.read(hub) for hub in ("huggingface", "modelscope", "openxlab")] == [
        f"{hub} {TIMES - 1}" for hub in ("huggingface", "modelscope", "openxlab")
    ]


def test_to_accept_what_is_new_leaves_what_was_decided_meanwhile(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = drafts_of(folder, 2)
    first, second = read_drafts(found)

    def slow(place: SetPaths) -> list[object]:
        seen = read_drafts(place)
        decide(place, [type(first)(**{**vars(first), "state": "dropped"})])  # somebody else, at this moment
        return list(seen)

    monkeypatch.setattr("core.data.drafts.read_drafts", slow)
    accept_new(found)
    assert [draft.state for draft in read_drafts(found)] == ["dropped", "accepted"]
    assert second.id in (read_json(found.review) or {})


def test_a_version_is_made_of_what_counts_now(folder: Path) -> None:
    at_once(folder, GROWS)
    made = read_set(place(folder))
    assert [version.rows for version in made.versions] == list(range(1, PEOPLE * TIMES + 1))
    assert one_turn("q0 0", "a") in rows_of(place(folder))


def test_what_is_no_json_is_not_written_over(tmp_path: Path) -> None:
    file = tmp_path / "file.json"
    file.write_text("{", encoding="utf-8")
    with pytest.raises(DamagedFile):
        change_record(file, lambda known: known | {"a": 1})
    assert file.read_text(encoding="utf-8") == "{"
