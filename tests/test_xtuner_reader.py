"""Configs are read without running them, whatever stands in them."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from core.errors import NotAConfig, NotARecipe
from core.recipe.recipe import Recipe, parse
from core.recipe.xtuner_file.catalog import find
from core.recipe.xtuner_file.opening import open_config
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.settings import SECTIONS
from core.recipe.xtuner_file.values import Name, Unread

BASE = "internlm_chat_7b_qlora_oasst1_e3"


def value(expression: str, before: str = "") -> Any:
    return read_config(f"{before}\nfound = {expression}".encode(), "x.py")["found"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("2e-4 * 2", 4e-4),
        ("-1", -1),
        ("(1, [2, 'a'])", (1, [2, "a"])),
        ("dict(a=1, **dict(b=2))", {"a": 1, "b": 2}),
        ("{'a': {'b': None}}", {"a": {"b": None}}),
        ("'a' + f'{1 + 1}b'", "a2b"),
        ("int(3 * 1.5)", 4),
        ("[1] + [2] * 2", [1, 2, 2]),
        ("7 if 2 > 1 else 8", 7),
        ("1 in [1, 2] and not False", True),
        ("'a{b}'.replace('{', '{{')", "a{{b}"),
        ("dict(a=[5])['a'][0]", 5),
    ],
)
def test_an_expression(expression: str, expected: object) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("before", "expression", "expected"),
    [
        ("import torch", "torch.float16", Name("torch.float16")),
        ("import torch.nn as nn", "nn.ReLU", Name("torch.nn.ReLU")),
        ("import os.path as osp", "osp.join('a', 'b')", "a/b"),
        ("from torch.optim import AdamW as A", "dict(type=A)", {"type": Name("torch.optim.AdamW")}),
        ("from transformers import T", "T.from_pretrained", Name("transformers.T.from_pretrained")),
        ("a, b = 1, 2", "b", 2),
        ("a = dict(x=1)\na['x'] = 2\na['y'] = 3", "a", {"x": 2, "y": 3}),
        ("a = [1]\na += [2]", "a", [1, 2]),
        ("a = 1\nif a == 1:\n    a = 5\nelse:\n    a = 6", "a", 5),
        ("a: int = 4", "a", 4),
    ],
)
def test_statements(before: str, expression: str, expected: object) -> None:
    assert value(expression, before) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "open('/etc/passwd').read()",
        "[x for x in (1,)]",
        "(lambda: 1)()",
        "unknown",
        "10 ** 10 ** 10",
        "'x' * 10 ** 9",
        "[0] * 10 ** 9",
        "'%1000000000d' % 1",
        "'a'.replace('a', 'b' * 100000).replace('b', 'c' * 100000)",
        "1 / 0",
        "'a'.format()",
        "f'{1:1000000000d}'",
        "max(*[1, 2])",
    ],
)
@pytest.mark.timeout(20)
def test_what_is_not_followed_is_named_and_not_run(expression: str) -> None:
    found = value(expression)
    assert isinstance(found, Unread) and found.line == 2


def test_after_a_loop_or_a_call_nothing_is_believed() -> None:
    text = (
        "lr = 1\nhooks = []\nfor i in range(3):\n    lr = lr * i\nhooks.append(1)\ndef f(): pass\nbatch = 2"
    )
    found = read_config(text.encode(), "x.py")
    assert isinstance(found["lr"], Unread) and isinstance(found["hooks"], Unread) and found["batch"] == 2


def test_nothing_of_a_file_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "it ran"
    text = f"import pathlib\nx = pathlib.Path({str(mark)!r}).touch()\nexec('1')\nif x.touch():\n    y = 1\n"
    with pytest.raises(NotARecipe):
        open_config(text.encode(), "evil.py")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a = (", "line 1"),
        (b"\xff\xfe", "UTF-8"),
        (b"a = 1\0", "Python|deep"),
        (b"x = " + b"[" * 5000 + b"]" * 5000, "deep|Python"),
        (b"x = " + b"-" * 100_000 + b"1", "deep|Python"),
        (b"#" * 1_100_000, "larger"),
        (b"a = [0]\n" + b"a = [a, a]\n" * 60, "deep"),
        (b"a = dict()\na['a'] = a\n", "deep"),
    ],
    ids=["broken", "not text", "null", "brackets", "signs", "large", "doubling", "circle"],
)
@pytest.mark.timeout(60)
def test_a_file_that_is_no_config(content: bytes, said: str) -> None:
    with pytest.raises((NotAConfig, NotARecipe), match=said):
        open_config(content, "x.py")


def test_a_config_with_something_unread_opens_and_says_so() -> None:
    text = find(BASE).file.read_text(encoding="utf-8")
    text = text.replace("lr = 2e-4", "import os\nlr = float(os.environ['LR'])").replace("r=64", "r=choose()")
    found = open_config(text.encode(), "own.py")
    places = {one.place: one.file for one in found.misfits}
    assert "os.environ" in str(places["optim_wrapper.optimizer.lr"]) and places["model.lora.r"] == "choose()"
    assert (found.recipe.lr, found.recipe.rank) == (Recipe.lr, Recipe.rank)


def places_of(found: object, place: str = "") -> Iterator[str]:
    """Every place inside a config as Python names it."""
    pairs = enumerate(found) if isinstance(found, list) else found.items() if isinstance(found, dict) else ()
    for key, value in pairs:
        inner = f"{place}[{key!r}]" if place else str(key)
        yield inner
        yield from places_of(value, inner)


@pytest.mark.parametrize("junk", ["5", "[1, 'x']", "float('nan')", "unknown()", "{'type': 3}"])
def test_whatever_stands_somewhere_it_opens_or_says_why(junk: str) -> None:
    """Each part of a config in turn replaced by something that has no business there."""
    text = find(BASE).file.read_text(encoding="utf-8")
    values = read_config(text.encode(), "x.py")
    for place in places_of({name: values[name] for name in SECTIONS if name in values}):
        try:
            found = open_config(f"{text}\n{place} = {junk}\n".encode(), "x.py")
        except NotARecipe:
            continue
        json.dumps([asdict(one) for one in found.differences])
        assert parse(asdict(found.recipe)) == found.recipe
