"""Who this node is connected to: dialling, greeting, naming, charging and dropping peers.

Pure. Knows the peer book and the handshake; what peers say to each other after it is for others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from node.endpoint import Endpoint, EndpointError, parse_endpoint
from node.events import Answer, Dial, Level, Now, PeerCommand, PeerConnected, Refuse
from node.ledger.params import Parameters
from node.messages import (
    FEATURES,
    MAX_ADDRESSES,
    NONCE_BYTES,
    PROTOCOL_VERSION,
    Address,
    Addresses,
    GetAddresses,
    Hello,
    Ping,
    rules_hash,
)
from node.outbox import Outbox
from node.peers import Meeting, PeerBook, Verdict, clock_is_off, keep_new, median_offset
from node.protocol import Connection, Fault, PeerFault
from node.sealed import Unreadable
from node.sessions import SILENCE_MS, Session, Sessions
from node.storage.port import Store

HANDSHAKE_MS: Final = 10_000
"""A peer must have proven who it is by then."""
PING_MS: Final = 20_000
DOUBT_MS: Final = 10_000
"""A connection whose peer has opened another is dropped after so much silence: its half of it may be gone."""
ADDRESSES_MS: Final = 60_000
"""GET_ADDRESSES is answered once in this time; others of the same peer get nothing."""


_NONCES: Final = 512
_OUTWARD: Final = 8
"""Places kept for peers that we dial."""


class Random(Protocol):
    """The randomness that the driver hands in."""

    def randrange(self, stop: int, /) -> int:
        """Return an integer from 0 to stop - 1."""

    def randbytes(self, n: int, /) -> bytes:
        """Return n random bytes."""


class KnownPeer(NamedTuple):
    """A peer of the configuration."""

    endpoint: Endpoint
    name: str
    identity: bytes | None


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Who this node is, and whom it may be connected to."""

    identity: bytes
    """Its public key."""
    sign: Callable[[bytes], bytes]
    """Signs by it."""
    agent: str
    port: int
    """Where it listens."""
    peers: tuple[KnownPeer, ...]
    discovery: bool
    max_peers: int
    loopback_only: bool
    """Dial addresses that were heard of on this machine only."""


class Links:
    """Connections of one node."""

    def __init__(
        self,
        settings: LinkSettings,
        parameters: Parameters,
        network_id: bytes,
        store: Store,
        sessions: Sessions,
        out: Outbox,
        random: Random,
    ) -> None:
        self._settings = settings
        self._parameters = parameters
        self._network_id = network_id
        self._store = store
        self._sessions = sessions
        self._out = out
        self._random = random
        self.book = PeerBook(random, loopback_only=settings.loopback_only, discovery=settings.discovery)
        for peer in settings.peers:
            self.book.configure(peer.endpoint, peer.name, peer.identity)
        for host in ("127.0.0.1", "::1", "localhost"):
            self.book.addresses.mark_own(Endpoint(host, settings.port))
        self._dials: dict[int, Endpoint] = {}
        self._next_dial = 1
        self._nonces: dict[bytes, None] = {}
        """Of our last HELLOs, to notice talking to oneself, also at the end that hears of it second."""
        self._told_addresses_ms: dict[int, int] = {}
        self._told_refusals: dict[tuple[str, str], None] = {}
        """Whom we told that we cannot talk to, and why: once."""
        self.on_lost: Callable[[Session, Now], None] = lambda *_: None
        """Called with each open session that ended, by whomever."""
        self._offset: tuple[int, int] | None = None
        """How far our monotonic clock was ahead of the other, and `clock_offset_ms` then, of these peers."""
        self._last_tick_ms = 0
        self.has_new_bans = False
        """True until whoever saves the book has seen it."""
        sessions.on_fault = self._charge

    # --------------------------------------------------------------------------------------- coming up

    def connected(self, event: PeerConnected, now: Now) -> None:
        """Greet whoever is at the other end, unless it is banned or there is no room."""
        endpoint = self._dials.get(event.dial) if event.dial is not None else None
        hello = self._hello(now)
        link = Connection(
            dialled=event.dial is not None,
            hello=hello,
            sign=self._settings.sign,
            parameters=self._parameters,
            own_nonces=self._nonces.keys(),
        )
        session = Session(
            connection=event.connection,
            link=link,
            host=event.host,
            port=event.port,
            dial=event.dial,
            since_ms=now.mono_ms,
            name=str(endpoint or Endpoint(event.host, event.port)),
            heard_ms=now.mono_ms,
        )
        self._sessions.add(session)
        self._nonces[hello.nonce] = None
        if len(self._nonces) > _NONCES:
            del self._nonces[next(iter(self._nonces))]
        why_not = self._why_not(session, now)
        if why_not:
            self._drop(session, why_not, now)
            return
        self._sessions.send_bytes(session, link.outgoing())

    def _hello(self, now: Now) -> Hello:
        tip = self._store.durable_tip()
        return Hello(
            version=PROTOCOL_VERSION,
            network_id=self._network_id,
            rules_hash=rules_hash(),
            identity=self._settings.identity,
            nonce=self._random.randbytes(NONCE_BYTES),
            agent=self._settings.agent,
            port=self._settings.port,
            height=tip.height,
            work=tip.work,
            time_ms=now.wall_ms,
            features=FEATURES,
        )

    def _why_not(self, session: Session, now: Now) -> str:
        ban = self.book.banned(session.host, None, now.wall_ms)
        if ban is not None:
            return f"{session.host} is banned: {ban.reason}"
        most = self._settings.max_peers - self._kept()
        if session.dial is None and len(self._sessions.every()) > most and not self._make_room(session, now):
            return "no room for more peers"
        return ""

    def _make_room(self, caller: Session, now: Now) -> bool:
        """End the latest caller from the host that has the most, where that has more than this one's has.

        So no host can keep all others out, and yet many nodes may share one for as long as there is room.
        """
        callers: dict[str, list[Session]] = {}
        for session in self._sessions.every():
            if session.dial is None and not self._is_named(session):
                callers.setdefault(session.host, []).append(session)
        crowd = max(callers.values(), key=len)
        if len(crowd) <= len(callers[caller.host]):
            return False
        self._drop(crowd[-1], "makes room for another host", now)
        return True

    def _is_named(self, session: Session) -> bool:
        """Tell whether this is a peer of the owner's, who has proven it."""
        return session.is_open and self.book.names.endpoint_of(session.link.identity) is not None

    def _kept(self) -> int:
        """Return how many places are kept for peers that we dial: callers must not take them all."""
        dialled = sum(session.dial is not None for session in self._sessions.every())
        return max(0, min(_OUTWARD, self._settings.max_peers // 2) - dialled)

    def _may_dial(self) -> bool:
        inward = sum(session.dial is None for session in self._sessions.every())
        return inward + len(self._dials) < self._settings.max_peers

    def opened(self, session: Session, hello: Hello, now: Now) -> bool:
        """Take up a peer that has proven who it is; False where the connection is not kept."""
        session.clock_ms = hello.time_ms - now.mono_ms
        identity = hello.identity
        ban = self.book.banned(session.host, identity, now.wall_ms)
        if ban is not None:
            self._drop(session, f"banned: {ban.reason}", now)
            return False
        if not self._is_expected(session, identity, now) or not self._is_single(session, identity, now):
            return False
        session.is_open = True
        self._offset = None
        endpoint = self._endpoint_of(session)
        session.name = self.book.names.display_name(identity, endpoint)
        if session.dial is not None:
            self.book.addresses.worked(endpoint, now.wall_ms)
        elif hello.port and self.book.names.expected(endpoint) in (None, identity):
            self.book.addresses.called(endpoint, now.wall_ms)
        way = "connected to" if session.dial is not None else "was connected from"
        self._out.notice(
            "peer-connected",
            f"peer {session.name}: {way} {endpoint}, at height {hello.height} ({hello.agent})",
            fields={"node_id": identity.hex(), "address": str(endpoint), "agent": hello.agent},
        )
        if session.link.rules_differ:
            self._out.notice(
                "rules-differ",
                f"peer {session.name}: knows other upgrades of the rules; one of us is out of date",
                Level.WARNING,
            )
        if self._settings.discovery:
            self._sessions.send(session.connection, GetAddresses())
        self._ping(session, now)
        return True

    def _is_expected(self, session: Session, identity: bytes, now: Now) -> bool:
        """Compare who answered with who is expected at an address of the configuration."""
        if session.dial is None:
            return True
        endpoint = self._endpoint_of(session)
        meeting = self.book.names.meet(endpoint, identity)
        if meeting is Meeting.WRONG:
            self._out.notice(
                "peer-wrong-identity",
                f"{endpoint} is not the node that is configured there: it has proven to be {identity.hex()}",
                Level.WARNING,
            )
            self._drop(session, "another identity than configured", now)
            return False
        if meeting is Meeting.CHANGED:
            self._out.notice(
                "peer-changed-identity",
                f"{endpoint} has another identity than before: {identity.hex()}; it goes without its name "
                "until you write this identity into the peers file, or remove and add the peer",
                Level.WARNING,
            )
        return True

    def _is_single(self, session: Session, identity: bytes, now: Now) -> bool:
        """Of two connections between the same two nodes keep one, the same one at both ends.

        Where the peer has dialled the new one and the old one is to stay, ending the new one is left to the
        peer: it dialled perhaps because its half of the old one is gone, and here that is not known yet.
        """
        others = [
            other
            for other in self._sessions.open()
            if other.connection != session.connection and other.link.identity == identity
        ]
        for other in others:
            new_stays = keep_new(
                self._settings.identity,
                identity,
                new_dialled_by_us=session.dial is not None,
                old_dialled_by_us=other.dial is not None,
            )
            if new_stays:
                self._drop(other, "connected twice", now)
            elif session.dial is not None or len(others) > 1:
                self._drop(session, "connected twice", now)
                return False
            else:
                other.silence_ms = DOUBT_MS
                self._ping(other, now)
        return True

    def _endpoint_of(self, session: Session) -> Endpoint:
        """Return where the peer listens: what we dialled, else its host and the port it told of."""
        if session.dial is not None and session.dial in self._dials:
            return self._dials[session.dial]
        port = session.link.peer.port if session.is_open or session.link.is_open else 0
        return Endpoint(session.host, port or session.port)

    # --------------------------------------------------------------------------------------- going down

    def dial_failed(self, dial: int, reason: str, now: Now) -> None:
        """Nobody answered; told once, then quietly tried again."""
        endpoint = self._dials.pop(dial, None)
        if endpoint is None:
            return
        tries = self.book.addresses.failed(endpoint, now.mono_ms)
        level = Level.INFO if tries == 1 and self.book.addresses.is_configured(endpoint) else Level.DEBUG
        self._out.notice("peer-away", f"{endpoint} is away ({reason}); it is tried again", level)

    def gone(self, connection: int, reason: str, now: Now) -> None:
        """A connection is over, not by us."""
        session = self._sessions.remove(connection)
        if session is not None:
            self._ended(session, reason, now)

    def _drop(self, session: Session, reason: str, now: Now) -> None:
        self._sessions.close(session, reason)
        self._ended(session, reason, now)

    def _ended(self, session: Session, reason: str, now: Now) -> None:
        endpoint = self._endpoint_of(session)
        was_open, session.is_open = session.is_open, False
        self._offset = None
        self._told_addresses_ms.pop(session.connection, None)
        if session.dial is not None:
            self._dials.pop(session.dial, None)
            self.book.addresses.ended(endpoint, now.mono_ms, now.mono_ms - session.since_ms)
        elif was_open and not any(self._endpoint_of(other) == endpoint for other in self._sessions.open()):
            self.book.addresses.left(endpoint)
        level = Level.INFO if was_open else Level.DEBUG
        text = f"peer {session.name}: disconnected ({reason})"
        self._out.notice("peer-gone", text, level, fields={"was_open": was_open})
        if was_open:
            self.on_lost(session, now)

    # -------------------------------------------------------------------------------------------- blame

    def faulty(self, session: Session, fault: PeerFault, now: Now) -> None:
        """Charge a peer for breaking the protocol, and end the connection."""
        if fault.code == Fault.SELF_CONNECTION:
            if session.dial is not None and session.dial in self._dials:
                self.book.addresses.mark_own(self._dials[session.dial])
            self._drop(session, "that is this node itself", now)
            return
        if not fault.cost:
            # One that dials us comes from another port each time.
            whom = (session.host if session.dial is None else session.name, fault.code)
            level = Level.DEBUG if whom in self._told_refusals else Level.WARNING
            self._told_refusals[whom] = None
            if len(self._told_refusals) > self._settings.max_peers:
                del self._told_refusals[next(iter(self._told_refusals))]
            self._out.notice("peer-refused", f"peer {session.name}: refused ({fault})", level)
            self._drop(session, fault.code, now)
            return
        self._charge(session, fault.code, fault.cost, fault.detail, now)
        if self._sessions.get(session.connection) is not None:
            self._drop(session, fault.code, now)

    def _charge(self, session: Session, code: str, cost: int, detail: str, now: Now) -> None:
        identity = session.link.identity if session.is_open else None
        verdict = self.book.charge(
            session.host,
            identity,
            cost,
            str(code),
            mono_ms=now.mono_ms,
            wall_ms=now.wall_ms,
            dialled=self._dials.get(session.dial) if session.dial is not None else None,
        )
        fate = {Verdict.STAYS: "", Verdict.DISCONNECT: ", disconnected", Verdict.BAN: ", banned"}[verdict]
        self._out.notice(
            "peer-fault",
            f"peer {session.name}: {code}: {detail} (cost {cost}{fate})",
            Level.WARNING,
            fields={"code": str(code), "cost": cost, "host": session.host},
        )
        self.has_new_bans |= verdict is Verdict.BAN
        if verdict is not Verdict.STAYS:
            self._drop(session, str(code), now)

    def score(self, session: Session) -> int:
        """Return a peer's points; at 100 it goes."""
        identity = session.link.identity if session.is_open else None
        return self.book.score(session.host, identity, self._last_tick_ms)

    # --------------------------------------------------------------------------------------------- time

    def tick(self, now: Now) -> None:
        """Dial, ping, and drop the silent."""
        self._last_tick_ms = now.mono_ms
        for session in self._sessions.every():
            if not session.is_open:
                if now.mono_ms >= session.since_ms + HANDSHAKE_MS:
                    self._drop(session, "no handshake", now)
            elif (
                session.ping_token is not None
                and now.mono_ms >= max(session.ping_ms, session.heard_ms) + session.silence_ms
            ):
                self._drop(session, f"silent for {session.silence_ms // 1000} s", now)
            elif session.ping_token is None and now.mono_ms >= session.ping_ms + PING_MS:
                self._ping(session, now)
        if self._may_dial():
            self._dial(now)

    def _dial(self, now: Now) -> None:
        for endpoint in self.book.next_dials(now.mono_ms, now.wall_ms):
            self._dials[self._next_dial] = endpoint
            self._out.emit(Dial(self._next_dial, endpoint.host, endpoint.port))
            self._next_dial += 1

    def _ping(self, session: Session, now: Now) -> None:
        session.ping_token = self._random.randrange(1 << 53)
        session.ping_ms = now.mono_ms
        self._sessions.send(session.connection, Ping(session.ping_token))

    def pong(self, connection: int, token: int, now: Now) -> None:
        """Take a PONG."""
        session = self._sessions.get(connection)
        if session is not None and session.ping_token == token:
            session.ping_token, session.silence_ms = None, SILENCE_MS
            session.latency_ms = now.mono_ms - session.ping_ms

    def deadline(self, now: Now) -> int | None:
        """Return when `tick` is wanted next; monotonic milliseconds."""
        times = []
        for session in self._sessions.every():
            if not session.is_open:
                times.append(session.since_ms + HANDSHAKE_MS)
            elif session.ping_token is not None:
                times.append(max(session.ping_ms, session.heard_ms) + session.silence_ms)
            else:
                times.append(session.ping_ms + PING_MS)
        next_dial = self.book.addresses.next_deadline()
        if next_dial is not None and self._may_dial():
            times.append(max(next_dial, now.mono_ms + 10))
        return min(times, default=None)

    # ---------------------------------------------------------------------------------------- addresses

    def asked_for_addresses(self, connection: int, now: Now) -> None:
        """Answer GET_ADDRESSES, seldom."""
        session = self._sessions.get(connection)
        told_ms = self._told_addresses_ms.get(connection)
        if session is None or (told_ms is not None and now.mono_ms < told_ms + ADDRESSES_MS):
            return
        self._told_addresses_ms[connection] = now.mono_ms
        told = self.book.addresses.sample(MAX_ADDRESSES, session.host, now.wall_ms)
        items = tuple(Address(one.endpoint.host, one.endpoint.port, one.worked_ms // 1000) for one in told)
        self._sessions.send(connection, Addresses(items))

    def addresses_came(self, connection: int, items: Sequence[Address], now: Now) -> None:
        """Take ADDRESSES."""
        session = self._sessions.get(connection)
        if session is None or not self._settings.discovery:
            return
        told = [(item.host, item.port) for item in items]
        new = self.book.addresses.hear(told, session.link.identity.hex(), session.host, now.wall_ms)
        if new:
            self._out.notice("addresses", f"peer {session.name}: told of {new} new addresses", Level.DEBUG)

    # ------------------------------------------------------------------------------------------ commands

    def command(self, event: PeerCommand, now: Now) -> None:
        """Carry out `peer add|remove|ban|unban`."""
        self._offset = None
        try:
            result = _COMMANDS[event.action](self, event.target, now)
        except EndpointError as error:
            self._out.emit(Refuse(event.request, error.code, error.message, error.hint))
            return
        if result is None:
            hint = "see `peers` for those that are there"
            self._out.emit(Refuse(event.request, "not-found", f"{event.target} is not there", hint))
            return
        self._out.emit(Answer(event.request, result))

    def _add(self, target: str, now: Now) -> dict[str, object] | None:
        endpoint = parse_endpoint(target)
        is_new = self.book.configure(endpoint, by_hand=True)
        self._dial(now)
        return {"address": str(endpoint), "new": is_new}

    def _remove(self, target: str, now: Now) -> dict[str, object] | None:
        endpoint = parse_endpoint(target)
        if not self.book.deconfigure(endpoint):
            return None
        for session in list(self._sessions.open()):
            if self._endpoint_of(session) == endpoint:
                self._drop(session, "removed by hand", now)
        return {"address": str(endpoint)}

    def _ban(self, target: str, now: Now) -> dict[str, object] | None:
        ban = self.book.ban(target, "by hand", now.wall_ms)
        for session in list(self._sessions.open()):
            if self.book.banned(session.host, session.link.identity, now.wall_ms) is not None:
                self._drop(session, "banned by hand", now)
        return {"subject": ban.subject, "until_ms": ban.until_ms}

    def _unban(self, target: str, _: Now) -> dict[str, object] | None:
        return {"subject": target} if self.book.unban(target) else None

    # --------------------------------------------------------------------------------------------- views

    def address_of(self, session: Session) -> str:
        """Return where the peer of an open session listens."""
        return str(self._endpoint_of(session))

    def clock_offset_ms(self, now: Now) -> int:
        """Return by how much the peers' clocks are ahead of ours: the least of three medians.

        Of all peers, of those that we dialled, of those that the owner named: somebody can open as many
        connections as they like, or be dialled for an address that was heard of, and must not thereby be able
        to stop all mining.
        """
        # Theirs go on from their HELLO; ours may have been set right meanwhile.
        ahead_ms = now.mono_ms - now.wall_ms
        if self._offset is None or self._offset[0] != ahead_ms:
            self._offset = (ahead_ms, self._work_out_offset(ahead_ms))
        return self._offset[1]

    def _work_out_offset(self, ahead_ms: int) -> int:
        peers = list(self._sessions.open())
        dialled = [peer for peer in peers if peer.dial is not None]
        named = [peer for peer in peers if self._is_named(peer)]
        medians = [
            median_offset([peer.clock_ms + ahead_ms for peer in group])
            for group in (peers, dialled, named)
            if group
        ]
        return min(medians, key=abs, default=0)

    def clock_complaint(self, now: Now) -> str:
        """Return what is wrong with this machine's clock, "" where the peers agree with it."""
        off_ms = self.clock_offset_ms(now)
        if not clock_is_off(off_ms, self._parameters.drift_ms):
            return ""
        return f"this machine's clock is {abs(off_ms) // 1000} s off its peers' clocks: set it right"

    # ---------------------------------------------------------------------------------------------- file

    def dump(self, now: Now) -> bytes:
        """Return what is kept of peers beyond a restart."""
        return self.book.dump(now.wall_ms)

    def load(self, content: bytes) -> None:
        """Take back what `dump` gave; a bad file is told of, and never blocks a start."""
        try:
            self.book.load(content)
        except Unreadable as error:
            self._out.notice(
                "peers-file",
                f"the file of peers cannot be used ({error}); starting without it",
                Level.WARNING,
            )


_COMMANDS: Final = {"add": Links._add, "remove": Links._remove, "ban": Links._ban, "unban": Links._unban}  # noqa: SLF001 - its own table
