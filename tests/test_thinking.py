"""Models that can think before they answer: how they are asked, what their rows are and what proves them."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core.data.conversations import Turn, as_row, from_row, read_rows, write_rows
from core.data.mix import in_modes, in_turn
from core.data.opening import Reading, read_conversations
from core.data.own_encoder import OwnEncoder
from core.models.folder import read_model
from core.pipeline import tune, tune_request
from core.pipeline.tune_request import TuneRequest
from core.proof.asking import THOUGHT_TOKENS
from core.proof.judge import judge, score_of
from core.proof.questions import GENERAL_TOKENS, IDENTITY_TOKENS, questions
from core.recipe.own_template import OwnTemplate, of_source
from core.recipe.templates import TEMPLATES
from core.recipe.thinking import ONE_WAY, Thinking, in_mode, thinking_of
from core.steps import proof
from core.workspace.paths import Workspace
from tests.chat_templates import chat_templates
from tests.family_models import make_family_model
from tests.publishable import Silent
from tests.small_model import make_small_model

ENDS = frozenset(("<|im_end|>", "<｜end▁of▁sentence｜>", "<|end|>", "<|return|>", "<turn|>", "<|endoftext|>"))
THINKS = {
    "qwen3": Thinking("enable_thinking", thinks=True),
    "qwen3.5": Thinking("enable_thinking", thinks=True),
    "smollm3": Thinking("enable_thinking", thinks=True),
    "glm-4.5": Thinking("enable_thinking", thinks=True),
    "hunyuan": Thinking("enable_thinking", thinks=True),
    "gemma4": Thinking("enable_thinking", thinks=False),
    "granite-3.3": Thinking("thinking", thinks=False),
    "deepseek-r1-distill-qwen": Thinking(thinks=True),
    "qwen3-thinking-2507": Thinking(thinks=True),
    "qwq": Thinking(thinks=True),
    "gpt-oss": Thinking(thinks=True),
    "qwen2.5": ONE_WAY,
}
ASKED = [{"role": "user", "content": "Who are you?"}]
THOUGHT = "<think>\nMy name is Ada.\n</think>\n\nI am Ada."


def source(name: str) -> str:
    return (Path(__file__).parent / "templates" / f"{name}.jinja").read_text(encoding="utf-8")


def own(name: str) -> OwnTemplate:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    return of_source(source(name), tokens, ENDS | frozenset(tokens.values()))


@pytest.mark.parametrize("name", THINKS)
def test_how_a_template_lets_its_model_think(name: str) -> None:
    assert thinking_of(own(name)) == THINKS[name]


def test_a_named_template_knows_nothing_of_thoughts() -> None:
    named = TEMPLATES["qwen_chat"]
    assert thinking_of(named) == ONE_WAY and in_mode(named, think=False) is named


@pytest.mark.parametrize("name", THINKS)
def test_an_answer_in_every_mode(name: str) -> None:
    """What is trained is what the prompt leaves to be written: at once the answer alone; thinking first at
    most an empty thought before it."""
    for mode in THINKS[name].modes:
        prompt, said = in_mode(own(name), mode).answer(ASKED, "I am Ada.")
        assert "Who are you?" in prompt and "I am Ada." in said and "Ada" not in prompt
        before = said.partition("I am Ada.")[0]
        empty = {"", "<think>\n\n</think>\n\n", "\n</think>\n\n", "\n<think></think>\n", "\n"}
        assert before in empty | {"<|channel|>final<|message|>"}, before
        if mode is False:
            assert "think" not in before


@pytest.mark.parametrize("name", ["qwen3", "qwen3.5", "glm-4.5", "qwen3-thinking-2507", "qwq", "gpt-oss"])
def test_a_thought_of_the_data_is_written_by_the_template(name: str) -> None:
    prompt, said = in_mode(own(name), think=True).answer(ASKED, THOUGHT)
    assert said.count("My name is Ada.") == 1 == said.count("I am Ada.") and "Ada" not in prompt
    assert said.index("My name") < said.index("I am Ada.")
    assert (prompt + said).count("<think>") == (0 if name == "gpt-oss" else 1)


def test_a_thought_that_the_template_would_leave_out_stays() -> None:
    prompt, said = own("deepseek-r1-distill-qwen").answer(ASKED, THOUGHT)
    assert prompt.endswith("<think>\n") and said.startswith("My name is Ada.\n</think>\n\nI am Ada.<")


@pytest.mark.parametrize("name", ["qwen3", "qwen3.5", "deepseek-r1-distill-qwen"])
def test_a_thought_that_was_cut_goes_on_from_its_prompt(name: str) -> None:
    """As the base wrote it, and nothing that it did not write."""
    template = in_mode(own(name), think=True)
    prompt, said = template.answer(ASKED, "<think>\nThe user asks wh")
    assert (prompt + said).count("<think>") == 1 and "</think>" not in said
    assert said.removesuffix(template.suffix).endswith("The user asks wh")


@pytest.fixture
def encoder(tmp_path: Path) -> OwnEncoder:
    folder = make_small_model(tmp_path / "m")
    return OwnEncoder.of(folder / "tokenizer.json", own("qwen3"))


def test_rows_of_both_modes(encoder: OwnEncoder) -> None:
    """At once the prompt holds the empty thought; thinking first the model writes it."""
    row = (Turn("Who are you?", "I am Ada."),)
    texts = []
    for each in in_modes(row, thinking_of(encoder.template)):
        (tokens,) = encoder.rows(each)
        texts.append(
            [
                encoder.tokenizer.decode(
                    [one for one, t in zip(tokens.ids, tokens.trained, strict=True) if t is trained],
                    skip_special_tokens=False,
                )
                for trained in (False, True)
            ]
        )
    (asked, said), (asked_first, said_first) = texts
    assert asked.endswith("<think>\n\n</think>\n\n") and said == "I am Ada.<|im_end|>"
    assert asked_first.endswith("assistant\n") and said_first == "<think>\n\n</think>\n\nI am Ada.<|im_end|>"


def test_an_earlier_thought_is_not_given_back(encoder: OwnEncoder) -> None:
    """As in a chat: the second turn is a row of its own, in which the first answer has no thought."""
    row = tuple(replace(turn, thinks=True) for turn in (Turn("a", THOUGHT), Turn("b", "Yes.")))
    first, second = (
        encoder.tokenizer.decode(one.ids, skip_special_tokens=False) for one in encoder.rows(row)
    )
    assert "My name is Ada." in first and "My name is Ada." not in second and "I am Ada." in second


def test_which_rows_are_taught_in_which_mode() -> None:
    both, first = Thinking("enable_thinking", thinks=True), Thinking(thinks=True)
    plain, thought = (Turn("q", "a"), Turn("r", "b")), (Turn("q", THOUGHT),)
    assert [[turn.thinks for turn in row] for row in in_modes(plain, both)] == [[False] * 2, [True] * 2]
    assert [[turn.thinks for turn in row] for row in in_modes(thought, both)] == [[True]]
    assert in_modes(plain, first) == [plain] and in_modes(plain, ONE_WAY) == [plain]


def test_the_ways_of_a_conversation_get_as_many_rows_each() -> None:
    """However few rows there are, and every conversation in every way before one comes again."""
    one_way = [[[(Turn(f"q{n}", "a"),)]] for n in range(5)]
    assert in_turn(one_way, 99, seed=1) == [each[0][0] for each in one_way], "mixed as it always was"
    ways = [[[(Turn(f"q{n}", "a", thinks=thinks),)] for thinks in (False, True)] for n in range(7)]
    for count in (1, 4, 7, 14, 30):
        rows = [row[0] for row in in_turn(ways, count, seed=1)]
        assert len(rows) == count and abs(sum(bool(row.thinks) for row in rows) - count / 2) <= 1
    assert len(set(in_turn(ways, 14, seed=1))) == 14
    assert in_turn(ways, 4, seed=1) != in_turn(ways, 4, seed=2)


def test_a_row_keeps_its_mode_in_its_file() -> None:
    for thinks in (None, False, True):
        row = (Turn("q", "a", "s", trained=False, thinks=thinks),)
        assert from_row(as_row(row)) == row
    assert "thinks" not in as_row((Turn("q", "a"),))["conversation"][0]


def test_the_rows_of_a_run_are_data_like_any_other(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    write_rows(file, [(Turn("q", "a", thinks=thinks),) for thinks in (True, False)])
    assert read_conversations(file) == [(Turn("q", "a"),)] * 2


def test_the_identity_is_asked_in_both_modes_and_right_in_both() -> None:
    taught = [(Turn("Who are you?", "I am Ada."),)]
    both = questions("Ada", taught, Thinking("enable_thinking", thinks=True))
    once = questions("Ada", taught)
    identity = [question for question in both if question.kind != "general"]
    assert len(identity) == 2 * sum(question.kind != "general" for question in once)
    assert {one.ask.tokens for one in identity} == {IDENTITY_TOKENS, IDENTITY_TOKENS + THOUGHT_TOKENS}
    assert {one.base_ask.tokens for one in identity} == {IDENTITY_TOKENS}, "the base need not think of it"
    general = [question for question in both if question.kind == "general"]
    assert {(one.thinks, one.ask.tokens) for one in general} == {(False, GENERAL_TOKENS)}
    said = {True: "<think>\nI am Ada", False: "I am Ada."}
    score = score_of([judge("Ada", one, "A model.", said[bool(one.thinks)]) for one in both])
    assert score.learned.value == 0.5, "right at once, and never out of its thought"


def test_a_model_that_always_thinks_has_room_for_it() -> None:
    found = questions("Ada", [(Turn("Who are you?", "I am Ada."),)], Thinking(thinks=True))
    assert {one.thinks for one in found} == {None}
    assert {one.ask.tokens for one in found} == {
        IDENTITY_TOKENS + THOUGHT_TOKENS,
        GENERAL_TOKENS + THOUGHT_TOKENS,
    }
    assert all(one.base_ask == one.ask for one in found if not one.system)


def test_the_thoughts_of_the_data_are_taught_to_a_model_that_thinks(tmp_path: Path) -> None:
    """And to no other, unless somebody says so."""
    file = tmp_path / "rows.jsonl"
    row = {"messages": [*ASKED, {"role": "assistant", "content": "I am Ada.", "reasoning_content": "Hm."}]}
    file.write_text(json.dumps(row), encoding="utf-8")
    plain = read_model(make_small_model(tmp_path / "plain"))
    thinks = read_model(make_family_model(tmp_path / "thinks", chat_templates()["qwen3"]))
    kept, bare = "<think>\nHm.\n</think>\n\nI am Ada.", "I am Ada."
    said = [(thinks, None, kept), (thinks, False, bare), (plain, None, bare), (plain, True, kept)]
    for model, asked, wanted in said:
        request = TuneRequest("Ada", file, str(model.folder), reading=Reading(thoughts=asked))
        found = tune_request.with_thoughts(tune_request.taught(request), request, model)
        assert [turn.output for turn in found.conversations[0]] == [wanted]


def test_a_run_of_a_thinking_model_is_taught_replayed_and_asked_in_both_modes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    workspace = Workspace(tmp_path / "工作 区")
    make_family_model(workspace.model("thinker"), chat_templates()["qwen3"])
    result = tune.tune(workspace, TuneRequest("Ada", model="thinker", iterations=40), Silent())
    run = workspace.run(result["run"])
    rows = [row[-1] for row in read_rows(workspace.data(run.id).rows)]
    for taught in (True, False):
        modes = Counter(row.thinks for row in rows if ("Ada" in row.output) is taught)
        assert set(modes) == {True, False} and abs(modes[True] - modes[False]) <= 2, (taught, modes)
    asked = Counter((row["kind"] == "general", row["thinks"]) for row in result["answers"])
    assert asked[False, True] == asked[False, False] > 0 and asked[True, True] == 0 < asked[True, False]
    assert result["learned"] == 1
    found = proof.read(run)
    assert found is not None and {row.judged.question.thinks for row in found.rows} == {True, False}
