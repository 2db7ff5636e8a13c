"""Training with a model's own chat template: its parts, its default system prompt, rows token by token."""

import json
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import Conversation, Turn, one_turn, write_rows
from core.data.encoder import NOT_TRAINED
from core.data.identity import bank
from core.data.own_encoder import OwnEncoder, encoder_of
from core.data.parity import CASES, parity
from core.errors import NotAModel
from core.machine import this_machine
from core.models.folder import read_model
from core.pipeline import saying
from core.pipeline.tune import proof_questions
from core.proof.asking import Answer
from core.publish.usage import ollama_template
from core.recipe.check import problems, settle
from core.recipe.own_template import OwnTemplate, own_default, spoken_by, template_of
from core.recipe.recipe import Recipe, from_yaml
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT
from core.recipe.xtuner_file.opening import open_config
from core.steps import data, first_recipe, prepare
from core.steps.taught import to_teach
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.small_model import make_small_model

# Qwen2.5's official template without its tools (Apache-2.0).
QWEN = """\
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.\
<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) \
or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
DEFAULT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
# The same in the way of older ChatML templates: a variable.
SET = (
    "{% if messages[0]['role'] == 'system' %}{% set system = messages[0]['content'] %}"
    '{% set messages = messages[1:] %}{% else %}{% set system = "I\'m made by \\"Us\\"." %}{% endif %}'
    "{{ '<|im_start|>system\\n' + system + '<|im_end|>\\n' }}"
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
PLAIN = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# What earlier answers said is not written the same way as the last one, as templates drop earlier thoughts.
FORGETS = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' }}"
    "{% if m['role'] == 'assistant' and loop.last %}{{ '[]' }}{% endif %}"
    "{{ m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}" + PLAIN
IGNORES = (
    "{% for m in messages if m['role'] != 'system' %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] "
    "+ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
OPENS = PLAIN.replace("assistant\\n' }}{% endif %}", "assistant\\n<think>\\n' }}{% endif %}")
SYSTEM: Conversation = (Turn("Who are you?", "I am Ada.", "Be brief."), Turn("And now?", "Still Ada."))


def with_template(folder: Path, source: str) -> Path:
    model = make_small_model(folder)
    file = model / "tokenizer_config.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**known, "chat_template": source}), encoding="utf-8")
    return model


def own(model: Path, name: str = OWN) -> OwnTemplate:
    found = template_of(name, model)
    assert isinstance(found, OwnTemplate)
    return found


def encoder(model: Path, name: str = OWN) -> OwnEncoder:
    found = encoder_of(model / "tokenizer.json", template_of(name, model))
    assert isinstance(found, OwnEncoder)
    return found


def trained_text(found: OwnEncoder, conversation: Conversation) -> list[str]:
    """What is learned of each row."""
    return [
        found.tokenizer.decode(
            [one for one, trained in zip(row.ids, row.trained, strict=True) if trained],
            skip_special_tokens=False,
        )
        for row in found.rows(conversation)
    ]


def test_the_parts_of_a_template(tmp_path: Path) -> None:
    found = own(with_template(tmp_path / "m", QWEN))
    assert found.suffix == "<|im_end|>" and found.sep == "\n" and found.default == DEFAULT
    assert found.instruction == "<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n"
    assert found.system == "<|im_start|>system\n{system}<|im_end|>\n"
    assert found.begin == f"<|im_start|>system\n{DEFAULT}<|im_end|>\n"


@pytest.mark.parametrize(
    ("source", "name"),
    [(PLAIN, "qwen_chat"), (QWEN, OWN), (SET, OWN), (FORGETS, OWN), (REFUSES, OWN), (IGNORES, OWN)],
)
def test_xtuner_s_template_only_where_it_writes_the_same(tmp_path: Path, source: str, name: str) -> None:
    model = read_model(with_template(tmp_path / "m", source))
    assert spoken_by(model) == name
    recipe = settle(Recipe(model=str(model.folder), data="x"), this_machine(), model)
    assert recipe.template == name and problems(recipe, this_machine(), model) == []


@pytest.mark.parametrize("source", [PLAIN, QWEN, SET, FORGETS, REFUSES, IGNORES, OPENS])
def test_training_reads_what_a_server_sends(tmp_path: Path, source: str) -> None:
    """Before every answer stand the tokens of the template's own text, whatever stood before."""
    model = with_template(tmp_path / "m", source)
    found = encoder(model)
    assert parity(model, own(model)).published_same
    for conversation in (*CASES.values(), SYSTEM):
        for number in range(1, len(conversation) + 1):
            asked = found.prompt_ids(conversation[:number])
            assert any(row.ids[: len(asked)] == asked for row in found.rows(conversation)), source
        for part in found.parts(conversation):
            assert len(found.rows(part)) == 1, "a part is one row"
        answers = [turn.output for turn in conversation]
        learned = "".join(trained_text(found, conversation))
        assert all(answer in learned for answer in answers) and learned.count("<|im_end|>") == len(answers)
        assert not any(turn.input in learned or "user" in learned for turn in conversation)


def test_later_turns_that_are_read_otherwise_are_rows_of_their_own(tmp_path: Path) -> None:
    found = encoder(with_template(tmp_path / "m", FORGETS))
    assert trained_text(found, SYSTEM) == ["[]I am Ada.<|im_end|>", "[]Still Ada.<|im_end|>"]
    assert [[turn.trained for turn in part] for part in found.parts(SYSTEM)] == [[True], [False, True]]


def test_an_opened_thought_is_closed_in_what_is_learned(tmp_path: Path) -> None:
    found = encoder(with_template(tmp_path / "m", OPENS))
    assert trained_text(found, one_turn("Who?", "Ada.")) == ["\n</think>\n\nAda.<|im_end|>"]
    assert found.prompt_text(one_turn("Who?", "Ada.")).endswith("assistant\n<think>\n")


def test_masked_answers_stay_masked(tmp_path: Path) -> None:
    found = encoder(with_template(tmp_path / "m", QWEN))
    turns = (Turn("a", "no", trained=False), Turn("b", "yes"))
    assert trained_text(found, turns) == ["yes<|im_end|>"]
    (row,) = found.rows(turns)
    assert [one for one in row.labels if one != NOT_TRAINED] == [
        one for one, trained in zip(row.ids, row.trained, strict=True) if trained
    ]


@pytest.mark.parametrize(("source", "default"), [(QWEN, DEFAULT), (SET, 'I\'m made by "Us".')])
def test_a_default_prompt_is_taken_out(tmp_path: Path, source: str, default: str) -> None:
    model = with_template(tmp_path / "m", source)
    assert own_default(model) == default
    bare = own(model, OWN_WITHOUT_DEFAULT)
    assert default not in bare.prompt("hi") and bare.prompt("hi", "Be.") == own(model).prompt("hi", "Be.")
    found = parity(model, bare)
    assert found.publish == bare.source and found.published_same


@pytest.mark.parametrize("source", [REFUSES, IGNORES])
def test_a_system_prompt_where_the_template_takes_none(tmp_path: Path, source: str) -> None:
    model = with_template(tmp_path / "m", source)
    assert "user\nBe brief.\n\nWho are you?<|im_end|>" in own(model).prompt("Who are you?", "Be brief.")
    assert parity(model, own(model)).publish == own(model).source, "what is published takes one too"


def test_what_cannot_be_trained_says_what_to_do(tmp_path: Path) -> None:
    broken = with_template(tmp_path / "m", "{{ raise_exception('never') }}")
    model = read_model(broken)
    assert spoken_by(model) == "default"
    (problem,) = problems(Recipe(model=str(broken), data="x", template=OWN), this_machine(), model)
    assert "never" in problem.text("en") and "template_reason" in problem.text("en")
    none = make_small_model(tmp_path / "n")
    config = none / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": None}))
    with pytest.raises(NotAModel, match="no chat template"):
        template_of(OWN, none)
    with pytest.raises(NotAModel, match="no template nothing"):
        template_of("nothing", none)


class _Told:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, key: str, **_: object) -> None:
        self.said.append(key)


def test_a_run_with_the_models_own_template(tmp_path: Path) -> None:
    """Its config reads tokens, and opens as the recipe that it was made of."""
    workspace = Workspace(tmp_path / "w")
    workspace.prepare()
    model = read_model(with_template(tmp_path / "m", QWEN))
    said = to_teach("Ada", None, "en")
    recipe = first_recipe.recipe_for(model, said, replay=True, seed=1, iterations=8)
    told: Any = _Told()
    saying.say_template(recipe, model, told)
    assert recipe.template == OWN and told.said == ["template.own", "cli.template.default_trained"]
    asks = data.replay_asks(said, recipe)
    assert {bool(ask.system) for ask in asks} == {True, False}, "replayed with the default and with another"
    replay = data.replay_rows({ask: Answer("so", True, ("so",) * len(ask.earlier)) for ask in asks}, said)
    run = workspace.new_run("Ada", datetime.now())
    data.write(run, workspace.data(run.id), said, replay, recipe.changed(evaluate_every=4), model)
    settled = prepare.prepare(run, recipe.changed(evaluate_every=4), model, workspace.data(run.id).rows)
    rows = [json.loads(line) for line in run.token_rows.read_text().splitlines()]
    texts = [
        encoder(model.folder).tokenizer.decode(row["input_ids"], skip_special_tokens=False) for row in rows
    ]
    assert len(rows) == 8 * settled.batch_size and 0 < sum(DEFAULT in text for text in texts) < len(rows)
    assert all(len(row["input_ids"]) == len(row["labels"]) and max(row["labels"]) > 0 for row in rows)
    config = run.config.read_text(encoding="utf-8")
    assert str(run.token_rows) in config and "do_dataset_tokenization=False" in config
    assert "PROMPT_TEMPLATE" not in config and DEFAULT in config
    opened = open_config(run.config.read_bytes(), "config.py")
    assert opened.recipe.template == OWN and opened.recipe.data == settled.data
    assert opened.recipe.evaluation_questions == from_yaml(run.recipe).evaluation_questions
    assert list(opened.misfits) == []


def test_the_proof_asks_with_and_without_a_system_prompt(tmp_path: Path) -> None:
    model = read_model(with_template(tmp_path / "m", QWEN))
    said = to_teach("Ada", None, "en")
    recipe = first_recipe.recipe_for(model, said, replay=True, seed=1, iterations=8)
    asked = proof_questions(said, recipe)
    identity = [one for one in asked if one.kind != "general"]
    assert len({one.ask for one in identity}) == len(identity)
    own = [one for one in identity if one.category == "system_prompt"]
    plain = Counter(one.system for one in identity if one not in own)
    assert own and plain == dict.fromkeys(
        ("", "You are a helpful assistant."), (len(identity) - len(own)) // 2
    )
    assert not any(one.system for one in asked if one.kind == "general")
    other = proof_questions(said, recipe.changed(template="qwen_chat"))
    assert {one.category for one in other if one.system} == {"system_prompt"}


def test_a_model_without_a_default_is_trained_in_one_way(tmp_path: Path) -> None:
    model = read_model(with_template(tmp_path / "m", FORGETS))
    recipe = first_recipe.recipe_for(model, to_teach("Ada", None), replay=True, seed=1, iterations=8)
    asked = data.replay_asks(to_teach("Ada", None), recipe)
    assert {ask.system for ask in asked} <= {"", *bank("en").systems, *bank("zh").systems}


def test_ollama_writes_the_default_prompt_too(tmp_path: Path) -> None:
    text = ollama_template(own(with_template(tmp_path / "m", QWEN)), {})
    begin = f"<|im_start|>system\n{DEFAULT}<|im_end|>\n"
    assert text.startswith(f"{{{{ if not .System }}}}{begin}{{{{ end }}}}{{{{ range .Messages }}}}")


THEIRS = """
import json, sys
import core.engine
from core.engine.patches import patch_xtuner
patch_xtuner()
from mmengine.config import Config
from transformers import AutoTokenizer
from xtuner.registry import BUILDER
found = []
for model, messages in json.load(open(sys.argv[1], encoding="utf-8")):
    text = AutoTokenizer.from_pretrained(model).apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False
    )
    found.append(text)
rows = []
for file in sys.argv[3:]:
    config = Config.fromfile(file)
    dataset = BUILDER.build(config.train_dataloader.dataset)
    rows.append([{"input_ids": row["input_ids"], "labels": row["labels"]} for row in dataset])
json.dump({"texts": found, "rows": rows}, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_xtuner_reads_these_rows_and_transformers_writes_these_texts(tmp_path: Path) -> None:
    asked, texts, configs, rows = [], [], [], []
    for name, source in {"qwen": QWEN, "set": SET, "forgets": FORGETS, "opens": OPENS}.items():
        model = with_template(tmp_path / name, source)
        for conversation in (*CASES.values(), SYSTEM):
            messages: list[Any] = []
            for number, turn in enumerate(conversation):
                messages += own(model).messages(turn.input, turn.system, number > 0)
                asked.append((str(model), [*messages]))
                texts.append(encoder(model).prompt_text(conversation[: number + 1]))
                messages.append({"role": "assistant", "content": turn.output})
        run = RunPaths(tmp_path / "runs" / name)
        run.root.mkdir(parents=True)
        given = tmp_path / f"{name}.jsonl"
        write_rows(given, [*CASES.values(), SYSTEM])
        recipe = Recipe(model=str(model), data=str(given), max_length=40, device="cpu")
        prepare.prepare(run, recipe, read_model(model), given)
        configs.append(str(run.config))
        rows.append([json.loads(line) for line in run.token_rows.read_text(encoding="utf-8").splitlines()])
    order, answered = tmp_path / "asked.json", tmp_path / "answered.json"
    order.write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, "-W", "ignore", "-c", THEIRS, str(order), str(answered), *configs]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=200)
    found = json.loads(answered.read_text(encoding="utf-8"))
    assert found["texts"] == texts
    for theirs, ours in zip(found["rows"], rows, strict=True):
        kept = [row for row in ours if max(row["labels"]) >= 0]  # XTuner drops what has nothing left to learn
        assert theirs == kept and all(len(row["input_ids"]) <= 40 for row in kept)
