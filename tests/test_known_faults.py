"""Known faults of pinned packages: the real pip-audit, asking a list on this machine as it asks OSV's."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.workspace.paths import PROJECT
from scripts import known_faults
from scripts.known_faults import Accepted, Fault, accepted, is_accepted, outdated, pinned

THEIRS = Accepted("mended", "1.0", ("CVE-1",), "2026", "mended up to 1.0", "it is not read")


def test_exceptions_are_of_what_is_pinned_and_say_why() -> None:
    found = accepted()
    assert found and all(one.why and one.of and one.published for one in found)
    assert list(outdated(found, pinned())) == []


def test_an_exception_holds_for_one_version_and_by_any_of_the_fault_s_names() -> None:
    fault = Fault("mended", "1.0", frozenset({"PYSEC-1", "CVE-1"}), ("1.1",), "Runs what it reads.")
    assert is_accepted(fault, [THEIRS])
    assert not is_accepted(Fault("mended", "1.1", fault.names, (), ""), [THEIRS])
    assert not is_accepted(Fault("other", "1.0", fault.names, (), ""), [THEIRS])
    assert not is_accepted(Fault("mended", "1.0", frozenset({"CVE-2"}), (), ""), [THEIRS])
    (said,) = outdated([THEIRS], {"mended": "1.1"})
    assert "mended 1.0" in said and "1.1 is pinned" in said
    assert str(fault) == "mended 1.0: CVE-1, PYSEC-1, mended by 1.1. Runs what it reads."


def test_the_check_runs_both() -> None:
    text = (PROJECT / "scripts" / "check").read_text(encoding="utf-8")
    assert "/bandit " in text and "scripts/audit" in text


@dataclass
class FaultList:
    """A list of faults: what it knows by package, and the packages that it was asked about."""

    address: str
    knows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    answers: bool = True


@pytest.fixture
def fault_list() -> Iterator[FaultList]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append(query["package"]["name"])
            body = json.dumps({"vulns": found.knows.get(found.asked[-1], [])}).encode()
            self.send_response(200 if found.answers else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = FaultList(f"http://127.0.0.1:{server.server_port}/v1/query")
        yield found
        server.shutdown()


@pytest.fixture
def audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Any]:
    pins = tmp_path / "pins.txt"
    pins.write_text("mended==1.0 ; sys_platform == 'linux'\nfine==2.0\n", encoding="utf-8")
    monkeypatch.setattr(known_faults, "PINS", (pins,))
    monkeypatch.setattr(known_faults, "pinned", lambda: {"mended": "1.0", "fine": "2.0"})
    monkeypatch.setattr(known_faults, "accepted", tuple)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(address: str) -> tuple[int, str, str]:
        code = known_faults.main(["--osv", address, "--within", "60"])
        return code, *capsys.readouterr()

    yield run


@pytest.mark.slow
def test_what_a_list_knows_fails_and_what_it_does_not_answer_is_said(
    fault_list: FaultList, audit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert audit(fault_list.address) == (0, "", "")
    assert set(fault_list.asked) == {"mended", "fine"}
    fault_list.knows["mended"] = [
        {"id": "PYSEC-1", "aliases": ["CVE-1"], "summary": "Runs what it reads.", "affected": []}
    ]
    assert audit(fault_list.address) == (
        1,
        "",
        "mended 1.0: CVE-1, PYSEC-1, not mended anywhere. Runs what it reads.\n",
    )
    monkeypatch.setattr(known_faults, "accepted", lambda: (THEIRS,))
    assert audit(fault_list.address) == (0, "", "")
    fault_list.answers = False
    code, said, wrong = audit(fault_list.address)
    assert (code, wrong) == (0, "") and said.startswith(f"not looked up: {fault_list.address}: ")
    assert said.count("\n") == 1
