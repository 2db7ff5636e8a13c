"""Real families' chat templates are trained as a server speaks them, and a run is launched by default."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from core.data import mix, parity
from core.data.checking.block import Checker, Settings
from core.data.checking.check import row_lengths
from core.data.conversations import Conversation, Turn
from core.data.formats.reading import Format
from core.data.own_encoder import OwnEncoder, TokenRow, encoder_of
from core.machine import this_machine
from core.models.folder import Model, read_model
from core.recipe.check import problems, settle
from core.recipe.own_template import OwnTemplate, own_default, template_of
from core.recipe.recipe import Problem, Recipe
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT
from core.recipe.thinking import in_mode, thinking_of
from core.workspace.files import read_json, write_json
from core.workspace.paths import PROJECT
from tests.chat_templates import ChatTemplate, chat_templates
from tests.command_line import cli
from tests.family_models import make_family_model

TEMPLATES = chat_templates()
_SINGLE = (Turn("Who are you?", "I am 小明's assistant."),)
_TURNS = (*_SINGLE, Turn("你会做什么？\nList 3.", "<b>1.</b> {x}\n2. 翻译"), Turn("Thanks", "Bye."))
_RULE = "Be brief. 用中文回答。"
CONVERSATIONS: Mapping[str, Conversation] = {
    "single": _SINGLE,
    "turns": _TURNS,
    "system": (Turn(_TURNS[0].input, _TURNS[0].output, _RULE), *_TURNS[1:]),
}
# What gpt-oss writes before an answer that is no thought.
FINAL = "<|channel|>final<|message|>"
# What puts a system prompt in by itself.
DEFAULT = {
    "apertus",
    "deepseek-coder",
    "granite-3.3",
    "megrez",
    "minimind-v1",
    "ministral-3",
    "mistral-small-3",
    "qwen1.5",
    "qwen2.5",
    "qwen2.5-coder",
    "qwen2.5-math",
    "smollm2",
    "smollm3",
}
# What lets its model think first, or answer at once.
THINKING = {
    "apertus",
    "gemma4",
    "glm-4.5",
    "granite-3.3",
    "hunyuan",
    "minimind",
    "qwen3",
    "qwen3.5",
    "qwen3.5-small",
    "smollm3",
}
# These write what one of XTuner's named templates does; Llama 3's also trims what is said, and is its own.
NAMED = {
    "internlm2": "qwen_chat",
    "internlm2.5": "qwen_chat",
    "internlm3": "qwen_chat",
    "phi-3-small": "phi3_chat",
    "qwen3-instruct-2507": "qwen_chat",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("模 型")


def made(folder: Path, name: str) -> Model:
    place = folder / name
    return read_model(place if place.exists() else make_family_model(place, TEMPLATES[name]))


def encoder(model: Model, template: str = OWN) -> OwnEncoder:
    found = encoder_of(model.tokenizer_file, template_of(template, model.folder))
    assert isinstance(found, OwnEncoder)
    return found


def refused(recipe: Recipe, model: Model) -> list[Problem]:
    return problems(recipe, this_machine(), model) + parity.problems(recipe, model, system=True)


def asked(found: OwnEncoder, conversation: Conversation, thinks: bool | None) -> Iterator[list[int]]:
    """What a server sends for each turn: the template that is published, encoded whole."""
    template, messages = in_mode(found.template, thinks), list[Mapping[str, Any]]()
    for number, turn in enumerate(conversation):
        messages += template.messages(turn.input, turn.system, later=number > 0)
        text = template.render(messages)
        yield found.tokenizer.encode(text, add_special_tokens=False).ids
        messages.append({"role": "assistant", "content": turn.output})


def learned(row: TokenRow, prompt: list[int]) -> list[int] | None:
    """What a row trains behind a prompt; None where the prompt does not stand before something trained."""
    behind = row.trained[len(prompt) :]
    if row.ids[: len(prompt)] != prompt or not behind or not behind[0]:
        return None
    end = behind.index(False) if False in behind else len(behind)
    return row.ids[len(prompt) : len(prompt) + end]


@pytest.mark.parametrize("name", TEMPLATES)
def test_training_reads_what_a_server_sends_and_learns_the_answer(name: str, folder: Path) -> None:
    assert_is_trained(made(folder, name), TEMPLATES[name])


@pytest.mark.parametrize("name", [name for name, template in TEMPLATES.items() if template.spaced])
def test_so_it_does_with_a_space_before_the_whole_text_only(name: str, tmp_path: Path) -> None:
    template = TEMPLATES[name]
    assert_is_trained(read_model(make_family_model(tmp_path / "m", template, metaspace=True)), template)


def assert_is_trained(model: Model, spoken: ChatTemplate) -> None:
    template = template_of(OWN, model.folder)
    assert isinstance(template, OwnTemplate)
    for which in (OWN, OWN_WITHOUT_DEFAULT) if template.default else (OWN,):
        found = encoder(model, which)
        assert parity.parity(model.folder, template_of(which, model.folder)).published_same
        modes = {None, *thinking_of(template).modes}
        for (case, conversation), thinks in product(CONVERSATIONS.items(), modes):
            rows, taught = found.rows(mix.in_mode(conversation, thinks)), 0
            for prompt, turn in zip(asked(found, conversation, thinks), conversation, strict=True):
                said = [ids for row in rows if (ids := learned(row, prompt))]
                assert said, (which, case, thinks, turn)
                taught += len(said[0])
                assert_is_the_answer(found, spoken, said[0], turn)
            assert taught == sum(sum(row.trained) for row in rows), "nothing else is trained"


SERVED = """
import json, sys
from transformers import AutoTokenizer
found = []
for asked in json.load(open(sys.argv[1], encoding="utf-8")):
    tokenizer = AutoTokenizer.from_pretrained(asked["model"])
    text = tokenizer.apply_chat_template(asked["messages"], add_generation_prompt=True, tokenize=False)
    found.append(tokenizer(text, add_special_tokens=False)["input_ids"])
json.dump(found, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_transformers_sends_these_tokens(folder: Path, tmp_path: Path) -> None:
    """The ids of a question after an answer, of every model's own tokenizer as transformers loads it."""
    models = [made(folder, name) for name in TEMPLATES]
    messages = [
        {"role": "user", "content": _TURNS[0].input},
        {"role": "assistant", "content": _TURNS[0].output},
        {"role": "user", "content": _TURNS[1].input},
    ]
    given, found = tmp_path / "asked.json", tmp_path / "found.json"
    write_json(given, [{"model": str(model.folder), "messages": messages} for model in models])
    command = [sys.executable, "-W", "ignore", "-c", SERVED, str(given), str(found)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=200)
    for model, ids in zip(models, read_json(found), strict=True):
        assert encoder(model).prompt_ids(_TURNS[:2]) == ids, model.folder.name


def assert_is_the_answer(found: OwnEncoder, template: ChatTemplate, ids: list[int], turn: Turn) -> None:
    """An answer, what the template writes before it of thoughts, and a token at which the model stops."""
    text = found.tokenizer.decode(ids, skip_special_tokens=False)
    end = found.tokenizer.decode(ids[-1:], skip_special_tokens=False)
    assert end in {*template.stops, found.template.suffix}
    before, answer, after = text.partition(turn.output)
    assert answer and after.strip() == end
    assert before.strip() in ("", "<think>\n\n</think>", "</think>", "<think></think>", FINAL)
    assert not any(one in text.replace(FINAL, "") for one in template.special if one != end)


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_check_counts_the_tokens_that_are_trained(name: str, folder: Path) -> None:
    """To a token or two, for each text is counted by itself; of rows that are several the longest counts."""
    model = made(folder, name)
    settings = Settings(model.tokenizer_file, OWN, Format("openai"))
    for case, conversation in CONVERSATIONS.items():
        block = Checker(settings).check([json.dumps({"messages": [*messages(conversation)]}).encode()])
        longest = max(len(row.ids) for row in encoder(model).rows(conversation))
        assert int(row_lengths([block], settings).rows.sum()) == pytest.approx(longest, abs=3), case


def messages(conversation: Conversation) -> Iterator[Mapping[str, str]]:
    for turn in conversation:
        if turn.system:
            yield {"role": "system", "content": turn.system}
        yield {"role": "user", "content": turn.input}
        yield {"role": "assistant", "content": turn.output}


def test_those_that_can_think_first_are_known(folder: Path) -> None:
    found = {name for name in TEMPLATES if thinking_of(template_of(OWN, made(folder, name).folder)).switch}
    assert found == THINKING


def test_default_system_prompts_are_known(folder: Path) -> None:
    found = {name for name in TEMPLATES if own_default(made(folder, name).folder)}
    assert found == DEFAULT
    for name in DEFAULT:
        model = made(folder, name)
        bare, own = (template_of(which, model.folder) for which in (OWN_WITHOUT_DEFAULT, OWN))
        assert own_default(model.folder) in own.prompt("hi") and own_default(model.folder) not in bare.prompt(
            "hi"
        )
        assert bare.prompt("hi", "Be.") == own.prompt("hi", "Be.")
        recipe = settle(Recipe(model=str(model.folder), data="x"), this_machine(), model)
        for changed in ({"system": own_default(model.folder)}, {"template": OWN_WITHOUT_DEFAULT}):
            assert refused(recipe.changed(**changed), model) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_run_is_launched_by_default(name: str, folder: Path) -> None:
    model = made(folder, name)
    recipe = settle(Recipe(model=str(model.folder), data="x"), this_machine(), model)
    assert recipe.template == NAMED.get(name, OWN)
    for system in ("", _RULE):
        assert refused(recipe.changed(system=system), model) == []


@pytest.mark.parametrize(
    "source",
    [
        "{{ functions }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}{{ functions.x }}",
        "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}",
        "{% for m in messages %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endfor %}",
        "{% for tool in tools %}{{ tool }}{% endfor %}{{ messages[-1].content }}",
    ],
    ids=["functions", "drops answers", "parts only", "tools only"],
)
def test_what_is_refused_says_what_to_type_and_that_works(source: str, tmp_path: Path) -> None:
    place = make_family_model(tmp_path / "m", TEMPLATES["qwen2.5"])
    (place / "chat_template.jinja").write_text(source, encoding="utf-8")
    model = read_model(place)
    recipe = settle(Recipe(model=str(place), data="x"), this_machine(), model)
    (found,) = refused(recipe, model)
    for language in ("en", "zh"):
        said = found.text(language)
        assert "template_reason" in said and recipe.template in said
        assert "Set template to" not in said and "设为" not in said, "it is the one in use"
    assert refused(recipe.changed(template_reason="the template is for tools"), model) == []


def test_a_row_that_a_template_refuses_is_named(tmp_path: Path) -> None:
    """A template may raise for a text, as gpt-oss's does for channels in an answer."""
    model = make_family_model(tmp_path / "m", TEMPLATES["qwen3"])
    strict = (
        "{% for m in messages %}{% if 'Hm' in m.content %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
    )
    (model / "chat_template.jinja").write_text(strict + TEMPLATES["qwen3"].source, encoding="utf-8")
    data = tmp_path / "d.jsonl"
    lines = [
        json.dumps({"instruction": asked, "output": answer})
        for asked, answer in (("A?", "Ada."), ("B?", "Hm."))
    ]
    data.write_text("\n".join(lines), encoding="utf-8")
    for command in (("data", "show"), ("tune", "--name", "Ada", "--no-replay", "--data")):
        done = cli(*command, data, "--model", model, "--workspace", tmp_path / "w", cwd=tmp_path)
        assert done.returncode == 2 and "B?" in done.stderr and "Traceback" not in done.stderr
    assert "--template NAME --template-reason WHY" in done.stderr
