"""A document's blocks in their order: headings, paragraphs, lists, tables, quotations; questions in all."""

import re
from collections.abc import Sequence

from markdown_it.tree import SyntaxTreeNode

from core.data.documents.amounts import at_a_time
from core.data.documents.asking import Asker
from core.data.documents.bare_prices import with_prices
from core.data.documents.facts import NotAsked
from core.data.documents.lines import is_label, pair, several, stated
from core.data.documents.marks import LONGEST_KEY
from core.data.documents.paragraphs import tell_lines
from core.data.documents.rules import is_of_sentences
from core.data.documents.sentences import LONGEST_ANSWER
from core.data.documents.tables import tell_table
from core.data.documents.wordings import Wordings
from core.data.drafts import MARK, pairs_in
from core.wording import say

LISTS = {"bullet_list", "ordered_list"}
# "Ingredients:" above a list says what of; it is no text of its own.
_ENDS_IN_COLON = re.compile(rf"[^\n?？]{{1,{LONGEST_KEY}}}[:：] *")
_QUESTION = re.compile(r"[?？]\s*$")


class Reader(Asker):
    """Goes through a document's blocks and remembers under which heading it is."""

    def __init__(self, words: Wordings, title: str, prices: int = 0) -> None:
        super().__init__(words, title, prices)
        self.asked = ""  # a question that stands alone and waits for its answer
        self.asked_in = 0
        self.headed_in = 0  # the line of the last heading

    def read(self, blocks: Sequence[SyntaxTreeNode]) -> None:
        title = ""
        for block, following in zip(blocks, [*blocks[1:], None], strict=False):
            if block.type == "heading":
                self._flush_question()
                self._under(block)
                self.headed_in = _line(block)
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
                tell_table(self, _rows(block), _line(block))
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

    def _paragraph(self, text: str, line: int) -> None:
        if not text:
            self.unused.append(NotAsked(line, "", say("document.unused.image")))
            return
        if self._written_pairs(text, line):
            return
        if self.asked:
            self.add([self.asked], text, line)
            self.asked = ""
            return
        first, _, rest = text.partition("\n")
        if self._questions_and_answers(text, line):
            return
        if _QUESTION.search(first) and len(first) <= 2 * LONGEST_ANSWER:
            self.asked, self.asked_in = first, line
            if rest.strip():
                self.add([first], rest.strip(), line)
                self.asked = ""
            return
        lines = [one.strip() for one in text.split("\n") if one.strip()]
        tell_lines(self, lines, line, directly=line == self.headed_in + 1)

    def _questions_and_answers(self, text: str, line: int) -> bool:
        """Questions with their answers on the lines below each; whether there are several such. What stands
        before the first of them, and behind the last what is said of something else, is told by itself."""
        lines = [one.strip() for one in text.split("\n") if one.strip()]
        asks = [place for place, one in enumerate(lines) if _QUESTION.search(one)]
        if len(asks) < 2:
            return False
        further = range(asks[-1] + 2, len(lines))
        end = next((place for place in further if pair(lines[place])), len(lines))
        answered = [*zip(asks, [*asks[1:], end], strict=True)]
        if any(after - place < 2 for place, after in answered):
            return False
        self._lines(lines[: asks[0]], line)
        for place, after in answered:
            self.add([lines[place]], "\n".join(lines[place + 1 : after]), line + place)
        self._lines(lines[end:], line + end)
        return True

    def _written_pairs(self, text: str, line: int) -> bool:
        """Questions that the text answers itself ("Q: … A: …"); whether there are any. What stands before the
        first, and behind the last what is said of something else, is told by itself."""
        if not any(answer for _, answer in pairs_in(text)):
            return False
        lines = text.split("\n")
        marked = [place for place, one in enumerate(lines) if MARK.match(one)]
        further = range(marked[-1] + 1, len(lines))
        end = next((place for place in further if pair(lines[place])), len(lines))
        self._lines(lines[: marked[0]], line)
        for question, answer in pairs_in("\n".join(lines[marked[0] : end])):
            if answer:
                self.add([question], answer, line + marked[0])
            else:
                self.unused.append(NotAsked(line, question, say("document.unused.question")))
        self._lines(lines[end:], line + end)
        return True

    def _lines(self, lines: Sequence[str], line: int) -> None:
        if filled := [one.strip() for one in lines if one.strip()]:
            tell_lines(self, filled, line)

    def _list(self, block: SyntaxTreeNode) -> None:
        names: list[str] = []
        lines: list[str] = []
        sentences: list[tuple[str, int]] = []
        plain = True
        texts = [_text(item.children[0]) if item.children else "" for item in block.children]
        firsts = [text.partition("\n")[0] for text in texts]
        priced, bare = with_prices(
            firsts, [at_a_time(one) or pair(one) for one in firsts], self.path, self.prices
        )
        for place, (item, text) in enumerate(zip(block.children, texts, strict=True)):
            if self._question_in_list(text, item):
                continue
            first, _, more = text.partition("\n")
            if more and len(first) > LONGEST_KEY:  # one sentence on two lines
                first, more = text.replace("\n", " " if first.isascii() else ""), ""
            first, *others = [first] if place in bare else several(first)
            then = at_a_time(first)
            known = priced[place] if first == firsts[place] else pair(first)
            key, value = then or known or (first.rstrip(":： ") or first, "")
            names.append(first if then else key)
            lines.append(first)
            plain &= not value
            if not value and not more and not item.children[1:]:
                sentences.append((key, _line(item)))
            self._told_of(key, value, more, _line(item), place in bare)
            for other, also in filter(None, map(stated, others)):
                if value and not is_label(key):  # "Drill: 2 € a day, deposit 20 €"
                    self.value(
                        self.words.fill(self.words["under"], heading=key, key=other), also, _line(item)
                    )
                    continue
                names.append(other)
                self.value(other, also, _line(item))
            if item.children[1:]:
                before, self.path, self.parts = self.path, [*self.path, key], 0
                self.read(item.children[1:])
                self.path = before
        if names:
            items, ordered = [one for one, _ in sentences], block.type == "ordered_list"
            told_whole = not self.asked and is_of_sentences(self.heading, items, ordered)
            if told_whole:
                self.sentences(sentences)
            self._whole_list(names, plain, _line(block), lines, told_whole)

    def _told_of(self, key: str, value: str, more: str, line: int, bare: bool) -> None:
        """What an item of a list says, and the lines below it, each of which may say something of its own."""
        below = [*map(pair, more.split("\n"))] if more and not value else []
        if below and all(below):
            self.of(key, [known for known in below if known], line)
        elif said := self.words["then"].join(filter(None, (value, *more.split("\n")))):
            (self.price if bare else self.value)(key, said, line)

    def _question_in_list(self, text: str, item: SyntaxTreeNode) -> bool:
        """An item that is a question with its answer; whether it is one."""
        if self._written_pairs(text, _line(item)):
            self.read(item.children[1:])
            return True
        first, _, more = text.partition("\n")
        if more and _QUESTION.search(first):
            self.add([first], more, _line(item))
            self.read(item.children[1:])
            return True
        return False

    def _whole_list(
        self, names: Sequence[str], plain: bool, line: int, lines: Sequence[str], of_sentences: bool
    ) -> None:
        """What a list names, by days or ``of_sentences`` all that it says, or a question that it answers."""
        ended = [name.rstrip("。；;.！!") or name for name in names]  # what joins them ends them
        if self.asked:
            self.add([self.asked], self.words["then"].join(ended), line)
            self.asked = ""
            return
        if self.hours(lines, line):
            return
        whole = [one.rstrip("。；;.！!") or one for one in lines]
        if of_sentences and self.names(self.words["then"].join(whole), line):
            return
        several = plain or any(re.search("[、，,;；]", name) for name in ended)
        told = self.names(self.words["then" if several else "and"].join(ended), line)
        if plain and not told:
            self.prose(self.words["then"].join(ended), line)


def _line(block: SyntaxTreeNode) -> int:
    return block.map[0] + 1 if block.map else 0


def _rows(table: SyntaxTreeNode) -> list[list[str]]:
    """A table's rows with its header, as texts of their cells."""
    return [[_text(cell) for cell in row.children] for part in table.children for row in part.children]


def _text(block: SyntaxTreeNode) -> str:
    """The words of a block without its marks; a line's end stays one."""
    if block.type in {"text", "code_inline"}:
        return block.content
    if block.type in {"softbreak", "hardbreak"}:
        return "\n"
    if block.type in {"image", "html_inline"}:
        return ""
    return "".join(map(_text, block.children)).strip() if block.block else "".join(map(_text, block.children))
