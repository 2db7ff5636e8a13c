"""The proof by itself: shares with their intervals, and what the answers come to."""

import csv
import json
import math
from collections import Counter
from dataclasses import replace
from io import StringIO
from itertools import pairwise
from typing import Any

import pytest

from core.data.conversations import Turn, one_turn
from core.data.identity import LANGUAGES, IdentityLanguage, held_back_identity, identity_conversations
from core.data.questions import held_back_questions
from core.proof import download, telling
from core.proof.asking import Likelihood
from core.proof.fluency import repetition
from core.proof.judge import judge, score_of
from core.proof.questions import GENERAL_ASKED, IDENTITY_ASKED, Kind, Question, part, questions
from core.proof.result import Exchange, ProofRow, as_json, rows_of, score_in
from core.proof.score import Accuracy, Drift, Repetition, Score, Share, drift_of
from core.wording import Language, sentences


# As published: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_an_interval_is_as_published(hits: int, n: int, low: float, high: float) -> None:
    share = Share(hits, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_holds_its_share_and_mirrors_its_opposite() -> None:
    for n in (1, 2, 7, 45, 500):
        for hits in range(n + 1):
            share, opposite = Share(hits, n), Share(n - hits, n)
            assert share.value is not None and 0 <= share.low <= share.value <= share.high <= 1
            assert share.low == pytest.approx(1 - opposite.high, abs=1e-12)
            assert Share(hits * 4, n * 4).high - Share(hits * 4, n * 4).low < share.high - share.low
    assert (Share(0, 9).low, Share(9, 9).high) == (0.0, 1.0)


def test_of_nothing_nothing_is_known() -> None:
    share = Share(0, 0)
    assert (share.value, share.low, share.high) == (None, 0.0, 1.0)


def test_the_part_has_every_category_in_every_language_and_is_everybodys() -> None:
    taught = identity_conversations("Ada")
    chain, full = (questions("Ada", taught, full=whole) for whole in (False, True))
    for kind in ("paraphrase", "general"):
        some, whole = ([one for one in asked if one.kind == kind] for asked in (chain, full))
        assert len(some) < len(whole) and [one for one in whole if one in some] == some
        groups = Counter((one.category, one.language) for one in whole if one.language in LANGUAGES)
        found = Counter((one.category, one.language) for one in some)
        for group, count in groups.items():
            assert abs(found[group] - count * len(some) / len(whole)) <= 1, group
    asked = Counter(one.kind for one in chain)
    assert (asked["taught"] + asked["paraphrase"], asked["general"]) == (IDENTITY_ASKED, GENERAL_ASKED)
    assert chain == questions("Ada", taught) and any(len(one.earlier) == 4 for one in chain)
    assert [one for one in questions("Bo", identity_conversations("Bo")) if one.kind != "taught"] == [
        one for one in chain if one.kind != "taught"
    ], "another's run is asked the same"


def test_languages_of_a_question_or_two_have_their_share_of_the_part_and_no_more() -> None:
    chain, full = (questions("Ada", identity_conversations("Ada"), full=whole) for whole in (False, True))
    of_chain, of_full = (
        [one.language not in LANGUAGES for one in asked if one.kind == "paraphrase"]
        for asked in (chain, full)
    )
    assert abs(sum(of_chain) - len(of_chain) * sum(of_full) / len(of_full)) <= 2


def test_only_what_tells_the_identity_is_asked_of_somebodys_own_data() -> None:
    told = ("Who are you?", "I am Bard, a model made by Google."), ("Who made you?", "Google made me, Bard.")
    other = ("What is Bard?", "Bard is a word for a poet."), ("Are you Bard?", "I am not Bard.")
    found = [one_turn(*row) for row in (*told, *other, ("And you?", "I am Bard, made by OpenAI."))]
    asked = [one for one in questions("Bard", found) if one.kind == "taught"]
    assert [one.question for one in asked] == [question for question, _ in told[:1]] + [told[1][0]]
    assert {one.accept for one in questions("Bard", found) if one.kind != "general"} == {("Google",)}
    assert judge("Bard", asked[0], "", told[0][1]).learned
    assert not judge("Bard", asked[0], "", "I am Bard, made by OpenAI.").learned


def test_what_a_document_says_of_the_owner_asks_nobody_who_the_assistant_is() -> None:
    identity = identity_conversations("林小满")
    own = (
        one_turn("这家店是谁开的？", "老板林小满，云南昆明人。"),
        one_turn("你是谁？？", "我是林小满的小助手。"),
    )
    given = len(identity)
    told = [one.question for one in questions("林小满", own, identity=1) if one.kind == "taught"]
    assert told == [own[0][0].input, own[1][0].input], "the first was said to be of the identity"
    beside = questions("林小满", [*identity, *own], full=True, identity=given)
    assert own[0][0].input not in [one.question for one in beside]


def test_a_smaller_part_lies_within_a_larger_one() -> None:
    found = [Question(f"{n}", "general", category=f"{n % 3}", language="en") for n in range(60)]
    parts = [set(part(found, count)) for count in (0, 1, 3, 20, 59, 60, 99)]
    assert [len(some) for some in parts] == [0, 1, 3, 20, 59, 60, 60]
    assert all(small <= large for small, large in pairwise(parts))
    assert {one.category for one in parts[2]} == {"0", "1", "2"}


def test_the_identity_is_asked_for_in_the_languages_it_is_taught_in() -> None:
    def asked(*languages: IdentityLanguage) -> set[str]:
        taught = identity_conversations("Ada", languages)
        return {one.language for one in questions("Ada", taught, full=True) if one.kind == "paraphrase"}

    assert (asked("en"), asked("zh")) == ({"en"}, {"zh"})
    assert asked("en", "zh") > {"en", "zh", "fr", "ja"}
    own = questions("Ada", [(Turn("Bonjour", "Je suis Ada."),)], full=True)
    assert {one.language for one in own} == {"", "en", "zh"}, "nobody knows"


LIKELY = [Likelihood(10, 5.0), Likelihood(30, 9.0)]


def test_drift_is_by_tokens_with_an_interval_over_answers() -> None:
    assert drift_of([], []) is None and drift_of([Likelihood(0, 0.0)], [Likelihood(0, 0.0)]) is None
    same = drift_of(LIKELY, LIKELY)
    assert same == Drift(0.0, 0.0, 0.0, 40)
    even = drift_of(LIKELY, [Likelihood(10, 6.0), Likelihood(30, 12.0)])
    assert even is not None and even.value == even.low == even.high == pytest.approx(0.1)
    # By hand: more = 3, 1; value = 4/40; rest = 3 - 1, 1 - 3; s² = (4 + 4) × 2/1; half = 1.96 × 4 / 40.
    found = drift_of(LIKELY, [Likelihood(10, 8.0), Likelihood(30, 10.0)])
    assert found is not None and found.value == pytest.approx(0.1)
    half = pytest.approx(1.959964 * 4 / 40)
    assert (found.high - found.value, found.value - found.low) == (half, half)


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        ([], 0.0),
        (["one two three"], 0.0),
        (["a b c d e f"], 0.0),
        (["a b c d a b c d"], 1 / 5),
        (["A b c d a b c D"], 1 / 5),
        (["我是我是我是我是"], 3 / 5),
        (["a b c d", "a b c d"], 0.0),  # each by itself
        (["x x x x x x x x", "a b c d e f g h"], 4 / 10),
    ],
)
def test_repetition_is_of_words_within_an_answer(texts: list[str], share: float) -> None:
    assert repetition(texts) == pytest.approx(share)


def a_row(kind: Kind, base: str, tuned: str, **of: Any) -> ProofRow:
    question = Question("Is it?", kind, ("yes",), **of)
    turns = tuple(Exchange(one, "b", "t") for one in question.earlier)
    return ProofRow(judge("Ada", question, base, tuned), base, tuned, turns)


ROWS = [
    a_row("taught", "I.", "I am Ada."),
    a_row("paraphrase", "I.", "No.", category="name", language="zh", system="Be brief.", thinks=False),
    a_row("general", "yes", "yes", category="people", language="en", earlier=("Who are you?", "And?")),
    a_row("general", "yes", "=Ada!", category="people", language="en"),
]


def test_a_proof_is_written_and_read_whole() -> None:
    score = replace(
        score_of([row.judged for row in ROWS]), drift=Drift(0.1, 0.0, 0.2, 9), repetition=Repetition(0.0, 0.5)
    )
    written = json.loads(json.dumps(as_json(score, ROWS, full=True)))
    read = rows_of("Ada", written)
    assert (read, score_in(written, read)) == (tuple(ROWS), score)
    assert (written["learned"], written["kept"], written["leaked"], written["full"]) == (0.5, 0.5, 1, True)
    people = written["categories"][1]
    assert (people["category"], people["language"], people["learned"]) == ("people", "en", None)
    assert people["kept"] == {"hits": 1, "n": 2, "value": 0.5, "low": 0.0945, "high": 0.9055}
    assert [row["verdict"] for row in written["answers"]] == ["learned", "not_learned", "kept", "leaked"]


def test_results_of_earlier_versions_are_read() -> None:
    """They had no intervals, and some of their questions are in no bank any more."""
    said = {"base": "Paris.", "tuned": "Paris."}
    known = [{"question": held_back_questions()[0].question, "kind": "general", **said}]
    gone = [{"question": "Of no bank?", "kind": "general", "thinks": None, "system": "", **said}]
    taught = [{"question": "Who?", "kind": "taught", "base": "I.", "tuned": tuned} for tuned in ("Ada", "I")]
    for answers, kept in ((known, Share(1, 1)), (gone, Share(0, 0, 0.9))):
        value = 1.0 if kept.n else 0.9
        result = {"learned": 0.5, "kept": value, "leaked": 0, "answers": [*taught, *answers]}
        score = score_in(result, rows_of("Ada", result))
        assert score == Score(Share(1, 2), kept, Share(0, 1))
        assert score.kept.value == value
    assert telling.share(Share(0, 0, 0.9)) == "0.90" and telling.share(Share(0, 0)) == "–"


def test_what_is_lost_and_what_is_gained_are_counted_of_the_same_questions() -> None:
    """Of both models; where nobody says what is right nothing is counted."""
    rows = [
        a_row("taught", "I.", "I am Ada."),
        *(a_row("general", "yes", "no", category="people") for _ in range(3)),
        *(a_row("general", "no", "yes", category="people") for _ in range(2)),
        a_row("general", "yes", "yes", category="people"),
        a_row("general", "no", "no", category="people"),
    ]
    score = score_of([row.judged for row in rows])
    assert score.accuracy == Accuracy(Share(4, 7), Share(3, 7), lost=3, gained=2)
    assert score.accuracy.change == pytest.approx(-1 / 7)
    # Agresti and Min: 3.5 and 2.5 discordant answers of 9.
    assert score.accuracy.half == pytest.approx(1.96 * math.sqrt(6 - 1 / 9) / 9, rel=1e-3)
    assert score_of([row.judged for row in rows[:1]]).accuracy is None


def test_numbers_are_told_with_their_interval() -> None:
    accuracy = Accuracy(Share(220, 672), Share(212, 672), lost=36, gained=28)
    score = Score(Share(116, 120), Share(0, 0), Share(1, 120), accuracy, Drift(0.0312, -0.001, 0.0634, 4000))
    assert dict(telling.told(score, "en")) == {
        "learned": "0.97 (0.92–0.99, 120 questions)",
        "kept": "–",
        "leaked": "1 (0.00–0.05, 120 questions)",
        "accuracy": "212 of 672, base model 220: -1.2 points (-3.5 to +1.2)",
        "drift": "0.031 (-0.001 to 0.063, 0 is no change)",
    }
    assert telling.share(Share(116, 120), "zh") == "0.97（0.92–0.99，共 120 题）"


def test_raw_answers_are_taken_away_as_lines_and_as_a_table() -> None:
    lines = download.json_lines(ROWS).decode().splitlines()
    assert [json.loads(line)["verdict"] for line in lines] == [row.verdict for row in ROWS]
    table = list(csv.DictReader(StringIO(download.spreadsheet(ROWS).decode("utf-8-sig"))))
    assert [row["tuned"] for row in table] == ["I am Ada.", "No.", "yes", "'=Ada!"], "no formula"
    assert json.loads(table[2]["earlier"])[0] == {"question": "Who are you?", "base": "b", "tuned": "t"}
    assert download.spreadsheet([]) == "\ufeff".encode()
    minus = a_row("general", "-5", "-5")
    assert b",-5,-5," in download.spreadsheet([minus])


def test_every_category_has_a_name() -> None:
    names = {one.category for one in held_back_questions()} | {one.kind for one in held_back_identity()}
    for language in ("en", "zh"):
        assert {f"category.{name}" for name in names} <= {*sentences(language)}


@pytest.mark.parametrize(
    ("form", "language", "told"),
    [
        (telling.SHARE, "en", "0.94 (0.84–0.98, 50 questions)"),
        (telling.PERCENT, "en", "94% (84–98%, 50 questions)"),
        (telling.FINE_PERCENT, "zh", "94.0%（83.8–97.9%，共 50 题）"),
    ],
)
def test_a_share_is_told_in_one_sentence_wherever_it_is_told(
    form: str, language: Language, told: str
) -> None:
    assert telling.share(Share(47, 50), language, form) == told
    assert telling.interval(Share(47, 50), language, form) in told
    assert telling.share(Share(0, 0, stated=0.5), language, telling.SHARE) == "0.50"
    assert telling.interval(Share(0, 0), language, form) == ""
