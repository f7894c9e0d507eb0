"""The size of a receipt at several heights: `python -m benchmarks.receipts`. Touches nothing but its output.

The history is made up but for genesis, the entry's block in the middle of it, and the tip: only its hashes
count. The entry stands in the middle of a block of 1,000. What is measured is checked first.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from dataclasses import replace
from typing import Final

from node import pow as proof_of_work
from node.ledger import difficulty, history, merkle, signature
from node.ledger.block import EXTENSION_ROOT, Body, Coinbase, Header, network_id
from node.ledger.codec import HASH_BYTES
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from node.ledger.params import BUILT_IN, Parameters
from node.proof_file import BlockPart, EntryPart, Extension, NetworkPart, Receipt, TipPart, decode, encode
from node.proofs import body_bytes, check

HEIGHTS: Final = (10, 10_000, 1_000_000)
LEAVES: Final = 1_000
"""Of the block: its reward and 999 entries."""
EASY: Final = replace(BUILT_IN, genesis_bits=0x207FFFFF, easiest_bits=0x207FFFFF)
"""The built-in network, but for blocks that cost nothing."""
SEED: Final = hashlib.sha256(b"receipts").digest()


class _History:
    """A history tree whose nodes are all kept."""

    def __init__(self, parameters: Parameters) -> None:
        self.frontier = history.EMPTY
        self._leaves: list[bytes] = []
        self._nodes: list[tuple[bytes, ...]] = []
        self.add(network_id(parameters))

    def add(self, block_hash: bytes) -> None:
        self.frontier, nodes = self.frontier.append(block_hash)
        self._leaves.append(merkle.leaf_hash(block_hash))
        self._nodes.append(nodes)

    def grow(self, size: int) -> None:
        """Add made-up hashes."""
        for height in range(self.frontier.size, size):
            self.add(hashlib.sha256(height.to_bytes(8, "big")).digest())

    def __call__(self, leaf_index: int, level: int) -> bytes:
        return self._nodes[leaf_index][level - 1] if level else self._leaves[leaf_index]


def _entry(parameters: Parameters, block_ms: int) -> Entry:
    identity = network_id(parameters)
    message = unsigned_message(
        identity,
        sender=signature.public_key_of(SEED),
        recipient=SEED,
        amount=3_50,
        fee=1,
        nonce=41,
        timestamp_ms=block_ms,
        memo="two flat whites, thank you",
    )
    return assemble_entry(identity, message, signature.sign(SEED, message))


def _mined(parameters: Parameters, tree: _History, leaves: list[bytes], timestamp_ms: int) -> BlockPart:
    body = Body(len(leaves), merkle.tree_root(leaves), tree.frontier.root(), EXTENSION_ROOT)
    header = Header(1, tree.frontier.size, SEED, body.root(), timestamp_ms, parameters.easiest_bits, nonce=0)
    target = difficulty.bits_to_target(header.bits)
    nonce = proof_of_work.search(header.raw[: proof_of_work.PREFIX_BYTES], target, 0, 1 << 32)
    if nonce is None:
        raise ArithmeticError("no nonce")
    return BlockPart(replace(header, nonce=nonce).raw, body_bytes(body))


def proven_at(height: int) -> tuple[Receipt, Extension]:
    """Return a receipt whose tip has this height, its block standing half as high, and the extension."""
    tree, middle = _History(EASY), height // 2
    tree.grow(middle)
    block_ms = EASY.genesis_ms + middle * EASY.interval_ms
    entry = _entry(EASY, block_ms)
    coinbase = Coinbase(middle, SEED, EASY.reward(middle) + LEAVES, "").encode()
    others = [hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(LEAVES - 2)]
    leaves = [merkle.leaf_hash(coinbase), *others]
    leaves.insert(LEAVES // 2, entry.txid)
    block = _mined(EASY, tree, leaves, block_ms)
    tree.add(hashlib.sha256(hashlib.sha256(block.header).digest()).digest())
    tree.grow(height)
    last = _mined(EASY, tree, leaves[:1], EASY.genesis_ms + height * EASY.interval_ms)
    network = NetworkPart(EASY.encode(), history.inclusion_proof(middle, 0, tree))
    tip = TipPart(last, history.inclusion_proof(height, middle, tree))
    at = EntryPart(entry.raw, LEAVES // 2, merkle.inclusion_proof(leaves, LEAVES // 2))
    consistency = history.consistency_proof(middle, height, tree)
    return Receipt(network, at, block, tip, consistency), Extension(network, block, tip, consistency)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.receipts", description="Sizes of receipts.")
    parser.add_argument("heights", nargs="*", type=int, default=HEIGHTS, help="of the tip, 4 or more")
    heights = parser.parse_args().heights
    sys.stdout.write("| tip | receipt | extension | hashes in the receipt | checked in |\n")
    sys.stdout.write("| --- | --- | --- | --- | --- |\n")
    for height in heights:
        receipt, extension = proven_at(height)
        raw, longer = encode(receipt), encode(extension)
        check(decode(longer))
        start = time.perf_counter()
        check(decode(raw))
        spent = time.perf_counter() - start
        above = receipt.tip.proof if receipt.tip else ()
        proofs = (receipt.network.proof, receipt.entry.proof, above, receipt.consistency)
        hashes = sum(len(b"".join(proof)) for proof in proofs) // HASH_BYTES
        sys.stdout.write(
            f"| {height:,} | {len(raw):,} bytes | {len(longer):,} bytes | {hashes} | {spent * 1e3:.1f} ms |\n"
        )


if __name__ == "__main__":
    main()
