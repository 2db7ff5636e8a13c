"""What fixing changes, as a person reads it: the texts of a row before and after, word by word."""

import difflib
import html
import re
from collections.abc import Iterator, Sequence

from core.data.findings import Finding
from core.data.fixes import Change, RowText, Unfixed
from core.wording import say
from ui.data.rows import row_html, row_named
from ui.shell.text import language, spoken

# Characters of a text that are shown.
LONGEST = 2000
# Roles of a message whose name on the page is another.
NAMES = {"call": "assistant"}
STYLE = """<style>
.tb-row del{background:rgba(248,81,73,.25)}
.tb-row ins{background:rgba(46,160,67,.28);text-decoration:underline}
</style>"""
# A word, or a character of a script without spaces between words.
_WORDS = re.compile(r"[^\W\u2e80-\u9fff\uac00-\ud7ff]+|\s+|.", re.DOTALL)


def change_html(change: Change) -> str:
    """A row that is changed, or left out."""
    texts = map(_gone, change.said) if change.after is None else _compared(change.said, change.becomes)
    return row_html(f"{row_named(change.row)} · {change_said(change)}", "".join(texts))


def change_said(change: Change) -> str:
    """What becomes of a row, and why."""
    fixed = spoken("row.list").join(spoken(f"code.{code}") for code in change.codes)
    return spoken("page.data.fix.removed" if change.after is None else "page.data.fix.changed", what=fixed)


def unfixed_html(row: Unfixed) -> str:
    """A row that stays as it is, and why."""
    why = say("row.separator", language()).join(map(_reason, row.why)) or spoken("page.data.fix.nothing")
    texts = (_line(one.role, html.escape(one.text[:LONGEST])) for one in row.said)
    return row_html(f"{row_named(row.row)} · {why}", "".join(texts))


def _reason(found: Finding) -> str:
    return found.message(language())


def _compared(before: Sequence[RowText], after: Sequence[RowText]) -> Iterator[str]:
    """The texts side by side: those that only one of the rows has are struck out, or new."""
    matcher = difflib.SequenceMatcher(None, [one.role for one in before], [one.role for one in after], False)
    for kind, start, end, begin, stop in matcher.get_opcodes():
        if kind == "equal":
            for old, new in zip(before[start:end], after[begin:stop], strict=True):
                yield _line(old.role, "".join(_marked(old.text[:LONGEST], new.text[:LONGEST])))
        else:
            yield from map(_gone, before[start:end])
            yield from (
                _line(one.role, f"<ins>{html.escape(one.text[:LONGEST])}</ins>") for one in after[begin:stop]
            )


def _marked(before: str, after: str) -> Iterator[str]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    for kind, start, end, begin, stop in difflib.SequenceMatcher(None, old, new, False).get_opcodes():
        gone, come = html.escape("".join(old[start:end])), html.escape("".join(new[begin:stop]))
        if kind == "equal":
            yield gone
        else:
            yield (f"<del>{gone}</del>" if gone else "") + (f"<ins>{come}</ins>" if come else "")


def _gone(one: RowText) -> str:
    return _line(one.role, f"<del>{html.escape(one.text[:LONGEST])}</del>")


def _line(role: str, body: str) -> str:
    name = html.escape(spoken(f"page.data.role.{NAMES.get(role, role)}")) if role else ""
    return f'<div class="tb-text"><span class="tb-role">{name}</span>{body}</div>'
