"""Mixing what is taught with what is replayed."""

import pytest

from core.data.conversations import Conversation, Turn, one_turn
from core.data.mix import LEAST_REPLAYED, LEAST_TAUGHT, PASSES, Shares, in_even_batches, mix, shares
from core.data.replay import questions_to_ask, replay_conversations

TAUGHT = [one_turn(f"who {number}", "Ada") for number in range(7)]
REPLAY = [one_turn(f"what {number}", "so") for number in range(5)]


def count(rows: list[Conversation], answer: str) -> int:
    return sum(row[0].output == answer for row in rows)


@pytest.mark.parametrize(
    ("distinct", "replay", "expected"),
    [
        (1, True, Shares(LEAST_TAUGHT, LEAST_REPLAYED)),
        (1, False, Shares(LEAST_TAUGHT + LEAST_REPLAYED, 0)),
        (1000, True, Shares(int(PASSES * 1000), int(PASSES * 1000))),
        (800, True, Shares(int(PASSES * 800), int(PASSES * 800))),
    ],
)
def test_shares(distinct: int, replay: bool, expected: Shares) -> None:
    assert shares(distinct, replay) == expected


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 40, 16384])
def test_a_proportion_keeps_something_to_teach(rows: int) -> None:
    part = Shares(200, 600).of(rows)
    assert part.rows == rows and part.taught >= 1
    assert Shares(800, 0).of(rows) == Shares(rows, 0)


def test_each_side_is_repeated_evenly() -> None:
    rows = mix(TAUGHT, REPLAY, Shares(20, 11), "", seed=3)
    assert (len(rows), count(rows, "Ada"), count(rows, "so")) == (31, 20, 11)
    assert {rows.count(row) for row in TAUGHT} == {2, 3} and {rows.count(row) for row in REPLAY} == {2, 3}
    assert rows == mix(TAUGHT, REPLAY, Shares(20, 11), "", seed=3)
    assert rows != mix(TAUGHT, REPLAY, Shares(20, 11), "", seed=4)


def test_nothing_to_replay() -> None:
    assert count(mix(TAUGHT, [], Shares(5, 15), "", seed=1), "Ada") == 20


def test_a_system_prompt_goes_before_what_has_none() -> None:
    own = (Turn("q", "a", "mine"), Turn("q", "a"))
    rows = mix([*TAUGHT, own], [], Shares(8, 0), "Be kind.", seed=1)
    assert {row[0].system for row in rows} == {"Be kind.", "mine"} and own in rows


def test_batches_are_of_similar_length_and_nothing_is_lost() -> None:
    rows = [one_turn("q", "x" * (number * 7 % 64)) for number in range(130)]

    def length(row: Conversation) -> int:
        return len(row[0].output)

    def padding(ordered: list[Conversation]) -> int:
        batches = [list(map(length, ordered[i : i + 4])) for i in range(0, len(ordered), 4)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    even = in_even_batches(rows, [*map(length, rows)], 4, seed=1)
    assert sorted(map(length, even)) == sorted(map(length, rows))
    assert padding(even) < padding(rows) / 4
    firsts = [length(row) for row in even[::4]]
    assert firsts != sorted(firsts) and firsts != sorted(firsts, reverse=True)


def test_questions_come_in_both_languages_whatever_the_count() -> None:
    for count_asked in (2, 100):
        asked = questions_to_ask([], count_asked, seed=5)
        chinese = [question for question in asked if any("\u4e00" <= c <= "\u9fff" for c in question)]
        assert len(asked) == count_asked == 2 * len(chinese) == len({*asked})
    assert questions_to_ask([], 50, seed=5) == questions_to_ask([], 100, seed=5)[:50]
    assert questions_to_ask([], 50, seed=6) != questions_to_ask([], 50, seed=5)


def test_half_a_character_and_empty_answers_are_not_replayed() -> None:
    rows = replay_conversations({"a": "好的\ufffd\ufffd", "b": " \ufffd", "c": "yes"})
    assert rows == [one_turn("a", "好的"), one_turn("c", "yes")]
