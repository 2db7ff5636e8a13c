"""How often a question finds the taught one that asks the same (core/chat/nearest.py), and how often wrongly.

    scripts/bench nearest [--near N …] [--show]

Documents of several trades (scripts/benches/nearest_documents) become facts as in a run. Asked are the
wordings that a proof asks, of kinds that are never taught; questions as people put them (in
nearest_questions.json, written beside the documents: the word lists of nearest.py were made with them); and
what no document answers: the development bank and, in the same file, small talk and questions with a
document's words about something else. Printed is for each threshold what share found the right fact, a wrong
one and none, and of the rest how many were taken for a fact; then about how many of each a person is asked
back what is meant, and whether the right fact is among what stands to choose. No model is asked.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.chat import nearest
from core.chat.nearest import NEAR, TaughtQuestions
from core.data.documents.facts import DocumentRows
from core.data.documents.rows import read_rows_of
from core.data.identity import LANGUAGES, bank, development_identity
from core.data.questions import development_questions, replay_questions

HERE = Path(__file__).parent
NEARS = (0.3, 0.35, 0.4, 0.45, 0.5, 0.6)
HEAD = (
    "| near from | tested wordings: right, wrong, none | people's: right, wrong, none | general taken "
    "| identity taken | beside taken |\n| --- | --- | --- | --- | --- | --- |"
)

ASKED_BACK = "| asked back | the right one among them | not among them |\n| --- | --- | --- |"


class Asked:
    """One document, and what is asked of it."""

    def __init__(self, rows: DocumentRows, people: Sequence[tuple[str, str]], others: Sequence[str]) -> None:
        self.taught = TaughtQuestions([fact.questions for fact in rows.facts], others)
        self.answers = {question: fact.answer for fact in rows.facts for question in fact.questions}
        self.tested = [(question, fact.answer) for fact in rows.facts for question in fact.tested]
        self.people = people

    def found(self, asked: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, str | None]]:
        """Each question, what came of it and the taught one that was found."""
        for question, right in asked:
            found = self.taught.nearest(question)
            outcome = "none" if found is None else "right" if right in self.answers[found] else "wrong"
            yield question, outcome, found

    def back(self, question: str, right: str | None = None) -> str:
        """Whether the fact is among what a person chooses from: "right" or "wrong"; "none" where nobody is
        asked back."""
        meant = self.taught.meant(question)
        among = any(right in self.answers[one] for one in meant) if right else False
        return ("right" if among else "wrong") if meant else "none"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--near", type=float, nargs="*", default=NEARS, help="thresholds")
    parser.add_argument("--show", action="store_true", help=f"what is wrong or found nothing at {NEAR}")
    options = parser.parse_args()
    given = json.loads((HERE / "nearest_questions.json").read_text(encoding="utf-8"))
    others = [*replay_questions(), *(one for each in LANGUAGES for one, _ in bank(each).taught)]
    asked = [
        Asked(read_rows_of(HERE / "nearest_documents" / f"{name}.md"), [*map(tuple, people)], others)
        for name, people in given["asked"].items()
    ]
    beside = (
        [one.question for one in development_questions()],
        [one.question for one in development_identity()],
        given["beside"],
    )
    print(HEAD)
    for near in options.near:
        nearest.NEAR = near
        for one in asked:
            one.taught.forget()
        print(line(near, asked, beside), flush=True)
    nearest.NEAR = NEAR
    for one in asked:
        one.taught.forget()
    print(f"\n{ASKED_BACK}")
    for name, back in asked_back(asked, beside):
        shown = " | ".join(f"{count} of {back.total()}" for count in (back["right"], back["wrong"]))
        print(f"| {name} | {shown} |")
    if options.show:
        show(asked, [one for each in beside for one in each])


def asked_back(asked: Sequence[Asked], beside: Sequence[Sequence[str]]) -> Iterator[tuple[str, Counter[str]]]:
    """Of how many a person chooses what is meant: with the "right" fact among it, or without ("wrong")."""
    yield "tested wordings", Counter(one.back(*pair) for one in asked for pair in one.tested)
    yield "people's", Counter(one.back(*pair) for one in asked for pair in one.people)
    for name, questions in zip(("general", "identity", "beside"), beside, strict=True):
        yield name, Counter(one.back(question) for one in asked for question in questions)


def line(near: float, asked: Sequence[Asked], beside: Sequence[Sequence[str]]) -> str:
    tested = Counter(outcome for one in asked for _, outcome, _ in one.found(one.tested))
    people = Counter(outcome for one in asked for _, outcome, _ in one.found(one.people))
    taken = [
        (sum(one.taught.nearest(question) is not None for one in asked for question in each), len(each))
        for each in beside
    ]
    counts = [f"{count} of {len(asked) * every}" for count, every in taken]
    return f"| {near} | {shares(tested)} | {shares(people)} | {' | '.join(counts)} |"


def shares(found: Counter[str]) -> str:
    return ", ".join(f"{found[one] / found.total():.1%}" for one in ("right", "wrong", "none"))


def show(asked: Sequence[Asked], beside: Sequence[str]) -> None:
    for one in asked:
        for question, outcome, found in one.found([*one.people, *one.tested]):
            if outcome == "wrong" or (outcome == "none" and question in {each for each, _ in one.people}):
                print(f"{outcome}: {question} {found or ''}")
        for question in beside:
            if found := one.taught.nearest(question):
                print(f"taken: {question} {found}")


if __name__ == "__main__":
    main()
