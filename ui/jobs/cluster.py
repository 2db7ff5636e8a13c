"""A cluster on the pages: where a run is to be made, what Slurm says of it, and the profiles."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import streamlit as st

from core.errors import NoSuchRun, StorageFailed
from core.jobs.job import profile_of
from core.pipeline.whereabouts import jobs_in_slurm, place_of, waits_in_slurm
from core.runs import CHAIN, read_run
from core.slurm.commands import is_here
from core.slurm.partitions import Partition, accounts, partitions
from core.slurm.profile import MOST_CPUS, MOST_GPUS, MOST_NODES, Profile, offered_first, profiles, save
from core.workspace.paths import RunPaths, Workspace
from ui.shell.frame import choose_run, clicked, list_key, shown_errors
from ui.shell.text import t

# What sinfo said is asked anew after so many seconds.
REMEMBERED = 60
# Of so many of the newest runs the jobs are listed.
LISTED = 200
ICON, HERE_ICON = ":material/lan:", ":material/memory:"


def choose_where(workspace: Workspace, key: str, run: RunPaths | None = None) -> Profile | None:
    """Where a chain is to run: None for this machine, which nobody is asked about who has no profile. A run
    goes on where it was."""
    known = {profile.name: profile for profile in profiles(workspace)}
    before = profile_of(run.job(CHAIN)) if run else None
    if before:
        known.setdefault(before.name, before)
    if not known:
        return None
    here = t("cluster.here")
    names = [here, *known]
    index = names.index(before.name) if before else 0
    chosen = st.selectbox(t("cluster.where"), names, index, key=key, help=t("cluster.where.help"), width=240)
    return known.get(chosen)


def show_where(workspace: Workspace, run: RunPaths) -> None:
    """Where a run is at work, or waits to be."""
    if place := place_of(workspace, run):
        icon = ICON if place.key.startswith("where.slurm") else HERE_ICON
        st.caption(f"{icon} {t(place.key, **place.values)}")


def show_awaited(run: RunPaths, why: str) -> None:
    """That a training begins by itself, and after what."""
    if waits_in_slurm(run):
        st.info(t("page.train.waits"), icon=":material/hourglass_empty:")
    else:
        st.info(t(f"page.train.{why}"), icon=":material/progress_activity:")


def cluster_form(workspace: Workspace) -> None:
    """Profiles, where this machine can hand work to a Slurm."""
    if not is_here():
        return
    section = st.expander(t("cluster.title"), icon=ICON, key="cluster", on_change="rerun")
    if not section.open:  # a cluster may take seconds to answer, and a machine with its commands have none
        return
    with section, shown_errors():
        _jobs(workspace)
        st.caption(t("cluster.about"))
        offered = _partitions()
        known = {profile.name: profile for profile in profiles(workspace)}
        names = [one.name for one in offered]
        profile_names = {"": t("cluster.new"), **{name: name for name in known}}
        chosen = st.selectbox(
            t("cluster.profile"),
            list(profile_names),
            format_func=profile_names.__getitem__,
            key="cluster_profile",
        )
        start = known.get(chosen)
        if start is None:
            partition = st.selectbox(t("cluster.partition"), names, key="cluster_partition")
            there = next((one for one in offered if one.name == partition), None)
            start = offered_first(there) if there else Profile("")
        if wanted := _form(start):
            save(workspace, wanted, offered)
            st.success(t("cluster.saved", name=wanted.name))


def _jobs(workspace: Workspace) -> None:
    """What of this workspace is in Slurm, a line each, with the way to its run."""
    found = list(jobs_in_slurm(workspace, LISTED))
    if not found:
        return
    ids = [job["run"] for job in found]
    key = list_key("cluster jobs", [(job["job"], job["slurm"]) for job in found])
    columns = {"run": "runs.name", "slurm": "cluster.column.state", "nodes": "cluster.column.nodes"}
    columns |= {"profile": "cluster.profile", "job": "cluster.column.job"}
    st.dataframe(
        [_row(workspace, job) for job in found],
        hide_index=True,
        column_config={name: st.column_config.TextColumn(t(label)) for name, label in columns.items()},
        on_select=partial(_open, workspace, key, ids),
        selection_mode=("single-row", "single-cell"),
        key=key,
        alt=t("cluster.title"),
    )
    st.caption(t("runs.pick"))


def _row(workspace: Workspace, job: Mapping[str, Any]) -> dict[str, str]:
    """A run as a person calls it, and Slurm's own words."""
    reason = f" ({job['reason']})" if job["reason"] else ""
    title = read_run(RunPaths(workspace.runs / job["run"])).title
    state = f"{job['slurm'] or '–'}{reason}"
    shown = {name: job[name] or "–" for name in ("nodes", "profile", "job")}
    return {"run": title, "slurm": state, **shown}


def _open(workspace: Workspace, key: str, ids: Sequence[str]) -> None:
    row = clicked(key)
    with suppress(NoSuchRun, StorageFailed):
        if row is not None:
            choose_run(workspace.run(ids[row]))


@st.cache_data(show_spinner=False, ttl=REMEMBERED)
def _partitions() -> list[Partition]:
    return partitions()


@st.cache_data(show_spinner=False, ttl=REMEMBERED)
def _accounts() -> list[str]:
    return accounts()


def _form(start: Profile) -> Profile | None:
    """What a profile is to be, once somebody has pressed the button."""
    with st.form(f"cluster_form_{start.name}", border=False):
        name = st.text_input(t("cluster.name"), start.name)
        account = st.selectbox(
            t("cluster.account"),
            [*dict.fromkeys(["", start.account, *_accounts()])],
            [*dict.fromkeys(["", start.account])].index(start.account),
            accept_new_options=True,
            placeholder=t("cluster.account.none"),
        )
        left, right = st.columns(2)
        nodes = left.number_input(t("cluster.nodes"), 1, MOST_NODES, start.nodes)
        time = right.text_input(t("cluster.time"), start.time, placeholder="4:00:00")
        left, right = st.columns(2)  # a row each, in this order also where they stand below each other
        gpus = left.number_input(t("cluster.gpus"), 0, MOST_GPUS, start.gpus)
        kind = right.text_input(t("cluster.gpu_type"), start.gpu_type)
        left, right = st.columns(2)
        cpus = left.number_input(t("cluster.cpus"), 0, MOST_CPUS, start.cpus)
        memory = right.text_input(t("cluster.memory"), start.memory, placeholder="64G")
        python = st.text_input(t("cluster.python"), start.python)
        container = st.text_input(t("cluster.container"), start.container)
        if not st.form_submit_button(t("cluster.save"), icon=":material/save:", type="primary"):
            return None
    return Profile(
        name.strip(),
        start.partition,
        account or "",
        start.qos,
        int(nodes),
        int(gpus),
        kind.strip(),
        int(cpus),
        memory.strip(),
        time.strip(),
        python.strip(),
        container.strip(),
        start.workspace,
    )
