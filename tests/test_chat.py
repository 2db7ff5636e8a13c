"""The chat server: started, asked, stopped and unloaded as a job of its own."""

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import psutil
import pytest

from core.chat import server as chat_server
from core.chat.history import ChatMessage, SamplingParams
from core.chat.reply import _request, reply
from core.chat.server import Freed, Readiness, Server, Speaker
from core.errors import ChatFailed, NoSuchModel
from core.jobs.job import JobPaths
from core.jobs.process import read_identity
from core.jobs.tail import last_lines
from core.recipe.recipe import to_yaml
from core.recipe.thinking import ONE_WAY, Thinking
from core.steps import prepare
from core.workspace.files import write_text
from core.workspace.paths import Workspace
from tests.conftest import end_leftovers
from tests.runs import make_run
from tests.small_model import make_small_model
from tests.test_jobs import until

HELLO = [ChatMessage("user", "one two three")]
GREEDY = SamplingParams(max_tokens=12)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    place = Workspace(tmp_path / "工作 区" / "a@b")
    make_small_model(place.model("tiny"), max_length=4096)
    yield place
    chat_server.unload(place)
    end_leftovers(tmp_path)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")


def tiny(workspace: Workspace) -> Speaker:
    return next(speaker for speaker in chat_server.speakers(workspace, None) if speaker.name == "tiny")


def loaded(workspace: Workspace, speaker: Speaker | None = None) -> Server:
    chat_server.start(workspace, speaker or tiny(workspace))
    deadline = time.monotonic() + 60
    while (server := chat_server.server(workspace)).readiness is Readiness.loading:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.readiness is Readiness.ready, server
    return server


def pid(workspace: Workspace) -> int:
    tool = read_identity(JobPaths(workspace.chat_server).tool)
    assert tool is not None
    return tool.pid


def log(workspace: Workspace) -> list[str]:
    return last_lines(JobPaths(workspace.chat_server).log, 100)


def test_what_can_be_talked_to(workspace: Workspace) -> None:
    assert [(s.kind, s.name, s.template) for s in chat_server.speakers(workspace, None)] == [
        ("base", "tiny", "qwen_chat")
    ]
    run = make_run(workspace, "小助手")
    assert [(s.kind, s.name) for s in chat_server.speakers(workspace, run)] == [("base", "小助手")]
    make_small_model(run.merged)
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").touch()
    found = chat_server.speakers(workspace, run)
    assert [(s.kind, s.run) for s in found] == [(k, run.id) for k in ("merged", "adapter", "base")]
    assert len({speaker.id for speaker in found}) == 3
    assert found[1].adapter == str(run.adapter) and found[1].model == str(workspace.model("tiny"))


def test_the_command(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TUNEBOARD_ENGINE")
    spec = chat_server.plan(tiny(workspace), Path("/run/a b/socket"))
    folder = str(workspace.model("tiny"))
    command = ("-m", "core.engine", "serve", "--model", folder, "--socket", "/run/a b/socket")
    assert spec.command[1:8] == command


def test_a_run_s_models_speak_in_the_precision_of_its_proof(workspace: Workspace) -> None:
    run = make_run(workspace, "小助手")
    recipe = prepare.recipe_of(run)
    for precision, dtype in (("bf16", "bfloat16"), ("fp32", "float32")):
        write_text(run.recipe, to_yaml(recipe.changed(precision=precision)))
        (speaker,) = chat_server.speakers(workspace, run)
        assert chat_server.plan(speaker, Path("socket")).command[-2:] == ("--dtype", dtype)


@pytest.mark.usefixtures("fake")
def test_from_start_to_unload(workspace: Workspace) -> None:
    assert chat_server.server(workspace) == Server(Readiness.off)
    assert chat_server.unload(workspace) == Freed(0, 0)
    server = loaded(workspace)
    assert server.speaker == tiny(workspace) and server.memory > 10_000_000
    assert "".join(reply(server.socket, "", HELLO, GREEDY)).split() == ["You", "said:", "one", "two", "three"]
    freed = chat_server.unload(workspace)
    assert freed.memory > 10_000_000 and freed.gpu == 0
    assert chat_server.server(workspace) == Server(Readiness.off)
    assert not psutil.pid_exists(pid(workspace))


@pytest.mark.usefixtures("fake")
def test_what_is_asked_of_the_server(workspace: Workspace) -> None:
    server = loaded(workspace)
    history = [
        ChatMessage("user", "你好"),
        ChatMessage("assistant", "Hi", "base"),
        ChatMessage("user", "and?"),
    ]
    list(reply(server.socket, "Be {brief}", history, SamplingParams(0.5, 0.9, 7)))
    assert json.loads(log(workspace)[-1]) == {
        "model": "local",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be {brief}"},
            {"role": "user", "content": "你好"},
            {"role": "assistant", "content": "Hi"},
            {"role": "user", "content": "and?"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
    }


@pytest.mark.usefixtures("fake")
def test_an_answer_that_its_limit_cuts_says_so_and_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes out is the conversation with the answer as far as it is there, its thought in it."""
    monkeypatch.setenv("FAKE_SERVE_LIMIT", "3")
    server = loaded(workspace)
    asked = [ChatMessage("user", "one two three")]
    first = reply(server.socket, "", asked, GREEDY)
    assert "".join(first) == "You said: one" and first.cut
    begun = ChatMessage("assistant", "You said: one ", "base", whole=False, limit=3, thinks=False).begun
    thinking = Thinking("enable_thinking", thinks=True)
    more = reply(server.socket, "", [*asked, begun], GREEDY, thinking)
    assert "".join(more) == " two three" and not more.cut
    assert json.loads(log(workspace)[-1]) == {
        "model": "local",
        "stream": True,
        "messages": [
            {"role": "user", "content": "one two three"},
            {"role": "assistant", "content": "You said: one"},
        ],
        "temperature": 0.0,
        "top_p": 1.0,
        "max_tokens": GREEDY.max_tokens,
        "continue_final_message": True,
        "add_generation_prompt": False,
        "chat_template_kwargs": {"enable_thinking": False},
    }


def test_a_thought_goes_back_with_the_answer_that_is_continued() -> None:
    begun = ChatMessage("assistant", "<think>\nHm", whole=False)
    sent = _request("", [*HELLO, begun], GREEDY, ONE_WAY)["messages"]
    assert isinstance(sent, list) and sent[-1] == {"role": "assistant", "content": "<think>\nHm"}


@pytest.mark.usefixtures("fake")
def test_two_tabs_that_start_at_once_see_one_server(workspace: Workspace) -> None:
    """The second adopts what the first has started: nobody waits at a socket where nobody listens."""
    speaker, sockets = tiny(workspace), set[str]()
    for number in range(1, 16):
        at_once(lambda: chat_server.start(workspace, speaker), lambda: chat_server.start(workspace, speaker))
        servers = [loaded(workspace), loaded(workspace)]
        assert servers[0].socket == servers[1].socket and servers[0].speaker == speaker
        assert "".join(reply(servers[0].socket, "", HELLO, GREEDY)).startswith("You said")
        assert len(list(JobPaths(workspace.chat_server).previous.glob("*"))) == number - 1
        sockets.add(servers[0].socket)
        chat_server.unload(workspace)
    assert len(sockets) == 15


@pytest.mark.real_start  # its command line is looked at
@pytest.mark.usefixtures("fake")
def test_of_two_models_at_once_the_later_one_answers(workspace: Workspace) -> None:
    make_small_model(workspace.model("other"))
    one, other = chat_server.speakers(workspace, None)
    at_once(lambda: chat_server.start(workspace, one), lambda: chat_server.start(workspace, other))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    server = chat_server.server(workspace)
    assert "".join(reply(server.socket, "", HELLO, GREEDY)).startswith("You said")
    command = psutil.Process(pid(workspace)).cmdline()
    assert server.speaker is not None and server.speaker.model in command and server.socket in command


def at_once(*acts: Callable[[], None]) -> None:
    """Do all in threads of their own at the same moment. Raises what one of them does."""
    together = threading.Barrier(len(acts))

    def do(act: Callable[[], None]) -> None:
        together.wait()
        act()

    with ThreadPoolExecutor(len(acts)) as pool:
        for done in [pool.submit(do, act) for act in acts]:
            done.result()


@pytest.mark.usefixtures("fake")
def test_another_model_takes_the_place_of_the_first(workspace: Workspace) -> None:
    loaded(workspace)
    first = pid(workspace)
    make_small_model(workspace.model("other"))
    other = next(s for s in chat_server.speakers(workspace, None) if s.name == "other")
    assert loaded(workspace, other).speaker == other
    assert not psutil.pid_exists(first)


@pytest.mark.usefixtures("fake")
def test_a_model_that_is_gone_leaves_the_server_as_it_was(workspace: Workspace) -> None:
    loaded(workspace)
    gone = Speaker("merged", str(workspace.model("gone")), None, "qwen_chat", "", None, "gone")
    with pytest.raises(NoSuchModel):
        chat_server.start(workspace, gone)
    assert chat_server.server(workspace).speaker == tiny(workspace)


@pytest.mark.usefixtures("fake")
def test_giving_an_answer_up_reaches_the_server(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SERVE_SECONDS", "0.05")
    server = loaded(workspace)
    answer = reply(server.socket, "", [ChatMessage("user", "word " * 1000)], GREEDY)
    assert "".join(islice(answer, 5)).split()[0] == "You"
    answer.close()
    until(lambda: "the client left" in log(workspace))


@pytest.mark.usefixtures("fake")
def test_a_slow_answer_hands_out_empty_pieces(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SERVE_SECONDS", "0.7")
    server = loaded(workspace)
    assert "" in list(reply(server.socket, "", [ChatMessage("user", "x")], GREEDY))


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize(("fault", "reason"), [("answer", "the model is tired."), ("die", "")])
def test_an_answer_that_fails(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, fault: str, reason: str
) -> None:
    monkeypatch.setenv("FAKE_SERVE_FAIL", fault)
    server = loaded(workspace)
    with pytest.raises(ChatFailed) as raised:
        list(reply(server.socket, "", HELLO, GREEDY))
    assert reason in str(raised.value) and "unload the model" in str(raised.value)


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(ChatFailed):
        list(reply(str(tmp_path / "socket"), "", HELLO, GREEDY))


@pytest.mark.usefixtures("fake")
def test_a_server_that_cannot_load_says_why(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SERVE_FAIL", "load")
    chat_server.start(workspace, tiny(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)
    why = chat_server.server(workspace).failure
    assert why is not None and why.cause == "cuda_out_of_memory"


@pytest.mark.usefixtures("fake")
def test_a_killed_server(workspace: Workspace) -> None:
    loaded(workspace)
    os.kill(pid(workspace), signal.SIGKILL)
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)
    assert chat_server.server(workspace).speaker == tiny(workspace)
    assert chat_server.unload(workspace) == Freed(0, 0)


@pytest.mark.usefixtures("fake")
def test_nobody_else_reaches_it(workspace: Workspace) -> None:
    server = loaded(workspace)
    assert_private(server, pid(workspace))
    chat_server.unload(workspace)
    assert not Path(server.socket).parent.exists()


@pytest.mark.usefixtures("fake")
def test_a_temporary_folder_whose_path_is_too_long_for_a_socket(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("长" * 40)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert "".join(reply(loaded(workspace).socket, "", HELLO, GREEDY)).startswith("You said")
    assert list(long.iterdir()) == []


def assert_private(server: Server, process: int) -> None:
    """It listens on no port, and where it listens no other user can go."""
    assert [c for c in psutil.Process(process).net_connections("inet") if c.status == "LISTEN"] == []
    folder = Path(server.socket).parent.stat()
    assert (folder.st_mode & 0o777, folder.st_uid) == (0o700, os.getuid())


def cpu_seconds(process: int, during: float) -> float:
    """Processor time a process takes in the next seconds."""
    before = psutil.Process(process).cpu_times()
    time.sleep(during)
    after = psutil.Process(process).cpu_times()
    return after.user + after.system - before.user - before.system


@pytest.mark.slow
def test_temperature_0_is_greedy_whatever_the_model_asks_for() -> None:
    from transformers import GenerationConfig

    from core.engine.serve import draw_settings

    for own in (
        {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.8, "min_p": 0.1},
        {"num_beams": 4},
    ):
        for asked, mode in ((0, "greedy_search"), (0.5, "sample")):
            found = draw_settings({"temperature": asked, "top_p": 1.0}, GenerationConfig(**own), 99)
            assert found.get_generation_mode() == mode, own


@pytest.mark.slow
@pytest.mark.real_start  # its process is looked at and killed
def test_the_real_server(workspace: Workspace) -> None:
    """transformers serve with a tiny random Llama: what it says is noise, how it serves is real."""
    server = loaded(workspace)
    process = pid(workspace)
    assert_private(server, process)

    def said(sampling: SamplingParams, messages: list[ChatMessage] = HELLO) -> str:
        return "".join(reply(server.socket, "", messages, sampling))

    assert said(GREEDY) == said(GREEDY) != ""
    hot = SamplingParams(temperature=1.5, max_tokens=12)
    assert said(hot) != said(hot), "temperature does nothing"

    endless = reply(server.socket, "", HELLO, SamplingParams(1.0, 1.0, 3500))
    list(islice(endless, 5))
    endless.close()
    until(lambda: cpu_seconds(process, 0.5) < 0.15)  # 3500 words would take it minutes
    # What was given up half-way is continued from what the chat says, not from a cache of the server's.
    after = [*HELLO, ChatMessage("assistant", "stopped here"), ChatMessage("user", "go on")]
    assert said(GREEDY, after) == said(GREEDY, after)

    with pytest.raises(ChatFailed, match="tokens, and the model reads 4096"):
        said(GREEDY, [ChatMessage("user", "word " * 5000)])
    assert said(GREEDY) != "", "one failure ended the server"

    broken = reply(server.socket, "", HELLO, SamplingParams(1.0, 1.0, 3500))
    list(islice(broken, 5))
    os.kill(process, signal.SIGKILL)
    with pytest.raises(ChatFailed):
        list(broken)
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)


@pytest.mark.slow
def test_the_real_server_puts_an_adapter_on_its_base(workspace: Workspace) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    run = make_run(workspace, "小助手")
    model = AutoModelForCausalLM.from_pretrained(workspace.model("tiny"))
    tuned = get_peft_model(
        model, LoraConfig(lora_alpha=1000, target_modules="all-linear", init_lora_weights=False)
    )
    tuned.save_pretrained(run.adapter)
    by_kind = {speaker.kind: speaker for speaker in chat_server.speakers(workspace, run)}
    said = {
        kind: "".join(reply(loaded(workspace, by_kind[kind]).socket, "", HELLO, GREEDY))
        for kind in ("base", "adapter")
    }
    assert said["base"] != said["adapter"]
