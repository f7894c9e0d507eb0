"""The check of a receipt or an extension: what its parts prove, without any node (docs/receipts.md, 3).

Pure. Inclusion after RFC 9162 section 2.1.3.2 and consistency after section 2.1.4.2, over the trees of
`ledger.merkle`. Nothing in a file is taken on its word: parameters are proven by the history that starts with
their genesis, the entry by its signature and its place under a header, the header by its work and its place
under a later one. That the later one is everybody's tip is not proven by two headers: for that the reader
compares a hash (`Checked.anchor`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from node.ledger import difficulty, merkle, signature
from node.ledger.block import (
    EXTENSION_ROOT,
    Body,
    Coinbase,
    Header,
    decode_coinbase,
    decode_header,
    network_id,
)
from node.ledger.codec import HASH_BYTES
from node.ledger.entry import Entry, decode_entry, signed_message
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters, rules_version
from node.ledger.rules import check_entry_in_context, sane_header
from node.proof_file import BlockPart, EntryPart, NetworkPart, Proven, Receipt, ReceiptRefused, TipPart
from node.storage.network import parameters_of_bytes


class NotAnchored(ReceiptRefused):
    """In order, but it does not lead to the hash that the reader trusts."""

    code: ClassVar[str] = "not-anchored"

    def __init__(self, trust: bytes, last: Header) -> None:
        super().__init__(
            "trust",
            f"nothing here is anchored to {trust.hex()}",
            f"ask for one whose tip is that block; this one's is block {last.height}, {last.hash.hex()}",
        )


@dataclass(frozen=True, slots=True)
class HeldEntry:
    """An entry or a reward that the block holds."""

    content: Entry | Coinbase
    position: int
    """Leaf index in the block; 0 is the reward."""
    txid: bytes
    """Leaf hash, 32 bytes."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file proves."""

    parameters: Parameters
    network_id: bytes
    entry: HeldEntry | None
    """None in an extension."""
    block: Header
    """The entry's block; of an extension, the old tip."""
    tip: Header
    """The last block; the block itself where it was the tip."""
    anchor: str | None
    """Which of the two is the hash that the reader trusts, `tip` or `block`; None where none was named."""

    @property
    def work(self) -> int:
        """Expected hashes that the headers in the file took: all the work that it carries itself."""
        return self.block.work + (0 if self.tip is self.block else self.tip.work)


@dataclass(frozen=True, slots=True)
class _Mined:
    """A block whose header carries its work and whose body is the header's own."""

    header: Header
    body: Body


def check(proven: Proven, trust: bytes | None = None) -> Checked:
    """Return what a file proves; `trust` is the hash of a block that the reader knows to be in the book.

    Raises ReceiptRefused naming the part that is not in order, NotAnchored where only `trust` is missed.
    """
    parameters = _parameters(proven.network)
    tip = None if proven.tip is None else _mined(proven.tip.block, "tip")
    block = _mined(proven.block, "block")
    if proven.tip is not None and tip is not None:
        _check_under(block, tip, proven.tip)
    last = tip or block
    identity = network_id(parameters)
    _check_network(proven.network, identity, block)
    _check_rules(block, "block", parameters, identity)
    if tip is not None:
        _check_rules(tip, "tip", parameters, identity)
        _check_order(block.header, tip.header)
    _check_consistency(block, last, proven.consistency)
    entry = _held(proven.entry, block, parameters, identity) if isinstance(proven, Receipt) else None
    anchor = None if trust is None else _anchor(trust, block.header, last.header)
    return Checked(parameters, identity, entry, block.header, last.header, anchor)


def body_bytes(body: Body) -> bytes:
    """Return a body as files hold it: what its root covers behind 0x02."""
    return body.count.to_bytes(4, "big") + body.entries_root + body.history_root + body.extension_root


# ---------------------------------------------------------------------------------------------- parts


def _parameters(part: NetworkPart) -> Parameters:
    parameters = parameters_of_bytes(part.parameters)
    # Encoded again, and with the two kept for later as they must be: nothing that merely counts as empty.
    if (
        parameters is None
        or parameters.encode() != part.parameters
        or type(parameters.allocations) is not tuple
        or type(parameters.members) is not tuple
        or type(parameters.quorum) is not int
    ):
        raise ReceiptRefused("network.parameters", "not the parameters of a network")
    return parameters


def _mined(part: BlockPart, name: str) -> _Mined:
    try:
        header = decode_header(part.header)
        if header.height == 0:
            raise ReceiptRefused(f"{name}.header", "genesis, which holds no entry and commits to nothing")
        sane_header(header)
    except RuleBroken as broken:
        raise ReceiptRefused(f"{name}.header", str(broken)) from None
    roots = (part.body[start : start + HASH_BYTES] for start in range(4, len(part.body), HASH_BYTES))
    body = Body(int.from_bytes(part.body[:4], "big"), *roots)
    if body.root() != header.body_root:
        raise ReceiptRefused(f"{name}.body", "it does not hash to the header's body root")
    return _Mined(header, body)


def _check_under(block: _Mined, tip: _Mined, part: TipPart) -> None:
    height = block.header.height
    if tip.header.height <= height:
        raise ReceiptRefused("tip.header", f"height {tip.header.height} is not above the block's, {height}")
    leaf = merkle.leaf_hash(block.header.hash)
    if _root(leaf, height, tip.header.height, part.proof, "tip.proof") != tip.body.history_root:
        raise ReceiptRefused("tip", "the tip's history does not hold the block at its height")


def _check_network(part: NetworkPart, identity: bytes, block: _Mined) -> None:
    """The block is of this network: bound to it, and not to the tip, so that it is an anchor by itself."""
    leaf = merkle.leaf_hash(identity)
    if _root(leaf, 0, block.header.height, part.proof, "network.proof") != block.body.history_root:
        raise ReceiptRefused("network", "this history does not start with the genesis of these parameters")


def _check_rules(block: _Mined, name: str, parameters: Parameters, identity: bytes) -> None:
    """Whatever the rules say of a block that needs no other block."""
    header, body = block.header, block.body
    wrong = _wrong_in_header(header, parameters, identity)
    if wrong is not None:
        raise ReceiptRefused(f"{name}.header", wrong)
    if body.count == 0 or body.extension_root != EXTENSION_ROOT:
        raise ReceiptRefused(f"{name}.body", "no leaf at all, or an extension root that is not zero")


def _wrong_in_header(header: Header, parameters: Parameters, identity: bytes) -> str | None:
    target = difficulty.bits_to_target(header.bits)
    if header.version != rules_version(header.height):
        return f"version {header.version}, in force is {rules_version(header.height)}"
    if difficulty.target_to_bits(target) != header.bits:
        return f"bits {header.bits:#010x} are not in their shortest form"
    if target > difficulty.bits_to_target(parameters.easiest_bits):
        return (
            f"bits {header.bits:#010x} are easier than {parameters.easiest_bits:#010x}, the network's easiest"
        )
    if header.timestamp_ms < parameters.genesis_ms + header.height:
        return "too early: every block is later than the one before"
    if header.height == 1 and (header.previous != identity or header.bits != parameters.genesis_bits):
        return "block 1 follows genesis, and has its bits"
    return None


def _check_order(block: Header, tip: Header) -> None:
    between = tip.height - block.height
    if tip.timestamp_ms < block.timestamp_ms + between:
        raise ReceiptRefused("tip.header", "too early: every block is later than the one before")
    if between == 1 and tip.previous != block.hash:
        raise ReceiptRefused("tip.header", "it is the next block, but names another before it")


def _held(part: EntryPart, block: _Mined, parameters: Parameters, identity: bytes) -> HeldEntry:
    count = block.body.count
    if part.position >= count:
        raise ReceiptRefused("entry.position", f"{part.position}, but the block has {count} leaves")
    try:
        content = _content(part, block, parameters, identity)
    except RuleBroken as broken:
        raise ReceiptRefused("entry.bytes", str(broken)) from None
    txid = merkle.leaf_hash(part.raw)
    if _root(txid, part.position, count, part.proof, "entry.proof") != block.body.entries_root:
        raise ReceiptRefused("entry", "the block does not hold these bytes at this position")
    return HeldEntry(content, part.position, txid)


def _content(part: EntryPart, block: _Mined, parameters: Parameters, identity: bytes) -> Entry | Coinbase:
    if part.position:
        entry = decode_entry(part.raw)
        check_entry_in_context(entry, block.header.timestamp_ms, parameters)
        if not signature.verify(entry.sender, signed_message(identity, entry.raw), entry.signature):
            raise ReceiptRefused("entry.bytes", "the signature is not the sender's")
        return entry
    coinbase, reward = decode_coinbase(part.raw), parameters.reward(block.header.height)
    if coinbase.height != block.header.height:
        raise ReceiptRefused("entry.bytes", "the reward of another height")
    if coinbase.amount < reward or (coinbase.amount > reward and block.body.count == 1):
        raise ReceiptRefused("entry.bytes", f"a reward of {coinbase.amount}, due is {reward} and the fees")
    return coinbase


def _check_consistency(block: _Mined, last: _Mined, proof: tuple[bytes, ...]) -> None:
    sizes = block.header.height, last.header.height
    if not merkle.verify_consistency(*sizes, block.body.history_root, last.body.history_root, proof):
        raise ReceiptRefused("consistency", "the tip's history is not the block's with more added to it")


def _root(leaf: bytes, index: int, size: int, proof: tuple[bytes, ...], part: str) -> bytes:
    try:
        return merkle.root_from_inclusion(leaf, index, size, proof)
    except merkle.BadProof as error:
        raise ReceiptRefused(part, str(error)) from None


def _anchor(trust: bytes, block: Header, last: Header) -> str:
    if trust == block.hash:
        return "block"
    if trust == last.hash:
        return "tip"
    raise NotAnchored(trust, last)
