"""What the doctor found, looked up beside the page: one of its questions takes seconds."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context

import streamlit as st

from core.doctor import Diagnosis, examine
from core.workspace.paths import Workspace
from ui.shell.frame import follow
from ui.shell.text import language, plain, t

EVERY = 1.0
KEPT_SECONDS = 600
ICONS = {
    "good": ":green[:material/check_circle:]",
    "note": ":orange[:material/info:]",
    "bad": ":red[:material/error:]",
}
# In a dashboard that runs, its own port is taken.
NOT_SHOWN = {"port"}


def show_diagnoses(workspace: Workspace) -> None:
    """A line that says whether this machine is fit, and everything that was looked at behind it."""
    follow(
        look=lambda: _examination(str(workspace.root), language()),
        draw=_show_examination,
        mark=lambda asked: asked.done(),
        every=lambda done: None if done else EVERY,
    )


def _show_examination(asked: Future[list[Diagnosis]]) -> None:
    if asked.done():
        _show([found for found in asked.result() if found.check not in NOT_SHOWN])
    else:
        st.caption(t("findings.looking"))


@st.cache_resource(ttl=KEPT_SECONDS, max_entries=4, show_spinner=False)
def _examination(root: str, spoken: str) -> Future[list[Diagnosis]]:  # noqa: ARG001  one for each language
    """The doctor at work in a thread of its own, speaking the page's language."""
    worker = ThreadPoolExecutor(1, thread_name_prefix="doctor")
    try:
        return worker.submit(copy_context().run, examine, Workspace.of(root))
    finally:
        worker.shutdown(wait=False)


def _show(found: list[Diagnosis]) -> None:
    bad = [finding for finding in found if finding.grade == "bad"]
    title = t("findings.bad", count=len(bad)) if bad else t("findings.good")
    with st.expander(title, expanded=bool(bad), icon=":material/error:" if bad else ":material/check:"):
        for finding in found:
            st.markdown(
                f"{ICONS[finding.grade]} **{t(f'findings.{finding.check}')}** · {plain(finding.text)}"
            )
            if finding.fix and finding.grade == "bad":
                st.code(finding.fix, language="bash")
        if st.button(t("findings.again"), key="findings_again", icon=":material/refresh:"):
            _examination.clear()
            st.rerun()
