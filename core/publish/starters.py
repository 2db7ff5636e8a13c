"""What a person meets first in what they have taken along: a page that says how it is started, in both
languages, and the words of the app's starters (``demo/start.py``)."""

from html import escape
from pathlib import Path

from core.models.folder import read_model
from core.publish.card import LANGUAGES, languages
from core.publish.facts import Facts
from core.publish.usage import to_run
from core.steps.step import megabytes
from core.wording import Language, say, sentences
from core.workspace.files import write_text

GUIDE = "READ-ME-FIRST.html"
START = (
    "demo.start.preparing", "demo.start.opening", "demo.start.waiting", "demo.start.ended", "demo.start.bits",
    "demo.start.no_room", "demo.start.no_folder", "demo.start.no_venv", "demo.start.no_network",
    "demo.start.no_packages",
)  # fmt: skip
# Bytes of Python, PyTorch and Streamlit themselves.
BESIDES = 10**9
# What is done where, each with what is said of it.
STEPS = {
    "app": ("needs", "windows", "macos", "linux", "first", "end", "private"),
    "gguf": ("lmstudio", "ollama"),
}
PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root{{color-scheme:light dark}}
body{{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;padding:.5rem;border:1px solid;border-radius:.25rem}}
dt{{margin-top:1rem}}
section+section{{border-top:1px solid;margin-top:2rem}}
</style>
</head>
<body>
{sections}
</body>
</html>
"""


def words() -> dict[str, dict[str, str]]:
    """What the app's starters say, by language; they fill in what only the computer they run on knows."""
    return {
        language: {key.removeprefix("demo.start."): sentences(language)[key] for key in START}
        for language in LANGUAGES
    }


def memory_to_chat(model: Path) -> str:
    """What the app takes of the memory of a computer without a GPU, as float32. Raises NotAModel."""
    return megabytes(read_model(model).parameters * 4 + BESIDES)


def put_guide(folder: Path, facts: Facts, what: str, memory: str = "") -> None:
    """Write the page that is opened first: nobody who is given this has seen Tuneboard. What an app
    needs, its ``memory`` too, stands before how it is started."""
    both = languages(facts)
    sections = "\n".join(_section(facts, what, language, memory) for language in both)
    title = escape(facts.title(both[0]))
    write_text(folder / GUIDE, PAGE.format(language=both[0], title=title, sections=sections))


def _section(facts: Facts, what: str, language: Language, memory: str) -> str:
    lines = [f"<h1>{_said(f'{what}.title', language, name=facts.name)}</h1>", "<dl>"]
    for step in STEPS[what]:
        lines.append(f"<dt><strong>{_said(f'{what}.{step}', language)}</strong></dt>")
        lines.append(f"<dd>{_said(f'{what}.{step}.how', language, memory=memory)}</dd>")
    lines.append("</dl>")
    if what == "gguf":
        inside = to_run("gguf", ".", facts.name).partition("\n")[2]
        lines.append(f"<pre>{escape(inside)}</pre>")
    return f'<section lang="{language}">\n' + "\n".join(lines) + "\n</section>"


def _said(key: str, language: Language, **values: object) -> str:
    return escape(say(f"guide.{key}", language, **values))
