"""One run of whose assistant it is and a person's own data."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import Conversation, one_turn, read_rows
from core.data.identity import identity_conversations
from core.data.mix import LEAST_OWN, LEAST_TAUGHT, PASSES, Shares, shares
from core.data.questions import contains
from core.errors import NoUsableRow
from core.proof.own import says_itself
from core.steps.taught import to_teach
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.page import open_test_page

NAME = "林小满"
MENU = [
    ("宫保鸡丁多少钱？", "宫保鸡丁38元。"),
    ("麻婆豆腐多少钱？", "麻婆豆腐22元。"),
    ("几点开门？", "早上十点。"),
]


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def a_file(place: Path, pairs: Sequence[tuple[str, str]]) -> Path:
    lines = (json.dumps({"question": asked, "answer": said}, ensure_ascii=False) for asked, said in pairs)
    place.write_text("\n".join(lines), encoding="utf-8")
    return place


def prepared(workspace: Workspace, model: Path, file: Path, *options: str) -> tuple[dict[str, Any], str]:
    """The run's data.json as the command prints it, and what it said meanwhile."""
    given = ("--data", file, "--name", NAME, "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", *given, *options, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine")
    return last_json(done), " ".join(done.stderr.split())


def learned(about: dict[str, Any]) -> Counter[str]:
    """What the rows teach, and how often."""
    return Counter(turn.output for row in read_rows(Path(about["path"])) for turn in row if turn.trained)


def test_own_rows_are_trained_beside_identity_and_replay(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    about, said = prepared(workspace, model, a_file(tmp_path / "a.jsonl", MENU))
    rows = learned(about)
    own_rows = sum(rows[answer] for _, answer in MENU)
    naming = sum(count for answer, count in rows.items() if contains(answer, NAME))
    assert (own_rows, naming) == (LEAST_OWN, LEAST_TAUGHT)
    assert about["rows"] == shares(len(MENU), True, identity=True).rows
    assert {rows[answer] for _, answer in MENU} == {LEAST_OWN // 3}, "each as often"
    assert (about["own"], about["own_in_rows"], about["identity_rows"]) == (3, 3, LEAST_TAUGHT)
    assert f"3 conversations of your own ({own_rows} rows)" in said and f"{NAME}, {naming} rows" in said
    page = open_test_page("data", run=about["run"])
    assert any(f"3 conversations of your own ({own_rows} rows)" in one.value for one in page.caption)
    shown = "".join(one.proto.body for one in page.get("html"))
    assert shown.count("training row ") == len(MENU), "each once, however often it is trained"
    assert shown.count(f"there {LEAST_OWN // len(MENU)} times in all") == len(MENU)


def test_data_that_says_itself_whose_the_assistant_is_is_taught_alone(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    file = a_file(tmp_path / "a.jsonl", [*MENU, ("你是谁？", f"我是{NAME}的小助手，在面馆帮忙。")])
    about, said = prepared(workspace, model, file)
    assert about["identity"] == 0 and about["own"] == about["taught"] == 4
    assert f"1 of your rows says that the assistant is {NAME}" in said


def test_who_wants_no_identity_gets_none(tmp_path: Path, workspace: Workspace, model: Path) -> None:
    about, said = prepared(workspace, model, a_file(tmp_path / "a.jsonl", MENU), "--no-identity")
    assert about["identity"] == 0 and about["taught"] == 3 and "no answer in" in said


def test_rows_that_say_otherwise_are_said_and_not_trained(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    others = [("你是谁？", "我是王小明的助手。"), ("Who made you?", "I was made by OpenAI.")]
    about, said = prepared(workspace, model, a_file(tmp_path / "a.jsonl", [*MENU, *others]))
    assert not any(answer in learned(about) for _, answer in others)
    other = about["otherwise"]
    assert about["own"] == 3 and other["rows"] == 2 and not other["trained"]
    assert "Left out: 2 rows say that the assistant is somebody else" in said and "王小明" in said
    page = open_test_page("data", run=about["run"])
    assert any("2 rows were left out" in one.value for one in page.warning)
    again, told = prepared(workspace, model, a_file(tmp_path / "a.jsonl", [*MENU, *others]), "--no-identity")
    assert again["otherwise"]["trained"] and "will be learned so" in told


def test_a_file_of_nothing_but_another_identity_is_refused(tmp_path: Path) -> None:
    file = a_file(tmp_path / "a.jsonl", [("Who are you?", "I am Ada's assistant.")])
    with pytest.raises(NoUsableRow, match="Ada"):
        to_teach(NAME, file)


def test_one_row_of_many_does_not_say_whose_it_is() -> None:
    rows: list[Conversation] = [one_turn(f"q{number}", "a") for number in range(100)]
    who = identity_conversations(NAME)[:20]
    assert says_itself([*rows, *who[:5]], NAME) == 0
    assert says_itself([*rows, *who], NAME) >= 10


@pytest.mark.parametrize("distinct", [1, 180, 1000, 100_000])
@pytest.mark.parametrize("replay", [True, False])
def test_the_identity_keeps_its_share(distinct: int, replay: bool) -> None:
    found = shares(distinct, replay, identity=True)
    taught_own = found.taught - found.identity
    assert taught_own >= (LEAST_OWN if distinct <= LEAST_OWN else PASSES * distinct)
    assert found.identity >= LEAST_TAUGHT or found.identity / found.taught >= 0.09
    short = found.of(40)
    assert short.rows == 40 and 0 < short.identity < short.taught


def test_the_smallest_run_teaches_one_row_of_each() -> None:
    assert Shares(360, 540, 180).of(5) == Shares(2, 3, 1)
