"""The rules of the book, top-down, each a named function; read it as the specification.

Pure: no clock, no randomness, no I/O. Three tiers, named by what they may see, cheap first:

    sanity    the bytes alone                      sane_header, sane_block, decode_entry
    context   the headers before the block         check_header_in_context, check_block_in_context
    connect   the accounts                         apply_entries, check_coinbase_amount

and the signatures, which see the bytes and the network id and cost most, in batches between context and
connect (`signature_items`). A rule that is broken raises RuleBroken with its stable code. "Not later than
local time + drift" is no rule: it decides when a block is accepted, not whether it is valid (see `chain`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from node.ledger import difficulty, merkle
from node.ledger.block import EXTENSION_ROOT, Block, Coinbase, Header, decode_coinbase
from node.ledger.entry import ENCODED_SIGNATURE, Entry, decode_entry, message_start
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters, rules_version

# ---------------------------------------------------------------------------------------------- sanity


def sane_header(header: Header) -> None:
    """The header's hash, as a big-endian number, does not pass the target that it claims itself."""
    if int.from_bytes(header.hash, "big") > difficulty.bits_to_target(header.bits):
        raise RuleBroken(Rule.PROOF_OF_WORK, f"hash {header.hash.hex()} is above its own target")


@dataclass(frozen=True, slots=True)
class SaneBlock:
    """A block whose body is the header's own and whose outer parts are well-formed."""

    block: Block
    coinbase: Coinbase
    leaves: tuple[bytes, ...]
    """Leaf hashes of the entries tree: the coinbase's, then each entry's txid."""

    @property
    def header(self) -> Header:
        """The header."""
        return self.block.header

    @property
    def txids(self) -> tuple[bytes, ...]:
        """Names of the entries, in listed order."""
        return self.leaves[1:]


def sane_block(block: Block, parameters: Parameters, leaves: tuple[bytes, ...] | None = None) -> SaneBlock:
    """Check all that the bytes of a block alone can show, but for its entries.

    `leaves` are its own (`Block.leaves`), where they are known: of entries that were decoded before.

    The first two checks show that the body is the header's own. Where they fail nothing is said about the
    header: someone has put another body behind it (`Rule.says_nothing_about_the_header`).
    """
    if block.body.root() != block.header.body_root:
        raise RuleBroken(Rule.BODY_ROOT, "the body does not hash to the header's body root")
    leaves = tuple(block.leaves()) if leaves is None else leaves
    if merkle.tree_root(leaves) != block.body.entries_root:
        raise RuleBroken(Rule.ENTRIES_ROOT, "the coinbase and entries do not hash to the entries root")
    if len(block.raw) > parameters.maximum_block_bytes:
        raise RuleBroken(Rule.BLOCK_SIZE, f"{len(block.raw)} bytes, at most {parameters.maximum_block_bytes}")
    if block.body.count != len(leaves):
        raise RuleBroken(Rule.ENTRY_COUNT, f"count is {block.body.count}, there are {len(leaves)} leaves")
    if block.body.extension_root != EXTENSION_ROOT:
        raise RuleBroken(Rule.EXTENSION_ROOT, "the extension root is not zero")
    return SaneBlock(block, decode_coinbase(block.first_leaf), leaves)


def sane_entries(sane: SaneBlock, start: int = 0, end: int | None = None) -> list[Entry]:
    """Decode entries of a block (see `decode_entry`), telling the position of one that is malformed.

    `start` and `end` are positions among the entries, as in a slice.
    """
    entries: list[Entry] = []
    try:
        for raw, txid in zip(sane.block.entries[start:end], sane.txids[start:end], strict=True):
            entries.append(decode_entry(raw, txid))
    except RuleBroken as broken:
        raise RuleBroken(broken.rule, broken.detail, start + len(entries)) from None
    return entries


# ------------------------------------------------------------------------------------------- signatures


def signature_items(network_id: bytes, entries: Iterable[Entry]) -> list[tuple[bytes, bytes, bytes]]:
    """Return (public key, message, signature) of each entry, as `signature.verify_many` takes them.

    The message is `entry.signed_message`, whose start is the same for all of a network.
    """
    start = message_start(network_id)
    return [(entry.sender, start + entry.raw[1:-ENCODED_SIGNATURE], entry.signature) for entry in entries]


def signature_broken(position: int | None = None) -> RuleBroken:
    """Return the error of an entry whose signature does not verify."""
    return RuleBroken(Rule.ENTRY_SIGNATURE, "the signature is not the sender's", position)


# --------------------------------------------------------------------------------------------- context


class Placed(Protocol):
    """A header whose place in the tree is known."""

    @property
    def header(self) -> Header:
        """The header itself."""

    @property
    def chain_time(self) -> int:
        """See `next_chain_time`; milliseconds."""


def chain_time_of(header: Header, parent: Placed, parameters: Parameters) -> int:
    """Return the chain time of a header: its parent's, and the time between them up to 160 T."""
    return difficulty.next_chain_time(
        parent.chain_time, parent.header.timestamp_ms, header.timestamp_ms, parameters.interval_ms
    )


def genesis_chain_time(parameters: Parameters) -> int:
    """Return chain_time(0) = T: genesis stands one interval behind its virtual parent at 0."""
    return parameters.interval_ms


def required_bits(parent: Placed, parameters: Parameters) -> int:
    """Return the compact target that the child of `parent` must carry: aserti3-2d over chain time."""
    return difficulty.next_bits(
        anchor_bits=parameters.genesis_bits,
        interval=parameters.interval_ms,
        half_life=parameters.half_life_ms,
        time_delta=parent.chain_time,
        height_delta=parent.header.height,
        easiest_bits=parameters.easiest_bits,
    )


def check_header_in_context(header: Header, parent: Placed, parameters: Parameters) -> None:
    """The header follows `parent`, whose hash it names."""
    height = parent.header.height + 1
    if header.previous != parent.header.hash:
        raise RuleBroken(Rule.UNKNOWN_PARENT, "the previous hash is another block's")
    if header.height != height:
        raise RuleBroken(Rule.HEADER_HEIGHT, f"height {header.height}, must be {height}")
    if header.version != rules_version(height):
        raise RuleBroken(
            Rule.HEADER_VERSION, f"version {header.version}, in force is {rules_version(height)}"
        )
    if header.timestamp_ms <= parent.header.timestamp_ms:
        raise RuleBroken(Rule.TIMESTAMP_ORDER, "not later than the block before")
    bits = required_bits(parent, parameters)
    if header.bits != bits:
        raise RuleBroken(Rule.DIFFICULTY, f"bits {header.bits:#010x}, must be {bits:#010x}")


def check_block_in_context(sane: SaneBlock, history_root: bytes) -> None:
    """The block commits to all blocks before it and to its own height. `history_root` is of 0..height-1."""
    if sane.block.body.history_root != history_root:
        raise RuleBroken(Rule.HISTORY_ROOT, "the history root is not that of the blocks before")
    if sane.coinbase.height != sane.header.height:
        raise RuleBroken(
            Rule.COINBASE_HEIGHT, f"coinbase of height {sane.coinbase.height}, not {sane.header.height}"
        )


def check_entry_in_context(entry: Entry, block_timestamp_ms: int, parameters: Parameters) -> None:
    """The entry's time is within the block's window, and its fee is no less than the minimum."""
    if entry.timestamp_ms < block_timestamp_ms - parameters.lifetime_ms:
        raise RuleBroken(Rule.ENTRY_EXPIRED, "the entry's lifetime is over")
    if entry.timestamp_ms > block_timestamp_ms + parameters.drift_ms:
        raise RuleBroken(Rule.ENTRY_FROM_FUTURE, "the entry's time is too far ahead of its block's")
    if entry.fee < parameters.minimum_fee:
        raise RuleBroken(Rule.FEE_TOO_LOW, f"fee {entry.fee}, at least {parameters.minimum_fee}")


def check_entries_in_context(
    entries: Sequence[Entry], first_position: int, block_timestamp_ms: int, parameters: Parameters
) -> None:
    """Check each entry in context, telling the position of one that breaks a rule."""
    for position, entry in enumerate(entries, first_position):
        try:
            check_entry_in_context(entry, block_timestamp_ms, parameters)
        except RuleBroken as broken:
            raise RuleBroken(broken.rule, broken.detail, position) from None


# --------------------------------------------------------------------------------------------- connect
# Entries connect with `state.apply_entries`, in listed order; then the coinbase:


def check_coinbase_amount(coinbase: Coinbase, fees: int, parameters: Parameters) -> None:
    """The coinbase is the reward of its height and all fees, exactly."""
    due = parameters.reward(coinbase.height) + fees
    if coinbase.amount != due:
        raise RuleBroken(Rule.COINBASE_AMOUNT, f"coinbase of {coinbase.amount}, must be {due}")


def matured_height(height: int, parameters: Parameters) -> int | None:
    """Return the height whose coinbase is credited when the block at `height` connects; None for none yet.

    It is credited after the block's entries; with maturity 0 it is the block's own.
    """
    matured = height - parameters.maturity
    return matured if matured >= 1 else None
