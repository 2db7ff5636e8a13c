"""Thoughts split from answers: every form that models write, whole, cut anywhere, begun in a prompt."""

import pytest

from core.recipe.thoughts import FORMS, Form, Said, count_words, left_open, special_marks, split

THOUGHT, ANSWER = "Who am I?\n\n2 < 3, so <b>小助手</b>.", "I am 小助手.\n\n- `a < b`"
HARMONY = "<|channel|>analysis<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>{}"
# name: (how a model writes it, the mark)
WRITTEN = {
    "qwen3": ("<think>\n{}\n</think>\n\n{}", "<think>"),
    "glm 4.5": ("\n<think>{}</think>\n{}", "<think>"),
    "deepseek v3.1": ("<think>{}</think>{}", "<think>"),
    "hunyuan": ("<think>\n{}\n</think>\n<answer>\n{}\n</answer>", "<think>"),
    "ernie": ("<think>\n{}\n</think>\n\n<response>\n{}\n</response>\n", "<think>"),
    "thinking": ("<thinking>{}</thinking>\n{}", "<thinking>"),
    "exaone deep": ("<thought>\n{}\n</thought>\n\n{}", "<thought>"),
    "seed-oss": ("<seed:think>{}</seed:think>{}", "<seed:think>"),
    "kimi vl": ("◁think▷{}◁/think▷{}", "◁think▷"),
    "magistral": ("[THINK]{}[/THINK]{}", "[THINK]"),
    "command a": (
        "<|START_THINKING|>{}<|END_THINKING|><|START_RESPONSE|>{}<|END_RESPONSE|>",
        "<|START_THINKING|>",
    ),
    "openthoughts": (
        "<|begin_of_thought|>\n\n{}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{}\n\n<|end_of_solution|>",
        "<|begin_of_thought|>",
    ),
    "apertus": ("<|inner_prefix|>{}<|inner_suffix|>{}", "<|inner_prefix|>"),
    "gemma 4": ("<|channel>thought\n{}<channel|>{}", "<|channel>thought"),
    "gpt-oss": (HARMONY, "<|channel|>analysis<|message|>"),
    "gpt-oss, whole": (f"<|start|>assistant{HARMONY}<|return|>", "<|channel|>analysis<|message|>"),
    "apriel": (
        "Here are my reasoning steps:\n{}\n[BEGIN FINAL RESPONSE]\n{}\n[END FINAL RESPONSE]",
        "Here are my reasoning steps:",
    ),
    "granite": ("Here is my thought process:\n{}\nHere is my response:\n{}", "Here is my thought process:"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_thought_is_split_from_its_answer(name: str) -> None:
    written, mark = WRITTEN[name]
    assert split(written.format(THOUGHT, ANSWER)) == Said(THOUGHT, ANSWER, mark)
    assert split(written.format("", ANSWER)) == Said("", ANSWER, mark)
    assert split(written.format(" \n", ANSWER)) == Said("", ANSWER, mark)


@pytest.mark.parametrize("name", WRITTEN)
def test_what_has_arrived_shows_no_mark_and_takes_nothing_back(name: str) -> None:
    """Cut at every character: thought and answer only grow, and what is shown is never half a mark."""
    whole = WRITTEN[name][0].format(THOUGHT, ANSWER)
    thought, answer = "", ""
    for end in range(len(whole) + 1):
        said = split(whole[:end], arriving=True)
        assert said.thought.startswith(thought.rstrip()) and said.answer.startswith(answer.rstrip()), end
        assert THOUGHT.startswith(said.thought) and ANSWER.startswith(said.answer.rstrip()), (end, said)
        thought, answer = said.thought, said.answer
    assert (thought, answer.rstrip()) == (THOUGHT, ANSWER)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.open)
def test_a_thought_that_never_came_to_its_answer(form: Form) -> None:
    if form.prose:
        assert split(f"{form.open}\n{THOUGHT}").thought == ""
        return
    for text in (f"{form.open}\n{THOUGHT}", f"\n {form.open}{THOUGHT} "):
        assert split(text) == Said(THOUGHT, "", form.open, left=False)
    assert split(form.open) == Said("", "", form.open, left=False)


@pytest.mark.parametrize("form", [form for form in FORMS if form.alone], ids=lambda form: form.open)
def test_a_thought_whose_beginning_stands_in_the_prompt(form: Form) -> None:
    """Only the closing mark is in the text: a server that keeps the prompt for itself."""
    assert split(f"{THOUGHT}\n{form.close}\n\n{ANSWER}") == Said(THOUGHT, ANSWER, form.open)


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("<｜Assistant｜><think>", "<think>"),
        ("<|assistant|>\n<think>\n", "<think>\n"),
        ("<|begin_assistant|>\nHere are my reasoning steps:\n", "Here are my reasoning steps:\n"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|turn>model\n<|channel>thought\n<channel|>", ""),
        ("<|start|>assistant", ""),
        ("Is <think> a tag?<|im_end|>\n<|im_start|>assistant\n", ""),
        ("", ""),
    ],
)
def test_what_a_prompt_leaves_open(prompt: str, opened: str) -> None:
    assert left_open(prompt) == opened
    if opened:
        said = split(f"{opened}{THOUGHT}", arriving=True)
        assert (said.thought, said.answer, said.left) == (THOUGHT, "", False)


def test_a_model_that_writes_the_mark_of_its_prompt_again() -> None:
    assert split(f"<think>\n<think>\n{THOUGHT}\n</think>\n{ANSWER}") == Said(THOUGHT, ANSWER, "<think>")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Plain.",
        " spaced \n",
        "a < b",
        "In HTML there is no <think> tag, and no </think> either.",
        "It ends with `</think>`.",
        "它以“</think>”结尾。",
        "<b>bold</b>",
        "<answer>42</answer>",
        "Say <|end|> to end.",
        "Then: Here is my response:",
        "I think… <thinking about it>",
    ],
)
def test_an_answer_without_a_thought_stays_as_it_is(text: str) -> None:
    assert split(text) == Said("", text)


@pytest.mark.parametrize("text", ["<", "Here", "<|", "[T", " \n<thi"])
def test_the_beginning_of_an_answer_that_is_no_mark_is_shown_in_the_end(text: str) -> None:
    assert split(text, arriving=True).answer == "" and split(text).answer == text


def test_several_thoughts_in_a_row() -> None:
    text = (
        "<|channel|>analysis<|message|>one<|end|><|start|>assistant<|channel|>commentary<|message|>two<|end|>"
        "<|start|>assistant<|channel|>final<|message|>three<|return|>"
    )
    assert split(text)[:2] == ("one\n\ntwo", "three")
    assert split("<think>\n\n</think>\n\n<think>one</think>two")[:2] == ("one", "two")


def test_an_answer_of_gpt_oss_without_a_thought() -> None:
    assert split("<|channel|>final<|message|>Hi.<|return|>") == Said("", "Hi.")


def test_special_tokens_that_mark_thoughts_are_kept_where_the_tokenizer_has_them() -> None:
    harmony = {"<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|return|>"}
    assert special_marks(harmony.__contains__) == harmony - {"<|return|>"}
    # Phi-3 ends an answer with <|end|>: that is no mark of a thought.
    assert special_marks({"<|end|>", "<|user|>", "<|assistant|>"}.__contains__) == frozenset()
    assert special_marks({"[THINK]", "[/THINK]", "[INST]"}.__contains__) == {"[THINK]", "[/THINK]"}
    gemma = {"<|channel>", "<channel|>", "<turn|>"}
    assert special_marks(gemma.__contains__) == gemma - {"<turn|>"}
    command = {"<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|END_RESPONSE|>"}
    assert special_marks(command.__contains__) == command


def test_words_and_characters_are_counted() -> None:
    assert [count_words(text) for text in ("", "two words", "你好，世界", "Qwen3 是 a model。")] == [
        0,
        2,
        4,
        4,
    ]
