"""The book as postings: every change of an account's balance, in the order in which the ledger made it.

Reads a book through the storage port and touches nothing else; what it reads is hashed again first, as in
`query`. An entry is up to three postings and its miner's: `out` and `fee` for the sender, `in` for the
recipient. A block gives its miner `reward` and `fees`, once the reward has matured. So the postings of an
account add up to its balance, and those of all accounts to what was ever created: at the end of the book both
are compared with the ledger's accounts, and a difference is told as the damage that it is.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from itertools import chain
from typing import Final, NamedTuple, Protocol

from node.ledger.params import Parameters
from node.ledger.state import Account
from node.query import Book, BookDamaged, Query, StoredBlock
from node.storage.port import Place
from node.takings import Span

ALWAYS: Final = Span(0, 1 << 63)
"""From genesis to the tip."""

_PLACES: Final = 1_000
_ACCOUNTS: Final = 1_000


class Kind(StrEnum):
    """What changed the balance."""

    OPENING = "opening"
    """Nothing: what there was when the span began."""
    ALLOCATION = "allocation"
    """Given with the network itself."""
    IN = "in"
    OUT = "out"
    FEE = "fee"
    """Paid for an entry that went out."""
    REWARD = "reward"
    """What a block creates."""
    FEES = "fees"
    """Of the entries in a block, to its miner."""


class Posting(NamedTuple):
    """One change of one account."""

    kind: Kind
    account: bytes
    """Key, 32 bytes."""
    counterparty: bytes | None
    """Key; None where nobody stands on the other side."""
    change: int
    """Smallest units, negative for what leaves."""
    balance: int
    """The account's, after it."""
    height: int
    """Of the block that made the change."""
    block_time_ms: int
    """Its time; when the span begins, for an opening balance. Unix milliseconds."""
    time_ms: int
    """The payer's own; that of the mined block, for a reward."""
    txid: bytes | None = None
    """Of the entry, or a reward's leaf hash; None for openings and allocations."""
    position: int | None = None
    """In the block that holds the entry or reward."""
    nonce: int | None = None
    memo: str = ""


class ReadBook(Book, Protocol):
    """A book whose accounts can be gone through."""

    def accounts_after(self, key: bytes, limit: int) -> list[tuple[bytes, Account]]:
        """Return up to `limit` accounts whose keys come after `key` (b"" for the first), ascending."""


Progress = Callable[[int, int], None]
"""Called with the height that was read, and the last one."""


def postings(
    book: ReadBook,
    parameters: Parameters,
    account: bytes | None = None,
    span: Span = ALWAYS,
    progress: Progress = lambda _done, _last: None,
) -> Iterator[Posting]:
    """Yield the postings of one account, or of all, whose blocks are of this span, in the ledger's order.

    Where the span begins later than the book, the balances at that moment come first, as `opening`. Memory:
    a balance for every account asked for, and a few bytes for every block that one account is in. Raises
    BookDamaged, StorageFault.
    """
    walk = _Walk(book, parameters, account, span)
    yield from walk.postings(progress)


class _Walk:
    """One way through the book, and the balances so far."""

    def __init__(self, book: ReadBook, parameters: Parameters, account: bytes | None, span: Span) -> None:
        self._book = book
        self._query = Query(book, parameters)
        self._tip = book.tip().height
        self._parameters = parameters
        self._account = account
        self._span = span
        self._balances: dict[bytes, int] = {}

    def postings(self, progress: Progress) -> Iterator[Posting]:
        is_open = False
        for height in self._heights():
            block = self._query.stored(height) if height else None
            time_ms = block.record.header.timestamp_ms if block else self._parameters.genesis_ms
            if time_ms >= self._span.to_ms:
                break
            changes = self._genesis() if block is None else self._block(block)
            if time_ms < self._span.from_ms:
                for _ in changes:
                    pass
            else:
                if not is_open:
                    yield from self._opening(height)
                is_open = True
                yield from changes
            progress(height, self._tip)
        else:
            self._check()
        if not is_open:
            yield from self._opening(self._tip)

    def _heights(self) -> Iterator[int]:
        """Return the blocks to read, genesis first."""
        if self._account is None:
            return iter(range(self._tip + 1))
        return chain((0,), _heights_of(self._book, self._account, self._tip, self._parameters.maturity))

    def _opening(self, height: int) -> Iterator[Posting]:
        if self._span.from_ms <= self._parameters.genesis_ms:
            return
        at_ms = self._span.from_ms
        for key in sorted(self._balances) if self._account is None else (self._account,):
            balance = self._balances.get(key, 0)
            if balance or self._account is not None:
                yield Posting(Kind.OPENING, key, None, balance, balance, height, at_ms, at_ms)

    # ------------------------------------------------------------------------------------------ changes

    def _genesis(self) -> Iterator[Posting]:
        at_ms = self._parameters.genesis_ms
        for key, amount in self._parameters.allocations:
            yield from self._post(Posting(Kind.ALLOCATION, key, None, amount, 0, 0, at_ms, at_ms))

    def _block(self, block: StoredBlock) -> Iterator[Posting]:
        header = block.record.header
        for position in range(1, len(block.sane.leaves)):
            entry = block.entry(position)
            if self._account is not None and self._account not in (entry.sender, entry.recipient):
                continue
            out = Posting(
                Kind.OUT,
                entry.sender,
                entry.recipient,
                change=-entry.amount,
                balance=0,
                height=header.height,
                block_time_ms=header.timestamp_ms,
                time_ms=entry.timestamp_ms,
                txid=block.sane.leaves[position],
                position=position,
                nonce=entry.nonce,
                memo=entry.memo,
            )
            yield from self._post(out)
            if entry.fee:
                yield from self._post(out._replace(kind=Kind.FEE, counterparty=None, change=-entry.fee))
            back = out._replace(kind=Kind.IN, account=entry.recipient, counterparty=entry.sender)
            yield from self._post(back._replace(change=entry.amount))
        yield from self._reward(block)

    def _reward(self, block: StoredBlock) -> Iterator[Posting]:
        """Post what is credited when a block connects: its own reward, or the one that matures with it."""
        header = block.record.header
        if header.height <= self._parameters.maturity:
            return
        mined = block
        if self._parameters.maturity:
            found = self._query.stored(header.height - self._parameters.maturity)
            if found is None:
                raise AssertionError("a height above 0 is no genesis")
            mined = found
        coinbase, origin = mined.sane.coinbase, mined.record.header
        created = self._parameters.reward(origin.height)
        reward = Posting(
            Kind.REWARD,
            coinbase.miner,
            None,
            change=created,
            balance=0,
            height=header.height,
            block_time_ms=header.timestamp_ms,
            time_ms=origin.timestamp_ms,
            txid=mined.sane.leaves[0],
            position=0,
            memo=coinbase.note,
        )
        yield from self._post(reward)
        if coinbase.amount > created:
            yield from self._post(reward._replace(kind=Kind.FEES, change=coinbase.amount - created))

    def _post(self, posting: Posting) -> Iterator[Posting]:
        """Yield it with its balance, where its account is asked for."""
        if self._account is None or posting.account == self._account:
            balance = self._balances.get(posting.account, 0) + posting.change
            self._balances[posting.account] = balance
            yield posting._replace(balance=balance)

    # ------------------------------------------------------------------------------------------ the end

    def _check(self) -> None:
        """Raise BookDamaged where the sums are not what the ledger's accounts say."""
        if self._account is not None:
            wrong = self._balances.get(self._account, 0) != self._book.account(self._account).balance
        else:
            wrong = False
            left = {key: balance for key, balance in self._balances.items() if balance}
            for key, account in _accounts(self._book):
                wrong |= left.pop(key, 0) != account.balance
            wrong |= bool(left)
        if wrong:
            raise BookDamaged("the entries of the book do not add up to the balances stored beside them")


def _accounts(book: ReadBook) -> Iterator[tuple[bytes, Account]]:
    last = b""
    while page := book.accounts_after(last, _ACCOUNTS):
        yield from page
        last = page[-1][0]


def _heights_of(book: Book, key: bytes, tip: int, maturity: int) -> Sequence[int]:
    """Return the heights above 0 whose blocks may change the account, ascending, each once."""
    found = array("Q")
    before = Place(tip + 1, 0)
    while places := book.history_of(key, before, _PLACES):
        for place in places:
            if place.height and (not found or found[-1] != place.height):
                found.append(place.height)
        before = places[-1]
    if maturity:
        matured = (height + maturity for height in found if height + maturity <= tip)
        return sorted({*found, *matured})
    found.reverse()
    return found
