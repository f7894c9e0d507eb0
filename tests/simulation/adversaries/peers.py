"""Adversaries that lie about who is who, where others are, and what there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from node import frames
from node.ledger import signature
from node.ledger.entry import SIGNATURE_BYTES
from node.messages import (
    MAX_ADDRESSES,
    Address,
    Addresses,
    Auth,
    GetAddresses,
    Headers,
    Hello,
    Inventory,
    Kind,
)
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

_AUTH: Final = frames.encode(Auth(bytes(SIGNATURE_BYTES)))[:-SIGNATURE_BYTES]
"""How each AUTH begins."""
STALE_HEIGHT: Final = 4


def stale(me: Adversary) -> Script:
    """A peer that follows the chain for a few blocks, then never again: it tells of the old ones only.

    It is no fault to be behind; nobody waits for it, and nobody goes back to where it is.
    """

    def learnt() -> None:
        if me.shown is None or me.view.tip.height <= STALE_HEIGHT:
            me.shown = me.view.tip

    def act() -> None:
        line = me.any_line()
        if line is not None and me.shown is not None and me.shown.height < me.view.tip.height:
            me.say(line, Inventory(Kind.BLOCK, (me.shown.hash,)), Headers((me.shown.header.raw,)))
            me.did(f"tells {line.host} of block {me.shown.height}")

    return Script(learnt=learnt, act=act, every_ms=2_000, wants_bodies=True)


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
    """Says where thousands of nodes are that are not: hosts that nobody has, loopback, one's own, names.

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
            seen_s = dice.choice((0, now_s, now_s + 10**9))
            items.append(Address(host, dice.choice((9000, 1, 65_535)), seen_s))
        me.say(line, Addresses(tuple(items)), GetAddresses())
        me.did(f"{len(items)} addresses to {line.host}")

    return Script(act=act, every_ms=1_000)


def go_between(me: Adversary) -> Script:
    """Hands on what two nodes say to each other as if it were the wire between them; then it does not.

    It says something bad in the name of one, or nothing any more. To each the other has proven who it is, and
    yet it is not the other that said it, and must not pay for it.
    """
    tied: dict[int, Line] = {}
    """Connection to the line that it is tied to."""
    callers: dict[str, Line] = {}
    """Host of whom it dials for it, to whoever has dialled."""
    silent: dict[int, None] = {}
    """Connections of which nothing is handed on any more."""
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
        if line.number not in me.lines or from_.number not in me.lines:
            return
        if me.dice.randrange(3) == 0:
            silent.update({line.number: None, from_.number: None})
            me.did(f"is silent between {line.host} and {from_.host}")
        else:
            me.send(line, frames.frame(32, b"\x90"))
            me.did(f"says to {line.host} what {from_.host} did not say")

    def reads(line: Line, data: bytes) -> bool:
        if line.number in tied:
            if line.number not in silent:
                me.send(tied[line.number], data)
        elif line.number in unsaid:
            unsaid[line.number].append(data)
        else:
            return False
        return True

    def opened(line: Line) -> None:
        """Be known as somebody who can be dialled, then gone, so that one is dialled."""
        me.later(2_000, lambda: me.hang_up(line) if line.number not in tied else None)

    return Script(begins=begins, reads=reads, opened=opened)
