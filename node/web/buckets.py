"""How often someone may ask: a bucket of tokens for each client, in a table that cannot grow without end.

Pure: time is handed in, in seconds of any clock that only goes forward.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

MAX_CLIENTS: Final = 4_096
"""Buckets kept; beyond it the one that was not asked for longest is forgotten, which fills it."""


class Buckets:
    """Token buckets by client: `burst` requests at once, then `rate` a second."""

    def __init__(self, rate: float, burst: int, clients: int = MAX_CLIENTS) -> None:
        self._rate = rate
        self._burst = burst
        self._clients = clients
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, client: str, now: float) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        tokens, since = self._levels.pop(client, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - since) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._levels[client] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._levels) > self._clients:
            self._levels.popitem(last=False)
        return wait

    def __len__(self) -> int:
        return len(self._levels)


def client_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else found.exploded[:19]
    return str(found)
