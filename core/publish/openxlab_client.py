"""What OpenXLab's own client (openxlab 0.1.3) does, run by the interpreter of that client's environment.

It cannot be installed beside this project's libraries: nothing imports this, core.publish.openxlab starts it.
The one line of standard input is a JSON object: what to do, and the keys. Each line of standard output is one
too: ``{"at": NAME}``, ``{"sent": NAME}`` or ``{"fetched": NAME, …}`` on the way, ``{"done": …}`` or
``{"no": …}`` at the end. What the client prints goes to standard error.

The client's lower half is used: its functions for people print an error and return as if nothing were, report
each call to a server, and keep what signs in on the disk.
"""

import functools
import hashlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any, TextIO

TIMEOUT = (30, 120)  # seconds to connect and for each answer; the client itself waits for ever
PART = (
    8_000_000  # bytes; the client's own 100 kB make 20,000 requests of 2 GB, and it resumes the first 1,000
)
BLOCK = 1_000_000
# What everybody writes there for a language model's files.
RESULTS = [{"Task": "Text Generation", "Dataset": "none"}]
# What the store says of a key, or of a begun file, that it has forgotten: the next try gets a new one.
EXPIRED = {"SecurityTokenExpired", "InvalidAccessKeyId.NotFound", "NoSuchUpload"}

Order = dict[str, Any]
Tell = Callable[[dict[str, Any]], None]


class No(Exception):
    """Ends the work with this answer."""


class Scrubbed(io.TextIOBase):
    """A stream that writes everything but the secrets, which the client's messages may repeat."""

    def __init__(self, stream: TextIO, secrets: list[str]) -> None:
        self.stream, self.secrets = stream, secrets

    def write(self, text: str) -> int:
        self.stream.write(without(self.secrets, text))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()


def without(secrets: list[str], text: str) -> str:
    return functools.reduce(lambda left, secret: left.replace(secret, "…"), secrets, text)


def main() -> int:
    """Returns the exit code; 1 after a no."""
    answers, order = sys.stdout, json.loads(sys.stdin.readline())
    secrets = [order["ak"], order["sk"]]
    sys.stdout = sys.stderr = Scrubbed(sys.stderr, secrets)

    def tell(said: dict[str, Any]) -> None:
        print(without(secrets, json.dumps(said)), file=answers, flush=True)

    try:
        tell({"done": act(order, secrets, tell)})
    except Exception as error:
        tell({"no": reason(error)})
        return 1
    return 0


def act(order: Order, secrets: list[str], tell: Tell) -> dict[str, Any]:
    """Sign in and do what was asked; the answer."""
    prepare(order)
    user = sign_in(order, secrets)
    if order["action"] == "send":
        send(order, tell)
    elif order["action"] == "fetch":
        fetch(order, tell)
    return {"user": user}


def prepare(order: Order) -> None:
    """Set what the client has no settings for."""
    import requests
    from openxlab.model.common import constants
    from openxlab.model.handler import upload_file
    from openxlab.xlab.handler import user_token

    requests.Session.request = functools.partialmethod(requests.Session.request, timeout=TIMEOUT)
    constants.endpoint = order["api"] or constants.endpoint
    upload_file.oss_endpoint = order["oss"] or upload_file.oss_endpoint
    user_token.AUTH_CLIENT.endpoint = f"{constants.endpoint}/sso-be/api/v1/open/"
    mend_parts()


def mend_parts() -> None:
    """Larger parts; and after a break each from where it belongs.

    The client passes over the parts that are there without moving on in the file, and would send the file's
    beginning as the missing ones: the right length, another content, and no error.
    """
    import oss2

    determine, send_part, sizes = oss2.determine_part_size, oss2.Bucket.upload_part, [PART]

    def part_size(size: int, preferred_size: int) -> int:
        sizes[0] = determine(size, max(preferred_size, PART))
        return sizes[0]

    def upload_part(bucket: Any, key: str, upload: str, number: int, data: Any) -> Any:
        data.file_object.seek((number - 1) * sizes[0])
        return send_part(bucket, key, upload, number, data)

    oss2.determine_part_size, oss2.Bucket.upload_part = part_size, upload_part


def sign_in(order: Order, secrets: list[str]) -> str:
    """Who the keys are. They, and the token that is given for them, stay in this process's memory."""
    import requests
    from openxlab.xlab.handler import user_token
    from openxlab.xlab.handler.user_config import UserConfig

    kept: list[Any] = []

    def keep(token: Any) -> None:
        kept.append(token)
        secrets.extend((token.jwt, token.refresh_token))

    user_token.UserToken.store_to_local = keep
    user_token.get_token_from_local = lambda: kept[-1] if kept else None
    user_token.get_config = lambda *_, **__: UserConfig(order["ak"], order["sk"])
    try:
        return str(user_token.get_token_via_api().sso_uid)
    except requests.RequestException:  # some are ValueErrors
        raise
    except ValueError as error:  # the message repeats what was sent
        raise No({"status": 401, "words": str(error).rpartition("message:")[2].strip()}) from error


def client() -> Any:
    from openxlab.model.clients.openapi_client import OpenapiClient
    from openxlab.model.common import constants

    return OpenapiClient(constants.endpoint, "")


def send(order: Order, tell: Tell) -> None:
    """Make the repository, send each file that is not there as it is, and see that all are."""
    hub = client()
    there = prepare_repository(hub, order)
    for file in order["files"]:
        if not (file["known"] and file["name"] in {one["name"] for one in there}):
            tell({"at": file["name"]})
            upload(hub, order["name"], file, there)
            tell({"sent": file["name"]})
            # The small files come first: another owner's name shows before the large ones are sent.
            addresses(hub, order, [file["name"]])
        else:
            tell({"sent": file["name"]})
    addresses(hub, order, [file["name"] for file in order["files"]])


def prepare_repository(hub: Any, order: Order) -> list[dict[str, Any]]:
    """The files that are there. A repository of another's making is left alone; a new one is made, private
    unless asked."""
    there = listed(hub, order["name"])
    if there is None:
        hub.create_repository(order["name"], not order["public"], metafile(order))
        return listed(hub, order["name"]) or []
    names = {one["name"] for one in there}
    if names and order["mark"] not in names:
        raise No({"key": "taken"})
    if not order["public"]:  # the client cannot ask who may see it
        hub.update_repository(order["name"], True)
    return there


def listed(hub: Any, repository: str) -> list[dict[str, Any]] | None:
    """The files of one's own repository of that name; None without one."""
    import requests

    try:
        return list(hub.query_models(repository)["models"] or ())
    except requests.RequestException:
        raise
    except ValueError:  # it has no error of its own for that; what else is wrong shows when one is made
        return None


def metafile(order: Order) -> dict[str, Any]:
    """What openxlab reads of a metafile.yml: each file is a "model" of its own name."""
    about = {"Name": order["name"], "License": order["licence"], "Code": {"URL": order["code"]}}
    return {"Collections": [about], "Models": [model(file) for file in order["files"]]}


def model(file: dict[str, Any]) -> dict[str, Any]:
    return {"Name": file["name"], "Results": RESULTS, "Weights": file["path"]}


def upload(hub: Any, repository: str, file: dict[str, Any], there: list[dict[str, Any]]) -> None:
    """Send one file; after a break it goes on with the part that is missing, of the same content alone."""
    from openxlab.model.handler.upload_file import upload_model_list
    from openxlab.utils.local_cache import cache

    cache.file_path = file["record"]
    cache.cache = cache.load_cache()
    upload_model_list(hub, repository, [model(file)], there, "bucket")


def addresses(hub: Any, order: Order, names: list[str]) -> dict[str, str]:
    """Where each file can be fetched. Raises No where the owner has no such file, or not yet."""
    import requests

    try:
        models, files = hub.get_download_url(order["owner"], order["name"], names, None, None)
    except requests.RequestException:
        raise
    except ValueError as error:
        raise No({"key": "not_found", "again": True, "words": str(error)}) from error
    found = [*(models or {}).values(), *(files or {}).values()]
    by_name = {one["fileName"]: one["url"] for one in found}
    if missing := [name for name in names if name not in by_name]:
        raise No({"key": "not_found", "again": True, "words": ", ".join(missing)})
    return by_name


def fetch(order: Order, tell: Tell) -> None:
    names = [file["name"] for file in order["files"]]
    found = addresses(client(), order, names)
    for file in order["files"]:
        tell({"fetched": file["name"], "sha256": download(found[file["name"]], file["path"])})


def download(address: str, target: str) -> str:
    """Fetch a file; its SHA-256."""
    import requests

    digest = hashlib.sha256()
    with requests.get(address, stream=True, timeout=TIMEOUT) as answer, open(target, "wb") as file:  # noqa: PTH123
        answer.raise_for_status()
        for block in answer.iter_content(BLOCK):
            file.write(block)
            digest.update(block)
    return digest.hexdigest()


def reason(error: Exception) -> dict[str, Any]:
    """An error as what :mod:`core.publish.openxlab` makes a sentence of."""
    import oss2
    import requests

    words = f"{type(error).__name__}: {error}"
    if isinstance(error, No):
        return dict(error.args[0])
    if isinstance(error, requests.HTTPError):
        return {"status": error.response.status_code, "words": error.response.text}
    if isinstance(error, requests.RequestException):
        return {"network": type(error).__name__}
    if isinstance(error, oss2.exceptions.RequestError):
        return {"network": type(error.exception).__name__, "store": True}
    if isinstance(error, oss2.exceptions.OssError) and error.status > 0:
        return {"status": error.status, "words": error.message or error.code, "again": error.code in EXPIRED}
    return {"words": str(error) if isinstance(error, ValueError) else words}


if __name__ == "__main__":
    sys.exit(main())
