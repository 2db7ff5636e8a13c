"""Compare: the same questions to base and tuned model; what was learned, kept and leaked."""

import streamlit as st

from core.pipeline import chain
from core.pipeline.chain_stages import test_far
from core.runs import read_run
from core.steps import own, proof
from core.steps.proof import Proof
from core.workspace.names import slug
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.step import Work, begin, follow_unless_done
from ui.jobs.trained import show_ways
from ui.runs.answers import Shown, once, show_grid, show_pairs
from ui.runs.checkpoints import show_checkpoints
from ui.runs.score import offer_answers, show_parts, show_score, show_sentence
from ui.runs.sweep import show_sweeps
from ui.shell.frame import link_to, need_run, open_page, shown_errors
from ui.shell.making import spoken_of
from ui.shell.text import t


def compare_page(workspace: Workspace, run: RunPaths) -> None:
    chained = chain.is_live(run)
    if not run.merged.exists():
        st.info(spoken_of(run, "page.compare.not_merged"), icon=":material/info:")
        if not chained:
            link_to("merge", t("page.compare.to_merge"), run)
    elif chained:
        st.info(t("page.compare.chain"), icon=":material/progress_activity:")
    found = proof.read(run)
    known = found is not None and not found.stale
    merged = run.merged.exists()
    if found and found.stale:
        st.warning(t("page.compare.stale"), icon=":material/history:")
    if merged and not chained and not known:
        offer_proof(workspace, run, found)
    if found:
        show_proof(run, found)
    if merged and not chained and known:
        offer_proof(workspace, run, found)
    if merged:
        ask_own(workspace, run)
    show_checkpoints(workspace, run, busy=chained, first=known or not merged)


def show_proof(run: RunPaths, found: Proof) -> None:
    if not found.stale:
        show_sentence(found.score, beside_answers=True)
        show_ways(run, "chat", "publish")
    show_score(found.score)
    show_parts(found)
    show_grid(found.rows)
    offer_answers(found, slug(read_run(run).title))


def offer_proof(workspace: Workspace, run: RunPaths, found: Proof | None) -> None:
    """Ask the questions: the chain does it by itself with a part of them, a run made step by step is asked
    here, and so are all of them."""

    def share() -> tuple[float, str] | None:
        return test_far(workspace, run)

    work = Work("ask", run.job(proof.PROOF), {step: run.job(step) for step in ("base", "ask")}, share)
    if follow_unless_done(work):
        return
    if found is None or found.stale:
        if st.button(t("page.compare.prove"), type="primary", icon=":material/fact_check:", key="prove"):
            begin(work.folder, proof.plan(workspace, run))
        st.caption(t("page.compare.prove.what"))
    elif not found.full:
        if st.button(t("page.compare.prove_full"), icon=":material/checklist:", key="prove_full"):
            begin(work.folder, proof.plan(workspace, run, full=True))
        st.caption(t("page.compare.prove_full.what"))


def ask_own(workspace: Workspace, run: RunPaths) -> None:
    st.header(t("page.compare.own"), anchor=False)
    parts = {"base": run.job(own.OWN_BASE), "ask": run.job(own.OWN_TUNED)}
    work = Work("ask", run.job(own.OWN), parts)
    text = st.text_area(
        t("page.compare.own.label"), placeholder=t("page.compare.own.example"), key="own", max_chars=20_000
    )
    live = follow_unless_done(work)
    questions = own.lines(text)
    label = t("page.compare.own.ask", count=len(questions))
    if st.button(label, icon=":material/question_answer:", disabled=live or not questions, key="ask_own"):
        begin(work.folder, own.plan(workspace, run, questions))
    if answered := own.read(run):
        show_pairs(Shown(pair.question, once(pair.base), once(pair.tuned)) for pair in answered)


here = open_page("compare")
current = need_run(here, "compare")
with shown_errors():
    show_sweeps(here.workspace, current)
with shown_errors():
    compare_page(here.workspace, current)
