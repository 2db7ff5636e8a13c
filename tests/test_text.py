"""What comes from elsewhere shows as it is, whatever it would mean as Markdown."""

import pytest

from ui.shell.text import JOINER, as_markdown, plain

# What each is as Markdown that shows it letter by letter.
PLAIN = {
    "Maria Gonzalez": "Maria Gonzalez",
    "20260101-120000-my-run": "20260101-120000-my-run",
    "1.5 GB, 12:03, 50 %, a_b_c, -3": "1.5 GB, 12:03, 50 %, a_b_c, -3".replace("-3", "-3"),
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


@pytest.mark.parametrize("text", PLAIN)
def test_a_name_shows_as_it_is(text: str) -> None:
    assert plain(text) == PLAIN[text]


@pytest.mark.parametrize("text", ANSWER)
def test_an_answer_keeps_its_form_and_fetches_nothing(text: str) -> None:
    assert as_markdown(text) == ANSWER[text]


@pytest.mark.timeout(20)
def test_a_long_hostile_answer_takes_no_time() -> None:
    for text in ("`" * 20_000, "` " * 20_000, "[" * 50_000, ":" * 50_000, "~~~\n" * 10_000, "](" * 20_000):
        as_markdown(text)
        plain(text)
