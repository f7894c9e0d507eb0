"""Adversaries that attack connections: who is who, who listens, what a frame is, where others are."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node import frames
from node.ledger import signature
from node.ledger.entry import SIGNATURE_BYTES
from node.messages import (
    MAX_ADDRESSES,
    PROTOCOL_VERSION,
    Address,
    Addresses,
    Auth,
    GetAddresses,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Inventory,
    Kind,
    Message,
    Ping,
)
from tests.simulation.adversaries.party import Adversary, Line, Script

_AUTH: Final = frames.encode(Auth(bytes(SIGNATURE_BYTES)))[:-SIGNATURE_BYTES]
"""How each AUTH begins."""
STALE_HEIGHT: Final = 4
_PING_MS: Final = 55_000
_BLOCK_MS: Final = 1_950
_HELLO_MS: Final = 9_800


def stale(me: Adversary) -> Script:
    """A peer that follows the chain for a few blocks, then never again: it shows and serves the old ones.

    It is no fault to be behind; nobody waits for it, and nobody goes back to where it is.
    """

    def learnt() -> None:
        if me.view.tip.height <= STALE_HEIGHT:
            me.shown = me.view.tip

    def answers(line: Line, message: Message) -> bool:
        if isinstance(message, GetHeaders) and me.shown is not None:
            me.answer(line, message)
            me.did(f"answers {line.host} from block {me.shown.height}")
            return True
        return False

    return Script(learnt=learnt, answers=answers, wants_bodies=True)


def wrong_network(me: Adversary) -> Script:
    """A node of another book: it is shown out, and not charged, for honest people do this."""

    def greets(hello: Hello) -> Hello:
        me.did("greets")
        return replace(hello, network_id=bytes(31) + b"\x01")

    return Script(greets=greets)


def stolen_identity(me: Adversary) -> Script:
    """Says HELLO as one of the nodes, and signs with its own key, or with an AUTH that it heard before.

    It is not believed, its host is banned, and the node whose name it took is none the worse for it.
    """
    heard: list[bytes] = []

    def greets(hello: Hello) -> Hello:
        me.did("greets as somebody else")
        return replace(hello, identity=me.dice.choice(me.scene.identities))

    def signs(message: bytes) -> bytes:
        if heard and me.dice.randrange(2):
            return me.dice.choice(heard)
        return signature.sign(me.identity.seed, message)

    def reads(_: Line, data: bytes) -> bool:
        at = data.find(_AUTH)
        if at >= 0 and len(data) >= at + len(_AUTH) + SIGNATURE_BYTES:
            heard.append(data[at + len(_AUTH) :][:SIGNATURE_BYTES])
        return False

    return Script(greets=greets, signs=signs, reads=reads)


def address_flood(me: Adversary) -> Script:
    """Says where thousands of nodes are that are not there: hosts that nobody has, loopback, one's own, names.

    What is kept of one source is bounded, and the honest find each other all the same.
    """

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        dice, now_s = me.dice, me.wall_ms() // 1000
        honest = [end.host for end in me.scene.honest]
        items = []
        for _ in range(MAX_ADDRESSES):
            host = dice.choice(
                (
                    f"{dice.randrange(1, 224)}.{dice.randrange(256)}.{dice.randrange(256)}.1",
                    f"127.0.0.{dice.randrange(256)}",
                    dice.choice(honest),
                    "::1",
                    "0.0.0.0",  # noqa: S104 - an address to be dialled, which nobody should
                    "255.255.255.255",
                    f"host{dice.randrange(1000)}.example",
                    line.host,
                )
            )
            items.append(Address(host, dice.choice((9000, 1, 65_535)), dice.choice((0, now_s, now_s + 10**9))))
        me.say(line, Addresses(tuple(items)), GetAddresses())
        me.did(f"{len(items)} addresses to {line.host}")

    return Script(act=act, every_ms=1_000)


def last_to_answer(me: Adversary) -> Script:
    """Answers everything, each time just before it would be too late: handshakes, pings, questions for blocks.

    It tells of each block as soon as it has heard of it, so that it is asked. It costs a wait, never more.
    """

    def slowly(delay_ms: int, line: Line, message: Message) -> None:
        me.did(f"answers {type(message).__name__} of {line.host} in {delay_ms} ms")
        me.later(delay_ms, lambda: me.answer(line, message))

    def answers(line: Line, message: Message) -> bool:
        match message:
            case Ping():
                slowly(_PING_MS, line, message)
            case GetHeaders() | GetData():
                slowly(_BLOCK_MS, line, message)
            case _:
                return False
        return True

    def begins(line: Line) -> bool:
        greeting = line.link.outgoing()
        delay = me.dice.choice((0, _HELLO_MS - 800))
        me.later(delay, lambda: me.send(line, greeting))
        return True

    def learnt() -> None:
        me.shown = me.view.tip
        for line in me.open_lines():
            me.say(line, Headers((me.view.tip.header.raw,)))

    return Script(answers=answers, begins=begins, learnt=learnt, wants_bodies=True)


def never_reads(me: Adversary) -> Script:
    """Asks for every block there is, again and again, and reads none of it; nor does it answer a ping.

    What waits for it is bounded, and it is dropped.
    """

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        hashes = [block.hash for block in me.view.branch(64) if block.height]
        if not hashes:
            return
        me.scene.network.hold(line.number, 120_000)
        me.say(line, GetData(Kind.BLOCK, tuple(hashes[:32])))
        me.did(f"asks {line.host} for {len(hashes[:32])} blocks")

    def answers(_: Line, message: Message) -> bool:
        return isinstance(message, Ping)

    return Script(act=act, every_ms=500, answers=answers)


def garbage(me: Adversary) -> Script:
    """Bytes that are no frames, frames that are cut off, too long, empty or out of turn, before and after HELLO.

    Each costs it the connection; nothing else happens.
    """

    def junk() -> bytes:
        dice = me.dice
        whole = frames.encode(Ping(dice.randrange(1 << 40)))
        return dice.choice(
            (
                dice.randbytes(1 + dice.randrange(3_000)),
                whole[: 1 + dice.randrange(len(whole) - 1)],
                bytes(4),
                frames.FRAME.pack(1 << 31, 22),
                frames.FRAME.pack(100, 3) + bytes(99),
                frames.frame(32, b"\x90"),
                frames.frame(99, b""),
                frames.frame(16, b"\xc1"),
                frames.frame(1, b"\x90"),
                frames.encode(Auth(bytes(64))),
                frames.encode(Inventory(Kind.BLOCK, (bytes(32),)))[:-7] + bytes(7),
            )
        )

    def act() -> None:
        line = me.any_line()
        if line is not None:
            data = junk()
            me.send(line, data)
            me.did(f"{data[:8].hex()}... of {len(data)} bytes to {line.host}")

    def begins(line: Line) -> bool:
        if me.dice.randrange(4):
            return False
        me.send(line, junk())
        me.did(f"junk in the place of HELLO to {line.host}")
        return True

    return Script(act=act, every_ms=1_500, begins=begins)


def slow_handshakes(me: Adversary) -> Script:
    """Opens connection after connection and says HELLO a byte at a time, so that none of them is ever done.

    Each ends when a handshake should be over; the places of honest peers are not taken.
    """

    def drip(line: Line, data: bytes) -> None:
        if data and line.number in me.lines:
            me.send(line, data[:1])
            me.later(400, lambda: drip(line, data[1:]))

    def begins(line: Line) -> bool:
        drip(line, line.link.outgoing())
        me.did(f"begins to greet {line.host}")
        return True

    return Script(begins=begins, act=me.dial_any, every_ms=1_500)


def newer_version(me: Adversary) -> Script:
    """A program that is ahead: unknown feature bits, other upgrades, messages of types from 128 on.

    What a later version may say without asking is skipped; it is a peer like any other, and is not charged.
    At times it speaks another version of the protocol: then it is shown out, and not charged either.
    """

    def greets(hello: Hello) -> Hello:
        me.did("greets")
        return replace(
            hello,
            version=me.dice.choice((PROTOCOL_VERSION, PROTOCOL_VERSION, PROTOCOL_VERSION + 1)),
            features=me.dice.getrandbits(53),
            rules_hash=me.dice.randbytes(32),
        )

    def act() -> None:
        line = me.any_line()
        if line is not None:
            number = me.dice.randrange(128, 256)
            me.send(line, frames.frame(number, me.dice.randbytes(me.dice.randrange(2_000))))
            me.say(line, Ping(me.acts))
            me.did(f"type {number} to {line.host}")

    return Script(greets=greets, act=act, every_ms=1_500)


def go_between(me: Adversary) -> Script:
    """Hands on what two nodes say to each other as if it were the wire between them, then says something bad.

    To each the other has proven who it is, and yet it is not the other that said it: it must not pay for it.
    """
    tied: dict[int, Line] = {}
    """Connection to the line that it is tied to."""
    callers: dict[str, Line] = {}
    """Host of whom it dials for it, to whoever has dialled."""
    unsaid: dict[int, list[bytes]] = {}
    """What a caller has said before there was anybody to say it to."""

    def begins(line: Line) -> bool:
        if not line.is_dialled:
            others = [end for end in me.scene.honest if end.host != line.host and end.host not in callers]
            if others:
                end = me.dice.choice(others)
                callers[end.host] = line
                unsaid[line.number] = []
                me.dial(end)
            return bool(others)
        caller = callers.pop(line.host, None)
        if caller is None or caller.number not in me.lines:
            return False
        tied[line.number], tied[caller.number] = caller, line
        for data in unsaid.pop(caller.number, []):
            me.send(line, data)
        me.later(me.dice.choice((2_000, 15_000)), lambda: spoil(*me.dice.sample([line, caller], 2)))
        return True

    def spoil(line: Line, from_: Line) -> None:
        if line.number in me.lines and from_.number in me.lines:
            me.send(line, frames.frame(32, b"\x90"))
            me.did(f"says to {line.host} what {from_.host} did not say")

    def reads(line: Line, data: bytes) -> bool:
        if line.number in tied:
            me.send(tied[line.number], data)
        elif line.number in unsaid:
            unsaid[line.number].append(data)
        else:
            return False
        return True

    return Script(begins=begins, reads=reads)
