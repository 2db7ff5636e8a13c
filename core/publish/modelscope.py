"""ModelScope by its own client modelscope-hub (0.5): MODELSCOPE_ENDPOINT names another site or a mirror.

The client asks which contents are there already and sends only the others; its own record of what was
committed lies in the job's folder.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelscope_hub import HubApi
from modelscope_hub.errors import (
    AlreadyExistsError,
    APIError,
    HubError,
    NetworkError,
    NotExistError,
    QuotaExceededError,
    StorageError,
)
from modelscope_hub.types import Visibility

from core.publish.hub import Parcel, Refusal, Sent, by_network, by_status, causes, in_words, refuse_foreign

PUBLIC, PRIVATE = "public", "private"


def _refusal(error: Exception, repo: str, endpoint: str) -> Refusal:
    for one in causes(error):
        if isinstance(one, QuotaExceededError):
            return Refusal("quota", words=one.message)
        if isinstance(one, AlreadyExistsError):
            return Refusal("taken", repo=repo)
        if isinstance(one, APIError) and one.status_code:
            return by_status(one.status_code, one.message, repo)
    for one in causes(error):
        if not isinstance(one, NetworkError) and (found := by_network(one, endpoint)):
            return found
    if isinstance(error, NetworkError):
        return Refusal("network", endpoint=endpoint)
    words = error.message if isinstance(error, HubError) else f"{type(error).__name__}: {error}"
    return Refusal("other", words=words[:300])


@contextmanager
def _reasons() -> Iterator[list[Exception]]:
    """Why files failed: the client (0.5.1) raises only how many did, and logs each error."""
    heard: list[Exception] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            given = record.args if isinstance(record.args, tuple) else ()
            heard.extend(one for one in given if isinstance(one, Exception))

    listener, log = Listener(logging.ERROR), logging.getLogger("modelscope_hub")
    log.addHandler(listener)
    try:
        yield heard
    finally:
        log.removeHandler(listener)


def _last_word(hub: "ModelScope", error: Exception) -> Refusal:
    found = _refusal(error, hub.repo, hub.endpoint)
    found.again = False  # the client has tried five times itself
    return found


_in_words = in_words(_last_word)


class ModelScope:
    """The hub as the publishing job sees it; ``record`` is where the client keeps what was committed."""

    def __init__(self, parcel: Parcel, token: str | None, record: Path) -> None:
        self.parcel, self.repo, self.record, self.token = parcel, parcel.repo, record, token
        self.kind = "studio" if parcel.what == "app" else "model"
        self.api = HubApi(endpoint=os.environ.get("MODELSCOPE_ENDPOINT") or None, token=token or "")
        self.endpoint = str(self.api._config.endpoint)

    @_in_words
    def check(self) -> str:
        """Who the token is; whether it may write there is known only by writing."""
        if not self.token:
            raise Refusal("no_token")
        return str(self.api.whoami().username)

    @_in_words
    def send(self, sent: Sent) -> str:
        """Make the repository, send the files, commit them."""
        self._prepare()
        sent("", 0, self.parcel.size)
        with _reasons() as heard:
            try:
                self._upload(sent)
            except StorageError as error:
                raise (heard[-1] if heard else error) from error
        sent("", self.parcel.size, self.parcel.size)
        return f"{self.endpoint}/{self.kind}s/{self.repo}"

    def _upload(self, sent: Sent) -> None:
        self.api.upload_folder(
            self.repo,
            self.kind,
            self.parcel.folder,
            commit_message="Publish",
            use_cache=True,
            tracker_path=self.record,
            sync_remote_repo=self.kind == "model",
            progress_callback=lambda told: sent("", int(told.get("committed_bytes") or 0), self.parcel.size),
        )

    @_in_words
    def fetch(self, target: Path) -> None:
        """Everything that the repository holds now; of a Studio the client cannot."""
        if self.kind == "studio":
            raise Refusal("not_fetched")
        self.api.download_repo(self.repo, self.kind, local_dir=target)

    def _prepare(self) -> None:
        try:
            info = self.api.get_repo(self.repo, self.kind)
        except NotExistError:
            self._create()
            return
        if self.kind == "model":
            refuse_foreign(
                self.repo, {str(file.path) for file in self.api.list_repo_files(self.repo, "model")}
            )
        if info.visibility == Visibility.PUBLIC and not self.parcel.public:
            raise Refusal("public", repo=self.repo)

    def _create(self) -> None:
        """A new repository has nothing of what an earlier one of that name was sent."""
        self.record.unlink(missing_ok=True)
        visibility = PUBLIC if self.parcel.public else PRIVATE
        extra = {"sdk_type": "streamlit"} if self.kind == "studio" else {}
        self.api.create_repo(
            self.repo, self.kind, visibility=visibility, license=self.parcel.licence or "other", **extra
        )
