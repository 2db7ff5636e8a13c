"""The base model on the start page: what is offered, what is said of it, and one press that fetches it."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import DiskFull
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.model_store import choosing
from core.models.catalog import Entry, catalog
from core.pipeline import chain, chain_stages, took
from core.pipeline.tune_request import TuneRequest
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT
from core.runs import CHAIN
from core.steps import expected, prepare
from core.workspace.import_paths import importing
from core.workspace.paths import RunPaths, Workspace
from tests.page import open_test_page
from tests.small_model import make_small_model
from tests.test_catalog import on, processor
from tests.test_own_template import DEFAULT, QWEN, with_template
from tests.test_start import NAME, PATIENCE, log_of, press_make, text_of
from ui.models import base

CHOSEN = "qwen3-0.6b"
FOLDER = "qwen3-0-6b"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """One in which everything is made by stand-ins, on a machine with 64 GB that is never full."""
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "a b"))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    on(monkeypatch, processor(2, 64))
    base._offers.clear()
    workspace = Workspace.of()
    yield workspace
    for folder in workspace.run_folders():
        chain.halt(RunPaths(folder), "test")
        wait(RunPaths(folder).job(CHAIN), timeout=PATIENCE)


def choose(page: AppTest, name: str) -> AppTest:
    page.session_state["wish_taken"] = name
    return page.run()


def names(page: AppTest) -> list[str]:
    """What can be chosen, as it is read."""
    return list(page.selectbox(key="wish_base").options)


@pytest.fixture(autouse=True)
def _slow_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is recommended depends on the machine: here all are like one that does not multiply bfloat16."""
    slow = {kind: (paces[-1],) * 3 for kind, paces in expected.CORE.items()}
    monkeypatch.setattr(expected, "CORE", slow)


def test_the_starter_comes_first_and_says_what_it_is(workspace: Workspace) -> None:
    page = open_test_page("start")
    assert not page.exception and not page.error
    assert (
        names(page)[0] == "Starter model · English · no download"
        and page.selectbox(key="wish_base").value == "starter"
    )
    assert len(names(page)) == 1 + base.SUGGESTED
    assert "its Chinese is poor" in text_of(page)
    assert re.search(r"about \d+ (seconds|minutes?) here", text_of(page))


def test_who_wants_english_alone_is_told_nothing_of_chinese(workspace: Workspace) -> None:
    page = open_test_page("start")
    assert page.button(key="base_take")
    page.button_group(key="wish_language").set_value("en").run()
    assert not any(button.key == "base_take" for button in page.button)


def test_what_others_take_is_a_sentence_beside_the_time_and_not_in_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = re.findall(r"about \d+ \w+ here", text_of(open_test_page("start")))
    monkeypatch.setattr("core.machine.NEIGHBOURS.cores", lambda *_: 1.5)
    busy = text_of(open_test_page("start"))
    assert re.findall(r"about \d+ \w+ here", busy) == alone != []
    assert "Other programs take 1.5 of this machine's" in busy


def test_whoever_wants_chinese_takes_another_with_one_press(workspace: Workspace) -> None:
    page = open_test_page("start", language="zh")
    assert "中文很差" in text_of(page)
    page.button(key="base_take").click().run()
    assert not page.exception and page.selectbox(key="wish_base").value == "qwen2.5-0.5b"
    assert "会先下载 988 MB（依次尝试：ModelScope（魔搭）、Hugging Face）" in text_of(page)
    assert not any(button.key == "base_take" for button in page.button)


def test_a_few_are_offered_first_what_speaks_the_wanted_languages(workspace: Workspace) -> None:
    page = open_test_page("start")
    assert re.match(
        r"Qwen2.5-0.5B-Instruct · Chinese, English · about \d+ minutes · ↓ 988 MB", names(page)[1]
    )
    assert all("zh" in entry_of(label).languages for label in names(page)[1:])
    found = took.offers(workspace)
    english = base.suggested([one for one in found if one.entry.name != "starter"], ("en",))
    assert not any(one.entry.gated for one in english) and len(english) == base.SUGGESTED


def test_one_of_the_whole_list_can_be_chosen(workspace: Workspace) -> None:
    page = open_test_page("start")
    assert not any(label.startswith("Llama-3.2-1B") for label in names(page))
    choose(page, "llama-3.2-1b")
    assert page.selectbox(key="wish_base").value == "llama-3.2-1b" and names(page)[-1].startswith("Llama-3.2")


def times_of(page: AppTest, name: str) -> set[str]:
    """What the page says at its places that making an assistant with one model takes."""
    page.session_state["base_list"] = True
    page = choose(page, name)
    label = page.selectbox(key="wish_base").format_func(name)
    title = entry_of(label).title
    cell = next(row["fits"] for row in page.dataframe[0].value.to_dict("records") if row["name"] == title)
    said = re.findall(r"(about [\d.]+ \w+) here", text_of(page))
    return {part for text in (label, cell, *said) for part in re.findall(r"about [\d.]+ \w+", text)}


def test_one_model_has_one_time_wherever_it_is_said(workspace: Workspace) -> None:
    """Which is another for a file that is dropped."""
    page = open_test_page("start")
    (plain,) = times_of(page, CHOSEN)
    items = "\n".join(f"- Dish {number}: {number} yuan" for number in range(1, 200))
    menu = ("menu.md", f"# Menu\n\n{items}\n".encode(), "text/markdown")
    (taught,) = times_of(page.file_uploader(key="wish_file").set_value(menu).run(), CHOSEN)
    assert plain != taught


def entry_of(label: str) -> Entry:
    return next(entry for entry in catalog().models if label.startswith(f"{entry.title} ·"))


def test_what_does_not_fit_is_not_offered_but_listed_with_the_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(monkeypatch, processor(2, 6))
    page = open_test_page("start")
    assert not any(label.startswith("Qwen3-8B") for label in names(page))
    page.session_state["base_list"] = True
    rows = {row["name"]: row for row in page.run().dataframe[0].value.to_dict("records")}
    assert len(rows) == len(catalog().models)
    assert rows["Qwen3-8B"]["fits"].startswith("✗ needs 18.")
    assert re.match(r"✓ LoRA, \d\.\d GB, about ", rows["Qwen2.5-0.5B-Instruct"]["fits"])


def test_a_gated_model_says_what_has_to_be_done(workspace: Workspace) -> None:
    page = choose(open_test_page("start"), "llama-3.2-1b")
    said = text_of(page)
    assert (
        "(tried in this order: Hugging Face, ModelScope)" in said
        and "accepted the licence on its page" in said
    )


def test_one_press_fetches_the_model_and_makes_the_assistant(workspace: Workspace) -> None:
    page = press_make(choose(open_test_page("start"), CHOSEN), NAME)
    assert not page.exception and not page.error
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    assert prepare.recipe_of(run).model == str(workspace.models / FOLDER)
    names_of_stages = [stage.name for stage in chain_stages.read_progress(workspace, run).stages]
    assert names_of_stages == ["download", "import_model", "base", "train", "convert", "merge", "ask"]
    assert not workspace.starter.exists()
    page.run()
    assert "is ready" in text_of(page) and page.selectbox(key="wish_base").value == CHOSEN
    assert any(
        re.match(rf"{FOLDER} · Chinese, English · about \d+ \w+ · on this machine", one)
        for one in names(page)
    )
    assert "Downloads" not in text_of(page)
    second = chain.start(workspace, TuneRequest("Zoë", model=FOLDER, iterations=10), "test", "en")
    assert wait(second.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(second)
    assert chain_stages.read_progress(workspace, second).stages[0].name == "base"


def test_a_download_is_followed_stopped_and_gone_on_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "60")
    run = chain.start(workspace, TuneRequest(NAME, model=CHOSEN, iterations=10), "test", "en")
    download = importing(workspace, FOLDER).job("download")
    waited = JobPaths(download)
    while not waited.tool.exists() or not (download / "listing.json").exists():
        assert chain.is_live(run), log_of(run)
        time.sleep(0.05)
    page = open_test_page("start", run=run.id)
    assert (
        "Downloading]" in text_of(page) and "Hugging Face · " in text_of(page) and "/ 1 MB" in text_of(page)
    )
    page.button(key="chain_stop").click().run()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.stopped
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "0")
    page.run()
    page.button(key="chain_go_on").click().run()
    assert not page.error
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)


def test_a_download_that_fails_is_said_and_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "download")
    run = chain.start(workspace, TuneRequest(NAME, model=CHOSEN, iterations=10), "test", "en")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    page = open_test_page("start", run=run.id)
    assert "download" in page.error[0].value.lower() and "Downloading]" in text_of(page)
    monkeypatch.delenv("FAKE_ENGINE_FAIL")
    page.button(key="chain_go_on").click().run()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)


def test_only_a_chain_that_downloads_gets_the_hubs_secrets(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    asked = TuneRequest(NAME, model=CHOSEN)
    assert chain.secrets(workspace, asked)["HF_TOKEN"] == "hf_mine"
    assert chain.secrets(workspace, TuneRequest(NAME)) == chain.secrets(workspace, None) == {}
    make_small_model(workspace.models / FOLDER)
    assert chain.secrets(workspace, asked) == {}


def test_a_full_disk_is_said_before_a_run_is_made(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choosing.shutil, "disk_usage", lambda _: type("Disk", (), {"free": 10**9}))
    page = open_test_page("start")
    assert names(page) == ["Starter model · English · no download"], "none is offered that finds no room"
    with pytest.raises(DiskFull):
        chain.start(workspace, TuneRequest(NAME, model=CHOSEN), "test", "en")
    assert workspace.run_folders() == []


@pytest.mark.parametrize("kept", [True, False])
def test_what_becomes_of_a_default_prompt_is_asked(workspace: Workspace, kept: bool) -> None:
    workspace.prepare()
    with_template(workspace.model("mine"), QWEN)
    page = open_test_page("start")
    assert not any(radio.key == "wish_default" for radio in page.radio), "the starter's template has none"
    page = choose(page, "mine")
    asked = page.radio(key="wish_default")
    assert not page.exception and DEFAULT in asked.label and asked.value == OWN
    if not kept:
        page = asked.set_value(OWN_WITHOUT_DEFAULT).run()
    press_make(page, NAME)
    run = RunPaths(workspace.run_folders()[0])
    asked_for = chain.asked_before(run)
    assert asked_for and asked_for.template == (OWN if kept else OWN_WITHOUT_DEFAULT)
