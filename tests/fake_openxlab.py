"""OpenXLab's HTTP interface as far as openxlab 0.1.3 uses it for models, and Aliyun OSS as far as oss2 does.

A model repository is a list of "models", each one file; a file lies in a bucket under a name that the hub
gives, and is there for everybody who may see it as soon as its state is "sent".
"""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fake_hub import Handler, Repo, Route, State, serve

AK, SK = "ak5kqz8w0xlab2m7", "sk-of-the-tests-Zz9Zz9Zz9Zz9"
TOKEN = f"{AK} {SK}"
JWT = "eyJhbGciOiJIUzUxMiJ9.of.the-tests"
NONCE = "n-0-n-c-e"
BUCKET = "xlab-model-center"
SENT = 2
CENTER = "/api/v1/model-center/api/v1/cli/repository"

ROUTES: tuple[Route, ...] = (
    ("POST", "/api/v1/sso-be/api/v1/open/auth", "auth", True),
    ("POST", "/api/v1/sso-be/api/v1/open/getJwt", "jwt", True),
    ("POST", f"{CENTER}/getRepositoryModelList", "models", False),
    ("POST", f"{CENTER}/createModelRepository", "create", False),
    ("POST", f"{CENTER}/updateRepositoryBaseInfo", "visibility", False),
    ("POST", f"{CENTER}/updateFileUploadStatus", "status", False),
    ("POST", f"{CENTER}/getFileDownloadUrl", "addresses", False),
    ("POST", "/api/v1/upload-service/api/v1/getUploadSignature", "signature", False),
    ("POST", rf"/{BUCKET}/(.+)", "begin_or_complete", True),
    ("GET", rf"/{BUCKET}/(.+)", "parts", True),
    ("PUT", rf"/{BUCKET}/(.+)", "part", True),
    ("DELETE", rf"/{BUCKET}/(.+)", "parts", True),
    ("GET", r"/files/([^/]+/[^/]+)/(.+)", "file", True),
)


class OpenXLabHandler(Handler):
    routes = ROUTES

    def known(self) -> bool:
        return self.headers.get("Authorization") == JWT

    def _say(self, data: Any, message: str = "ok", code: str = "10000") -> None:
        inner = {"msgCode": code, "msg": message, "traceId": "t", "data": data}
        self._send(200, {"traceId": "t", "msgCode": "10000", "msg": "ok", "success": True, "data": inner})

    def _no(self, message: str) -> None:
        self._say(None, message, "A0400")

    def _repo(self, asked: dict[str, Any], owner: str | None = None) -> Repo | None:
        """A repository by its name; the owner is whose key it is, except where a file is fetched."""
        name = asked.get("repoName") or asked.get("repositoryName") or asked.get("name")
        found = self.state.repos.get(f"{owner or self.state.user}/{name}")
        if found is None:
            self._no("repository does not exist")
        return found

    def auth(self, body: bytes) -> None:
        if json.loads(body)["ak"] == AK:
            self._say({"nonce": NONCE, "algorithm": "HmacSHA256"})
        else:
            self._no("access key is not known")

    def jwt(self, body: bytes) -> None:
        signed = base64.b64encode(hmac.new(SK.encode(), NONCE.encode(), "SHA256").digest()).decode()
        if json.loads(body)["d"] != signed:
            self._no(f"signature is wrong, said back: {body.decode()}")
            return
        later = "2099-01-01 00:00:00"
        times = {"expiration": later, "refresh_expiration": later}
        self._say({"jwt": JWT, "sso_uid": "597091", "refresh_token": f"{JWT}-again", **times})

    def models(self, body: bytes) -> None:
        if repo := self._repo(json.loads(body)):
            self._say({"models": [{"name": name, "weightName": name} for name in repo.names]})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{self.state.user}/{asked['name']}"
        if name in self.state.repos:
            self._no("repository exists")
            return
        assert asked["license"] and asked["github"].startswith("https://")
        assert all(one["evaluations"][0]["task"] for one in asked["models"])
        self.state.repos[name] = repo = Repo(asked["publicStatus"] == 0, "model")
        repo.names.extend(one["name"] for one in asked["models"])
        self._say({})

    def visibility(self, body: bytes) -> None:
        asked = json.loads(body)
        if repo := self._repo(asked):
            repo.private = asked["publicStatus"] == 0
            self._say({})

    def status(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = self._repo(asked)
        if repo is None:
            return
        wanted = {one["name"] for one in (*(asked["models"] or ()), *(asked["updateModels"] or ()))}
        repo.names.extend(sorted(wanted - {*repo.names}))
        if asked["uploadStatus"] == SENT:
            for name in asked["fileNames"]:
                repo.files[name] = self.state.store[f"{asked['repoName']}/{name}"]
        objects = [
            {"modelName": name, "modelId": 1, "weightName": name, "objectName": f"{asked['repoName']}/{name}"}
            for name in repo.names
        ]
        self._say({"repositoryId": 1, "uid": "597091", "objects": objects})

    def signature(self, body: bytes) -> None:
        asked = json.loads(body)
        keys = {"accessKeyId": "STS.x", "accessKeySecret": "s", "stsToken": "t", "bucket": BUCKET}
        self._say({**keys, "object": asked["fileName"], "callback": "", "callbackVar": ""})

    def begin_or_complete(self, name: str, body: bytes) -> None:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in query:
            self.state.parts[f"up-{len(self.state.parts)}"] = {}
            upload = f"up-{len(self.state.parts) - 1}"
            self._xml(
                "InitiateMultipartUploadResult",
                f"<Bucket>{BUCKET}</Bucket><Key>{name}</Key><UploadId>{upload}</UploadId>",
            )
            return
        given = self.state.parts.pop(query["uploadId"][0])
        numbers = [int(number) for number in re.findall(r"<PartNumber>(\d+)<", body.decode())]
        self.state.store[name] = b"".join(given[number] for number in numbers)
        self._xml("CompleteMultipartUploadResult", f"<Key>{name}</Key>")

    def part(self, _name: str, body: bytes) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.state.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
        self._raw(200, b"", {"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest().upper()}"'})

    def parts(self, _name: str, _: bytes) -> None:
        upload = parse_qs(urlsplit(self.path).query)["uploadId"][0]
        if upload not in self.state.parts:
            self._raw(404, b"<Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>", {})
            return
        found = "".join(
            f"<Part><PartNumber>{number}</PartNumber><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f'<ETag>"{hashlib.md5(data, usedforsecurity=False).hexdigest().upper()}"</ETag>'
            f"<Size>{len(data)}</Size></Part>"
            for number, data in sorted(self.state.parts[upload].items())
        )
        self._xml(
            "ListPartsResult",
            f"<IsTruncated>false</IsTruncated><NextPartNumberMarker>0</NextPartNumberMarker>{found}",
        )

    def _xml(self, kind: str, inside: str) -> None:
        text = f'<?xml version="1.0" encoding="UTF-8"?><{kind}>{inside}</{kind}>'
        self._raw(200, text.encode(), {"Content-Type": "application/xml"})

    def addresses(self, body: bytes) -> None:
        asked = json.loads(body)
        repo = self._repo(asked, asked["userName"])
        if repo is None:
            return
        name = f"{asked['userName']}/{asked['repositoryName']}"
        found = {
            file: {"url": f"{self.state.url}/files/{name}/{file}", "fileName": file, "hash": ""}
            for file in asked["modelNames"]
            if file in repo.files and file not in self.state.hidden
        }
        self._say({"modelNames": found, "filePaths": None})

    def file(self, name: str, path: str, _: bytes) -> None:
        self._raw(200, self.state.repos[name].files[path], {"Content-Type": "application/octet-stream"})


@contextmanager
def openxlab() -> Iterator[State]:
    """The hub, at ``state.url``, until the block ends: its interface below ``/api/v1``, the bucket not."""
    with serve(OpenXLabHandler) as state:
        yield state
