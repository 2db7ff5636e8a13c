"""Hugging Face by huggingface_hub (1.33): HF_ENDPOINT names a mirror; proxies are those of the environment.

Large files go first, one after the other, then one commit makes all of them visible at once: what was sent
before a break is there and is not sent again.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from httpx import HTTPStatusError
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    snapshot_download,
)
from huggingface_hub.errors import (
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)

from core.publish.hub import Parcel, Refusal, Sent, by_network, by_status, causes, in_words, refuse_foreign

SPACE_SDK = "docker"
READ_ONLY = "read"


def _refusal(error: Exception, repo: str) -> Refusal:
    for one in causes(error):
        if isinstance(one, HfHubHTTPError | HTTPStatusError):
            text = getattr(one, "server_message", None) or one.response.text
            return by_status(one.response.status_code, text, repo)
        if found := by_network(one, constants.ENDPOINT):
            return found
    if "LFS batch API" in str(error):
        return by_status(402 if "quota" in str(error).lower() else 400, str(error), repo)
    return Refusal("other", words=f"{type(error).__name__}: {error}"[:300])


_in_words = in_words(lambda hub, error: _refusal(error, hub.repo))


class HuggingFace:
    """The hub as the publishing job sees it."""

    def __init__(self, parcel: Parcel, token: str | None) -> None:
        self.parcel, self.repo = parcel, parcel.repo
        self.kind = "space" if parcel.what == "app" else "model"
        self.token = token or get_token()
        self.api = HfApi(token=self.token)

    @_in_words
    def check(self) -> str:
        """Who the token is. Raises Refusal for one that cannot write there."""
        if not self.token:
            raise Refusal("no_token")
        found = self.api.whoami()
        name, owner = str(found["name"]), self.repo.partition("/")[0]
        role = (found.get("auth") or {}).get("accessToken", {}).get("role")
        if role == READ_ONLY:
            raise Refusal("read_only")
        allowed = [name, *(str(group["name"]) for group in found.get("orgs", ()))]
        if owner.lower() not in map(str.lower, allowed):
            raise Refusal("not_yours", owner=owner, allowed=", ".join(allowed))
        return name

    @_in_words
    def send(self, sent: Sent) -> str:
        """Make the repository, send the files, and commit them in one."""
        there = self._prepare()
        additions = {
            name: CommitOperationAdd(name, str(self.parcel.folder / name)) for name in self.parcel.files
        }
        behind = 0
        for name, size in self.parcel.files.items():
            sent(name, behind, self.parcel.size)
            self.api.preupload_lfs_files(self.repo, [additions[name]], repo_type=self.kind)
            behind += size
        sent("", behind, self.parcel.size)
        stale = [CommitOperationDelete(name) for name in there - {*additions, ".gitattributes"}]
        self.api.create_commit(
            self.repo, [*additions.values(), *stale], commit_message="Publish", repo_type=self.kind
        )
        return f"{constants.ENDPOINT}/{'spaces/' if self.kind == 'space' else ''}{self.repo}"

    @_in_words
    def fetch(self, target: Path) -> None:
        """Everything that the repository holds now."""
        with suppress(LocalEntryNotFoundError):
            snapshot_download(self.repo, repo_type=self.kind, local_dir=target, token=self.token)  # nosec B615  # compared by its hashes
            return
        # The client says only that nothing is there: asking once more says why.
        self.api.repo_info(self.repo, repo_type=self.kind)
        raise Refusal("other", words="incomplete")

    def _prepare(self) -> set[str]:
        """The files that are there; a new repository is made, a foreign or a public one is not touched."""
        try:
            info: Any = self.api.repo_info(self.repo, repo_type=self.kind)
        except RepositoryNotFoundError:
            sdk = SPACE_SDK if self.kind == "space" else None
            self.api.create_repo(
                self.repo, repo_type=self.kind, private=not self.parcel.public, space_sdk=sdk, exist_ok=True
            )
            return set()
        there = {file.rfilename for file in info.siblings or ()}
        refuse_foreign(self.repo, there)
        if not info.private and not self.parcel.public:
            raise Refusal("public", repo=self.repo)
        return there
