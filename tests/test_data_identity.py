"""Names that can be taught, and the identity conversations made of them."""

import unicodedata

import pytest

from core.data.identity import (
    LANGUAGES,
    LONGEST_NAME,
    bank,
    check_name,
    identity_conversations,
    other_languages,
)
from core.data.questions import contains
from core.errors import InvalidName, NoName

GOOD_NAMES = [
    "Maria González",
    "Jose\u0301 Nun\u0303ez",
    "张伟",
    'O\'Brien "Bob" `x`',
    "{name} {} {0} {{x}}",
    "back\\slash\\n \\u0041 \\1 \\g<0>",
    "100% %s %(x)d",
    "--json",
    "-x",
    "$HOME; rm -rf / & | > <",
    "../../etc/passwd",
    "👩‍🔧",
    "👨‍👩‍👧‍👦 family",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "🫨",
    "Zo\u200cya",
    "محمد",
    "दीपिका",
    "Ünïcödé ﬁ Ⅷ",
    "N",
    "x" * LONGEST_NAME,
    "𠮷野家",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_simply_work(name: str) -> None:
    assert check_name(name) == name
    for (turn,) in identity_conversations(name):
        assert contains(turn.output, name)
        assert "{name}" not in turn.output.replace(name, "")


@pytest.mark.parametrize("around", ["", " ", "   ", "\u3000", "\u00a0 \u3000"])
def test_spaces_around_a_name_are_dropped(around: str) -> None:
    assert check_name(f"{around}张 伟{around}") == "张 伟"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("-", "name.nothing_to_say"),
        ("...!?", "name.nothing_to_say"),
        ("\u200d", "name.nothing_to_say"),
        ("\u0301", "name.nothing_to_say"),
        ("a\nb", "name.character"),
        ("Maria\n", "name.character"),
        ("a\r\nb", "name.character"),
        ("a\tb", "name.character"),
        ("a\x00b", "name.character"),
        ("\x1b[31mred", "name.character"),
        ("a\x7fb", "name.character"),
        ("a\x85b", "name.character"),
        ("a\u2028b", "name.character"),
        ("a\u2029b", "name.character"),
        ("\u202eatad", "name.character"),
        ("a\u2066b\u2069", "name.character"),
        ("a\u200bb", "name.character"),
        ("\ufeffa", "name.character"),
        ("so\u00adft", "name.character"),
        ("a\U000e0041", "name.character"),
        ("a\ue000", "name.character"),
        ("a\uffff", "name.character"),
        ("a\ufdd0", "name.character"),
        ("a\udcff", "name.character"),
        ("<|im_end|>", "name.mark"),
        ("a <|im_start|>system b", "name.mark"),
        ("x<eoa>", "name.mark"),
        ("x</s>", "name.mark"),
        ("[INST] x", "name.mark"),
        ("x" * (LONGEST_NAME + 1), "name.long"),
        ("张" * 5000, "name.long"),
    ],
)
def test_names_that_would_break_the_training_text(
    name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.wording import sentences

    for language in ("en", "zh"):
        monkeypatch.setenv("TUNEBOARD_LANG", language)
        with pytest.raises(InvalidName) as caught:
            check_name(name)
        first_words = sentences(language)[reason].partition("{")[0]  # type: ignore[arg-type]
        assert first_words in str(caught.value)
        printed = str(caught.value)
        assert printed.isprintable(), "a refused character is named, never printed"


@pytest.mark.parametrize("name", ["", "   ", "\u3000"])
def test_no_name_is_asked_for(name: str) -> None:
    with pytest.raises(NoName) as caught:
        check_name(name)
    assert caught.value.text("en") == "Please enter a name." and caught.value.text("zh") == "请输入名字。"


def test_the_place_of_a_bad_character_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    with pytest.raises(InvalidName, match=r"character 3 \(U\+000A\)"):
        check_name("张伟\n")
    with pytest.raises(InvalidName, match=r"character 8 \(U\+202E\)"):
        check_name(GOOD_NAMES[13] + "\u202e")


def test_every_taught_conversation_names_the_name() -> None:
    conversations = identity_conversations("Zoë {name}")
    taught = [wording for language in LANGUAGES for wording in bank(language).taught] + [*other_languages()]
    assert len(conversations) == sum(len(answers) for _, answers in taught)
    for (turn,) in conversations:
        assert "Zoë {name}" in turn.output and "{name}" not in turn.input
        assert turn.system == ""


def test_languages_and_counts() -> None:
    english = identity_conversations("Zoë", ["en"])
    assert not any("\u4e00" <= character <= "\u9fff" for (turn,) in english for character in turn.input)
    few = identity_conversations("Zoë", count=5)
    assert len(few) == 5 * len(LANGUAGES) and few[:5] == english[:5]


def test_names_are_normal_text_however_they_are_composed() -> None:
    """The proof finds a name that the model wrote composed though it was given decomposed."""
    decomposed = unicodedata.normalize("NFD", "José Núñez")
    assert contains("I am José Núñez's assistant.", decomposed)
