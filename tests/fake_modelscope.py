"""ModelScope's HTTP interface as far as modelscope-hub 0.5 uses it: users, repositories, blobs, files."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

from tests.fake_hub import NAME, Handler, Repo, Route, State, serve

TOKEN = "ms-12345678-1234-1234-1234-1234567890ab"
PUBLIC, PRIVATE = 5, 1

ROUTES: tuple[Route, ...] = (
    ("GET", "/openapi/v1/users/me", "whoami", False),
    ("GET", rf"/openapi/v1/(model|studio)s/{NAME}", "info", True),
    ("POST", "/openapi/v1/(studio)s", "create_studio", False),
    ("GET", rf"/api/v1/(model)s/{NAME}", "legacy_info", False),
    ("POST", "/api/v1/models", "create_model", False),
    ("GET", rf"/api/v1/models/{NAME}/repo/files", "files", False),
    ("GET", rf"/api/v1/models/{NAME}/repo", "download", False),
    ("HEAD", rf"/api/v1/models/{NAME}/repo", "download", False),
    ("POST", rf"/api/v1/repos/(?:model|studio)s/{NAME}/info/lfs/objects/batch", "batch", False),
    ("PUT", r"/blobs/(\w+)", "put", True),
    ("POST", rf"/api/v1/repos/(?:model|studio)s/{NAME}/commit/master", "commit", False),
)


class ModelScopeHandler(Handler):
    routes = ROUTES
    token = TOKEN

    def known(self) -> bool:
        return super().known() or f"m_session_id={TOKEN}" in (self.headers.get("Cookie") or "")

    def _data(self, value: object) -> None:
        self._send(200, {"Code": 200, "Success": True, "success": True, "Data": value, "data": value})

    def _missing(self) -> None:
        self._send(404, {"Code": 10010205001, "Message": "not found", "Success": False})

    def whoami(self, _: bytes) -> None:
        self._data({"username": self.state.user, "id": 1})

    def info(self, kind: str, name: str, _: bytes) -> None:
        """The open interface shows what is public, and one's own Studios."""
        repo = self.state.repos.get(name)
        if repo is None or repo.kind != kind or (repo.private and kind == "model"):
            self._missing()
        else:
            self._data({"id": name, "private": repo.private})

    def legacy_info(self, kind: str, name: str, _: bytes) -> None:
        repo = self.state.repos.get(name)
        if repo is None or repo.kind != kind:
            self._missing()
        else:
            owner, _slash, own = name.partition("/")
            self._data({"Path": owner, "Name": own, "Visibility": PRIVATE if repo.private else PUBLIC})

    def create_model(self, body: bytes) -> None:
        asked = json.loads(body)
        self._create(f"{asked['Path']}/{asked['Name']}", Repo(asked["Visibility"] == PRIVATE, "model"))

    def create_studio(self, _kind: str, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked['owner']}/{asked['repo_name']}"
        self._create(name, Repo(bool(asked["private"]), "studio", sdk=asked.get("sdk_type")))

    def _create(self, name: str, repo: Repo) -> None:
        if name.partition("/")[0] != self.state.user:
            self._send(403, {"Code": 403, "Message": "no permission", "Success": False})
        elif name in self.state.repos:
            self._send(400, {"Code": 10020101001, "Message": "already exists", "Success": False})
        else:
            self.state.repos[name] = repo
            self._data({"id": name})

    def files(self, name: str, _: bytes) -> None:
        found = self.state.repos[name].files
        files = [
            {
                "Path": path,
                "Name": path,
                "Type": "blob",
                "Size": len(data),
                "Sha256": hashlib.sha256(data).hexdigest(),
            }
            for path, data in found.items()
        ]
        self._data({"Files": files})

    def download(self, name: str, _: bytes) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        data = self.state.repos[name].files.get(asked["FilePath"][0])
        if data is None:
            self._missing()
        else:
            self._raw(200, data, {"Content-Type": "application/octet-stream", "Length": str(len(data))})

    def batch(self, _name: str, body: bytes) -> None:
        missing = [one for one in json.loads(body)["objects"] if one["oid"] not in self.state.store]
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.state.url}/blobs/{one['oid']}"}}}
            for one in missing
        ]
        self._data({"objects": objects})

    def put(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.state.store[oid] = body
        self._send(200, {"Code": 200})

    def commit(self, name: str, body: bytes) -> None:
        files = self.state.repos[name].files
        for action in json.loads(body)["actions"]:
            if action["action"] == "delete":
                files.pop(action["path"], None)
            elif action["type"] == "lfs":
                files[action["path"]] = self.state.store[action["sha256"]]
            else:
                files[action["path"]] = base64.b64decode(action["content"])
        self._data({"commit": "1"})


@contextmanager
def modelscope() -> Iterator[State]:
    """The hub, at ``state.url``, until the block ends."""
    with serve(ModelScopeHandler) as state:
        yield state
