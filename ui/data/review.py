"""Drafts that a model made of documents, reviewed row by row before any of them is trained on."""

from collections import Counter
from dataclasses import replace

import streamlit as st

from core.data.drafts import Draft, State, accepted, decide, read_drafts
from core.data.making import take_accepted
from core.data.sets import SetPaths
from core.data.versions import rows_of
from ui.shell.text import t, told_again

STATES: tuple[State, ...] = ("new", "accepted", "dropped")
PAGE = 5


def review(place: SetPaths) -> None:
    """Nothing while there are no drafts."""
    drafts = read_drafts(place)
    if not drafts:
        return
    st.header(t("review.title"), anchor=False)
    counts = Counter(draft.state for draft in drafts)
    names = {state: t("frame.counted", name=t(f"review.{state}"), count=counts[state]) for state in STATES}
    state = st.segmented_control(
        t("review.show"),
        STATES,
        format_func=names.__getitem__,
        default="new",
        required=True,
        key=told_again("review_state", names),
        persist_state="session",
    )
    shown = [draft for draft in drafts if draft.state == state]
    pages = max(1, -(-len(shown) // PAGE))
    page = st.pagination(pages, key=f"review_page {state}") if pages > 1 else 1
    for draft in shown[(page - 1) * PAGE : page * PAGE]:
        show_draft(place, draft)
    known = set(rows_of(place))
    ready = [row for row in accepted(drafts) if row not in known]
    label = t("review.take", count=len(ready))
    if st.button(
        label, type="primary", icon=":material/playlist_add:", disabled=not ready, key="review_take"
    ):
        take_accepted(place)
        st.rerun()


def show_draft(place: SetPaths, draft: Draft) -> None:
    """Both texts can be changed; where they come from stands below them."""
    with st.container(border=True, key=f"draft {draft.id}"):
        question = st.text_input(t("review.question"), draft.question, key=f"question {draft.id}")
        answer = st.text_area(t("review.answer"), draft.answer, key=f"answer {draft.id}")
        passage = draft.passage
        key = "review.page" if passage.page else "review.place"
        values = {"start": passage.start, "end": passage.end, "page": passage.page}
        with st.expander(t(key, document=passage.document, **values), key=f"source {draft.id}"):
            st.text(passage.text)
        with st.container(horizontal=True):
            for state in STATES:
                if state != draft.state and st.button(t(f"review.do.{state}"), key=f"{state} {draft.id}"):
                    decide(place, [replace(draft, question=question, answer=answer, state=state)])
                    st.rerun()
