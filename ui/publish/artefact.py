"""What a run has made: an adapter or a merged model, with its files, checksums and a way to take it along."""

import streamlit as st

from core.steps import export
from core.steps.export import Artefact
from core.steps.step import megabytes
from core.workspace.paths import RunPaths
from ui.jobs.panel import is_live
from ui.jobs.step import Work, begin, follow_work
from ui.shell.download import address
from ui.shell.text import t

ICONS = {"adapter": ":material/extension:", "merged": ":material/deployed_code:"}


def show_artefact(run: RunPaths, artefact: Artefact) -> None:
    with st.container(border=True, key=f"artefact {artefact.kind}"):
        title = t(f"page.merge.{artefact.kind}")
        st.header(f"{ICONS[artefact.kind]} {title} · {megabytes(artefact.size)}", anchor=False)
        st.caption(t(f"page.merge.{artefact.kind}.what"))
        if artefact.stale:
            st.warning(t("page.merge.stale"), icon=":material/history:")
        icon, link = ":material/download:", address(run, artefact.kind)
        st.link_button(t("page.merge.download"), link, icon=icon, key=f"download {artefact.kind}")
        show_files(run, artefact)


def show_files(run: RunPaths, artefact: Artefact) -> None:
    rows = [
        {t("file.name"): f.name, t("file.size"): megabytes(f.size), "SHA-256": f.sha256 or "–"}
        for f in artefact.files
    ]
    with st.expander(t("page.merge.files", count=len(rows)), key=f"files {artefact.kind}"):
        st.code(str(artefact.folder), language=None, wrap_lines=True)
        st.dataframe(rows, hide_index=True)
        st.caption(t(f"page.merge.{artefact.kind}.format"))
        st.caption(t("page.merge.check"))
        if not artefact.checked:
            offer_checksums(run, artefact)


def offer_checksums(run: RunPaths, artefact: Artefact) -> None:
    """For what was made without them; new artefacts have theirs already."""
    work = Work("checksums", run.job(f"checksums-{artefact.kind}"))
    if is_live(work.status):
        follow_work(work)
    elif st.button(t("page.merge.checksums"), key=f"checksums {artefact.kind}"):
        begin(work.folder, export.plan_checksums(artefact))
