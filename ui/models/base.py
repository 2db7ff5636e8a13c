"""The base model of a new assistant: the starter, one that is here, or one of the list, fetched first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import streamlit as st

from core.model_store import choosing
from core.model_store.choosing import Offer, recommended
from core.models.catalog import STARTER, catalog
from core.models.folder import stamp_of
from core.steps.step import counted, megabytes
from core.workspace.files import Stamp
from core.workspace.paths import Workspace
from ui.models.table import known_models
from ui.shell.text import language, spoken, t

KEY = "wish_base"
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


def choose_base(workspace: Workspace) -> str | None:
    """The widget, and below it what the chosen model is good for and takes here; returns what a request calls
    the model."""
    found = known_offers(workspace)
    bases = {base.name: base for base in _bases(workspace, found)}
    chosen: str = st.selectbox(
        t("page.start.base"),
        list(bases),
        format_func={name: base.label for name, base in bases.items()}.__getitem__,
        help=t("page.start.base.help"),
        key=KEY,
        persist_state="session",
    )
    offer = bases[chosen].offer
    if offer:
        _about(offer)
    if chosen == STARTER:
        _better(bases, recommended(found, "zh"))
    return bases[chosen].model


def list_of_models(workspace: Workspace) -> None:
    """The whole list behind an expander: also what does not fit this machine, and why."""
    found = known_offers(workspace)
    title = t("page.start.base.all", count=len(found), date=catalog().date)
    section = st.expander(title, icon=":material/format_list_bulleted:", key="base_list", on_change="rerun")
    if section.open:
        section.dataframe(
            [_row(offer) for offer in found],
            hide_index=True,
            column_config={
                name: st.column_config.TextColumn(spoken(f"catalog.column.{name}")) for name in COLUMNS
            },
            key="base_table",
            alt=title,
        )


def known_offers(workspace: Workspace) -> list[Offer]:
    """The list on this machine; looked at again when a model came or went, and every minute for the disk."""
    stamps = tuple((folder.name, stamp_of(folder)) for folder in workspace.model_folders())
    return _offers(str(workspace.root), stamps)


@st.cache_data(show_spinner=False, max_entries=8, ttl=60)
def _offers(root: str, stamps: tuple[tuple[str, Stamp], ...]) -> list[Offer]:  # noqa: ARG001
    return choosing.offers(Workspace.of(root))


def _bases(workspace: Workspace, found: list[Offer]) -> Iterator[BaseChoice]:
    """The starter, what is here, then what fits: first what speaks the page's language."""
    by_folder = {offer.here: offer for offer in found if offer.here}
    starter = next(offer for offer in found if offer.entry.name == STARTER)
    yield BaseChoice(None, spoken("page.start.base.starter"), starter)
    for model in known_models(workspace):
        if model.trainable and model.name != STARTER:
            label = spoken("page.start.base.here", name=model.name, parameters=counted(model.parameters))
            yield BaseChoice(model.name, label, by_folder.get(model.name))
    others = [offer for offer in found if offer.fits and not offer.here and offer is not starter]
    for offer in sorted(others, key=lambda offer: language() not in offer.entry.languages):
        entry = offer.entry
        values = {"time": offer.time, "size": megabytes(entry.size)}
        yield BaseChoice(entry.name, spoken("page.start.base.fetch", name=entry.title, **values), offer)


def _about(offer: Offer) -> None:
    lines = [offer.good_for, t("page.start.base.takes", says=offer.says)]
    if not offer.here and offer.entry.name != STARTER:
        hubs = [spoken(f"hub.{source.hub}") for source in offer.entry.sources(language())]
        where = spoken("row.list").join(hubs)
        lines.append(
            t("page.start.base.first", size=megabytes(offer.entry.size), where=where, licence=offer.licence)
        )
        if offer.entry.gated:
            lines.append(t("page.start.base.gated"))
    st.caption("  \n".join(lines))


def _better(bases: Mapping[str, BaseChoice], better: Offer | None) -> None:
    """Whoever wants Chinese is told what to take instead of the starter, and takes it with one press."""
    if better is None or better.entry.name not in bases:
        return
    with st.container(horizontal=True, vertical_alignment="center", key="base_better"):
        st.caption(t("page.start.base.chinese"), width="content")
        st.button(
            t("page.start.base.take", name=better.entry.title),
            key="base_take",
            icon=":material/translate:",
            on_click=_take,
            args=(better.entry.name,),
        )


def _take(name: str) -> None:
    st.session_state[KEY] = name


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
