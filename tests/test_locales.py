"""Every sentence is there in both languages, is used, and gets the values it names."""

import ast
import errno
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from string import Formatter

import pytest

from core import errors
from core.cli.arguments import COMPLAINTS
from core.cli.parser import COMMANDS, HELP, parser
from core.data.findings import KINDS
from core.data.fixes import FIXES
from core.data.formats.shapes import SHAPES
from core.errors import TuneboardError, reason_of
from core.jobs.causes import CAUSES
from core.jobs.status import State
from core.pace import COSTS, HEALING, IMPORT_COSTS, PUBLISHING
from core.pipeline.checkpoints import CHOOSE
from core.pipeline.use import USE
from core.recipe.recipe import Recipe
from core.runs import DATA, STEPS
from core.wording import Language, say, sentences, terminal_language
from core.workspace.paths import PROJECT
from tests.own_source import parsed, sources
from ui.publish.panel import SENDING

LANGUAGES: tuple[Language, Language] = ("en", "zh")
EN, ZH = (sentences(language) for language in LANGUAGES)
SOURCES = [*sources("core", "ui", "pages"), PROJECT / "app.py"]
SPEAKERS = {"say", "t"}
GLOSSARY = json.loads((PROJECT / "locales" / "glossary.json").read_text(encoding="utf-8"))
CHINESE = re.compile("[\u4e00-\u9fff]")
# Sentences that another follows on the same line.
JOINED = {"row.separator", "row.list", "near", "catalog.not_here", "cli.usage", "endpoint.ask_key"}
PROPER_NAMES = {"field.deepspeed", "page.models.from.huggingface", "hub.huggingface"}
CHECKS = {
    call.args[0].value
    for node in ast.walk(parsed(PROJECT / "core" / "doctor.py"))
    if isinstance(call := node, ast.Call) and ast.unparse(call.func) == "Diagnosis"
    if isinstance(call.args[0], ast.Constant)
}


def placeholders(text: str) -> set[str]:
    """The values a sentence names; ``{count|row|rows}`` names ``count``."""
    return {name.partition("|")[0] for _, name, _, _ in Formatter().parse(text) if name is not None}


@cache
def calls() -> list[tuple[Path, ast.Call, str]]:
    """Every call in the program with the last part of what is called."""
    return [
        (path, node, node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
        for path in SOURCES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    ]


def texts(path: Path) -> set[str]:
    """Every string that stands in a file of the program."""
    found = (node.value for node in ast.walk(parsed(path)) if isinstance(node, ast.Constant))
    return {value for value in found if isinstance(value, str)}


def spoken() -> Iterator[tuple[Path, ast.Call, ast.expr]]:
    for path, call, name in calls():
        if name in SPEAKERS and call.args:
            yield path, call, call.args[0]


def pattern(text: ast.JoinedStr) -> str:
    return "".join(re.escape(p.value) if isinstance(p, ast.Constant) else r"\w[\w.-]*" for p in text.values)


def leaves(kind: type[TuneboardError] = TuneboardError) -> Iterator[type[TuneboardError]]:
    for one in kind.__subclasses__():
        yield from leaves(one)
    if kind.key and kind.__module__.startswith("core."):  # a test of the same process may have made another
        yield kind


def test_the_same_keys_in_the_same_order() -> None:
    assert list(EN) == list(ZH)


def test_the_same_values_in_both_languages() -> None:
    """And each sentence takes them, without a blank or an empty line around it."""
    assert not [key for key in EN if placeholders(EN[key]) != placeholders(ZH[key])]
    values = {key: dict.fromkeys(placeholders(EN[key]), "{x}") for key in EN}
    said = {(key, language): say(key, language, **values[key]) for key in EN for language in LANGUAGES}
    assert not [at for at, text in said.items() if not text or text != text.rstrip("\n")]
    assert {key for (key, _), text in said.items() if text != text.strip()} <= JOINED


def test_every_sentence_is_translated() -> None:
    words = {key: re.sub(r"\{[^}]+\}", "", text) for key, text in EN.items()}
    assert not [
        key
        for key in EN
        if re.search("[a-z]{3}", words[key]) and key not in PROPER_NAMES and not CHINESE.search(ZH[key])
    ]
    assert not [key for key in EN if CHINESE.search(EN[key])]


def test_every_key_that_is_spoken_exists() -> None:
    found = 0
    for path, _, key in spoken():
        where = f"{path.name}:{key.lineno}"
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            found += 1
            assert key.value in EN, where
        elif isinstance(key, ast.JoinedStr):
            assert [one for one in EN if re.fullmatch(pattern(key), one)], where
    assert found > 50


def test_every_spoken_key_gets_the_values_it_names() -> None:
    for path, call, key in spoken():
        given = {keyword.arg for keyword in call.keywords}
        if isinstance(key, ast.Constant) and key.value in EN and None not in given:
            assert placeholders(EN[key.value]) <= given, f"{path.name}:{call.lineno}"


def test_every_key_is_used() -> None:
    constants = {text for path in SOURCES for text in texts(path)}
    patterns = [re.compile(pattern(key)) for _, _, key in spoken() if isinstance(key, ast.JoinedStr)]
    families = ("error.", "file.E", "streamlit.")  # each with a test of its own
    unused = [
        key
        for key in EN
        if key not in constants
        and not any(one.fullmatch(key) for one in patterns)
        and not key.startswith(families)
    ]
    assert not unused


def test_every_error_has_its_sentence_and_every_sentence_its_error() -> None:
    assert {f"error.{leaf.key}" for leaf in leaves()} == {key for key in EN if key.startswith("error.")}


def test_every_error_is_raised_with_the_values_of_its_sentence() -> None:
    by_name = {leaf.__name__: leaf for leaf in leaves()}
    raised = set()
    for path, call, name in calls():
        if name in by_name:
            given = {keyword.arg for keyword in call.keywords}
            key = by_name[name].key
            needed = placeholders(EN[f"error.{key}"]) | placeholders(EN.get(f"cli.error.{key}", ""))
            given |= {"file"} if "path" in given else set()  # the path as it is typed
            assert not call.args and needed - {"where"} <= given, f"{path.name}:{call.lineno}"
            raised.add(name)
    assert raised == set(by_name), "an error that nothing raises"


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    told = set(re.findall(r"[├└]── (\w+)", errors.__doc__ or ""))
    real = {
        name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TuneboardError)
    }
    assert told | {"TuneboardError"} == real


def test_an_error_ends_with_what_to_do() -> None:
    """Either a full sentence or the command to type stands last."""
    for key in EN:
        if key.startswith("error.") and key not in {"error.invalid_recipe", "error.invalid_profile"}:
            assert EN[key].endswith(".") or "scripts/run" in EN[key].split(": ")[-1], key
            assert ZH[key].endswith("。") or "scripts/run" in ZH[key], key


@pytest.mark.parametrize(
    ("family", "members"),
    [
        ("recipe", {field.name for field in fields(Recipe)}),
        ("field", {field.name for field in fields(Recipe)}),
        ("state", {state.value for state in State} | {"none"}),
        (
            "stage",
            {
                *COSTS,
                *IMPORT_COSTS,
                *PUBLISHING,
                *HEALING,
                *SENDING,
                *STEPS,
                "gguf",
                "shard",
                "export",
                "checksums",
                "publish",
                "check",
                "sweep",
                CHOOSE,
                USE,
            }
            - {DATA},
        ),
        ("finding", set(KINDS)),
        ("code", set(KINDS)),
        ("fix", set(FIXES)),
        ("format.why", set(SHAPES)),
        ("cause", set(CAUSES)),
        (
            "cli.wrong",
            {key for key, *_ in COMPLAINTS.values()}
            | {
                "command",
                "value",
                "number",
                "decimal",
                "column",
                "row",
                "rows",
                "value_pair",
                "fix",
                "out",
                "beside_run",
                "adapter_or_merged",
                "run_or_elsewhere",
            },
        ),
        ("doctor.check", CHECKS),
    ],
)
def test_a_family_has_all_its_members_and_no_others(family: str, members: set[str]) -> None:
    told = {key.removeprefix(f"{family}.") for key in EN if key.startswith(f"{family}.")}
    assert told == members


def test_every_command_and_option_is_explained() -> None:
    for name, (_, options) in COMMANDS.items():
        assert f"cli.{name.replace(' ', '.')}" in EN
        assert all(f"cli.option.{HELP.get(o) or o.strip('-').lower()}" in EN for o in options)
    assert not [key for key in EN if key.startswith("cli.") and "%" in EN[key] + ZH[key]], (
        "argparse fills in %"
    )
    assert parser().format_help()


def test_reasons_of_the_system() -> None:
    numbers = {key.removeprefix("file."): key for key in EN if key.startswith("file.E")}
    assert set(numbers) <= set(errno.errorcode.values())
    for name, key in numbers.items():
        assert reason_of(OSError(getattr(errno, name), "x")) == say(key)
    assert reason_of(OSError(errno.EXDEV, "Cross-device link")) == "Cross-device link"
    assert reason_of(OSError("no number")) == "no number"


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "ZH_TW"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "TUNEBOARD_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "TUNEBOARD_LANG": "zh"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_terminal_s_language(
    variables: dict[str, str], language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TUNEBOARD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert terminal_language() == language


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 rows"), (1, "1 row"), ("1", "1 row"), (2, "2 rows"), (11, "11 rows"), ("1,001", "1,001 rows")],
)
def test_a_word_follows_its_number(count: object, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EN, "row.problem", "{count} {count|row|rows}")
    assert say("row.problem", "en", count=count) == said


@pytest.mark.parametrize("text", ["{row|one|more}", "{count|one}", "{count|one|two|three}", "{number}"])
def test_a_value_that_is_missing_is_not_passed_over(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EN, "row.problem", text)
    with pytest.raises(KeyError):
        say("row.problem", "en", count=1)


def test_only_english_has_two_forms() -> None:
    assert not [key for key in ZH if "|" in "".join(re.findall(r"\{[^}]+\}", ZH[key]))]
    for key in EN:
        for field in re.findall(r"\{(\w+\|[^}]*)\}", EN[key]):
            assert field.count("|") == 2 and not re.search(r"[.:!\[]", field), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_word_for_one_thing(language: Language) -> None:
    """``locales/glossary.json``: each term in both languages, and the patterns that stand for it nowhere."""
    readme = (PROJECT / {"en": "README.md", "zh": "README_zh.md"}[language]).read_text(encoding="utf-8")
    prose = "".join(readme.split("```")[::2])
    spoken_here = {**sentences(language), **{f"README:{n}": one for n, one in enumerate(prose.split("\n"))}}
    wrong = []
    for term, entry in GLOSSARY.items():
        assert any(entry[language].lower() in text.lower() for text in spoken_here.values()), (
            f"{term}: nothing says “{entry[language]}”"
        )
        for variant in entry[f"not_{language}"]:
            assert not re.search(variant, entry[language], re.IGNORECASE), f"{term}: {variant} forbids itself"
            wrong += [
                f"{key}: “{found[0]}” is “{entry[language]}” here"
                for key, text in spoken_here.items()
                if (found := re.search(variant, text, re.IGNORECASE))
            ]
    assert not wrong, "\n".join(wrong)


# How Chinese is set here. A value in braces may be of either language: core.wording sets the blank beside it.
CHINESE_SETTING = {
    "punctuation of Chinese width beside Chinese": r"[\u4e00-\u9fff”》][,;:!?()]|[,;!?(]\s?[\u4e00-\u9fff“]",
    "。 ends a Chinese sentence": r"[\u4e00-\u9fff]\.(?:\s|$)",
    "…… are six dots": r"[\u4e00-\u9fff](?:\.\.\.|…(?!…)(?=$|[\u4e00-\u9fff]))",
    "“ ” are quotation marks": r"[\u4e00-\u9fff]['\"][\u4e00-\u9fff]",
    "a blank between a Chinese and a Latin word": r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9%][\u4e00-\u9fff]",
    "no blank beside punctuation of Chinese width": r"[ \t][，。：；！？、（）]|[，。：；！？、（）][ \t]",
    "no two blanks": r"(?<!\n)  +",
}


@pytest.mark.parametrize("rule", CHINESE_SETTING)
def test_chinese_is_set_as_chinese(rule: str) -> None:
    wrong = {
        key: text
        for key, text in ZH.items()
        if re.search(CHINESE_SETTING[rule], text.replace("\n    ", "\n"))
    }
    assert not wrong


def test_a_rule_of_setting_finds_what_it_is_against() -> None:
    wrong = ("名字:李明", "保存.", "正在读取...", "用'引号'引", "用XTuner训练", "好 ，的", "两  个")
    for text, (rule, found) in zip(wrong, CHINESE_SETTING.items(), strict=True):
        assert re.search(found, text), rule


# Values that are what somebody or something is called, in any script.
NAMES = ("name", "named", "title")


@pytest.mark.parametrize("name", ["Jonas Weber", "Ünal", "李明", "7", "Zoë 3"])
def test_a_name_stands_in_a_chinese_sentence_as_chinese_is_set(name: str) -> None:
    chinese = CHINESE.match(name)
    beside = r"[\u4e00-\u9fff] N|N [\u4e00-\u9fff]" if chinese else r"[\u4e00-\u9fff]N|N[\u4e00-\u9fff]"
    wrong = re.compile(f"{beside}|[，。：；！？、（）“”] N|N [，。：；！？、（）“”]")
    keys = [key for key in ZH if placeholders(ZH[key]) & {*NAMES}]
    assert len(keys) > 80
    for key in keys:
        said = say(key, "zh", **dict.fromkeys(placeholders(ZH[key]), "…") | dict.fromkeys(NAMES, name))
        assert name in said and not wrong.search(re.sub("[*`]", "", said).replace(name, "N")), said


@pytest.mark.parametrize(
    ("sentence", "value", "said"),
    [
        ("正在创建{x}的助手", "Jonas Weber", "正在创建 Jonas Weber 的助手"),
        ("正在创建{x}的助手", "林小满", "正在创建林小满的助手"),
        ("正在创建{x}的助手", "林小满2", "正在创建林小满2 的助手"),
        ("正在创建{x}的助手", "A林", "正在创建 A林的助手"),
        ("正在创建{x}的助手", "さくら", "正在创建さくら的助手"),
        ("正在创建{x}的助手", "नेहा", "正在创建 नेहा 的助手"),
        ("正在创建{x}的助手", "Zoe\u0308", "正在创建 Zoe\u0308 的助手"),
        ("正在创建{x}的助手", "“Ada”", "正在创建“Ada”的助手"),
        ("正在创建{x}的助手", "Ada!", "正在创建 Ada!的助手"),
        ("正在创建{x}的助手", "**Ada**", "正在创建 **Ada** 的助手"),
        ("正在创建**{x}**的助手", "Ada", "正在创建 **Ada** 的助手"),
        ("用`{x}`训练", "Ada", "用 `Ada` 训练"),
        ("剩余{x}", "12 秒", "剩余 12 秒"),
        ("剩余{x}", "约 12 秒", "剩余约 12 秒"),
        ("完成{x}了", "12.5%", "完成 12.5% 了"),
        ("{x}，{x}。（{x}）", "Ada", "Ada，Ada。（Ada）"),
        ("{x}{x}", "Ada", "AdaAda"),
        ("共 {x} 行", 12, "共 12 行"),
        ("见 {x} 中", "/工作 区/甲", "见 /工作 区/甲 中"),
        ("XTuner{x}", "配置", "XTuner 配置"),
        ("{x}", "{x}", "{x}"),
        ("{{{x}}}", "Ada", "{Ada}"),
    ],
)
def test_a_blank_stands_between_a_chinese_and_another_word(
    sentence: str, value: object, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZH, "row.problem", sentence)
    assert say("row.problem", "zh", x=value) == said


def test_marks_beside_a_value_are_around_it() -> None:
    """Only so a blank beside it can be set outside of them; and values are written as they are."""
    for key, text in ZH.items():
        for mark in ("**", "`"):
            closing = re.finditer(re.escape("}" + mark), text)
            opening = re.finditer(re.escape(mark + "{"), text)
            assert all(text[: at.start()].count(mark) % 2 == 1 for at in closing), key
            assert all(text[: at.start()].count(mark) % 2 == 0 for at in opening), key
        assert not any(spec or conversion for _, _, spec, conversion in Formatter().parse(text)), key


def test_values_are_never_taken_for_placeholders() -> None:
    assert "{name} {0} %s" in say("error.no_such_file", "en", path="{name} {0} %s")


# No other sentence could help, and it is a command, whole, to be copied.
WHOLE_COMMANDS = ("scripts/run --reinstall", "scripts/setup --", "sha256sum --check")
# What no page shows: the command line says it, by its own rooms or as it goes on.
OF_THE_TERMINAL = ("cli.", "train.goes_on", "train.nothing_left")
# Said before there is a page, where the server was started or to whoever is not in yet.
OF_THE_DOOR = ("serve.", "access.refused")


@cache
def named() -> dict[str, set[str]]:
    """The keys that stand, whole, in the program's files: by where those lie."""
    found: dict[str, set[str]] = {"core/cli": set(), "pages": set(), "elsewhere": set()}
    for path in SOURCES:
        file = path.relative_to(PROJECT).as_posix()
        keys = texts(path) & EN.keys()
        found["core/cli" if file.startswith("core/cli/") else "elsewhere"] |= keys
        if file.startswith(("ui/", "pages/")):
            found["pages"] |= keys
    return found


@pytest.mark.parametrize("spoken_in", LANGUAGES)
def test_a_page_speaks_of_no_commands(spoken_in: Language) -> None:
    wrong = {
        key: sentence
        for key, sentence in sentences(spoken_in).items()
        if not key.startswith((*OF_THE_TERMINAL, *OF_THE_DOOR))
        and not (key in named()["core/cli"] and key not in named()["elsewhere"])
        and re.search(r"(?<![\w-])--[a-z]|scripts/run", sentence)
        and not any(command in sentence for command in WHOLE_COMMANDS)
    }
    assert wrong == {}


def test_what_only_the_command_line_says_is_said_on_no_page() -> None:
    assert not [key for key in named()["pages"] if key.startswith(OF_THE_TERMINAL)]


def test_the_command_line_names_the_option_to_change() -> None:
    for known in (EN, ZH):
        for key in known:
            if key.startswith("cli.error."):
                told, page = known[key], known[key.removeprefix("cli.")]
                assert placeholders(told) >= placeholders(page) and told != page
    error = errors.NoSuchFile(path="/x")
    assert "--data" in error.on_terminal() and "--" not in error.text()
    assert errors.InvalidName(reason="x").on_terminal() == errors.InvalidName(reason="x").text()
