"""The door: ``streamlit run app.py`` or ``scripts/run`` serve this."""

import streamlit as st

app = st.App("ui/router.py")
