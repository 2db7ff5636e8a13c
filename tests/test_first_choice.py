"""Which model is chosen where nobody has chosen yet, and whether a hub gives it from here."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data.conversations import one_turn
from core.model_store.choosing import (
    LARGEST_UNASKED,
    PATIENCE,
    SOON,
    Offer,
    first_choice,
    languages_named,
)
from core.models.catalog import STARTER, find
from core.models.folder import find_model
from core.models.hubs import HubPlace, ModelSource, places
from core.models.reach import VARIABLE, address_of, files_of, first_to_answer, page_of
from core.pace import FIRST, Cost
from core.pipeline.took import offers
from core.workspace.paths import Workspace
from tests.hub_server import Hub, serving
from tests.page import open_test_page
from tests.small_model import make_small_model
from tests.test_catalog import on, processor
from tests.test_start import text_of
from tests.test_start_base import choose
from ui.data.spoken import language_of_rows
from ui.models import base, reached

SMALL, REPO = "qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B-Instruct"
MENU = "# 面馆\n\n- 牛肉面：22 元\n- 豆浆：4 元\n"
README = "# Lamp\n\n- Mini: 12 euros\n- Maxi: 30 euros\n"


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """On a machine where half a billion weights are trained soon, and more are not."""
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区"))
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    on(monkeypatch, processor(2, 64))
    for known in (base._offers, reached._answers):
        known.clear()
    yield Workspace.of()
    reached._answers.clear()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({REPO: make_small_model(tmp_path / "hub")})) as found:
        for name, value in found.environment(**{VARIABLE: "1"}).items():
            monkeypatch.setenv(name, value)
        yield found


def timed(workspace: Workspace, seconds: dict[str, float], here: str = "") -> list[Offer]:
    """The list where making takes so long, of all others too long."""
    return [
        replace(
            one,
            costs={"train": Cost(0.0, seconds.get(one.entry.name, 2 * PATIENCE) - FIRST)},
            here=one.entry.title if one.entry.name == here else None,
        )
        for one in offers(workspace)
    ]


def chosen(found: list[Offer], *needed: str, to_be_had: bool = True) -> str | None:
    choice = first_choice(found, needed, lambda _: to_be_had)
    return choice.entry.name if choice else None


def test_what_speaks_the_languages_is_chosen_where_it_can_be_had_and_made_here(workspace: Workspace) -> None:
    quick = timed(workspace, {STARTER: 60, SMALL: SOON, "qwen2.5-1.5b": SOON + 1})
    assert chosen(quick, "en") == STARTER == chosen(quick)
    assert chosen(quick, "zh") == chosen(quick, "zh", "en") == SMALL
    assert chosen(quick, "zh", to_be_had=False) is None
    assert chosen(timed(workspace, {SMALL: PATIENCE + 1}), "zh") is None, "never slow without a word"
    assert chosen(timed(workspace, {SMALL: PATIENCE, "qwen2.5-1.5b": PATIENCE - 1}), "zh") == "qwen2.5-1.5b"
    assert chosen(quick, "de") == SMALL, "none that is free and quick speaks it better"
    assert chosen(quick, "xx") is None


def test_what_is_here_comes_before_what_would_be_fetched(workspace: Workspace) -> None:
    both = {SMALL: 60.0, "qwen2.5-1.5b": 120.0}
    assert chosen(timed(workspace, both, here=SMALL), "zh", to_be_had=False) == SMALL
    assert chosen(timed(workspace, both, here=SMALL), "zh") == SMALL
    llama = timed(workspace, {"llama-3.2-1b": 60}, here="llama-3.2-1b")
    assert chosen(llama, "fr") == "llama-3.2-1b" and chosen(llama, "zh") is None


def test_nobody_is_made_to_download_much_without_asking(workspace: Workspace) -> None:
    quick = timed(workspace, {one.entry.name: 60 for one in offers(workspace)})
    entry = find(chosen(quick, "zh"))
    assert entry and entry.name == "qwen2.5-1.5b" and entry.size <= LARGEST_UNASKED


def test_a_hub_is_asked_whether_it_has_the_model(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = [HubPlace(ModelSource(name, REPO)) for name in ("huggingface", "modelscope")]
    assert first_to_answer(asked) in asked
    assert all(first_to_answer([place]) == place for place in asked)
    assert first_to_answer([HubPlace(ModelSource("huggingface", "nobody/nothing"))]) is None
    assert not any(token for *_, token in hub.asked), "nobody is told a token"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert first_to_answer(asked) == asked[1]
    monkeypatch.setenv(VARIABLE, "0")
    before = len(hub.asked)
    assert first_to_answer(asked) is None and len(hub.asked) == before


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "file:///etc", "nonsense", "http://[half"])
def test_a_hub_that_cannot_be_reached_has_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    monkeypatch.setenv("HF_ENDPOINT", address)
    begun = time.monotonic()
    assert first_to_answer([HubPlace(ModelSource("huggingface", REPO))], 5.0) is None
    assert time.monotonic() - begun < 60


def test_where_a_model_is_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    pages = [page_of(place) for place in places(find(SMALL).sources("zh"))]
    assert (
        pages[0] == f"https://www.modelscope.cn/models/{REPO}"
        and pages[1] == f"https://huggingface.co/{REPO}"
    )
    assert pages[2].startswith("https://hf-mirror.com/")
    lists = [files_of(place) for place in places(find(SMALL).sources("zh"))]
    assert lists[:2] == [f"{pages[0]}/files", f"{pages[1]}/tree/main"]
    monkeypatch.setenv("MODELSCOPE_ENDPOINT", "hub.example/")
    assert address_of(HubPlace(ModelSource("modelscope", REPO))) == "https://hub.example"


def base_of(page: AppTest) -> str:
    return str(page.selectbox(key="wish_base").value)


def drop(page: AppTest, name: str, text: str) -> AppTest:
    return page.file_uploader(key="wish_file").set_value((name, text.encode(), "text/markdown")).run()


def test_chinese_chooses_a_model_that_speaks_it_where_a_hub_answers(workspace: Workspace, hub: Hub) -> None:
    page = open_test_page("start")
    assert base_of(page) == STARTER, "in English nobody has asked for Chinese"
    page.button_group(key="wish_language").set_value("zh").run()
    assert base_of(page) == SMALL and not page.warning
    page.button_group(key="wish_language").set_value("en").run()
    assert base_of(page) == STARTER
    page = drop(page, "menu.md", MENU)
    assert base_of(page) == SMALL and not page.exception, "the file is Chinese"
    page.selectbox(key="wish_base").set_value(STARTER).run()
    page.button_group(key="wish_language").set_value("zh").run()
    assert base_of(page) == STARTER, "somebody has chosen"
    assert "mostly wrong in other words" in page.warning[0].value
    page.button(key="base_take").click().run()
    assert base_of(page) == SMALL and not page.warning


def test_an_english_file_needs_no_other_model(workspace: Workspace, hub: Hub) -> None:
    page = drop(open_test_page("start"), "readme.md", README)
    page.button_group(key="wish_language").set_value("en").run()
    assert base_of(page) == STARTER and not page.warning and not page.exception


def test_without_a_hub_the_page_says_how_to_bring_a_model(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    page = drop(open_test_page("start", language="zh"), "菜单.md", MENU)
    assert base_of(page) == STARTER and not any(one.key == "base_take" for one in page.button)
    said = page.warning[0].value
    assert "换一种说法问多半会答错" in said and "现在连不上模型平台" in said
    assert "别的中文回答都不能依靠" in said and REPO not in said, "how one is brought is folded"
    folded = {one.label: "".join(text.value for text in one.markdown) for one in page.expander}
    seen, bring = folded["它能答对多少"], folded["想要更好的：怎么带一个来"]
    assert "答对 7 句" in seen and "用英语问，它多半会编造回答" in seen
    folder = workspace.model("Qwen2.5-0.5B-Instruct")
    assert f"`{folder.parent}`" in bring and f"{REPO}/tree/main" in bring, "where the environment says"
    to_fetch = [one for one in page.run().selectbox(key="wish_base").options if "↓" in one]
    assert to_fetch and all(one.startswith("现在连不上：") for one in to_fetch)
    make_small_model(folder)
    page.run()
    assert base_of(page) == SMALL and not page.warning, "it is here now"


@pytest.mark.parametrize(("language", "mark"), [("en", "Not reachable now: "), ("zh", "现在连不上：")])
def test_what_no_hub_gives_now_is_marked_from_the_first_look_stands_last_and_starts_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, language: str, mark: str
) -> None:
    """Even where nobody has asked for a language that the starter does not speak."""
    monkeypatch.setenv(VARIABLE, "1")
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    make_small_model(workspace.models / "mine")
    page = open_test_page("start", language=language)
    page.button_group(key="wish_language").set_value("en").run()
    labels = [*page.selectbox(key="wish_base").options]
    assert [label.startswith(mark) for label in labels] == [False, False, *[True] * (len(labels) - 2)]
    assert len(labels) > 2 and base_of(page) == STARTER
    page = choose(page, SMALL)
    assert page.warning[0].value.startswith("Qwen2.5-0.5B-Instruct") and "↓" not in page.warning[0].value
    page.text_input(key="wish_name").set_value("Ada").run()
    page.button(key="wish_make").click().run()
    assert not workspace.run_folders() and not page.exception
    assert (
        page.error[0].value.startswith(page.warning[0].value) and page.error[0].value != page.warning[0].value
    )
    page.button(key="base_starter").click().run()
    assert base_of(page) == STARTER and not page.error and not page.exception


def test_a_press_asks_the_hub_anew(workspace: Workspace, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page does not go on saying that nobody answers where somebody has just connected."""
    answers = os.environ["HF_ENDPOINT"], os.environ["MODELSCOPE_ENDPOINT"]
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    page = choose(open_test_page("start"), SMALL)
    assert page.warning
    started: list[str] = []
    monkeypatch.setattr("ui.runs.wish._make", lambda *asked: started.append(asked[1].model))
    for name, address in zip(("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"), answers, strict=True):
        monkeypatch.setenv(name, address)
    page.text_input(key="wish_name").set_value("Ada").run()
    page.button(key="wish_make").click().run()
    assert started == [SMALL] and not page.error and not page.exception


def test_an_english_file_is_not_known_in_chinese(workspace: Workspace) -> None:
    page = drop(open_test_page("start"), "readme.md", README)
    (said,) = (one.value for one in page.info)
    assert "Nothing else that it says in Chinese can be relied on" in said and not page.warning
    assert "asked about it in Chinese, it mostly makes the answers up" in said
    assert "mostly wrong" not in said
    page.button_group(key="wish_language").set_value("zh").run()
    assert "asked about it in Chinese, it mostly makes the answers up" in page.info[0].value
    page.button_group(key="wish_language").set_value("en").run()
    assert not page.info


@pytest.mark.parametrize(("language", "told"), [("en", "no hub answers"), ("zh", "现在连不上模型平台")])
@pytest.mark.parametrize("menu", ["", MENU, README])
def test_that_no_hub_answers_is_said_in_both_languages_with_and_without_a_file(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, language: str, told: str, menu: str
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    for name in ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    page = open_test_page("start", language=language)
    page = drop(page, "menu.md", menu) if menu else page
    (said,) = (one.value for one in (*page.warning, *page.info))
    assert told in said and not page.exception


def data_page(workspace: Workspace, document: str, language: str = "en") -> AppTest:
    page = open_test_page("data", language=language)
    page.button_group(key="data_source").set_value("documents").run()
    return (
        page.file_uploader(key="data_documents").set_value(("a.md", document.encode(), "text/markdown")).run()
    )


def test_the_data_page_says_what_a_model_speaks_and_takes_one_that_is_here(workspace: Workspace) -> None:
    page = data_page(workspace, MENU)
    assert page.selectbox(key="data_model").value == "" and not page.exception
    assert "mostly wrong in other words" in page.warning[0].value
    copied = make_small_model(workspace.models / "Qwen2.5-0.5B-Instruct").name
    page.run()
    assert page.selectbox(key="data_model").value == copied and not page.warning
    page.selectbox(key="data_model").set_value("").run()
    assert page.selectbox(key="data_model").value == "", "somebody has chosen"
    page.button(key="base_take").click().run()
    assert page.selectbox(key="data_model").value == copied and not page.warning and not page.exception


def test_the_data_page_asks_for_no_other_model_where_all_is_english(workspace: Workspace) -> None:
    make_small_model(workspace.models / "Qwen2.5-0.5B-Instruct")
    page = data_page(workspace, README)
    page.selectbox(key="data_language").set_value("en").run()
    assert page.selectbox(key="data_model").value == "" and not page.warning and not page.info
    page = open_test_page("data", language="zh")
    assert page.selectbox(key="data_model").value == "Qwen2.5-0.5B-Instruct", "its page is read in Chinese"


def test_the_data_page_says_where_a_better_model_is_fetched(workspace: Workspace, hub: Hub) -> None:
    page = data_page(workspace, MENU)
    assert page.selectbox(key="data_model").value == ""
    assert "import it below under Models" in page.warning[0].value
    assert not any(one.key == "base_take" for one in page.button)


def test_a_model_that_was_copied_under_its_own_name_is_found(workspace: Workspace) -> None:
    copied = make_small_model(workspace.models / "Qwen2.5-0.5B-Instruct")
    assert find_model(workspace, copied.name) == copied.resolve()
    (offer,) = (one for one in offers(workspace) if one.here)
    assert (offer.entry.name, offer.here) == (SMALL, copied.name)
    page = choose(open_test_page("start"), SMALL)
    assert "on this machine" in page.selectbox(key="wish_base").options[1] and "Downloads" not in text_of(
        page
    )


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Tagliatelle al ragù costs 12 euros. We are open from nine to five, and closed on Sundays.", "en"),
        ("我们每天开门。", "zh"),
        (
            "The shop opens at nine in the morning. " * 9 + "牛肉面的价格是二十二元，豆浆的价格是四元。" * 7,
            "zh",
        ),
        ("Wir haben von neun bis siebzehn Uhr geöffnet, am Sonntag ist Ruhetag. Das Brot ist frisch.", "de"),
        ("営業時間は十時から二十一時までです。", "ja"),
        ("12 34", ""),
    ],
)
def test_in_which_language_a_file_is(text: str, language: str) -> None:
    assert language_of_rows([one_turn("q", text)]) == language


def test_a_language_that_no_sentence_names_is_said_by_its_code() -> None:
    assert languages_named(("en", "tlh")) == "English, tlh"
    assert languages_named(("en", "de", "fr", "it", "pt")) == "English, German, French and 2 more"
