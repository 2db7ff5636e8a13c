"""A user without a name and a home, as in ``docker run --user 12345``: everything works, or says why not."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.as_user import NAMELESS, ROOT, as_user, their_folder
from tests.small_model import make_small_model

pytestmark = ROOT
# The one button, pressed on its page; then stopped there, and gone on with to the end.
PRESSES = """
import json, os
from core.workspace.user import stand_in
os.environ.update(stand_in())  # as the dashboard is started
from core.jobs.job import JobPaths, read_spec
from core.jobs.launch import wait
from core.runs import CHAIN
from core.workspace.paths import RunPaths, Workspace
from tests.page import open_test_page
page = open_test_page("start")
page.text_input(key="wish_name").set_value("Ada")
next(b for b in page.button if b.label == "Create my assistant").click().run()
assert not page.exception and not page.error, page.error
run = RunPaths(Workspace.of().run_folders()[0])
page.button(key="chain_stop").click().run()
assert not page.exception and not page.error, page.error
stopped = wait(run.job(CHAIN), timeout=60).state
page.run()
page.button(key="chain_go_on").click().run()
assert not page.exception and not page.error, page.error
print(json.dumps([stopped, wait(run.job(CHAIN), timeout=100).state, read_spec(run.job(CHAIN)).asked_by]))
"""
ASKS_WHO = """
import json, sys
from pathlib import Path
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
folder = Path(sys.argv[1])
launch(folder, JobSpec((sys.executable, "-c", "import getpass; print(getpass.getuser())"), folder))
wait(folder, timeout=60)
print(JobPaths(folder).log.read_text())
"""
SERVES = """
import sys
from pathlib import Path
from tests.server import Dashboard
with Dashboard(Path(sys.argv[1])) as server:
    server.url()
    print(server.ask("GET", "/_stcore/health", {"Cookie": server.cookie()}).text)
"""
KEEPS_A_TOKEN = """
from core.errors import TokenNotKept
from core.publish import personal, tokens
assert tokens.read("huggingface") is None and tokens.kept() == []
tokens.forget("huggingface")
try:
    tokens.keep("huggingface", "hf_x")
except TokenNotKept as error:
    print(error.text("en"))
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with their_folder() as found:
        yield found


@pytest.mark.parametrize("hidepid", [0, 2])
def test_the_one_button_and_its_stop(folder: Path, hidepid: int) -> None:
    make_small_model(folder / "model")
    environment = {
        "TUNEBOARD_HOME": str(folder / "workspace"),
        "TUNEBOARD_ENGINE": "tests.fake_engine",
        "FAKE_ENGINE_MODEL": str(folder / "model"),
        "TUNEBOARD_LANG": "en",
    }
    said = as_user(["-c", PRESSES], hidepid=hidepid, **environment)
    assert json.loads(said.splitlines()[-1]) == ["stopped", "finished", str(NAMELESS)]


def test_the_dashboard_comes_up(folder: Path) -> None:
    """Streamlit looks for a home at its start."""
    assert as_user(["-c", SERVES, str(folder / "w")]).split() == ["ok"]


def test_a_tool_that_asks_for_its_users_name(folder: Path) -> None:
    """PyTorch's compiler does, for the name of a folder."""
    assert as_user(["-c", ASKS_WHO, str(folder / "job")]).split() == [str(NAMELESS)]


def test_a_token_has_no_home_to_be_kept_in(folder: Path) -> None:
    keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    assert "Set XDG_CONFIG_HOME" in as_user(["-c", KEEPS_A_TOKEN], **keyring)


@pytest.mark.parametrize(
    "arguments",
    [("doctor", "--json"), ("runs",), ("models",), ("runs", "curves", "~/x"), ("runs", "adopt", "~/x")],
)
def test_the_command_line(folder: Path, arguments: tuple[str, ...]) -> None:
    code = (
        "import subprocess, sys; found = subprocess.run([sys.executable, '-m', 'core', *sys.argv[1:]],"
        " capture_output=True, text=True); print(found.returncode, found.stdout, found.stderr)"
    )
    said = as_user(["-c", code, *arguments, "--workspace", str(folder / "w")], TUNEBOARD_LANG="en")
    assert "Traceback" not in said and "KeyError" not in said, said
