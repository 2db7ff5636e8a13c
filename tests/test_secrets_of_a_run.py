"""Whoever makes a run with tokens in the environment finds them in nothing that the run has written."""

import subprocess
from pathlib import Path

import pytest

from core.workspace.paths import Workspace
from tests.command_line import command, environment
from tests.secrets_kept import processes

# What is tried here is how a job starts.
pytestmark = pytest.mark.real_start

SECRETS = {
    "HF_TOKEN": "hf_NeverWrittenAnywhere0123456789abcd",
    "HUGGING_FACE_HUB_TOKEN": "hf_AnotherOneNeverWritten0123456789ab",
    "MODELSCOPE_API_TOKEN": "ms-never-written-anywhere-0123456789",
    "TUNEBOARD_API_KEY": "sk-never-written-anywhere-0123456789",
    "TUNEBOARD_PASSWORD": "never-written-password-0123456789",
    "HTTPS_PROXY": "http://me:never-written-proxy-0123456789@127.0.0.1:9",
}
WORDS = (
    *(value for name, value in SECRETS.items() if name != "HTTPS_PROXY"),
    "never-written-proxy-0123456789",
)


@pytest.mark.slow
def test_a_run_writes_no_secret(workspace: Workspace, tmp_path: Path) -> None:
    """Recipe, config, logs, jobs, reports and answers of a whole chain, what it prints, and its processes."""
    line = command("tune", "--name", "Ada", "--workspace", workspace.root, "--json")
    env = {**environment(), **SECRETS, "TUNEBOARD_ENGINE": "tests.fake_engine"}
    printed = tmp_path / "printed.txt"
    with printed.open("wb") as out, subprocess.Popen(line, env=env, stdout=out, stderr=out) as made:
        own, mine = Path(f"/proc/{made.pid}/environ"), set[str]()
        while made.poll() is None:
            mine.add(_read(own))  # before and after: it may begin or end meanwhile
            others = [text for text in processes() if any(word in text for word in WORDS)]
            mine.add(_read(own))
            assert [text for text in others if text not in mine] == [], "arguments and environments of jobs"
            try:
                made.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
    assert made.returncode == 0, printed.read_text()
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(files) > 20
    for file in files:
        content = file.read_bytes()
        assert not [word for word in WORDS if word.encode() in content], file


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
