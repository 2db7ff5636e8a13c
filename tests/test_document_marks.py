"""The one reader of a line's marks: what each kind of mark is, and what is none."""

import pytest

from core.data.documents import marks


@pytest.mark.parametrize(
    ("line", "number", "text"),
    [("- soup", 0, "soup"), ("  * soup", 0, "soup"), ("3) soup", 3, "soup"), ("12.  soup", 12, "soup")],
)
def test_an_item_of_markdown(line: str, number: int, text: str) -> None:
    found = marks.item(line)
    assert found and (found.number, found.text) == (number, text)
    assert marks.without_mark(line) == text


@pytest.mark.parametrize("line", ["soup", "-soup", "3.5 litres", "#soup", "2 soups", "1、汤"])
def test_what_is_no_item_of_markdown(line: str) -> None:
    assert marks.item(line) is None and marks.without_mark(line) == line


@pytest.mark.parametrize(
    ("line", "number"), [("1.汤", 1), ("2、汤", 2), ("（3）汤", 3), ("④ 汤", 4), ("(5) 汤", 5), ("6）汤", 6)]
)
def test_a_number_is_written_in_many_ways(line: str, number: int) -> None:
    assert marks.numbered(line) == (number, "汤")


def test_so_many_of_something_is_no_number() -> None:
    assert marks.numbered("1.5升可乐") is None and marks.barely_numbered("2 个汉堡") is None
    assert marks.barely_numbered("4 可以用现金") == (4, "可以用现金")


def test_headings_and_what_stands_in_their_place() -> None:
    assert marks.heading("## Menu") == (2, "Menu") and marks.heading("##Menu") is None
    assert marks.is_title("# Menu") and marks.is_title("===") and not marks.is_title("## Menu")
    assert [*map(marks.in_brackets, ("【外卖】", "**Delivery:**", "== Notes ==", "Notes"))] == [
        "外卖",
        "Delivery",
        "Notes",
        "",
    ]
    assert marks.before_colon("外卖：") == "外卖" and marks.before_colon("a: b") == ""
    assert marks.bold("**Menu**") == "Menu" and marks.bold("**a** b") == ""
    assert marks.without_numbers("## 1. Menu") == "## Menu"
    assert marks.without_numbers("Q3. How long?") == "Q: How long?"


def test_a_picture_or_a_dot_begins_a_line() -> None:
    found = marks.pictured("- 📍 Elm Street 4")
    assert found and (found.item, found.mark, found.text) == ("- ", "📍", "Elm Street 4")
    assert marks.pictured("Elm Street 4") is None
    assert marks.bulleted(" - a@b.example") == (" - ", "a@b.example") and marks.bulleted("x") == ("", "x")
    assert marks.box("- [x] lock") == ("- ", True, "lock") and marks.box("- lock") is None


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Phone: 1", "Phone"),
        ("电话：1", "电话"),
        ("Chair – Ada", "Chair"),
        ("Soup....5", "Soup"),
        ("A\t5", "A"),
    ],
)
def test_where_a_label_ends(text: str, label: str) -> None:
    found = marks.label_end(text)
    assert found and text[: found[0]] == label


@pytest.mark.parametrize("text", ["10:00 - 22:00", "https://a.example", "Mon - Fri", "no mark"])
def test_where_no_label_ends(text: str) -> None:
    assert marks.label_end(text) is None
