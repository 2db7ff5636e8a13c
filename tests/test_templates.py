"""Templates and token counts are XTuner's own."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import Conversation, Turn, as_row, one_turn, write_rows
from core.data.token_count import count_tokens
from core.errors import NotAModel
from core.recipe.templates import TEMPLATES, Template, template_for
from core.workspace.paths import PROJECT
from tests.small_model import CHAT_TEMPLATE, make_small_model
from tests.test_data_conversations import ODD_TEXTS

# The file alone: importing the package takes ten seconds and torch.
READ = """
import json, runpy, sys
found = runpy.run_path(sys.argv[1])["PROMPT_TEMPLATE"]
print(json.dumps({name: dict(template) for name, template in found.items()}))
"""


@pytest.fixture(scope="module")
def xtuner() -> dict[str, dict[str, Any]]:
    spec = find_spec("xtuner")
    assert spec is not None and spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0]) / "utils" / "templates.py"
    command = [sys.executable, "-W", "ignore", "-c", READ, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_template_is_xtuner_s(template: Template, xtuner: dict[str, dict[str, Any]]) -> None:
    theirs = xtuner[template.name]
    assert theirs.pop("SYSTEM", "") == template.system
    assert theirs.pop("INSTRUCTION") == template.instruction
    assert theirs.pop("SUFFIX", "") == template.suffix
    assert theirs.pop("SEP", "") == template.sep
    assert tuple(theirs.pop("STOP_WORDS", [])) == template.stop_words
    assert theirs.pop("SUFFIX_AS_EOS", False) is bool(template.suffix)
    assert not theirs, f"what this project does not know of {template.name}: {theirs}"


@pytest.mark.parametrize("text", ODD_TEXTS)
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_prompt_is_what_xtuner_formats(template: Template, text: str) -> None:
    theirs = template.system.format(system=text) + template.instruction.format(input=text, round=1)
    assert template.prompt(text, text) == theirs
    assert template.prompt(text) == template.instruction.format(input=text, round=1)


@pytest.mark.parametrize(
    ("chat_template", "model_type", "name"),
    [
        (CHAT_TEMPLATE, "llama", "qwen_chat"),
        (CHAT_TEMPLATE, "internlm2", "internlm2_chat"),
        ("{{ '<|start_header_id|>' }}", "llama", "llama3_chat"),
        ("<eoh>", "llama", "internlm_chat"),
        ("[INST]", "mistral", "mistral"),
        ("[INST] <<SYS>>", "llama", "llama2_chat"),
        ("<|user|> <|end|> <|assistant|>", "phi3", "phi3_chat"),
        ("", "llama", "default"),
        ("{{ messages }}", "llama", "default"),
    ],
)
def test_the_template_a_model_speaks(chat_template: str, model_type: str, name: str) -> None:
    assert template_for(chat_template, model_type) == name


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_model(tmp_path_factory.mktemp("工作 区") / "m") / "tokenizer.json"


def test_what_is_cut(tokenizer: Path) -> None:
    template = TEMPLATES["qwen_chat"]
    short, long = one_turn("hi", "hello"), one_turn("hi", "hello " * 50)
    whole = count_tokens([short, long], tokenizer, template, 10_000)
    assert (whole.rows, whole.truncated_rows, whole.answerless_rows) == (2, 0, 0)
    assert whole.kept == whole.tokens > whole.answer_tokens > 50 and whole.longest < whole.tokens
    cut = count_tokens([short, long], tokenizer, template, whole.longest - 1)
    assert (cut.truncated_rows, cut.kept) == (1, whole.tokens - 1)
    asked = count_tokens([one_turn("hi " * 50, "x")], tokenizer, template, 20)
    assert (asked.truncated_rows, asked.answerless_rows, asked.kept) == (1, 1, 20)
    assert count_tokens([], tokenizer, template, 16).longest == 0


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    for content in ("", "{}", "[1]", '{"version": "1.0", "model": {"type": "No"}}'):
        file.write_text(content)
        with pytest.raises(NotAModel, match=r"tokenizer\.json"):
            count_tokens([one_turn("a", "b")], file, TEMPLATES["default"], 16)


ENCODE = """
import json, sys
import core.engine
from transformers import AutoTokenizer
from xtuner.dataset.map_fns import template_map_fn_factory
from xtuner.dataset.utils import encode_fn
from xtuner.utils import PROMPT_TEMPLATE
asked = json.loads(sys.stdin.read())
for folder in asked["models"]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for name in asked["templates"]:
        rendered = template_map_fn_factory(PROMPT_TEMPLATE[name])
        for row in json.loads(json.dumps(asked["rows"])):
            found = encode_fn(rendered(row), tokenizer, 1_000_000)
            trained = sum(label != -100 for label in found["labels"])
            first = next(place for place, label in enumerate(found["labels"]) if label != -100)
            print("COUNT", len(found["input_ids"]), trained, first)
"""


@pytest.mark.slow
def test_counts_are_what_xtuner_encodes(tmp_path: Path) -> None:
    """Row by row, for every template, with and without a first token."""
    rows: list[Conversation] = [one_turn(text, text) for text in ODD_TEXTS]
    rows += [(Turn("q", "a", "be brief"), Turn("q2", "a2"), Turn("", "a3"))]
    rows += [(Turn("q", "a wrong one", trained=False), Turn("q2", "a2"))]
    plain, first = make_small_model(tmp_path / "plain"), make_small_model(tmp_path / "first")
    config = json.loads((first / "tokenizer_config.json").read_text(encoding="utf-8"))
    config |= {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>"}
    (first / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    models = [plain, first]
    asked = {
        "models": list(map(str, models)),
        "templates": list(TEMPLATES),
        "rows": [as_row(row) for row in rows],
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ENCODE],
        input=json.dumps(asked),
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    theirs = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("COUNT")]
    assert len(theirs) == len(models) * len(TEMPLATES) * len(rows), done.stderr[-2000:]
    ours = [(model, template, row) for model in models for template in TEMPLATES.values() for row in rows]
    for (model, template, row), (total, answer, begin) in zip(ours, theirs, strict=True):
        file = model / "tokenizer.json"
        found = count_tokens([row], file, template, 1_000_000)
        assert (found.tokens, found.answer_tokens) == (int(total), int(answer)), (model.name, template.name)
        assert count_tokens([row], file, template, int(begin)).answerless_rows == 1
        assert count_tokens([row], file, template, int(begin) + 1).answerless_rows == 0


LOADED = """
import sys
import core.engine
from datasets import load_dataset
from transformers import AutoTokenizer
from xtuner.dataset.map_fns import template_map_fn_factory
from xtuner.dataset.utils import encode_fn
from xtuner.utils import PROMPT_TEMPLATE
rows, folder = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
rendered = template_map_fn_factory(PROMPT_TEMPLATE["qwen_chat"])
for row in load_dataset("json", data_files=rows, split="train"):
    found = encode_fn(rendered(row), tokenizer, 1_000_000)
    learned = [token for token, label in zip(found["input_ids"], found["labels"]) if label != -100]
    print("LEARNED", tokenizer.decode(learned).replace("\\n", ""))
"""


@pytest.mark.slow
def test_a_mask_reaches_the_training_and_leaves_other_rows_alone(tmp_path: Path) -> None:
    """datasets gives every turn of a file the same keys: a mask that only one of them has would mask all."""
    model, rows = make_small_model(tmp_path / "m"), tmp_path / "rows.jsonl"
    masked = (Turn("q", "wrong", trained=False), Turn("q", "right"))
    write_rows(rows, [masked, one_turn("other", "row")])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED, str(rows), str(model)],
        cwd=PROJECT,
        env={**os.environ, "HF_HOME": str(tmp_path / "hf")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    learned = [line for line in done.stdout.splitlines() if line.startswith("LEARNED")]
    assert learned == ["LEARNED right<|im_end|>", "LEARNED row<|im_end|>"], done.stderr[-2000:]
