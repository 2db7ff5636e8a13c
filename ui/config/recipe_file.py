"""A recipe as a file, and one taken from a file: what belongs to the data stays this run's."""

from dataclasses import asdict
from functools import partial

import streamlit as st

from core.models.folder import Model
from core.recipe.method import with_method
from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Recipe, merged_from_bytes, to_yaml
from core.wording import say
from core.workspace.paths import RunPaths
from ui.config.forms import RecipeDraft
from ui.shell.text import language, t

LARGEST_RECIPE = 64  # kB
EXAMPLE = "lr: 1e-4\nrank: 16"


def offer_file(draft: RecipeDraft) -> None:
    """The saved recipe as YAML, its comments in the page's language."""
    file = partial(to_yaml, draft.saved, language())
    st.download_button(t("page.config.download"), file, "recipe.yaml", icon=":material/download:", key="yaml")


def take_file(run: RunPaths, draft: RecipeDraft, model: Model) -> None:
    """What a file, or a few lines that are pasted, say into the form; what they do not say stays. Raises
    InvalidRecipe with all problems of what was given."""
    key = f"recipe file {run.id} {draft.edition}"
    help_text = t("page.config.upload.help")
    label = t("page.config.upload")
    file = st.file_uploader(label, type=["yaml", "yml"], max_upload_size=1, help=help_text, key=key)
    with st.form(f"recipe lines {run.id} {draft.edition}", border=False):
        label, key = t("page.config.paste"), f"recipe text {run.id} {draft.edition}"
        text = st.text_area(label, placeholder=EXAMPLE, key=key, height=110)
        pasted = st.form_submit_button(t("page.config.paste.take"), key=f"take {run.id}") and text.strip()
    if pasted:
        _take(text.encode("utf-8", "replace"), t("page.config.paste.name"), draft, model)
    elif file:
        _take(file.getvalue(), file.name, draft, model)


def _take(content: bytes, name: str, draft: RecipeDraft, model: Model) -> None:
    if len(content) > LARGEST_RECIPE * 1024:
        st.error(t("page.config.upload.large", limit=LARGEST_RECIPE))
        return
    taken = _merged(content, name, draft.saved, model)
    before, now = asdict(draft.saved), asdict(taken)
    draft.take(taken)
    draft.taken = name, tuple(field for field in now if now[field] != before[field])
    st.rerun()


def _merged(content: bytes, name: str, into: Recipe, model: Model) -> Recipe:
    """Where the file names another method, what goes with that is the ground it is laid on."""
    taken = merged_from_bytes(content, name, into, OF_THE_DATA)
    if taken.method == into.method:
        return taken
    return merged_from_bytes(content, name, with_method(into, taken.method, model), OF_THE_DATA)


def show_taken(draft: RecipeDraft) -> None:
    """What the last file changed, until the form's values come from elsewhere."""
    if draft.taken is None:
        return
    name, changed = draft.taken
    fields = say("row.list", language()).join(t(f"field.{field}") for field in changed)
    key = "page.config.taken" if changed else "page.config.taken.nothing"
    st.success(t(key, file=name, fields=fields), icon=":material/upload_file:")
