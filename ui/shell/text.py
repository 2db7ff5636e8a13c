"""The session's language, and every text in it.

Streamlit reads labels, captions and messages as Markdown, with colours, icons, formulas, pictures and links.
What comes from elsewhere (a name, a file, a model's answer, a line of a log) must show as it is and fetch
nothing: :func:`t` disarms the values of its sentences, :func:`plain` and :func:`as_markdown` a text alone.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePath
from typing import Any

import streamlit as st
from markdown_it import MarkdownIt
from streamlit.runtime.state import get_session_state

from core.wording import SPOKEN, Language, say

LANGUAGES: dict[Language, str] = {"en": "English", "zh": "中文"}


# Anywhere in Markdown.
_MARKS = re.compile(r"[\\`*\[\]<$~|]")
# Where they mean something: emphasis, an entity, a directive or an address, one of mail, a page of the web.
_IN_PLACE = re.compile(
    r"(?<![^\W_])_|_(?![^\W_])|&(?=[\w#])|:(?=[A-Za-z/:{\[])|(?<=\S)@(?=\S)|(?<=[Ww][Ww][Ww])\.", re.MULTILINE
)
_AT_A_LINES_BEGIN = re.compile(r"^(\s*)(?=[#>+=-])(.)|^(\s*\d+)([.)])(?=\s|$)", re.MULTILINE)
# What makes a line code, in which a backslash shows.
_INDENT = re.compile(r"^(?: {0,3}\t| {4})[ \t]*", re.MULTILINE)
# Streamlit and its emoji plugin look for these after Markdown has been read, when a backslash is gone.
_SHORTCODE = re.compile(r"(?<!\d):(?=[\w+/-]+:)")
JOINER = "\u2060"
# An answer's blocks, to tell which of them are code. What as_markdown escapes is no block of its own.
_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["html_block", "reference", "inline"])
CODE = ("fence", "code_block")
# Of the rest: what is escaped already, code in a line, and what is not to be read as Markdown.
_OF_AN_ANSWER = re.compile(
    r"(?P<escaped>\\[!-/:-@\[-`{-~])"
    r"|(?P<code>(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))"
    r"|(?P<shortcode>(?<!\d):(?=[\w+/-]{1,60}:))"
    r"|[\[\]$]|<(?=[A-Za-z/!?])|:(?=//|:{1,60}[A-Za-z])|:(?=[A-Za-z:])(?=[\w:-]{0,60}[\[{])|(?<=[Ww][Ww][Ww])\.",
    re.MULTILINE | re.DOTALL,
)
# Between what may be a link's words and its address: code may be none to Streamlit's reader.
# What is no address ("layers[i](x[:, 1])") stays as it can be copied and run.
_ADDRESS = re.compile(r"(?<=\])(?=[(:]\s{0,40}<?(?:[\w+.%/-]{0,40}[:&\\]|//))")


class Markdown(str):
    """A value of a sentence that is Markdown of our own."""

    __slots__ = ()


def t(key: str, /, **values: object) -> str:
    """The sentence ``key`` of ``locales/`` in the session's language, as Markdown; its values show as they
    are."""
    return say(key, language(), **{name: _shown(value) for name, value in values.items()})


def spoken(key: str, /, **values: object) -> str:
    """The same for what is no Markdown: an option of a select box, a cell, HTML, an argument of ``t``."""
    return say(key, language(), **values)


def together(*said: str) -> str:
    """Sentences one after the other, as the page's language sets them; an empty one is left out."""
    return ("" if language() == "zh" else " ").join(filter(None, said))


def _shown(value: object) -> object:
    if isinstance(value, Markdown) or not isinstance(value, str | PurePath):
        return value
    return plain(str(value))


def plain(text: str) -> str:
    """A text as Markdown that shows it letter by letter."""
    text = _INDENT.sub(lambda found: "\u00a0" * len(found[0].expandtabs(4)), text)
    text = _SHORTCODE.sub(f":{JOINER}", text)
    text = _MARKS.sub(_escape, text)
    text = _IN_PLACE.sub(_escape, text)
    return _AT_A_LINES_BEGIN.sub(lambda found: f"{found[1] or found[3] or ''}\\{found[2] or found[4]}", text)


def in_lines(text: str) -> str:
    """The same of a text of several lines, which stay apart."""
    return plain(text).replace("\n", "  \n")


def as_markdown(text: str) -> str:
    """What a model says, as Markdown: lists, tables, code and emphasis are drawn; a picture, a link, HTML, a
    colour, an icon or what stands between two prices shows as it is."""
    return "\n".join(
        _ADDRESS.sub(JOINER, part) if code else _OF_AN_ANSWER.sub(_disarmed, part)
        for code, part in _parts(text)
    )


def _parts(text: str) -> Iterator[tuple[bool, str]]:
    """Whole lines of an answer in turn: whether they are code, fenced or indented, and the lines."""
    text = re.sub(r"\r\n?", "\n", text)
    lines, done = text.split("\n"), 0
    for token in _BLOCKS.parse(text):
        if token.type in CODE and token.map:
            begin, end = token.map
            if begin > done:
                yield False, "\n".join(lines[done:begin])
            yield True, "\n".join(lines[begin:end])
            done = end
    if done < len(lines):
        yield False, "\n".join(lines[done:])


def _disarmed(found: re.Match[str]) -> str:
    if found["escaped"]:
        return found[0]
    if found["shortcode"]:
        return f":{JOINER}"
    return _ADDRESS.sub(JOINER, found[0]) if found["code"] else _escape(found)


def _escape(found: re.Match[str]) -> str:
    return f"\\{found[0]}"


def language() -> Language:
    """What was chosen on the page, else what the address asks for, else the browser's own language."""
    asked = chosen_language() or st.context.locale or ""
    found: Language = "zh" if asked.lower().startswith("zh") else "en"
    SPOKEN.set(found)  # what core says on behalf of this page is said in its language too
    return found


def chosen_language() -> str:
    """What was chosen in this session, on the page or by an address of it; empty where nobody has. What an
    address has asked for stays where a later one asks for nothing."""
    own, asked = st.session_state, st.query_params.get("lang")
    if asked:
        own["language_asked"] = asked
    return str(own.get("language") or own.get("language_asked", ""))


def moment(when: datetime, now: datetime) -> str:
    """A day and a time as a person writes them; the year where it is not this one."""
    return when.strftime(spoken("moment" if when.year == now.year else "moment.of_another_year"))


def duration(seconds: float) -> str:
    """A time as a person reads it: 45 s, 12 min 3 s, 3 h 4 min."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    unit = "hours" if hours else "minutes" if minutes else "seconds"
    return t(f"duration.{unit}", hours=hours, minutes=minutes, seconds=rest)


def language_switch() -> None:
    """Let a person choose. Every widget of a page has a key: labels change with the language, values stay."""
    st.session_state["language_choice"] = language()
    st.segmented_control(
        t("frame.language"),
        list(LANGUAGES),
        format_func=lambda known: LANGUAGES[known],
        required=True,
        key="language_choice",
        on_change=_choose,
        label_visibility="collapsed",
    )


def told_again(key: str, names: Mapping[Any, str]) -> str:
    """The key of a widget whose options, the same as before, may be called otherwise by now: by a count, a
    size, a title. A browser holds what was chosen by the words it was shown, and is told it in the new."""
    words, said = [*names.values()], f"words of {key}"
    if st.session_state.get(said, words) != words and (value := st.session_state.get(key)) is not None:
        st.session_state[key] = value
    st.session_state[said] = words
    return key


def _choose() -> None:
    """A browser holds what was chosen by the words it was shown: each choice is told to it again, in the
    words it has now."""
    chosen = st.session_state["language_choice"]
    st.session_state["language"] = st.query_params["lang"] = chosen
    for key in _choices():
        # A widget whose page has just been left, or whose form is gone, is still known and has no value.
        if (value := st.session_state.get(key)) is not None:
            st.session_state[key] = value


def _choices() -> list[str]:
    """The keys of the session's widgets that answer with one of their options. Nothing public tells them from
    a text field, whose words are the person's own (Streamlit 1.67)."""
    state = get_session_state()._state
    keys = state._key_id_mapper.id_key_mapping
    known = [*state._new_widget_state.widget_metadata.values()]
    return [
        keys[widget.id]
        for widget in known
        if widget.id in keys and hasattr(getattr(widget.serializer, "__self__", None), "formatted_options")
    ]
