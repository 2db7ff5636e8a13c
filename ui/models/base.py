"""The base model of a new assistant: the starter, one that is here, or one of the list, fetched first."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.model_store import choosing
from core.model_store.choosing import PATIENCE, Offer, recommended
from core.models.catalog import STARTER, catalog
from core.models.folder import stamp_of
from core.steps.step import counted, megabytes
from core.workspace.files import Stamp
from core.workspace.paths import Workspace
from ui.models.table import known_models
from ui.shell.frame import clicked
from ui.shell.text import language, spoken, t

KEY = "wish_base"
# In the session: one that was chosen elsewhere on the page.
TAKEN = "wish_taken"
# So many are offered to be fetched; the whole list is one click further.
SUGGESTED = 4
COLUMNS = ("name", "good_for", "parameters", "size", "languages", "licence", "fits")


@dataclass(frozen=True)
class BaseChoice:
    """One that can be chosen: ``model`` is what a request calls it, ``offer`` None where it is not listed."""

    model: str | None
    label: str
    offer: Offer | None = None

    @property
    def name(self) -> str:
        """The same before it is fetched and after, so that it stays chosen."""
        return self.offer.entry.name if self.offer else str(self.model)


def choose_base(workspace: Workspace, wanted: Collection[str]) -> BaseChoice:
    """The widget, and below it what the chosen model is good for; first those that speak the ``wanted``
    languages."""
    if taken := st.session_state.pop(TAKEN, None):
        st.session_state[KEY] = taken
    found = known_offers(workspace)
    bases = {base.name: base for base in _bases(workspace, found, wanted)}
    chosen: str = st.selectbox(
        t("page.start.base"),
        list(bases),
        format_func={name: base.label for name, base in bases.items()}.__getitem__,
        key=KEY,
        persist_state="session",
    )
    offer = bases[chosen].offer
    if offer:
        _about(offer)
    return bases[chosen]


def offer_better(workspace: Workspace, chosen: BaseChoice, wanted: Collection[str]) -> None:
    """Whoever wants Chinese is told what to take instead of the starter, and takes it with one press."""
    better = recommended(known_offers(workspace), "zh")
    if chosen.name != STARTER or "zh" not in wanted or better is None:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="base_better"):
        st.markdown(t("page.start.base.chinese"), width="content")
        st.button(
            t("page.start.base.take", name=better.entry.title),
            key="base_take",
            icon=":material/translate:",
            on_click=_take,
            args=(better.entry.name,),
        )


def list_of_models(workspace: Workspace) -> None:
    """The whole list behind an expander: also what does not fit this machine, and why. A click on a row
    chooses it."""
    found = known_offers(workspace)
    title = t("page.start.base.all", count=len(found), date=catalog().date)
    section = st.expander(title, icon=":material/format_list_bulleted:", key="base_list", on_change="rerun")
    if section.open:
        section.caption(t("page.start.base.pick"))
        section.dataframe(
            [_row(offer) for offer in found],
            hide_index=True,
            column_config={
                name: st.column_config.TextColumn(spoken(f"catalog.column.{name}")) for name in COLUMNS
            },
            on_select=partial(_pick, found),
            selection_mode=("single-row", "single-cell"),
            key="base_table",
            alt=title,
        )


def _pick(found: Sequence[Offer]) -> None:
    row = clicked("base_table")
    if row is not None and (offer := found[row]).fits:
        _take(_choice(offer).name)


def known_offers(workspace: Workspace) -> list[Offer]:
    """The list on this machine; looked at again when a model came or went, and every minute for the disk."""
    stamps = tuple((folder.name, stamp_of(folder)) for folder in workspace.model_folders())
    return _offers(str(workspace.root), stamps)


@st.cache_data(show_spinner=False, max_entries=8, ttl=60)
def _offers(root: str, stamps: tuple[tuple[str, Stamp], ...]) -> list[Offer]:  # noqa: ARG001
    return choosing.offers(Workspace.of(root))


def _bases(workspace: Workspace, found: Sequence[Offer], wanted: Collection[str]) -> Iterator[BaseChoice]:
    """The starter, what is here, then a few that fit; and the one of the whole list that was chosen."""
    by_folder = {offer.here: offer for offer in found if offer.here}
    starter = next(offer for offer in found if offer.entry.name == STARTER)
    yield BaseChoice(None, spoken("page.start.base.starter"), starter)
    for model in known_models(workspace):
        if model.trainable and model.name != STARTER:
            label = spoken("page.start.base.here", name=model.name, parameters=counted(model.parameters))
            yield BaseChoice(model.name, label, by_folder.get(model.name))
    others = [offer for offer in found if offer.fits and not offer.here and offer is not starter]
    short = suggested(others, wanted)
    chosen = st.session_state.get(KEY)
    yield from map(
        _choice, (*short, *(one for one in others if one.entry.name == chosen and one not in short))
    )


def suggested(found: Sequence[Offer], wanted: Collection[str]) -> list[Offer]:
    """A few of those that fit: that speak the ``wanted`` languages and can be had by anybody before the
    others, of those made within somebody's patience the largest first, then the quickest."""

    def order(offer: Offer) -> tuple[bool, bool, bool, float]:
        quick = offer.seconds <= PATIENCE
        speaks = all(known in offer.entry.languages for known in wanted)
        size = -offer.entry.parameters if quick else offer.seconds
        return not speaks, offer.entry.gated, not quick, size

    return sorted(found, key=order)[:SUGGESTED]


def _choice(offer: Offer) -> BaseChoice:
    """A model of the list, here or to be fetched."""
    if offer.entry.name == STARTER:
        return BaseChoice(None, spoken("page.start.base.starter"), offer)
    entry = offer.entry
    values = {"time": offer.time, "size": megabytes(entry.size)}
    return BaseChoice(entry.name, spoken("page.start.base.fetch", name=entry.title, **values), offer)


def _about(offer: Offer) -> None:
    lines = [offer.good_for]
    if not offer.here and offer.entry.name != STARTER:
        hubs = [spoken(f"hub.{source.hub}") for source in offer.entry.sources(language())]
        where = spoken("row.list").join(hubs)
        lines.append(
            t("page.start.base.first", size=megabytes(offer.entry.size), where=where, licence=offer.licence)
        )
        if offer.entry.gated:
            lines.append(t("page.start.base.gated"))
    st.caption("  \n".join(lines))


def _take(name: str) -> None:
    st.session_state[TAKEN] = name


def _row(offer: Offer) -> dict[str, str]:
    entry = offer.entry
    return {
        "name": spoken("page.data.starter") if entry.name == STARTER else entry.title,
        "fits": f"{'✓' if offer.fits else '✗'} {offer.brief}",
        "good_for": offer.good_for,
        "parameters": counted(entry.parameters),
        "size": "–" if entry.name == STARTER else megabytes(entry.size),
        "languages": ", ".join(entry.languages),
        "licence": offer.licence,
    }
