"""A page run without a browser, through the router as in the real thing."""

from functools import cache

from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from core.workspace.paths import PROJECT

# Streamlit 1.67 reads what every installed package says of itself each time an AppTest is made, in search of
# components: most of a second, and the same each time.
manifest_scanner.scan_component_manifests = cache(manifest_scanner.scan_component_manifests)


def open_test_page(step: str, run: str | None = None, language: str = "en", **address: str) -> AppTest:
    """The page of ``step`` after its first run, with what else stands in its ``address``. The workspace is
    TUNEBOARD_HOME: monkeypatch.setenv."""
    page = _of_a_new_session(language)
    for name, value in {"run": run, **address}.items():
        if value:
            page.query_params[name] = value
    page.run()
    return page if step == "start" else page.switch_page(f"../../pages/{_file(step)}").run()


def open_by_address(step: str, language: str = "en") -> AppTest:
    """The page of ``step`` as the first of a session, and no run in its address."""
    return _of_a_new_session(language).switch_page(f"../../pages/{_file(step)}").run()


def _of_a_new_session(language: str) -> AppTest:
    page = AppTest.from_file(PROJECT / "ui" / "shell" / "router.py", default_timeout=30)
    page.session_state["language"] = language
    return page


def no_errors(page: AppTest) -> bool:
    return not page.exception and not page.error


def _file(step: str) -> str:
    return next(path.name for path in (PROJECT / "pages").iterdir() if path.stem.endswith(f"_{step}"))
