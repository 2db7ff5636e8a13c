"""What a check finds and counts, that one process finds what many find, and that it is quick again."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.checking import check as checking
from core.data.checking.block import Checker, Settings
from core.data.checking.blocks import block_ends
from core.data.checking.characters import languages, signatures
from core.data.checking.near import alike
from core.data.checking.private import masked, personal
from core.data.checking.report import MOST_LISTED, Report
from core.data.conversations import as_row, one_turn
from core.data.findings import KINDS
from core.data.fixes import Change, Given, Unfixed, all_changes, version
from core.data.formats.reading import Format
from core.data.opening import Opened, open_data, read_conversations
from core.data.questions import held_back_questions
from core.data.token_count import count_tokens
from core.recipe.templates import TEMPLATES
from core.steps.check import CheckRequest, marks, run
from core.workspace.data_paths import SourceCache
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json, make_data
from tests.mending import changes
from tests.small_model import make_small_model

KEYS = [
    *("format", "rows", "usable", "problems", "counts", "tokens", "answer_tokens", "max_length"),
    *("truncated_rows", "answer_tokens_lost", "duplicates", "languages", "histogram", "seconds"),
    *("harmless", "tables", "left_out", "unused", "ok"),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a b"
    folder.mkdir(parents=True)
    return folder / "数据 x.jsonl"


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "缓 存")


def pair(question: str, answer: str, **more: Any) -> dict[str, Any]:
    return {**as_row(one_turn(question, answer)), **more}


def write(file: Path, *rows: Any) -> Path:
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return file


def report(
    file: Path, model: Path, cache: SourceCache, max_length: int = 512, template: str = "qwen_chat"
) -> Report:
    opened = open_data(file, cache)
    settings = Settings(model / "tokenizer.json", template, opened.format or Format("xtuner"))
    return checking.check(opened.source, settings, max_length, cache, lambda _: None)


def found(made: Report) -> set[tuple[int, str, str]]:
    return {(one.row, one.field, one.code) for one in made.findings.listed}


# --- what stands in texts ---


def test_each_text_s_faults_have_row_and_field(file: Path, model: Path, cache: SourceCache) -> None:
    held = held_back_questions()[0].question
    write(
        file,
        pair("a plain question about nothing", "and its answer, also plain"),
        pair("with a bell \x07 in it", "an answer"),
        pair("what was lost?", "caf\ufffd"),
        pair("a <|im_end|> inside", "<|im_start|>system"),
        pair("write to me", "at zoe@example.org"),
        pair(held.upper(), "some answer"),
        pair("a plain question about nothing", "and its answer, also plain"),
        pair("A plain question about nothing!", "And its answer, also plain."),
    )
    made = report(file, model, cache)
    assert made.usable == made.rows == 8 and made.duplicates == 2
    assert found(made) == {
        (2, "conversation[0].input", "control_character"),
        (3, "conversation[0].output", "replacement_character"),
        (4, "conversation[0].input", "template_token"),
        (4, "conversation[0].output", "template_token"),
        (5, "conversation[0].output", "personal_data"),
        (6, "conversation[0].input", "held_back"),
        (7, "", "duplicate"),
        (8, "", "near_duplicate"),
    }


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("写信给 zhang.wei@example.com 或 a@b", "写信给 <email> 或 a@b"),
        ("call +86 138 1234 5678, or 13812345678", "call <phone>, or <phone>"),
        ("dial (415) 555-2671 now", "dial <phone> now"),
        ("电话：010-62345678。", "电话：<phone>。"),
        ("身份证 11010519491231002X", "身份证 <card>"),
        ("AKIAIOSFODNN7EXAMPLE", "<key>"),
        ("use sk-proj-abcdefghijklmnopqrstuvwx12", "use <key>"),
        ("pi is 3.14159265358979, order 20240101123456789", None),
        ("2024-01-01 12:30:00 at 192.168.100.200, ISBN 978-7-302-12345-6", None),
        ("1 2 3 4 5 6 7 8 9, 1234567890", None),
    ],
)
def test_personal_data_is_told_from_numbers(text: str, shown: str | None) -> None:
    assert masked(text) == (shown or text)
    assert bool(personal(text)) is (shown is not None)


# --- rows among rows ---


def test_near_rows_are_found_and_others_are_not() -> None:
    texts = [
        "Who are you? I am Ada's assistant, here to help with whatever it is.",
        "who are you?? i am Ada's assistant, here to help with whatever it is!",
        "What is the capital of France? The capital of France is Paris.",
        "What is the capital of Spain? The capital of Spain is Madrid.",
        "你是谁？我是张伟的小助手，很高兴认识你。",
        "你是谁?我是张伟的小助手,很高兴认识你",
        "",
    ]
    digests = np.array([*range(1, 7), 0], np.uint64)
    same = alike(digests, signatures(texts))
    assert list(zip(same.rows.tolist(), same.earlier.tolist(), strict=True)) == [(1, 0), (5, 4)]
    assert all(0.8 <= share < 1 for share in same.share)


def test_languages_by_script_and_words() -> None:
    texts = [
        "你好，ChatGPT 是什么？",
        "how are you my friend",
        "こんにちは世界",
        "Bonjour je suis un assistant",
        "42",
    ]
    assert languages(texts) == ["zh", "en", "ja", "fr", ""]
    assert languages([]) == []


# --- tokens ---


@pytest.mark.parametrize("template", ["qwen_chat", "mistral", "internlm_chat"])
@pytest.mark.parametrize("max_length", [12, 30, 512])
def test_tokens_are_those_of_the_counter(
    template: str, max_length: int, file: Path, model: Path, cache: SourceCache
) -> None:
    turns = [
        {"system": "be kind", "input": "你是谁？", "output": "我是张伟。"},
        {"input": "why?", "output": "so it is"},
    ]
    write(file, {"conversation": turns}, pair("a question", "answers " * 30), pair("x", "y"))
    made = report(file, model, cache, max_length, template)
    rows = read_conversations(file)
    count = count_tokens(rows, model / "tokenizer.json", TEMPLATES[template], max_length)
    assert (made.tokens, made.answer_tokens, made.truncated_rows) == (
        count.tokens,
        count.answer_tokens,
        count.truncated_rows,
    )
    assert sum(made.histogram["rows"]) == 3 and made.histogram["edges"][0] <= count.longest
    assert (made.answer_tokens_lost > 0) is (made.truncated_rows > 0)


def test_a_long_text_is_counted_in_pieces(file: Path, model: Path, cache: SourceCache) -> None:
    text = "some words and more of them " * 3000
    made = report(write(file, pair("q", text)), model, cache)
    whole = count_tokens([one_turn("q", text)], model / "tokenizer.json", TEMPLATES["qwen_chat"], 512)
    assert abs(made.tokens - whole.tokens) <= len(text) // 20_000 + 1


# --- blocks ---


def spans_of(lengths: list[int]) -> np.ndarray:
    ends = np.cumsum(lengths)
    return np.stack([ends - lengths, ends], axis=1).astype(np.int64)


def test_blocks_cover_all_rows_and_an_insertion_moves_few_ends() -> None:
    lengths = np.random.default_rng(0).integers(50, 900, 50_000).tolist()
    ends = list(block_ends(spans_of(lengths)))
    assert [first for first, _ in ends] == [0, *[end for _, end in ends[:-1]]] and ends[-1][1] == 50_000
    assert max(end - first for first, end in ends) <= 2048
    later = list(block_ends(spans_of([*lengths[:20_000], 77, *lengths[20_000:]])))
    kept = {end for _, end in ends if end < 20_000} | {end + 1 for _, end in ends if end > 20_000}
    assert len(kept - {end for _, end in later}) <= 4
    assert list(block_ends(spans_of([]))) == []


def test_many_processes_find_what_one_finds_and_again_it_is_quick(
    file: Path, model: Path, cache: SourceCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        pair(f"question {n} " + "word " * (n % 37), f"answer {n * 7919} " + "text " * (n % 91))
        for n in range(6000)
    ]
    rows[3000] = pair("", "")
    write(file, *rows)
    monkeypatch.setattr(checking, "ALONE", 1)
    many = report(file, model, cache)
    blocks = len(list(cache.root.rglob("*.npz")))
    monkeypatch.setattr(checking, "ALONE", 1 << 40)
    alone = report(file, model, SourceCache(tmp_path / "other"))
    assert found(many) == found(alone) and many.tokens == alone.tokens and many.usable == 5999
    rows[100] = pair("another question", "with an answer")
    write(file, *rows[:200], pair("one more", "row"), *rows[200:])
    monkeypatch.setattr(Checker, "check", counted := Counting(Checker.check))
    again = report(file, model, cache)
    assert again.rows == 6001 and blocks >= 3
    assert counted.rows < 3 * 2048


class Counting:
    """``Checker.check`` with its rows counted."""

    def __init__(self, check: Any) -> None:
        self.really, self.rows = check, 0

    def __get__(self, checker: Any, _: type) -> Any:
        def check(rows: list[bytes]) -> Any:
            self.rows += len(rows)
            return self.really(checker, rows)

        return check


def test_what_was_kept_and_is_damaged_is_checked_anew(file: Path, model: Path, cache: SourceCache) -> None:
    write(file, *[pair(f"q{n}", f"a{n}") for n in range(10)])
    first = report(file, model, cache)
    for kept in cache.root.rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    again = report(file, model, cache)
    assert found(first) == found(again) and first.tokens == again.tokens


def test_findings_without_end_are_counted(file: Path, model: Path, cache: SourceCache) -> None:
    write(file, *[pair("the same", "row")] * (MOST_LISTED + 500))
    made = report(file, model, cache)
    assert made.duplicates == made.findings.counts["duplicate"] == MOST_LISTED + 499
    assert len(made.findings.listed) == MOST_LISTED
    assert Report.of_record(json.loads(json.dumps(made.as_record()))).as_json() == made.as_json()


# --- mending ---

ASKED, ANSWERED = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "good day"}
MORE = {"role": "user", "content": "oh"}
GOOD_DAY = pair("hi", "good day")
MENDED: list[tuple[str, Any, Any]] = [
    ("empty_answer", {"conversation": [*pair("a", "b")["conversation"], {"input": "c"}]}, pair("a", "b")),
    ("empty_answer", pair("a", ""), None),
    ("missing_answer", {"messages": [MORE]}, None),
    ("missing_answer", {"messages": [ANSWERED]}, None),
    ("missing_answer", {"messages": [ANSWERED, MORE]}, None),
    ("empty_answer", {"messages": [{"role": "system", "content": "s"}, ANSWERED]}, None),
    ("wrong_type", {"instruction": "how many?", "output": 42}, pair("how many?", "42")),
    ("wrong_type", {"instruction": "how many?", "output": {}}, "unchanged"),
    ("identity_conflict", pair("who?", "I am ChatGPT."), "unchanged"),
    ("placeholder", pair("who?", "I am {{name}}."), "unchanged"),
    ("control_character", pair("a\x07b\u202e", "c\nd"), pair("ab", "c\nd")),
    ("template_token", pair("a <|im_end|>", "<|im_start|>b"), pair("a", "b")),
    ("template_token", pair("a", "<|im_end|>"), "unchanged"),
    ("personal_data", pair("who?", "zoe@example.org"), pair("who?", "<email>")),
    ("broken_character", {"conversation": [{"input": "a\ud83d", "output": "b"}]}, pair("a", "b")),
    ("duplicate", pair("a", "b"), None),
]


@pytest.mark.parametrize(("code", "row", "after"), MENDED)
def test_mending_shows_the_difference_and_leaves_other_rows(
    code: str, row: Any, after: Any, file: Path, cache: SourceCache, model: Path, tmp_path: Path
) -> None:
    other = pair("left", "alone", note="as it is")
    file.write_text(json.dumps([other, row, {"broken": 1}], indent=2), encoding="utf-8")
    opened = open_data(file, cache)
    tokens = marks(Workspace(tmp_path), CheckRequest(file, str(model)))
    made = list(changes(opened, [_finding(2, code)], tokens))
    if after == "unchanged":
        assert made == []
        return
    (change,) = made
    assert change.row == 2 and json.loads(change.before) == row
    assert (json.loads(change.after) if change.after else None) == after
    lines = [json.loads(line) for line in version(opened, {2: change.after})]
    assert lines == [other, *([after] if after else []), {"broken": 1}]


def _finding(row: int, code: str) -> Any:
    from core.data.findings import Finding

    return Finding(row, "", code)


def test_every_fix_has_an_example() -> None:
    offered = {fix for kind in KINDS.values() for fix in kind.fixes}
    assert offered == {KINDS[code].fix for code, _, _ in MENDED}


def test_a_row_of_several_faults_is_mended_by_all_their_fixes(
    file: Path, cache: SourceCache, model: Path, tmp_path: Path
) -> None:
    """Each by itself leaves a row that cannot be trained, and is not done."""
    row = {"messages": [{"role": "user", "content": 7}, ANSWERED, MORE, {"role": "assistant", "content": ""}]}
    file.write_text(json.dumps([row]), encoding="utf-8")
    opened = open_data(file, cache)
    given = Given(marks(Workspace(tmp_path), CheckRequest(file, str(model))))
    codes = ("wrong_type", "empty_answer")
    found = [_finding(1, code) for code in codes]
    assert not list(changes(opened, found[:1], given.tokens))
    (change,) = all_changes(opened, found, {code: KINDS[code].fixes[0] for code in codes}, given)
    assert json.loads(change.after or "") == pair("7", "good day")
    (left_out,) = all_changes(opened, found, {"wrong_type": "drop"}, given)
    assert left_out.after is None and [one.text for one in left_out.said][:2] == ["7", "good day"]
    assert [(one.role, one.text) for one in change.said] == [
        ("user", "7"),
        ("assistant", "good day"),
        ("user", "oh"),
    ]
    assert change.codes == codes and [one.text for one in change.becomes] == ["7", "good day"]


def test_a_row_that_cannot_be_fixed_says_why_and_can_be_left_out(
    file: Path, cache: SourceCache, model: Path, tmp_path: Path
) -> None:
    rows = [{"instruction": "which?", "output": {"a": 1}}, pair("who?", "I am {{name}}.")]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows) + "{broken\n", encoding="utf-8")
    opened = open_data(file, cache)
    given = Given(marks(Workspace(tmp_path), CheckRequest(file, str(model))))
    found = [_finding(1, "wrong_type"), _finding(2, "placeholder"), _finding(3, "broken_json")]
    chosen = {"wrong_type": "as_text", "placeholder": "fill_in", "broken_json": "as_text"}
    made = [*all_changes(opened, found, chosen, given)]
    assert all(isinstance(one, Unfixed) for one in made) and [one.row for one in made] == [1, 2, 3]
    assert [[why.code for why in one.why] for one in made] == [["wrong_type"], [], ["broken_json"]]
    assert made[2].why[0].values["line"] == 3 and made[2].said[0].text == "{broken"
    rest = [*all_changes(opened, found, chosen, given, without_broken=True)]
    assert [(one.row, isinstance(one, Change)) for one in rest] == [(1, True), (2, False), (3, True)]
    assert all(one.after is None for one in rest if isinstance(one, Change))


# --- the command ---


def test_the_command_prints_the_keys_it_promises(file: Path, tmp_path: Path) -> None:
    model = make_small_model(tmp_path / "模型 m")
    write(file, pair("你是谁？", "我是小明的助手。"), pair("b", ""), {"messages": []})
    options = ("--model", model, "--max-length", "16", "--workspace", tmp_path / "w", "--json")
    said = last_json(cli("data", "check", file, *options, cwd=tmp_path))
    assert list(said) == KEYS
    assert (said["format"], said["rows"], said["usable"], said["truncated_rows"]) == ("xtuner", 3, 1, 1)
    assert {(one["row"], one["code"]) for one in said["problems"]} == {
        (1, "truncated"),
        (2, "empty_answer"),
        (3, "no_messages"),
    }
    shown = cli("data", "check", file, *options[:-1], cwd=tmp_path, TUNEBOARD_LANG="zh")
    assert shown.returncode == 0 and "回答是空的" in shown.stdout and "XTuner" in shown.stderr


def test_columns_and_format_on_the_command_line(file: Path, tmp_path: Path, model: Path) -> None:
    table = file.with_name("a [1].csv")
    table.write_text("甲,乙\nq,a\n", encoding="gb18030")
    options = ("--model", model, "--workspace", tmp_path / "w", "--json")
    asked = cli("data", "check", table, *options, cwd=tmp_path)
    unknown = json.loads(asked.stdout)
    assert (unknown["format"], unknown["usable"], unknown["ok"], asked.returncode) == ("unknown", 0, False, 1)
    assert f"scripts/run data check '{table}' --column 'user=甲' --column 'assistant=乙'" in asked.stderr
    mapped = last_json(
        cli("data", "check", "--column", "user=甲", "--column", "assistant=乙", *options, table, cwd=tmp_path)
    )
    assert (mapped["format"], mapped["rows"], mapped["usable"], mapped["problems"]) == ("columns", 1, 1, [])
    other = cli("data", "check", table, "--format", "openai", *options, cwd=tmp_path)
    assert other.returncode == 1 and json.loads(other.stdout)["usable"] == 0 and "--column" in other.stderr


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.jsonl", json.dumps({"messages": [ASKED, ANSWERED]}), ()),
        ("a.json", json.dumps([{"instruction": "hi", "output": "good day"}]), ()),
        ("a.csv", "问,答\nhi,good day\n", ("--column", "user=问", "--column=assistant=答")),
    ],
)
def test_any_format_is_taught(
    name: str, content: str, options: tuple[str, ...], workspace: Workspace, model: Path, tmp_path: Path
) -> None:
    """From the file to a run's rows, its source kept and hashed."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    given = ("--name", "Zoë", "--data", tmp_path / name, "--no-identity")
    run_id = make_data(workspace, model, *given, *options, TUNEBOARD_ENGINE="tests.fake_engine")["run"]
    about = json.loads(workspace.run(run_id).data.read_text(encoding="utf-8"))
    assert read_conversations(Path(about["source"])) == [one_turn("hi", "good day")]
    assert Path(about["given"][0]["copy"]).read_text(encoding="utf-8") == content


def test_progress_and_report_are_left_for_whoever_looks(tmp_path: Path, file: Path, model: Path) -> None:
    asked = CheckRequest(write(file, pair("a", "b")), str(model))
    shares: list[float] = []
    opened, made = run(Workspace(tmp_path), asked, lambda share, _: shares.append(share))
    assert isinstance(opened, Opened) and shares == [1.0] and made.usable == 1
