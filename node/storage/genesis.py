"""The record under which every book keeps its genesis block. Pure."""

from __future__ import annotations

from node.ledger import rules
from node.ledger.block import genesis_block
from node.ledger.history import EMPTY
from node.ledger.params import Parameters
from node.storage.port import BlockRecord, Standing


def genesis_record(parameters: Parameters) -> BlockRecord:
    """Return the record of the genesis block: id 0, proven, seen at its own time."""
    header = genesis_block(parameters).header
    _, nodes = EMPTY.append(header.hash)
    return BlockRecord(
        id=0,
        header=header,
        work=0,
        chain_time=rules.genesis_chain_time(parameters),
        parent_id=-1,
        skip_id=-1,
        first_seen_ms=header.timestamp_ms,
        history_nodes=b"".join(nodes),
        standing=Standing.PROVEN,
    )
