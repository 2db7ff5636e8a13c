"""XTuner's own configs on the Config page: find one, open it into the form, see what did not fit, copy it."""

from pathlib import Path

import streamlit as st

from core.recipe.presets import OF_THE_DATA
from core.recipe.xtuner_file.catalog import Shipped, search, shipped
from core.recipe.xtuner_file.compare import Difference
from core.recipe.xtuner_file.opening import open_config
from core.recipe.xtuner_file.reader import LARGEST_FILE
from core.steps.configs import kind, size_of
from core.workspace.paths import RunPaths
from ui.config.forms import RecipeDraft
from ui.shell.frame import shown_errors
from ui.shell.text import t

# What these say of a file belongs to the data, which stays as it is.
OF_THE_FILE_S_DATA = {"rows", "template"}


def xtuner_configs(run: RunPaths, draft: RecipeDraft) -> None:
    """Closed until it is wanted: its list of names is 30 kB."""
    label = t("configs.title")
    section = st.expander(label, icon=":material/folder_open:", key=f"configs {run.id}", on_change="rerun")
    if not section.open:
        return
    with section, shown_errors():
        st.caption(t("configs.about", count=len(shipped())))
        _choose(run, draft)
        _upload(run, draft)
        if (found := st.session_state.get(_key(run))) is not None:
            show_differences(found)


def show_differences(found: list[Difference]) -> None:
    """What a config asks for and the form does not say, and what is written otherwise on purpose."""
    misfits = [one for one in found if not one.on_purpose]
    if misfits:
        st.markdown(f"**{t('configs.misfits', count=len(misfits))}**")
        st.markdown(_by_reason(misfits))
    else:
        st.success(t("configs.all_fit"), icon=":material/check_circle:")
    if others := [one for one in found if one.on_purpose]:
        with st.popover(t("configs.on_purpose", count=len(others)), icon=":material/info:", key="on purpose"):
            st.markdown(_by_reason(others))


def _choose(run: RunPaths, draft: RecipeDraft) -> None:
    help_text = t("configs.search.help")
    words = st.text_input(
        t("configs.search"), placeholder="internlm oasst1", help=help_text, key=f"words {run.id}"
    )
    chosen = st.selectbox(
        t("configs.choose"),
        search((words or "").split()),
        index=None,
        format_func=lambda one: one.name,
        placeholder=t("configs.placeholder"),
        key=f"config {run.id}",
    )
    if chosen is None:
        return
    found = kind(chosen)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("configs.open"), disabled=found != "sft", type="primary", key="config_open"):
            _open(run, draft, chosen.file.read_bytes(), chosen.name)
        st.download_button(
            t("configs.copy"),
            chosen.file.read_bytes(),
            f"{chosen.name}_copy{chosen.file.suffix}",
            icon=":material/download:",
            key="config_copy",
        )
        _show_file(chosen)
    if found != "sft":
        st.info(t("configs.no_recipe", reason=t(f"config.kind.{found}")), icon=":material/info:")


def _show_file(chosen: Shipped) -> None:
    with st.popover(t("configs.look"), icon=":material/code:", key="config_look"):
        st.code(chosen.file.read_text(encoding="utf-8"), "python", height=420)


def _upload(run: RunPaths, draft: RecipeDraft) -> None:
    label, help_text = t("configs.upload"), t("configs.upload.help")
    key = f"config file {run.id} {draft.edition}"
    file = st.file_uploader(label, type=["py"], max_upload_size=1, help=help_text, key=key)
    if file and file.size > LARGEST_FILE:
        st.error(t("page.config.upload.large", limit=LARGEST_FILE // 1000))
    elif file:
        _open(run, draft, file.getvalue(), Path(file.name).name)


def _open(run: RunPaths, draft: RecipeDraft, content: bytes, name: str) -> None:
    """Into the form, which says beside its fields what of it cannot run here."""
    opened = open_config(content, name, size_of(run))
    own = {field: getattr(draft.saved, field) for field in OF_THE_DATA}
    draft.take(opened.recipe.changed(**own))
    st.session_state[_key(run)] = [one for one in opened.differences if one.why not in OF_THE_FILE_S_DATA]
    st.rerun()


def _key(run: RunPaths) -> str:
    return f"config differences {run.id}"


def _by_reason(found: list[Difference]) -> str:
    """Each reason once, with the places below it."""
    lines = []
    for why in dict.fromkeys(one.why for one in found):
        lines.append(f"- {t(f'config.why.{why}')}")
        lines += [f"  - {_place(one)}" for one in found if one.why == why]
    return "\n".join(lines)


def _place(one: Difference) -> str:
    """A value is somebody's text: shown as code, without a line break or a mark that ends it."""
    file, recipe = (_code(value) for value in (one.file, one.recipe))
    return f"{_code(one.place)}: {file} → {recipe}"


def _code(value: str | None) -> str:
    return "–" if value is None else f"`` {' '.join(value.replace('`', '´').split()) or ' '} ``"
