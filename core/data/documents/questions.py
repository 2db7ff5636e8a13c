"""The questions of all facts of a document together: none asks for two, and all are put in many manners."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from core.data.documents.facts import Fact
from core.data.documents.wordings import Wordings, in_turn, mixed, short_names
from core.data.mix import LEAST_OWN
from core.data.questions import same_question

# A fact is asked in so many wordings, of a few facts in up to so many; of very many in fewer, so that all of
# them come to no more than so many, but never in fewer than so many.
WORDINGS, MOST_WORDINGS, IN_ALL, FEWEST_WORDINGS = 36, 48, 1920, 8
# Of what is put together by chance some comes out twice.
TRIES = 4


def told_apart(facts: Sequence[Fact], words: Wordings) -> Iterator[Fact]:
    """The same question with two answers teaches neither: it then says under which heading it is asked, and
    what is still one question gets all its answers."""
    asking: dict[str, list[Fact]] = {}
    for fact in facts:
        for question in fact.questions:
            asking.setdefault(same_question(question), []).append(fact)
    made: dict[str, list[Fact]] = {}
    told = []
    for fact in facts:
        others = (one for question in fact.questions for one in asking[same_question(question)])
        if any(one.answer != fact.answer and one.heading != fact.heading for one in others):
            fact = _under_its_heading(fact, words)
        told.append(fact)
        made.setdefault(same_question(fact.questions[0]), []).append(fact)
    for fact in told:
        same = made[same_question(fact.questions[0])]
        if same[0] is fact:
            yield replace(fact, answer=words["then"].join(dict.fromkeys(one.answer for one in same)))


def _under_its_heading(fact: Fact, words: Wordings) -> Fact:
    """The fact as it is asked where another one is called the same: what it is about is the heading's."""
    named = words.fill(words["under"], heading=fact.heading, key=fact.about)

    def told(question: str) -> str:
        if fact.about and fact.about in question:
            return question.replace(fact.about, named, 1)
        return words.fill(words["under_all"], heading=fact.heading, question=question)

    asked, tested = (tuple(map(told, some)) for some in (fact.questions, fact.tested))
    return replace(fact, questions=asked, tested=tested, key="", tested_abroad=())


def wordings_of(facts: int) -> int:
    """In how many wordings each of so many facts is asked: of few in more, of very many in fewer."""
    most = max(WORDINGS, min(MOST_WORDINGS, LEAST_OWN // max(1, facts)))
    return max(FEWEST_WORDINGS, min(most, IN_ALL // max(1, facts)))


def asked_naturally(facts: Sequence[Fact], words: Wordings) -> Iterator[Fact]:
    """The facts with what else asks for them, and all of it in many manners: no question that asks for
    another fact too or that a proof asks, and :func:`wordings_of` each."""
    everywhere = Counter(
        question
        for fact in facts
        for question in {*map(same_question, (*fact.questions, *fact.natural, *fact.foreign))}
    )
    keys, wanted = [fact.key for fact in facts if fact.key], wordings_of(len(facts))
    taken = {
        *everywhere,
        *(same_question(one) for fact in facts for one in (*fact.tested, *fact.tested_abroad)),
    }
    more = []
    for fact in facts:
        known = {*map(same_question, fact.questions)}
        natural, foreign = (_alone(some, everywhere, known) for some in (fact.natural, fact.foreign))
        in_manners = words.in_manners((*fact.questions, *natural), fact.key, short_names(fact.key, keys))
        spoken = (one for one in islice(in_manners, TRIES * wanted) if _is_new(one, taken))
        more.append(mixed(natural, foreign, [*islice(spoken, max(0, wanted - len(known)))]))
    asked = in_turn([fact.questions for fact in facts], more, wanted * len(facts))
    for fact, questions in zip(facts, asked, strict=True):
        yield replace(fact, questions=tuple(questions), natural=(), foreign=())


def _alone(asked: Sequence[str], everywhere: Counter[str], known: set[str]) -> list[str]:
    """Those that ask for one fact only, and not as it is asked already."""
    found = {same_question(one): one for one in reversed(asked)}
    return [one for key, one in [*found.items()][::-1] if everywhere[key] == 1 and key not in known]


def _is_new(question: str, taken: set[str]) -> bool:
    """Whether nothing is asked so yet; from then on it is."""
    written = same_question(question)
    if written in taken:
        return False
    taken.add(written)
    return True
