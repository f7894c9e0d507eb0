"""Books to measure with: networks whose blocks cost nothing to mine, and signed entries on them.

Deterministic: the same question, the same bytes. What takes long to sign is kept in the temporary folder.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
import struct
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from node.chain import Chain
from node.checks import SignatureChecks
from node.events import Persist
from node.ledger.block import decode_block
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.outbox import Outbox
from node.private import make_private_folder, replace_private_file
from node.storage.sqlite import BOOK_NAME, open_book
from tests.building import EASY, Built, ChainBuilder, key, with_allocations

ENTRIES: Final = 100_000
"""Of the book that most figures are told of."""
ACCOUNTS: Final = 10_000
"""Among which they are."""
PER_BLOCK: Final = 2_000
"""Some 350 kB."""

FOUNDERS: Final = 20
"""Accounts of a book that own something from genesis on; few, for a start reads them all."""
_PAYERS: Final = 400
"""Owners on the networks of `rounds`: so many that none of them is far ahead of what is confirmed."""
_FORTUNE: Final = 10**13
_START_MONEY: Final = 10**8
"""What each further account is paid first: more than it spends."""
_GENESIS_MS: Final = 1_700_000_000_000
_HOUR_MS: Final = 3_600_000
_HALF_LIFE_MS: Final = 86_400_000
"""So slow that mining faster than T, as benchmarks do, makes nothing harder."""
_FORMAT: Final = 1
"""Of the kept files: raised when the same question gives other bytes."""
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Book:
    """A network, and its main chain from block 1 on."""

    parameters: Parameters
    blocks: tuple[bytes, ...]

    @property
    def height(self) -> int:
        """Of the tip."""
        return len(self.blocks)


def network(owners: int = FOUNDERS, genesis_ms: int = _GENESIS_MS) -> Parameters:
    """Return a network that begins at that time (Unix milliseconds), the first keys owning what there is."""
    easy = replace(EASY, name="benchmark", genesis_ms=genesis_ms, half_life_ms=_HALF_LIFE_MS)
    return with_allocations({key(name): _FORTUNE for name in range(owners)}, easy)


def young_network() -> Parameters:
    """Return a network for `rounds` that began an hour ago: what is signed on it may be mined now."""
    return network(_PAYERS, time.time_ns() // 1_000_000 - _HOUR_MS)


def payments(builder: ChainBuilder, accounts: int) -> Iterator[Entry]:
    """Yield signed entries without end: everyone is given something, then anyone pays anyone."""
    dice = random.Random(1)
    for name in range(FOUNDERS, accounts):
        yield builder.entry(key(name % FOUNDERS), key(name), _START_MONEY)
    while True:
        sender, recipient = dice.randrange(accounts), dice.randrange(accounts)
        yield builder.entry(key(sender), key(recipient), dice.randrange(1, 1000))


def rounds(builder: ChainBuilder, count: int, memo: str = "") -> list[Entry]:
    """Return entries that the owners of a young network sign in turn."""
    return [
        builder.entry(key(n % _PAYERS), key((n + 1) % _PAYERS), 1 + n % 1000, memo=memo) for n in range(count)
    ]


def in_blocks(
    builder: ChainBuilder, entries: Iterable[Entry], per_block: int, miner: str = "miner"
) -> list[bytes]:
    """Return the blocks that hold the entries in order, from genesis on. Another miner makes other blocks."""
    parent: Built | None = None
    raws = []
    remaining = iter(entries)
    while part := list(islice(remaining, per_block)):
        parent = builder.block(parent, part, miner=key(miner))
        raws.append(parent.raw)
    return raws


def book_of(entries: int = ENTRIES, accounts: int = ACCOUNTS, per_block: int = PER_BLOCK) -> Book:
    """Return the book of so many entries among so many accounts, kept once it was made; FOUNDERS or more."""
    parameters = network()
    question = repr((_FORMAT, parameters.encode(), entries, accounts, per_block)).encode()
    path = _kept_folder() / f"{entries}-{hashlib.sha256(question).hexdigest()[:16]}.blocks"
    if path.exists():
        return Book(parameters, tuple(_read(path)))
    builder = ChainBuilder(parameters)
    signed = islice(payments(builder, accounts), entries)
    blocks = tuple(in_blocks(builder, signed, per_block))
    replace_private_file(path, b"".join(_LENGTH.pack(len(raw)) + raw for raw in blocks))
    return Book(parameters, blocks)


def lay(parameters: Parameters, blocks: Sequence[bytes], folder: Path) -> None:
    """Write the blocks as the book of a data folder, through the node's own chain and storage.

    The signatures were just made and are not checked.
    """
    lay_parts(parameters, (blocks,), folder)


def lay_parts(parameters: Parameters, parts: Sequence[Sequence[bytes]], folder: Path) -> None:
    """Write blocks that arrive in parts, as `lay` does; a part may begin a branch, and become the book."""
    make_private_folder(folder)
    book = open_book(folder / BOOK_NAME, parameters)
    try:
        out = Outbox(book.store)
        network_id = book.store.record(0).hash
        chain = Chain(parameters, network_id, book.store, out, SignatureChecks(out), lambda _txid: True)
        for blocks in parts:
            headers = [decode_block(raw).header for raw in blocks]
            now_ms = headers[-1].timestamp_ms
            chain.headers.add(headers, now_ms, -1)
            for raw in blocks:
                chain.offer(raw, -1)
                while chain.advance(now_ms):
                    pass
                batches = [effect.batch for effect in out.drain() if isinstance(effect, Persist)]
                book.writer.commit(batches)
                if batches:
                    out.persisted(batches[-1].number)
                chain.outcomes.clear()
        if book.store.tip().hash != decode_block(parts[-1][-1]).header.hash:
            raise RuntimeError(f"the fixture breaks a rule; remove the files kept in {_kept_folder()}")
    finally:
        book.close()


def _kept_folder() -> Path:
    """Return this user's folder of kept books, which is nobody else's."""
    folder = Path(tempfile.gettempdir()) / f"indelible-benchmarks-{os.getuid()}"
    make_private_folder(folder)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise RuntimeError(f"{folder} is someone else's: set TMPDIR to another folder")
    return folder


def _read(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    at = 0
    while at < len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size
        yield content[at : at + length]
        at += length
