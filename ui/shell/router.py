"""The script Streamlit runs for every page: it knows the pages and starts the one that was asked for."""

from pathlib import Path

import streamlit as st

from core.wording import say
from ui.shell.frame import STEPS, page
from ui.shell.text import language

# A picture of our own: Streamlit's icons and emojis in a tab are fetched from hosts on the internet.
ICON = Path(__file__).with_name("icon.svg")

st.set_page_config(page_title=say("frame.title", language()), page_icon=ICON, layout="wide")
st.navigation([page(step) for step in STEPS], position="hidden").run()
