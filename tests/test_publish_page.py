"""The publish page: what is ready, and no button that does nothing."""

from pathlib import Path

import pytest

from core.checksums import write_checksums
from core.paths import Workspace
from tests.page import open_test_page
from tests.runs import make_run
from tests.small_model import make_small_model


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "it's a b"))
    return Workspace.of()


def test_nothing_is_ready(workspace: Workspace) -> None:
    assert "Make one or open one" in open_test_page("publish").info[0].value
    page = open_test_page("publish", make_run(workspace, "A").id)
    assert "Nothing is ready" in page.info[0].value and not page.code


def test_what_is_ready_and_how_to_take_it(workspace: Workspace) -> None:
    run = make_run(workspace, "李", trained=True)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").write_bytes(b"x")
    make_small_model(run.merged)
    for folder in (run.adapter, run.merged):
        write_checksums(folder)
    page = open_test_page("publish", run.id)
    assert not page.exception and not page.error
    assert [header.value.split()[1] for header in page.subheader][:2] == ["Adapter", "Merged"]
    commands = [code.value for code in page.code]
    assert str(run.adapter) in commands and str(run.merged) in commands
    quoted = "'" + str(run.merged).replace("'", "'\"'\"'") + "'"
    assert f"cd {quoted} && sha256sum --check SHA256SUMS" in commands
    assert not page.button
