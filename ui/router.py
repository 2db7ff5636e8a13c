"""The script Streamlit runs for every page: it knows the pages and starts the one that was asked for."""

import streamlit as st

from core.wording import say
from ui.frame import STEPS, page
from ui.text import language

st.set_page_config(page_title=say("frame.title", language()), page_icon=":material/tune:", layout="wide")
st.navigation([page(step) for step in STEPS], position="hidden").run()
