"""Hugging Face's HTTP interface as far as huggingface_hub 1.33 uses it.

Large files go by the LFS batch interface, in parts where they are larger than ``PART``, or with ``state.xet``
as Xet's blocks; a commit makes them visible.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fake_hub import NAME, Handler, Repo, Route, State, serve

TOKEN = "hf_" + "Zz9" * 12
PART = 64_000
LFS_FROM = 20_000  # bytes
COMMIT = "c0ffee" + "0" * 34
LATER = 2**33  # seconds since 1970: in the year 2242

ROUTES: tuple[Route, ...] = (
    ("GET", "/api/whoami-v2", "whoami", False),
    ("POST", "/api/validate-yaml", "validate", True),
    ("POST", "/api/repos/create", "create", False),
    ("GET", rf"/api/(models|spaces)/{NAME}", "info", False),
    ("GET", rf"/api/(models|spaces)/{NAME}/revision/(.+)", "revision", False),
    ("GET", rf"/api/(models|spaces)/{NAME}/tree/[^?]+(?:\?.*)?", "tree", False),
    ("POST", rf"/api/(models|spaces)/{NAME}/preupload/main", "preupload", False),
    ("POST", rf"/api/(models|spaces)/{NAME}/commit/main", "commit", False),
    ("POST", rf"/(?:spaces/)?{NAME}\.git/info/lfs/objects/batch", "batch", False),
    ("PUT", r"/lfs/(\w+)", "put", True),
    ("PUT", r"/lfs/(\w+)/(\d+)", "put_part", True),
    ("GET", rf"/api/(?:models|spaces)/{NAME}/xet-write-token/main", "xet_token", False),
    ("POST", r"/v1/xorbs/default/(\w+)", "xet_block", True),
    ("POST", r"/v1/shards", "xet_shard", True),
    ("POST", r"/complete/(\w+)", "complete", True),
    ("POST", r"/verify/(\w+)", "verify", False),
    ("HEAD", rf"/(spaces/)?{NAME}/resolve/[^/]+/(.+)", "resolve", False),
    ("GET", rf"/(spaces/)?{NAME}/resolve/[^/]+/(.+)", "resolve", False),
)


class HuggingFaceHandler(Handler):
    routes = ROUTES
    token = TOKEN

    def _repo(self, kind: str, name: str) -> Repo | None:
        found = self.state.repos.get(name)
        if found is None or found.kind != kind.rstrip("s"):
            self._send(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        return found

    def whoami(self, _: bytes) -> None:
        auth = {"accessToken": {"role": self.state.role, "displayName": "t"}}
        self._send(200, {"name": self.state.user, "orgs": [{"name": "the-org"}], "auth": auth})

    def validate(self, _: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or self.state.user}/{asked['name']}"
        if name in self.state.repos:
            self._send(
                409, {"error": "You already created this model repo", "url": f"{self.state.url}/{name}"}
            )
            return
        self.state.repos[name] = Repo(
            asked["visibility"] == "private", asked.get("type", "model"), sdk=asked.get("sdk")
        )
        self._send(200, {"url": f"{self.state.url}/{name}"})

    def info(self, kind: str, name: str, _: bytes) -> None:
        if repo := self._repo(kind, name):
            files = [{"rfilename": path} for path in repo.files]
            about = {"id": name, "private": repo.private, "sha": COMMIT, "siblings": files, "tags": []}
            self._send(200, {**about, "downloads": 0, "likes": 0, "sdk": repo.sdk})

    def revision(self, kind: str, name: str, _revision: str, body: bytes) -> None:
        self.info(kind, name, body)

    def tree(self, kind: str, name: str, _: bytes) -> None:
        if repo := self._repo(kind, name):
            files = [
                {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}  # noqa: S324
                for path, content in repo.files.items()
            ]
            self._send(200, files)

    def preupload(self, kind: str, name: str, body: bytes) -> None:
        if self._repo(kind, name):
            files = json.loads(body)["files"]
            modes = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["size"] > LFS_FROM else "regular",
                    "shouldIgnore": False,
                }
                for f in files
            ]
            self._send(200, {"files": modes})

    def batch(self, _name: str, body: bytes) -> None:
        asked = json.loads(body)
        objects = [self._object(one["oid"], one["size"]) for one in asked["objects"]]
        if self.state.xet and "xet" in asked["transfers"]:
            self._send(200, {"transfer": "xet", "objects": objects})
            return
        chosen = "multipart" if any("chunk_size" in str(one) for one in objects) else "basic"
        self._send(200, {"transfer": chosen, "objects": objects})

    def _object(self, oid: str, size: int) -> dict[str, Any]:
        if oid in self.state.store:
            return {"oid": oid, "size": size}
        upload: dict[str, Any] = {"href": f"{self.state.url}/lfs/{oid}"}
        if size > PART:
            parts = {str(n): f"{self.state.url}/lfs/{oid}/{n}" for n in range(1, -(-size // PART) + 1)}
            upload = {
                "href": f"{self.state.url}/complete/{oid}",
                "header": {"chunk_size": str(PART), **parts},
            }
        verify = {"href": f"{self.state.url}/verify/{oid}"}
        return {
            "oid": oid,
            "size": size,
            "authenticated": True,
            "actions": {"upload": upload, "verify": verify},
        }

    def put(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.state.store[oid] = body
        self._send(200)

    def put_part(self, oid: str, number: str, body: bytes) -> None:
        self.state.parts.setdefault(oid, {})[int(number)] = body
        self._send(200, None, ETag=f'"{number}"')

    def complete(self, oid: str, body: bytes) -> None:
        numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
        data = b"".join(self.state.parts[oid][number] for number in numbers)
        assert hashlib.sha256(data).hexdigest() == oid
        self.state.store[oid] = data
        self._send(200, {})

    def xet_token(self, _name: str, _: bytes) -> None:
        """As hf_xet 1.8 reads it, which asks by itself."""
        self._send(200, {"accessToken": "for-blocks", "exp": LATER, "casUrl": self.state.url})

    def xet_block(self, name: str, body: bytes) -> None:
        self.state.blocks[name] = unpacked(body)
        self._send(200, {"was_inserted": True})

    def xet_shard(self, _: bytes) -> None:
        """What the blocks make together: here it is the one file that was sent."""
        data = b"".join(self.state.blocks.values())
        self.state.store[hashlib.sha256(data).hexdigest()] = data
        self._send(200, {"result": 1})

    def verify(self, oid: str, _: bytes) -> None:
        self._send(200 if oid in self.state.store else 404, {})

    def commit(self, kind: str, name: str, body: bytes) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.state.store[value["oid"]]
            elif line["key"] == "deletedFile":
                repo.files.pop(value["path"], None)
        url = f"{self.state.url}/{name}/commit/{COMMIT}"
        self._send(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def resolve(self, kind: str | None, name: str, path: str, _: bytes) -> None:
        repo = self._repo((kind or "models/").rstrip("/"), name)
        data = repo.files.get(path) if repo else None
        if data is None:
            if repo:
                self._send(404, {"error": "no file"}, X_Error_Code="EntryNotFound")
            return
        headers = {
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Repo-Commit": COMMIT,
            "Accept-Ranges": "bytes",
        }
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._raw(206, data[start:], headers)
        else:
            self._raw(200, data, {**headers, "Length": str(len(data))})


def unpacked(block: bytes) -> bytes:
    """The chunks of an uncompressed Xet block (xorb): each behind its length; a footer may follow."""
    chunks, at = [], 0
    while block[at : at + 7] not in {b"", b"XETBLOB"}:
        length, scheme = int.from_bytes(block[at + 1 : at + 4], "little"), block[at + 4]
        assert block[at] == scheme == 0, "version 0, not compressed"
        chunks.append(block[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(chunks)


@contextmanager
def hugging_face() -> Iterator[State]:
    """The hub, at ``state.url``, until the block ends."""
    with serve(HuggingFaceHandler) as state:
        yield state
