"""A number that a page or a sentence says is the one that the code has."""

import argparse
import math
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from core.cli.data import HELD_BACK_SHARE
from core.cli.parser import parser
from core.data.identity import LANGUAGES, identity_conversations
from core.data.mix import LEAST_REPLAY_SHARE, REPLAY_SHARE, shares
from core.data.questions import held_back_questions, replay_questions
from core.doctor import DASHBOARD_PORT, NEEDED_MEMORY
from core.pipeline.tune_request import NEEDED_BYTES
from core.proof.questions import questions
from core.recipe.memory import MEASURED_PEAKS, WITHIN_PERCENT
from core.workspace.paths import PROJECT
from tests.test_xtuner_file import KINDS

ASKED = Counter(one.kind for one in questions("Ada", identity_conversations("Ada", LANGUAGES)))
# How scripts/setup announces what it installs.
CPU, GPU = r'\*\) size="([\d.]+) GB', r'gpu\) size="([\d.]+) GB'


def installed(build: str) -> float:
    """GB that the installation takes, as scripts/setup says."""
    found = re.search(build, page("scripts/setup"))
    assert found
    return float(found[1])


def page(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


# What both READMEs say: the numbers of a phrase, in its order.
SAID: dict[str, tuple[str, str, list[float]]] = {
    "memory formula": (
        r"within (\d+) % of (\d+) peaks",
        r"(?P<peaks>\d+) 个实测峰值相差 (?P<within>\d+)% 以内",
        [WITHIN_PERCENT, MEASURED_PEAKS],
    ),
    "XTuner's configs": (
        r"(\d+) of the (\d+) that",
        r"列出的 (?P<all>\d+) 个中有 (?P<some>\d+) 个",
        [KINDS["sft"], sum(KINDS.values())],
    ),
    "final test": (
        r"(\d+) identity questions \((\d+) taught, (\d+) worded[^)]*\) and (\d+)",
        r"(\d+) 个身份问题（(\d+) 个教过，(\d+) 个[^）]*），(\d+) 个",
        [ASKED["taught"] + ASKED["paraphrase"], ASKED["taught"], ASKED["paraphrase"], ASKED["general"]],
    ),
    "memory": (r"(\d+) GB of memory", r"(\d+) GB 内存", [NEEDED_MEMORY / 1e9]),
    "disk": (
        r"([\d.]+) GB of disk \(([\d.]+) GB with an NVIDIA",
        r"([\d.]+) GB 磁盘（有 NVIDIA GPU 时 ([\d.]+) GB",
        [math.ceil(2 * (installed(build) + NEEDED_BYTES / 1e9)) / 2 for build in (CPU, GPU)],
    ),
    "pages": (
        r"medians of the (\d+) step pages",
        r"(\d+) 个步骤页面的中位数",
        [len([*(PROJECT / "pages").glob("[1-9]_*.py")])],
    ),
    "port": (r"-L (\d+):", r"-L (\d+):", [DASHBOARD_PORT]),
}


@pytest.mark.parametrize("what", SAID)
def test_the_readmes(what: str) -> None:
    english, chinese, expected = SAID[what]
    for name, pattern in (("README.md", english), ("README_zh.md", chinese)):
        found = re.search(pattern, page(name).replace("\n", " "))
        assert found, (name, pattern)
        # Chinese names the whole before its part, and the peaks before how near they are.
        numbers = [float(one) for one in found.groups()]
        assert (numbers[::-1] if found.groupdict() else numbers) == expected, name


def test_how_fast_beside_unsloth() -> None:
    rows = re.findall(
        r"^\| \d×[^\n]* \| (\d\.\d\d) \| \d\.\d\d \|$", page("docs/performance.md"), re.MULTILINE
    )
    least, most = min(rows), max(rows)
    assert len(rows) > 3
    assert f"{least} to {most} times as fast as Unsloth" in page("README.md").replace("\n", " ")
    assert f"Unsloth 的 {least} 到 {most} 倍" in page("README_zh.md")


def test_how_soon_the_first_step_ends() -> None:
    (told,) = re.findall(
        r"nothing compiled before: (.*?); about", page("docs/performance.md").replace("\n", " ")
    )
    seconds = [int(one) for one in re.findall(r"(\d+) s", told)]
    assert f"first step in {min(seconds)} to {max(seconds)} seconds" in page("README.md").replace("\n", " ")
    assert re.search(rf"第一步 ?{min(seconds)} 到 {max(seconds)} 秒", page("README_zh.md").replace("\n", ""))


def test_the_questions_of_a_decision() -> None:
    replayed, held_back = len(replay_questions()), len(held_back_questions())
    title = f"**{replayed:,} replay questions with near misses, {held_back} held back.**"
    assert title in page("docs/decisions.md")


def test_the_shares_of_replay() -> None:
    """From one conversation taught to a million."""
    found = [one.replayed / one.rows for one in (shares(count, True) for count in (1, 250, 400, 5000, 10**6))]
    assert max(found) == pytest.approx(REPLAY_SHARE, abs=0.005) and min(found) == pytest.approx(
        LEAST_REPLAY_SHARE
    )


def options(command: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in command._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from options(one)
        else:
            yield action


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_number_that_an_option_names_as_its_default(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    said: dict[str, tuple[str, str]] = {}
    for action in options(parser()):
        found = re.search(r"(?:default: |默认：)(\d[\w.]*)", action.help or "")
        if found and action.default is not None:
            said[action.dest] = found[1], re.sub(r"\.0$", "", str(action.default))
    assert len(said) > 5
    assert {name: both for name, both in said.items() if len({*both}) == 2} == {}


def test_the_shares_that_an_option_names() -> None:
    for name, pattern in (
        ("en", r"default: ([\d.]+) for replay, ([\d.]+) for split"),
        ("zh", r"([\d.]+)[^\d]*([\d.]+)\D*$"),
    ):
        found = re.search(
            pattern, page(f"locales/{name}.json").split('"cli.option.share": "')[1].split('"')[0]
        )
        assert found and [float(one) for one in found.groups()] == [REPLAY_SHARE, HELD_BACK_SHARE]
