"""Someone with an address who takes part in the network without being honest: what all of them share.

Satisfies network.Party. Does the handshake with an identity of its own, dials nodes and is dialled, reads
what they say, and keeps a view of the headers that it was told of, so that it can build on the tip of the
honest. What it tries beyond that is a `Script`. Deterministic: the dice are handed in, the time is virtual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from node import events, frames
from node.endpoint import Endpoint
from node.events import Event
from node.ledger import difficulty, rules, signature
from node.ledger.block import decode_block
from node.ledger.entry import Entry, decode_entry, txid_of
from node.ledger.params import Parameters
from node.messages import (
    NONCE_BYTES,
    PROTOCOL_VERSION,
    BlockEntries,
    BlockMessage,
    CompactBlock,
    Entries,
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
    rules_hash,
)
from node.protocol import Connection, PeerFault
from tests.building import NO_CHANGES, Built, ChainBuilder, Changes, Key, key
from tests.simulation.adversaries.script import Line, Script
from tests.simulation.adversaries.view import View
from tests.simulation.kernel import Kernel
from tests.simulation.ledger import hash_of
from tests.simulation.network import Network
from tests.simulation.trace import Trace

CALL_MS: Final = 4_000
"""How often it dials whom it is not connected to, at the least."""
MAX_MOVES: Final = 200
"""How often it takes another host and identity, at most."""
TURNED_AWAY: Final = 3
"""Nodes that hang up before the handshake is done, until it moves: it is banned there."""
PATIENCE_MS: Final = 20_000
"""The longest time that a search for a block is planned ahead: difficulty moves meanwhile."""
_MOST_ANSWERED: Final = 2_000


def wallet_of(number: int) -> Key:
    """Return the wallet of an adversary, which has coins at genesis."""
    return key(f"adversary {number}")


@dataclass(frozen=True, slots=True)
class Scene:
    """What all adversaries of a world share."""

    kernel: Kernel
    network: Network
    trace: Trace
    parameters: Parameters
    age_ms: int
    """Of genesis when the world begins."""
    honest: Sequence[Endpoint]
    identities: Sequence[bytes]
    """Of the honest nodes, in the same order."""
    hashes_per_ms: float
    """What each adversary has of the hash rate."""


class Adversary:
    """One of them, with whatever addresses it takes."""

    def __init__(
        self, number: int, kind: str, make: Callable[[Adversary], Script], scene: Scene, dice: Random
    ) -> None:
        self.number = number
        self.kind = kind
        self.name = f"x{number}"
        self.host, self.port = f"60.{number}.0.1", 9000
        self.scene = scene
        self.dice = dice
        self.wallet = wallet_of(number)
        self.identity = key(f"adversary {number} 0")
        self.lines: dict[int, Line] = {}
        self.acts = 0
        """How often it did what it is here for."""
        self.moves = 0
        self.is_resting = False
        """The trouble is over: no more valid blocks."""
        self.serves: dict[bytes, bytes] = {}
        """Blocks that it hands out."""
        self.pocket: dict[bytes, bytes] = {}
        """Entries that it hands out."""
        self.shown: Built | None = None
        """The tip of the chain whose headers it hands out; None: it says that nothing follows."""
        self.chain = ChainBuilder(scene.parameters)
        self.view = View(self.chain.genesis, scene.parameters)
        self._turned_away: dict[str, None] = {}
        self._dials: dict[int, Endpoint] = {}
        self._next_dial = 0
        self._asked: dict[bytes, None] = {}
        self._spent: dict[bytes, int] = {}
        """How many entries of its wallet are in a block."""
        self.script = make(self)
        scene.network.join(self)

    # ---------------------------------------------------------------------------------------- what it is

    def wall_ms(self) -> int:
        """Return the right time."""
        return self.scene.parameters.genesis_ms + self.scene.age_ms + self.scene.kernel.now_ms

    def did(self, what: str) -> None:
        """Note that it did what it is here for."""
        self.acts += 1
        self.scene.trace.tell(f"{self.name}: {self.kind}: {what}")

    def open_lines(self) -> list[Line]:
        """Return the connections whose handshake is done."""
        return [line for line in self.lines.values() if line.is_open]

    def any_line(self) -> Line | None:
        """Return one of them; None where there is none."""
        lines = self.open_lines()
        return self.dice.choice(lines) if lines else None

    # ---------------------------------------------------------------------------------------- as a Party

    def is_listening(self) -> bool:
        return True

    def is_reachable(self) -> bool:
        return True

    def has_room(self) -> bool:
        return True

    def take(self, event: Event) -> None:
        """Hear of what happened on the network."""
        match event:
            case events.PeerConnected():
                if event.dial is not None:
                    self._dials.pop(event.dial, None)
                self._meet(event)
            case events.DialFailed():
                self._dials.pop(event.dial, None)
            case events.PeerData():
                line = self.lines.get(event.connection)
                if line is not None:
                    self._hear(line, event.data)
            case events.PeerGone():
                line = self.lines.pop(event.connection, None)
                if line is not None and not line.is_open:
                    self._turned_away[line.host] = None

    def _meet(self, event: events.PeerConnected) -> None:
        hello = Hello(
            version=PROTOCOL_VERSION,
            network_id=self.chain.network_id,
            rules_hash=rules_hash(),
            identity=self.identity.public,
            nonce=self.dice.randbytes(NONCE_BYTES),
            agent=self.kind,
            port=self.port,
            height=self.view.tip.height,
            work=self.view.tip.work,
            time_ms=self.wall_ms(),
        )
        seed = self.identity.seed
        link = Connection(
            dialled=event.dial is not None,
            hello=self.script.greets(hello),
            sign=self.script.signs or (lambda message: signature.sign(seed, message)),
            parameters=self.scene.parameters,
        )
        line = self.lines[event.connection] = Line(event.connection, link, event.host, event.dial is not None)
        if not self.script.begins(line):
            self.send(line, link.outgoing())

    def _hear(self, line: Line, data: bytes) -> None:
        if self.script.reads(line, data):
            return
        messages: list[Message] = []
        try:
            messages.extend(line.link.receive(data))
        except PeerFault:  # whoever lies about its network is told so in kind; it goes on all the same
            self.hang_up(line)
            return
        out = line.link.outgoing()
        if out:
            self.send(line, out)
        for message in messages:
            if isinstance(message, Hello):
                line.is_open = True
                self.say(line, GetHeaders(self.view.locator()))
                self.script.opened(line)
            elif not self.script.answers(line, message):
                self.answer(line, message)

    def answer(self, line: Line, message: Message) -> None:
        """Do about a message what an honest peer would."""
        match message:
            case Ping():
                self.say(line, Pong(message.token))
            case Headers():
                self._learn(line, message.raws)
            case CompactBlock() | GetBlockEntries():
                self._answer_parts(line, message)
            case BlockMessage():
                self.serves.setdefault(hash_of(message.raw), message.raw)
            case Entries():
                for raw in message.raws:
                    self.pocket.setdefault(txid_of(raw), raw)
            case Inventory() if message.kind is Kind.BLOCK:
                if any(self.view.get(one) is None for one in message.hashes):
                    self.say(line, GetHeaders(self.view.locator()))
            case Inventory():
                new = tuple(one for one in message.hashes if one not in self.pocket)
                if new and self.script.wants_entries:
                    self.say(line, GetData(Kind.ENTRY, new))
            case GetHeaders():
                self.say(line, Headers(tuple(block.header.raw for block in self._following(message.locator))))
            case GetData():
                self._hand_out(line, message)

    def _learn(self, line: Line, raws: Iterable[bytes]) -> None:
        before = self.view.tip
        learnt = []
        for raw in raws:
            block = self.view.learn(raw)
            if block is None:
                self.say(line, GetHeaders(self.view.locator()))
                break
            learnt.append(block.hash)
        wanted = tuple(one for one in learnt if one not in self._asked)[-16:]
        if self.script.wants_bodies and wanted:
            self._asked.update(dict.fromkeys(wanted))
            self.say(line, GetData(Kind.BLOCK, wanted))
        if self.view.tip is not before:
            self.script.learnt()

    def _following(self, locator: Sequence[bytes]) -> list[Built]:
        """Return the blocks that it shows after the first of these that is on its branch."""
        if self.shown is None:
            return []
        path = self.shown.path()
        heights = {block.hash: block.height for block in path}
        start = next((heights[one] for one in locator if one in heights), 0)
        return path[start + 1 :][:_MOST_ANSWERED]

    def _hand_out(self, line: Line, asked: GetData) -> None:
        held = self.serves if asked.kind is Kind.BLOCK else self.pocket
        there = [held[one] for one in asked.hashes if one in held]
        missing = tuple(one for one in asked.hashes if one not in held)
        if asked.kind is Kind.BLOCK:
            self.say(line, *map(BlockMessage, there))
        elif there:
            self.say(line, Entries(tuple(there)))
        if missing:
            self.say(line, NotFound(asked.kind, missing))

    def _answer_parts(self, line: Line, asked: CompactBlock | GetBlockEntries) -> None:
        if isinstance(asked, CompactBlock):
            self._learn(line, (asked.header,))
            return
        raw = self.serves.get(asked.block_hash)
        entries = decode_block(raw).entries if raw is not None else ()
        if asked.positions[-1] < len(entries):
            found = tuple(entries[position] for position in asked.positions)
            self.say(line, BlockEntries(asked.block_hash, found))
        else:
            self.say(line, NotFound(Kind.BLOCK, (asked.block_hash,)))

    # ---------------------------------------------------------------------------------------- what it says

    def send(self, line: Line, data: bytes) -> None:
        """Send any bytes; nothing where the connection is gone."""
        if line.held is not None:
            line.held += data
        elif data and line.number in self.lines:
            self.scene.network.send(line.number, data)

    def let_go(self, line: Line, most: int | None = None) -> None:
        """Send of what was held back so many bytes; all of it, and what comes, where no number is given."""
        held = line.held or bytearray()
        part = bytes(held[:most])
        line.held = None
        self.send(line, part)
        if most is not None:
            line.held = held[most:]

    def say(self, line: Line, *messages: Message) -> None:
        """Say these, in one piece."""
        self.send(line, b"".join(frames.encode(message) for message in messages))

    def later(self, delay_ms: int, do: Callable[[], None]) -> None:
        """Do something after a while."""
        self.scene.kernel.after(delay_ms, do)

    def hang_up(self, line: Line) -> None:
        """End a connection."""
        if self.lines.pop(line.number, None) is not None:
            self.scene.network.close(line.number, "has had enough")

    def publish(self, block: Built, lines: Iterable[Line], *, body: bytes | None = None) -> None:
        """Show the header of a block, and its body, or another one, to whoever asks."""
        self.serves[block.hash] = block.raw if body is None else body
        self.shown = block
        for line in lines:
            self.say(line, Headers((block.header.raw,)))

    # ---------------------------------------------------------------------------------------- how it goes on

    def begin(self) -> None:
        """Come to the network."""
        self.later(self.dice.randrange(3_000), self._call)
        if self.script.every_ms:
            self.later(1 + self.dice.randrange(self.script.every_ms), self._act)
        if self.script.mines:
            self._dig()

    def rest(self) -> None:
        """Hear that the trouble is over: nothing more is mined, but whoever is banned may come again."""
        self.is_resting = True
        self.script.rests()

    def _act(self) -> None:
        self.script.act()
        self.later(1 + self.dice.randrange(2 * self.script.every_ms), self._act)

    def _call(self) -> None:
        """Dial nodes that it is not connected to; from another address, where it is banned here."""
        if len(self._turned_away) >= min(TURNED_AWAY, len(self.scene.honest)) and self.moves < MAX_MOVES:
            self.move()
        known = {line.host: None for line in self.lines.values()}
        for endpoint in self.scene.honest:
            if endpoint.host not in known and self.dice.randrange(2):
                self.dial(endpoint)
        self.later(CALL_MS + self.dice.randrange(CALL_MS), self._call)

    def dial_any(self) -> None:
        """Dial one of the nodes, connected or not."""
        self.dial(self.dice.choice(self.scene.honest))

    def dial(self, endpoint: Endpoint) -> None:
        """Dial somebody."""
        self._next_dial += 1
        number = self._next_dial
        self._dials[number] = endpoint
        self.scene.network.dial(self, events.Dial(number, *endpoint), lambda: number in self._dials)

    def move(self) -> None:
        """Take another host and another identity, as whoever is banned can."""
        self._turned_away.clear()
        for line in list(self.lines.values()):
            self.hang_up(line)
        self._dials.clear()
        self.moves += 1
        self.host = f"60.{self.number}.{self.moves}.1"
        self.identity = key(f"adversary {self.number} {self.moves}")
        self.scene.network.join(self)

    # ---------------------------------------------------------------------------------------- what it mines

    def _dig(self) -> None:
        """Plan when its share of the hash rate finds the next block."""
        target = difficulty.bits_to_target(rules.required_bits(self.view.tip, self.scene.parameters))
        expected = (1 << 256) / (target + 1)
        delay = 1 + int(self.dice.expovariate(self.scene.hashes_per_ms / expected))
        if delay > PATIENCE_MS:  # it has no memory: looking again changes nothing
            self.later(PATIENCE_MS, self._go_on_digging)
        else:
            self.later(delay, self._find)

    def _go_on_digging(self) -> None:
        if not self.is_resting:
            self._dig()

    def _find(self) -> None:
        if not self.is_resting:
            self.script.find()
            self._dig()

    def build(
        self,
        parent: Built,
        entries: Sequence[Entry | bytes] = (),
        *,
        timestamp_ms: int | None = None,
        changes: Changes = NO_CHANGES,
    ) -> Built:
        """Return a mined block, valid unless told otherwise; its time is now where none is given."""
        time_ms = max(self.wall_ms(), parent.timestamp_ms + 1) if timestamp_ms is None else timestamp_ms
        return self.chain.block(parent, entries, timestamp_ms=time_ms, miner=self.wallet, changes=changes)

    def nonce_at(self, block: Built) -> int | None:
        """Return its wallet's next nonce on a block; None where it does not have all bodies up to there."""
        spent = 0
        for one in block.path()[1:]:
            raw = one.raw or self.serves.get(one.hash)
            if raw is None:
                return None
            if one.hash not in self._spent:
                entries = map(decode_entry, decode_block(raw).entries)
                self._spent[one.hash] = sum(entry.sender == self.wallet.public for entry in entries)
            spent += self._spent[one.hash]
        return spent

    def entry(self, nonce: int, amount: int = 1, *, fee: int = 1, timestamp_ms: int | None = None) -> Entry:
        """Return an entry of its own wallet, valid where the nonce and the coins are; to one of the nodes."""
        recipient = self.dice.choice(self.scene.identities)
        time_ms = self.wall_ms() if timestamp_ms is None else timestamp_ms
        return self.chain.entry(self.wallet, recipient, amount, fee=fee, nonce=nonce, timestamp_ms=time_ms)
