"""What every hub is to the publishing job, and every way in which it may refuse."""

import ssl
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from pydantic import with_config

from core.publish.request import MARK, To, What

PAGES: dict[str, str] = {
    "huggingface": "https://huggingface.co/settings/tokens",
    "modelscope": "https://modelscope.cn/my/myaccesstoken",
    "openxlab": "https://sso.openxlab.org.cn/usercenter",
}
# name (of the file), bytes behind, bytes in all
Sent = Callable[[str, int, int], None]
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@with_config(extra="forbid")
@dataclass(frozen=True)
class Parcel:
    """What is sent where: ``files`` are names below ``folder`` with their sizes in bytes.

    ``client`` is the interpreter of a client that has an environment of its own.
    """

    to: To
    what: What
    repo: str
    public: bool
    licence: str
    folder: Path
    files: Mapping[str, int]
    client: str = ""

    @property
    def size(self) -> int:
        return sum(self.files.values())


class Hub(Protocol):
    """One hub by its own client. Every method raises Refusal."""

    def check(self) -> str:
        """Who the token is; that it may write where the parcel goes."""

    def send(self, sent: Sent) -> str:
        """Send every file; what is there already is not sent again. Returns the page's address."""

    def fetch(self, target: Path) -> None:
        """Fetch what was sent into an empty folder."""


class Refusal(Exception):
    """A hub's no, by the key of its sentence (``hub.no.<key>``). ``again``: it may be yes in a moment."""

    def __init__(self, key: str, again: bool = False, **values: object) -> None:
        super().__init__(key)
        self.key, self.again, self.values = key, again, values


def in_words(
    refusal: Callable[[Any, Exception], Refusal],
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """A decorator for a hub's methods: whatever its client raises becomes the Refusal that ``refusal`` makes
    of the hub and the error."""

    def decorate(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        @wraps(method)
        def told(*given: Parameters.args, **named: Parameters.kwargs) -> Result:
            try:
                return method(*given, **named)
            except Refusal:
                raise
            except Exception as error:
                raise refusal(given[0], error) from error

        return told

    return decorate


def by_status(status: int, text: str, repo: str) -> Refusal:
    """The refusal that an HTTP status means; ``text`` is the hub's own words."""
    words = " ".join(text.split())[:300] or str(status)
    low = text.lower()
    if status == HTTPStatus.PAYMENT_REQUIRED or any(
        w in low for w in ("quota", "storage limit", "exceeded your")
    ):
        return Refusal("quota", words=words)
    known = {
        HTTPStatus.UNAUTHORIZED: "token",
        HTTPStatus.FORBIDDEN: "forbidden",
        HTTPStatus.NOT_FOUND: "not_found",
        HTTPStatus.CONFLICT: "conflict",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large",
    }
    if status in known:
        return Refusal(known[HTTPStatus(status)], again=status == HTTPStatus.CONFLICT, words=words, repo=repo)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Refusal("too_often", again=True)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refusal("down", again=True, status=status)
    return Refusal("other", words=words)


def by_network(error: BaseException, endpoint: str) -> Refusal | None:
    """The refusal that a broken connection means; None when the error is none."""
    import httpx  # Hugging Face's client is made of it
    import requests  # and the others of this

    if any(isinstance(one, ssl.SSLError) for one in causes(error)):  # httpx: a failed connection like another
        return Refusal("certificate", endpoint=endpoint)
    kinds: tuple[tuple[type[BaseException], str, bool], ...] = (
        (httpx.ProxyError, "proxy", False),
        (httpx.InvalidURL, "endpoint", False),
        (httpx.UnsupportedProtocol, "endpoint", False),
        (httpx.TransportError, "network", True),
        (requests.exceptions.ProxyError, "proxy", False),
        (requests.exceptions.SSLError, "certificate", False),
        (requests.exceptions.InvalidURL, "endpoint", False),
        (requests.exceptions.MissingSchema, "endpoint", False),
        (requests.exceptions.InvalidSchema, "endpoint", False),
        (requests.exceptions.Timeout, "network", True),
        (requests.exceptions.ConnectionError, "network", True),
        (requests.exceptions.ChunkedEncodingError, "network", True),
        (ConnectionError, "network", True),
        (TimeoutError, "network", True),
    )
    for kind, key, again in kinds:
        if isinstance(error, kind):
            return Refusal(key, again=again, endpoint=endpoint)
    return None


def causes(error: BaseException) -> list[BaseException]:
    """An error and what it was raised from, the outermost first."""
    found = [error]
    while (below := found[-1].__cause__ or found[-1].__context__) is not None and below not in found:
        found.append(below)
    return found


def refuse_foreign(repo: str, there: Collection[str]) -> None:
    """Raises Refusal for a repository that holds something else than an earlier publishing."""
    own = {name for name in there if name not in {".gitattributes", "README.md", ".gitignore"}}
    if own and MARK not in there:
        raise Refusal("taken", repo=repo)
