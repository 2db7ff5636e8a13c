"""What the browser does beside Streamlit: the page's language, the keyboard's way, and colours that are read.

Streamlit 1.67 has no setting for its own words ("Upload", "No results", "Press Enter to apply"), its page
says it is English whatever stands in it, and what scrolls in it no key reaches. A script of ours, which the
browser takes from a route of its own, mends these; the words are those of ``locales/``'s ``streamlit.``.
What is drawn on a canvas stays: in a table that are the words of an empty one, which are given with it.
"""

import json
from functools import cache
from hashlib import sha256
from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.wording import sentences
from ui.shell.text import LANGUAGES, language

NAME = "browser.js"
FAMILY = "streamlit."
# In the session: how often the page was to be seen from its top.
TOP = "browser_top"
# By the keyboard: the first stop leads to the page's main button.
SKIP = "frame.skip"
# The script's container takes no room. Focus is a ring, which nothing else has: the open page is bold.
# A list that opens has its frame for that, as any field: a ring around its words is cut off at both ends.
# Streamlit's colours of a disabled field's label, and of white words on the light blue that a dark page needs
# for its own words, are below 4.5:1.
STYLE = """<style>
div:has(>.st-key-browser),.st-key-browser{display:none}
.tb-skip{position:fixed;z-index:1000000;top:.5rem;left:.5rem;padding:.5rem 1rem;border-radius:.5rem;border:0;
  font:inherit;color:#fff;background:#2350bd}
.tb-skip:not(:focus){transform:translateY(-200%)}
.stApp :is(a,button,summary,[tabindex="0"]:not([role=combobox])):focus-visible,.tb-skip:focus{
  outline:3px solid light-dark(#b35c00,#ffb95c)!important;outline-offset:2px}
.stApp [data-testid^=stBaseButton-primary]:not(:disabled){background-color:light-dark(#2350bd,#3466db);
  border-color:light-dark(#2350bd,#3466db)}
.stApp [data-testid=stMultiSelect] [data-tag]{background-color:light-dark(#2350bd,#3466db)}
.stApp [data-testid=stElementContainer]:has(:disabled:not([data-testid^=stNumberInputStep]))
  [data-testid=stWidgetLabel] *{
  color:light-dark(#5b6270,#a3abba)}
</style>"""


@cache
def script() -> str:
    """The whole script: the words, then what uses them. Made once: every page that is drawn asks for it."""
    words = [
        {known: sentences(known)[key] for known in LANGUAGES}
        for key in sentences("en")
        if key.startswith(FAMILY)
    ]
    code = Path(__file__).with_name(NAME).read_text(encoding="utf-8")
    skip = {known: sentences(known)[SKIP] for known in LANGUAGES}
    told = {"phrases": words, "skipName": skip}
    constants = "".join(
        f"const {name} = {json.dumps(it, ensure_ascii=False)};\n" for name, it in told.items()
    )
    return f"{{\n{constants}{code}}}\n"  # a block: a page that is drawn anew runs it again


def tell_browser() -> None:
    """Tell the browser the page's language, and let it do what stands above."""
    told = f'data-language="{language()}" data-top="{st.session_state.get(TOP, 0)}"'
    st.html(f"{STYLE}<style {told}></style>")
    with st.container(key="browser"):
        st.html(f'<script src="{NAME}?{_version()}"></script>', unsafe_allow_javascript=True)


def to_top() -> None:
    """Let the page be seen from its top when it is drawn next."""
    st.session_state[TOP] = st.session_state.get(TOP, 0) + 1


@cache
def _version() -> str:
    return sha256(script().encode()).hexdigest()[:12]


def send(_: Request) -> Response:
    """The script; its address changes with it, so that it is kept."""
    headers = {"cache-control": "max-age=31536000, immutable"}
    return Response(script(), media_type="text/javascript", headers=headers)


def routes(base: str) -> list[Route]:
    """The script's route, below the path that a proxy puts before every route."""
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/{NAME}", send)]
