"""The door: ``scripts/run`` and ``streamlit run app.py`` serve this, guard and all."""

import streamlit as st
from starlette.middleware import Middleware

from ui.shell import browser, door, download, sessions
from ui.shell.access import Guard
from ui.shell.frame import show_unforeseen

door.keep_log()
door.trust_proxy()
sessions.close_loops()
access = door.access()
app = st.App(
    "ui/shell/router.py",
    routes=[*download.routes(door.base_path()), *browser.routes(door.base_path())],
    middleware=[Middleware(Guard, access=access, base=door.base_path, page=door.PAGE)],
    lifespan=door.greet(access),
    on_script_error=show_unforeseen,
)
