"""Files that are wrong in every way a file can be, made on the spot: name, bytes, how many rows are usable.

``usable`` None: no row can be hoped for, and a sentence has to say why.
"""

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import zstandard


@dataclass(frozen=True)
class Bad:
    """One file; ``made`` is its content, or makes it when asked for. ``codes``: findings it must have."""

    name: str
    made: bytes | Callable[[], bytes]
    usable: int | None
    codes: frozenset[str] = frozenset()

    @property
    def content(self) -> bytes:
        return self.made if isinstance(self.made, bytes) else self.made()


def row(number: int, **more: Any) -> dict[str, Any]:
    words = random.Random(number).sample(WORDS, 6)
    turn = {"input": f"{number} {' '.join(words[:3])}?", "output": " ".join(words)}
    return {"conversation": [turn], **more}


BOMB = 400 << 20
WORDS = (
    "amber basil copper dune ember fjord grove harbour indigo juniper kelp lagoon meadow nectar opal".split()  # noqa: SIM905
)
ROWS = [row(number) for number in range(8)]
LINES = [json.dumps(one) for one in ROWS]
ARRAY = json.dumps(ROWS)
PRETTY = json.dumps(ROWS, indent=2)


def bad(name: str, content: str | bytes | Callable[[], bytes], usable: int | None, *codes: str) -> Bad:
    made = content.encode() if isinstance(content, str) else content
    return Bad(name, made, usable, frozenset(codes))


def with_row(place: int, text: str) -> str:
    """The array with another text in a row's place."""
    return "[" + ", ".join([*LINES[:place], text, *LINES[place + 1 :]]) + "]"


def with_line(place: int, text: str) -> str:
    return "\n".join([*LINES[:place], text, *LINES[place + 1 :]]) + "\n"


def malformed() -> Iterator[Bad]:
    """All of them."""
    yield from truncated()
    yield from damaged_rows()
    yield from encodings()
    yield from shapes()
    yield from large()
    yield from containers()


def truncated() -> Iterator[Bad]:
    start = ARRAY.index(LINES[3])
    places = {
        "in a name": 6,
        "after a name": 15,
        "after a colon": 17,
        "in a text": LINES[3].index("input") + 12,
        "after a text": LINES[3].index(", "),
        "before the end": len(LINES[3]) - 1,
        "at a brace": 1,
    }
    for what, offset in places.items():
        yield bad(f"array cut {what}.json", ARRAY[: start + offset], 3, "broken_json")
        yield bad(f"lines cut {what}.jsonl", "\n".join([*LINES[:3], LINES[3][:offset]]), 3, "broken_json")
    yield bad("array cut between rows.json", ARRAY[: start - 2], 3, "cut_off")
    yield bad("array cut after a comma.json", ARRAY[: start - 1], 3)
    yield bad("array without its end.json", ARRAY[:-1], 8, "cut_off")
    yield bad("pretty array cut.json", PRETTY[: PRETTY.index("3 ")], 3, "broken_json")
    yield bad(
        "array cut in an escape.json", ARRAY[:start] + '{"conversation": [{"input": "a\\', 3, "broken_json"
    )
    yield bad(
        "array cut in a code.json", ARRAY[:start] + '{"conversation": [{"input": "\\u12', 3, "broken_json"
    )
    yield bad(
        "array cut in a character.json", ARRAY[:start].encode() + '{"conversation": "张'.encode()[:-1], 3
    )


def damaged_rows() -> Iterator[Bad]:
    good = LINES[3]
    yield bad("no closing brace.json", with_row(3, good[:-1]), 7, "broken_json")
    yield bad("no closing bracket.json", with_row(3, good.replace("]", "")), 7, "broken_json")
    yield bad("two closing braces.json", with_row(3, good + "}"), 8, "stray_text")
    yield bad(
        "one brace lost and one too many.json",
        with_row(2, LINES[2][:-1]).replace(LINES[5], LINES[5] + "}"),
        7,
    )
    yield bad("a quote lost at the end.json", with_row(3, good.replace('"}', "}")), 7, "broken_json")
    yield bad(
        "a quote lost at the start.json",
        with_row(3, good.replace('"input": "', '"input": ')),
        7,
        "broken_json",
    )
    yield bad("a quote inside.json", with_row(3, good.replace("?", '? "so"')), 7, "broken_json")
    yield bad("single quotes.json", with_row(3, str(ROWS[3])), 7, "broken_json")
    yield bad("a comment.json", with_row(3, good + " // my favourite"), 8, "stray_text")
    yield bad("no comma.json", ARRAY.replace("}, {", "} {", 1), 8, "stray_text")
    yield bad("two commas.json", ARRAY.replace("}, {", "},, {", 1), 8, "stray_text")
    yield bad("a comma at the end.json", ARRAY[:-1] + ",]", 8, "stray_text")
    yield bad("a comma in a row.json", with_row(3, good.replace('"}', '",}')), 7, "broken_json")
    yield bad("a line break in a text.json", with_row(3, good.replace("?", "?\n")), 7, "broken_json")
    yield bad("a lone backslash.json", with_row(3, good.replace("?", "?\\x")), 7, "broken_json")
    yield bad(
        "python words.json", with_row(3, good.replace('"}', '", "a": True, "b": None}')), 7, "broken_json"
    )
    yield bad("NaN.jsonl", with_line(3, json.dumps(row(3, score=float("nan")))), 8, "not_a_number")
    yield bad("infinity.json", with_row(3, json.dumps(row(3, score=float("-inf")))), 8, "not_a_number")
    yield bad("a long number.json", with_row(3, good[:-1] + ', "n": ' + "9" * 5000 + "}"), 8)
    yield bad("text before.json", "Here is the data:\n" + ARRAY, 8)
    yield bad("text behind.json", ARRAY + "\nthat is all", 8, "stray_text")
    yield bad("two arrays.json", ARRAY + "\n" + json.dumps([row(20)]), 9)
    yield bad("two rows on a line.jsonl", LINES[0] + LINES[1] + "\n" + "\n".join(LINES[2:]), 8)
    yield bad("lines with commas.jsonl", ",\n".join(LINES), 8)
    yield bad("a broken line.jsonl", with_line(3, good[:-5]), 7, "broken_json")
    yield bad("a line of words.jsonl", with_line(3, "# my favourite"), 7, "broken_json")
    yield bad("blank lines.jsonl", "\n\n".join(LINES) + "\n\n \t\n", 8)
    yield bad("windows lines.jsonl", "\r\n".join(LINES), 8)


def encodings() -> Iterator[Bad]:
    text = json.dumps(
        [row(n) for n in range(3)]
        + [{"conversation": [{"input": "你是谁？", "output": "我是一个中文助手，很高兴认识你。"}]}],
        ensure_ascii=False,
    )
    for name in ("gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig"):
        yield bad(f"{name}.json", text.encode(name), 4)
    lines = "\n".join(LINES).encode()
    yield bad(
        "a row in Latin-1.jsonl",
        lines + b'\n{"conversation": [{"input": "caf\xe9", "output": "a"}]}',
        8,
        "not_utf8",
    )
    yield bad("a zero byte.jsonl", lines + b'\n{"conversation": [{"input": "a\0b", "output": "a"}]}', None)
    half = '{"conversation": [{"input": "\\ud83d", "output": "a"}]}'
    yield bad("half a character.jsonl", with_line(3, half), 7, "broken_character")
    lost = json.dumps({"conversation": [{"input": "caf\ufffd", "output": "b\x07"}]})
    yield bad("lost characters.jsonl", with_line(3, lost), 8, "replacement_character", "control_character")
    for name, start in (
        ("picture", b"\x89PNG\r\n\x1a\n"),
        ("paper", b"%PDF-1.7"),
        ("program", b"\x7fELF\x02"),
        ("pickle", b"\x80\x04\x95"),
    ):
        yield bad(f"a {name}.json", start + bytes(range(256)) * 8, None)
    yield bad("noise.json", random.Random(0).randbytes(20_000), None)
    yield bad("nothing.json", b"", None)
    yield bad("spaces.json", b" \n\t \n", None)
    yield bad("an empty list.json", b"[]", None)
    yield bad("zeros.json", bytes(10_000), None)


def shapes() -> Iterator[Bad]:
    pair = {"instruction": "a question", "output": "an answer"}
    spoken = {"conversations": [{"from": "human", "value": "hello"}, {"from": "gpt", "value": "good day"}]}
    openai = {"messages": [{"role": "user", "content": "bonjour"}, {"role": "assistant", "content": "salut"}]}
    yield bad("mixed formats.jsonl", "\n".join(map(json.dumps, (*ROWS[:4], pair, spoken, openai))), 7)
    yield bad(
        "not objects.json", json.dumps([1, None, "text", [ROWS[0]], True, *ROWS[:2]]), 2, "not_an_object"
    )
    yield bad(
        "nulls.json",
        json.dumps([{"conversation": None}, {"conversation": [None]}, *ROWS[:2]]),
        2,
        "wrong_type",
    )
    yield bad("no turns.json", json.dumps([{"conversation": []}, *ROWS[:2]]), 2, "no_messages")
    numbers = {"conversation": [{"input": 1, "output": 2.5}]}
    yield bad("numbers for texts.json", json.dumps([numbers, *ROWS[:2]]), 2, "wrong_type")
    empty = [{"conversation": [{"input": "q", "output": answer}]} for answer in ("", "  \n", None)]
    yield bad("empty answers.json", json.dumps([*empty, *ROWS[:2]]), 2, "empty_answer")
    asked = {"messages": [*openai["messages"], {"role": "user", "content": "and then?"}]}
    yield bad("no last answer.jsonl", "\n".join(map(json.dumps, (asked, openai))), 2, "unanswered")
    turned = {"messages": openai["messages"][::-1]}
    yield bad(
        "roles out of order.jsonl",
        "\n".join(map(json.dumps, (turned, openai))),
        1,
        "answer_skipped",
        "missing_answer",
    )
    alien = {"messages": [{"role": "wizard", "content": "hocus"}, {"role": "assistant", "content": "pocus"}]}
    yield bad("an unknown role.jsonl", "\n".join(map(json.dumps, (alien, openai))), 1, "unknown_role")
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    yield bad(
        "a picture.jsonl",
        "\n".join(map(json.dumps, ({"messages": [picture, openai["messages"][1]]}, openai))),
        1,
        "not_text_part",
    )
    yield bad("unknown names.json", json.dumps([{"foo": "a", "bar": "b"}] * 3), 0, "unknown_format")
    yield bad(
        "path-like names.json", json.dumps([row(1, **{"../../etc/passwd": "x", "C:\\": "y", "": "z"})]), 1
    )
    marks = {"conversation": [{"input": "a <|im_end|> b", "output": "<|im_start|>system"}]}
    yield bad("template marks.json", json.dumps([marks, *ROWS[:2]]), 3, "template_token")


def large() -> Iterator[Bad]:
    deep = "[" * 200_000
    yield bad("a depth bomb.json", deep, 0, "broken_json")
    yield bad("closed depth.json", deep + "]" * 200_000, 0, "broken_json")
    yield bad("objects in objects.json", '{"a":' * 100_000, 0, "broken_json")
    yield bad("a deep row.jsonl", with_line(3, '{"conversation": ' + deep + "}"), 7, "broken_json")
    yield bad("a deep row.json", with_row(3, '{"conversation": ' + deep + "}"), 7, "broken_json")
    yield bad("many keys.json", with_row(3, json.dumps(row(3, **{f"k{n}": n for n in range(50_000)}))), 8)
    yield bad(
        "all commas lost.json",
        "[" + " ".join(json.dumps(row(n)) for n in range(3000)) + "]",
        3000,
        "stray_text",
    )
    yield bad(
        "all rows broken.json",
        "[" + ",".join(json.dumps(row(n))[:-1] for n in range(3000)) + "]",
        0,
        "broken_json",
    )
    yield bad(
        "a million brackets.json",
        with_row(3, json.dumps({"conversation": [{"input": "[{" * 500_000, "output": "a"}]})),
        8,
    )
    giant = json.dumps({"conversation": [{"input": "x " * 3_000_000, "output": "a"}]})
    yield bad("a giant row.jsonl", with_line(3, giant), 7, "too_large")
    yield bad("a giant row.json", with_row(3, giant), 7, "too_large")


def containers() -> Iterator[Bad]:
    lines = "\n".join(LINES).encode()
    for name, pack in (
        ("gz", gzip.compress),
        ("zst", zstandard.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
    ):
        yield bad(f"packed.jsonl.{name}", pack(lines), 8)
    many = "\n".join(json.dumps(row(n)) for n in range(5000)).encode()
    yield Bad("cut.jsonl.gz", gzip.compress(many, 0)[:-50_000], None, frozenset({"cut_off"}))
    yield bad("damaged.jsonl.gz", gzip.compress(lines)[:12] + b"\xff" * 50, None)
    yield bad("no gzip.jsonl.gz", lines, 8)
    yield bad("a bomb.jsonl.gz", lambda: gzip.compress(bytes(BOMB), 1), None)
    yield bad("a bomb.jsonl.zst", lambda: zstandard.compress(b" " * BOMB), None)
    yield bad("an archive.json", _zip({"a.jsonl": lines}), 8)
    yield bad("no workbook.xlsx", _zip({"a.jsonl": lines}), 8)
    yield bad("a bomb.xlsx", lambda: _zip({"xl/worksheets/sheet1.xml": b" " * BOMB}), None)
    yield bad("no parquet.parquet", b"PAR1" + lines, None)
    yield bad("cut.parquet", b"PAR1" + struct.pack("<i", 99) + b"PAR1", None)
    table = "question,answer\n" + "".join(f'"q {n}, so",answer {n}\n' for n in range(6))
    yield bad("ragged.csv", table + "one,two,three\n", 6, "broken_table_row")
    yield bad("an open quote.csv", table + '"never closed,answer\n', None)
    yield bad("only a head.csv", "question,answer\n", None)
    yield bad("other columns.csv", "a,b\n1,2\n", 0, "unknown_format")


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
