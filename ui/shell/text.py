"""The session's language, and every text in it."""

import streamlit as st

from core.wording import SPOKEN, Language, say

LANGUAGES: dict[Language, str] = {"en": "English", "zh": "中文"}


def t(key: str, /, **values: object) -> str:
    """The sentence ``key`` of ``locales/`` in the session's language, its values filled in."""
    return say(key, language(), **values)


def language() -> Language:
    """What was chosen on the page, else what the address asks for, else the browser's own language."""
    asked = st.session_state.get("language") or st.query_params.get("lang") or st.context.locale or ""
    found: Language = "zh" if asked.lower().startswith("zh") else "en"
    SPOKEN.set(found)  # what core says on behalf of this page is said in its language too
    return found


def duration(seconds: float) -> str:
    """A time as a person reads it: 0:45, 12:03, 3:04:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


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


def _choose() -> None:
    chosen = st.session_state["language_choice"]
    st.session_state["language"] = st.query_params["lang"] = chosen
