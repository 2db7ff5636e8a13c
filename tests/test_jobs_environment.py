"""A job sees the secrets of the environment that were handed to it, and no others."""

import json
import sys
from pathlib import Path

import pytest

from core.jobs.environment import handed_over, inherited, is_secret
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.steps.step import engine_job, run_job
from core.workspace.paths import PROJECT
from tests.conftest import end_leftovers

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

SECRETS = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "MODELSCOPE_API_TOKEN", "GITHUB_TOKEN"),
    *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "WANDB_API_KEY", "TUNEBOARD_API_KEY", "DASHSCOPE_APIKEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENXLAB_AK", "OPENXLAB_SK"),
    *("TUNEBOARD_PASSWORD", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "GOOGLE_APPLICATION_CREDENTIALS"),
    *("SSH_AUTH_SOCK", "my_secret", "CI_JOB_JWT", "GITHUB_PAT"),
)
PLAIN = {
    "TOKENIZERS_PARALLELISM": "false",
    "OLDPWD": "/home",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "HF_ENDPOINT": "https://mirror.example",
    "KEYBOARD": "us",
    "MONKEYS": "3",
    "CUDA_VISIBLE_DEVICES": "",
    "TUNEBOARD_HOME": "/w",
}
WITH_PASSWORD = {"HTTPS_PROXY": "http://me:pw@proxy.example:3128", "DATABASE_URL": "postgres://me:pw@db/x"}
VALUE = "hunter2"
TELL = "import json, os; print(json.dumps(dict(os.environ)))"


def told(folder: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(JobPaths(folder).log.read_text(encoding="utf-8").splitlines()[-1])
    return found


@pytest.fixture
def surrounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, VALUE)
    for name, value in WITH_PASSWORD.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("surrounded")
def test_a_job_sees_no_secret_but_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "工作 区"
    spec = JobSpec((sys.executable, "-c", TELL), PROJECT, {"MINE": "1"})
    launch(folder, spec, handed_over("HF_TOKEN", "NOT_SET"))
    assert wait(folder, timeout=20).state is State.finished
    seen = told(folder)
    assert {name for name in (*SECRETS, *WITH_PASSWORD) if name in seen} == {"HF_TOKEN"}
    assert seen["MINE"] == "1" and seen["PATH"]
    written = [file for file in folder.rglob("*") if file.is_file() and file != JobPaths(folder).log]
    assert not [file for file in written if VALUE in file.read_text(encoding="utf-8", errors="replace")]
    end_leftovers(tmp_path)


@pytest.mark.usefixtures("surrounded")
def test_the_engines_tools_see_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "telling" / "__init__.py"
    engine.parent.mkdir()
    engine.write_text("")
    (engine.parent / "__main__.py").write_text(TELL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "telling")
    run_job("train", tmp_path / "job", engine_job("train", "x"))
    assert not {*SECRETS, *WITH_PASSWORD} & set(told(tmp_path / "job"))


@pytest.mark.parametrize("name", SECRETS)
def test_what_is_a_secret_by_its_name(name: str) -> None:
    assert is_secret(name, VALUE) and is_secret(name.lower(), VALUE)


def test_what_is_none() -> None:
    assert inherited(PLAIN) == PLAIN
    assert inherited({**WITH_PASSWORD, "BROKEN": "http://[me:pw@x"}) == {}
