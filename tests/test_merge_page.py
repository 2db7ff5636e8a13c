"""The merge page and what it starts: convert, merge, both; sizes, checksums, the download."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from core.errors import DiskFull, JobRunning, MissingArtefact
from core.jobs.ending import Reason
from core.jobs.failure import leave_refusal
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.steps import convert, export
from core.steps.export import Space
from core.workspace.checksums import NAME, read_checksums, write_checksums
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.conftest import end_leftovers
from tests.page import open_test_page
from tests.runs import end_job, make_run
from tests.small_model import make_small_model
from ui.shell import download

TIMEOUT = 60.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "a b"))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    yield Workspace.of()
    end_leftovers(tmp_path)


def words(page: AppTest) -> str:
    kinds = ("header", "markdown", "caption", "info", "warning", "error", "success", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(page, kind))


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception
    return page


def make_artefacts(run: RunPaths) -> None:
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"adapter")
    make_small_model(run.merged)
    for folder in (run.adapter, run.merged):
        write_checksums(folder)


def test_no_run_and_nothing_trained(workspace: Workspace) -> None:
    assert "Nothing is made yet" in open_test_page("merge").info[0].value
    page = open_test_page("merge", make_run(workspace, "A").id)
    assert "no checkpoint" in page.info[0].value and not page.exception


def test_both_in_one_job(workspace: Workspace) -> None:
    run = make_run(workspace, '李 "明" 🙂', trained=True)
    page = open_test_page("merge", run.id)
    assert not page.button(key="convert").disabled and page.button(key="merge").disabled
    page = press(page, "both")
    assert page.button(key="both").disabled and re.search("-badge\\[(waiting|running)]", words(page))
    assert wait(run.job("export"), timeout=TIMEOUT).state is State.finished
    page = open_test_page("merge", run.id)
    assert not page.error and "Adapter" in words(page) and "Merged model" in words(page)
    assert str(run.merged) in words(page)
    assert words(page).index("Merged model") < words(page).index("Adapter"), "what is used comes first"
    assert any("again" in one.label for one in page.expander), "what is made is looked at, not made again"


def test_what_a_stopped_chain_has_trained_can_be_made_here(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    end_job(run, "chain", Reason.stopped)
    page = open_test_page("merge", run.id)
    assert not page.exception and not page.error and not page.button(key="both").disabled


def test_one_after_the_other(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    press(open_test_page("merge", run.id), "convert")
    assert wait(run.job("convert"), timeout=TIMEOUT).state is State.finished
    press(open_test_page("merge", run.id), "merge")
    assert wait(run.job("merge"), timeout=TIMEOUT).state is State.finished
    assert [artefact.kind for artefact in export.artefacts(run)] == ["adapter", "merged"]


def test_stopping(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "60")
    run = make_run(workspace, "A", trained=True)
    page = press(open_test_page("merge", run.id), "both")
    deadline = time.monotonic() + TIMEOUT
    while not JobPaths(run.job("convert")).tool.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    press(page, f"stop {run.id} export")
    assert wait(run.job("export"), timeout=TIMEOUT).state is State.stopped
    assert wait(run.job("convert"), timeout=TIMEOUT).state is State.stopped
    page = open_test_page("merge", run.id)
    assert "Stopped" in page.info[0].value and not page.button(key="both").disabled


@pytest.mark.parametrize(("language", "said"), [("en", "cannot be written"), ("zh", "无法读写")])
def test_a_failure_is_explained(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, language: str, said: str
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "merge")
    # AppTest asks widgets for their texts outside of the session.
    for where in ("ui.shell.text", "ui.jobs.failure"):
        monkeypatch.setattr(f"{where}.language", lambda: language)
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    run = make_run(workspace, "A", trained=True)
    open_test_page("merge", run.id, language).button(key="both").click().run()
    assert wait(run.job("export"), timeout=TIMEOUT).state is State.failed
    page = open_test_page("merge", run.id, language)
    assert said in page.error[0].value and "Traceback" not in page.error[0].value
    assert [artefact.kind for artefact in export.artefacts(run)] == ["adapter"]


def test_the_command_s_own_last_words(workspace: Workspace) -> None:
    """It failed between its parts: no part says why."""
    run = make_run(workspace, "A", trained=True)
    end_job(run, "export", Reason.failed, "[ 10%] Merging\n/disk has 1 MB free and 270 MB are needed.\n")
    command = JobSpec(("python", "-m", "core", "export", run.id), PROJECT)
    write_json(JobPaths(run.job("export")).spec, command.as_json())  # of a version that left nothing else
    assert open_test_page("merge", run.id).error[0].value == "/disk has 1 MB free and 270 MB are needed."
    leave_refusal(run.job("export"), DiskFull(folder="/disk", needed="270 MB", free="1 MB"))
    assert "/disk 剩余 1 MB" in open_test_page("merge", run.id, "zh").error[0].value


def test_no_room(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(workspace, "A", trained=True)
    monkeypatch.setattr(export, "space", lambda _: Space(14_000_000_000, 2_000_000_000))
    page = open_test_page("merge", run.id)
    assert [metric.value for metric in page.metric] == ["14.0 GB", "2.0 GB"]
    assert "Not enough disk space" in page.warning[0].value


def test_a_base_that_was_moved_away_hides_nothing_else(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    shutil.rmtree(workspace.model("tiny"))
    page = open_test_page("merge", run.id)
    assert "No model at" in page.error[0].value and "Merged model" in words(page)


def test_while_the_whole_chain_runs_there_is_nothing_to_press(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    end_job(run, "chain")
    JobPaths(run.job("chain")).exit.unlink()  # asked for just now, not started
    page = open_test_page("merge", run.id)
    assert "by itself" in page.info[0].value and not [b for b in page.button if b.key == "both"]


def test_while_the_run_is_trained_its_checkpoints_are_left_alone(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    end_job(run, "train")
    JobPaths(run.job("train")).exit.unlink()  # asked for just now, not started
    page = open_test_page("merge", run.id)
    assert "training is running" in page.info[0].value and not [b for b in page.button if b.key == "both"]
    with pytest.raises(JobRunning):
        convert.plan(run)


def test_what_is_older_than_its_source_says_so(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    assert [artefact.stale for artefact in export.artefacts(run)] == [False, False]
    later = time.time() + 100
    os.utime(run.adapter / "adapter_model.safetensors", (later, later))
    assert [artefact.stale for artefact in export.artefacts(run)] == [False, True]
    assert "create it again" in open_test_page("merge", run.id).warning[0].value


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "模型 1.bin").write_bytes(b"x" * 3_000_000)
    (tmp_path / "empty").touch()
    write_checksums(tmp_path)
    found = read_checksums(tmp_path)
    assert [(file.name, file.size) for file in found] == [("empty", 0), ("模型 1.bin", 3_000_000)]
    assert found[1].sha256 == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    checked = subprocess.run(["sha256sum", "--check", "--strict", NAME], cwd=tmp_path, capture_output=True)  # noqa: S607
    assert checked.returncode == 0
    later = time.time() + 100
    (tmp_path / "empty").write_text("not any more")
    os.utime(tmp_path / "empty", (later, later))
    assert [bool(file.sha256) for file in read_checksums(tmp_path)] == [False, True]


def test_checksums_that_are_missing_are_computed_in_a_job(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    (run.merged / NAME).unlink()
    press(open_test_page("merge", run.id), "checksums merged")
    assert wait(run.job("checksums-merged"), timeout=TIMEOUT).state is State.finished
    assert all(artefact.checked for artefact in export.artefacts(run))
    assert not [b for b in open_test_page("merge", run.id).button if str(b.key).startswith("checksums")]


def test_two_checksum_jobs_stand_side_by_side(workspace: Workspace) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    for kind, folder in (("adapter", run.adapter), ("merged", run.merged)):
        (folder / NAME).unlink()
        launch(run.job(f"checksums-{kind}"), JobSpec(("sleep", "100"), PROJECT))
    page = open_test_page("merge", run.id)
    assert not page.exception and not page.error
    stops = {f"stop {run.id} checksums-{kind}" for kind in ("adapter", "merged")}
    assert stops <= {str(button.key) for button in page.button}


def test_the_download_is_the_folder(workspace: Workspace) -> None:
    run = make_run(workspace, '李 "明"', trained=True)
    make_artefacts(run)
    client = TestClient(Starlette(routes=download.routes("")))
    response = client.get("/" + download.address(run, "merged"))
    assert response.status_code == 200
    assert "%E6%9D%8E" in response.headers["content-disposition"]
    assert int(response.headers["content-length"]) == len(response.content)
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    assert {name.partition("/")[2]: archive.read(name) for name in archive.namelist() if name[-1] != "/"} == {
        file.name: file.read_bytes() for file in run.merged.iterdir()
    }


@pytest.mark.parametrize("address", ["x/merged", "RUN/train", "RUN/..", "RUN/%2e%2e%2fdata", "../RUN/merged"])
def test_there_is_no_other_download(workspace: Workspace, address: str) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    client = TestClient(Starlette(routes=download.routes("behind/a proxy")))
    assert client.get(f"/behind/a proxy/download/{run.id}/adapter").status_code == 200
    response = client.get(f"/behind/a proxy/download/{address.replace('RUN', run.id)}")
    assert response.status_code == 404 and "application/zip" not in response.headers["content-type"]


def test_only_asking_for_the_size_of_a_download_reads_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(workspace, "A", trained=True)
    make_artefacts(run)
    client = TestClient(Starlette(routes=download.routes("")))
    whole = client.get("/" + download.address(run, "merged"))
    monkeypatch.setattr(download.ZipStream, "__iter__", lambda _: pytest.fail("it was read"))
    asked = client.head("/" + download.address(run, "merged"))
    assert (asked.status_code, asked.content) == (200, b"")
    assert asked.headers["content-length"] == str(len(whole.content))
    assert asked.headers["content-disposition"] == whole.headers["content-disposition"]


def test_a_download_of_what_was_not_made(workspace: Workspace) -> None:
    run = make_run(workspace, "A")
    with pytest.raises(MissingArtefact):
        export.artefact(run, "adapter")
    client = TestClient(Starlette(routes=download.routes("")))
    assert client.get("/" + download.address(run, "merged")).status_code == 404
