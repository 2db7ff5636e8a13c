"""A person's own facts in the proof: which are asked, and whether an answer states one.

A rule judges, not a model. An answer states a fact where it has every number and code of the taught answer
(the first three; those of the question do not count), however they are written (:mod:`core.proof.written`):
1,200, €1.200, 1 200 € and 1200, 3.5kg and 3.5 kg, 9pm and 21:00, 3 May and 5月3日, a phone number with and
without its dashes. Where there is none it has most of its words.
What is denied where the taught answer denies nothing is not stated.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from core.data.conversations import Conversation
from core.data.documents.facts import DocumentRows
from core.data.questions import SPACED, contains, same_question
from core.proof.rules import is_unknown, says_who, sentences, states_all
from core.proof.written import amounts_whole, in_one_way, without_groups

# So many facts are asked: of up to half as many tokens as a chain's other questions together.
FACTS_ASKED = 24
# Where the assistant speaks both languages, so many of a document's are asked in the other one, of few facts
# one of so many.
ASKED_ABROAD, ONE_OF = 4, 6
# Of a million rows so many are looked at: each costs a third of a millisecond.
LOOKED_AT = 500
# What is longer is no fact but a text, of which an answer would repeat only a part.
LONGEST_QUESTION, LONGEST_ANSWER = 300, 400
# Of a fact's numbers and of its words so many have to be said.
NUMBERS, ENOUGH = 3, 0.6

# Numbers, and what has to be said letter for letter: addresses of mail and of pages, codes.
_NUMBER = re.compile(
    r"[a-z\d_.+-]+@[a-z\d-]+(?:\.[a-z\d-]+)+|(?:https?://|www\.)[^\s?,;。]*[a-z\d/]"
    r"|(?<![a-z\d])[a-z\d]*[a-z]\d[a-z\d]*|\d+(?:[.,:]\d+)*"
)
_PHONE = re.compile(r"\d{7}")
_PART = re.compile(r"(?<!\d)[,;:]|[,;:](?!\d)")
_WORD = re.compile(rf"{SPACED}+|[^\W\d_]+")
_SPACED_WORD = re.compile(f"{SPACED}+")
# What has a word of denial and denies nothing: in English the word says nothing either.
_NO_DENIAL = re.compile(
    r"\b(?:no (?:problems?|worries|doubt|wonder|matter)|not (?:only|just|merely)|why not)\b"
    r"|\bwithout (?:doubt|fail)\b",
    re.I,
)
_NO_DENIAL_ZH = re.compile("没有?问题|没关系|毫?无疑问?|无论|[不没](?:客气|仅|但|只|光|过|错|同|论|管|断|久)")
_AGREES, _BARE_NO = re.compile(r"\W*(?:yes|yeah|yep|sure|certainly|of course(?! not))\b", re.I), {"no"}
_DENIES = re.compile(r"\b(?:no|not|never|none|nobody|nothing|cannot|without|\w+n't)\b|[不没无未勿]", re.I)
# Words that stand in any answer.
_COMMON_WORDS = (
    "the and are was were is am be been being for with that this these those you your our his her its it "
    "they them their can will would could should may has have had does did from into than then there here "
    "when which who what how also all any some one very more most about please"
)
_COMMON = frozenset(_COMMON_WORDS.split())

Thing = TypeVar("Thing")


@dataclass(frozen=True)
class OwnFact:
    """A question about a person's own data and the answer that is taught. ``held_back``: the question itself
    is not taught, only others for the same answer. ``system``: the system prompt that it is taught with."""

    question: str
    answer: str
    held_back: bool = False
    system: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def facts_of(document: DocumentRows, both: bool = True) -> tuple[OwnFact, ...]:
    """Some facts of each part of a document, each asked in a kind of wording that no fact is taught in; what
    the document itself asks is asked as it stands. Of an assistant that speaks ``both`` languages a few are
    asked in the one that the document is not written in."""
    taught = {same_question(question) for fact in document.facts for question in fact.questions}
    tested = Counter(question for fact in document.facts for question in {*map(same_question, fact.tested)})
    parts: dict[tuple[str, bool], list[OwnFact]] = {}
    for fact in document.facts:
        alone = (one for one in fact.tested if tested[same_question(one)] == 1)  # no other fact answers it
        question = next((one for one in alone if same_question(one) not in taught), "")
        part = parts.setdefault((fact.heading, fact.prose), [])
        part.append(OwnFact(question or fact.questions[0], fact.answer, bool(question)))
    looked_at = _of_each([*map(_short, parts.values())], LOOKED_AT)
    asked = [one for part in _of_each([*map(_able, looked_at)], FACTS_ASKED) for one in part]
    return _some_abroad(asked, document, taught) if both else tuple(asked)


def _some_abroad(
    asked: Sequence[OwnFact], document: DocumentRows, taught: Collection[str]
) -> tuple[OwnFact, ...]:
    """Those that are asked, a few of them in the other language where they can be."""
    every = Counter(same_question(one) for fact in document.facts for one in fact.tested_abroad)
    abroad = {
        fact.answer: one
        for fact in document.facts
        for one in reversed(fact.tested_abroad)
        if every[same_question(one)] == 1 and same_question(one) not in taught
    }
    able = [
        place
        for place, one in enumerate(asked)
        if one.held_back and one.answer in abroad and states(abroad[one.answer], one.answer, one.answer)
    ]
    chosen = {*_spread(able, min(ASKED_ABROAD, len(asked) // ONE_OF))}
    return tuple(
        replace(one, question=abroad[one.answer]) if place in chosen else one
        for place, one in enumerate(asked)
    )


def facts_in(rows: Sequence[Conversation], name: str) -> tuple[OwnFact, ...]:
    """Some questions of a person's own rows, as they are taught; none that asks who the assistant is, whose
    ``name`` is known."""
    firsts = {
        same_question(first.input): OwnFact(first.input, first.output, system=first.system)
        for first, *_ in rows
        if first.trained and first.input.strip()
    }
    asking = [one for one in _looked_at([*firsts.values()]) if not says_who(name, one.answer)]
    return tuple(_spread(_able(asking), FACTS_ASKED))


def _looked_at(found: Sequence[OwnFact]) -> list[OwnFact]:
    """``LOOKED_AT`` of those short enough, from the first to the last."""
    return _spread(_short(found), LOOKED_AT)


def _short(found: Sequence[OwnFact]) -> list[OwnFact]:
    return [
        one for one in found if len(one.question) <= LONGEST_QUESTION and len(one.answer) <= LONGEST_ANSWER
    ]


def _able(found: Sequence[OwnFact]) -> list[OwnFact]:
    """Those that the rule can tell."""
    return [one for one in found if states(one.question, one.answer, one.answer)]


def _of_each(parts: Sequence[Sequence[OwnFact]], count: int) -> list[list[OwnFact]]:
    """``count`` of them by part: of each part one, of larger ones more; of some parts, where there are
    more."""
    parts = _spread([part for part in parts if part], count)
    shares = [1] * len(parts)
    while sum(shares) < min(count, sum(map(len, parts))):
        more = [place for place, part in enumerate(parts) if shares[place] < len(part)]
        shares[min(more, key=lambda place: shares[place] / len(parts[place]))] += 1
    return [_spread(part, share) for part, share in zip(parts, shares, strict=True)]


def _spread(found: Sequence[Thing], count: int) -> list[Thing]:
    count = min(count, len(found))
    return [found[place * len(found) // count] for place in range(count)]


def states(question: str, answer: str, said: str) -> bool:
    """Whether what was ``said`` to a question states the fact that its taught ``answer`` does."""
    texts = [in_one_way(one) for one in (question, answer, said)]
    _, fact, told = texts
    if told.says_half or not fact.says_half:
        ways = [[one.clock for one in texts]]
    else:  # "8:30 to 6" of what is open from 8:30am to 6pm
        ways = [[one.text for one in texts], [one.clock for one in texts]]
    ways += [whole for way in ways if (whole := [*map(amounts_whole, way)]) != way]
    if any(_states(*way) for way in ways):
        return True
    joined = [without_groups(one.clock) for one in texts]
    return _PHONE.search(joined[1]) is not None and _states(*joined)


def _states(question: str, answer: str, said: str) -> bool:
    asked, fact = question.lower(), answer.lower()
    known = set(_NUMBER.findall(asked))
    numbers = [one for one in dict.fromkeys(_NUMBER.findall(fact)) if one not in known][:NUMBERS]
    if numbers:
        denied = not _denies(answer, numbers) and _denies(said, numbers)
        return states_all(question, numbers, said) and not denied
    fact, told = (_NO_DENIAL.sub(" ", text) for text in (fact, said.lower()))
    words = {*_words(fact)} - {*_words(asked)}
    if not words:
        return contains(said, answer)
    if words == _BARE_NO and _AGREES.match(told):
        return False
    in_each = [(one, words.intersection(_words(one))) for one in sentences(told)]
    denied = any(found and _has_denial(one) for one, found in in_each)
    found = set().union(*(found for _, found in in_each))
    return len(found) >= ENOUGH * len(words) and denied == _has_denial(fact)


def _has_denial(text: str) -> bool:
    return _DENIES.search(_NO_DENIAL_ZH.sub(" ", _NO_DENIAL.sub(" ", text))) is not None


def _denies(text: str, numbers: Sequence[str]) -> bool:
    """Whether a number is denied in its part of a sentence, or the sentence says that nobody knows."""
    wanted = {*numbers}
    for sentence in sentences(text.lower()):
        if wanted.intersection(_NUMBER.findall(sentence)) and is_unknown(sentence):
            return True
        for part in _PART.split(sentence):
            if wanted.intersection(_NUMBER.findall(part)) and _has_denial(part):
                return True
    return False


def _words(text: str) -> Iterator[str]:
    """Words, and of a script without spaces pairs of characters."""
    for word in _WORD.findall(text):
        if _SPACED_WORD.fullmatch(word):
            if word not in _COMMON and len(word) > 1:
                yield word
        elif len(word) == 1:
            yield word
        else:
            yield from (word[place : place + 2] for place in range(len(word) - 1))
