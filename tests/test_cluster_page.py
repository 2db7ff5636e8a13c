"""The cluster on the pages: a profile is made, chosen, and a run is handed over and shown."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.cli import stages
from core.cli.parser import parse
from core.errors import InvalidOption, InvalidRecipe
from core.jobs import elsewhere
from core.jobs.batch import SlurmBatch, write_batch
from core.jobs.ending import Reason
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.process import identify
from core.jobs.request import of_record
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.pipeline.whereabouts import Whereabouts, place_of
from core.queue.devices import Devices
from core.queue.line import Line
from core.recipe.ranks import divided_alike
from core.recipe.recipe import Recipe, to_yaml
from core.runs import CHAIN, introduce
from core.slurm.profile import Profile, profiles, save
from core.slurm.queue import Queue
from core.steps import dividing, prepare
from core.workspace.files import write_json, write_text
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests import small_run
from tests.fake_slurm import JOB, put_slurm
from tests.page import no_errors, open_test_page
from tests.runs import end_job, make_run
from tests.small_model import make_small_model


@pytest.fixture
def cluster(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("PATH", f"{put_slurm(tmp_path / 'slurm')}:{os.environ['PATH']}")
    monkeypatch.setenv("TUNEBOARD_HOME", str(workspace.root))
    monkeypatch.setattr(elsewhere, "QUEUE", Queue())
    st.cache_data.clear()  # what another test's sinfo said
    return workspace


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_profile_is_made_on_the_page(cluster: Workspace, language: str) -> None:
    page = open_test_page("start", language=language)
    assert not [box for box in page.selectbox if box.key == "cluster_partition"], "asked of nobody unopened"
    page.session_state["cluster"] = True
    page.run()
    assert "wish_where" not in {box.key for box in page.selectbox}  # nobody is asked who has no profile
    (save_button,) = [one for one in page.button if one.form_id.startswith("cluster_form")]
    named = next(box for box in page.text_input if box.form_id == save_button.form_id and box.value == "gpu")
    named.set_value(" ").run()
    save_button.click().run()
    assert len(page.error) == 1 and not profiles(cluster)
    named.set_value("gpu").run()
    save_button.click().run()
    assert no_errors(page)
    (made,) = profiles(cluster)
    assert (made.partition, made.gpus, made.gpu_type, made.time) == ("gpu", 1, "a100", "1-00:00:00")


def test_where_slurm_has_commands_but_no_cluster(
    cluster: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that has the packages: Start is as it is anywhere, and the cluster's part says why."""
    (tmp_path / "slurm" / "sinfo").write_text("#!/bin/sh\necho sinfo: fatal: no configuration >&2\nexit 1\n")
    page = open_test_page("start")
    assert no_errors(page)
    page.session_state["cluster"] = True
    page.run()
    assert not page.exception and "no configuration" in page.error[0].value


def test_a_run_in_slurm_is_shown_as_any_other(cluster: Workspace) -> None:
    save(cluster, Profile("big", "gpu"))
    run = RunPaths(cluster.runs / "20260102-030405-ada")
    introduce(run, "Ada")
    spec = chain.plan(cluster, run, TuneRequest("Ada"), "me", "en")
    paths = JobPaths(run.job(CHAIN))
    write_json(paths.spec, JobSpec(spec.command, PROJECT, profile=Profile("big", "gpu")).as_json())
    write_json(paths.request, spec.request)
    write_batch(paths.folder, SlurmBatch(JOB, True, 0, 1.0))
    page = open_test_page("start", run.id)
    assert no_errors(page)
    assert said_where(page) == ["partition gpu", f"Slurm job {JOB}", "profile big", "Priority"]
    assert page.selectbox(key="wish_where").options == ["This machine", "big"]
    assert any("waits for its turn" in one.value for one in page.header)
    page.session_state["cluster"] = True
    page.run()
    (jobs,) = [table.value for table in page.dataframe if "slurm" in table.value]
    assert list(jobs.iloc[0]) == ["Ada", "PENDING (Priority)", "–", "big", JOB]
    assert said_where(open_test_page("train", run.id)) == said_where(page), "also before it has a config"
    (said,) = [
        one.value for one in open_test_page("train", run.id, language="zh").caption if JOB in one.value
    ]
    assert all(part in said for part in ("分区 gpu", "方案 big", "排队"))


def said_where(page: AppTest) -> list[str]:
    """What of a job in the cluster its sentence says."""
    parts = ("partition gpu", f"Slurm job {JOB}", "profile big", "Priority")
    (said,) = [one.value for one in page.caption if f"Slurm job {JOB}" in one.value]
    return [part for part in parts if part in said]


def at_work(run: RunPaths, **supervisor: object) -> None:
    """The run's chain is at work, its supervisor as it says."""
    write_json(JobPaths(run.job(CHAIN)).spec, JobSpec(("true",), PROJECT).as_json())
    for file in (JobPaths(run.job(CHAIN)).supervisor, JobPaths(run.job(CHAIN)).tool):
        write_json(file, {**identify(os.getpid()).as_json(), **supervisor})


def test_a_run_on_this_machine_says_its_devices_and_one_elsewhere_its_machine(workspace: Workspace) -> None:
    run = RunPaths(workspace.runs / "20260102-030405-ada")
    introduce(run, "Ada")
    assert place_of(workspace, run) is None
    at_work(run)
    cards = ["gpu:0", "gpu:1"]
    place = Line(workspace.root, lambda kind: ["cpu"] if kind == "cpu" else cards).join(
        run.job(CHAIN), Devices(2, "gpu")
    )
    held = place.begin()
    assert held is not None
    assert place_of(workspace, run) == Whereabouts("where.gpu", {"cards": "0, 1"})
    held.release()
    at_work(run, host="big-node", boot="another")
    assert place_of(workspace, run) == Whereabouts("where.elsewhere", {"host": "big-node"})


def test_all_that_a_profile_asks_for_trains(cluster: Workspace) -> None:
    """And what a run goes on with elsewhere is divided anew, with the same rows an update."""
    make_small_model(cluster.model("tiny"))
    request = TuneRequest("Ada", model=str(cluster.model("tiny")))
    run = chain.start(cluster, request, "me", "en", Profile("big", "gpu", nodes=2, gpus=4))
    assert planned(read_spec(run.job(CHAIN))) == (None, 2, 4)
    said = chain.start(cluster, replace(request, devices=3), "me", "en", Profile("big", "gpu", gpus=4))
    assert planned(read_spec(said.job(CHAIN))) == (3, 1, 4)


def planned(spec: JobSpec) -> tuple[int | None, int, int]:
    """How many devices somebody said, and how many machines with how many GPUs each are asked for."""
    assert spec.request
    asked = of_record(TuneRequest, spec.request["asked"])
    assert asked.devices_each == (asked.devices or asked.gpus or 1)
    return asked.devices, asked.nodes, asked.gpus


def test_going_on_with_another_profile_divides_the_rows_anew(cluster: Workspace) -> None:
    run = make_run(cluster, "Ada")
    divided = {"batch_size": 2, "gradient_accumulation_steps": 4, "devices": 2, "iterations": 40}
    recipe = Recipe(model="m", data="d", **divided)
    write_text(run.recipe, to_yaml(recipe))
    big = Profile("big", "gpu", nodes=2, gpus=2)
    rest = chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", big)
    found = prepare.recipe_of(run)
    assert (found.nodes, found.devices, found.global_batch) == (2, 2, recipe.global_batch)
    assert rest.profile == big
    assert chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", None).profile is None
    assert divided_alike(prepare.recipe_of(run), recipe) and prepare.recipe_of(run).nodes == 1


def test_what_a_profile_asked_for_is_not_asked_of_the_next_one(cluster: Workspace) -> None:
    """The request keeps what somebody said by --devices, and nothing else."""
    make_small_model(cluster.model("tiny"))
    request = TuneRequest("Ada", model=str(cluster.model("tiny")))
    big, small = Profile("big", "gpu", gpus=4), Profile("small", "gpu", gpus=2)
    run = chain.start(cluster, request, "me", "en", big)
    said = chain.start(cluster, replace(request, devices=4), "me", "en", big)
    for profile, gpus in ((small, 2), (None, 0), (Profile("three", "gpu", gpus=3), 3)):
        for known, devices in ((run, None), (said, 4)):
            asked = chain.asked_before(known)
            assert asked and (asked.devices, asked.nodes, asked.gpus) == (devices, 1, 0)
            rest = chain.plan_rest(cluster, known, asked, "me", "en", profile)
            assert planned(rest) == (devices, 1, gpus) and rest.profile == profile


def test_what_was_prepared_on_a_processor_trains_on_the_gpus_of_a_profile(cluster: Workspace) -> None:
    """Which this machine has none of: it is prepared as for them, before it is handed over."""
    make_small_model(cluster.starter)
    run, cards = small_run.make_run(cluster), Profile("cards", "gpu", gpus=2, gpu_type="a100")
    before = prepare.recipe_of(run)
    assert (before.device, before.devices) == ("cpu", 1)
    chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", Profile("cpus", "cpu", nodes=2))
    assert prepare.recipe_of(run).device == "cpu"
    chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", cards)
    found = prepare.recipe_of(run)
    assert (found.device, found.precision, found.devices, found.nodes) == ("cuda", "bf16", 2, 1)
    assert divided_alike(found, before) and prepare.in_line(run) == found
    with pytest.raises(InvalidRecipe, match="GPU"):
        dividing.put_here(run)


def test_what_was_begun_on_a_processor_is_not_handed_to_gpus(cluster: Workspace) -> None:
    """Unless there is nothing left to train."""
    run, cards = make_run(cluster, "Ada", trained=True), Profile("cards", "gpu", gpus=2)
    end_job(run, "train", Reason.stopped)
    before = prepare.recipe_of(run)
    with pytest.raises(InvalidRecipe, match=r"begun on a processor .*iteration 4.*cards"):
        chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", cards)
    assert prepare.recipe_of(run) == before
    end_job(run, "train")
    assert chain.plan_rest(cluster, run, TuneRequest("Ada"), "me", "en", cards).profile == cards
    assert prepare.recipe_of(run) == before


def test_what_a_command_says_beside_a_profile_counts(cluster: Workspace) -> None:
    save(cluster, Profile("big", "gpu"))
    run = make_run(cluster, "Ada")

    def type_in(*words: str) -> None:
        options = parse(["tune", "--run", run.id, "--on", "big", *words])
        options.command(options, cluster)

    with pytest.raises(InvalidOption, match="--restart and --on cannot be used together"):
        type_in("--restart")
    assert not chain.has_chain(run)
    type_in("--auto-resume", "2")
    asked = chain.asked_before(run)
    assert asked and asked.auto_resume == 2 and read_spec(run.job(CHAIN)).profile == Profile("big", "gpu")


def test_who_said_no_devices_asked_for_one(cluster: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(cluster, "Ada")
    monkeypatch.setattr(chain, "asked_before", lambda _: TuneRequest("Ada"))
    stages._refuse_another(parse(["tune", "--run", run.id, "--devices", "1"]), cluster)
    with pytest.raises(InvalidOption, match="--devices"):
        stages._refuse_another(parse(["tune", "--run", run.id, "--devices", "2"]), cluster)
