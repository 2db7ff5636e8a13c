"""What a page asks of a job stands in request.json: whole, checked, the same as the command line says it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from core.cli.data import DocumentsRequest, ReplayRequest
from core.cli.parser import parse, parser
from core.cli.requests import plan_again, read_call
from core.data.opening import Reading
from core.errors import DamagedFile, NoSuchJob
from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, read_spec
from core.jobs.launch import launch, wait
from core.jobs.request import Call, as_record, of_record, read_request
from core.jobs.status import State
from core.model_store.importing import ImportRequest
from core.models.hubs import ModelSource
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.publish.request import PublishRequest
from core.runs import CHAIN
from core.steps import check, export, own
from core.steps.check_request import CheckRequest
from core.steps.export import ExportRequest
from core.steps.own import AskRequest
from core.workspace.files import read_json, write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.command_line import cli
from tests.page import no_errors, open_test_page
from tests.small_model import make_small_model
from tests.small_run import NAME, end_training, make_run

TIMEOUT = 120.0
ODD = "-n 'x'\"; rm $(x) \n 🙂"
REQUESTS = [
    TuneRequest(ODD),
    TuneRequest(
        "x",
        data=Path("/a b/数.csv"),
        model="m",
        replay=False,
        seed=2**32 - 1,
        iterations=3,
        system="你是{x}",
        language="zh",
        template="qwen_chat",
        template_reason="-",
        reading=Reading("openai", (("assistant", "答"), ("user", "问"))),
        restart=True,
    ),
    CheckRequest(Path("/x.jsonl"), "m", 8, "qwen_chat", Reading(None, (("user", "q"),)), ODD, "a"),
    AskRequest(("--help", ODD)),
    ExportRequest(),
    PublishRequest("merged", "zip", out=Path("/x y/z"), shard="500MB"),
    ImportRequest(ModelSource("huggingface", "a/b", "main"), "m", copy=True),
    DocumentsRequest("s", (Path("/a.pdf"),), endpoint="https://x", endpoint_model="m", language="en"),
    ReplayRequest("s", "m", 0.8, 3, Path("/q.txt"), 24, "s", 7),
]


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.mark.parametrize("asked", REQUESTS, ids=lambda asked: type(asked).__name__)
def test_a_request_comes_back_as_it_was(asked: Any) -> None:
    through_a_file = json.loads(json.dumps(as_record(asked)))
    assert of_record(type(asked), through_a_file) == asked
    with pytest.raises(ValueError, match="unexpected"):
        of_record(type(asked), {**through_a_file, "unknown": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": 3},
        {"name": "x", "seed": "42"},
        {"name": "x", "language": "fr"},
        {"name": "x", "reading": {"a": 1}},
    ],
)
def test_what_is_no_request_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="TuneRequest"):
        of_record(TuneRequest, wrong)


def test_the_command_is_short_and_says_nothing_a_person_wrote(workspace: Workspace, tmp_path: Path) -> None:
    run = RunPaths(workspace.runs / "20260101-000000-x")
    spec = chain.plan(workspace, run, TuneRequest(ODD, data=tmp_path), "me", "zh")
    assert spec.command == (sys.executable, "-m", "core", "--job", str(run.job(CHAIN)))
    assert spec.env["TUNEBOARD_LANG"] == "zh" and spec.asked_by == "me"
    call = of_record(Call, spec.request)
    assert (call.command, call.workspace, call.run) == ("tune", workspace.root, run.id)
    assert of_record(TuneRequest, call.asked) == TuneRequest(ODD, data=tmp_path)
    assert "--job" not in parser().format_help()


def test_the_command_line_says_the_same(tmp_path: Path) -> None:
    words = ["tune", "--name", "-x", "--data=/a.csv", "--format=openai", "--column=user=q"]
    words += [
        "--column=assistant=a",
        "--no-replay",
        "--seed=7",
        "--iterations=3",
        "--system=s",
        "--language=en",
    ]
    options = parse([*words, "--model=m", "--template=qwen_chat", "--template-reason=r", "--restart"])
    assert options.command.asked(options) == TuneRequest(
        "-x",
        Path("/a.csv"),
        "m",
        replay=False,
        seed=7,
        iterations=3,
        system="s",
        language="en",
        template="qwen_chat",
        template_reason="r",
        reading=Reading("openai", (("assistant", "a"), ("user", "q"))),
        restart=True,
    )


def test_a_job_does_what_its_request_asks(workspace: Workspace, tmp_path: Path) -> None:
    file = tmp_path / "a b.jsonl"
    file.write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}')
    request = CheckRequest(file, max_length=64)
    folder = check.where(workspace, request).root
    launch(folder, check.plan(workspace, request))
    assert wait(folder, timeout=TIMEOUT).state is State.finished
    found = check.read(workspace, request)
    assert found is not None and found.rows == 1
    said = json.loads(JobPaths(folder).log.read_text(encoding="utf-8").splitlines()[-1])
    assert said["rows"] == 1 and "schema" in said


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"command": "tune"}', '{"command": "rm", "workspace": "/", "asked": {}}']
)
def test_a_damaged_request_is_said_in_words(workspace: Workspace, content: str) -> None:
    folder = workspace.root / "job"
    folder.mkdir()
    with pytest.raises(NoSuchJob):
        read_call(folder)
    JobPaths(folder).request.write_text(content)
    with pytest.raises(DamagedFile):
        read_call(folder)
    done = cli("--job", folder, cwd=workspace.root)
    assert done.returncode == 1 and str(JobPaths(folder).request) in done.stderr
    assert done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


def old_chain(workspace: Workspace, run: RunPaths) -> None:
    """The chain job of a run as version 0.1.0 left it, with a command line and no request."""
    command = [
        *("/somewhere/else/.venv/bin/python", "-m", "core", "tune", f"--workspace={workspace.root}"),
        *(f"--run={run.id}", f"--name={NAME}", "--seed=42", "--iterations=40", "--system=-", "--language=en"),
        *("--template-reason=it is so", "--format=openai", "--column=user=q", "--column=assistant=a"),
    ]
    spec = {
        "command": command,
        "cwd": str(PROJECT),
        "env": {"TUNEBOARD_LANG": "zh", "PYTHONIOENCODING": "utf-8"},
        "asked_by": "ada",
        "asked_at": "2026-01-01T00:00:00+00:00",
    }
    write_json(JobPaths(run.job(CHAIN)).spec, spec)
    write_json(JobPaths(run.job(CHAIN)).exit, Ending(1, None, Reason.failed, 1.0, 2.0).as_json())


def test_a_chain_of_an_earlier_version_goes_on(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    old_chain(workspace, run)
    page = open_test_page("start", run.id)
    page.button(key="chain_go_on").click().run()
    assert no_errors(page)
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.finished
    assert read_spec(run.job(CHAIN)).command[0] == sys.executable
    call = read_request(Call, run.job(CHAIN))
    assert of_record(TuneRequest, call.asked) == TuneRequest(NAME), "its recipe and its data say the rest"


def test_going_on_rebuilds_the_command_and_never_begins_anew(workspace: Workspace) -> None:
    run, other = make_run(workspace), workspace.new_run("other", __import__("datetime").datetime(2026, 1, 2))
    spec = chain.plan(workspace, run, TuneRequest(NAME, restart=True), "me", "en")
    write_json(JobPaths(run.job(CHAIN)).spec, {**spec.as_json(), "command": ["rm", "-rf", "/"]})
    write_json(JobPaths(run.job(CHAIN)).request, spec.request)
    again = plan_again(workspace, run.job(CHAIN))
    assert again.command == spec.command
    assert of_record(Call, again.request).asked == as_record(TuneRequest(NAME))
    elsewhere = plan_again(workspace, run.job(CHAIN), other.id)
    assert (
        elsewhere.command[-1] == str(other.job(CHAIN)) and of_record(Call, elsewhere.request).run == other.id
    )


def test_planning_writes_nothing(workspace: Workspace) -> None:
    run = make_run(workspace)
    make_small_model(run.merged, seed=1)
    end_training(run)
    before = sorted(workspace.root.rglob("*"))
    own.plan(workspace, run, ["a"])
    export.plan(workspace, run)
    check.plan(workspace, CheckRequest(Path("/x")))
    chain.plan(workspace, run, TuneRequest(NAME), "me", "en")
    assert sorted(workspace.root.rglob("*")) == before and read_json(JobPaths(run.job("own")).request) is None
