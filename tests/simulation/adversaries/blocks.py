"""Adversaries that make blocks which are wrong, or only half there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from node.ledger import codec, difficulty
from node.ledger.block import Block, encode_block
from node.ledger.entry import decode_entry
from node.messages import BlockMessage, GetData, Headers, Kind, Message
from tests.building import Built, Changes, key
from tests.simulation.adversaries.parts import compact, with_parts
from tests.simulation.adversaries.party import Adversary
from tests.simulation.adversaries.script import Line, Script

_SPENT: Final = 5
"""A nonce that none of these reaches: their wallets never spend in a valid block."""
_MANY: Final = 60
"""Entries of a block whose signatures more than one thread checks."""
_ENTRY_BYTES: Final = 300
"""As many and more than an entry has."""


class Wrong:
    """Makes blocks on a parent, each breaking one rule."""

    def __init__(self, me: Adversary) -> None:
        self._me = me
        self.foreign: Mapping[str, Callable[[Block], bytes]] = {
            "block-encoding": lambda right: right.raw + b"\x00",
            "body-root": self._other_body,
            "entries-root": self._other_entries,
        }
        """Bytes that are not those of a header, which they say nothing about, by the code of the rule."""
        self.codes: Mapping[str, Callable[[Built], Built]] = {
            "entry-encoding": lambda on: me.build(on, [b"\x90" * 20]),
            "entry-version": lambda on: me.build(on, [self._refit(0, 2)]),
            "entry-memo": lambda on: me.build(on, [self._refit(7, "m" * 257)]),
            "header-encoding": self._header_encoding,
            "proof-of-work": self._proof_of_work,
            **{code: partial(self._with_foreign_body, code) for code in self.foreign},
            "block-size": self._block_size,
            "entry-count": lambda on: me.build(on, changes=Changes(count=2)),
            "extension-root": lambda on: me.build(on, changes=Changes(extension_root=b"\x01" * 32)),
            "coinbase-encoding": lambda on: me.build(on, changes=Changes(first_leaf=b"\x91\x01")),
            "unknown-parent": lambda on: me.build(on, changes=Changes(previous=me.dice.randbytes(32))),
            "header-version": lambda on: me.build(on, changes=Changes(version=2)),
            "header-height": lambda on: me.build(on, changes=Changes(height=on.height + 2)),
            "timestamp-order": lambda on: me.build(on, timestamp_ms=on.timestamp_ms),
            "difficulty": self._difficulty,
            "history-root": lambda on: me.build(on, changes=Changes(history_root=bytes(32))),
            "coinbase-height": lambda on: me.build(on, changes=Changes(coinbase_height=on.height + 2)),
            "entry-expired": self._entry_expired,
            "entry-from-future": self._entry_from_future,
            "fee-too-low": lambda on: me.build(on, [me.entry(0, fee=0)]),
            "entry-signature": self._entry_signature,
            "nonce-used": lambda on: me.build(on, [me.entry(0), me.entry(0, 2)]),
            "nonce-gap": lambda on: me.build(on, [me.entry(_SPENT)]),
            "overspend": self._overspend,
            "coinbase-amount": lambda on: me.build(on, changes=Changes(coinbase_amount=1 << 40)),
        }
        """By the code of the rule; `condemned-parent` takes two blocks and stands elsewhere."""

    def _refit(self, field: int, value: int | str | bytes, *, nonce: int = 0) -> bytes:
        """Return an entry's bytes with one field changed."""
        fields = list(codec.decode(self._me.entry(nonce).raw))
        fields[field] = value
        return codec.encode(tuple(fields))

    def _with_foreign_body(self, code: str, on: Built) -> Built:
        block = self._me.build(on)
        return replace(block, block=replace(block.block, raw=self.foreign[code](block.block)))

    def _other_body(self, right: Block) -> bytes:
        other = replace(right.body, entries_root=bytes(32))
        return encode_block(right.header, other, right.first_leaf, right.entries).raw

    def _other_entries(self, right: Block) -> bytes:
        return encode_block(right.header, right.body, right.first_leaf, (self._me.entry(0).raw,)).raw

    def _header_encoding(self, on: Built) -> Built:
        return self._me.build(on, timestamp_ms=(1 << 53) + self._me.dice.randrange(1000))

    def _proof_of_work(self, on: Built) -> Built:
        block = self._me.build(on, changes=Changes(mine=False))
        header, target = block.header, difficulty.bits_to_target(block.header.bits)
        while int.from_bytes(header.hash, "big") <= target:
            header = replace(header, nonce=header.nonce + 1)
        whole = block.block
        return replace(block, block=encode_block(header, whole.body, whole.first_leaf, whole.entries))

    def _block_size(self, on: Built) -> Built:
        limit = self._me.scene.parameters.maximum_block_bytes
        leaf = codec.encode((on.height + 1, self._me.wallet.public, 1, bytes(limit)))
        return self._me.build(on, changes=Changes(first_leaf=leaf))

    def _difficulty(self, on: Built) -> Built:
        parameters = self._me.scene.parameters
        block = self._me.build(on, changes=Changes(bits=parameters.easiest_bits))
        if block.header.bits == self._me.build(on).header.bits:
            return self._me.build(on, changes=Changes(bits=0x20111111))
        return block

    def _overspend(self, on: Built) -> Built:
        """Who has nothing pays nothing, and the fee is more than that: the least that is too much."""
        me = self._me
        recipient = me.dice.choice(me.scene.identities)
        entry = me.chain.entry(key("poor"), recipient, 0, fee=1, nonce=0, timestamp_ms=me.wall_ms())
        return me.build(on, [entry])

    def _entry_signature(self, on: Built) -> Built:
        """One bad signature alone, or among good ones: many are checked by several threads."""
        me = self._me
        most = min(_MANY, me.scene.parameters.maximum_block_bytes // _ENTRY_BYTES)
        entries = [me.entry(nonce) for nonce in range(me.dice.choice((1, 3, most)))]
        bad = me.dice.randrange(len(entries))
        entries[bad] = decode_entry(self._refit(8, bytes(64), nonce=bad))  # its fee is in the coinbase
        return me.build(on, entries)

    def _entry_expired(self, on: Built) -> Built:
        early = self._me.wall_ms() - self._me.scene.parameters.lifetime_ms - 60_000
        return self._me.build(on, [self._me.entry(0, timestamp_ms=early)])

    def _entry_from_future(self, on: Built) -> Built:
        late = max(self._me.wall_ms(), on.timestamp_ms) + self._me.scene.parameters.drift_ms + 10_000
        return self._me.build(on, [self._me.entry(0, timestamp_ms=late)])


CONDEMNING: Final = ("coinbase-amount", "overspend", "nonce-gap", "entry-signature", "history-root")
"""Some of what condemns a header."""
CONDEMNED_PARENT: Final = "condemned-parent"


def invalid_blocks(me: Adversary) -> Script:
    """Blocks that break any rule of the law, each on the honest tip, to one node at a time.

    None of them is ever on a main chain; each costs the one who sent it its place, for whom it comes again
    from elsewhere. No node is charged for having believed the header.
    """
    wrong = Wrong(me)
    codes = [*wrong.codes, CONDEMNED_PARENT]
    me.dice.shuffle(codes)
    bad: dict[str, Built] = {}
    """By host: the last block whose header it has condemned, if all went well."""

    def astray(line: Line) -> None:
        me.say(line, Headers((wrong.codes["unknown-parent"](me.view.tip).header.raw,)))

    def act() -> None:
        line = me.any_line()
        if line is None:
            return
        if codes[0] == CONDEMNED_PARENT and line.host not in bad:
            codes.append(codes.pop(0))
        code = codes.pop(0)
        codes.append(code)
        if code == CONDEMNED_PARENT:
            block = me.build(bad[line.host])
            me.say(line, Headers((bad[line.host].header.raw, block.header.raw)))
        else:
            block = wrong.codes[code](me.view.tip)
            me.say(line, Headers((block.header.raw,)))
        me.serves[block.hash] = block.raw
        if code in CONDEMNING:
            bad[line.host] = block
        if code == "unknown-parent":
            for turn in range(1, 4):  # each after the answer to the question that the last one led to
                me.later(turn * 500, lambda: astray(line))
        me.did(f"{code} in block {block.header.height} {block.hash.hex()[:8]} to {line.host}")

    return Script(act=act, every_ms=2_000)


def bad_bodies(me: Adversary) -> Script:
    """Mines a valid block, hands one node a body that is not the header's, and the right one to the others.

    The node that was lied to must take the block all the same, from whoever has it.
    """
    wrong = Wrong(me)
    lied: dict[int, dict[bytes, bytes]] = {}
    """Connection to the bytes that it gets in the place of a block."""

    def answers(line: Line, message: Message) -> bool:
        lies = lied.get(line.number, {})
        if not (isinstance(message, GetData) and message.kind is Kind.BLOCK):
            return False
        if not any(one in lies for one in message.hashes):
            return False
        me.say(line, *(BlockMessage(lies[one]) for one in message.hashes if one in lies))
        return True

    def find() -> None:
        lines = me.open_lines()
        if len(lines) < 2:
            return
        victim = me.dice.choice(lines)
        code = me.dice.choice(list(wrong.foreign))
        block = me.build(me.view.tip)
        lied.setdefault(victim.number, {})[block.hash] = wrong.foreign[code](block.block)
        me.view.add(block)
        me.publish(block, [victim])
        me.later(300, lambda: me.publish(block, [line for line in me.open_lines() if line is not victim]))
        me.did(f"{code} behind the good header {block.hash.hex()[:8]} to {victim.host}")

    return Script(find=find, mines=True, answers=answers)


def withheld(me: Adversary) -> Script:
    """Mines valid blocks, one on the other, shows their headers to all and hands the bodies to nobody.

    The nodes ask in vain and go on with what they have; the branch counts for nothing.
    """

    def answers(_: Line, message: Message) -> bool:
        return isinstance(message, GetData) and message.kind is Kind.BLOCK and me.dice.randrange(2) == 0

    def find() -> None:
        hidden = me.shown
        parent = me.view.tip
        if hidden is not None and hidden.work > parent.work and me.dice.randrange(4):
            parent = hidden
        block = me.build(parent)
        me.shown = block
        for line in me.open_lines():
            me.say(line, Headers((block.header.raw,)))
        me.did(f"shows the header of block {block.height} {block.hash.hex()[:8]}")

    return Script(find=find, mines=True, answers=answers)


def bad_tips(me: Adversary) -> Script:
    """Good blocks that are really mined, and on them an endless supply of bad ones, another for each node.

    It shows their headers, or tells of them by their short ids, which nodes pass on before they know better.
    The good ones are taken, the bad ones are not, and no node that passed on either is charged.
    """
    wrong = Wrong(me)

    def find() -> None:
        block = me.build(me.view.tip)
        me.view.add(block)
        me.publish(block, me.open_lines())

    def act() -> None:
        for line in me.open_lines()[:3]:
            code = me.dice.choice(CONDEMNING)
            tip = wrong.codes[code](me.view.tip)
            me.serves[tip.hash] = tip.raw
            in_parts = me.dice.randrange(2) == 0
            me.say(line, compact(tip) if in_parts else Headers((tip.header.raw,)))
            how = " by short ids" if in_parts else ""
            me.did(f"{code}{how} on block {me.view.tip.height} to {line.host}")

    return Script(act=act, every_ms=4_000, find=find, mines=True, greets=with_parts)
