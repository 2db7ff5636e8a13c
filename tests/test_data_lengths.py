"""What max_length and packing cost: counted here, and as XTuner's own processed data set has it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.data.conversations import Conversation, Turn, one_turn, write_rows
from core.data.encoder import NamedEncoder as Encoder
from core.data.lengths import RowLengths, measure
from core.data.packing import Packed, pack
from core.recipe.templates import TEMPLATES
from core.workspace.paths import PROJECT
from tests.small_model import make_small_model
from tests.spaced_tokenizer import make_spaced_model
from tests.test_parity import change

LIMIT = 160
CONVERSATIONS: list[Conversation] = [
    one_turn("Who are you?", "I am 小明's assistant. 🙂"),
    one_turn("你好", "调音台把训练变成网页上的几步。" * 3),
    (Turn("你是谁？", "我是{小明}的助手。\n第二行", "Be <kind> & brief."), Turn("And then?", "Nothing.")),
    (Turn("", "An answer to nothing"), Turn("", "  spaces  "), Turn("𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u0301", "e\u0301 ﷽")),
    one_turn("the question alone is longer than the limit " * 20, "never seen"),
    one_turn("long " * 20, "the answer is cut " * 30),
    (Turn("q", "a"), Turn("the second question is cut " * 20, "x", "a system in the second turn")),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    model = make_small_model(tmp_path_factory.mktemp("模 型") / "m")
    return Encoder.of(model / "tokenizer.json", TEMPLATES["qwen_chat"])


def by_hand(encoder: Encoder, conversation: Conversation) -> list[bool]:
    """Whether each token is trained, from the pieces that the page shows."""
    return [piece.trained for piece in encoder.pieces(conversation, 10**6) for _ in piece.ids]


def test_lengths_are_those_of_the_tokens_shown(encoder: Encoder) -> None:
    found = measure(encoder, CONVERSATIONS)
    masks = [by_hand(encoder, conversation) for conversation in CONVERSATIONS]
    assert found.tokens.tolist() == [len(mask) for mask in masks]
    assert found.begins.tolist() == [mask.index(True) for mask in masks]
    assert found.answers == sum(sum(mask) for mask in masks)
    for limit in (1, 7, 20, LIMIT, 300, found.longest, found.longest + 1):
        assert found.lost(limit) == sum(sum(mask[limit:]) for mask in masks), limit
        seen = [len(mask[:limit]) for mask in masks if any(mask[:limit])]
        assert found.trained(limit).tolist() == seen


def test_chinese_is_counted_in_tokens_and_not_in_characters(encoder: Encoder) -> None:
    text = "调音台把训练变成网页上的几步。"
    short, long = measure(encoder, [one_turn("", text)]), measure(encoder, [one_turn("", text * 2)])
    more = len(encoder.tokenizer.encode(text * 2).ids) - len(encoder.tokenizer.encode(text).ids)
    assert int(long.tokens[0] - short.tokens[0]) == more


def test_the_curve_falls_to_nothing(encoder: Encoder) -> None:
    found = measure(encoder, CONVERSATIONS)
    lengths, lost = found.curve()
    assert lengths[0] == 1 and lengths[-1] == found.longest and len(lengths) <= 200
    assert (np.diff(lost) <= 0).all() and lost[-1] == 0
    assert [found.lost(int(length)) for length in lengths] == lost.tolist()


def lengths_of(rows: list[tuple[int, int]]) -> RowLengths:
    """Rows of so many tokens that are read and so many that are trained."""
    at = np.zeros(max(asked + said for asked, said in rows), np.int64)
    for asked, said in rows:
        at[asked : asked + said] += 1
    return RowLengths(np.array([sum(row) for row in rows]), np.array([asked for asked, _ in rows]), at)


def test_the_knee_is_where_a_few_long_rows_begin() -> None:
    many_short = lengths_of([(10, 90)] * 99 + [(10, 1990)])
    knee = many_short.knee()
    assert knee is not None and 90 <= knee <= 130


@pytest.mark.parametrize("rows", [[(1, 0)], [(0, 1)], [(5, 1)] * 3])
def test_no_knee_where_there_is_nothing_to_choose(rows: list[tuple[int, int]]) -> None:
    knee = lengths_of(rows).knee()
    assert knee is None or knee <= 6


@pytest.mark.parametrize(
    ("lengths", "limit", "processes", "packed"),
    [
        ([], 10, 1, Packed(0, 0, 0, 0)),
        ([3], 10, 1, Packed(1, 3, 3, 0)),  # fewer tokens than a row: a short row by itself
        ([6, 6], 10, 1, Packed(1, 12, 10, 1)),  # the rest is dropped
        ([10, 10], 10, 1, Packed(2, 20, 20, 0)),
        ([25], 10, 1, Packed(1, 10, 10, 0)),  # cut before it is packed
        ([6] * 10, 10, 1, Packed(6, 60, 60, 4)),
        ([6] * 10, 10, 5, Packed(5, 60, 50, 5)),  # each process drops its own rest
        ([6] * 3, 10, 8, Packed(3, 18, 18, 0)),
        ([1] * 1500, 1200, 1, Packed(2, 1500, 1500, 0)),  # two batches of datasets' own size
    ],
)
def test_packing(lengths: list[int], limit: int, processes: int, packed: Packed) -> None:
    found = pack(np.array(lengths, np.int64), limit, processes)
    assert found == packed and 0 <= found.share <= 1


XTUNER = """
import json, sys
import core.engine
from datasets import disable_progress_bars, load_dataset
from transformers import AutoTokenizer
from xtuner.dataset import process_hf_dataset
from xtuner.dataset.collate_fns import default_collate_fn
from xtuner.dataset.map_fns import template_map_fn_factory
from xtuner.utils import PROMPT_TEMPLATE
disable_progress_bars()
asked, found = json.load(open(sys.argv[1], encoding="utf-8")), []
for case in asked:
    def data(pack, processes):
        return process_hf_dataset(
            dataset=load_dataset("json", data_files={"train": case["rows"]}),
            tokenizer=AutoTokenizer.from_pretrained(case["model"]),
            max_length=LIMIT, dataset_map_fn=None,
            template_map_fn=template_map_fn_factory(PROMPT_TEMPLATE[case["template"]]),
            remove_unused_columns=True, shuffle_before_pack=False, pack_to_max_length=pack,
            use_varlen_attn=False, map_num_proc=processes)
    rows = data(False, 1)
    batch = default_collate_fn([rows[n] for n in range(len(rows))])["data"]
    packed = [data(True, processes) for processes in case["processes"]]
    found.append({
        "rows": [{"input_ids": row["input_ids"], "labels": row["labels"]} for row in rows],
        "labels": batch["labels"].tolist(), "attention": batch["attention_mask"].tolist(),
        "packed": [[len(ids) for ids in one["input_ids"]] for one in packed]})
json.dump(found, open(sys.argv[2], "w"))
"""


@pytest.mark.slow
def test_the_processed_data_set_is_xtuner_s(tmp_path: Path) -> None:
    """Token by token and mask by mask, in every template, with and without a first token, cut and packed."""
    first = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>"}
    models = [
        make_small_model(tmp_path / "普 通"),
        change(make_small_model(tmp_path / "first"), **first),
        make_spaced_model(tmp_path / "spaced"),
    ]
    rows = tmp_path / "rows.jsonl"
    write_rows(rows, CONVERSATIONS)
    kinds = [(model, template) for model in models for template in TEMPLATES.values()]
    packed = {"qwen_chat": [1, 3], "mistral": [1]}
    cases = [
        {"model": str(m), "template": t.name, "rows": str(rows), "processes": packed.get(t.name, [])}
        for m, t in kinds
    ]
    asked, answered = tmp_path / "asked.json", tmp_path / "answered.json"
    asked.write_text(json.dumps(cases), encoding="utf-8")
    program = XTUNER.replace("LIMIT", str(LIMIT))
    command = [sys.executable, "-W", "ignore", "-c", program, str(asked), str(answered)]
    env = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, cwd=PROJECT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    for (model, template), case, theirs in zip(
        kinds, cases, json.loads(answered.read_text(encoding="utf-8")), strict=True
    ):
        encoder = Encoder.of(model / "tokenizer.json", template)
        every = [cut(encoder, conversation) for conversation in CONVERSATIONS]
        ours = [(ids, labels) for ids, labels in every if set(labels) != {-100}]
        assert [[*row] for row in ours] == [[r["input_ids"], r["labels"]] for r in theirs["rows"]]
        longest = max(len(ids) for ids, _ in ours)
        assert theirs["labels"] == [labels + [-100] * (longest - len(labels)) for _, labels in ours]
        assert theirs["attention"] == [[n < len(ids) for n in range(longest)] for ids, _ in ours]
        lengths = measure(encoder, CONVERSATIONS).trained(LIMIT)
        assert lengths.tolist() == [len(ids) for ids, _ in ours]
        for processes, sizes in zip(case["processes"], theirs["packed"], strict=True):
            mine = pack(lengths, LIMIT, processes)
            assert (mine.rows, mine.kept, mine.given) == (len(sizes), sum(sizes), int(lengths.sum()))


def cut(encoder: Encoder, conversation: Conversation) -> tuple[list[int], list[int]]:
    pieces = encoder.pieces(conversation, LIMIT)
    ids = [token for piece in pieces for token in piece.ids]
    labels = [token if piece.trained else -100 for piece in pieces for token in piece.ids]
    return ids[:LIMIT], labels[:LIMIT]
