"""Adversaries that send entries, or tell of such as do not exist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from node.ledger import codec, signature
from node.ledger.entry import assemble_entry, unsigned_message
from node.messages import Entries, GetData, Inventory, Kind, Message
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

_AT_ONCE: Final = 50
_AGE_MS: Final = 20_000


def endless_inventory(me: Adversary) -> Script:
    """Tells of a thousand entries or blocks at a time that do not exist, and answers no question for them.

    What it told of is bounded at the other side; for entries beyond that it is charged.
    """

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        kind = me.dice.choice((Kind.ENTRY, Kind.ENTRY, Kind.ENTRY, Kind.BLOCK))
        block = me.dice.randbytes(32 * 1_000)
        hashes = tuple(block[at : at + 32] for at in range(0, len(block), 32))
        me.say(line, Inventory(kind, hashes))
        me.did(f"1000 of kind {kind} that do not exist, to {line.host}")

    def answers(_: Line, message: Message) -> bool:
        return isinstance(message, GetData) and me.dice.randrange(2) == 0

    return Script(act=act, every_ms=1_000, answers=answers)


def replays(me: Adversary) -> Script:
    """Sends entries again that it heard of earlier; by now most of them are confirmed.

    No entry is in the book twice, and nobody is charged for being late.
    """
    heard: list[tuple[int, bytes]] = []

    def answers(_: Line, message: Message) -> bool:
        if isinstance(message, Entries):
            now_ms = me.scene.kernel.now_ms
            heard.extend((now_ms, raw) for raw in message.raws)
            del heard[:-1_000]
        return False

    def act() -> None:
        line = me.any_line()
        due_ms = me.scene.kernel.now_ms - _AGE_MS
        old = [raw for time_ms, raw in heard if time_ms < due_ms]
        if line is None or not old:
            return
        me.dice.shuffle(old)
        me.say(line, Entries(tuple(old[:_AT_ONCE])))
        me.did(f"{len(old[:_AT_ONCE])} old entries to {line.host}")

    return Script(act=act, every_ms=2_000, answers=answers, wants_entries=True)


def conflicts(me: Adversary) -> Script:
    """Sends each node another entry under the same nonce, all of them valid, and nonces with gaps.

    One of each nonce is confirmed at most, and the nodes agree on which.
    """
    nonce = 0

    def act() -> None:
        nonlocal nonce
        lines = me.open_lines()
        if not lines:
            return
        known = me.nonce_at(me.view.tip)
        nonce = max(nonce, known or 0)
        at = nonce + me.dice.choice((0, 0, 0, 1, 5, 64, 65, 1_000))
        for rank, line in enumerate(lines):
            me.say(line, Entries((me.entry(at, 1 + rank, fee=1 + me.dice.randrange(3)).raw,)))
        if at == nonce and me.dice.randrange(2):
            nonce += 1
        me.did(f"{len(lines)} entries under nonce {at}")

    return Script(act=act, every_ms=2_000, wants_bodies=True)


def bad_entries(me: Adversary) -> Script:
    """Entries that nobody may take: of another network, badly signed, malformed, beyond its means, in a gap.

    None of them waits anywhere. It is charged for what no honest program sends, and only for that.
    """

    def foreign() -> bytes:
        other = bytes(32)
        message = unsigned_message(
            other,
            sender=me.wallet.public,
            recipient=me.dice.choice(me.scene.identities),
            amount=1,
            fee=1,
            nonce=0,
            timestamp_ms=me.wall_ms(),
            memo="",
        )
        return assemble_entry(other, message, signature.sign(me.wallet.seed, message)).raw

    def malformed() -> bytes:
        return codec.encode((1, me.wallet.public, b"", 1))

    makes: Mapping[str, Callable[[], bytes]] = {
        "entry-signature": foreign,
        "entry-encoding": malformed,
        "overspend": lambda: me.entry(0, 1 << 40).raw,
        "nonce-too-far": lambda: me.entry(1_000_000).raw,
        "fee-too-low": lambda: me.entry(0, fee=0).raw,
        "entry-expired": lambda: me.entry(0, timestamp_ms=0).raw,
        "entry-from-future": lambda: me.entry(0, timestamp_ms=me.wall_ms() + 3_600_000).raw,
    }

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        code = me.dice.choice(list(makes))
        me.say(line, Entries((makes[code](),)))
        me.did(f"{code} to {line.host}")

    return Script(act=act, every_ms=1_500)
