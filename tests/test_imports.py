"""The floors of the design, and what no line of the program may do."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT

CORE = sorted(path for path in (PROJECT / "core").rglob("*.py"))
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


def imported(path: Path) -> Iterator[str]:
    """Every module a file imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def called(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


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


@pytest.mark.parametrize("path", CORE, ids=name)
def test_what_a_module_imports(path: Path) -> None:
    tops = {module.split(".")[0] for module in imported(path)}
    assert "streamlit" not in tops
    if ENGINE not in path.parents:
        assert not tops & HEAVY, "only core.engine, in processes of its own"
        assert not [module for module in imported(path) if module.startswith("core.engine")]


@pytest.mark.parametrize("path", CORE, ids=name)
def test_what_no_line_does(path: Path) -> None:
    assert not {"pickle", "dill", "marshal", "shelve"} & {m.split(".")[0] for m in imported(path)}
    for function, call in called(path):
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert function not in {"eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"}
        assert settings.get("shell", "False") == "False", f"line {call.lineno}: no shell, ever"
        assert settings.get("trust_remote_code", "False") == "False", f"line {call.lineno}"
        if function == "torch.load":
            assert settings.get("weights_only") == "True", f"line {call.lineno}: it would unpickle anything"
        if function.endswith("save_pretrained") and "tokenizer" not in function.lower():
            assert settings.get("safe_serialization", "True") == "True", f"line {call.lineno}"


@pytest.mark.parametrize("path", CORE, ids=name)
def test_a_file_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
