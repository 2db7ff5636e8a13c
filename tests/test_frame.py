"""What every page stands in: errors as sentences, the doctor's word, and where a run's links lead."""

import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from core.doctor import Diagnosis
from core.errors import DamagedFile
from core.workspace.paths import PROJECT, Workspace
from tests.page import open_test_page
from tests.small_run import end_training, make_run
from ui.jobs import training
from ui.runs import chain, live
from ui.shell import doctor, frame, making
from ui.shell.frame import STEPS

PATIENCE = 20.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def tuneboard_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("tuneboard")
    before, logger.propagate = logger.propagate, True
    yield caplog
    logger.propagate = before


@pytest.mark.parametrize(
    ("error", "said", "logged"),
    [
        (ZeroDivisionError("secret *words*"), "Something unexpected went wrong", True),
        (DamagedFile(path="/a *b*/result.json"), r"/a \*b\*/result.json is damaged", False),
    ],
)
def test_a_run_that_cannot_be_read_is_a_sentence_and_hides_no_other_part(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    tuneboard_log: pytest.LogCaptureFixture,
    error: Exception,
    said: str,
    logged: bool,
) -> None:
    def broken(*_: object) -> None:
        raise error

    run = make_run(workspace)
    monkeypatch.setattr("core.pipeline.chain_stages.read_progress", broken)
    page = open_test_page("start", run.id)
    assert not page.exception and [said in one.value for one in page.error] == [True]
    reload = [one for one in page.get("html") if "Reload the page" in one.proto.body]
    assert bool(reload) is logged, "the way out of what nobody foresaw"
    assert "secret" not in page.error[0].value and ("secret" in tuneboard_log.text) is logged
    assert page.text_input(key="wish_name") and len(page.dataframe[0].value) == 1


def test_a_half_written_result_is_no_reason_for_a_broken_page(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_training(run)
    run.result.write_text('{"learned": 1.0', encoding="utf-8")
    for step in ("start", "train", "compare"):
        page = open_test_page(step, run.id)
        assert not page.exception, step


def looked(page: AppTest) -> AppTest:
    """The page when the doctor has looked at everything."""
    deadline = time.monotonic() + PATIENCE
    while any("Checking this machine" in one.value for one in page.caption):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        page.run()
    return page


def test_what_this_machine_lacks_stands_open_with_the_command_that_helps(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Diagnosis("disk", "bad", "1 GB on /a [b]", fix="df -h"),
        Diagnosis("gpu", "note", "none"),
        Diagnosis("memory", "bad", "2 GB"),
        Diagnosis("port", "bad", "8501 is taken"),
    ]
    monkeypatch.setattr(doctor, "examine", lambda _: found)
    doctor._examination.clear()
    page = looked(open_test_page("start"))
    box = next(one for one in page.expander if "needs attention" in one.label)
    assert box.label.endswith(": 2") and box.proto.expanded, "its own port is taken by itself"
    texts = [one.value for one in box.markdown]
    assert len(texts) == 3 and any(r"1 GB on /a \[b\]" in text for text in texts)
    assert [code.value for code in box.code] == ["df -h"]
    found[:] = [Diagnosis("disk", "good", "100 GB")]
    page.button(key="findings_again").click().run()
    assert [one.label for one in looked(page).expander if "machine" in one.label] == ["This machine is ready"]
    doctor._examination.clear()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_steps_links_keep_the_run_and_the_language(workspace: Workspace, language: str) -> None:
    run = make_run(workspace)
    page = open_test_page("start", run.id, language)
    page.query_params["lang"] = language
    links = [link.proto for link in page.run().get("page_link")]
    assert {link.page for link in links} >= set(STEPS[1:])
    assert [parse_qs(link.query_string) for link in links] == [{"run": [run.id], "lang": [language]}] * len(
        links
    )


def test_a_look_of_its_own_speaks_the_page_s_language() -> None:
    """What core says on a page's behalf: a part that looks again by itself begins with nobody's language."""

    def script() -> None:
        import streamlit as st

        from core.wording import SPOKEN, say
        from ui.shell.frame import follow

        st.session_state["language"] = "zh"
        SPOKEN.set(None)
        follow(
            look=lambda: say("about.minutes", count=5),
            draw=st.text,
            mark=lambda _: None,
            every=lambda _: None,
        )

    page = AppTest.from_function(script, default_timeout=PATIENCE).run()
    assert page.text[0].value == "约 5 分钟"


@pytest.mark.parametrize(
    "beside", [making.EVERY, live.EVERY, chain.EVERY, training.EVERY, training.EVERY_ON_CPU]
)
def test_the_parts_of_a_page_are_not_asked_for_in_the_same_instant(beside: float) -> None:
    """Of two that are, Streamlit may drop what the first has drawn."""
    strip, other = (round(10 * seconds) for seconds in (frame.STRIP_EVERY, beside))
    assert math.lcm(strip, other) > 10 * 60


def test_the_language_of_an_address_stays_where_a_later_one_says_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the browser's own is: and each link goes on saying it."""
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "home"))
    page = AppTest.from_file(PROJECT / "ui" / "shell" / "router.py", default_timeout=30)
    page.query_params["lang"] = "zh"
    page.run()
    assert "创建我的助手" in page.run().button(key="wish_make").label
    del page.query_params["lang"]
    assert "创建我的助手" in page.run().button(key="wish_make").label
    (link, *_) = page.get("page_link")
    assert "lang=zh" in link.proto.query_string
