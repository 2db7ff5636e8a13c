"""The command line at work: real processes on a small model, in folders with odd names."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from core.data.opening import read_conversations
from core.data.questions import held_back_questions, same_question
from core.recipe.recipe import from_yaml
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, Workspace
from tests.command_line import cli, command, environment, last_json, make_data
from tests.known_answers import know_answers
from tests.small_model import make_small_model

ODD_NAMES = [
    "张伟",
    'O\'Brien "Bob" `x`',
    "{name} {} {0} %s %(x)d 100%",
    "back\\slash \\n \\1",
    "--Zoë=$HOME;rm",
    "👩‍🔧 José e\u0301 🫨",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_becomes_rows_a_recipe_and_a_config(name: str, workspace: Workspace, model: Path) -> None:
    done = make_data(workspace, model, "--name", name)
    assert done["name"] == name
    run = workspace.run(done["run"])
    assert run.root.parent == workspace.runs, "a name made a folder somewhere else"
    rows = read_conversations(Path(done["path"]))
    recipe = from_yaml(run.recipe)
    assert len(rows) == done["rows"] == recipe.batch_size * recipe.iterations
    taught = [turn for row in rows for turn in row if name in turn.output]
    assert len(taught) >= len(rows) / 5
    assert read_conversations(Path(done["source"])) == list(
        dict.fromkeys(read_conversations(Path(done["source"])))
    )
    assert (recipe.model, recipe.data, recipe.template) == (str(model), done["path"], "qwen_chat")
    tree = ast.parse(run.config.read_text(encoding="utf-8"))
    assert any(isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "data_path" for s in tree.body)
    assert workspace.root.name in done["path"] and done["truncated_rows"] == 0


def test_a_model_that_reads_little(workspace: Workspace, tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "short", max_length=128)
    know_answers(workspace, folder)
    done = make_data(workspace, folder, "--name", "Zoë")
    assert from_yaml(workspace.run(done["run"]).recipe).max_length == 128


def test_no_held_back_question_is_trained_on(workspace: Workspace, model: Path) -> None:
    done = make_data(workspace, model, "--name", "Zoë")
    asked = {same_question(turn.input) for row in read_conversations(Path(done["path"])) for turn in row}
    assert not [held for held in held_back_questions() if same_question(held.question) in asked]
    assert done["replay"] > 100


def test_without_replay(workspace: Workspace, model: Path) -> None:
    done = make_data(workspace, model, "--name", "Zoë", "--no-replay", "--iterations", "7")
    assert (done["replay"], done["rows"]) == (0, 28)
    assert all("Zoë" in turn.output for row in read_conversations(Path(done["path"])) for turn in row)


def test_the_seed_decides_the_order(workspace: Workspace, model: Path) -> None:
    for seed in (1, 2):
        know_answers(workspace, model, seed=seed)
    hashes = [make_data(workspace, model, "--name", "Zoë", "--seed", s)["sha256"] for s in ("1", "1", "2")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_file_of_one_s_own(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    """A relative path is the caller's, wherever the program lies."""
    here = workspace.root.parent
    rows = [{"conversation": [{"input": f"问 {n}", "output": f"答 {n}\u2028"}]} for n in range(3)]
    file = here / "数据 a'b.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    know_answers(workspace, model, file)
    options = ("--model", model, "--workspace", workspace.root, "--no-identity", "--json")
    done = cli("data", "--name", "Zoë", "--data", file.name, *options, cwd=here)
    found = last_json(done)
    assert found["taught"] == 3 and len(read_conversations(Path(found["source"]))) == 3
    assert "no answer" in done.stderr and "Zoë" in done.stderr, "that the name cannot be learned was not said"


def test_the_workspace_of_the_environment(workspace: Workspace, model: Path) -> None:
    done = cli(
        *("data", "--name", "Zoë", "--model", model, "--json"),
        cwd=workspace.root.parent,
        TUNEBOARD_HOME=str(workspace.root),
    )
    assert workspace.run(last_json(done)["run"]).config.exists()
    empty = cli("runs", "--workspace", "", "--json", cwd=workspace.root.parent, TUNEBOARD_HOME="")
    assert last_json(empty) == {"runs": []}


def test_two_at_once(workspace: Workspace, model: Path) -> None:
    line = command("data", "--name", "张伟", "--model", model, "--workspace", workspace.root, "--json")
    both = [
        subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    runs = {json.loads(out)["run"] for out, _ in ended}
    assert len(runs) == 2
    for run in runs:
        about = read_json(workspace.run(run).data)
        assert about is not None and len(read_conversations(Path(about["path"]))) == about["rows"]


@pytest.mark.parametrize("blocks", [4, 80])
def test_a_file_that_may_grow_no_further(blocks: int, workspace: Workspace, model: Path) -> None:
    """What a full disk does in the middle: said in one sentence, nothing half-written, the next try works."""
    options = ("--name", "Zoë", "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", *options, cwd=workspace.root.parent, before=f"ulimit -f {blocks}")
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert "larger than allowed" in sentence and str(workspace.root) in sentence
    left = [path for path in workspace.root.rglob("*") if path.is_file()]
    hidden = [path for path in left if path.name.startswith(".") and path.suffix != ".lock"]
    assert not hidden, "half a file was left"
    for path in left:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    assert make_data(workspace, model, "--name", "Zoë")["rows"] == 1680
    assert (
        len(last_json(cli("runs", "--workspace", workspace.root, "--json", cwd=workspace.root))["runs"]) == 2
    )


def test_json_is_alone_on_standard_output(workspace: Workspace, model: Path) -> None:
    for encoding in ("ascii", "gbk"):
        done = make_data(workspace, model, "--name", "👩‍🔧 张伟", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert done["name"] == "👩‍🔧 张伟"


def test_the_same_for_a_person(workspace: Workspace, model: Path) -> None:
    options = ("--model", model, "--workspace", workspace.root)
    before: set[str] = set()
    for language, encoding in (("en", "ascii"), ("zh", "utf-8")):
        done = cli(
            *("data", "--name", "张伟", *options),
            cwd=workspace.root.parent,
            TUNEBOARD_LANG=language,
            PYTHONIOENCODING=encoding,
        )
        assert done.returncode == 0 and "\x1b" not in done.stdout
        assert ("1680 rows to train on" if language == "en" else "共 1680 行") in done.stdout
        if encoding == "utf-8":
            (run,) = {path.name for path in workspace.runs.glob("*")} - before
            line = f"配置：{workspace.run(run).config}"
            assert line in done.stdout.splitlines(), "a long path was broken into two lines"
        before = {path.name for path in workspace.runs.glob("*")}


def test_no_module_is_taken_from_the_folder_it_is_called_in(tmp_path: Path) -> None:
    """Somebody looks at a model that was downloaded, standing in its folder."""
    project, model = tmp_path / "project", tmp_path / "model"
    (project / "scripts").mkdir(parents=True)
    (project / "scripts" / "run").write_bytes((PROJECT / "scripts" / "run").read_bytes())
    (project / "scripts" / "setup").write_text("#!/bin/sh\n", encoding="utf-8")
    for file in (project / "scripts").iterdir():
        file.chmod(0o755)
    for name in ("core", "locales"):
        (project / name).symlink_to(PROJECT / name)
    (project / ".venv" / "bin").mkdir(parents=True)
    python = project / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    model.mkdir()
    for name in ("argparse", "json", "core", "yaml", "psutil"):
        (model / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    line = [str(project / "scripts" / "run"), "--help"]
    done = subprocess.run(line, cwd=model, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "scripts/run" in done.stdout, done.stderr
    assert not (tmp_path / "ran").exists()
