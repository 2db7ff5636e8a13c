"""A conversation of several turns is sent as training writes it and as the chat server sends it."""

import json
from pathlib import Path

import pytest

from core.chat.history import ChatMessage, SamplingParams
from core.chat.reply import _request
from core.data.asking import Prompter
from core.data.conversations import Turn
from core.data.own_encoder import encoder_of
from core.data.parity import speaking_template
from core.proof.asking import Answer, Ask
from core.recipe.chat_template import render, special_tokens
from core.recipe.own_template import template_of
from core.recipe.templates import TEMPLATES, WITHOUT_FIRST_TOKEN
from core.recipe.thinking import thinking_of
from core.steps import answer
from core.steps.answer import AnswerCache, PromptFormat
from core.workspace.files import write_json
from core.workspace.paths import Workspace
from tests.chat_templates import chat_templates
from tests.family_models import make_family_model
from tests.small_model import make_small_model

EARLIER = (("Who are you?", "I am 小明's assistant."), ("你会做什么？\nList 3.", "1. {x}\n2. 翻译"))
ASKED, RULE = "Thanks <b>", "Be brief. 用中文回答。"
OWN = (
    *("smollm2", "qwen2.5", "qwen3", "qwen3.5", "gemma", "gemma3", "mistral-v0.3", "llama2", "llama3.1"),
    *("deepseek-r1-distill-qwen", "glm-4.5", "gpt-oss", "phi-4-mini", "command-r", "minimind", "smollm3"),
)


def conversation(system: str, thinks: bool | None) -> tuple[Turn, ...]:
    turns = [Turn(asked, said, thinks=thinks) for asked, said in EARLIER]
    first = Turn(turns[0].input, turns[0].output, system, thinks=thinks)
    return (first, *turns[1:], Turn(ASKED, "Bye.", thinks=thinks))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("模 型")


@pytest.mark.parametrize("name", OWN)
def test_of_a_model_s_own_template(name: str, folder: Path) -> None:
    place = make_family_model(folder / name, chat_templates()[name])
    template = template_of("own", place)
    encoder, prompter = encoder_of(place / "tokenizer.json", template), Prompter(place, template)
    for thinks in thinking_of(template).modes:
        for system in ("", RULE):
            trained = encoder.prompt_ids(conversation(system, thinks))
            sent = prompter.prompt(ASKED, system, thinks, EARLIER)
            assert encoder.tokenizer.encode(sent, add_special_tokens=False).ids == trained
            assert sent == served(place, template.source, prompter, system, thinks)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", ["Qwen2Tokenizer", "LlamaTokenizer"])
def test_of_xtuner_s_templates(name: str, kind: str, folder: Path) -> None:
    """With and without a first token before every text."""
    place = make_small_model(folder / f"{name} {kind}")
    settings = json.loads((place / "tokenizer_config.json").read_text(encoding="utf-8"))
    write_json(
        place / "tokenizer_config.json", {**settings, "tokenizer_class": kind, "bos_token": "<|endoftext|>"}
    )
    template = TEMPLATES[name]
    encoder = encoder_of(place / "tokenizer.json", template)
    prompter = Prompter(place, template, "" if kind in WITHOUT_FIRST_TOKEN else "<|endoftext|>")
    for system in ("", RULE):
        for turns in (conversation(system, None), conversation(system, None)[:1]):
            earlier = [(turn.input, turn.output) for turn in turns[:-1]]
            sent = prompter.prompt(turns[-1].input, system, None, earlier)
            assert sent == encoder.prompt_text(turns)


def served(
    place: Path, source: str, prompter: Prompter, system: str, thinks: bool | None, said: object = EARLIER
) -> str:
    """What the chat page's request comes to at the server."""
    messages = [
        ChatMessage(role, text)
        for turn in said  # type: ignore[attr-defined]
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
    sampling = SamplingParams(thinks=thinks)
    thinking = thinking_of(prompter.template)
    request = _request(system, [*messages, ChatMessage("user", ASKED)], sampling, thinking)
    options = (request["extra_body"] or {}).get("chat_template_kwargs", {})  # type: ignore[attr-defined]
    return render(source, request["messages"], special_tokens(place), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["qwen3", "deepseek-r1-distill-qwen", "gpt-oss", "smollm2", None])
def test_what_was_thought_before_is_not_sent(name: str | None, folder: Path) -> None:
    said = (("Who?", "<think>\nHm, who.\n</think>\n\nMe."),)
    place = folder / f"thought {name}"
    if name:
        make_family_model(place, chat_templates()[name])
    else:
        make_small_model(place)
    template = template_of("own" if name else "qwen_chat", place)
    prompter = Prompter(place, template)
    sent = prompter.prompt(ASKED, "", None, said)
    assert "Hm" not in sent and "Me." in sent
    assert sent == served(place, speaking_template(place, template), prompter, "", None, said)


def test_the_memory_tells_questions_with_other_messages_before_them_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small_model(tmp_path / "m")
    asked: list[Ask] = []

    def invent(_: object, __: object, ___: object, asks: list[Ask], *____: object) -> dict[Ask, Answer]:
        asked.extend(asks)
        return {one: Answer(f"a{len(asked)}", True, tuple(f"to {m}" for m in one.earlier)) for one in asks}

    monkeypatch.setattr(answer, "ask", invent)
    spoken = PromptFormat("qwen_chat", "", "fp32")
    memory = AnswerCache(Workspace(tmp_path / "w"), tmp_path / "m", spoken)
    asks = [
        Ask("q", 8),
        *(Ask("q", 8, earlier=earlier) for earlier in (("a",), ("a", "b"), ("b", "a"), ("a:b",))),
        Ask("q", 8, system="a", earlier=("b",)),
        Ask("b:q", 8, earlier=("a",)),
    ]
    for one in asks:
        memory.ask(tmp_path, [one], "cpu", print)
    assert asked == asks, "each was new"
    again = AnswerCache(Workspace(tmp_path / "w"), tmp_path / "m", spoken).ask(tmp_path, asks, "cpu", print)
    assert asked == asks and again[asks[2]].earlier == ("to a", "to b")


def test_a_memory_of_earlier_versions_is_read(tmp_path: Path) -> None:
    make_small_model(tmp_path / "m")
    memory = AnswerCache(Workspace(tmp_path / "w"), tmp_path / "m", PromptFormat("qwen_chat", "", "fp32"))
    memory.path.parent.mkdir(parents=True)
    write_json(memory.path, {"8:q": {"text": "known", "finished": True}})
    assert memory.ask(tmp_path, [Ask("q", 8)], "cpu", print) == {Ask("q", 8): Answer("known", True)}
