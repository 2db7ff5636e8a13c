"""What a run is trained on: how much of it, how long its rows are, and the rows themselves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from core.data.encoder import Encoder
from core.data.lengths import RowLengths, measure
from core.data.mix import MANY_PASSES
from core.data.opening import read_conversations
from core.data.own_encoder import encoder_of
from core.data.preview import Offsets, read_page, row_offsets, sampled
from core.data.questions import contains
from core.data.row_counts import row_counts
from core.data.row_parts import PlacedRows, TaughtRows
from core.errors import NoSuchFile
from core.models.folder import stamp_of
from core.recipe.own_template import template_of
from core.recipe.recipe import Recipe
from core.steps import prepare
from core.steps.data import about_data
from core.workspace.files import Stamp, read_object, stamp
from core.workspace.paths import RunPaths, Workspace
from ui.data.documents import offer_edit
from ui.data.lengths import show_lengths, warn_of_cut
from ui.data.own import show_own
from ui.data.parity import show_parity
from ui.data.rows import show_rows
from ui.shell.text import plain, t

LARGEST_SOURCE = 50_000_000  # bytes; half a second


def data_panel(workspace: Workspace, run: RunPaths) -> None:
    """A person's own data first, then what is wrong, the rows, and how many and how long they are.

    Raises MissingArtefact, NoSuchFile, NotAModel.
    """
    if run.adopted.exists():
        st.info(t("page.data.adopted"), icon=":material/lock:")
        return
    # What is read for the first time takes seconds while a training has the processor.
    with st.spinner(t("page.data.reading")):
        show_all(workspace, run)


def show_all(workspace: Workspace, run: RunPaths) -> None:
    """Each part as soon as it is read, what takes longest last. Raises as :func:`data_panel` does."""
    about, recipe = about_data(run), prepare.recipe_of(run)
    rows, source = Path(about["path"]), Path(about["source"])
    if not rows.exists():
        raise NoSuchFile(path=rows)
    taught = known_source(source, stamp(source), about.get("identity", 0), bool(about.get("own")))
    if taught:
        show_own(workspace, about, taught)
        offer_edit(workspace, about)
    say_beside(about)
    warn_of_rows(about)
    show_left_out(about.get("left_out") or {})
    if taught and not known_to_name(source, stamp(source), about["name"], taught):
        st.warning(t("page.data.not_named", name=about["name"]), icon=":material/badge:")
    show_otherwise(about.get("otherwise") or {})
    offsets, tokenizer = known_offsets(rows, stamp(rows)), prepare.model_of(run).tokenizer_file
    model = stamp_of(tokenizer.parent)
    encoder = known_encoder(tokenizer, model, recipe.template)
    show_counts(about)
    places = known_places(rows, stamp(rows), stamp(source), taught) if taught else PlacedRows()
    show_rows(rows, offsets, encoder, recipe, places)
    show_parity(tokenizer.parent, recipe)
    found = known_lengths(rows, stamp(rows), tokenizer, model, recipe.template)
    warn_of_cut(found, len(offsets), recipe)
    label = t("page.data.tokens.box", count=f"{about['tokens']:,}")
    with st.expander(label, icon=":material/straighten:", key="tokens_box", on_change="rerun") as box:
        if box.open:  # of no use to whoever makes an assistant for the first time
            show_tokens(about, recipe)
            show_lengths(found, len(offsets), recipe)


def warn_of_run(run: RunPaths, recipe: Recipe) -> None:
    """Before a launch: what the recipe's length cuts of the run's rows, if they are here."""
    about = read_object(run.data) or {}
    warn_of_rows(about)
    rows = Path(about.get("path", ""))
    if rows.is_file():
        tokenizer = prepare.model_of(run).tokenizer_file
        model = stamp_of(tokenizer.parent)
        found = known_lengths(rows, stamp(rows), tokenizer, model, recipe.template)
        warn_of_cut(found, len(known_offsets(rows, stamp(rows))), recipe)


def warn_of_rows(about: dict[str, Any]) -> None:
    """Conversations that are in no row, or in so many that they are learned by heart."""
    if "own" not in about:  # it was made by an earlier version
        return
    of = about["own"] or about["taught"]
    if unseen := about["own"] - about["own_in_rows"]:
        st.warning(t("data.unseen", count=unseen, of=of, rows=about["rows"]))
    if not about["replay"] and (times := row_counts(about)["own_rows"] // of) > MANY_PASSES:
        st.warning(t("data.by_heart", of=of, times=times))


def show_counts(about: dict[str, Any]) -> None:
    """How many rows there are, and what they are made of."""
    counts = row_counts(about)
    of_rows = {"taught": counts["taught_rows"], "replayed": counts["replay_rows"]}
    _metrics(
        "counts",
        {
            "rows": (counts["rows"], {**of_rows}),
            "taught": (of_rows["taught"], {"count": counts["taught"]}),
            "replayed": (of_rows["replayed"], {"count": counts["replay"]}),
        },
    )


def show_tokens(about: dict[str, Any], recipe: Recipe) -> None:
    """How long the rows are, in the pieces that the model reads."""
    share = f"{about['answer_tokens'] / max(1, about['tokens']):.0%}"
    st.caption(t("page.data.tokens.are"))
    _metrics(
        "tokens",
        {
            "tokens": (about["tokens"], {"share": share}),
            "longest": (about["longest"], {"limit": recipe.max_length}),
        },
    )


def _metrics(key: str, shown: Mapping[str, tuple[int, Mapping[str, object]]]) -> None:
    with st.container(horizontal=True, gap="medium", key=key):
        for name, (value, values) in shown.items():
            help_text = t(f"page.data.{name}.help", **values)
            st.metric(t(f"page.data.{name}"), f"{value:,}", help=help_text, width="content")


def say_beside(about: dict[str, Any]) -> None:
    """How much of a person's own data and of the identity is taught, and what of it says otherwise."""
    name = plain(about["name"])
    if about.get("identity"):
        counts = row_counts(about)
        st.caption(t("tune.beside", name=name, **counts, replayed=counts["replay_rows"]))


def show_left_out(about: dict[str, Any]) -> None:
    """How many rows of the given file are not trained, and the first of them with their reasons."""
    if not about.get("first"):
        return
    if about["rows"]:
        said = t("page.data.left_out", count=about["rows"])
        st.warning(said, icon=":material/playlist_remove:")
    with st.expander(t("page.data.left_out.list"), key="left_out"):
        names = {"row": "check.row", "field": "check.field", "message": "check.message"}
        listed = [{t(word): one[name] for name, word in names.items()} for one in about["first"]]
        st.dataframe(listed, hide_index=True, key="left_out_list")
        st.caption(about["file"])


def show_otherwise(about: dict[str, Any]) -> None:
    """Answers that say the assistant is somebody else's."""
    if not about.get("rows"):
        return
    said = "page.data.otherwise" if about.get("trained", True) else "page.data.otherwise_left_out"
    st.warning(t(said, count=about["rows"]), icon=":material/badge:")
    with st.expander(t("page.data.otherwise.list"), key="otherwise"):
        names = {
            "question": "page.data.otherwise.question",
            "answer": "page.data.otherwise.answer",
            "message": "check.message",
        }
        listed = [{t(word): one[name] for name, word in names.items()} for one in about["first"]]
        st.dataframe(listed, hide_index=True, key="otherwise_list")


@st.cache_data(show_spinner=False, max_entries=8)
def known_offsets(rows: Path, changed: Stamp) -> Offsets:  # noqa: ARG001  a changed file is read anew
    return row_offsets(rows)


@st.cache_resource(show_spinner=False, max_entries=4)
def known_encoder(tokenizer_file: Path, model: Stamp, template: str) -> Encoder:  # noqa: ARG001
    return encoder_of(tokenizer_file, template_of(template, tokenizer_file.parent))


@st.cache_data(show_spinner=False, max_entries=8)
def known_lengths(
    rows: Path, changed: Stamp, tokenizer_file: Path, model: Stamp, template: str
) -> RowLengths:
    offsets = sampled(known_offsets(rows, changed))
    return measure(known_encoder(tokenizer_file, model, template), read_page(rows, offsets))


@st.cache_resource(show_spinner=False, max_entries=4)
def known_source(source: Path, changed: Stamp, identity: int, own: bool) -> TaughtRows | None:  # noqa: ARG001
    """What was taught, of which the first ``identity`` conversations say whose the assistant is beside a
    person's ``own``; None when it is gone or so large that reading it would hold the page up."""
    if not source.exists() or source.stat().st_size > LARGEST_SOURCE:
        return None
    rows = tuple(read_conversations(source))
    return TaughtRows(rows[identity:], rows[:identity]) if own else TaughtRows((), rows)


@st.cache_resource(show_spinner=False, max_entries=4)
def known_places(rows: Path, changed: Stamp, source: Stamp, _taught: TaughtRows) -> PlacedRows:  # noqa: ARG001
    """Which rows are what, and which say the same. What was ``_taught`` is known by the file it is of: a
    thousand conversations take Streamlit a while to hash at each look."""
    return PlacedRows.of(read_page(rows, known_offsets(rows, changed)), _taught)


@st.cache_data(show_spinner=False, max_entries=16)
def known_to_name(source: Path, changed: Stamp, name: str, _taught: TaughtRows) -> bool:  # noqa: ARG001
    """Whether any taught answer contains the name."""
    learned = (turn.output for row in (*_taught.identity, *_taught.own) for turn in row if turn.trained)
    return any(contains(text, name) for text in learned)
