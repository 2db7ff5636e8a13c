"""What became of a person's own file in a run: how much of it is taught, what is not, and examples of it."""

from html import escape
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from core.data.row_parts import TaughtRows
from core.data.upload import find_upload
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace
from ui.data.rows import STYLE, row_html, turns_html
from ui.shell.text import plain, spoken, t

EXAMPLES = 3
# So many pieces stand as they are; more scroll, in so many pixels.
FEW, HEIGHT = 8, 480
# A table's columns are cut at its edge; a piece and the reason under it are read whole on a telephone too.
UNUSED_STYLE = """<style>
.tb-unused{border-top:1px solid rgba(128,128,128,.3);padding:.5rem 0;overflow-wrap:anywhere}
.tb-unused small{opacity:.75;display:block}
</style>"""
UNUSED = '<div class="tb-unused"><div>{text}</div><small>{line}</small><small>{why}</small></div>'


def show_own(workspace: Workspace, about: dict[str, Any], source: TaughtRows) -> None:
    """Nothing where a run is taught no data of somebody's own."""
    if not source.own:
        return
    with st.container(border=True, key="own_data"):
        st.markdown(told(workspace, about, len(source.own)))
        facts = about.get("facts") or {"asked": 0, "held_back": 0}
        key = "held_back" if facts["held_back"] else "asked" if facts["asked"] else "taught"
        of = (about.get("document") or {}).get("facts", len(source.own))
        st.caption(t(f"page.data.own.{key}", count=facts["asked"], of=of, held_back=facts["held_back"]))
        shown = (row_html("", turns_html(row)) for row in source.examples(EXAMPLES))
        st.html(STYLE + "".join(shown))
        document = about.get("document") or {}
        if document and not document["unused"]:
            st.caption(t("page.data.documents.all_used"))
        elif document:
            show_unused(document["unused"], document["first_unused"])


def told(workspace: Workspace, about: dict[str, Any], own: int) -> str:
    """How much of the file is taught: of a document its facts and the questions that ask for them."""
    name = plain(file_name(workspace, about))
    if document := about.get("document"):
        return t("page.data.own.document", name=name, facts=document["facts"], taught=own)
    return t("page.data.own.rows", name=name, count=own)


def file_name(workspace: Workspace, about: dict[str, Any]) -> str:
    """What the given file was called: one that came through the page is kept under its hash."""
    given = about.get("given") or []
    if not given:
        return t("page.data.own.unnamed")
    kept = find_upload(workspace, given[0]["sha256"])
    return kept.name if kept else Path(given[0]["file"]).name


def show_not_asked(run: RunPaths) -> None:
    """Beside what a run came to: which lines of its document nothing asked for on their own, where there are
    some."""
    document = (read_object(run.data) or {}).get("document") or {}
    if count := document.get("unused"):
        show_unused(count, document["first_unused"], "page.start.not_asked")


def _unused_html(one: dict[str, Any]) -> str:
    line = spoken("page.data.documents.at_line", line=one["line"])
    return UNUSED.format(text=escape(str(one["text"])), line=escape(line), why=escape(str(one["why"])))


def show_unused(count: int, first: list[dict[str, Any]], told_as: str = "page.data.documents.unused") -> None:
    """What of a document no question asks for, and why."""
    height: int | Literal["content"] = HEIGHT if len(first) > FEW else "content"
    box = st.expander(t(told_as, count=count), icon=":material/playlist_remove:")
    with box.container(height=height, border=False):
        st.html(UNUSED_STYLE + "".join(map(_unused_html, first)))
