"""Adversaries that abuse a connection as such: late, unread, broken or slow bytes, and unknown ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node import frames
from node.messages import (
    PROTOCOL_VERSION,
    Auth,
    GetData,
    GetHeaders,
    Headers,
    Hello,
    Inventory,
    Kind,
    Message,
    Ping,
)
from tests.building import key
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

_PING_MS: Final = 55_000
_BLOCK_MS: Final = 1_950
_QUESTIONS: Final = 4
_CROWD: Final = 40
_HELLO_MS: Final = 9_000


def last_to_answer(me: Adversary) -> Script:
    """Answers everything just before it would be too late: handshakes, pings, questions for blocks.

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
        line.held = bytearray()
        me.later(me.dice.choice((0, _HELLO_MS)), lambda: me.let_go(line))
        return False

    def learnt() -> None:
        me.shown = me.view.tip
        for line in me.open_lines():
            me.say(line, Headers((me.view.tip.header.raw,)))

    return Script(answers=answers, begins=begins, learnt=learnt, wants_bodies=True)


def never_reads(me: Adversary) -> Script:
    """Asks for every block there is, again and again, then no more; it reads nothing and answers no ping.

    What waits for it is bounded, and it is dropped.
    """
    asked: dict[int, int] = {}

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        hashes = [block.hash for block in me.view.branch(64) if block.height]
        if not hashes:
            return
        asked[line.number] = asked.get(line.number, 0) + 1
        if asked[line.number] > _QUESTIONS:
            return
        me.scene.network.hold(line.number, 120_000)
        me.say(line, GetData(Kind.BLOCK, tuple(hashes[:32])))
        me.did(f"asks {line.host} for {len(hashes[:32])} blocks")

    def answers(_: Line, message: Message) -> bool:
        return isinstance(message, Ping)

    return Script(act=act, every_ms=500, answers=answers)


def garbage(me: Adversary) -> Script:
    """Bytes that are no frames; frames that are cut off, too long, empty, or out of turn.

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

    def drip(line: Line) -> None:
        if line.number in me.lines:
            me.let_go(line, 1)
            me.later(400, lambda: drip(line))

    def begins(line: Line) -> bool:
        line.held = bytearray()
        me.later(400, lambda: drip(line))
        me.did(f"begins to greet {line.host}")
        return False

    return Script(begins=begins, act=me.dial_any, every_ms=1_500)


def crowd(me: Adversary) -> Script:
    """One host that takes all the places of two nodes for callers, each connection as somebody else.

    It says nothing wrong, and stays. Whoever is honest must find a place there all the same.
    """
    victims = me.dice.sample(me.scene.honest, min(2, len(me.scene.honest)))

    def act() -> None:
        for victim in victims:
            lines = sum(line.host == victim.host for line in me.lines.values())
            if lines < _CROWD:
                me.identity = key(f"adversary {me.number} {me.moves} {me.acts}")
                me.dial(victim)
                me.did(f"calls {victim.host}, where it has {lines} connections")

    return Script(act=act, every_ms=200)


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
