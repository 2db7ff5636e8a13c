"""Whether training and server write the same tokens, by our word and by that of XTuner and transformers."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import as_row
from core.data.parity import CASES, parity, problems, speaking_template
from core.machine import this_machine
from core.models.folder import read_model
from core.recipe.check import settle
from core.recipe.recipe import Recipe
from core.recipe.templates import OWN, TEMPLATES
from core.workspace.paths import PROJECT
from tests.small_model import CHAT_TEMPLATE, make_small_model
from tests.spaced_tokenizer import make_spaced_model

INTERNLM = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '<|User|>:' + message['content'] + '<eoh>\n<|Bot|>:' }}"
    "{% elif message['role'] == 'system' %}{{ '<|System|>:' + message['content'] + '\n' }}"
    "{% else %}{{ message['content'] + '<eoa>\n' }}{% endif %}{% endfor %}"
)
QWEN = TEMPLATES["qwen_chat"]
DEFAULT_SYSTEM = "{% if messages[0]['role'] != 'system' %}You are Qwen.{% endif %}" + CHAT_TEMPLATE


def change(model: Path, **settings: Any) -> Path:
    file = model / "tokenizer_config.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**known, **settings}), encoding="utf-8")
    return model


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return make_small_model(tmp_path / "工作 区" / "model")


def test_a_model_that_speaks_the_template(plain: Path) -> None:
    found = parity(plain, QWEN)
    assert found.own and found.same and found.text_same() and found.published_same
    assert found.difference is None and found.publish is None
    assert [case.case for case in found.cases] == list(CASES) and all(case.tokens for case in found.cases)


@pytest.mark.parametrize("name", sorted(TEMPLATES.keys() - {"qwen_chat", "internlm2_chat"}))
def test_a_model_that_speaks_another(plain: Path, name: str) -> None:
    found = parity(plain, TEMPLATES[name])
    assert not found.same and not found.text_same(system=False)
    assert found.difference is not None and found.difference.place == 0
    assert found.difference.served == "<|im_start|>" and found.difference.trained != "<|im_start|>"
    assert found.publish and found.published_same


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("spaced", [True, False])
def test_a_model_without_a_template_gets_one_that_is_proven(tmp_path: Path, name: str, spaced: bool) -> None:
    folder = tmp_path / "m"
    model = make_spaced_model(folder) if spaced else change(make_small_model(folder), chat_template=None)
    found = parity(model, TEMPLATES[name])
    assert not found.own and found.same and found.published_same
    assert found.publish == speaking_template(model, TEMPLATES[name])


@pytest.mark.parametrize(
    ("own", "case"),
    [
        (DEFAULT_SYSTEM, "single"),
        (CHAT_TEMPLATE.replace("<|im_end|>\n", "<|im_end|>"), "single"),
        ("{{ raise_exception('System role not supported') }}" + CHAT_TEMPLATE, "single"),
        (CHAT_TEMPLATE + "{% for", "single"),
        ("{{ ''.__class__.__mro__ }}" + CHAT_TEMPLATE, "single"),
        ("{{ messages[9].content }}", "single"),
        (
            "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
            + CHAT_TEMPLATE,
            "system",
        ),
        (CHAT_TEMPLATE.replace("message['content']", "message['content'][:20]"), "turns"),
    ],
)
def test_where_a_template_differs_is_shown(plain: Path, own: str, case: str) -> None:
    found = parity(change(plain, chat_template=own), QWEN)
    assert found.difference is not None and found.difference.case == case
    assert found.difference.trained_text != found.difference.served_text
    assert found.text_same(system=False) is (case == "system") and not found.text_same()
    assert json.dumps(found.as_json())


def test_the_first_token_that_differs_with_what_stands_before_it(plain: Path) -> None:
    own = CHAT_TEMPLATE.replace("'<|im_end|>\n'", "'<|im_end|>\n\n'")
    found = parity(change(plain, chat_template=own), QWEN).difference
    assert found is not None and found.before.endswith("Who are you?<|im_end|>\n")
    assert (found.trained, found.served) == ("<|im_start|>", "Ċ") and found.trained_id != found.served_id


def test_a_first_token_that_only_the_training_adds(plain: Path) -> None:
    found = parity(change(plain, tokenizer_class="LlamaTokenizer", bos_token="<|im_start|>"), QWEN)
    assert found.difference is not None and found.difference.place == 1
    assert found.published_same and found.publish and found.publish.startswith("{{ bos_token or '' }}")


def test_texts_that_meet_in_other_tokens_are_the_same_text(tmp_path: Path) -> None:
    """A tokenizer that puts a space before every text: the official ChatML gives the history other tokens."""
    model = make_spaced_model(tmp_path / "m", "{{ bos_token }}" + CHAT_TEMPLATE)
    found = parity(model, TEMPLATES["internlm2_chat"])
    assert found.own and found.text_same() and not found.same
    assert found.difference is not None and found.difference.case == "turns"
    assert found.publish and found.published_same, "so that what is published speaks as it was trained"


@pytest.mark.parametrize("own", [None, "{{ bos_token }}" + INTERNLM])
def test_tokens_that_no_template_can_keep_apart(tmp_path: Path, own: str | None) -> None:
    """A tokenizer that joins the end of a prompt and the beginning of an answer, as InternLM's does."""
    model = make_spaced_model(tmp_path / "m", own, across=True)
    found = parity(model, TEMPLATES["internlm_chat"])
    assert not found.same and found.text_same() and not found.published_same
    assert found.cases[0].same, "a single question is the same"
    assert (found.publish is None) is (own is not None), "what it has stays, for nothing would be better"
    recipe = Recipe(model=str(model), data="x", template="internlm_chat")
    assert problems(recipe, read_model(model)) == []


def test_a_template_file_counts_before_the_settings(plain: Path) -> None:
    (plain / "chat_template.jinja").write_text("{{ messages[-1]['content'] }}")
    assert not parity(plain, QWEN).same
    (plain / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    assert parity(plain, QWEN).same, "a changed file is read anew"


@pytest.mark.parametrize(
    "own",
    [
        "{% for m in messages %}{% if loop.index > 99 %}{% break %}{% endif %}{% endfor %}" + CHAT_TEMPLATE,
        "{% generation %}{% endgeneration %}" + CHAT_TEMPLATE,
        "{% set year = strftime_now('%Y') %}" + CHAT_TEMPLATE,
        "{% set x = {'a': '字'} | tojson(indent=2, ensure_ascii=False) %}" + CHAT_TEMPLATE,
    ],
)
def test_what_transformers_templates_may_use(plain: Path, own: str) -> None:
    assert parity(change(plain, chat_template=own), QWEN).same


def test_a_recipe_that_would_not_be_launched(plain: Path) -> None:
    model = read_model(change(plain, chat_template=DEFAULT_SYSTEM))
    assert settle(Recipe(model=str(plain), data="x"), this_machine(), model).template == OWN
    recipe = settle(Recipe(model=str(plain), data="x", template="qwen_chat"), this_machine(), model)
    (problem,) = problems(recipe, model)
    for language in ("en", "zh"):
        said = problem.text(language)
        assert "You are Qwen." in said and "<|im_start|>user" in said and OWN in said
    assert problems(recipe.changed(template_reason="Qwen's default prompt is not wanted"), model) == []
    assert problems(recipe.changed(template_reason="  "), model)


def test_a_system_prompt_counts_where_there_is_one(plain: Path) -> None:
    own = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}" + CHAT_TEMPLATE
    model = read_model(change(plain, chat_template=own))
    own_way = settle(Recipe(model=str(plain), data="x"), this_machine(), model)
    assert own_way.template == OWN, "what refuses a system prompt can be given one before the first question"
    assert problems(own_way.changed(system="Be kind."), model) == []
    recipe = settle(Recipe(model=str(plain), data="x", template="qwen_chat"), this_machine(), model)
    assert problems(recipe, model) == []
    assert problems(recipe, model, system=True) and problems(recipe.changed(system="Be kind."), model)


THEIRS = """
import json, sys
import core.engine
from transformers import AutoTokenizer
from xtuner.dataset.map_fns import template_map_fn
from xtuner.dataset.utils import encode_fn
from xtuner.utils import PROMPT_TEMPLATE
found = []
for asked in json.load(open(sys.argv[1], encoding="utf-8")):
    tokenizer = AutoTokenizer.from_pretrained(asked["model"])
    row = encode_fn(template_map_fn(asked["row"], PROMPT_TEMPLATE[asked["template"]]), tokenizer, 10**6)
    end = len(row["labels"])
    while row["labels"][end - 1] == -100:
        end -= 1
    while row["labels"][end - 1] != -100:
        end -= 1
    served = {}
    for name, source in asked["chat_templates"].items():
        served[name] = tokenizer.apply_chat_template(
            asked["messages"], chat_template=source, add_generation_prompt=True, return_dict=False
        )
    found.append({"trained": row["input_ids"][:end], "served": served})
json.dump(found, open(sys.argv[2], "w"))
"""


def asked_of_both(models: Mapping[str, Path]) -> Iterator[dict[str, Any]]:
    for model in models.values():
        for template in TEMPLATES.values():
            sources = {"published": speaking_template(model, template), "own": None}
            if not parity(model, template).own:
                del sources["own"]
            for conversation in CASES.values():
                turns = as_row(conversation)["conversation"]
                messages = [{"role": "system", "content": t["system"]} for t in turns if "system" in t]
                for turn in turns:
                    messages += [{"role": "user", "content": turn["input"]}]
                    messages += [{"role": "assistant", "content": turn["output"]}]
                yield {
                    "model": str(model),
                    "template": template.name,
                    "row": {"conversation": turns},
                    "messages": messages[:-1],
                    "chat_templates": sources,
                }


@pytest.mark.slow
def test_the_verdict_is_that_of_xtuner_and_transformers(tmp_path: Path) -> None:
    """XTuner's own ids, and apply_chat_template's, for every template, with and without system and turns."""
    first = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>"}
    models = {
        "plain": make_small_model(tmp_path / "普 通"),
        "first": change(make_small_model(tmp_path / "first"), **first),
        "spaced": make_spaced_model(tmp_path / "spaced"),
        "spaced own": make_spaced_model(tmp_path / "spaced own", "{{ bos_token }}" + CHAT_TEMPLATE),
    }
    asked, answered = tmp_path / "asked.json", tmp_path / "answered.json"
    every = [*asked_of_both(models)]
    asked.write_text(json.dumps(every), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", THEIRS, str(asked), str(answered)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=200)
    found = json.loads(answered.read_text(encoding="utf-8"))
    cases = [(m, t, case) for m in models.values() for t in TEMPLATES.values() for case in CASES]
    assert len(found) == len(cases)
    for (model, template, name), theirs in zip(cases, found, strict=True):
        ours = parity(model, template)
        case = next(case for case in ours.cases if case.case == name)
        assert case.tokens == len(theirs["trained"])
        assert theirs["served"]["published"] == theirs["trained"], (model.name, template.name, name)
        if ours.own:
            assert (theirs["served"]["own"] == theirs["trained"]) is case.same, (model.name, template.name)
