"""The daemon: where the core meets real sockets, disk, threads, processes and the only real clock and dice.

One task group owns all that runs; whatever dies in it ends the process with a non-zero status. The core is
stepped on the event loop, one event at a time, and everything that takes long is elsewhere: the disk on a
thread, signatures on threads, the search for nonces in processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from node import __version__, report
from node.answers import Waiting
from node.auditing import BackgroundAudit
from node.bell import Bell
from node.clock import read_clock
from node.config import Config, Healing
from node.contacts import Contacts
from node.control import Control
from node.core import Core, CoreSettings
from node.disk import PEERS_NAME, PENDING_NAME, DiskWriter
from node.events import (
    Again,
    Answer,
    CheckSignatures,
    Close,
    Continue,
    Dial,
    Effect,
    Event,
    Halt,
    HashRate,
    Level,
    Mine,
    Notice,
    Now,
    PeerData,
    Persist,
    Persisted,
    Refuse,
    SavePeers,
    SavePending,
    Send,
    Shutdown,
    SignaturesChecked,
    Solved,
    StopMining,
    Tick,
)
from node.heal_report import in_short, last_report
from node.identity import Identity
from node.ledger import signature
from node.ledger.address import encode_address
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.links import KnownPeer, LinkSettings
from node.log import Log
from node.log_lines import finding_line
from node.log_names import with_names
from node.mempool import Saved, load_dump
from node.miner import MinerPool
from node.page import Page, trouble
from node.paths import contacts_file
from node.private import PathError, free_name, read_bounded
from node.sealed import Unreadable
from node.storage.files import LEAST_FREE_BYTES, free_bytes
from node.storage.journal import Journal
from node.storage.port import StorageFault
from node.storage.reading import ReadOnlyBook, open_read_only
from node.storage.sqlite import BOOK_NAME, SqliteBook
from node.summary import Opened, summary
from node.transport import MAX_UNSENT, Transport
from node.wallet import Wallet
from node.weighing import Seen

AGENT: Final = f"indelible/{__version__}"
SPACE_CHECK_S: Final = 10.0
HASHRATE_S: Final = 1.0
REFUSED_WITHIN_S: Final = 10.0
"""A peer that leaves so soon after a block of our own perhaps refused it."""
ANSWER_FIRST_S: Final = 0.2
"""Before it stops to be mended, whoever asked is answered."""
MOST_TOLD: Final = 20
"""Findings of one audit in the log; the local socket has all."""
VERIFY_NICENESS: Final = 5
"""Of the threads that verify: below the event loop, above the search for nonces (10)."""
TURN_S: Final = 0.005
"""The core works no longer than this before the event loop has a turn."""
LOOK_MS: Final = 2
"""The core is asked for its next deadline this often while it works: an answer costs as much as an event."""
_BLOCKS_UNSENT: Final = 4
"""Blocks beyond the ordinary bound that a peer may be slow to read."""
_MAX_SAVED_BYTES: Final = 1 << 26
"""Of the files of pending entries and peers."""


def _yield_to_the_loop() -> None:
    """Let the event loop go first where signatures keep every core busy: whoever asks waits half as long."""
    if sys.platform == "linux":  # where a thread has a niceness of its own
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), VERIFY_NICENESS)


class NodeHalted(Exception):
    """This machine failed the node; the message says what, the hint what to do."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


class Daemon:
    """A running node; satisfies what the local socket asks of it (`methods.Node`)."""

    def __init__(
        self,
        config: Config,
        wallet: Wallet,
        identity: Identity,
        book: SqliteBook,
        journal: Journal,
        socket_path: Path,
        log: Log,
    ) -> None:
        self._config = config
        self._wallet = wallet
        self._identity = identity
        self._book = book
        self._journal = journal
        self._log = log
        self._contacts = Contacts(contacts_file(config.data_dir), config.parameters.prefix)
        self._events: deque[Event] = deque()
        self._loop = asyncio.get_running_loop()
        self._bell = Bell(self._loop)
        self._stopping = False
        self._is_asked_to_stop = False
        """By a person, and not to be mended."""
        self._is_whole = True
        """False while the core is at work on an event: what dies there leaves it so."""
        self._fault: BaseException | None = None
        self._group = asyncio.TaskGroup()
        self._socket_path = socket_path
        self.control = Control(self, socket_path)
        self._disk = DiskWriter(
            book.writer, journal, config.data_dir, self._durable_from_thread, self._fault_from_thread
        )
        self._threads = ThreadPoolExecutor(
            os.cpu_count() or 1, thread_name_prefix="verify", initializer=_yield_to_the_loop
        )
        self._pool = MinerPool(config.threads, lambda job, nonce: self.post(Solved(job, nonce)))
        self._transport = Transport(
            self.post,
            self._spawn,
            max_inbound=config.max_peers,
            max_unsent=MAX_UNSENT + _BLOCKS_UNSENT * config.parameters.maximum_block_bytes,
        )
        self._audit = BackgroundAudit(config.data_dir, config.parameters, config.audit_s, self._read_again)
        last_heal = last_report(config.data_dir)
        self._last_heal = None if last_heal is None else in_short(last_heal)
        self.heals_by_itself = config.heal is Healing.AUTO
        self.wants_healing = False
        """True once it stops to be mended and started again."""
        self._page = Page(config.web, config.data_dir) if config.web.is_on else None
        self._core: Core | None = None
        self._has_stepped = True
        """Since its deadline was asked for."""
        self._watchers: list[asyncio.Task[None]] = []
        self._mined_s = -REFUSED_WITHIN_S

    # ------------------------------------------------------------------------------------------- running

    async def run(self) -> None:
        """Run until stopped. Raises a group: NodeHalted, CannotListen, PathError, or our own bugs."""
        async with self._group:
            await self._start()
            try:
                await self._work()
            finally:
                await self._end()
            self._raise_fault()  # it may be the last save that failed

    async def _start(self) -> None:
        port = await self._transport.listen(self._config.host, self._config.port)
        self._core = Core(
            CoreSettings(
                parameters=self._config.parameters,
                links=self._link_settings(port),
                mining_mode=self._config.mine.value,
                miner=self._wallet.public_key,
            ),
            self._book.store,
            random.Random(secrets.randbits(256)),  # noqa: S311 - delays and choices, seeded well; no keys
            read_clock(),
            peer_book=self._read_saved(PEERS_NAME),
        )
        self._core.out.ahead = self._disk.put
        self._disk.start()
        self._pooling = self._spawn(self._pool.run())
        self._watchers = [self._spawn(self._watch_space()), self._spawn(self._watch_hashrate())]
        await self.control.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
        can_show = self._page is not None and await trouble(self._config.web) is None
        page = self._config.web.url if can_show else None
        self._log.announce(summary(self._config, self._opened(port, page)))
        self._carry_out(self._core.start(self._read_pending(), read_clock()))
        self._auditing = self._spawn(self._audit.run())
        if self._page is not None:  # last: it needs the node, and the node does not wait for it
            self._showing = self._spawn(self._page.run())

    def _opened(self, port: int, page: str | None) -> Opened:
        return Opened(
            version=__version__,
            network_id=self.core.network_id,
            port=port,
            socket=self._socket_path,
            height=self._book.store.durable_tip().height,
            wallet_key=self._wallet.public_key,
            backed_up=self._wallet.backed_up,
            page=page,
        )

    def _link_settings(self, port: int) -> LinkSettings:
        return LinkSettings(
            identity=self._identity.public_key,
            sign=self._identity.sign,
            agent=AGENT,
            port=port,
            peers=tuple(KnownPeer(peer.endpoint, peer.name, peer.identity) for peer in self._config.peers),
            discovery=self._config.discovery,
            max_peers=self._config.max_peers,
            loopback_only=self._config.for_trying_out and self._config.this_machine_only,
        )

    @property
    def core(self) -> Core:
        """The core, once started."""
        if self._core is None:
            raise RuntimeError("the node has not started")
        return self._core

    async def _work(self) -> None:
        """Step the core with each event, and with Tick at its deadlines."""
        core = self.core
        deadline_ms = looked_ms = 0
        while not self._stopping:
            if self._events:
                await asyncio.sleep(0)  # the event loop has a turn
            else:
                wake_ms = min(deadline_ms, looked_ms + LOOK_MS) if self._has_stepped else deadline_ms
                await self._bell.wait(max(0.0, (wake_ms - read_clock().mono_ms) / 1000))
            now = read_clock()
            if now.mono_ms >= deadline_ms:
                self._step(core, Tick(), now)
                looked_ms = 0  # there is another one now
            self._turn(core)
            if self._has_stepped and now.mono_ms >= looked_ms + LOOK_MS:
                self._has_stepped = False
                deadline_ms, looked_ms = core.deadline(now), now.mono_ms
            self._raise_fault()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _turn(self, core: Core) -> None:
        """Handle events for a few milliseconds."""
        until = time.monotonic() + TURN_S
        while self._events and time.monotonic() < until:
            event = self._events.popleft()
            self._step(core, event, read_clock())
            if isinstance(event, PeerData):
                self._transport.consumed(event)

    def _step(self, core: Core, event: Event, now: Now) -> None:
        """Hand the core an event, and do what it says; nothing once it, or this machine, has failed.

        What a core says that died in the middle of an event, or that was not heard out, is not to be saved:
        half of what is pending would take the place of the journal.
        """
        if self._fault is not None or not self._is_whole:
            return
        self._is_whole = False
        self._has_stepped = True
        self._carry_out(core.step(event, now))
        self._is_whole = True

    async def _end(self) -> None:
        """Stop in order: no more from outside, then save, then let go."""
        self._step(self.core, Shutdown(), read_clock())
        for watcher in self._watchers:
            watcher.cancel()
        await self._audit.close()
        if self._page is not None:
            await self._page.close()
        await self._transport.shutdown()
        await self._pool.close()
        await asyncio.to_thread(self._disk.close)
        await self.control.close()
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)  # a fault of theirs is heard of
        in_order = self._stopping and self._is_whole and self._fault is None
        self._log.notice(Notice("stopped", "stopped" if in_order else "stopped by a fault"))

    # --------------------------------------------------------------------------------------------- events

    def post(self, event: Event) -> None:
        """Hand an event to the core; it is taken in the order of arrival."""
        self._events.append(event)
        self._bell.ring()

    def _post_from_thread(self, event: Event) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(self.post, event)

    def _durable_from_thread(self, batch: int) -> None:
        self._post_from_thread(Persisted(batch))

    def _fault_from_thread(self, error: BaseException) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._fail, error)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, StorageFault):
            error = NodeHalted(getattr(error, "message", str(error)), getattr(error, "hint", ""))
        self._fault = self._fault or error
        self._bell.ring()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    # -------------------------------------------------------------------------------------------- effects

    def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:
        match effect:
            case Notice():  # most of all, so it is looked for first
                self._tell(effect)
            case Send():
                self._transport.send(effect)
            case Persist() | SavePending() | SavePeers():
                self._disk.put(effect)
            case CheckSignatures():
                self._check(effect)
            case Answer() | Refuse():
                self.control.answered(effect)
            case Again():
                self.post(Continue())
            case Close():
                self._transport.close(effect)
            case Dial():
                self._transport.dial(effect)
            case Mine():
                self._pool.start(effect.job, effect.prefix, effect.target)
            case StopMining():
                self._pool.stop()
            case Halt():
                self._fail(NodeHalted(effect.reason, effect.hint))

    def _tell(self, notice: Notice) -> None:
        """Tell whoever listens; a notice that nobody hears is not made ready, for each entry is one."""
        is_logged, is_heard = self._log.takes(notice), self.control.hears(notice.level)
        if is_logged or is_heard:
            told = with_names(notice, self._contacts.name_of_key, self._pending_entry, self.parameters.prefix)
            if is_logged:
                self._log.tell(told)
            if is_heard:
                self.control.tell(told, read_clock().wall_ms)
        self._wonder(notice)

    def _wonder(self, notice: Notice) -> None:
        """Have the book read again when a peer refuses a block of our own, or leaves right after one.

        Perhaps what this copy says of a balance is not so: rows are believed between two readings, and nobody
        tells whom they drop why.
        """
        if notice.kind == "block-connected" and notice.fields.get("mined_here"):
            self._mined_s = time.monotonic()
        elif notice.kind == "block-refused" or (
            notice.kind == "peer-gone"
            and notice.fields.get("was_open")  # a stranger was never sent a block
            and time.monotonic() - self._mined_s < REFUSED_WITHIN_S
        ):
            self._audit.soon()

    def _pending_entry(self, txid: bytes) -> Entry | None:
        pending = self.core.mempool.get(txid)
        return None if pending is None else pending.entry

    def _check(self, effect: CheckSignatures) -> None:
        def done(future: Future[list[bool]]) -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is not None:
                self._fault_from_thread(error)
            else:
                self._post_from_thread(SignaturesChecked(effect.job, tuple(future.result())))

        self._threads.submit(signature.verify_many, effect.items).add_done_callback(done)

    # ----------------------------------------------------------------------------------------- watching

    def _read_again(self, found: Sequence[report.Json]) -> None:
        """Tell loudly what a reading of the whole book found, and heal where that was set."""
        for one in found[:MOST_TOLD]:
            self._tell(Notice("audit", finding_line(one), Level.ERROR))
        if found:
            more = len(found) - MOST_TOLD
            rest = f"and {more} findings more; " if more > 0 else ""
            text = f"{rest}this copy of the book was changed or damaged: mend it with `python cli.py heal`"
            self._tell(Notice("audit", text, Level.ERROR))
            if self.heals_by_itself:
                self.heal()

    async def _watch_space(self) -> None:
        while not self._stopping:
            free = free_bytes(self._config.data_dir)
            if free < LEAST_FREE_BYTES:
                self._fail(
                    NodeHalted(
                        f"only {free >> 20} MiB are free on the disk of {self._config.data_dir}; "
                        f"{LEAST_FREE_BYTES >> 20} MiB are needed",
                        "make room, then start the node again: nothing is lost",
                    )
                )
                return
            await asyncio.sleep(SPACE_CHECK_S)

    async def _watch_hashrate(self) -> None:
        while not self._stopping:
            await asyncio.sleep(HASHRATE_S)
            if self._pool.hashrate:
                self.post(HashRate(self._pool.hashrate))

    def _on_signal(self) -> None:
        if self._is_asked_to_stop:
            os._exit(1)  # asked twice: at once; the disk is always in order
        self.stop()

    # --------------------------------------------------------------------------------------- saved files

    def _read_saved(self, name: str) -> bytes | None:
        try:
            return read_bounded(self._config.data_dir / name, _MAX_SAVED_BYTES)
        except FileNotFoundError:
            return None
        except PathError as error:
            self._set_aside(name, error.message)
            return None

    def _read_pending(self) -> list[Saved]:
        """Return what was pending at the last stop, and what was typed since it was last saved."""
        saved: list[Saved] = []
        content = self._read_saved(PENDING_NAME)
        if content is not None:
            try:
                saved = load_dump(content, self.core.network_id)
            except Unreadable as error:
                self._set_aside(PENDING_NAME, str(error))
        now = read_clock()
        return saved + [Saved(raw, own=True, received_ms=now.wall_ms) for raw in self._journal.read()]

    def _set_aside(self, name: str, why: str) -> None:
        """A bad file never blocks a start: keep it under another name, and say so."""
        path = self._config.data_dir / name
        aside = free_name(path)
        with contextlib.suppress(OSError):
            path.replace(aside)
        text = f"{path} cannot be used ({why}); it was set aside as {aside.name}"
        self._log.notice(Notice("file-set-aside", text, Level.WARNING))

    # ------------------------------------------------------------------------- what the socket asks of us

    @property
    def parameters(self) -> Parameters:
        """Of the network."""
        return self._config.parameters

    @property
    def data_dir(self) -> Path:
        """The data folder."""
        return self._config.data_dir

    @property
    def wallet(self) -> str:
        """Name of the wallet that mining pays to."""
        return self._wallet.name

    @property
    def public_key(self) -> bytes:
        """Of that wallet."""
        return self._wallet.public_key

    def status(self) -> report.Json:
        """Return the fields of `status`."""
        address = encode_address(self.parameters.prefix, self.public_key)
        status = report.status(
            self.core, read_clock(), version=__version__, mode=self._config.mine.value, address=address
        )
        page = None if self._page is None else self._page.url
        return status | {"page": page, "audit": self._audit.summary()}

    def audit(self) -> report.Json:
        """Return what the audit in the background found, and what the last healing came to."""
        return {"found": self._audit.found, "last_heal": self._last_heal}

    def heal(self) -> report.Json:
        """Begin to stop; whoever started the daemon mends the book and starts it again.

        Not where it is to stop: who asked for that wants no other node in its place.
        """
        if not self._is_asked_to_stop:
            self.wants_healing = True
            self._loop.call_later(ANSWER_FIRST_S, self._begin_to_stop)
        return {"healing": self.wants_healing}

    def peers(self) -> list[report.Json]:
        """Return the fields of `peers`."""
        return report.peers(self.core, read_clock())

    def settings(self) -> list[report.Json]:
        """Return each effective setting with its origin."""
        settings = [
            {"name": setting.name, "value": setting.value, "origin": setting.origin}
            for setting in self._config.settings
        ]
        # What friends write beside this node's address in their peers.toml.
        own = {"name": "node_id", "value": self._identity.public_key.hex(), "origin": "its own key"}
        return [*settings, own]

    def pending(self) -> Sequence[Entry]:
        """Return the pending entries."""
        return self.core.pending()

    def pending_of(self, key: bytes) -> Sequence[Entry]:
        """Return the pending entries that a key sends or receives."""
        return [entry for entry in self.core.pending() if key in (entry.sender, entry.recipient)]

    def waiting(self, txid: bytes) -> Waiting | None:
        """Return an entry that is in no durable block."""
        pending = self.core.mempool.get(txid)
        entry = pending.entry if pending is not None else self.core.between(txid)
        if entry is not None:
            return Waiting("pending", entry)
        return Waiting("conflicted") if self.core.mempool.winner_of(txid) is not None else None

    def seen(self, txid: bytes) -> Seen:
        """Return what this node sees of an entry beyond its book."""
        findings = int(self._audit.summary()["findings"] or 0)
        return report.seen(self.core, read_clock(), txid, findings=findings)

    def open_book(self) -> ReadOnlyBook:
        """Open the durable book for reading, on the calling thread."""
        return open_read_only(self._config.data_dir / BOOK_NAME)

    def stop(self) -> None:
        """Begin to shut down, for good."""
        self._is_asked_to_stop = True
        self.wants_healing = False
        self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        if not self._stopping:
            self._log.notice(Notice("stopping", "stopping"))
        self._stopping = True
        self._bell.ring()
