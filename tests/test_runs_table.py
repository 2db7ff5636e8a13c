"""The table of runs on a narrow terminal, and the name of a run that is still being made."""

from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from core.cli.listing import MOST_IN_A_TABLE
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import introduce, read_run, rename
from core.workspace.files import write_json
from core.workspace.paths import Workspace
from tests.command_line import cli, make_data

LONG = "Ada Lovelace of Ockham Park and of Whitby 调音台 Ltd."


@pytest.mark.parametrize("columns", [80, 100, 140])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_id_is_whole_on_its_line(columns: int, language: str, workspace: Workspace) -> None:
    ids = []
    for name in ("Zoë", LONG):
        run = workspace.new_run(name, datetime.now())
        introduce(run, name)
        write_json(run.result, {"learned": 0.975, "kept": 1.0, "leaked": 0, "answers": []})
        ids.append(run.id)
    done = cli(
        *("runs", "--workspace", workspace.root),
        cwd=workspace.root,
        COLUMNS=str(columns),
        TUNEBOARD_LANG=language,
    )
    assert all(any(run in line for line in done.stdout.splitlines()) for run in ids), done.stdout


@pytest.mark.parametrize("columns", [80, 140])
def test_very_many_are_a_line_each(columns: int, workspace: Workspace) -> None:
    ids = [workspace.new_run("x", datetime(2026, 1, 1)).id for _ in range(MOST_IN_A_TABLE)]
    long = workspace.new_run("Zoë", datetime(2026, 2, 2))
    introduce(long, f"{LONG}\n{LONG}")
    write_json(long.result, {"learned": 0.975, "kept": 1.0, "leaked": 0, "answers": []})
    shown = cli("runs", "--workspace", workspace.root, cwd=workspace.root, COLUMNS=str(columns)).stdout
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [long.id, *sorted(ids, reverse=True)]
    assert "Ada" in lines[1] and max(cell_len(line) for line in lines) <= columns


def test_what_fits_is_shown(workspace: Workspace) -> None:
    run = workspace.new_run("Zoë", datetime.now())
    introduce(run, "Zoë")
    write_json(run.result, {"learned": 0.975, "kept": 1.0, "leaked": 0, "answers": []})
    shown = cli("runs", "--workspace", workspace.root, cwd=workspace.root).stdout
    assert all(word in shown for word in ("Zoë", "0.975", "Leaked"))


def test_a_run_whose_data_are_made_has_its_name(
    workspace: Workspace, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is asked for minutes before there are data."""
    monkeypatch.setattr(chain, "launch", lambda *_: None)
    run = chain.start_data(workspace, TuneRequest("Zoë X", model=str(model)), "somebody", "en")
    assert (read_run(run).name, read_run(run).title) == ("Zoë X", "Zoë X")
    made = make_data(workspace, model, "--name", "Zoë")
    paths = workspace.run(made["run"])
    paths.data.unlink()
    assert read_run(paths).name == "Zoë"
    rename(paths, "another title")
    assert (read_run(paths).name, read_run(paths).title) == ("Zoë", "another title")
