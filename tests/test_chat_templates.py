"""Real families' chat templates, written as transformers writes them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError

from core.recipe import chat_template
from core.recipe.chat_template import render
from core.workspace.files import read_json
from core.workspace.paths import PROJECT
from tests.chat_templates import CASES, FOLDER, RECORDED, REFUSED, Asked, ChatTemplate, Fixed, chat_templates

TEMPLATES = chat_templates()


@pytest.fixture(scope="module")
def recorded() -> Any:
    return read_json(RECORDED)["written"]


def written(template: ChatTemplate, asked: Asked) -> str | None:
    try:
        return render(template.source, asked.messages, template.tokens, asked.ask, **dict(asked.options))
    except REFUSED:
        return None


def test_every_template_says_where_it_comes_from() -> None:
    assert {file.stem for file in FOLDER.glob("*.jinja")} == set(TEMPLATES)
    assert len(TEMPLATES) > 60
    for about in read_json(FOLDER / "sources.json").values():
        assert all(about[name] for name in ("model", "repository", "path", "licence", "text", "tokens"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_is_written_as_transformers_writes_it(
    name: str, recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_template, "datetime", Fixed)
    for case, asked in CASES.items():
        assert written(TEMPLATES[name], asked) == recorded[name][case], case


def test_a_namespace_keeps_python_out() -> None:
    assert render("{% set n = namespace(self=1, a=2) %}{{ n.self + n.a }}", (), {}) == "3"
    for source in ("{% set n = namespace(_a=1) %}", "{% set n = namespace() %}{% set n.__class__ = 1 %}"):
        with pytest.raises(TemplateError):
            render(source, (), {})


def test_tools_and_documents_are_none_and_not_unknown() -> None:
    assert (
        render("{{ tools is none }} {{ documents is none }} {{ xml is none }}", (), {}) == "True True False"
    )


@pytest.mark.slow
def test_the_recording_is_what_transformers_writes(tmp_path: Path, recorded: Any) -> None:
    file = tmp_path / "written.json"
    command = [sys.executable, "-m", "tests.record_chat_templates", str(file)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=200)
    assert read_json(file)["written"] == recorded
