"""Every fuzz target by its name, with what a search starts from; for Hypothesis and for atheris."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

from node.messages import Type
from tests.fuzz import files, ledger, wire
from tests.fuzz.reshaping import Reshape, framed, packed


class Target(NamedTuple):
    """A function that takes any bytes and raises where its invariant does not hold."""

    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    """Inputs near what is taken, good and bad, made of the project's own vectors."""
    longest: int = 1_024
    """Bytes of the longest input that a search tries."""
    reshape: Reshape | None = None
    """Changes an input without breaking its form; None: bytes have no form to keep."""

    @property
    def invariant(self) -> str:
        """The first sentence of the function's docstring."""
        check = self.check.func if isinstance(self.check, partial) else self.check
        return (check.__doc__ or "").partition("\n")[0]


def _of_type(number: Type) -> Target:
    return Target(partial(wire.payload, number), partial(wire.payload_seeds, number), reshape=packed)


TARGETS: Final[Mapping[str, Target]] = {
    "frames": Target(wire.stream, wire.stream_seeds, 2_048, framed),
    **{
        number.name.lower().replace("_", "-"): _of_type(number) for number in Type if number is not Type.BLOCK
    },
    "block-message": _of_type(Type.BLOCK),
    "block": Target(ledger.block, ledger.block_seeds, 4_096, packed),
    "body": Target(ledger.body, ledger.body_seeds),
    "header": Target(ledger.header, ledger.header_seeds, 128),
    "coinbase": Target(ledger.coinbase, ledger.coinbase_seeds, 512, packed),
    "entry": Target(ledger.entry, ledger.entry_seeds, 640, packed),
    "canonical": Target(ledger.canonical, ledger.entry_seeds),
    "line": Target(wire.line, wire.line_seeds),
    "file-journal": Target(files.journal, files.journal_seeds),
    "file-pending": Target(files.pending, files.pending_seeds),
    "file-pending-body": Target(files.pending_body, files.pending_body_seeds, reshape=packed),
    "file-peers": Target(files.peers, files.peers_seeds),
    "file-peers-body": Target(files.peers_body, files.peers_body_seeds, reshape=packed),
    "file-wallet": Target(files.wallet, files.wallet_seeds),
    "file-identity": Target(files.node_identity, files.node_identity_seeds, 160),
    "file-network": Target(files.memory, files.memory_seeds, 300),
    "file-socket-path": Target(files.socket_record, files.socket_record_seeds, 200),
    "file-settings": Target(files.settings, files.settings_seeds, 4_096),
    "file-book-row": Target(files.row, files.row_seeds, reshape=packed),
}
