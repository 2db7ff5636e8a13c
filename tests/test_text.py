"""What comes from elsewhere shows as it is, whatever it would mean as Markdown."""

import re

import pytest

from ui.shell import text as page_text
from ui.shell.text import JOINER, as_markdown, duration, plain

# What each is as Markdown that shows it letter by letter.
PLAIN = {
    "Maria Gonzalez": "Maria Gonzalez",
    "20260101-120000-my-run": "20260101-120000-my-run",
    "1.5 GB, 12:03, 50 %, a_b_c, -3": "1.5 GB, 12:03, 50 %, a_b_c, -3",
    "![x](http://evil.example/?chat)": r"!\[x\](http\://evil.example/?chat)",
    "[x]: http://evil.example": r"\[x\]: http\://evil.example",
    "<img src=//evil.example>": r"\<img src=//evil.example>",
    "www.evil.example me@evil.example": r"www\.evil.example me\@evil.example",
    ":red[no] :material/lock: :smile:": rf"\:red\[no\] :{JOINER}material/lock: :{JOINER}smile:",
    "$x$ `y` *z* _w_ ~v~ a|b": r"\$x\$ \`y\` \*z\* \_w\_ \~v\~ a\|b",
    "# title": r"\# title",
    "1. one": r"1\. one",
    "- one\n> two\n===": "\\- one\n\\> two\n\\===",
    "&lt;b&#62; A & B": r"\&lt;b\&#62; A & B",
    "a\\[b": r"a\\\[b",
    # Four blanks begin no code, in which the backslash would show.
    "at\n\n    b[0]\n \tc\n  d": "at\n\n\u00a0\u00a0\u00a0\u00a0b\\[0\\]\n\u00a0\u00a0\u00a0\u00a0c\n  d",
}
# Of an answer, lists, emphasis and code stay what they are.
ANSWER = {
    "**bold** and `code[0](x)`\n\n- one\n- two": "**bold** and `code[0](x)`\n\n- one\n- two",
    "| a | b |\n|---|---|\n| 1 | 2 |": "| a | b |\n|---|---|\n| 1 | 2 |",
    "```python\nprint(a[0], $x, '<b>')\n```": "```python\nprint(a[0], $x, '<b>')\n```",
    "`x[1:n:2]` at 12:30:45": "`x[1:n:2]` at 12:30:45",
    "It costs $5, not $6.": r"It costs \$5, not \$6.",
    "![x](http://evil.example)": r"!\[x\](http\://evil.example)",
    r"\![x\](http://evil.example)": r"\!\[x\](http\://evil.example)",
    r"!\\[x\\](http://evil.example)": r"!\\\[x\\\](http\://evil.example)",
    "[x][1]\n\n[1]: http://evil.example": "\\[x\\]\\[1\\]\n\n\\[1\\]: http\\://evil.example",
    "<http://evil.example> <b>": r"\<http\://evil.example> \<b>",
    ":red[x] :material/lock: 12:30": rf"\:red\[x\] :{JOINER}material/lock: 12:30",
    # Two marks that begin no code, as a paragraph ends between them.
    "`\n\n![x](http://evil.example)\n\n`": f"`\n\n![x]{JOINER}(http://evil.example)\n\n`",
    "`\n\n![x](h&#116;tp://e)\n\n`": f"`\n\n![x]{JOINER}(h&#116;tp://e)\n\n`",
    "```\n![x](http://e)": f"```\n![x]{JOINER}(http://e)",
    "::note\n::::a\nstd::vector": "\\::note\n\\:\\:\\::a\nstd\\::vector",
    r"\`![x](http://e)`": r"\`!\[x\](http\://e)`",
    # An index and what follows it in code can be copied and run.
    "```\ny = layers[i](x[:, -1])\nif a[i]: x//=2\nif x in d[k]: print('a:b')\n```": (
        "```\ny = layers[i](x[:, -1])\nif a[i]: x//=2\nif x in d[k]: print('a:b')\n```"
    ),
    "`\n\n![x](//e)\n\n`": f"`\n\n![x]{JOINER}(//e)\n\n`",
    "`\n\n[x](java&#115;cript:1) [y]( <h\\ttp://e>)\n\n`": (
        f"`\n\n[x]{JOINER}(java&#115;cript:1) [y]{JOINER}( <h\\ttp://e>)\n\n`"
    ),
}
# Code of every kind stays as it is; what stands around it does not.
CODE = "x = a[0] if b<c else $d  # :red[e] <b> \\[f"
CODE_IN = (
    "    {}",
    "\t{}",
    "Do this:\n\n    {}\n\n    {}",
    "```\n{}\n```",
    "~~~python\n{}\n~~~",
    "````\n```\n{}\n```\n````",
    "`{}`",
    "`` ` {} ``",
    "> ```\n> {}\n> ```",
    ">     {}",
    "1. one\n\n   ```python\n   {}\n   ```",
    "10. ten\n\n    ```\n    {}\n    ```",
    "- one\n\n      {}",
    "# title\n    {}",
    "| a | b |\n|---|---|\n| `{}` | b |",
    "| a | b |\n|---|---|\n    {}",
    "Do this:\r\n\r\n    {}\r\n",
)
# Four blanks that begin no code: the rest of a paragraph, of a list's item, of what would be HTML or an
# address.
NO_CODE_IN = (
    "{}",
    "text\n    {}",
    "- one\n\n    {}",
    "- one\n    {}",
    "> text\n    {}",
    "<div>\n    {}\n",
    "<!--\n    {}\n-->",
    "[x]: y\n    {}",
    "$$\n    {}\n$$",
    ":::note\n    {}\n:::",
    "| {} |\n|---|\n| b |",
)
HOSTILE = (
    "![x](http://evil.example/?chat)",
    "![x](//evil.example)",
    "![x]( <http://evil.example>)",
    "[x](javascript:alert)",
    "[x]: http://evil.example",
)


@pytest.mark.parametrize("text", PLAIN)
def test_a_name_shows_as_it_is(text: str) -> None:
    assert plain(text) == PLAIN[text]


@pytest.mark.parametrize("text", ANSWER)
def test_an_answer_keeps_its_form_and_fetches_nothing(text: str) -> None:
    assert as_markdown(text) == ANSWER[text]


@pytest.mark.parametrize("form", CODE_IN)
def test_code_of_every_kind_can_be_copied_and_run(form: str) -> None:
    text = form.replace("{}", CODE)
    same = text.replace("\r\n", "\n")
    assert as_markdown(text) == same
    assert as_markdown(f"See a[0].\n\n{text}\n\nSee a[0].") == f"See a\\[0\\].\n\n{same}\n\nSee a\\[0\\]."


def test_a_block_of_code_that_is_still_being_said() -> None:
    assert as_markdown(f"a[0]\n\n~~~python\n{CODE}") == f"a\\[0\\]\n\n~~~python\n{CODE}"


@pytest.mark.parametrize("form", NO_CODE_IN)
def test_what_only_looks_like_code_is_disarmed(form: str) -> None:
    said = as_markdown(form.replace("{}", CODE))
    assert r"a\[0\]" in said and r"\$d" in said and r"\<b>" in said


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("form", [*CODE_IN, *NO_CODE_IN])
def test_an_address_is_disarmed_in_code_too(form: str, hostile: str) -> None:
    """Streamlit's reader may take for text what this one takes for code."""
    said = as_markdown(form.replace("{}", hostile))
    assert not re.search(r"(?<!\\)\](?:\(|:)", said)


@pytest.mark.timeout(20)
def test_a_long_hostile_answer_takes_no_time() -> None:
    marks = ("`" * 20_000, "` " * 20_000, "[" * 50_000, ":" * 50_000, "](" * 20_000)
    blocks = ("~~~\n" * 10_000, "> " * 20_000, "- " * 20_000, "    x\n\n" * 10_000, "|a|\n|-|\n" * 5_000)
    for text in (*marks, *blocks, "* a\n" * 10_000):
        for said in (as_markdown(text), plain(text)):
            kept = said.replace(JOINER, "").replace("\\", "").replace("\u00a0", " ")
            assert kept == text and not re.search(r"(?<!\\)\]\(", said)


@pytest.mark.parametrize(
    ("seconds", "en", "zh"),
    [
        (0.4, "0 s", "0 秒"),
        (59.9, "59 s", "59 秒"),
        (723, "12 min 3 s", "12 分 3 秒"),
        (11_045, "3 h 4 min", "3 小时 4 分"),
    ],
)
def test_a_time_says_its_units(seconds: float, en: str, zh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """16:18 may be minutes or hours."""
    for code, said in (("en", en), ("zh", zh)):
        monkeypatch.setattr(page_text, "language", lambda code=code: code)
        assert duration(seconds) == said
