"""Questions and answers made of a document's own structure, without anybody's model.

What a list says of a dish, a table's cell, a line ``Opening hours: 10 to 22``, a question with its answer and
the text below a heading each become a fact, and a fact is asked in several wordings. Nothing is made up:
every answer is the document's own words. What cannot be asked for is listed, not passed over.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from core.data.checking.first_person import says_who, speaks
from core.data.conversations import Conversation, one_turn
from core.data.documents.files import read_markdown
from core.data.documents.lines import (
    LONGEST_KEY,
    at_a_time,
    is_days,
    is_label,
    looks_like_several,
    pair,
    says_amount,
    several,
    stated,
    statements,
    states_price,
    with_bare_price,
)
from core.data.documents.markdown import as_markdown
from core.data.documents.rules import is_of_sentences, topics, yes_or_no
from core.data.documents.wordings import HAN, Wordings, in_turn, mixed, short_names, usual_title, wordings_for
from core.data.drafts import language_of, pairs_in
from core.data.identity import IdentityLanguage
from core.data.mix import LEAST_TAUGHT
from core.data.questions import same_question
from core.data.text_data import is_data
from core.errors import NotADocument
from core.wording import say

# Of a longer text every part of about so many characters is a fact of its own.
LONGEST_ANSWER = 220
# A fact is asked in so many wordings, of a few facts in up to so many; of very many in fewer, so that all of
# them come to no more than so many, but never in fewer than so many.
WORDINGS, MOST_WORDINGS, IN_ALL, FEWEST_WORDINGS = 36, 48, 1920, 8
# Of what is put together by chance some comes out twice.
TRIES = 4
# A longer line may go on in the next one.
LONGEST_LINE = 60
# A shorter line of Chinese ended where its writer ended it.
WRAPPED = 20
# Ends of file names.
TEXTS = {".md", ".markdown", ".txt"}
DOCUMENTS = {*TEXTS, ".pdf", ".docx"}
# A text of more bytes is data: nobody's menu is as long as four novels, and to take it for Markdown costs a
# second a megabyte.
LARGEST_TEXT = 3_000_000
# A text in more parts to a heading than this is no document: nobody asks for its part 37.
MOST_PARTS = 12
# What costs nothing: "Tea: free"; "gluten free" is no price.
_FREE = re.compile(r"(?:免费|free(?: of charge)?|complimentary|no charge)[.。]?", re.IGNORECASE)
_TIME = re.compile(r"\d{1,2}\s?[:：]\s?\d{2}|\d\s?[ap]\.?m\b|\d\s?点", re.IGNORECASE)
_ABOUT_PRICES = re.compile(r"price|cost|\bfees?\b|价|费|多少钱", re.IGNORECASE)
_SENTENCE = re.compile(
    r"(?<=[。！？；])|(?<=[.!?;])\s+|\n|(?<=[\u4e00-\u9fff)）”\"][.!?;])(?=[\u4e00-\u9fff])"
)
# Quotation marks inside of some.
_INNER = re.compile(r"“([^“”]*)”")
LISTS = {"bullet_list", "ordered_list"}
# "Ingredients:" above a list says what of; it is no text of its own.
_ENDS_IN_COLON = re.compile(rf"[^\n?？]{{1,{LONGEST_KEY}}}[:：] *")
# What an amount is of that nobody can buy.
_SUM = re.compile(
    r"\b(?:balance|budget|income|revenue|turnover|salary|wages?|deposit|debts?|savings|funds?|profit|loss|donations?"
    r"|fines?|total|sum|expenses?|dates?|deadline|time)\b"
    r"|\brent|utilities|租金|房租|月租|水电|首付|余额|结余|预算|收入|营业额|工资|薪资|薪水|押金|定金|订金|欠款|存款|利润|捐款|罚款|合计|总计|支出|日期|时间",
    re.IGNORECASE,
)
_NUMBER_OF_PHONE = re.compile(r"\+?[\d(](?:[\s()/-]?\d){5,}")
# A cell that says nothing.
_NOTHING = re.compile(r"\s*(?:[-–—−/\\.…]+|n\.?/?a\.?|tb[ad]|待定)?\s*", re.IGNORECASE)
_YES, _NO = re.compile(r"\s*[✓✔☑✅√]\ufe0f?\s*"), re.compile(r"\s*(?:[✗✘❌×☒]\ufe0f?|[-–—−xX])\s*")
_HASH = re.compile(r"[0-9a-f]{32,}")
# "Q:" before a question whose answer has no mark.
_ASKS = re.compile(r"^(?:Q|问)\s?\d*\s?[:：]\s*(?=\S)")
_QUESTION = re.compile(r"[?？]\s*$")


@dataclass(frozen=True)
class Fact:
    """One thing that a document says: the questions that ask for it, its answer, the ``heading`` it stands
    under, and the ``line`` of the document, from 1. ``prose``: it is text as it stands, asked for by its
    heading. ``natural``: what people ask who have not read it; those of them that nothing else is asked in
    become questions, in many manners. ``tested``: what a proof may ask, of another kind than all that is
    taught. ``foreign``: what is asked in the other language. ``key``: what the questions call a thing that
    has a name; ``about``: what they name, also where it has no shorter name. ``tested_abroad``: what a
    proof may ask in the other language."""

    questions: tuple[str, ...]
    answer: str
    heading: str
    line: int
    prose: bool = False
    natural: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    key: str = ""
    about: str = ""
    tested_abroad: tuple[str, ...] = ()

    @property
    def conversations(self) -> list[Conversation]:
        return [one_turn(question, self.answer) for question in self.questions]


@dataclass(frozen=True)
class NotAsked:
    """What no question was made of: its line, from 1, the text and why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class DocumentRows:
    """A document's facts in their order, and what of it is in none of them."""

    facts: tuple[Fact, ...]
    unused: tuple[NotAsked, ...] = ()

    @property
    def conversations(self) -> list[Conversation]:
        return [row for fact in self.facts for row in fact.conversations]

    @property
    def is_one_text(self) -> bool:
        """Whether it is long text under few headings, of which questions could only ask part by part."""
        prose = all(fact.prose for fact in self.facts)
        return prose and len(self.facts) > MOST_PARTS * len({fact.heading for fact in self.facts})


def read_rows_of(path: Path, name: str | None = None) -> DocumentRows:
    """The facts of a document, in its own language. ``name``: what it is called, by default the file's name.

    Raises NoSuchFile, NotADocument for one that cannot be read or of which no question can be made.
    """
    name = name or path.name
    return _asked_of(_made_of(read_markdown(path, name), name), name)


def _made_of(text: str, name: str) -> DocumentRows:
    language, title = language_of(text), Path(name).stem
    if _HASH.fullmatch(title):  # it came through the page
        title = usual_title(language)
    return document_rows(text, title, language)


def _asked_of(found: DocumentRows, name: str) -> DocumentRows:
    if not found.facts:
        raise NotADocument(path=name, reason=say("document.no_facts"))
    return found


def document_of(path: Path, wanted: bool | None = None) -> DocumentRows | None:
    """The facts of a file that is a document; None for data. A text is one unless it is a dialogue, a log or
    a program, or long and without any structure, or a person has said (``wanted``) which it is. A text that
    cannot be read as a document may still be data.

    Raises as :func:`read_rows_of` does.
    """
    kind = path.suffix.lower()
    if kind not in DOCUMENTS or path.is_dir():
        return None
    if kind not in TEXTS or wanted:
        return read_rows_of(path)
    if wanted is False or (path.exists() and path.stat().st_size > LARGEST_TEXT):
        return None
    try:
        text = read_markdown(path)
    except NotADocument:
        return None
    if is_data(text):
        return None
    found = _made_of(text, path.name)
    if found.is_one_text or (not found.facts and any(one.text for one in found.unused)):
        return None
    return _asked_of(found, path.name)


def document_rows(text: str, title: str, language: IdentityLanguage) -> DocumentRows:
    """The facts of a Markdown text; ``title`` is what it is about as long as no heading says it."""
    # Text that is set in by blanks is text: nobody writes code into a menu that way.
    text = as_markdown(text, language)
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").disable("code").parse(text))
    words = wordings_for(text, language)
    reader = _Reader(words, title)
    reader.read(tree.children)
    facts = _asked_naturally([*_told_apart(reader.facts, words)], words)
    return DocumentRows(tuple(facts), tuple(reader.unused))


class _Reader:
    """Goes through a document's blocks and remembers under which heading it is."""

    def __init__(self, words: Wordings, title: str) -> None:
        self.words = words
        self.path = [title]
        self.title = ""
        self.facts: list[Fact] = []
        self.unused: list[NotAsked] = []
        self.asked = ""  # a question that stands alone and waits for its answer
        self.asked_in = 0
        self.parts = 0

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

    def read(self, blocks: Sequence[SyntaxTreeNode]) -> None:
        title = ""
        for block, following in zip(blocks, [*blocks[1:], None], strict=False):
            if block.type == "heading":
                self._flush_question()
                self._under(block)
                self._bare(block, following)
            elif block.type == "paragraph":
                lists = following is not None and following.type in LISTS and not self.asked
                above, _, last = _text(block).rpartition("\n")
                if lists and _ENDS_IN_COLON.fullmatch(last):
                    title = last.rstrip(":： ")
                else:
                    above = _text(block)
                if above or not title:
                    self._paragraph(above, _line(block))
            elif block.type in LISTS:
                before, self.path = self.path, [*self.path, title] if title else self.path
                self._list(block)
                self.path, title = before, ""
            elif block.type == "table":
                self._table(block)
            elif block.type == "blockquote":
                self.read(block.children)
            elif block.type != "hr":
                why = say("document.unused.code" if block.type == "fence" else "document.unused.html")
                self.unused.append(NotAsked(_line(block), block.content.strip(), why))
        self._flush_question()

    def _under(self, block: SyntaxTreeNode) -> None:
        text, level = _text(block), int(block.tag[1:])
        self.parts = 0
        if _QUESTION.search(text):
            self.asked, self.asked_in = text, _line(block)
            return
        text = re.sub(r"^About (?!(?:us|me|the|this|it)\b)(?=\S)", "", text.rstrip(":： ") or text)
        if level == 1:
            self.title = self.title or text
        self.path = [*self.path[:level], text] if level < len(self.path) else [*self.path, text]

    def _bare(self, block: SyntaxTreeNode, following: SyntaxTreeNode | None) -> None:
        """A heading with nothing below it is said: "We do not take cards" may be all there is."""
        ends = following is None or (
            following.type == "heading" and int(following.tag[1:]) <= int(block.tag[1:])
        )
        if ends and not self.asked and len(self.path) > 2:
            self.unused.append(NotAsked(_line(block), _text(block), say("document.unused.heading")))

    def _flush_question(self) -> None:
        """A question that nothing answers is said."""
        if self.asked:
            self.unused.append(NotAsked(self.asked_in, self.asked, say("document.unused.question")))
        self.asked = ""

    def _add(
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
            self._say(NotAsked(line, answer, say("document.unused.quoted")))
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
        said = [one.strip() for one in _SENTENCE.split(text) if one.strip()]
        persons = [one for one in said if says_who(one)]
        for one in persons:
            self._say(NotAsked(line, one, say("document.unused.person")))
        return _joined(one for one in said if one not in persons) if persons else text

    def _say(self, one: NotAsked) -> None:
        """Once, also where several facts would hold it."""
        if all(one.text != other.text for other in self.unused):
            self.unused.append(one)

    def _tested(self, kind: str, about: str, **values: str) -> list[str]:
        return self.words.tested(kind, about, len(self.facts), **values)

    def _paragraph(self, text: str, line: int) -> None:
        if not text:
            self.unused.append(NotAsked(line, "", say("document.unused.image")))
            return
        if self._written_pairs(text, line):
            return
        if self.asked:
            self._add([self.asked], text, line)
            self.asked = ""
            return
        first, _, rest = text.partition("\n")
        if self._questions_and_answers(text, line):
            return
        if _QUESTION.search(first) and len(first) <= 2 * LONGEST_ANSWER:
            self.asked, self.asked_in = first, line
            if rest.strip():
                self._add([first], rest.strip(), line)
                self.asked = ""
            return
        self._lines([one.strip() for one in text.split("\n") if one.strip()], line)

    def _lines(self, lines: Sequence[str], line: int) -> None:
        """A paragraph of lines: what each says, or what all of them do."""
        parts = [part for one in lines for part in statements(one)]
        places = [line + place for place, one in enumerate(lines) for _ in statements(one)]
        known = [*map(stated, parts)]
        then = [*map(at_a_time, parts)]
        if sum(map(bool, then)) > 1:
            known = [one or at for one, at in zip(known, then, strict=True)]
        if len(lines) > 1 and all(then):
            self._names(self.words["and"].join(lines), line)
        known, bare = self._with_bare_prices(parts, known)
        if all(known):
            for (key, value), place, one in zip(filter(None, known), places, parts, strict=True):
                self._value(key, value, place, "price" if one in bare else "")
            if not self._hours(parts, line) and self.parents and _are_things(known):
                self._names(self.words["and"].join(key for key, _ in filter(None, known)), line)
            return
        names = parts[0] == lines[0] and len(parts[0]) <= LONGEST_KEY and not says_amount(parts[0])
        if names and len(known) > 2 and all(known[1:]):
            self._titled(parts[0], [pair for pair in known if pair], line)
            self._hours(parts[1:], line)
            return
        left = self._labelled(parts, places)
        if left and self._by_days(parts):
            left = [self.words["then"].join(parts)]  # with what is said of no day
        elif left:
            self._hours(parts, line)
        left = left or self._plainly_said(lines, line)
        if looks_like_several(left, 3 if left == [*lines] else 2):
            self._say_together(left, lines, line)
        self._prose("\n".join(left), line)

    def _with_bare_prices(
        self, parts: Sequence[str], known: list[tuple[str, str] | None]
    ) -> tuple[list[tuple[str, str] | None], set[str]]:
        """What the ``parts`` say, with those that end in a number: it is a price where others have one, or
        the heading is of prices; and which parts these are."""
        priced = sum(one is not None and states_price(one[1]) for one in known)
        if priced < 2 and not _ABOUT_PRICES.search(self.heading):
            return known, set()
        ends = [None if one else with_bare_price(part) for part, one in zip(parts, known, strict=True)]
        bare = {part for part, one in zip(parts, ends, strict=True) if one}
        return [one or end for one, end in zip(known, ends, strict=True)], bare

    def _say_together(self, left: Sequence[str], lines: Sequence[str], line: int) -> None:
        """The lines that are asked for together only: each, or as one text where they look like one."""
        why = say("document.unused.together", heading=self.heading)
        for one in left if all(len(one) <= LONGEST_LINE for one in left) else ["\n".join(left)]:
            place = next((place for place, whole in enumerate(lines) if one in whole), 0)
            self.unused.append(NotAsked(line + place, one, why))

    def _labelled(self, said: Sequence[str], places: Sequence[int]) -> list[str]:
        """Take out of what is ``said`` what says what it is about ("Phone: 0555"), where two do or everybody
        knows the label, and half of all: an address, opening hours and what else there is to say. What is
        left."""
        pairs = {place: found for place, one in enumerate(said) if (found := stated(one))}
        known = len(pairs) > 1 or any(is_label(key) for key, _ in pairs.values())
        if not known or 2 * len(pairs) < len(said):
            return []
        for place, (key, value) in pairs.items():
            self._value(key, value, places[place])
        return [one for place, one in enumerate(said) if place not in pairs]

    def _plainly_said(self, lines: Sequence[str], line: int) -> list[str]:
        """Take out of lines those that are a thing and its price or have a label that everybody knows, also
        where they are few. What is left."""
        left = []
        for place, one in enumerate(lines):
            found = stated(one) if len(one) <= LONGEST_KEY else None
            if found and (is_label(found[0]) or states_price(found[1])):
                self._value(*found, line + place)
            else:
                left.append(one)
        return left

    def _titled(self, title: str, pairs: Sequence[tuple[str, str]], line: int) -> None:
        """Lines that say something each, below one that says what of: a text's own kind of heading."""
        self._of(title, pairs, line)
        before, self.path = self.path, [*self.path, title]
        self._names(self.words["and"].join(key for key, _ in pairs), line)
        self.path = before

    def _questions_and_answers(self, text: str, line: int) -> bool:
        """Questions with their answers on the lines below each; whether there are several such."""
        found: list[tuple[str, list[str]]] = []
        for one in filter(None, map(str.strip, text.split("\n"))):
            if _QUESTION.search(one):
                found.append((one, []))
            elif found:
                found[-1][1].append(one)
            else:
                return False
        if len(found) < 2 or not all(answer for _, answer in found):
            return False
        for question, answer in found:
            self._add([question], "\n".join(answer), line)
        return True

    def _written_pairs(self, text: str, line: int) -> bool:
        """Questions that the text answers itself ("Q: … A: …"); whether there are any."""
        whole = [pair for pair in pairs_in(text) if pair[1]]
        for question, answer in whole:
            self._add([question], answer, line)
        return bool(whole)

    def _names(self, names: str, line: int) -> bool:
        """What there is under the heading; whether that is short enough to be an answer."""
        short = len(names) <= 2 * LONGEST_ANSWER
        if short:
            asked, words = {"heading": self.heading}, self.words
            answer = words.said("list_answer", **asked, value=names)
            kind = "list_whole" if self.is_whole else "list"
            # "What Ingredients do you have?" nobody asks either: only of a part of the document.
            more = words.natural(kind, "", names, **asked) if self.parents else ()
            tested = self._tested(kind, "", **asked)
            self._add(words.filled(kind, **asked), answer, line, natural=more, tested=tested)
        return short

    def _hours(self, said: Sequence[str], line: int) -> bool:
        """All of the opening hours in one answer, where lines say them by days; whether they are all that the
        heading is about."""
        if told := self._by_days(said):
            self._prose(self.words["then"].join(said), line)
        elif len(open_on := [one for one in said if self._is_open(one)]) > 1:
            before, self.path = self.path, [*self.path, str(self.words["hours"])]
            parts, self.parts = self.parts, 0
            self._prose(self.words["then"].join(open_on), line)
            self.path, self.parts = before, parts
        return told

    def _is_open(self, line: str) -> bool:
        """Whether a line says of days when it is open, and its heading is of something else."""
        key, value = stated(line) or ("", "")
        return is_days(key) and self.words.hours_of(self.heading, value) == self.words["hours"]

    def _by_days(self, said: Sequence[str]) -> bool:
        of_days = [one for one in said if is_days((pair(one) or ("", ""))[0])]
        return len(of_days) > 1 and self.words.is_of_hours(self.heading)

    def _prose(self, text: str, line: int) -> None:
        """Text as it stands, asked for by its heading; a long one in parts."""
        for piece in _pieces(self._of_nobody(text, line)):
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
            self._add(self.words.filled("text", heading=what), answer, line, True, more, tested)

    def _value(self, key: str, value: str, line: int, column: str = "") -> None:
        """What a line or a cell says of ``key``."""
        of_prices = _ABOUT_PRICES.search(column or key) is not None
        if _FREE.fullmatch(value) and (of_prices or not column):
            self._ask("price", "free_answer", line, "", key=key, value=value.rstrip(".。"))
            return
        is_price = states_price(value) and not of_prices and not is_label(key) and not _SUM.search(key)
        if (of_prices and re.search(r"\d", value)) if column else is_price:
            self._ask("price", "price_answer", line, "", key=key, value=value)
            return
        on_a_day = is_days(key)
        if not column and on_a_day:
            # "Monday: 10 to 22" under opening hours, "Sunday: closed"; under "Contact" it is when it is open
            column = self.words.hours_of(self.heading, value, self.parents)
        elif not column and self.parents and not is_label(key) and _TIME.search(value):
            column = self.heading if self.words.is_of_times(self.heading) else ""
        if column:
            self._ask("cell", "cell_answer", line, column, key=key, column=column, value=value)
            return
        if _NUMBER_OF_PHONE.fullmatch(value) and not is_label(key) and self.words.is_of_phones(self.heading):
            column = str(self.words["phone"])  # "Anna Berg: 0761 2011" under "Contact"
            self._ask("cell", "cell_answer", line, column, key=key, column=column, value=value)
            return
        kind = "number" if re.match(r"[^\w]*\d", value) else "value"
        self._ask(kind, "value_answer", line, key, key=key, value=value)

    def _ask(self, kind: str, answer: str, line: int, about: str, **values: str) -> None:
        """A fact of a kind, in the wordings of that kind; ``about``: what people ask it for."""
        asked = {name: value for name, value in values.items() if name != "value"}
        more = self.words.natural(kind, about, values["value"], **asked)
        plain, said = self.words.filled(kind, **asked), self.words.said(answer, **values)
        if kind == "cell" and is_days(asked["key"]):
            plain += self.words.of_days(asked["key"], about)
        tested, foreign = self._tested(kind, about, **asked), self.words.foreign(kind, about, **asked)
        abroad = self.words.tested_abroad(kind, about, len(self.facts), **asked)
        short = kind in ("price", "cell") and not is_days(asked["key"])
        named = asked["key"] if short else ""  # what people have shorter names for
        self._add(
            plain, said, line, False, more, tested, foreign, key=named, about=asked["key"], abroad=abroad
        )

    def _list(self, block: SyntaxTreeNode) -> None:
        names: list[str] = []
        lines: list[str] = []
        sentences: list[tuple[str, int]] = []
        plain = True
        for item in block.children:
            text = _text(item.children[0]) if item.children else ""
            if self._question_in_list(text, item):
                continue
            first, _, more = text.partition("\n")
            if more and len(first) > LONGEST_KEY:  # one sentence on two lines
                first, more = text.replace("\n", " " if first.isascii() else ""), ""
            first, *others = several(first)
            then = at_a_time(first)
            key, value = then or pair(first) or (first.rstrip(":： ") or first, "")
            names.append(first if then else key)
            lines.append(first)
            plain &= not value
            if not value and not more and not item.children[1:]:
                sentences.append((key, _line(item)))
            self._told_of(key, value, more, _line(item))
            for other, also in filter(None, map(stated, others)):
                if value and not is_label(key):  # "Drill: 2 € a day, deposit 20 €"
                    self._value(
                        self.words.fill(self.words["under"], heading=key, key=other), also, _line(item)
                    )
                    continue
                names.append(other)
                self._value(other, also, _line(item))
            if item.children[1:]:
                before, self.path, self.parts = self.path, [*self.path, key], 0
                self.read(item.children[1:])
                self.path = before
        if names:
            if not self.asked and is_of_sentences(
                self.heading, [one for one, _ in sentences], block.type == "ordered_list"
            ):
                self._sentences(sentences)
            self._whole_list(names, plain, _line(block), lines)

    def _told_of(self, key: str, value: str, more: str, line: int) -> None:
        """What an item of a list says, and the lines below it, each of which may say something of its own."""
        below = [*map(pair, more.split("\n"))] if more and not value else []
        if below and all(below):
            self._of(key, [known for known in below if known], line)
        elif said := self.words["then"].join(filter(None, (value, *more.split("\n")))):
            self._value(key, said, line)

    def _of(self, title: str, pairs: Sequence[tuple[str, str]], line: int) -> None:
        """What is said of ``title``, each by itself."""
        before, self.path = self.path, [*self.path, title]
        for key, value in pairs:
            self._value(key, value, line)
        self.path = before

    def _question_in_list(self, text: str, item: SyntaxTreeNode) -> bool:
        """An item that is a question with its answer; whether it is one."""
        if self._written_pairs(text, _line(item)):
            self.read(item.children[1:])
            return True
        first, _, more = text.partition("\n")
        if more and _QUESTION.search(first):
            self._add([first], more, _line(item))
            self.read(item.children[1:])
            return True
        return False

    def _whole_list(self, names: Sequence[str], plain: bool, line: int, lines: Sequence[str]) -> None:
        """All that a list names, by days all that it says, or a question that it answers."""
        ended = [name.rstrip("。；;.！!") or name for name in names]  # what joins them ends them
        if self.asked:
            self._add([self.asked], self.words["then"].join(ended), line)
            self.asked = ""
            return
        if self._hours(lines, line):
            return
        several = plain or any(re.search("[、，,;；]", name) for name in ended)
        told = self._names(self.words["then" if several else "and"].join(ended), line)
        if plain and not told:
            self._prose(self.words["then"].join(ended), line)

    def _sentences(self, items: Sequence[tuple[str, int]]) -> None:
        """Each item of a list of sentences by itself, beside the list as a whole."""
        asked_by: set[str] = set()
        for item, line in items:
            topic = next((one for one in topics(item) if one not in asked_by), "")
            more = [*yes_or_no(item)]
            if topic:
                asked_by.add(topic)
                asked = {"heading": self.heading, "topic": topic}
                plain, tested = self.words.filled("item", **asked), self._tested("item", "", **asked)
                more += self.words.natural("item", "", item, **asked)
                self._add(plain, item, line, natural=more, tested=tested)
            elif more:
                self._add(more, item, line)
            else:
                self.unused.append(NotAsked(line, item, say("document.unused.item")))

    def _table(self, block: SyntaxTreeNode) -> None:
        rows = [[_text(cell) for cell in row.children] for part in block.children for row in part.children]
        columns, *body = rows
        firsts = [row[0] for row in body]
        of_prices, ticked = (
            _priced(columns, body),
            any(_YES.fullmatch(cell) for row in body for cell in row[1:]),
        )
        for number, row in enumerate(body):
            line = _line(block) + number + 2
            key = row[0] or self.heading
            also = _tells_apart(body, row) if firsts.count(row[0]) > 1 and len(row) > 2 else 0
            key = f"{key} {row[also]}".strip() if also else key
            for place in range(1, len(columns)):
                cell = self._ticked(row[place]) if ticked else row[place]
                if place != also and not _NOTHING.fullmatch(cell):
                    self._cell(key, columns[place], cell, line, place in of_prices)
        lines = [f"{row[0]}: {row[1]}" for row in body if len(row) == 2]
        names = list(dict.fromkeys(filter(None, firsts)))
        if names and not self._hours(lines, _line(block)):
            self._names(self.words["and"].join(names), _line(block))

    def _ticked(self, cell: str) -> str:
        """What a tick says, and in a table of ticks a cross or a dash."""
        if _YES.fullmatch(cell):
            return str(self.words["yes"])
        return str(self.words["no"]) if _NO.fullmatch(cell) else cell

    def _cell(self, key: str, column: str, value: str, line: int, one_of_prices: bool) -> None:
        """What a cell says: of one of several prices which, of a day what is then."""
        if one_of_prices and (re.search(r"\d", value) or _FREE.fullmatch(value)):
            self._value(self.words.fill(self.words["which"], key=key, column=column), value, line)
        elif is_days(key) and self.words.is_of_hours(column):
            self._value(key, value, line, str(self.words["hours"]))  # "Open" of a day is no noun
        elif is_days(column) and not is_days(key) and not _TIME.search(value):
            self._value(column, value, line, key)
        else:
            self._value(key, value, line, column)


def _are_things(pairs: Sequence[tuple[str, str] | None]) -> bool:
    """Whether what lines are about are several things of one kind, no details of one."""
    said = [pair for pair in pairs if pair]
    details = any(is_label(key) or is_days(key) or len(value) > LONGEST_KEY for key, value in said)
    return len(said) > 1 and not details


def _tells_apart(body: Sequence[Sequence[str]], row: Sequence[str]) -> int:
    """The column that tells a row from others of its name; 0 for none. A number or an address of mail is what
    is asked for."""
    same = [other for other in body if other[0] == row[0]]
    for place in range(1, len(row)):
        cells = [other[place] for other in same]
        if len({*cells}) == len(cells) and not any(re.search(r"@|\d{3}", one) for one in cells):
            return place
    return 0


def _priced(columns: Sequence[str], body: Sequence[Sequence[str]]) -> frozenset[int]:
    """The columns of prices of a table where their names say which: "Adult" and "Child", of several each."""
    found = set()
    for place, column in enumerate(columns[1:], 1):
        values = [row[place] for row in body if not _NOTHING.fullmatch(row[place])]
        prices = sum(states_price(value) or _FREE.fullmatch(value) is not None for value in values)
        if any(map(states_price, values)) and 2 * prices > len(values) and not _SUM.search(column):
            found.add(place)
    named = [place for place in found if _ABOUT_PRICES.search(columns[place])]
    return frozenset(found if len(named) != 1 or len(found) > 1 else ())


def _pieces(text: str) -> Iterator[str]:
    """Sentences, as many together as an answer may have characters."""
    piece = before = ""
    for sentence in filter(None, (part.strip() for part in _SENTENCE.split(text))):
        space, before = _between(before), sentence
        if piece and len(piece) + len(sentence) > LONGEST_ANSWER:
            yield piece
            piece, space = "", ""
        piece += space + sentence
    if piece:
        yield piece


def _joined(sentences: Iterable[str]) -> str:
    text = before = ""
    for one in sentences:
        text += _between(before) + one
        before = one
    return text


def _between(before: str) -> str:
    """What joins a sentence or a line and the next: short lines of Chinese stay lines."""
    of_chinese = re.search(f"[{HAN}]", before) and len(before) < WRAPPED
    if of_chinese and (before[-1].isalnum() or before[-1] in ")）"):
        return "\n"
    return " " if before and before[-1].isascii() else ""


def _told_apart(facts: Sequence[Fact], words: Wordings) -> Iterator[Fact]:
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
    most = max(WORDINGS, min(MOST_WORDINGS, LEAST_TAUGHT // max(1, facts)))
    return max(FEWEST_WORDINGS, min(most, IN_ALL // max(1, facts)))


def _asked_naturally(facts: Sequence[Fact], words: Wordings) -> Iterator[Fact]:
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


def _line(block: SyntaxTreeNode) -> int:
    return block.map[0] + 1 if block.map else 0


def _text(block: SyntaxTreeNode) -> str:
    """The words of a block without its marks; a line's end stays one."""
    if block.type in {"text", "code_inline"}:
        return block.content
    if block.type in {"softbreak", "hardbreak"}:
        return "\n"
    if block.type in {"image", "html_inline"}:
        return ""
    return "".join(map(_text, block.children)).strip() if block.block else "".join(map(_text, block.children))
