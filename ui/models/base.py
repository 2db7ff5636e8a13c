"""The base model of a new assistant: the starter, one that is here, or one of the list, fetched first."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import streamlit as st

from core.errors import TuneboardError
from core.model_store import choosing
from core.model_store.choosing import PATIENCE, Offer, first_choice, languages_named, recommended
from core.model_store.importing import Listed
from core.models.catalog import STARTER, Entry, catalog
from core.models.folder import stamp_of
from core.models.reach import may_ask
from core.pipeline import took
from core.pipeline.took import ANYBODY
from core.pipeline.tune_request import TuneRequest
from core.steps.step import counted, megabytes
from core.workspace.files import Stamp
from core.workspace.paths import Workspace
from ui.models.reached import how_to_bring, is_reached, show_unreached, to_be_had
from ui.models.table import known_models
from ui.shell.frame import clicked
from ui.shell.text import language, spoken, t, together, told_again

KEY = "wish_base"
# In the session: one that was chosen elsewhere on the page; and what the card asks for, by which the list of
# models says its times too.
TAKEN, ASKED = "wish_taken", "wish_asked"
# In the session: somebody has chosen, and the page chooses no more.
CHOSEN = "wish_base_chosen"
# So many are offered to be fetched; the whole list is one click further.
SUGGESTED = 4
COLUMNS = ("name", "languages", "fits", "size", "good_for", "parameters", "licence")


@dataclass(frozen=True)
class Wanted:
    """What an assistant is to speak, as codes: all ``languages`` that were chosen, and that ``of_file`` where
    a file is taught. ``needed``: those of them that somebody is known to use."""

    languages: tuple[str, ...]
    needed: tuple[str, ...]
    of_file: str = ""


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


def choose_base(workspace: Workspace, wanted: Wanted, request: TuneRequest) -> BaseChoice:
    """The widget, and below it what the chosen model is good for; first those that speak the ``wanted``
    languages. Each says how long what is asked for takes with it. Until somebody chooses, the one that
    speaks what is needed is chosen."""
    st.session_state[ASKED] = request
    found = known_offers(workspace)
    if taken := st.session_state.pop(TAKEN, None):
        st.session_state[KEY], st.session_state[CHOSEN] = taken, True
    if CHOSEN not in st.session_state:
        usual = first_choice(found, wanted.needed, to_be_had)
        st.session_state[KEY] = _choice(usual).name if usual else STARTER
    _ask_a_hub(found, wanted.languages)
    bases = {base.name: base for base in _bases(workspace, found, wanted.languages)}
    names = {name: base.label for name, base in bases.items()}
    chosen: str = st.selectbox(
        t("page.start.base"),
        list(names),
        format_func=names.__getitem__,
        key=told_again(KEY, names),
        on_change=_chosen,
        persist_state="session",
    )
    offer = bases[chosen].offer
    if offer:
        _about(workspace, offer)
    return bases[chosen]


def _ask_a_hub(found: Sequence[Offer], wanted: Collection[str]) -> None:
    """Whether what is offered to be fetched can be had now, before it is offered: of the one of them that is
    advised, which is asked for anyway."""
    others = [offer for offer in found if offer.fits and not offer.here and offer.entry.name != STARTER]
    advised = choosing.better(others, wanted) or next(iter(suggested(others, wanted)), None)
    if advised and may_ask():
        to_be_had(advised.entry)


def _chosen() -> None:
    st.session_state[CHOSEN] = True


def warn_of_language(
    workspace: Workspace, offer: Offer | None, wanted: Wanted, take: Callable[[Offer], None], fetches: bool
) -> None:
    """What a model that does not speak a wanted language will do badly, and the better one: with one press,
    which ``take`` answers, if it is here or the page ``fetches`` one, else how to come by it."""
    missing = [code for code in wanted.languages if offer and code not in offer.entry.languages]
    if offer is None or not missing:
        return
    found, entry = known_offers(workspace), offer.entry
    slower = (recommended(found, code) for code in missing)
    better = choosing.better(found, missing) or next(filter(None, slower), None)
    name = spoken("page.start.base.starter.name") if entry.name == STARTER else entry.title
    values = {"name": name, "well": languages_named(entry.well), "missing": languages_named(missing)}
    in_file = wanted.of_file in missing
    said, more = [_poor(values, in_file)], _seen_of(wanted, in_file and entry.name == STARTER)
    if not in_file:
        said, more = [*said, *more], []
    reached = better is None or better.here or not may_ask() or to_be_had(better.entry)
    pressed = better if better and reached and (better.here or fetches) else None
    if better is None:
        said.append(t("page.start.base.none", missing=values["missing"]))
    elif not reached:
        said.append(t("page.start.base.unreachable"))
    elif not pressed:
        said.append(t("page.data.model.fetch", name=better.entry.title))
    with st.container(key="base_better"):
        box = st.warning if in_file else st.info
        box("  \n".join(said), icon=":material/translate:")
        if pressed:
            label = "page.start.base.take" if pressed.here else "page.start.base.take.fetch"
            size = megabytes(pressed.entry.size)
            st.button(
                t(label, name=pressed.entry.title, time=pressed.time, size=size),
                key="base_take",
                icon=":material/translate:",
                on_click=take,
                args=(pressed,),
            )
        if better and not reached:
            how_to_bring(workspace, better.entry, t("page.start.base.bring"))
        if more:
            with st.expander(t("page.start.base.seen"), icon=":material/info:", key="base_seen"):
                st.markdown("  \n".join(more))


def _poor(values: Mapping[str, str], in_file: bool) -> str:
    """What such a model learns all the same, and what not; ``in_file``: the file is in such a language."""
    learns = "page.start.base.poor.file" if in_file else "page.start.base.poor.who"
    rest = t("page.start.base.poor.rest", missing=values["missing"])
    return together(t("page.start.base.poor", **values), t(learns), rest)


def _seen_of(wanted: Wanted, measured: bool) -> list[str]:
    """What a file can be asked in other languages than its own, and what was ``measured`` of the starter."""
    said = [t("page.start.base.poor.measured")] if measured and wanted.of_file == "zh" else []
    others = [code for code in wanted.languages if code != wanted.of_file] if wanted.of_file else []
    return [*said, t("page.start.base.poor.across", others=languages_named(others))] if others else said


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
        take(offer)


def known_offers(workspace: Workspace) -> list[Offer]:
    """The list on this machine, for what the card asks for; looked at again when a model or a run came or
    went, and every minute for the disk."""
    stamps = tuple((folder.name, stamp_of(folder)) for folder in workspace.model_folders())
    asked = st.session_state.get(ASKED, ANYBODY)
    return _offers(str(workspace.root), asked, stamps, newest_runs(workspace))


def newest_runs(workspace: Workspace) -> tuple[str, ...]:
    """What earlier runs took changes with each one that ends."""
    return tuple(folder.name for folder in workspace.run_folders(newest=3))


@st.cache_data(show_spinner=False, max_entries=8, ttl=60)
def _offers(
    root: str,
    asked: TuneRequest,
    stamps: tuple[tuple[str, Stamp], ...],  # noqa: ARG001
    newest: tuple[str, ...],  # noqa: ARG001
) -> list[Offer]:
    workspace = Workspace.of(root)
    with suppress(TuneboardError):  # a file that cannot be taught says so beside itself
        return took.offers(workspace, asked)
    return took.offers(workspace)


def _bases(workspace: Workspace, found: Sequence[Offer], wanted: Collection[str]) -> Iterator[BaseChoice]:
    """The starter, what is here, then a few that fit; and the one of the whole list that was chosen."""
    by_folder = {offer.here: offer for offer in found if offer.here}
    starter = next(offer for offer in found if offer.entry.name == STARTER)
    yield _choice(starter)
    for model in known_models(workspace):
        if model.trainable and model.name != STARTER:
            offer = by_folder.get(model.name)
            yield BaseChoice(model.name, _label_here(model, offer), offer)
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
        quick = offer.making <= PATIENCE
        speaks = {*wanted} <= {*offer.entry.languages}
        size = -offer.entry.parameters if quick else offer.making
        return not speaks, offer.entry.gated, not quick, size

    return sorted(found, key=order)[:SUGGESTED]


def _label_here(model: Listed, offer: Offer | None) -> str:
    values = {"name": model.name, "parameters": counted(model.parameters)}
    if offer is None:  # nobody knows what it speaks
        return spoken("page.start.base.here", **values)
    return spoken(
        "page.start.base.here.known", **values, well=languages_named(offer.entry.well), time=offer.time
    )


def _choice(offer: Offer) -> BaseChoice:
    """A model of the list, here or to be fetched."""
    entry = offer.entry
    values = {"well": languages_named(entry.well), "time": offer.time, "size": megabytes(entry.size)}
    if entry.name == STARTER:
        return BaseChoice(None, spoken("page.start.base.starter", **values), offer)
    key = "fetch" if is_reached(offer) else "unreached"
    return BaseChoice(entry.name, spoken(f"page.start.base.{key}", name=entry.title, **values), offer)


def _named(entry: Entry) -> str:
    return spoken("page.data.starter") if entry.name == STARTER else entry.title


def _about(workspace: Workspace, offer: Offer) -> None:
    if not is_reached(offer):
        show_unreached(workspace, offer.entry)
        return
    lines = [offer.good_for]
    if offer.entry.name != STARTER:  # of which the line above says it
        lines.append(t("catalog.speaks", languages=offer.speaks))
    if not offer.here and offer.entry.name != STARTER:
        hubs = [spoken(f"hub.{source.hub}") for source in offer.entry.sources(language())]
        where = spoken("row.list").join(hubs)
        lines.append(
            t("page.start.base.first", size=megabytes(offer.entry.size), where=where, licence=offer.licence)
        )
        if offer.entry.gated:
            lines.append(t("page.start.base.gated"))
    st.caption("  \n".join(lines))


def take(offer: Offer) -> None:
    """Choose it on the start page's card."""
    st.session_state[TAKEN] = _choice(offer).name


def take_starter() -> None:
    """The same of the model that is always here."""
    st.session_state[TAKEN] = STARTER


def _row(offer: Offer) -> dict[str, str]:
    entry = offer.entry
    return {
        "name": _named(entry),
        "languages": offer.speaks,
        "fits": f"{'✓' if offer.fits else '✗'} {offer.brief}",
        "size": "–" if entry.name == STARTER else megabytes(entry.size),
        "good_for": offer.good_for,
        "parameters": counted(entry.parameters),
        "licence": offer.licence,
    }
