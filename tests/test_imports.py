"""The floors of the design, and what no line of the program may do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT
from tests.own_source import parsed, sources

SOURCES = sources("core")
ENGINE = PROJECT / "core" / "engine"
HEAVY = {
    "torch",
    "transformers",
    "xtuner",
    "mmengine",
    "peft",
    "datasets",
    "bitsandbytes",
    "gguf",
    "deepspeed",
}


FORBIDDEN = {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
PICKLES = {"pickle", "dill", "marshal", "shelve"}


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, inside functions too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def packages(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


def wrong_with(call: ast.Call) -> Iterator[str]:
    """What no call may be."""
    function = ast.unparse(call.func)
    settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if function in FORBIDDEN:
        yield function
    if settings.get("shell", "False") != "False":
        yield "no shell, ever"
    if settings.get("trust_remote_code", "False") != "False":
        yield "trust_remote_code"
    if function == "torch.load" and settings.get("weights_only") != "True":
        yield "torch.load would unpickle anything"
    saved = function.endswith("save_pretrained") and "tokenizer" not in function.lower()
    if saved and settings.get("safe_serialization", "True") != "True":
        yield "a pickle is written"


def test_the_contracts_are_kept(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [str(program), "--cache-dir", str(tmp_path)], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize("room", ["core", "ui"])
def test_every_folder_of_modules_is_a_package(room: str) -> None:
    """One without ``__init__.py`` imports as well, and the rules above do not see it."""
    folders = {path.parent for path in (PROJECT / room).rglob("*.py")}
    files = [str(folder.relative_to(PROJECT) / "__init__.py") for folder in sorted(folders)]
    assert [file for file in files if not (PROJECT / file).exists()] == []


def test_what_a_module_imports() -> None:
    """Only ``core.engine``, in processes of its own, loads model libraries; and only the page Streamlit."""
    assert not [path for path in SOURCES if "streamlit" in packages(path)]
    others = [path for path in SOURCES if ENGINE not in path.parents]
    assert not [(path, found) for path in others if (found := packages(path) & HEAVY)]
    assert not [path for path in others if any(module.startswith("core.engine") for module in imported(path))]


def test_what_no_line_does() -> None:
    assert not [path for path in SOURCES if packages(path) & PICKLES]
    calls = [
        (path, node) for path in SOURCES for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)
    ]
    assert not [f"{path}:{call.lineno} {why}" for path, call in calls for why in wrong_with(call)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("eval(x)", "eval"),
        ("os.system('x')", "os.system"),
        ("subprocess.run(x, shell=True)", "no shell, ever"),
        ("subprocess.run(x, shell=False)", None),
        ("AutoModel.from_pretrained(x, trust_remote_code=True)", "trust_remote_code"),
        ("torch.load(x)", "torch.load would unpickle anything"),
        ("torch.load(x, weights_only=True)", None),
        ("model.save_pretrained(x, safe_serialization=False)", "a pickle is written"),
        ("model.save_pretrained(x)", None),
    ],
)
def test_such_a_line_would_be_seen(line: str, why: str | None) -> None:
    (statement,) = ast.parse(line).body
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    assert list(wrong_with(statement.value)) == ([why] if why else [])


def test_a_file_says_what_it_is() -> None:
    files = sources("core", "ui", "pages", "demo", "scripts")
    assert not [file for file in files if not ast.get_docstring(parsed(file))]
