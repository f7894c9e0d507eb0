"""The node as one sans-I/O state machine: events in, effects out, a deadline to come back at.

Pure: time, randomness and what was saved come in as arguments; sockets, disk, threads and workers are the
driver's. Nothing here waits: long work is done in slices, between which the driver hands in other events.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from node import events
from node.aftermath import Aftermath
from node.chain import Chain
from node.checks import SignatureChecks
from node.events import Again, Effect, Event, Halt, Level, Now, SavePeers, SavePending, StopMining
from node.gossip import Gossip
from node.intake import Intake
from node.ledger import state
from node.ledger.block import network_id
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.links import Links, LinkSettings, Random
from node.mempool import Mempool, Saved, dump
from node.messages import (
    Addresses,
    BlockEntries,
    BlockMessage,
    CompactBlock,
    Entries,
    GetAddresses,
    GetBlockEntries,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Inventory,
    Kind,
    Message,
    NotFound,
    Ping,
    Pong,
    Reject,
)
from node.mining import Mining
from node.outbox import Outbox
from node.protocol import PeerFault
from node.relay import Relay
from node.sessions import Session, Sessions
from node.storage.port import StorageFault, Store
from node.sync import Sync

SAVE_PENDING_MS: Final = 60_000
SAVE_PEERS_MS: Final = 300_000
SAVE_BANS_MS: Final = 1_000
"""After one, the book of peers is saved this soon: once for many."""
_SLICE: Final = 500
"""Entries handled in one step."""


@dataclass(frozen=True, slots=True)
class CoreSettings:
    """What a node is told at its start."""

    parameters: Parameters
    links: LinkSettings
    mining_mode: str
    """off, on-demand or on."""
    miner: bytes
    """Public key that mining pays to."""


class Core:
    """One node."""

    def __init__(
        self,
        settings: CoreSettings,
        store: Store,
        random: Random,
        now: Now,
        *,
        peer_book: bytes | None = None,
    ) -> None:
        """`peer_book`: what the last SavePeers held; a bad one is told of and not used."""
        parameters = settings.parameters
        self.parameters = parameters
        self.network_id = network_id(parameters)
        self.store = store
        self.out = Outbox(store)
        self.sessions = Sessions(self.out)
        self._checks = SignatureChecks(self.out)
        self.mempool = Mempool(parameters)
        self.intake = Intake(self.network_id, store, self.mempool, self._checks, self.sessions, self.out)
        self.chain = Chain(
            parameters,
            self.network_id,
            store,
            self.out,
            self._checks,
            self.intake.verified.txids.__contains__,
        )
        self.sync = Sync(parameters, store, self.chain, self.sessions, self.out)
        self.relay = Relay(store, self.chain, self.sync, self.sessions, self.out, self.intake.at_hand)
        self.gossip = Gossip(
            store,
            self.chain,
            self.sync,
            self.sessions,
            self.out,
            self._pending_entry,
            self.intake.is_known,
            self.intake.room,
            self.relay,
        )
        self.links = Links(
            settings.links, parameters, self.network_id, store, self.sessions, self.out, random
        )
        self.mining = Mining(
            parameters,
            store,
            self.chain,
            self.mempool,
            self.out,
            random,
            mode=settings.mining_mode,
            miner=settings.miner,
            must_wait=self._must_not_mine,
            complaint=self.links.clock_complaint,
        )
        self.intake.added = self._entry_added
        self.links.on_lost = self._peer_lost
        self._aftermath = Aftermath(
            store,
            self.chain,
            self.mempool,
            self.intake,
            self.gossip,
            self.mining,
            self.sync,
            self.sessions,
            self.out,
        )
        self._again_is_due = False
        self._save_pending_ms = now.mono_ms + SAVE_PENDING_MS
        self._save_peers_ms = now.mono_ms + SAVE_PEERS_MS
        self._started_ms = now.mono_ms
        if peer_book is not None:
            self.links.load(peer_book)

    # ------------------------------------------------------------------------------------------- driving

    def start(self, saved: Sequence[Saved], now: Now) -> list[Effect]:
        """Begin: take what was pending at the last stop, dial, mine."""

        def begin() -> None:
            self.intake.restore(saved, now)
            self._aftermath.resume(now)
            self.links.tick(now)

        return self._guarded(begin, now)

    def step(self, event: Event, now: Now) -> list[Effect]:
        """Take one event; return what to do, in order."""
        return self._guarded(lambda: self._HANDLERS[type(event)](self, event, now), now)

    def _guarded(self, do: Callable[[], None], now: Now) -> list[Effect]:
        """Do it, and what follows; a fault of this machine halts the node, and is nobody else's."""
        try:
            self._conclude(now)
            do()
            self._work(now)
        except StorageFault as fault:
            hint = getattr(fault, "hint", "run `python cli.py verify`, then `python cli.py rebuild`")
            self.out.emit(Halt(getattr(fault, "message", str(fault)), hint))
        except state.StateMismatch as mismatch:
            text = f"the accounts on this disk do not fit its blocks: {mismatch}"
            self.out.emit(Halt(text, "run `python cli.py rebuild`"))
        return self.out.drain()

    def deadline(self, now: Now) -> int:
        """Return when to step with Tick at the latest; monotonic milliseconds."""
        times = [
            self.sync.deadline(now),
            self.gossip.deadline(now),
            self.links.deadline(now),
            self.mining.deadline(now),
            self._save_pending_ms,
            self._save_peers_ms,
        ]
        return min(time for time in times if time is not None)

    def _conclude(self, now: Now) -> None:
        """Draw the conclusions of what the chain did in the last step, before anything else is looked at."""
        if self._aftermath.conclude(now):
            self.sync.schedule(now)

    def _work(self, now: Now) -> None:
        """Advance the jobs by a slice."""
        more = self.relay.advance(_SLICE, now)
        more |= self.chain.advance(now.wall_ms, _SLICE)
        more |= self._aftermath.advance(_SLICE)
        more |= self.gossip.advance()
        if self.chain.outcomes:
            more = True  # a block is on its way to the disk while the next step begins with what follows
        else:
            self.mining.update(now)
        if self.links.has_new_bans:
            self.links.has_new_bans = False
            self._save_peers_ms = min(self._save_peers_ms, now.mono_ms + SAVE_BANS_MS)
        if not more:
            self.out.hurry()
        elif not self._again_is_due:
            self._again_is_due = True
            self.out.emit(Again())

    # ----------------------------------------------------------------------------------------- the network

    def _peer_connected(self, event: events.PeerConnected, now: Now) -> None:
        self.links.connected(event, now)

    def _dial_failed(self, event: events.DialFailed, now: Now) -> None:
        self.links.dial_failed(event.dial, event.reason, now)

    def _peer_data(self, event: events.PeerData, now: Now) -> None:
        session = self.sessions.get(event.connection)
        if session is None:
            return
        session.bytes_in += len(event.data)
        session.heard_ms = now.mono_ms
        try:
            for message in session.link.receive(event.data):
                self.sessions.send_bytes(session, session.link.outgoing())
                self._message(session, message, now)
                if self.sessions.get(event.connection) is None:
                    return
            self.sessions.send_bytes(session, session.link.outgoing())
        except PeerFault as fault:
            self.links.faulty(session, fault, now)

    def _message(self, session: Session, message: Message, now: Now) -> None:
        if isinstance(message, Hello):
            if self.links.opened(session, message, now):
                self.sync.opened(session.connection, now)
                self.gossip.opened(session.connection, [pending.entry.txid for pending in self.mempool], now)
            return
        self._MESSAGES[type(message)](self, session.connection, message, now)

    def _inventory(self, connection: int, message: Inventory, now: Now) -> None:
        if message.kind is Kind.ENTRY:
            self.gossip.told_of_entries(connection, message.hashes, now)
        else:
            self.sync.told_of(connection, message.hashes, now)

    def _get_data(self, connection: int, message: GetData, now: Now) -> None:
        if message.kind is Kind.ENTRY:
            self.gossip.asked_for_entries(connection, message.hashes)
        else:
            self.gossip.asked_for_blocks(connection, message.hashes, now)

    def _not_found(self, connection: int, message: NotFound, now: Now) -> None:
        if message.kind is Kind.ENTRY:
            self.gossip.not_found(connection, message.hashes, now)
        else:
            self.sync.not_found(connection, self.relay.not_found(connection, message.hashes), now)

    def _entries(self, connection: int, message: Entries, now: Now) -> None:
        self.intake.from_peer(connection, message.raws, self.gossip, now)

    def _get_headers(self, connection: int, message: GetHeaders, _: Now) -> None:
        self.gossip.asked_for_headers(connection, message)

    def _headers(self, connection: int, message: Headers, now: Now) -> None:
        self.sync.headers_came(connection, message.raws, now)

    def _block(self, connection: int, message: BlockMessage, now: Now) -> None:
        self.sync.block_came(connection, message.raw, now)

    def _compact_block(self, connection: int, message: CompactBlock, now: Now) -> None:
        self.relay.compact_came(connection, message, now)

    def _get_block_entries(self, connection: int, message: GetBlockEntries, now: Now) -> None:
        self.relay.asked_for(connection, message, now)

    def _block_entries(self, connection: int, message: BlockEntries, now: Now) -> None:
        self.relay.entries_came(connection, message, now)

    def _reject(self, connection: int, message: Reject, now: Now) -> None:
        pending = self.mempool.get(message.id)
        if pending is not None and pending.own:
            self.gossip.refused(message.id, now)
        if self.mining.is_own(message.id):
            self.out.notice(
                "block-refused",
                f"peer {self.sessions.name(connection)}: refuses block {message.id.hex()[:8]}…, "
                f"which was mined here ({message.code})",
                Level.WARNING,
                fields={"hash": message.id.hex(), "code": message.code},
            )
            return
        self.out.notice(
            "peer-rejects",
            f"peer {self.sessions.name(connection)}: refuses {message.id.hex()[:8]}… ({message.code})",
            Level.DEBUG,
        )

    def _ping(self, connection: int, message: Ping, _: Now) -> None:
        self.sessions.send(connection, Pong(message.token))

    def _pong(self, connection: int, message: Pong, now: Now) -> None:
        self.links.pong(connection, message.token, now)

    def _get_addresses(self, connection: int, _: GetAddresses, now: Now) -> None:
        self.links.asked_for_addresses(connection, now)

    def _addresses(self, connection: int, message: Addresses, now: Now) -> None:
        self.links.addresses_came(connection, message.items, now)

    def _peer_drained(self, event: events.PeerDrained, _: Now) -> None:
        session = self.sessions.get(event.connection)
        if session is not None:
            session.unsent = event.unsent + self.out.held_bytes(event.connection)
            self.gossip.serve(event.connection)

    def _peer_gone(self, event: events.PeerGone, now: Now) -> None:
        self.links.gone(event.connection, event.reason, now)

    def _peer_lost(self, session: Session, now: Now) -> None:
        """A session ended, by whomever."""
        self.relay.closed(session.connection)
        self.sync.closed(session.connection, now)
        self.gossip.closed(session.connection, now)

    # --------------------------------------------------------------------------------- disk, threads, workers

    def _persisted(self, event: events.Persisted, _: Now) -> None:
        self.out.persisted(event.batch)
        self._aftermath.persisted(event.batch)

    def _signatures_checked(self, event: events.SignaturesChecked, now: Now) -> None:
        self._checks.answered(event.job, event.valid)
        self.gossip.fetch_more(now)

    def _solved(self, event: events.Solved, now: Now) -> None:
        self.mining.solved(event.job, event.nonce, now)

    def _hash_rate(self, event: events.HashRate, _: Now) -> None:
        if event.per_second:
            self.mining.hashrate = event.per_second

    # ------------------------------------------------------------------------------------ time and requests

    def _tick(self, _: events.Tick, now: Now) -> None:
        self.links.tick(now)
        self.sync.tick(now)
        self.gossip.tick(now)
        if now.mono_ms >= self._save_pending_ms:
            self._save_pending_ms = now.mono_ms + SAVE_PENDING_MS
            if self._aftermath.has_changed_pending or self.intake.has_journalled_in_vain:
                self._save_pending()
        if now.mono_ms >= self._save_peers_ms:
            self._save_peers_ms = now.mono_ms + SAVE_PEERS_MS
            self.out.emit(SavePeers(self.links.dump(now)))

    def _continue(self, _: events.Continue, __: Now) -> None:
        self._again_is_due = False

    def _submit(self, event: events.Submit, now: Now) -> None:
        self.intake.submit(event.request, event.raws, now, replace=event.replace)

    def _mine_blocks(self, event: events.MineBlocks, now: Now) -> None:
        self.mining.ask(event.request, event.blocks, now)

    def _peer_command(self, event: events.PeerCommand, now: Now) -> None:
        self.links.command(event, now)
        self.out.emit(SavePeers(self.links.dump(now)))

    def _forget(self, event: events.Forget, now: Now) -> None:
        self.mining.forget(event.request, now)

    def _shutdown(self, _: events.Shutdown, now: Now) -> None:
        self.mining.shut_down()
        self.out.emit(StopMining())
        self._save_pending()
        self.out.emit(SavePeers(self.links.dump(now)))

    def _save_pending(self) -> None:
        if self.intake.restoring() or self._aftermath.is_moving:
            return  # what was saved before, and noted of switches, holds more than is known now
        self._aftermath.has_changed_pending = self.intake.has_journalled_in_vain = False
        self.out.emit(SavePending(dump(self.mempool, self.network_id)))
        self.chain.pending_saved()

    # ----------------------------------------------------------------------------------------- between parts

    def _entry_added(self, entry: Entry, origin: int | None, own: bool, now: Now) -> None:  # noqa: FBT001 - a callback
        self._aftermath.has_changed_pending = True
        self.gossip.entry_added(entry, origin if not own else None, now)
        self.mining.entry_added(own=own, now=now)

    def _pending_entry(self, txid: bytes) -> Entry | None:
        pending = self.mempool.get(txid)
        return pending.entry if pending is not None else None

    def _must_not_mine(self, now: Now) -> bool:
        """True while what is mined would be for nothing, or of entries that may be in blocks already."""
        return self.sync.is_downloading(now) or self._aftermath.is_moving

    # ------------------------------------------------------------------------------------------------ views

    def pending(self) -> list[Entry]:
        """Return what waits, or is to be checked again, or is in blocks that are not durable yet."""
        return [*self._between().values(), *(pending.entry for pending in self.mempool)]

    def pending_count(self) -> int:
        """Return how many `pending` would return."""
        return len(self._between()) + len(self.mempool)

    def _between(self) -> dict[bytes, Entry]:
        """Return those of `pending` that are not in the mempool, by txid."""
        restoring = {txid: held.entry for txid, held in self.intake.restoring().items()}
        every = restoring | dict(self._aftermath.leaving())
        return {txid: entry for txid, entry in every.items() if txid not in self.mempool}

    def between(self, txid: bytes) -> Entry | None:
        """Return an entry that is to be checked again after a start, or whose block is not durable yet."""
        held = self.intake.restoring().get(txid)
        return held.entry if held is not None else self._aftermath.leaving().get(txid)

    def uptime_s(self, now: Now) -> int:
        """Return seconds since the start."""
        return (now.mono_ms - self._started_ms) // 1000

    # ----------------------------------------------------------------------------------------------- tables

    _HANDLERS: ClassVar[Mapping[type, Callable[..., None]]] = {
        events.PeerConnected: _peer_connected,
        events.DialFailed: _dial_failed,
        events.PeerData: _peer_data,
        events.PeerDrained: _peer_drained,
        events.PeerGone: _peer_gone,
        events.Persisted: _persisted,
        events.SignaturesChecked: _signatures_checked,
        events.Solved: _solved,
        events.HashRate: _hash_rate,
        events.Tick: _tick,
        events.Continue: _continue,
        events.Submit: _submit,
        events.MineBlocks: _mine_blocks,
        events.PeerCommand: _peer_command,
        events.Forget: _forget,
        events.Shutdown: _shutdown,
    }

    _MESSAGES: ClassVar[Mapping[type, Callable[..., None]]] = {
        Ping: _ping,
        Pong: _pong,
        GetAddresses: _get_addresses,
        Addresses: _addresses,
        Reject: _reject,
        Inventory: _inventory,
        GetData: _get_data,
        NotFound: _not_found,
        Entries: _entries,
        GetHeaders: _get_headers,
        Headers: _headers,
        BlockMessage: _block,
        CompactBlock: _compact_block,
        GetBlockEntries: _get_block_entries,
        BlockEntries: _block_entries,
    }
