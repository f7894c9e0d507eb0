"""Where a node listens or is reached: a host and a TCP port, as people write them.

Pure: looks nothing up. A host is an IPv4 address, an IPv6 address (in brackets before a port) or a name.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple

LEAST_PORT: Final = 1
MAX_PORT: Final = 65_535

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_MAX_NAME: Final = 253
"""Characters of a host name (RFC 1035)."""
_NUMBERS: Final = re.compile(r"[0-9.]+")
_SCOPE: Final = re.compile(r"[a-zA-Z0-9_.-]{1,32}")
"""Behind the `%` of a link-local IPv6 address (RFC 4007): an interface's name or number."""


class EndpointError(ValueError):
    """A text that is no host, or no host and port; `hint` shows the form that is."""

    code: Final = "bad-endpoint"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


class Endpoint(NamedTuple):
    """A host in its shortest form, lower case, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> Endpoint:
    """Return HOST:PORT as typed; raises EndpointError."""
    bracketed, closing, behind = text.rpartition("]")
    if text.startswith("[") and closing:
        host, colon, port = bracketed + closing, behind[:1], behind[1:]
    else:
        host, colon, port = text.rpartition(":")
        if ":" in host:
            raise EndpointError(f"{_shown(text)} has more than one colon", "write IPv6 as [::1]:9000")
    if colon != ":" or not host:
        raise EndpointError(f"{_shown(text)} is not HOST:PORT", "write it as 127.0.0.1:9000")
    return Endpoint(parse_host(host), parse_port(port))


def parse_port(text: str) -> int:
    """Return a TCP port as typed, 1 to 65535; raises EndpointError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and LEAST_PORT <= int(text) <= MAX_PORT):
        raise EndpointError(f"{_shown(text)} is no port", f"a port is a number, {LEAST_PORT} to {MAX_PORT}")
    return int(text)


def parse_host(text: str) -> str:
    """Return an address or a name in its shortest form, IPv6 without brackets; raises EndpointError."""
    inside = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    _, percent, scope = inside.partition("%")
    try:
        if ":" in inside and (not percent or _SCOPE.fullmatch(scope)):
            return str(IPv6Address(inside))
        if _NUMBERS.fullmatch(inside) and inside == text:
            return str(IPv4Address(inside))
    except AddressValueError:
        raise EndpointError(f"{_shown(text)} is no IP address", "write one like 127.0.0.1 or ::1") from None
    name = text.lower()
    if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
        raise EndpointError(f"{_shown(text)} is no host", "write a name like shop.example, or an IP address")
    return name.removesuffix(".")


def is_loopback(host: str) -> bool:
    """Return whether the host, as `parse_host` gives it, is this machine and no other."""
    if host == "localhost":
        return True
    try:
        if ":" not in host:
            return IPv4Address(host).is_loopback
        address = IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return False
    return (address.ipv4_mapped or address).is_loopback


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 60 else text[:60] + "...")
