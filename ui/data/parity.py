"""Whether the server will write what the training does; and why it may not, in a person's words."""

from html import escape
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.parity import Parity, TokenDifference, parity
from core.models.folder import read_model
from core.recipe.own_template import own_default, spoken_by, template_of
from core.recipe.recipe import Recipe
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT, template_names
from ui.models.default_prompt import ask_default
from ui.shell.text import t

SIDE = (
    '<div style="margin:.3rem 0"><small style="opacity:.75">{title}</small>'
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace;padding:.4rem .6rem;'
    'border-left:3px solid rgba(128,128,128,.4)">{text}</div></div>'
)
MARKED = '<mark style="border-radius:3px;padding:0 2px">{text}</mark>'
SHOWN = 400
# Choices with a sentence of their own.
OF_THE_MODEL = ("auto", OWN, OWN_WITHOUT_DEFAULT)


def choose_template(folder: Path, place: DeltaGenerator) -> tuple[str, str]:
    """A prompt template, chosen in that ``place``, and, where the model's own differs, the reason why it may.
    Raises NotAModel."""
    labels = {name: t(f"parity.choice.{name}") if name in OF_THE_MODEL else name for name in template_names()}
    chosen = place.selectbox(
        t("field.template"),
        list(labels),
        format_func=labels.__getitem__,
        help=t("recipe.template"),
        key="data_template",
        persist_state="session",
    )
    if not folder.exists():  # the starter before it is unpacked, which speaks its template
        return chosen, ""
    template = chosen
    if template == "auto":
        model = read_model(folder)
        template = spoken_by(model)
    if template == OWN and (default := own_default(folder)):
        chosen = template = ask_default(default, "data_template_default")
    found = parity(folder, template_of(template, folder))
    if found.text_same():
        show_verdict(found)
        return chosen, ""
    st.warning(t("parity.differs", template=template), icon=":material/difference:")
    if found.difference:
        show_difference(found.difference)
    reason = st.text_input(
        t("parity.reason"), help=t("parity.reason.help"), key="data_template_reason", persist_state="session"
    )
    return chosen, reason


def show_parity(folder: Path, recipe: Recipe) -> None:
    """The verdict on a run's own model and template. Raises NotAModel."""
    found = parity(folder, template_of(recipe.template, folder))
    if found.text_same():
        show_verdict(found)
        return
    if recipe.template_reason:
        st.info(t("parity.why", reason=recipe.template_reason), icon=":material/difference:")
    else:
        st.warning(t("parity.differs", template=recipe.template), icon=":material/difference:")
    if found.difference:
        with st.expander(t("parity.both"), key="parity_both"):
            show_difference(found.difference)


def show_verdict(found: Parity) -> None:
    """Both write the same text: whether also the same tokens, and whose template is published."""
    if not found.published_same:
        key = "meet"
    else:
        key = "own" if found.own and found.same else "joints" if found.own else "written"
    st.caption(f":material/verified: {t(f'parity.{key}', count=sum(case.tokens for case in found.cases))}")


def show_difference(found: TokenDifference) -> None:
    """Both texts of the first conversation that differs, from where they part."""
    st.caption(t("parity.at", case=t(f"parity.case.{found.case}"), place=found.place + 1))
    sides = (("parity.trained", found.trained_text), ("parity.served", found.served_text))
    shared = _shared(found.trained_text, found.served_text)
    st.html("".join(SIDE.format(title=escape(t(key)), text=_marked(text, shared)) for key, text in sides))


def _shared(one: str, two: str) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two))
    )


def _marked(text: str, shared: int) -> str:
    rest = text[shared : shared + SHOWN]
    mark = MARKED.format(text=escape(rest).replace("\n", "↵\n") or "∅")
    return escape(text[max(0, shared - SHOWN) : shared]).replace("\n", "↵\n") + mark
