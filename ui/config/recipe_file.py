"""A recipe as a file, and one taken from a file: what belongs to the data stays this run's."""

from functools import partial

import streamlit as st

from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import from_bytes, to_yaml
from core.workspace.paths import RunPaths
from ui.config.forms import RecipeDraft
from ui.shell.text import language, t

LARGEST_RECIPE = 64  # kB


def offer_file(draft: RecipeDraft) -> None:
    """The saved recipe as YAML, its comments in the page's language."""
    file = partial(to_yaml, draft.saved, language())
    st.download_button(t("page.config.download"), file, "recipe.yaml", icon=":material/download:", key="yaml")


def take_file(run: RunPaths, draft: RecipeDraft) -> None:
    """Into the form. Raises InvalidRecipe with all problems of the file."""
    key = f"recipe file {run.id} {draft.edition}"
    help_text = t("page.config.upload.help")
    file = st.file_uploader(t("page.config.upload"), type=["yaml", "yml"], help=help_text, key=key)
    if file and file.size > LARGEST_RECIPE * 1024:
        st.error(t("page.config.upload.large", limit=LARGEST_RECIPE))
    elif file:
        own = {name: getattr(draft.saved, name) for name in OF_THE_DATA}
        draft.take(from_bytes(file.getvalue(), file.name).changed(**own))
        st.rerun()
