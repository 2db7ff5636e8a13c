"""A page run without a browser, through the router as in the real thing."""

from streamlit.testing.v1 import AppTest

from core.paths import PROJECT


def open_test_page(step: str, run: str | None = None, language: str = "en") -> AppTest:
    """The page of ``step`` after its first run. The workspace is TUNEBOARD_HOME: monkeypatch.setenv."""
    page = AppTest.from_file(PROJECT / "ui" / "router.py", default_timeout=30)
    page.session_state["language"] = language
    if run:
        page.query_params["run"] = run
    page.run()
    return page if step == "start" else page.switch_page(f"../pages/{_file(step)}").run()


def no_errors(page: AppTest) -> bool:
    return not page.exception and not page.error


def _file(step: str) -> str:
    return next(path.name for path in (PROJECT / "pages").iterdir() if path.stem.endswith(f"_{step}"))
