"""What an adversary knows of the chain: headers, each with all that it takes to build on it. Pure."""

from __future__ import annotations

from typing import Final

from node.ledger import rules
from node.ledger.block import Block, Body, decode_header
from node.ledger.params import Parameters
from tests.building import Built

_UNKNOWN_BODY: Final = Body(1, bytes(32), bytes(32), bytes(32))


class View:
    """Headers that honest nodes told of, and one's own; each with all that it takes to build on it."""

    def __init__(self, genesis: Built, parameters: Parameters) -> None:
        self.tip = genesis
        """The heaviest; of those with the same work the first."""
        self._parameters = parameters
        self._blocks = {genesis.hash: genesis}

    def get(self, block_hash: bytes) -> Built | None:
        """Return a block that is known."""
        return self._blocks.get(block_hash)

    def learn(self, raw: bytes) -> Built | None:
        """Take a header; None where its parent is not known."""
        header = decode_header(raw)
        known = self._blocks.get(header.hash)
        if known is not None:
            return known
        parent = self._blocks.get(header.previous)
        if parent is None:
            return None
        history, nodes = parent.history.append(header.hash)
        return self.add(
            Built(
                block=Block(header, _UNKNOWN_BODY, b"", (), b""),
                parent=parent,
                coinbase=None,
                entries=(),
                chain_time=rules.chain_time_of(header, parent, self._parameters),
                work=parent.work + header.work,
                history=history,
                history_nodes=b"".join(nodes),
            )
        )

    def add(self, block: Built) -> Built:
        """Take a block that one has made."""
        self._blocks[block.hash] = block
        if block.work > self.tip.work:
            self.tip = block
        return block

    def locator(self) -> tuple[bytes, ...]:
        """Return the hashes of the last blocks of the heaviest branch, and genesis."""
        return tuple(block.hash for block in [*self.branch(8), self.tip.path()[0]])

    def branch(self, most: int) -> list[Built]:
        """Return the last blocks, latest first."""
        found: list[Built] = []
        at: Built | None = self.tip
        while at is not None and len(found) < most:
            found.append(at)
            at = at.parent
        return found
