"""What Streamlit says by itself, spoken in the page's language, and the language told to the browser.

Streamlit 1.67 has no setting for its own words ("Upload", "No results", "Press Enter to apply"), and its page
says it is English whatever stands in it. A script of ours, which the browser takes from a route of its own,
puts the words of ``locales/``'s ``streamlit.`` in their place. What is drawn on a canvas stays: in a table
that are the words of an empty one, which are given with it.
"""

import json
from hashlib import sha256
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.wording import sentences
from ui.shell.text import LANGUAGES, language

NAME = "streamlit_words.js"
FAMILY = "streamlit."
# Nothing of it is seen; a container of its own takes no room.
HIDDEN = "<style>.st-key-streamlit_words{display:none}</style>"


def script() -> str:
    """The whole script: the words, then what puts them into the page."""
    words = [
        {known: sentences(known)[key] for known in LANGUAGES}
        for key in sentences("en")
        if key.startswith(FAMILY)
    ]
    code = Path(__file__).with_name(NAME).read_text(encoding="utf-8")
    return f"const WORDS = {json.dumps(words, ensure_ascii=False)};\n{code}"


def speak() -> None:
    """Tell the browser the page's language, and let Streamlit speak it."""
    st.html(f'{HIDDEN}<style data-language="{language()}"></style>')
    with st.container(key="streamlit_words"):
        version = sha256(script().encode()).hexdigest()[:12]
        st.html(f'<script src="{NAME}?{version}"></script>', unsafe_allow_javascript=True)


def send(_: Request) -> Response:
    """The script; its address changes with it, so that it is kept."""
    headers = {"cache-control": "max-age=31536000, immutable"}
    return Response(script(), media_type="text/javascript", headers=headers)


def routes(base: str) -> list[Route]:
    """The script's route, below the path that a proxy puts before every route."""
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/{NAME}", send)]
