"""Where a server's name leads: looked up once, so that what is connected to is what was checked."""

import socket
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from core.errors import EndpointFailed
from core.wording import say

# Where Alibaba's, Amazon's and Oracle's clouds answer beside the link-local 169.254.169.254 of all of them.
METADATA = {"100.100.100.200", "fd00:ec2::254", "192.0.0.192"}


def addresses(url: str) -> list[str]:
    """Those of the server of ``url``, in the order to try them; none of a name that only a proxy knows.

    Raises EndpointFailed where one of them is an address at which clouds give a machine its own keys, by
    whatever name or spelling. Others of this machine or of its network are where models are served.
    """
    parts = urlsplit(url)
    found: list[str] = []
    with suppress(OSError, UnicodeError):  # whoever connects says it
        answers = socket.getaddrinfo(parts.hostname, parts.port or parts.scheme, type=socket.SOCK_STREAM)
        found = [str(address[0]) for *_, address in answers]
    for address in found:
        if _gives_keys(address):
            raise EndpointFailed(url=url, reason=say("endpoint.metadata", address=address))
    return found


def hold_to(client: Any, found: Sequence[str]) -> None:
    """Have an httpx2 ``client`` connect to ``found`` alone: by then the server's name may lead elsewhere (DNS
    rebinding). The name itself stays in the request's Host and in TLS. What a proxy of the environment is
    asked for, that looks up itself."""
    import httpcore2  # with httpx2 half a second of imports

    class Held(httpcore2.SyncBackend):
        def connect_tcp(self, host: str, *place: Any, **how: Any) -> httpcore2.NetworkStream:
            failed: Exception = httpcore2.ConnectError(f"no address of {host}")
            for address in found:
                try:
                    return super().connect_tcp(address, *place, **how)
                except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                    failed = error
            raise failed

    client._transport._pool._network_backend = Held()  # httpx2 2.16 takes none, httpcore2 does


def _gives_keys(address: str) -> bool:
    found = ip_address(address.partition("%")[0])
    meant = getattr(found, "ipv4_mapped", None) or found
    return meant.is_link_local or str(meant) in METADATA
