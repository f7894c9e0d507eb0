"""Who looks: someone at this machine, or someone elsewhere. Pure; reads an ASGI scope.

At this machine means: the connection comes from a loopback address, the browser asked for a loopback name,
and nothing says that a proxy handed it on.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

LOOPBACK_NAMES: Final = ("localhost",)
_FORWARDED: Final = frozenset((b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip"))
"""Headers of proxies."""


def is_local(scope: dict[str, Any] | Any) -> bool:  # noqa: ANN401 - ASGI's scope is a mapping of anything
    """Tell whether a request comes from this machine, by a name of this machine, and by no proxy."""
    client = scope.get("client")
    if client is None or not is_loopback_host(client[0]):
        return False
    headers = dict(scope["headers"])
    if not _FORWARDED.isdisjoint(headers):
        return False
    return is_loopback_host(host_of(headers.get(b"host", b"").decode("latin-1")))


def host_of(text: str) -> str:
    """Return the host of a Host header, without its port and brackets, lower case."""
    text = text.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def is_loopback_host(host: str) -> bool:
    """Tell whether a name or address, without a port, is this machine's own."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
