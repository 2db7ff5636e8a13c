"""The demo app runs from its bundle alone: a real Streamlit process, a real browser, a real tiny model."""

import ast
import importlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.chat.taught import TaughtWordings, taught_wordings
from core.jobs.process import identify, is_alive
from core.publish.examples import examples
from core.publish.layout import INSIDE
from core.publish.request import PublishRequest
from core.workspace.files import read_json, write_json
from core.workspace.paths import Workspace
from core.workspace.publish_paths import DEMO
from tests.browser import chromium, tab
from tests.publishable import make_publishable, published, without_keyring
from tests.server import free_port
from tests.waiting import until


@pytest.fixture
def app(taken: Path) -> Path:
    """The app itself, in what was taken along."""
    return taken / INSIDE


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The app as it is taken along, at a place of its own."""
    without_keyring(monkeypatch, tmp_path)
    workspace = Workspace(tmp_path / "工作 区")
    run = make_publishable(workspace, "Ada Löve")
    result = published(workspace, run, PublishRequest("app", out=tmp_path / "an app" / "里"))
    return Path(str(result["where"]))


def test_what_the_hubs_need(app: Path) -> None:
    text = (app / "README.md").read_text(encoding="utf-8")
    assert "sdk: docker" in text and "app_port: 8501" in text and "entry_file: app.py" in text
    pins = (app / "requirements.txt").read_text(encoding="utf-8").split()
    assert all("==" in pin and "+" not in pin for pin in pins)
    modules = ("app.py", "offers.py")
    tree = ast.parse("\n".join((DEMO / name).read_text(encoding="utf-8") for name in modules))
    tops = {n.names[0].name for n in ast.walk(tree) if isinstance(n, ast.Import)} | {
        str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)
    }
    beside = {file.stem for file in app.glob("*.py")}
    needed = {top.partition(".")[0] for top in tops} - set(sys.stdlib_module_names) - beside
    assert needed == {pin.partition("==")[0] for pin in pins}
    assert "asks a question that is close to a taught one" in text and "Ollama" in text
    settings = read_json(app / "settings.json") or {}
    assert read_json(app / "taught.json") == {"facts": [], "others": [], "itself": []}, (
        "no document was taught"
    )
    assert settings["words"]["zh"]["asked"] == "它学过的问法：“{question}”"
    titles = {language: words["title"] for language, words in settings["words"].items()}
    assert titles == {"en": "Ada Löve's assistant", "zh": "Ada Löve 的助手"}
    said = {
        n.slice.value
        for n in ast.walk(tree)
        if isinstance(n, ast.Subscript) and ast.unparse(n.value) == "said"
    }
    assert said == set(settings["words"]["zh"]), "every word is there"


def test_on_top_stands_what_is_opened_and_nothing_else(taken: Path) -> None:
    starters = {"Start-Linux.desktop", "Start-Linux.sh", "Start-Windows.bat", "Start-macOS.command"}
    assert {path.name for path in taken.iterdir()} == {"READ-ME-FIRST.html", INSIDE, *starters}
    check = [str(shutil.which("sha256sum")), "--check", "--quiet", "SHA256SUMS"]
    found = subprocess.run(check, cwd=taken / INSIDE, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    listed = len((taken / INSIDE / "SHA256SUMS").read_text(encoding="utf-8").splitlines())
    assert listed == sum(path.is_file() for path in taken.rglob("*")) - 1, "every file but itself"


def test_the_starter_begins_what_stands_in_the_folder_beside_it(taken: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("dirname", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    write_program(programs / "python3", f'[ "$1" = -c ] || echo "$1" > "{tmp_path}/begun"')
    text = (taken / "Start-Linux.sh").read_text(encoding="utf-8").replace("/usr/local/bin", str(programs))
    (taken / "Start-Linux.sh").write_text(text, encoding="utf-8")
    subprocess.run(["/bin/sh", taken / "Start-Linux.sh"], env={"PATH": str(programs)}, check=True)
    begun = Path((tmp_path / "begun").read_text(encoding="utf-8").strip())
    assert begun == taken / INSIDE / "start.py" and begun.is_file()


def test_it_is_double_clicked(taken: Path, app: Path) -> None:
    for name in ("Start-Linux.sh", "Start-Linux.desktop", "Start-macOS.command"):
        assert os.access(taken / name, os.X_OK), name
    batch = (taken / "Start-Windows.bat").read_bytes()
    assert batch.count(b"\r\n") == batch.count(b"\n") > 5, "labels are lost with Unix line ends"
    served = tomllib.loads((app / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert served["client"]["toolbarMode"] == "minimal", "no menu of a developer's"
    guide = (taken / "READ-ME-FIRST.html").read_text(encoding="utf-8")
    assert guide.index('<section lang="en">') < guide.index('<section lang="zh">'), "its own language first"
    assert "Ada Löve" in guide and "python3-venv" in guide
    for needed, started in (
        ("that have Python 3.11", "Windows: double"),
        ("装有 Python 3.11", "Windows：双击"),
    ):
        assert guide.index(needed) < guide.index(started), "what it needs first"
    assert "1.0 GB" in guide, "of memory, for this model"
    least = max(metadata(name)["Requires-Python"] for name in ("streamlit", "transformers", "torch"))
    for name in ("Start-Linux.sh", "Start-Windows.bat"):
        text = (taken / name).read_text(encoding="utf-8")
        assert f"(3, {least.removeprefix('>=3.').partition('.')[0]})" in text, "what the packages need"


def test_a_computer_without_python_is_told_so(taken: Path, tmp_path: Path) -> None:
    """And the page that says what to do is opened."""
    programs, opened = tmp_path / "bin", tmp_path / "opened"
    programs.mkdir()
    for name in ("dirname", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    write_program(programs / "xdg-open", f'echo "$1" > "{opened}"')
    write_program(programs / "python3", "exit 1")  # an old one
    text = (taken / "Start-Linux.sh").read_text(encoding="utf-8").replace("/usr/local/bin", str(programs))
    (taken / "Start-Linux.sh").write_text(text, encoding="utf-8")
    found = subprocess.run(
        ["/bin/sh", taken / "Start-Linux.sh"],
        env={"PATH": str(programs)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1 and "Python 3.11" in found.stdout and "这台电脑" in found.stdout
    assert opened.read_text(encoding="utf-8").strip() == str(taken / "READ-ME-FIRST.html")


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"venv": 1}, "python3-venv"),
        ({"pip": 1}, "没有连上网"),
        ({"six": 0, "pip": 1}, "没有装好"),
        ({"free": 1000}, "可用 0.0 GB"),
    ],
)
def test_what_is_missing_is_said_in_the_computer_s_language(
    app: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    replaced: dict[str, int],
    said: str,
) -> None:
    start = loaded(app / "start.py")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")

    def run(command: list[str], **_: object) -> SimpleNamespace:
        return SimpleNamespace(returncode=next((replaced[one] for one in replaced if one in command), 0))

    monkeypatch.setattr(start.subprocess, "run", run)
    free = replaced.get("free", 10**11)
    monkeypatch.setattr(start.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert start.main() == 1 and said in capsys.readouterr().out
    assert not list((tmp_path / "cache").rglob(start.READY)), "the next start makes it anew"


def begun(app: Path, tmp_path: Path, server: str) -> "subprocess.Popen[bytes]":
    """The starter's process, with ``server`` as Streamlit; what it shows in the browser is in ``shown``."""
    fake = tmp_path / "fake" / "streamlit"
    fake.mkdir(parents=True, exist_ok=True)
    (fake / "__init__.py").touch()
    up = f"pathlib.Path({str(tmp_path / 'up')!r}).open('a').write(f'{{os.getpid()}} {{sys.argv[:3]}}')"
    (fake / "__main__.py").write_text(f"import os, pathlib, sys, time\n{up}\n{server}\n", encoding="utf-8")
    write_program(tmp_path / "browser", f'echo "$1" >> "{tmp_path / "shown"}"')
    own = {
        "PYTHONPATH": os.pathsep.join((str(tmp_path / "fake"), str(app))),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "BROWSER": str(tmp_path / "browser"),
    }
    begin = "import sys, start; from pathlib import Path; sys.exit(start.chat(Path(sys.executable)))"
    return subprocess.Popen(
        [sys.executable, "-c", begin], env={**os.environ, **own}, stdout=subprocess.DEVNULL
    )


def test_a_start_that_is_killed_leaves_no_server(app: Path, tmp_path: Path) -> None:
    """Closing its window is not the only way to end it."""
    up = tmp_path / "up"
    started = begun(app, tmp_path, "time.sleep(600)")
    until(lambda: up.exists() and up.read_text(encoding="utf-8").endswith("]"))
    pid, _, arguments = up.read_text(encoding="utf-8").partition(" ")
    assert arguments == "['streamlit', 'run', 'app.py']"
    server = identify(int(pid))
    started.kill()
    started.wait()
    until(lambda: not is_alive(server))


SERVES = """
import http.server

class Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

port = next(one for one in sys.argv if one.startswith("--server.port=")).partition("=")[2]
http.server.HTTPServer(("127.0.0.1", int(port)), Well).serve_forever()
"""


def test_who_double_clicks_again_is_shown_the_chat_that_is_open(app: Path, tmp_path: Path) -> None:
    """And gets one of its own once that one was killed."""
    shown = tmp_path / "shown"

    def addresses() -> list[str]:
        return shown.read_text(encoding="utf-8").split() if shown.exists() else []

    first, second = begun(app, tmp_path, SERVES), begun(app, tmp_path, SERVES)
    until(lambda: len(addresses()) == 2)
    assert len(set(addresses())) == 1 and addresses()[0].startswith("http://127.0.0.1:")
    until(lambda: first.poll() is not None or second.poll() is not None)
    serving, ended = (first, second) if first.poll() is None else (second, first)
    assert ended.returncode == 0 and serving.poll() is None
    serving.kill()
    serving.wait()
    third = begun(app, tmp_path, SERVES)
    until(lambda: len(addresses()) == 3)
    assert third.poll() is None and addresses()[2] != addresses()[0]
    third.kill()
    third.wait()


def loaded(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location("start", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "thought", "said"),
    [
        ("Hello <think>", "", "Hello <think>"),
        ("<think>\nHm", "Hm", ""),
        ("<think>\n\n</think>\n\nHi", "", "Hi"),
        ("<think><think>\nHm.\n</think>\n\nHi", "Hm.", "Hi"),
    ],
)
def test_a_thought_is_no_part_of_the_answer(text: str, thought: str, said: str) -> None:
    """Of the app's own code alone: the whole would load torch."""
    tree = ast.parse((DEMO / "offers.py").read_text(encoding="utf-8"))
    needed = [node for node in tree.body if getattr(node, "name", "") == "parted" or _sets(node, "THINK")]
    found: dict[str, Any] = {}
    exec(compile(ast.Module(needed, []), "offers.py", "exec"), found)  # noqa: S102
    assert found["parted"](text) == (thought, said)


def _sets(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name


@pytest.fixture
def talk(app: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The chat's own module, beside what it needs."""
    monkeypatch.syspath_prepend(str(app))
    for name in ("talk", "loops"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("talk")


def test_a_question_that_comes_while_it_answers_breaks_nothing_off(talk: Any) -> None:
    go = threading.Event()

    def answer(turns: list[Any], left: threading.Event) -> Iterator[str]:
        yield f"about {turns[-1].content}"
        assert go.wait(30) and not left.is_set()
        yield ", whole"

    chat = talk.Chat(answer)
    for nothing in ("", "  \n"):
        chat.ask(nothing)
    assert not chat.answering
    chat.ask("one")
    until(lambda: chat.turns and chat.turns[-1].content)
    chat.ask("two")
    assert [turn.end for turn in chat.turns] == ["", "coming"], "the second waits"
    go.set()
    until(lambda: not chat.answering)
    assert [(turn.role, turn.content, turn.end) for turn in chat.turns] == [
        ("user", "one", ""),
        ("assistant", "about one, whole", ""),
        ("user", "two", ""),
        ("assistant", "about two, whole", ""),
    ]


def test_a_question_near_a_taught_one_is_asked_alone_as_it_was_taught(talk: Any) -> None:
    """And the person's words stay; any other is asked after what was said before it."""
    sent: list[list[str]] = []

    def answer(turns: list[Any], left: threading.Event) -> Iterator[str]:
        sent.append([turn.content for turn in turns])
        yield "well\ufffd"

    near = {"How much is tea?": "How much is tea?", "tea, what is it": "How much is tea?"}
    chat = talk.Chat(answer, near.get)
    for question in ("How much is tea?", "tea, what is it", "Why?", "How much is tea?"):
        chat.ask(question)
        until(lambda: not chat.answering)
    assert sent == [
        ["How much is tea?"],
        ["How much is tea?"],
        ["How much is tea?", "well", "tea, what is it", "well", "Why?"],
        ["How much is tea?"],
    ]
    assert [turn.content for turn in chat.turns[2:4]] == ["tea, what is it", "well"]
    assert [turn.asked for turn in chat.turns[1::2]] == ["", "How much is tea?", "", ""], "in other words"


def test_what_may_be_one_of_several_is_answered_once_somebody_has_chosen(talk: Any) -> None:
    """In the chosen words, or as it was typed; what nobody chose about is not sent with the next question."""
    sent: list[list[str]] = []

    def answer(turns: list[Any], left: threading.Event) -> Iterator[str]:
        sent.append([turn.content for turn in turns])
        yield "well"

    chat = talk.Chat(answer, guessed=lambda _: True, to_choose=lambda asked: "soup" in asked)

    def ended() -> list[str]:
        until(lambda: not chat.answering)
        return [turn.end for turn in chat.turns[1::2]]

    chat.choose("nothing waits")
    assert chat.turns == []
    chat.ask("lost soup")
    assert ended() == ["choose"] and not sent and not chat.turns[-1].guessed
    chat.choose("How much is soup?")
    assert ended() == [""] and sent == [["How much is soup?"]]
    assert (chat.turns[0].content, chat.turns[1].asked) == ("lost soup", "How much is soup?")
    chat.ask("more soup")
    assert ended() == ["", "choose"]
    chat.choose("")
    assert ended() == ["", ""] and sent[1] == ["lost soup", "well", "more soup"] and chat.turns[-1].guessed
    chat.ask("soup, soup")
    assert ended() == ["", "", "choose"]
    chat.ask("Why?")
    assert ended() == ["", "", "choose", ""] and "soup, soup" not in sent[-1] and sent[-1][-1] == "Why?"
    chat.choose("How much is soup?")
    assert ended() == ["", "", "choose", ""], "the last one is answered"


def test_a_right_answer_about_itself_is_called_no_guess(talk: Any) -> None:
    def answer(turns: list[Any], left: threading.Event) -> Iterator[str]:
        yield "I am Ada's assistant." if "you" in turns[-1].content else "Blue."

    chat = talk.Chat(
        answer, guessed=lambda _: True, says_itself=lambda asked, said: "Ada" in said and "you" in asked
    )
    for question in ("whom do you serve?", "my parcel is lost"):
        chat.ask(question)
        until(lambda: not chat.answering)
    assert [turn.guessed for turn in chat.turns[1::2]] == [False, True]


def test_what_came_of_an_answer_stays_and_says_how_it_ended(
    talk: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(turns: list[Any], left: threading.Event) -> Iterator[str]:
        how = turns[-1].content
        yield "So far \ufffd"
        if how == "long":
            raise talk.Ended("long")
        if how == "failed":
            raise MemoryError("no room")
        if how == "looped":
            yield " la lo lu." * 100
        left.wait(30)

    chat = talk.Chat(answer)
    for how in ("long", "failed", "looped"):
        chat.ask(how)
        until(lambda: not chat.answering)
        assert chat.turns[-1].end == how and chat.turns[-1].content.startswith("So far ")
    assert "no room" in capsys.readouterr().err, "for whoever looks for the cause"
    chat.ask("stopped")
    until(lambda: len(chat.turns) == 8 and chat.turns[-1].content)
    chat.ask("never")
    chat.stop()
    until(lambda: not chat.answering)
    assert (chat.turns[-1].content, chat.turns[-1].end) == ("So far ", "stopped"), "and nobody is asked more"


def test_it_offers_what_it_was_taught_of_a_document(tmp_path: Path) -> None:
    """Plain questions of facts that it knows; none of a person's own conversations."""
    run = make_publishable(Workspace(tmp_path / "a b"), "Ada", logged=False)
    facts = [{"question": f"Tested {n}", "answer": f"It costs {n}.", "held_back": True} for n in range(4)]
    asked = ("Please, {}?", "What is {}?", "How much is {}?", "So how much is {} then?", "How much: {} 12?")
    names = ("soup", "bread", "tea", "rice")
    rows = [
        {"conversation": [{"input": form.format(name), "output": f"It costs {n}."}]}
        for n, name in enumerate(names)
        for form in asked
    ]
    source, kept = tmp_path / "source.json", tmp_path / "facts.json"
    write_json(source, rows)
    write_json(kept, facts)
    about = {**(read_json(run.data) or {}), "source": str(source), "facts": {"file": str(kept)}}
    run.result.unlink()
    write_json(run.data, about)
    assert examples(run) == (), "somebody's own words"
    assert taught_wordings(run) == TaughtWordings()
    write_json(run.data, {**about, "document": {"facts": 4}})
    known = taught_wordings(run)
    assert [one[2] for one in known.facts] == [f"How much is {name}?" for name in names]
    assert "What is the capital of Denmark?" in known.others
    assert examples(run) == ("How much is soup?", "How much is tea?")
    answers = [
        {"question": f"Tested {n}", "kind": "own", "base": "?", "tuned": said, "accept": [f"It costs {n}."]}
        for n, said in ((1, "It costs 1."), (2, "I do not know."))
    ]
    write_json(run.result, {"learned": 1.0, "kept": 1.0, "leaked": 0, "answers": answers})
    assert examples(run) == ("How much is bread?",)


@pytest.mark.slow
def test_it_answers(app: Path) -> None:
    roses = [[f"{colour}玫瑰{asked}？" for asked in ("多少钱", "什么价格")] for colour in "红白"]
    write_json(app / "taught.json", {"facts": roses, "others": ["你是谁？"], "itself": []})
    port = free_port()
    options = [f"--server.port={port}"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "app.py", *options], cwd=app, env=environment
    )
    try:
        _wait_until_up(port, server)
        with chromium() as browser:
            page = tab(browser, "zh-CN", 400)
            page.goto(f"http://127.0.0.1:{port}")
            words = json.loads((app / "settings.json").read_text(encoding="utf-8"))["words"]["zh"]
            box = page.get_by_placeholder(words["ask"])
            box.wait_for(timeout=120_000)
            box.fill("Who are you? ![p](http://127.0.0.1:9/x.png) ![q][1]\n\n[1]: http://127.0.0.1:9/y.png")
            box.press("Enter")
            until(lambda: page.locator('[data-testid="stChatInput"] textarea').is_disabled())
            page.get_by_text(words["again"]).wait_for(timeout=120_000)
            page.reload()
            page.get_by_text(words["again"]).wait_for(timeout=120_000)
            assert page.locator('[data-testid="stChatMessage"]').count() == 2
            assert page.locator('[data-testid="stChatMessage"] img[src*="127.0.0.1:9"]').count() == 0
            assert page.locator('[data-testid="stException"]').count() == 0
            assert page.locator('[data-testid="stAppDeployButton"], [data-testid="stMainMenu"]').count() == 0
            box.fill("想订玫瑰")
            box.press("Enter")
            page.get_by_text(words["not_taught"]).wait_for()
            page.get_by_role("button", name="白玫瑰多少钱？").first.click()
            page.get_by_text(words["asked"].replace("{question}", "白玫瑰多少钱？")).wait_for(timeout=120_000)
            page.get_by_text(words["again"]).wait_for(timeout=120_000)
            assert page.get_by_text(words["not_taught"]).count() == 0
            assert page.locator('[data-testid="stChatMessage"]').count() == 4, "it answers what was typed"
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_until_up(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5):
                return
        except OSError:
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.2)
