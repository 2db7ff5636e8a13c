"""Rows of a data set a page at a time: as conversations, or as tokens with what is trained marked."""

import html
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import streamlit as st

from core.data.conversations import Conversation
from core.data.encoder import Encoder, Piece
from core.data.preview import Offsets, read_page
from core.data.row_parts import Part, PlacedRows
from core.recipe.recipe import Recipe
from ui.shell.text import t, told_again

PAGE = 5
VIEWS = ("as_turns", "as_tokens")
# Rows of every part.
ALL: Literal[""] = ""
# Readable on light and dark: a tint behind the text's own colour, and a line for who cannot tell the tint.
STYLE = """<style>
.tb-row{margin:0 0 .9rem;padding:.5rem .7rem;border-left:3px solid rgba(128,128,128,.4)}
.tb-row div{overflow-wrap:anywhere}
.tb-row small{opacity:.75}
.tb-role{font-weight:600;opacity:.75;margin-right:.4rem}
.tb-text{white-space:pre-wrap}
.tb-unlearned{opacity:.65;font-style:italic}
.tb-tokens{white-space:pre-wrap;font-family:monospace;line-height:1.9}
.tb-tokens span{border-radius:3px;padding:1px 0;box-shadow:inset -1px 0 rgba(128,128,128,.35)}
.tb-trained{background:rgba(46,160,67,.28);text-decoration:underline;text-decoration-color:rgba(46,160,67,.9)}
.tb-cut{opacity:.5;text-decoration:line-through}
</style>"""


def show_rows(rows: Path, offsets: Offsets, encoder: Encoder, recipe: Recipe, places: PlacedRows) -> None:
    """One page of rows, chosen without reading the others: of a part each one once, a person's own first; all
    in the order of their training."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="rows_shown"):
        part = choose_part(places.distinct, len(offsets))
        with st.popover(t("page.data.show"), icon=":material/tune:", key="rows_view"):
            view = st.segmented_control(
                t("page.data.show"),
                VIEWS,
                format_func={name: t(f"page.data.{name}") for name in VIEWS}.__getitem__,
                default=VIEWS[0],
                required=True,
                key="data_view",
                label_visibility="collapsed",
                persist_state="session",
            )
        times = places.distinct[part] if part else {}
        chosen = [*times] if part else range(len(offsets))
        pages = max(1, -(-len(chosen) // PAGE))
        page = st.pagination(pages, key=f"data_page {rows.parent.name} {part}")
    shown = list(chosen[(page - 1) * PAGE : page * PAGE])
    conversations = read_page(rows, offsets[shown])
    if view == "as_tokens":
        st.caption(t("page.data.legend", limit=recipe.max_length))
    body = tokens_html(encoder, recipe.max_length) if view == "as_tokens" else turns_html
    kinds = dict(enumerate(places.parts)) if not part else {}
    drawn = (
        row_html(numbered(place + 1, kinds.get(place, ALL), times.get(place, 1)), body(conversation))
        for place, conversation in zip(shown, conversations, strict=True)
    )
    st.html(STYLE + "".join(drawn))


def choose_part(places: Mapping[Part, Mapping[int, int]], rows: int) -> Part | Literal[""]:
    """Which rows are shown; empty for all, in the order of their training. Of a part it is said how many
    conversations it has, which may stand in several rows each."""
    counts = {part: len(found) for part, found in places.items() if len(found)}
    if len(counts) < 2:
        return ALL
    names = {
        part: t(
            f"page.data.part.{'counted' if part else 'rows'}",
            name=t(f"page.data.part.{part or 'all'}"),
            count=f"{count:,}",
        )
        for part, count in {**counts, ALL: rows}.items()
    }
    chosen: Part | Literal[""] = st.segmented_control(
        t("page.data.part"),
        list(names),
        format_func=names.__getitem__,
        default="own" if "own" in counts else ALL,
        required=True,
        key=told_again(f"data_part {'own' in counts}", names),
        persist_state="session",
    )
    return chosen


def row_named(number: int) -> str:
    return t("page.data.row", number=number)


def numbered(number: int, part: Part | Literal[""], times: int = 1) -> str:
    """A row's number in the training, which is not that in anybody's file; in how many rows the same is said;
    and what it is, where rows of all parts are shown and that is known."""
    said = [t("page.data.row.trained", number=number)]
    if times > 1:
        said.append(t("page.data.row.times", count=times))
    if part:
        said.append(t(f"page.data.kind.{part}"))
    return " · ".join(said)


def row_html(about: str, body: str) -> str:
    return f'<div class="tb-row"><small>{html.escape(about)}</small>{body}</div>'


def turns_html(conversation: Conversation) -> str:
    """Turns with their roles; whatever they say is only text."""
    lines = []
    for turn in conversation:
        said = "assistant" if turn.trained else "unlearned"
        for role, text in (("system", turn.system), ("user", turn.input), (said, turn.output)):
            if text:
                name = html.escape(t(f"page.data.role.{role}"))
                kind = "tb-text tb-unlearned" if role == "unlearned" else "tb-text"
                lines.append(
                    f'<div class="{kind}"><span class="tb-role">{name}</span>{html.escape(text)}</div>'
                )
    return "".join(lines)


def tokens_html(encoder: Encoder, max_length: int) -> Callable[[Conversation], str]:
    """A row as its tokens: what is trained, what is only read, what is cut."""

    def draw(conversation: Conversation) -> str:
        pieces = encoder.pieces(conversation, max_length)
        count = sum(len(piece.ids) for piece in pieces)
        trained = sum(len(piece.ids) for piece in pieces if piece.trained and piece.kept)
        about = html.escape(t("page.data.count", count=count, trained=trained))
        spans = "".join(map(_span, pieces))
        return f' <small>· {about}</small><div class="tb-tokens">{spans}</div>'

    return draw


def _span(piece: Piece) -> str:
    text = html.escape(piece.text).replace("\n", "↵\n")
    kind = "tb-cut" if not piece.kept else "tb-trained" if piece.trained else ""
    ids = ", ".join(map(str, piece.ids))
    return f'<span class="{kind}" title="{ids}">{text}</span>'
