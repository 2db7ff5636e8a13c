"""Publish: what is ready to leave this machine, and how to take it along today."""

import shlex

import streamlit as st

from core.paths import RunPaths
from core.steps import export
from core.steps.export import Artefact
from ui.artefact import show_artefact
from ui.frame import link_to, need_run, open_page, shown_errors
from ui.text import t


def publish_page(run: RunPaths) -> None:
    made = export.artefacts(run)
    if not made:
        st.info(t("page.publish.nothing"), icon=":material/info:")
        link_to("merge", t("page.publish.to_merge"), run)
        return
    for artefact in made:
        show_artefact(run, artefact)
    st.subheader(t("page.publish.by_hand"), anchor=False)
    show_commands(made[-1])
    st.caption(t("page.publish.later"))


def show_commands(artefact: Artefact) -> None:
    """What works today on any machine that has the folder."""
    folder = shlex.quote(str(artefact.folder))
    st.markdown(t("page.publish.check"))
    st.code(f"cd {folder} && sha256sum --check SHA256SUMS", "shell", wrap_lines=True)
    if artefact.kind == "merged":
        st.markdown(t("page.publish.serve"))
        st.code(f"transformers serve --force_model {folder} --host 127.0.0.1", "shell", wrap_lines=True)
    st.markdown(t("page.publish.upload"))
    st.code(f"hf auth login\nhf upload --private NAME/MODEL {folder}", "shell", wrap_lines=True)


here = open_page("publish")
current = need_run(here, "publish")
with shown_errors():
    publish_page(current)
