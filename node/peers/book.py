"""The peer book as one: addresses, blame and names, and what of them outlives the process. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

from node.endpoint import MAX_PORT, Endpoint, EndpointError, is_loopback, parse_host
from node.ledger import codec
from node.peers.addresses import AddressBook, Dice, Known
from node.peers.blame import BAN_MS, LIMIT, Ban, Bans, Scores, Verdict
from node.peers.names import Names
from node.sealed import Unreadable, array, seal, unseal

VERSION: Final = 1

_IDENTITY_DIGITS: Final = 64


class PeerBook:
    """All that a node knows of its peers beside the open connections."""

    def __init__(
        self, dice: Dice, *, loopback_only: bool, discovery: bool = True, ban_ms: int = BAN_MS
    ) -> None:
        self._ban_ms = ban_ms
        self._scores = Scores()
        self._bans = Bans()
        self.addresses = AddressBook(dice, loopback_only=loopback_only, discovery=discovery)
        self.names = Names()

    # --------------------------------------------------------------------------------------------- peers

    def configure(
        self, endpoint: Endpoint, name: str = "", identity: bytes | None = None, *, by_hand: bool = False
    ) -> bool:
        """Keep a connection to a peer of the file, a flag or (`by_hand`) `peer add`. False: one is kept."""
        if not self.addresses.configure(endpoint, by_hand=by_hand):
            return False
        self.names.configure(endpoint, name, identity)
        return True

    def deconfigure(self, endpoint: Endpoint) -> bool:
        """Keep none any more (`peer remove`), and forget who was met there. False where none was kept."""
        self.names.forget(endpoint)
        return self.addresses.deconfigure(endpoint)

    def next_dials(self, mono_ms: int, wall_ms: int) -> list[Endpoint]:
        """Return what to dial now; see `AddressBook.next_dials`."""
        return self.addresses.next_dials(mono_ms, lambda host: self.banned(host, None, wall_ms) is not None)

    # --------------------------------------------------------------------------------------------- blame

    def charge(
        self,
        host: str,
        identity: bytes | None,
        cost: int,
        reason: str,
        *,
        mono_ms: int,
        wall_ms: int,
        dialled: Endpoint | None = None,
    ) -> Verdict:
        """Charge a peer for a fault; at 100 points it has to go.

        `identity` is the proven one; `dialled` the address that we dialled it at, None where it dialled us.
        """
        scored = _scored(host, identity)
        for subject in scored:
            self._scores.charge(subject, cost, mono_ms)
        if max(self._scores.points(subject, mono_ms) for subject in scored) < LIMIT:
            return Verdict.STAYS
        for subject in scored:
            self._scores.clear(subject)
        if dialled is not None and self.addresses.is_configured(dialled):
            return Verdict.DISCONNECT
        guilty = self._guilty(host, identity)
        if guilty is None:
            return Verdict.DISCONNECT
        self._bans.ban(Ban(guilty, wall_ms + self._ban_ms, reason, by_hand=False))
        return Verdict.BAN

    def _guilty(self, host: str, identity: bytes | None) -> str | None:
        """Return whom a ban names: the host. None where nobody may be banned.

        Not the identity, though it is proven: the wire is open, and whoever hands on what two nodes say to
        each other may then speak as either of them. A new identity costs nothing, so that a ban of one stops
        nobody; it stands in for the host only where the owner's own peer is there too.
        """
        if is_loopback(host) or self._is_friend(identity):
            return None
        if not self._is_exempt(host):
            return host
        return None if identity is None else identity.hex()

    def score(self, host: str, identity: bytes | None, mono_ms: int) -> int:
        """Return a peer's points, 0 to 99."""
        return max(self._scores.points(subject, mono_ms) for subject in _scored(host, identity))

    def banned(self, host: str, identity: bytes | None, wall_ms: int) -> Ban | None:
        """Return the ban that keeps out a host, or an identity that has proven itself."""
        for subject in _subjects(host, identity):
            ban = self._bans.find(subject, wall_ms)
            if ban is not None and (ban.by_hand or not self._is_exempt(subject)):
                return ban
        return None

    def ban(self, target: str, reason: str, wall_ms: int) -> Ban:
        """Ban a host or an identity (64 hexadecimal digits) by hand. Raises EndpointError otherwise."""
        subject = _subject(target)
        if is_loopback(subject):
            raise EndpointError(f"{subject} is this machine", "ban one node on it, by its id")
        ban = Ban(subject, wall_ms + self._ban_ms, reason, by_hand=True)
        self._bans.ban(ban)
        return ban

    def unban(self, target: str) -> bool:
        """Lift a ban. False where there is none. Raises EndpointError."""
        return self._bans.lift(_subject(target))

    def bans(self, wall_ms: int) -> list[Ban]:
        """Return the bans in force."""
        return self._bans.all(wall_ms)

    def _is_exempt(self, subject: str) -> bool:
        """Tell whether a host or an identity is banned by hand alone: on this machine, or configured."""
        if len(subject) == _IDENTITY_DIGITS:
            return self._is_friend(bytes.fromhex(subject))
        return is_loopback(subject) or self.addresses.configured_host(subject)

    def _is_friend(self, identity: bytes | None) -> bool:
        return identity is not None and self.names.endpoint_of(identity) is not None

    # ---------------------------------------------------------------------------------------------- file

    def dump(self, wall_ms: int) -> bytes:
        """Return the content of the peers file: bans, addresses, and who was met at the configured ones."""
        bans = [(ban.subject, ban.until_ms, ban.reason, int(ban.by_hand)) for ban in self.bans(wall_ms)]
        met = [(*endpoint, identity) for endpoint, identity in self.names.met()]
        addresses = [
            (*one.endpoint, int(one.by_hand), one.source, one.heard_ms, one.worked_ms)
            for one in self.addresses.saved()
        ]
        return seal(VERSION, (bans, met, addresses))

    def load(self, content: bytes) -> None:
        """Take back what `dump` gave, after the configured peers. Raises Unreadable; then it took nothing."""
        bans, met, addresses = (array(part) for part in array(unseal(VERSION, content), 3))
        read_bans = [_ban(row) for row in bans]
        read_met = [_met(row) for row in met]
        read_addresses = [_address(row) for row in addresses]
        for ban in read_bans:
            self._bans.ban(ban)
        for known in read_addresses:
            if known.by_hand:
                self.configure(known.endpoint, by_hand=True)
            else:
                self.addresses.restore(known)
        for endpoint, identity in read_met:
            self.names.remember(endpoint, identity)


def _subjects(host: str, identity: bytes | None) -> list[str]:
    """Return what a ban of a peer names."""
    return [host] if identity is None else [host, identity.hex()]


def _scored(host: str, identity: bytes | None) -> list[str]:
    """Return whom a fault counts against. Nodes on this machine share a host, but no blame."""
    return _subjects(host, identity)[1 if is_loopback(host) and identity is not None else 0 :]


def _subject(target: str) -> str:
    """Return what was typed in the form that bans are kept under. Raises EndpointError."""
    if len(target) == _IDENTITY_DIGITS and not target.lower().strip("0123456789abcdef"):
        return target.lower()
    host = parse_host(target)
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        raise EndpointError(
            f"{target!a} is no IP address and no node id", "name one of those that `peers` shows"
        ) from None
    return host


def _ban(row: object) -> Ban:
    subject, until_ms, reason, by_hand = array(row, 4)
    return Ban(_text(subject), _uint(until_ms), _text(reason), by_hand=_uint(by_hand) == 1)


def _met(row: object) -> tuple[Endpoint, bytes]:
    host, port, identity = array(row, 3)
    if not isinstance(identity, bytes) or len(identity) != codec.HASH_BYTES:
        raise Unreadable("an identity in it is not 32 bytes")
    return _endpoint(host, port), identity


def _address(row: object) -> Known:
    host, port, by_hand, source, heard_ms, worked_ms = array(row, 6)
    return Known(
        _endpoint(host, port),
        by_hand=_uint(by_hand) == 1,
        source=_text(source),
        heard_ms=_uint(heard_ms),
        worked_ms=_uint(worked_ms),
    )


def _endpoint(host: object, port: object) -> Endpoint:
    number = _uint(port)
    if not 1 <= number <= MAX_PORT:
        raise Unreadable("a port in it is out of range")
    return Endpoint(_text(host), number)


def _uint(value: object) -> int:
    if not isinstance(value, int) or not codec.is_uint(value):
        raise Unreadable("a number in it is none, or out of range")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unreadable("a text in it is none")
    return value
