"""A cluster on the pages: where a run is to be made, what Slurm says of it, and the profiles."""

import streamlit as st

from core.jobs.job import JobPaths, read_spec
from core.pipeline.whereabouts import place_of
from core.runs import CHAIN
from core.slurm.commands import is_here
from core.slurm.partitions import Partition, accounts, partitions
from core.slurm.profile import MOST_CPUS, MOST_GPUS, MOST_NODES, Profile, offered_first, profiles, save
from core.workspace.paths import RunPaths, Workspace
from ui.shell.frame import shown_errors
from ui.shell.text import t

# What sinfo said is asked anew after so many seconds.
REMEMBERED = 60
ICON, HERE_ICON = ":material/lan:", ":material/memory:"


def choose_where(workspace: Workspace, key: str, run: RunPaths | None = None) -> Profile | None:
    """Where a chain is to run: None for this machine, which nobody is asked about who has no profile. A run
    goes on where it was."""
    known = {profile.name: profile for profile in profiles(workspace)}
    before = _profile_of(run) if run else None
    if before:
        known.setdefault(before.name, before)
    if not known:
        return None
    here = t("cluster.here")
    names = [here, *known]
    index = names.index(before.name) if before else 0
    chosen = st.selectbox(t("cluster.where"), names, index, key=key, help=t("cluster.where.help"), width=240)
    return known.get(chosen)


def _profile_of(run: RunPaths) -> Profile | None:
    job = run.job(CHAIN)
    return read_spec(job).profile if JobPaths(job).spec.exists() else None


def show_where(workspace: Workspace, run: RunPaths) -> None:
    """Where a run is at work, or waits to be."""
    if place := place_of(workspace, run):
        icon = ICON if place.key.startswith("where.slurm") else HERE_ICON
        st.caption(f"{icon} {t(place.key, **place.values)}")


def cluster_form(workspace: Workspace) -> None:
    """Profiles, where this machine can hand work to a Slurm."""
    if not is_here():
        return
    section = st.expander(t("cluster.title"), icon=ICON, key="cluster", on_change="rerun")
    if not section.open:  # a cluster may take seconds to answer, and a machine with its commands have none
        return
    with section, shown_errors():
        st.caption(t("cluster.about"))
        offered = _partitions()
        known = {profile.name: profile for profile in profiles(workspace)}
        names = [one.name for one in offered]
        chosen = st.selectbox(t("cluster.profile"), [t("cluster.new"), *known], key="cluster_profile")
        start = known.get(chosen)
        if start is None:
            partition = st.selectbox(t("cluster.partition"), names, key="cluster_partition")
            there = next((one for one in offered if one.name == partition), None)
            start = offered_first(there) if there else Profile("")
        if wanted := _form(start):
            save(workspace, wanted, offered)
            st.success(t("cluster.saved", name=wanted.name))


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
        )
        left, right = st.columns(2)
        nodes = left.number_input(t("cluster.nodes"), 1, MOST_NODES, start.nodes)
        gpus = right.number_input(t("cluster.gpus"), 0, MOST_GPUS, start.gpus)
        cpus = left.number_input(t("cluster.cpus"), 0, MOST_CPUS, start.cpus)
        kind = right.text_input(t("cluster.gpu_type"), start.gpu_type)
        memory = left.text_input(t("cluster.memory"), start.memory, placeholder="64G")
        time = right.text_input(t("cluster.time"), start.time, placeholder="4:00:00")
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
