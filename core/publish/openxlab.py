"""OpenXLab by its own client (openxlab 0.1.3), which runs in an environment of its own: see
:mod:`core.publish.client_venv` for that and :mod:`core.publish.openxlab_client` for what it does there.

OPENXLAB_ENDPOINT and OPENXLAB_OSS_ENDPOINT name other servers for the client's two. A file is known there by
its name alone, without folders; none can be taken away; each is there as soon as it is sent.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from core.publish.hub import Parcel, Refusal, Sent, by_network, by_status
from core.publish.request import MARK
from core.workspace.checksums import hashed, read_checksums
from core.workspace.files import change_record, read_record
from core.workspace.publish_paths import OPENXLAB_CLIENT, sent_record, upload_record

SITE = "openxlab.org.cn"
PAGE = f"https://{SITE}/models/detail"
# Where the code that trained it is, which a repository there must name.
CODE = "https://github.com/InternLM/xtuner"
OWN = {"OPENXLAB_AK", "OPENXLAB_SK"}

Event = dict[str, Any]


class OpenXLab:
    """The hub as the publishing job sees it; a record beside the bundle says which content was sent as which
    file."""

    def __init__(self, parcel: Parcel, token: str | None) -> None:
        self.parcel, self.repo, self.record = parcel, parcel.repo, sent_record(parcel.folder)
        self.keys = (token or "").split()
        self.api = os.environ.get("OPENXLAB_ENDPOINT", "")
        self.store = os.environ.get("OPENXLAB_OSS_ENDPOINT", "")
        self.known = {file.name: file.sha256 for file in read_checksums(parcel.folder)}

    def check(self) -> str:
        """Who the keys are; whether they may write there is known only by writing."""
        return str(self._ask("check")["user"])

    def send(self, sent: Sent) -> str:
        """Send what is not there; every file is seen to be there at the end."""
        behind = 0

        def told(event: Event) -> None:
            nonlocal behind
            if name := event.get("at"):
                sent(name, behind, self.parcel.size)
            elif name := event.get("sent"):
                behind += self.parcel.files[name]
                digest = self._sha256(name)
                self._remember(name, digest)
                upload_record(self.record, digest).unlink(missing_ok=True)

        self._ask("send", told, list(self._files()))
        sent("", self.parcel.size, self.parcel.size)
        return f"{PAGE}/{self.repo}"

    def fetch(self, target: Path) -> None:
        """Fetch what was sent; what lies there already as it should is not fetched again.

        What was changed there is sent again the next time.
        """

        def told(event: Event) -> None:
            if event["sha256"] != self._sha256(event["fetched"]):
                self._remember(event["fetched"], event["sha256"])

        wanted = {name: target / name for name in self.parcel.files}
        files = [
            {"name": name, "path": str(file)}
            for name, file in wanted.items()
            if not file.exists() or hashed(file) != self._sha256(name)
        ]
        self._ask("fetch", told, files)

    def _files(self) -> Iterator[Event]:
        there = read_record(self.record) or {}
        for name in self.parcel.files:
            digest = self._sha256(name)
            yield {
                "name": name,
                "path": str(self.parcel.folder / name),
                "known": there.get(f"{self.repo}/{name}") == digest,
                "record": str(upload_record(self.record, digest)),
            }

    def _sha256(self, name: str) -> str:
        if not self.known.get(name):
            self.known[name] = hashed(self.parcel.folder / name)
        return self.known[name] or ""

    def _remember(self, name: str, digest: str) -> None:
        change_record(self.record, lambda there: there | {f"{self.repo}/{name}": digest})

    def _ask(
        self, action: str, told: Callable[[Event], None] = lambda _: None, files: list[Event] | None = None
    ) -> Event:
        """Let the client do it; its answer. Raises Refusal."""
        order = json.dumps({"action": action, "files": files or [], **self._order()})
        with tempfile.TemporaryDirectory(prefix="tuneboard-") as home:
            env = {name: value for name, value in os.environ.items() if name not in OWN}
            with subprocess.Popen(
                [self.parcel.client, "-I", "-B", str(OPENXLAB_CLIENT)],
                env={**env, "HOME": home, "PYTHONIOENCODING": "utf-8"},
                cwd=home,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
            ) as process:
                return self._answer(process, order, told)

    def _answer(self, process: "subprocess.Popen[str]", order: str, told: Callable[[Event], None]) -> Event:
        for line in _spoken(process, order):
            event = json.loads(line)
            if "no" in event:
                raise self._refusal(event["no"])
            if "done" in event:
                return dict(event["done"])
            told(event)
        raise Refusal("other", words=f"openxlab {process.wait()}")

    def _order(self) -> Event:
        """What each order says. Raises Refusal without two keys."""
        if not self.keys:
            raise Refusal("no_token")
        if len(self.keys) != 2:
            raise Refusal("keys")
        owner, _, name = self.repo.partition("/")
        return {
            **{"ak": self.keys[0], "sk": self.keys[1], "mark": MARK, "code": CODE},
            **{"owner": owner, "name": name, "public": self.parcel.public},
            "licence": self.parcel.licence or "other",
            "api": self.api,
            "oss": self.store,
        }

    def _refusal(self, no: Event) -> Refusal:
        words = " ".join(str(no.get("words", "")).split())[:300]
        if key := no.get("key"):
            return Refusal(key, again=bool(no.get("again")), repo=self.repo, words=words)
        if kind := no.get("network"):
            error = getattr(requests.exceptions, kind, requests.ConnectionError)()
            endpoint = (self.store if no.get("store") else self.api) or SITE
            return by_network(error, endpoint) or Refusal("network", again=True, endpoint=endpoint)
        found = by_status(int(no.get("status", 0)), words, self.repo)
        found.again = found.again or bool(no.get("again"))
        return found


def _spoken(process: "subprocess.Popen[str]", order: str) -> Iterator[str]:
    """Give the client its order; what it says, line by line."""
    if process.stdin and process.stdout:  # always, as both are pipes
        with process.stdin:
            process.stdin.write(f"{order}\n")
        yield from process.stdout
