"""Where nodes may be reached: which to dial next and when, and which to tell others of. Pure.

Configured addresses are always tried again. Others are heard of from peers and so bounded, in all and per
source, and only dialled when they are IP addresses of a kind that this node may dial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple, Protocol

from node.endpoint import LEAST_PORT, MAX_PORT, Endpoint, is_loopback

MAX_ADDRESSES: Final = 2_000
"""Heard of, beside the configured ones."""
MAX_PER_SOURCE: Final = 200
"""Heard of from one source."""
WANTED: Final = 8
"""Connections that we dial."""

_FIRST_MS: Final = 1_000
_LAST_MS: Final = 200_000
"""With half of it for jitter: five minutes."""
_HEARD_FIRST_MS: Final = 30_000
_HEARD_LAST_MS: Final = 2_400_000
"""With half of it for jitter: an hour."""
_STEADY_MS: Final = 60_000
"""A connection that lasted this long worked; a shorter one counts as a failure."""
_RECENT_MS: Final = 24 * 3_600_000
"""Others are told of what worked within this time."""
_TRIES_NEW: Final = 4
"""An address that never worked is forgotten after so many failures,"""
_TRIES_OLD: Final = 20
"""one that did after so many in a row."""
_DRAWN: Final = 8
"""Of so many at random, the stalest makes room for a new one."""


class Dice(Protocol):
    """Randomness; `random.Random` is one."""

    def randrange(self, stop: int, /) -> int:
        """Return an integer from 0 to stop - 1."""


class Told(NamedTuple):
    """An address to tell others of."""

    endpoint: Endpoint
    worked_ms: int
    """When we last had a connection there; Unix milliseconds."""


@dataclass(slots=True)
class Known:
    """An address and what became of it."""

    endpoint: Endpoint
    configured: bool = False
    by_hand: bool = False
    """Configured by `peer add`; kept beyond a restart."""
    source: str = ""
    """Who told of it."""
    heard_ms: int = 0
    """Last time that someone told of it; Unix milliseconds."""
    worked_ms: int = 0
    """Last time that it proved to be a node; Unix milliseconds; 0 is never."""
    failures: int = 0
    """In a row."""
    next_try_ms: int = 0
    """Monotonic milliseconds."""
    dialled: bool = False
    """We are dialling it or connected to it."""
    called: bool = False
    """It is connected to us."""

    @property
    def staleness(self) -> tuple[int, int, Endpoint]:
        """The smaller, the staler."""
        return (self.worked_ms, self.heard_ms, self.endpoint)


class AddressBook:
    """Known addresses."""

    def __init__(
        self,
        dice: Dice,
        *,
        loopback_only: bool,
        discovery: bool = True,
        wanted: int = WANTED,
        max_addresses: int = MAX_ADDRESSES,
        max_per_source: int = MAX_PER_SOURCE,
    ) -> None:
        """Without `discovery` nothing but configured addresses is kept.

        `loopback_only`: what is heard of is dialled on this machine only; what is configured, anywhere.
        """
        self._dice = dice
        self._loopback_only = loopback_only
        self._discovery = discovery
        self._wanted = wanted
        self._max_addresses = max_addresses
        self._max_per_source = max_per_source
        self._configured: dict[Endpoint, Known] = {}
        self._heard: dict[Endpoint, Known] = {}
        self._per_source: dict[str, int] = {}
        self._own: dict[Endpoint, None] = {}
        self._deadline: int | None = None
        self._changed = False

    def __len__(self) -> int:
        return len(self._configured) + len(self._heard)

    # -------------------------------------------------------------------------------------- what is known

    def configure(self, endpoint: Endpoint, *, by_hand: bool = False) -> bool:
        """Keep a connection to this address. False where that is so already."""
        if endpoint in self._configured:
            return False
        known = self._forget_heard(endpoint) or Known(endpoint)
        known.configured, known.by_hand, known.source = True, by_hand, ""
        known.failures = known.next_try_ms = 0
        self._configured[endpoint] = known
        self._changed = True
        return True

    def deconfigure(self, endpoint: Endpoint) -> bool:
        """Keep no connection to this address any more. False where it was not configured."""
        self._changed = True
        return self._configured.pop(endpoint, None) is not None

    def is_configured(self, endpoint: Endpoint) -> bool:
        return endpoint in self._configured

    def configured_host(self, host: str) -> bool:
        """Tell whether a configured address is on this host."""
        return any(endpoint.host == host for endpoint in self._configured)

    def mark_own(self, endpoint: Endpoint) -> None:
        """Never dial this address: it is our own."""
        self._own[endpoint] = None
        self._forget_heard(endpoint)
        self._changed = True

    def hear(self, told: Iterable[tuple[str, int]], source: str, from_host: str, wall_ms: int) -> int:
        """Take (host, port) that a peer told of; return how many are new.

        They count for the peer's host, on this machine for `source`, its identity: identities cost nothing.
        Passes over what may not be dialled; loopback addresses unless they come from this machine; and all
        beyond the bounds.
        """
        source = source if is_loopback(from_host) else from_host
        new = 0
        for host, port in told:
            endpoint = self._acceptable(host, port, from_host)
            if endpoint is None:
                continue
            known = self._heard.get(endpoint)
            if known is not None:
                known.heard_ms = wall_ms
            elif self._per_source.get(source, 0) < self._max_per_source and self._make_room():
                self._remember(Known(endpoint, source=source, heard_ms=wall_ms))
                new += 1
        return new

    def called(self, endpoint: Endpoint, wall_ms: int) -> None:
        """Note that a node which says that it listens there has connected to us: no need to dial it now.

        Its host has proven itself, and its port is its own affair: that is enough to tell others of it.
        """
        self.hear([endpoint], source=str(endpoint), from_host=endpoint.host, wall_ms=wall_ms)
        known = self._find(endpoint)
        if known is not None:
            known.called, known.worked_ms, known.failures = True, wall_ms, 0
            self._changed = True

    def left(self, endpoint: Endpoint) -> None:
        """Note that it is connected to us no longer."""
        known = self._find(endpoint)
        if known is not None:
            known.called = False
            self._changed = True

    def restore(self, known: Known) -> None:
        """Take an address that was saved, by the same rules."""
        endpoint = self._acceptable(*known.endpoint, from_host="127.0.0.1")
        if endpoint is None or endpoint in self._heard or len(self._heard) >= self._max_addresses:
            return
        if self._per_source.get(known.source, 0) < self._max_per_source:
            self._remember(known)

    def saved(self) -> list[Known]:
        """Return what is kept beyond a restart: addresses heard of, and those configured by hand."""
        return [one for one in self._configured.values() if one.by_hand] + list(self._heard.values())

    def dialable(self, host: str) -> bool:
        """Tell whether an address that was heard of may be dialled: an IP address of one machine."""
        ip = _ip(host)
        if ip is None or ip.is_loopback:
            return ip is not None
        useless = ip.is_unspecified or ip.is_multicast or ip.is_reserved or ip.is_link_local
        return not (self._loopback_only or useless)

    # ------------------------------------------------------------------------------------------- dialling

    def next_dials(self, mono_ms: int, is_banned: Callable[[str], bool]) -> list[Endpoint]:
        """Return what to dial now: configured addresses that are due, and others at random up to `wanted`.

        Each counts as dialled until `failed` or `ended` is told of it. A banned host is passed over.
        """
        due = self._due(self._configured, mono_ms, is_banned)
        missing = self._missing() - len(due)
        if missing > 0:
            due += self._draw(self._due(self._heard, mono_ms, is_banned), missing)
        for known in due:
            known.dialled = self._changed = True
        return [known.endpoint for known in due]

    def _due(
        self, addresses: Mapping[Endpoint, Known], mono_ms: int, is_banned: Callable[[str], bool]
    ) -> list[Known]:
        """Return those to try now; a banned host is looked at again later."""
        due = [one for one in addresses.values() if one.next_try_ms <= mono_ms and self._is_free(one)]
        for known in due:
            if is_banned(known.endpoint.host):
                known.next_try_ms = mono_ms + _LAST_MS
                self._changed = True
        return [known for known in due if known.next_try_ms <= mono_ms]

    def next_deadline(self) -> int | None:
        """Return when `next_dials` will have something, in monotonic milliseconds; None for never."""
        if self._changed:
            free = [one for one in self._configured.values() if self._is_free(one)]
            if self._missing() > 0:
                free += [one for one in self._heard.values() if self._is_free(one)]
            self._deadline = min((one.next_try_ms for one in free), default=None)
            self._changed = False
        return self._deadline

    def worked(self, endpoint: Endpoint, wall_ms: int) -> None:
        """Note that a node has proven itself at an address that we dialled."""
        known = self._find(endpoint)
        if known is not None:
            known.worked_ms = wall_ms

    def failed(self, endpoint: Endpoint, mono_ms: int) -> int:
        """Note that nobody answered; return how often in a row. The first is worth a line of the log."""
        return self._put_off(endpoint, mono_ms, lasted_ms=0)

    def ended(self, endpoint: Endpoint, mono_ms: int, lasted_ms: int) -> int:
        """Note that a connection which we dialled is over; as `failed`, where it was a short one."""
        return self._put_off(endpoint, mono_ms, lasted_ms)

    def _put_off(self, endpoint: Endpoint, mono_ms: int, lasted_ms: int) -> int:
        known = self._find(endpoint)
        if known is None:
            return 0
        self._changed = True
        known.dialled = False
        known.failures = 0 if lasted_ms >= _STEADY_MS else known.failures + 1
        first, last = (_FIRST_MS, _LAST_MS) if known.configured else (_HEARD_FIRST_MS, _HEARD_LAST_MS)
        delay = min(first << min(max(known.failures - 1, 0), 16), last)
        known.next_try_ms = mono_ms + delay + self._dice.randrange(delay // 2 + 1)
        if not known.configured and known.failures >= (_TRIES_OLD if known.worked_ms else _TRIES_NEW):
            self._forget_heard(endpoint)
        return known.failures

    def _missing(self) -> int:
        every = (*self._configured.values(), *self._heard.values())
        return self._wanted - sum(known.dialled for known in every)

    def _is_free(self, known: Known) -> bool:
        return not known.dialled and not known.called and known.endpoint not in self._own

    # ------------------------------------------------------------------------------------------- exchange

    def sample(self, limit: int, to_host: str, wall_ms: int) -> list[Told]:
        """Return addresses to tell a peer of: at random, where we had a connection within a day.

        Loopback addresses only to peers on this machine; names to nobody.
        """
        local = is_loopback(to_host)
        every = (*self._configured.values(), *self._heard.values())
        worked = [
            known
            for known in every
            if known.worked_ms
            and wall_ms - known.worked_ms <= _RECENT_MS
            and _ip(known.endpoint.host) is not None
            and (local or not is_loopback(known.endpoint.host))
        ]
        return [Told(known.endpoint, known.worked_ms) for known in self._draw(worked, limit)]

    # --------------------------------------------------------------------------------------------- inside

    def _find(self, endpoint: Endpoint) -> Known | None:
        return self._configured.get(endpoint) or self._heard.get(endpoint)

    def _acceptable(self, host: str, port: int, from_host: str) -> Endpoint | None:
        """Return the address in its one form, None where it is not to be kept among those heard of."""
        ip = _ip(host)
        if ip is None or not LEAST_PORT <= port <= MAX_PORT or not self.dialable(host):
            return None
        if not self._discovery:
            return None
        if ip.is_loopback and not is_loopback(from_host):
            return None
        endpoint = Endpoint(str(ip), port)
        return None if endpoint in self._configured or endpoint in self._own else endpoint

    def _remember(self, known: Known) -> None:
        self._heard[known.endpoint] = known
        self._per_source[known.source] = self._per_source.get(known.source, 0) + 1
        self._changed = True

    def _forget_heard(self, endpoint: Endpoint) -> Known | None:
        known = self._heard.pop(endpoint, None)
        if known is not None:
            self._per_source[known.source] -= 1
            if not self._per_source[known.source]:
                del self._per_source[known.source]
        return known

    def _make_room(self) -> bool:
        """Forget the stalest of a few where the book is full. False where all are connected."""
        if len(self._heard) < self._max_addresses:
            return True
        idle = [one for one in self._heard.values() if not one.dialled and not one.called]
        drawn = self._draw(idle, _DRAWN)
        if drawn:
            self._forget_heard(min(drawn, key=lambda one: one.staleness).endpoint)
        return bool(drawn)

    def _draw(self, known: Sequence[Known], count: int) -> list[Known]:
        """Return up to `count` of them at random, each once."""
        pool = list(known)
        drawn: list[Known] = []
        while pool and len(drawn) < count:
            place = self._dice.randrange(len(pool))
            pool[place], pool[-1] = pool[-1], pool[place]
            drawn.append(pool.pop())
        return drawn


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that the host is, None for a name. IPv4 inside IPv6 is IPv4."""
    try:
        if ":" not in host or "%" in host:
            return IPv4Address(host)
        address = IPv6Address(host)
    except AddressValueError:
        return None
    return address.ipv4_mapped or address
