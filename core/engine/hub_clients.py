"""Two hubs through their own clients, alike: list a model's files, fetch one, and say in words why not.

Both take their address from the environment (HF_ENDPOINT, MODELSCOPE_ENDPOINT), and a token for private and
gated models (HF_TOKEN or ``hf auth login``; MODELSCOPE_API_TOKEN), which is written nowhere.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import requests

from core.errors import DownloadFailed
from core.models.hubs import Hub, ModelSource, RemoteFile
from core.wording import say

# A connection that ended in the middle of an answer.
BROKE_OFF = (httpx.ReadError, httpx.RemoteProtocolError, requests.exceptions.ChunkedEncodingError)


class Hiccup(Exception):
    """Worth another try: ``reason`` says what happened, ``wait`` how many seconds the hub asks for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.wait = reason, wait


class Client(Protocol):
    """A hub. Both methods raise DownloadFailed, and Hiccup for what may pass."""

    def files(self, source: ModelSource) -> tuple[str, list[RemoteFile]]:
        """The revision that will be fetched, and every file of it."""

    def fetch(self, source: ModelSource, revision: str, file: RemoteFile, folder: Path) -> None:
        """Put one file into ``folder``, going on where an earlier try ended."""


def client_of(hub: Hub) -> Client:
    """The client of a hub."""
    return ModelScopeDownloads() if hub == "modelscope" else HuggingFaceDownloads()


def _quietly() -> None:
    """No bars in a log; how far it is can be seen from the files."""
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = os.environ["TQDM_DISABLE"] = "1"


class HuggingFaceDownloads:
    """huggingface_hub 1.33.0. Over plain HTTP: the chunked transfer of hf_xet asks servers that a mirror has
    not, unless somebody sets HF_HUB_DISABLE_XET=0."""

    def __init__(self) -> None:
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        _quietly()
        import huggingface_hub
        from huggingface_hub import constants, errors, file_download

        self.hub, self.errors, self.address = huggingface_hub, errors, constants.ENDPOINT
        self.get = file_download.http_get
        # Its own, from the environment or a file; a mirror gets none.
        self.token = None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else huggingface_hub.get_token()

    def files(self, source: ModelSource) -> tuple[str, list[RemoteFile]]:
        with self._in_words(source):
            info = self.hub.HfApi().model_info(
                source.name, revision=source.revision, files_metadata=True, timeout=10
            )
        found = [RemoteFile(one.rfilename, one.size or 0, _digest(one)) for one in info.siblings or []]
        return str(info.sha), found

    def terms(self, source: ModelSource) -> tuple[str | None, bool]:
        """The licence that the model's card states, if any, and whether it has to be accepted first."""
        with self._in_words(source):
            info = self.hub.HfApi().model_info(source.name, timeout=10)
        return getattr(info.card_data, "license", None), bool(info.gated)

    def fetch(self, source: ModelSource, revision: str, file: RemoteFile, folder: Path) -> None:
        """Not by ``hf_hub_download``: since 1.x it throws away what an interrupted download had brought."""
        part = folder / f"{file.name}.incomplete"
        with self._in_words(source):
            url = self.hub.hf_hub_url(source.name, file.name, revision=revision)
            about = self.hub.get_hf_file_metadata(url, token=self.token)
            headers = self.hub.utils.build_hf_headers(token=self.token)
            if urlsplit(about.location).netloc != urlsplit(url).netloc:
                headers.pop("authorization", None)  # whoever stores the content for the hub gets no token
            with part.open("ab") as stream:
                if about.size is not None and stream.tell() > about.size:
                    stream.seek(0)
                    stream.truncate()
                self.get(
                    about.location,
                    stream,
                    resume_size=stream.tell(),
                    headers=headers,
                    expected_size=about.size,
                )
        part.replace(folder / file.name)

    @contextmanager
    def _in_words(self, source: ModelSource) -> Iterator[None]:
        errors: Any = self.errors
        try:
            yield
        except errors.OfflineModeIsEnabled as error:
            raise _failed(source, "hub.offline") from error
        except errors.GatedRepoError as error:
            raise _failed(source, "hub.gated", variable="HF_TOKEN") from error
        except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
            raise _failed(source, "hub.no_model", variable="HF_TOKEN") from error
        except errors.RevisionNotFoundError as error:
            raise _failed(source, "hub.no_revision") from error
        except errors.EntryNotFoundError as error:
            raise _failed(source, "hub.changed") from error
        except (httpx.HTTPError, OSError) as error:  # an answer of the hub's is both
            with _http_in_words(source, self.address, "HF_TOKEN"):
                raise error


class ModelScopeDownloads:
    """modelscope-hub 0.5.1. The token comes from the environment alone: the client keeps what ``ms login``
    gave it in a pickle, which is never read here."""

    def __init__(self) -> None:
        _quietly()
        # core.engine.download tries again itself, for as long as anything comes.
        os.environ.setdefault("MODELSCOPE_API_MAX_RETRIES", "1")
        os.environ.setdefault("MODELSCOPE_REPO_TREE_PAGE_MAX_ATTEMPTS", "1")
        os.environ.setdefault("MODELSCOPE_DOWNLOAD_MAX_RETRIES", "1")
        import modelscope_hub
        from modelscope_hub import errors
        from modelscope_hub.config import HubConfig

        config = HubConfig(token=os.environ.get("MODELSCOPE_API_TOKEN", ""))
        self.errors: Any = errors
        self.address = config.endpoint
        self.api = modelscope_hub.HubApi(config)

    def files(self, source: ModelSource) -> tuple[str, list[RemoteFile]]:
        revision = source.revision or "master"
        with self._in_words(source):
            found = self.api.list_repo_files(source.name, "model", revision=revision, recursive=False)
        files = [
            RemoteFile(one.path, one.size, f"sha256:{one.sha256}" if one.sha256 else "") for one in found
        ]
        return revision, files

    def fetch(self, source: ModelSource, revision: str, file: RemoteFile, folder: Path) -> None:
        with self._in_words(source):
            self.api.download_file(
                source.name,
                "model",
                file.name,
                revision=revision,
                local_dir=folder,
                cache_dir=folder / ".cache",  # only its locks; by default in the person's home
                file_size=file.size,
            )

    @contextmanager
    def _in_words(self, source: ModelSource) -> Iterator[None]:
        errors, variable = self.errors, "MODELSCOPE_API_TOKEN"
        try:
            yield
        except errors.NotExistError as error:
            raise _failed(source, "hub.no_model", variable=variable) from error
        except errors.PermissionDeniedError as error:
            raise _failed(source, "hub.gated", variable=variable) from error
        except errors.AuthenticationError as error:
            raise _failed(source, "hub.token", variable=variable) from error
        except errors.FileIntegrityError as error:
            raise Hiccup(say("hub.broke_off")) from error
        except errors.APIError as error:
            raise _answered(source, error.status_code or 0, 0.0) from error
        except errors.NetworkError as error:
            raise Hiccup(say("hub.no_connection", address=self.address)) from error
        except (requests.RequestException, OSError) as error:
            with _http_in_words(source, str(self.address), variable):
                raise error


@contextmanager
def _http_in_words(source: ModelSource, address: str, variable: str) -> Iterator[None]:
    """What httpx (Hugging Face) and requests (ModelScope) raise; a full disk passes through."""
    try:
        yield
    except (httpx.HTTPError, requests.RequestException) as error:
        response = getattr(error, "response", None)
        if isinstance(error, BROKE_OFF):
            raise Hiccup(say("hub.broke_off")) from error
        if response is None:
            raise Hiccup(say("hub.no_connection", address=address)) from error
        if response.status_code in {401, 403}:
            key = "hub.token" if response.status_code == 401 else "hub.gated"
            raise _failed(source, key, variable=variable) from error
        wait = response.headers.get("Retry-After", "")
        raise _answered(source, response.status_code, float(wait) if wait.isdigit() else 0.0) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Hiccup(say("hub.broke_off")) from error  # huggingface_hub: a file shorter than it should be


def _answered(source: ModelSource, code: int, wait: float) -> Exception:
    """What an HTTP status means: too much asked and the hub's own faults pass."""
    if code == 429:
        return Hiccup(say("hub.too_many"), wait)
    if code >= 500 or code in {0, 408, 416}:
        return Hiccup(say("hub.server", code=code), wait)
    return _failed(source, "hub.refused", code=code)


def _failed(source: ModelSource, key: str, **values: object) -> DownloadFailed:
    return DownloadFailed(source=source, reason=say(key, **values))


def _digest(file: Any) -> str:
    """Large files are known by their content's SHA-256, small ones by git's own hash of a blob."""
    if file.lfs:
        return f"sha256:{file.lfs.sha256}"
    return f"git:{file.blob_id}" if file.blob_id else ""
