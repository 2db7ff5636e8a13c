"""Model folders with odd but legal chat templates: where they stand, special tokens, what never ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from jinja2 import TemplateError

from core.data.conversations import one_turn
from core.data.own_encoder import encoder_of
from core.data.parity import parity
from core.data.tokens import first_tokens
from core.limited.call import ChildFailed
from core.models.folder import chat_template_of, read_model, stamp_of
from core.recipe import chat_template, jinja, own_template
from core.recipe.chat_template import render, special_tokens
from core.recipe.jinja import MOST_STEPS, RENDERING
from core.recipe.own_template import own_default, spoken_by, template_of, unspeakable
from core.recipe.templates import OWN
from tests.small_model import CHAT_TEMPLATE, make_small_model

OTHER = CHAT_TEMPLATE.replace("im_start", "other")
NEVER_ENDS = (
    "{% for a in range(90000) %}{% for b in range(90000) %}{% if b < 0 %}x{% endif %}{% endfor %}{% endfor %}"
)
CONVERSATION = one_turn("Who are you?", "I am Ada.")


def model_with(folder: Path, named: Any = None, **files: str) -> Path:
    """The small model with another ``chat_template`` in tokenizer_config.json and templates in ``files``."""
    model = make_small_model(folder)
    settings(model, chat_template=named)
    for name, source in files.items():
        place = model / "additional_chat_templates" / f"{name}.jinja"
        place.parent.mkdir(exist_ok=True)
        place.write_text(source, encoding="utf-8")
    return model


def settings(model: Path, **changed: Any) -> None:
    file = model / "tokenizer_config.json"
    known = {**json.loads(file.read_text(encoding="utf-8")), **changed}
    kept = {name: value for name, value in known.items() if value is not None}
    file.write_text(json.dumps(kept), encoding="utf-8")


def test_templates_with_names_are_found_wherever_transformers_finds_them(tmp_path: Path) -> None:
    named = {"rag": OTHER, "default": CHAT_TEMPLATE}
    assert chat_template_of(model_with(tmp_path / "record", named)) == CHAT_TEMPLATE
    assert (
        chat_template_of(model_with(tmp_path / "files", None, rag=OTHER, default=CHAT_TEMPLATE))
        == CHAT_TEMPLATE
    )
    files_first = model_with(tmp_path / "both", OTHER, default=CHAT_TEMPLATE)
    assert chat_template_of(files_first) == CHAT_TEMPLATE
    assert chat_template_of(model_with(tmp_path / "one", None, tool_use=CHAT_TEMPLATE)) == CHAT_TEMPLATE
    processors = model_with(tmp_path / "processor")
    (processors / "chat_template.json").write_text(
        json.dumps({"chat_template": CHAT_TEMPLATE}), encoding="utf-8"
    )
    assert chat_template_of(processors) == CHAT_TEMPLATE
    for model in (files_first, processors):
        assert spoken_by(read_model(model)) == "qwen_chat"


def test_a_template_that_changes_in_its_own_folder_is_another_model(tmp_path: Path) -> None:
    model = model_with(tmp_path / "m", None, default=CHAT_TEMPLATE)
    before = stamp_of(model)
    assert spoken_by(read_model(model)) == "qwen_chat"
    (model / "additional_chat_templates" / "default.jinja").write_text(
        "{{ '[]' }}" + CHAT_TEMPLATE, encoding="utf-8"
    )
    assert stamp_of(model) != before
    assert spoken_by(read_model(model)) == OWN


def test_special_tokens_that_only_their_own_file_names_are_trained(tmp_path: Path) -> None:
    model = model_with(tmp_path / "m", "{{ bos_token }}" + CHAT_TEMPLATE)
    settings(model, tokenizer_class="PreTrainedTokenizerFast", added_tokens_decoder=None, eos_token=None)
    (model / "special_tokens_map.json").write_text(
        json.dumps({"bos_token": {"content": "<|endoftext|>"}, "eos_token": "<|im_end|>"}), encoding="utf-8"
    )
    assert special_tokens(model)["bos_token"] == "<|endoftext|>"
    assert first_tokens(model / "tokenizer.json") == 1
    template = template_of(OWN, model)
    encoder = encoder_of(model / "tokenizer.json", template)
    assert encoder.prompt_text(CONVERSATION).startswith("<|endoftext|><|im_start|>user")


def test_a_tokenizer_s_own_list_of_tokens_goes_before_that_file(tmp_path: Path) -> None:
    """As transformers 5 reads them."""
    model = model_with(tmp_path / "m", CHAT_TEMPLATE)
    (model / "special_tokens_map.json").write_text(
        json.dumps({"eos_token": "<|endoftext|>"}), encoding="utf-8"
    )
    assert special_tokens(model)["eos_token"] == "<|im_end|>"


@pytest.mark.parametrize(
    "bad",
    [
        "{{ 1 / 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        NEVER_ENDS,
        "{{ 'x' * 10 ** 9 }}",
        "{% set x = 10 ** (10 ** 9) %}",
        "{% for a in range(9000) %}{{ 'x' * 90000 }}{% endfor %}",
        "{{ 2.0 ** 99999 }}",
    ],
)
def test_a_template_that_fails_or_never_ends_is_said(tmp_path: Path, bad: str) -> None:
    model = model_with(tmp_path / "m", bad + CHAT_TEMPLATE)
    assert unspeakable(model)
    assert own_default(model) == ""
    assert spoken_by(read_model(model)) == "qwen_chat"
    assert not parity(model, template_of("qwen_chat", model)).same


HEAVY = (
    "{% for a in range(50000) %}{{ range(99999)|sort|join|length }}{% endfor %}",
    "{{ 'x'|center(10 ** 12) }}",
    "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
)


@pytest.mark.slow
@pytest.mark.parametrize("heavy", HEAVY)
def test_a_heavy_template_stops_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heavy: str
) -> None:
    """No counted loop: one filter alone takes for ever, or all memory. The child that it is run in ends."""
    monkeypatch.setattr(chat_template, "_known", chat_template._Known())
    monkeypatch.setattr(chat_template, "PATIENCE", 0.9)
    source = heavy + str(tmp_path)
    with pytest.raises(RENDERING):
        render(source, [], {})
    asked: list[object] = []
    monkeypatch.setattr(chat_template, "_write", lambda *arguments: asked.append(arguments))
    if "center" not in heavy:  # that one is refused at once, as often as it comes
        with pytest.raises(TemplateError):
            render(source, [], {})
        assert not asked
    monkeypatch.undo()
    assert render("{{ 'fine' }}", [], {}) == "fine", "others go on"


def test_a_child_that_cannot_be_had_is_not_the_template_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(*_: object) -> None:
        raise ChildFailed("ImportError: no such library")

    with monkeypatch.context() as broken:
        broken.setattr(chat_template, "_write", failed)
        with pytest.raises(TemplateError, match="no such library"):
            render("{{ 'a child failed' }}", [], {})
    assert render("{{ 'a child failed' }}", [], {}) == "a child failed"


def test_where_pages_are_served_no_template_runs_in_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    known = chat_template._Known()
    monkeypatch.setattr(chat_template, "_known", known)
    here: list[str] = []
    write = jinja.write

    def counted(source: str, *more: Any) -> dict[str, Any]:
        here.append(source)
        return write(source, *more)

    monkeypatch.setattr(chat_template.jinja, "write", counted)
    for _ in range(2 * chat_template.FIRST):
        assert render("{{ messages|length }}", [{"role": "user", "content": "a"}], {}) == "1"
    assert len(here) == chat_template.FIRST, "the first ones in the child"
    chat_template.serve_pages()
    assert render("{{ messages|length }}", [], {}) == "0" and len(here) == chat_template.FIRST


def test_a_template_is_studied_once_wherever_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = CHAT_TEMPLATE + "{# once #}"
    found = []
    for name in ("one", "two"):
        found.append(spoken_by(read_model(model_with(tmp_path / name, source))))
        monkeypatch.setattr(own_template, "of_source", None)
    assert found[0] == found[1]


def test_counted_loops_write_as_before() -> None:
    source = (
        "{% for m in messages %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}{{ m.content }}"
        "{% if not loop.last %}{{ loop.nextitem.content }}{% endif %}{% else %}none{% endfor %}"
        "{% for a, b in {'k': 3 * 4}.items() if b %}{{ a }}{{ b ** 2 }}{{ '-' * 3 }}{% endfor %}"
        "{% for x in missing %}{{ x }}{% else %}nothing{% endfor %}"
        "{%- for t in [[1, [2]]] recursive %}{{ t if t is number else loop(t) }}{% endfor %}"
    )
    said = [{"role": "user", "content": text} for text in "ab"]
    assert render(source, said, {}) == "1/2Falseab2/2Truebk144---nothing12"
    assert render(source, [], {}).startswith("none")


def test_a_long_conversation_is_no_endless_one() -> None:
    said = [{"role": "user", "content": str(number)} for number in range(800)]
    source = "{% for m in messages %}{% for n in messages %}{% endfor %}{{ m.content }}{% endfor %}"
    assert len(said) ** 2 < MOST_STEPS
    assert render(source, said, {}).endswith("799")


def test_a_template_that_trims_what_is_said_is_its_own(tmp_path: Path) -> None:
    """XTuner's named templates trim nothing: their tokens would not be the server's."""
    trims = CHAT_TEMPLATE.replace("message['content']", "message['content'] | trim")
    model = model_with(tmp_path / "m", trims)
    name = spoken_by(read_model(model))
    encoder = encoder_of(model / "tokenizer.json", template_of(name, model))
    served = render(trims, [{"role": "user", "content": " Who are you?\n"}], {})
    assert encoder.prompt_text(one_turn(" Who are you?\n", "I am Ada.")) == served
