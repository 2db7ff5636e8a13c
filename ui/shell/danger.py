"""A button that ends or deletes something, and looks it."""

import streamlit as st

# Read by people on a white page and on a dark one: both stand 5:1 from their page.
STYLE = """<style>
[class*="st-key-danger-"] :is(button,[data-testid=stBaseButton-primary]):not(:disabled){
  --danger:light-dark(#b3261e,#ff9b93);color:var(--danger);border-color:var(--danger);background:transparent}
[class*="st-key-danger-"] button:not(:disabled):is(:hover,:focus-visible){
  background:light-dark(#b3261e14,#ff9b9324)}
</style>"""


def danger_button(
    label: str, key: str, icon: str | None = None, *, help_text: str | None = None, disabled: bool = False
) -> bool:
    """A button in the colour of what cannot be taken back; whether it was pressed."""
    with st.container(key=f"danger {key}", width="content"):
        return st.button(label, key=key, icon=icon, help=help_text, disabled=disabled)
