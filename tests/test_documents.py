"""Documents become passages, a model's drafts of them are kept, and only accepted ones become rows."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import docx
import pypdf
import pytest
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from core.chat import server as chat_server
from core.chat.document_questions import local_endpoint, make_drafts
from core.chat.endpoint import endpoint
from core.data import drafts
from core.data.conversations import one_turn
from core.data.documents.files import LONGEST, Passage, read_markdown, read_passages
from core.data.sets import SetPaths, place_of
from core.errors import ChatTaken, EndpointFailed, NoSuchFile, NotADocument, NothingDrafted
from core.models.folder import read_model
from core.workspace.paths import Workspace
from tests.openai_server import OpenAIServer

CHINESE = "调音台把训练变成网页上的几步。" * 3
ENGLISH = "The museum opens at nine. It is closed on Mondays. Children pay nothing at all."


def write_pdf(path: Path, texts: list[str], password: str = "") -> Path:
    """A PDF with a line of text a page, written object by object."""
    writer = pypdf.PdfWriter()
    for text in texts:
        page = writer.add_blank_page(300, 300)
        font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
        fonts = DictionaryObject({NameObject("/F1"): DictionaryObject(
            {NameObject(k): NameObject(v) for k, v in font.items()})})  # fmt: skip
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(path)
    return path


def write_docx(path: Path) -> Path:
    document = docx.Document()
    document.add_paragraph(CHINESE)
    table = document.add_table(1, 2)
    table.rows[0].cells[0].text, table.rows[0].cells[1].text = "opens", "at nine o'clock"
    document.add_paragraph(ENGLISH)
    document.save(str(path))
    return path


def test_text_is_cut_where_a_paragraph_ends(tmp_path: Path) -> None:
    paragraphs = [f"Paragraph {n}. " + "word " * 80 for n in range(8)]
    file = tmp_path / "工作 区.md"
    file.write_text("\n\n".join(paragraphs), encoding="utf-8-sig")
    passages = read_passages(file)
    text = "\n\n".join(paragraphs)
    assert len(passages) > 2 and all(len(passage.text) <= LONGEST for passage in passages)
    for passage in passages:
        assert text[passage.start : passage.end] == passage.text, "the place it names is where it stands"
        assert passage.text.startswith("Paragraph")
    assert " ".join(" ".join(p.text for p in passages).split()) == " ".join(text.split())


@pytest.mark.parametrize("text", ["字" * 3000, "a" * 3000, "字。" * 1500, "w " * 1500])
def test_text_without_paragraphs_is_cut_all_the_same(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.txt"
    file.write_text(text, encoding="utf-8")
    assert sum(len(p.text.replace(" ", "")) for p in read_passages(file)) == len(text.replace(" ", ""))


def test_a_text_in_gb18030(tmp_path: Path) -> None:
    file = tmp_path / "旧 文件.txt"
    file.write_bytes(CHINESE.encode("gb18030"))
    assert read_passages(file)[0].text == CHINESE


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    first, second = read_passages(write_pdf(tmp_path / "a b.pdf", [ENGLISH, "x", "Second page of it all."]))
    assert (first.page, first.text, first.document) == (1, ENGLISH, "a b.pdf")
    assert (second.page, second.text) == (3, "Second page of it all.")


def test_a_docx_with_a_table(tmp_path: Path) -> None:
    (passage,) = read_passages(write_docx(tmp_path / "d.docx"))
    assert CHINESE in passage.text and "opens | at nine o'clock" in passage.text and ENGLISH in passage.text


def bomb() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 600_000_000)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdf", b"", "damaged or not a PDF"),
        ("a.pdf", b"%PDF-1.7 and nothing", "damaged or not a PDF"),
        ("a.docx", b"PK\x03\x04broken", "damaged or not a DOCX"),
        ("a.docx", b"", "damaged or not a DOCX"),
        ("a.txt", b"", "contains no text"),
        ("a.txt", b" \n \n", "contains no text"),
        ("a.txt", bytes(range(128, 256)) * 9, "neither UTF-8 nor GB18030"),
        ("a.xls", b"x", "its type"),
        ("noending", b"x", "its type"),
    ],
)
def test_what_is_no_document_says_why(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(NotADocument) as refused:
        read_passages(tmp_path / name)
    assert says in refused.value.text("en") and name in refused.value.text("zh")


def test_more_that_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        read_passages(tmp_path / "gone.txt")
    (tmp_path / "bomb.docx").write_bytes(bomb())
    with pytest.raises(NotADocument, match="larger than"):
        read_passages(tmp_path / "bomb.docx")
    with pytest.raises(NotADocument, match="password"):
        read_passages(write_pdf(tmp_path / "locked.pdf", [ENGLISH], "secret"))
    with pytest.raises(NotADocument, match="no text"):
        read_passages(write_pdf(tmp_path / "scanned.pdf", ["", ""]))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(NotADocument, match="folder"):
        read_passages(tmp_path / "folder.txt")


# --- what a model writes ---


@pytest.mark.parametrize(
    ("reply", "pairs"),
    [
        ("Q: When?\nA: At nine.\n\nQ: Who?\nA: All.", [("When?", "At nine."), ("Who?", "All.")]),
        ("问：几点？\n答：九点。", [("几点？", "九点。")]),
        ("问题1：几点？\n回答1: 九点。\n还有十点。", [("几点？", "九点。\n还有十点。")]),
        ("1. **Question:** When?\n   **Answer:** At nine.", [("When?", "At nine.")]),
        ("### Q1: When?\nAnswer 1: At nine.\n```", [("When?", "At nine.")]),
        ("Q: When?", [("When?", "")]),
        ("A: nine", []),
        ("Sure! Here you are.\nQ: \nA: x", []),
        ("", []),
    ],
)
def test_questions_and_answers_in_a_reply(reply: str, pairs: list[tuple[str, str]]) -> None:
    assert drafts.pairs_in(reply) == pairs


def test_a_question_without_marks() -> None:
    assert drafts.lone_question("Here is one. When does the museum open? It opens.") == (
        "When does the museum open?"
    )
    assert drafts.lone_question("好的。博物馆几点开门？") == "博物馆几点开门？"
    assert drafts.lone_question("No question at all.") == ""


def test_the_language_of_a_text() -> None:
    assert drafts.language_of(CHINESE) == "zh" and drafts.language_of(ENGLISH) == "en"
    assert drafts.language_of("使用 XTuner 0.2.0 训练") == "zh" and drafts.language_of("123") == "en"


# --- drafts and what becomes of them ---


@pytest.fixture
def place(tmp_path: Path) -> SetPaths:
    return place_of(Workspace(tmp_path / "工作 区"), "d")


def passages(count: int = 3) -> list[Passage]:
    return [Passage("a.md", 0, n, n + 9, f"{ENGLISH} {n}") for n in range(count)]


def two_pairs(_: str) -> str:
    return "Q: When does it open?\nA: At nine.\nQ: Who pays?\nA: Not children."


def silent(*_: object) -> None:
    return


def test_drafts_of_every_passage_with_their_place(place: SetPaths) -> None:
    with OpenAIServer(two_pairs) as server:
        assert make_drafts(place, passages(), endpoint(server.url, "m", ""), "m", 2, None, silent) == 6
        prompt = server.requests[0]["messages"][0]["content"]
    assert ENGLISH in prompt and "2 questions" in prompt
    found = drafts.read_drafts(place)
    assert len(found) == 6 and {draft.state for draft in found} == {"new"}
    assert found[0].passage == passages()[0] and found[0].conversation == one_turn(
        "When does it open?", "At nine."
    )


def test_a_broken_run_goes_on_where_it_was(place: SetPaths) -> None:
    with OpenAIServer(two_pairs) as server:
        where = replace(endpoint(server.url, "m", ""), retries=0)
        make_drafts(place, passages(1), where, "m", 2, None, silent)
        server.fails = [500]
        with pytest.raises(EndpointFailed):
            make_drafts(place, passages(), where, "m", 2, None, silent)
        with place.drafts.open("ab") as stream:
            stream.write(b'{"passage_id": "half')  # killed while it wrote
        assert make_drafts(place, passages(), where, "m", 2, None, silent) == 4
        assert len(server.requests) == 4, "one for each passage and the one that failed"
        assert make_drafts(place, passages(), where, "m", 2, None, silent) == 0
        assert make_drafts(place, passages(1), where, "another", 2, None, silent) == 2
    assert len(drafts.read_drafts(place)) == 6, "the same question of the same passage counts once"


@pytest.mark.parametrize(
    "understood", ["When does the museum open? Good.", "When does the museum open? This is a question only."]
)
def test_a_model_that_writes_a_question_only_is_asked_for_the_answer(
    place: SetPaths, understood: str
) -> None:
    def small(prompt: str) -> str:
        if "Answer this question" in prompt:
            return "At nine."
        return understood if "one question" in prompt or "a question only" in understood else "Hm. Hm. Hm."

    with OpenAIServer(small) as server:
        make_drafts(place, passages(1), endpoint(server.url, "m", ""), "m", 3, "en", silent)
    (draft,) = drafts.read_drafts(place)
    assert (draft.question, draft.answer) == ("When does the museum open?", "At nine.")


def test_a_passage_that_gives_nothing_is_not_asked_again(place: SetPaths) -> None:
    with OpenAIServer(lambda _: "Hm.") as server:
        for _ in range(2):
            with pytest.raises(NothingDrafted, match="Hm"):
                make_drafts(place, passages(1), endpoint(server.url, "m", ""), "m", 3, None, silent)
        assert len(server.requests) == 2, "for both, and for a question alone"
    assert drafts.read_drafts(place) == []


def test_nobody_s_chat_is_ended_to_write_drafts(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = chat_server.Speaker("merged", "/m", None, "own", "", "r", "Ada's")
    held = chat_server.Server(chat_server.Readiness.ready, other, "/socket")
    ended: list[object] = []
    monkeypatch.setattr(chat_server, "server", lambda _: held)
    for name in ("start", "unload"):
        monkeypatch.setattr(chat_server, name, lambda *_, **__: ended.append(1))
    with pytest.raises(ChatTaken, match="Ada's"), local_endpoint(Workspace(tmp_path), read_model(model)):
        pass
    assert not ended


def test_only_what_was_accepted_becomes_a_row(place: SetPaths) -> None:
    drafts.keep(place, passages()[0], "m", [("q1", "a1"), ("q2", "a2"), ("q3", "a3")])
    one, two, three = drafts.read_drafts(place)
    drafts.decide(place, [replace(one, state="accepted", answer=" better "), replace(two, state="dropped")])
    found = drafts.read_drafts(place)
    assert [draft.state for draft in found] == ["accepted", "dropped", "new"]
    assert [draft.id for draft in found] == [one.id, two.id, three.id], "an edited draft is the same one"
    assert drafts.accepted(found) == [one_turn("q1", "better")]
    drafts.decide(place, [replace(three, state="accepted", question=" ")])
    assert len(drafts.accepted(drafts.read_drafts(place))) == 1, "an empty question is no row"


def test_the_key_is_in_no_file(place: SetPaths) -> None:
    with OpenAIServer(two_pairs) as server:
        make_drafts(place, passages(1), endpoint(server.url, "m", "sk-secret"), "m", 2, None, silent)
        assert server.keys == ["Bearer sk-secret"]
    for file in place.root.rglob("*"):
        assert file.is_dir() or b"sk-secret" not in file.read_bytes()
    assert json.loads(place.drafts.read_text(encoding="utf-8").split("\n")[0])["asked"] == "m"


def test_a_docx_with_a_title_and_a_table_with_one(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Kita Regenbogen", style="Title")
    table = document.add_table(3, 2)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Team"
    for row, (name, role) in enumerate((("Mia", "head"), ("Jo", "cook")), 1):
        table.cell(row, 0).text, table.cell(row, 1).text = name, role
    document.save(tmp_path / "d.docx")
    assert read_markdown(tmp_path / "d.docx") == "# Kita Regenbogen\n\nTeam:\n\n- Mia: head\n- Jo: cook"
