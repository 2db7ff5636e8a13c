"""What of a file is not trained: keys that nobody reads, of which a person decides, and what is left out."""

from collections.abc import Iterable
from dataclasses import replace

import streamlit as st

from core.data.accounting import Accounts, Omission, Unused
from core.data.opening import Opened, Reading
from core.data.upload import Upload
from ui.shell.text import Markdown, spoken, t, told_again

# So many rows from the first on are looked at before the whole file is checked.
LOOKED = 1000
SHOWN = 8
# Characters of an example.
LONGEST = 40


def choose_unread(opened: Opened, reading: Reading, kept: Upload, thinks: bool) -> Reading:
    """What may be left out, said by a press on each key; whether thoughts before the answers are trained, by
    default where the model that is trained ``thinks``."""
    accounts = known_accounts(kept.digest, replace(reading, ignore=()), opened)
    undecided = [] if reading.columns else accounts.undecided
    if undecided:
        inside = not any(one.key in opened.detected.columns for one in undecided)
        said = st.container()
        beside = [one.key for one in undecided if one.key in accounts.beside]
        if beside:
            keys = spoken("row.list").join(beside)
            st.caption(t("unread.beside", keys=keys, count=len(beside)))
        told = {one.key: _told(one, accounts.rows) for one in undecided}
        chosen = st.pills(
            t("page.data.unread.ignore"),
            list(told),
            format_func=told.__getitem__,
            selection_mode="multi",
            key=told_again(f"data_ignore {kept.digest}", told),
            persist_state="session",
        )
        if len(chosen) == len(told):
            said.caption(t("page.data.unread.all", keys=spoken("row.list").join(chosen)))
        else:
            said.warning(
                t("page.data.unread.inside" if inside else "page.data.unread.what"), icon=":material/help:"
            )
        reading = replace(reading, ignore=tuple(chosen))
    if accounts.found.counts["thinking_left_out"]:
        thoughts = st.toggle(
            t("page.data.thoughts"),
            thinks,
            help=t("page.data.thoughts.help"),
            key=f"data_thoughts {kept.digest} {thinks}",
            persist_state="session",
        )
        reading = replace(reading, thoughts=thoughts)
    return reading


@st.cache_resource(show_spinner=False, max_entries=8)
def known_accounts(digest: str, reading: Reading, _opened: Opened) -> Accounts:  # noqa: ARG001
    """Every press draws the page anew: the rows of a file, known by its digest, are looked at once."""
    return _opened.accounts(LOOKED)


def show_unused(found: Iterable[Unused], rows: int) -> None:
    """Keys with their share of rows and an example."""
    for one in [*found][:SHOWN]:
        st.caption(t("data.not_read", key=Markdown(_told(one, rows))))


def _told(one: Unused, rows: int) -> str:
    return t("data.unread", **one.values(rows, LONGEST))


def show_omissions(found: Iterable[Omission]) -> None:
    """Parts of rows that are left out, and why."""
    for one in [*found][:SHOWN]:
        st.caption(t("data.omitted", what=one.named, rows=one.rows, why=one.why))
