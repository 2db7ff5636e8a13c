"""How each kind of thing that a document says is asked for: a price, a value, a cell, a list, hours, text.

Whoever reads the document keeps here under which heading it is.
"""

import re
from collections.abc import Sequence

from core.data.checking.first_person import says_who, speaks
from core.data.documents.amounts import states_price
from core.data.documents.bare_prices import ABOUT_PRICES, SUM
from core.data.documents.days import has_days, is_days, is_only_days
from core.data.documents.facts import Fact, NotAsked
from core.data.documents.lines import closed_in, is_label, pair, stated
from core.data.documents.rules import plainly, topics, yes_or_no
from core.data.documents.sentences import LONGEST_ANSWER, pieces, sentences_of, without
from core.data.documents.unlabelled import unlabelled
from core.data.documents.wordings import HAN, Wordings
from core.wording import say

# What costs nothing: "Tea: free"; "gluten free" is no price.
FREE = re.compile(r"(?:免费|free(?: of charge)?|complimentary|no charge)[.。]?", re.IGNORECASE)
TIME = re.compile(r"\d{1,2}\s?[:：]\s?\d{2}|\d\s?[ap]\.?m\b|\d\s?点", re.IGNORECASE)
# Quotation marks inside of some.
_INNER = re.compile(r"“([^“”]*)”")
_NUMBER_OF_PHONE = re.compile(r"\+?[\d(](?:[\s()/-]?\d){5,}")
# Of a person, not "ask at the desk until 5".
_NAME = re.compile(r"[^\W\d_][^\d\n,，。;；:：]{0,30}")
_PERSON = re.compile(rf"[A-Za-z]{{0,8}}[{HAN}]{{1,4}}[A-Za-z]{{0,8}}|(?:[A-Z][\w'’.-]*(?: |$)){{1,4}}")
_HELD = re.compile(r"押金|[定订]金|租金|[房月]租|\b(?:deposit|rent)\b", re.IGNORECASE)
# "Q:" before a question whose answer has no mark.
_CALL = re.compile(r"[打拨]|\b(?:call|ring|text)\b", re.IGNORECASE)
_ASKS = re.compile(r"^(?:Q|问)\s?\d*\s?[:：]\s*(?=\S)")


class Asker:
    """Makes the facts of a document; ``path``: the headings that it is under, the whole document's first;
    ``prices``: how many amounts of a currency it has."""

    def __init__(self, words: Wordings, title: str, prices: int = 0) -> None:
        self.words = words
        self.prices = prices
        self.path = [title]
        self.title = ""
        self.facts: list[Fact] = []
        self.unused: list[NotAsked] = []
        self.parts = 0
        self.of_prices: set[str] = set()  # headings

    @property
    def heading(self) -> str:
        return self.path[-1]

    @property
    def parents(self) -> bool:
        """Whether a heading says more than what the whole document is about."""
        return len(self.path) > 2

    @property
    def is_whole(self) -> bool:
        """Whether what stands here is of the whole document: "Which Noodle bar are there?" nobody asks."""
        return self.path in ([self.path[0]], [self.path[0], self.title])

    def add(
        self,
        questions: Sequence[str],
        answer: str,
        line: int,
        prose: bool = False,
        natural: Sequence[str] = (),
        tested: Sequence[str] = (),
        foreign: Sequence[str] = (),
        key: str = "",
        about: str = "",
        abroad: Sequence[str] = (),
    ) -> None:
        if not (answer := self._of_nobody(answer, line)):
            return
        if speaks(answer.replace(about, "") if about else answer):
            self.say(NotAsked(line, answer, say("document.unused.quoted")))
            answer = self.words.fill(self.words["quoted"], text=_INNER.sub("‘\\1’", answer))
        asked, more = (
            tuple(dict.fromkeys(_ASKS.sub("", one) for one in questions)),
            tuple(dict.fromkeys(natural)),
        )
        others = tuple(tested), tuple(foreign)
        self.facts.append(
            Fact(asked, answer, self.heading, line, prose, more, *others, key, about, tuple(abroad))
        )

    def _of_nobody(self, text: str, line: int) -> str:
        """A text without the sentences that say who the person is that speaks in it: whatever learns them
        takes itself for that person."""
        said = sentences_of(text)
        persons = [one for one in said if says_who(one)]
        for one in persons:
            self.say(NotAsked(line, one, say("document.unused.person")))
        return without(text, persons.__contains__) if persons else text

    def say(self, one: NotAsked) -> None:
        """Once, also where several facts would hold it."""
        if all(one.text != other.text for other in self.unused):
            self.unused.append(one)

    def _tested(self, kind: str, about: str, **values: str) -> list[str]:
        return self.words.tested(kind, about, len(self.facts), **values)

    def names(self, names: str, line: int) -> bool:
        """What there is under the heading; whether that is short enough to be an answer."""
        short = len(names) <= 2 * LONGEST_ANSWER
        if short:
            asked, words = {"heading": self.heading}, self.words
            answer = words.said("list_answer", **asked, value=names)
            kind = "list_whole" if self.is_whole else "list"
            # "What Ingredients do you have?" nobody asks either: only of a part of the document.
            more = words.natural(kind, "", names, **asked) if self.parents else ()
            tested = self._tested(kind, "", **asked)
            self.add(words.filled(kind, **asked), answer, line, natural=more, tested=tested)
        return short

    def hours(self, said: Sequence[str], line: int) -> bool:
        """All of the opening hours in one answer, where lines say them by days; whether they are all that the
        heading is about."""
        if told := self.by_days(said):
            self.prose(self.words["then"].join(said), line)
        elif len(open_on := [one for one in said if self._is_open(one)]) > 1:
            before, self.path = self.path, [*self.path, str(self.words["hours"])]
            parts, self.parts = self.parts, 0
            self.prose(self.words["then"].join(open_on), line)
            self.path, self.parts = before, parts
        return told

    def _is_open(self, line: str) -> bool:
        """Whether a line says of days when it is open, and its heading is of something else."""
        key, value = stated(line) or ("", "")
        return is_days(key) and self.words.hours_of(self.heading, value) == self.words["hours"]

    def by_days(self, said: Sequence[str]) -> bool:
        of_days = [one for one in said if is_days((pair(one) or ("", ""))[0])]
        return len(of_days) > 1 and self.words.is_of_hours(self.heading)

    def prose(self, text: str, line: int) -> None:
        """Text as it stands, asked for by its heading; a long one in parts."""
        for piece in pieces(self._of_nobody(text, line)):
            self.parts += 1
            what = self.heading
            if self.parts > 1:
                what = self.words["part"].format(heading=what, number=self.parts)
            # What is about this heading as people ask for it stands in its first part.
            # So does not what merely has a word of it in a document's title ("Bus 42 to the university").
            about = what if self.parts == 1 and (self.parents or is_label(what)) else ""
            more = self.words.natural("text", about, piece, heading=what)
            tested = self._tested("text", about, heading=what)
            answer = piece.rstrip("；;")  # the next part goes on with what it parts
            self.add(self.words.filled("text", heading=what), answer, line, True, more, tested)

    def price(self, key: str, value: str, line: int) -> None:
        """What something costs, or that it is free."""
        self.of_prices.add(self.heading)
        says_free = FREE.fullmatch(value.partition("，")[0])
        # Not "ask", "免费，客人另付 15", "add 10".
        plain = re.search(r"\d", value) and not says_free and not value.startswith(("add ", "plus "))
        answer = "free_answer" if FREE.fullmatch(value) else "price_answer" if plain else "value_answer"
        self._ask("price", answer, line, "", key=key, value=value.rstrip(".。"))

    def value(self, key: str, value: str, line: int, column: str = "") -> None:
        """What a line or a cell says of ``key``."""
        if self._is_price(key, value, column):
            self.price(key, value, line)
            return
        key, value = self._as_usual(key, value, column)
        on_a_day = is_days(key)
        if not column and on_a_day and self._is_of_a_part(value):
            key, value, column = self.heading, f"{key} {value}", str(self.words["times"])
        elif not column:
            key, column = self._of_column(key, value)
        if column:
            self._ask("cell", "cell_answer", line, column, key=key, column=column, value=value)
            return
        is_number = re.match(r"[^\w]*\d", value) or key == self.words["phone"]
        is_number = is_number or (_HELD.search(key) and re.search(r"\d", value))
        kind = "number" if is_number and not on_a_day else "value"
        kind = self._who(key, value) or kind
        self._ask(kind, "value_answer", line, key, key=key, value=value)

    def unlabelled(self, text: str, line: int, among_rules: bool = False) -> bool:
        """Ask for what everybody would label by that label; whether it is such."""
        if about := unlabelled(text, among_rules):
            self.value(str(self.words[about]), text, line)
        return about is not None

    def _is_price(self, key: str, value: str, column: str) -> bool:
        of_prices = ABOUT_PRICES.search(column or key) is not None
        if FREE.fullmatch(value.partition("，")[0]):
            return of_prices or not column
        if column:
            return of_prices and re.search(r"\d", value) is not None
        return states_price(value) and not of_prices and not is_label(key) and not SUM.search(key)

    def _as_usual(self, key: str, value: str, column: str) -> tuple[str, str]:
        """By the name that everybody has for it: "where: ...", "Ring Jan 07700 900142", "Mon-Fri 9-18, Sat
        10-14"."""
        if _CALL.search(key) and not is_label(key) and _NUMBER_OF_PHONE.fullmatch(value):
            return str(self.words["phone"]), f"{key} {value}"
        if not column and is_days(key) and has_days(value):
            return str(self.words["hours"]), f"{key} {value}"
        usual: dict[str, str] = self.words["usual"]
        return usual.get(key.lower(), key), value

    def _of_column(self, key: str, value: str) -> tuple[str, str]:
        """What is asked for ``key``, and of what: when it is open on a day ("Monday: 10 to 22", also under
        "Contact"), when something is, whose number a telephone's is."""
        if is_days(key):
            column = self.words.hours_of(self.heading, value, self.parents) if is_only_days(key) else ""
            known = self.words.is_of_times(column) or self.words.is_topic(column)
            if column == self.heading and not known:
                return self.words.fill(self.words["under"], heading=column, key=key), ""
            return key, column
        if is_label(key):
            return key, ""
        if self.parents and TIME.search(value) and self.words.is_of_times(self.heading):
            return key, self.heading
        is_number = _NUMBER_OF_PHONE.fullmatch(value) and self.words.is_of_phones(self.heading)
        return key, str(self.words["phone"]) if is_number else ""  # "Anna Berg: 0761 2011" under "Contact"

    def _days_off(self, key: str, value: str) -> list[str]:
        """Whether it is open on the days on which it is not, which opening hours say too."""
        days = value if key == self.words["closed"] else closed_in(value)
        known = days and (key == self.words["closed"] or self.words.is_of_hours(key))
        return [*yes_or_no(f"{days}休息"), *yes_or_no(f"closed on {days}")][:1] if known else []

    def _who(self, key: str, value: str) -> str:
        """The kind of what is asked of people: who is in a role ("Owner: Mary Poole"), who somebody is ("Ben
        Cole: exotics" under "Team"); empty for anything else."""
        if self.words.is_of_persons(key):
            return "person" if _NAME.fullmatch(value) else ""
        if not (self.words.are_persons(self.heading) and _PERSON.fullmatch(key)):
            return ""
        return "person" if value[:1].isascii() and _PERSON.fullmatch(value) else "named"

    def _is_of_a_part(self, value: str) -> bool:
        """Whether times are of what a heading names, a course, a room, and not of the whole document."""
        named = self.words.is_topic(self.heading) or self.words.is_of_times(self.heading)
        return self.parents and not named and self.words.hours_of(self.heading, value) == self.words["hours"]

    def _ask(self, kind: str, answer: str, line: int, about: str, **values: str) -> None:
        """A fact of a kind, in the wordings of that kind; ``about``: what people ask it for."""
        asked = {name: value for name, value in values.items() if name != "value"}
        more = self.words.natural(kind, about, values["value"], **asked)
        plain, said = self.words.filled(kind, **asked), self.words.said(answer, **values)
        plain += self._days_off(asked["key"], values["value"])
        if kind == "cell" and is_days(asked["key"]):
            plain += self.words.of_days(asked["key"], about)
        tested, foreign = self._tested(kind, about, **asked), self.words.foreign(kind, about, **asked)
        abroad = self.words.tested_abroad(kind, about, len(self.facts), **asked)
        short = kind in ("price", "cell") and not is_days(asked["key"])
        named = asked["key"] if short else ""  # what people have shorter names for
        self.add(
            plain, said, line, False, more, tested, foreign, key=named, about=asked["key"], abroad=abroad
        )

    def of(self, title: str, pairs: Sequence[tuple[str, str]], line: int) -> None:
        """What is said of ``title``, each by itself."""
        before, self.path = self.path, [*self.path, title]
        for key, value in pairs:
            self.value(key, value, line)
        self.path = before

    def sentences(self, items: Sequence[tuple[str, int]]) -> None:
        """Each item of a list of sentences by itself, beside the list as a whole."""
        asked_by: set[str] = set()
        for item, line in items:
            self.unlabelled(item, line, among_rules=True)
            topic = next((one for one in topics(item) if one not in asked_by), "")
            more = [*plainly(item)]
            if topic:
                asked_by.add(topic)
                # What stands below things and their prices is no word about these.
                of = self.title or self.path[0] if self.heading in self.of_prices else self.heading
                asked = {"heading": of, "topic": topic}
                plain, tested = self.words.filled("item", **asked), self._tested("item", "", **asked)
                more += self.words.natural("item", "", item, **asked)
                self.add(plain, item, line, natural=more, tested=tested)
            elif more:
                self.add(more, item, line)
            else:
                self.unused.append(NotAsked(line, item, say("document.unused.item")))
