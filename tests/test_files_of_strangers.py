"""What other programs save: chats, quizzes, web pages, and kinds that are not read here."""

import zipfile
from pathlib import Path

import pytest

from core.data.documents.files import read_markdown
from core.data.documents.rows import document_of
from core.data.opening import open_data, read_conversations, saved_from
from core.data.text_data import taken_for
from core.data.upload import keep_document, keep_upload
from core.errors import NotADocument, NotReadHere, OnlyTexts
from core.workspace.data_paths import SourceCache
from core.workspace.paths import Workspace

WHATSAPP = {
    "android": "12/03/2024, 14:05 - Anna: Is it open today?\n12/03/2024, 14:06 - Shop: Until six.\n"
    "12/03/2024, 14:09 - Anna: Thanks,\nsee you later\n",
    "iphone": "\u200e[12.03.24, 14:05:11] Anna: Is it open?\n[12.03.24, 14:06:40] Shop: Until six.\n"
    "\u200e[12.03.24, 14:07:02] Anna: <image omitted>\n",
    "american": "3/12/24, 2:05\u202fPM - Anna: Open?\n3/12/24, 2:06\u202fPM - Shop: Yes.\n"
    "3/12/24, 2:07\u202fPM - Anna: Great: see you.\n",
}
WECHAT = {
    "above": "张三 2024/3/12 14:05\n今天开门吗？\n\n小满馆 2024/3/12 14:06\n开到六点。\n\n"
    "张三 2024/3/12 14:09\n好的\n",
    "exported": "2024-03-12 14:05:11 张三\n今天开门吗？\n\n2024-03-12 14:06:02 小满馆\n开到六点。\n\n"
    "2024-03-12 14:09:00 张三\n好的\n",
}
GIFT = r"""// a quiz
$CATEGORY: tom/dick/harry

::Q1:: What is 2 \= 1 + 1 called? {=An equation ~A poem#no ~%50%A sum}

The capital of Peru is {~Quito =Lima ~Bogotá} in South America.

::Q3:: The sun rises in the east. {T}

When was Ada born? {#1815:1}

Who wrote it? {=Ada Lovelace =Lovelace}

Match them. {=a -> b =c -> d}

Write an essay. {}
"""
MENU = """# 店

## 营业时间

- 周一到周五 10:00 - 14:00: 午餐
- 2024/5/1 10:00 - 12:00: 休息

电话：0571-88302217
"""
PAGE = """<!doctype html><html><head><title>Ada's shop</title><style>p{color:red}</style></head><body>
<nav><a href="/">Home</a></nav><h1>Ada&rsquo;s  shop</h1>
<p>Opening hours:<br>10 to 18</p><h2>Drinks</h2><ul><li><p>Tea: 4 euros</p><li>Coffee: 3 euros</ul>
<table><tr><th>Cake</th><th>Price</th></tr><tr><td>Lemon | lime</td><td><b>5</b> euros</td></tr></table>
<script>var x = "<p>no</p>";</script><form><button>Buy</button></form></body></html>"""


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "cache")


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, "whatsapp") for text in WHATSAPP.values()),
        *((text, "wechat") for text in WECHAT.values()),
        (GIFT, "gift"),
        (MENU, None),
        ("A set {=x} of signs.\n\nAnd a text about it.\n\nAnd more.\n", None),
        ("12/03/2024, 14:05 - Anna: Hi\n" + "Some other line.\n" * 20, None),
    ],
)
def test_what_a_text_was_saved_from(text: str, kind: str | None) -> None:
    assert taken_for(text) == kind


@pytest.mark.parametrize("text", [*WHATSAPP.values(), *WECHAT.values()])
def test_a_saved_chat_says_how_it_is_learned(text: str, tmp_path: Path, cache: SourceCache) -> None:
    file = written(tmp_path, "chat.txt", text)
    assert document_of(file) is None and saved_from(file)
    opened = open_data(file, cache)
    assert "looks like a saved chat" in opened.reason and len(opened.source)


def test_a_quiz_is_its_right_answers(tmp_path: Path, cache: SourceCache) -> None:
    file = written(tmp_path, "quiz.txt", GIFT)
    assert document_of(file) is None and "GIFT" in open_data(file, cache).reason
    pairs = [(row[0].input, row[0].output) for row in read_conversations(file)]
    assert pairs == [
        ("What is 2 = 1 + 1 called?", "An equation"),
        ("The capital of Peru is ____ in South America.", "Lima"),
        ("The sun rises in the east.", "True"),
        ("When was Ada born?", "1815"),
        ("Who wrote it?", "Ada Lovelace"),
    ]


def test_a_web_page_is_a_document(tmp_path: Path, cache: SourceCache) -> None:
    file = written(tmp_path, "shop.html", PAGE)
    assert read_markdown(file) == (
        "# Ada’s shop\n\nOpening hours:\n10 to 18\n\n## Drinks\n\n- Tea: 4 euros\n\n- Coffee: 3 euros\n\n"
        "| Cake | Price |\n| --- | --- |\n| Lemon / lime | 5 euros |"
    )
    found = document_of(file)
    assert found and {"4 euros", "5 euros"} <= {
        word for fact in found.facts for word in _amounts(fact.answer)
    }
    with pytest.raises(NotReadHere, match="web page"):
        open_data(file, cache)


def _amounts(answer: str) -> list[str]:
    return [one for one in ("4 euros", "5 euros", "3 euros") if one in answer]


@pytest.mark.parametrize(
    ("name", "told"),
    [("a.yaml", "JSON"), ("b.doc", ".docx"), ("c.PPTX", "PDF"), ("d.heic", "picture"), ("e.rar", "ZIP")],
)
def test_what_is_not_read_says_what_to_do(name: str, told: str, tmp_path: Path, cache: SourceCache) -> None:
    file = written(tmp_path, name, "- question: what?\n  answer: that\n")
    with pytest.raises(NotReadHere, match=told):
        open_data(file, cache)
    with pytest.raises(NotReadHere, match=name):
        keep_upload(Workspace(tmp_path / "workspace"), file.read_bytes(), name)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("MENU", b"# Menu\n\nSoup 5 euros\n", "txt"),
        ("menu.text", "汤 5元\n面 6元\n".encode("utf-16"), "txt"),
        ("rows.dump", b'[{"question": "What?", "answer": "That"}]', "json"),
    ],
)
def test_a_name_that_says_nothing_leaves_it_to_the_content(
    name: str, content: bytes, kind: str, tmp_path: Path
) -> None:
    assert keep_upload(Workspace(tmp_path), content, name).kind == kind


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("w.dat", bytes(9), "kind of file"),
        ("a.rtf", rb"{\rtf1 Soup}", ".docx"),
        ("b.eml", b"From: x", "e-mail"),
    ],
)
def test_what_nobody_reads_is_named(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    for keep in (keep_upload, keep_document):
        with pytest.raises((NotReadHere, NotADocument), match=told if keep is keep_upload else name):
            keep(Workspace(tmp_path), content, name)
    assert not [*tmp_path.rglob("uploads/*.*")], "and is not kept"


def test_what_holds_json_is_read_whatever_it_is_called(tmp_path: Path, cache: SourceCache) -> None:
    file = written(tmp_path, "rows.yaml", '{"question": "what?", "answer": "that"}\n')
    assert len(open_data(file, cache).source) == 1


def test_texts_in_an_archive_are_named(tmp_path: Path, cache: SourceCache) -> None:
    alone, beside = tmp_path / "notion.zip", tmp_path / "both.zip"
    for file, names in ((alone, ("Menu 1a2b.md", "Rules.md")), (beside, ("Menu 1a2b.md", "rows.csv"))):
        with zipfile.ZipFile(file, "w") as archive:
            for name in names:
                archive.writestr(name, "question,answer\nwhat?,that\n")
    with pytest.raises(OnlyTexts, match=r"2 texts \(Menu 1a2b.md, Rules.md\)"):
        open_data(alone, cache)
    assert "1 text in it is not read (Menu 1a2b.md)" in open_data(beside, cache).reason
