"""What stands beside the main chain's blocks, compared with what they give: accounts, index, side branches.

Reads a book and writes nothing. Part of `audit`.
"""

from __future__ import annotations

from typing import Final

from node.audit_findings import Bad, Finding, FirstBad, reading
from node.ledger import rules
from node.ledger.block import decode_block
from node.ledger.errors import RuleBroken
from node.ledger.params import Parameters
from node.ledger.state import ABSENT, Account
from node.storage import inspecting
from node.storage.port import BlockRecord, Scratch, Standing
from node.storage.reading import ReadOnlyBook

_ACCOUNTS_AT_ONCE: Final = 1_000
_WITH_BODY: Final = (Standing.STORED, Standing.PROVEN)


def check_end(book: ReadOnlyBook, tip: BlockRecord) -> None:
    """Find out whether the main chain goes on where its table ends. Raises Bad."""
    for child in reading(Finding.BLOCK_ROW, tip.height + 1, lambda: inspecting.children(book, tip.id)):
        if child.standing is Standing.PROVEN:
            raise Bad(FirstBad(Finding.MAIN_ROW, "the row is missing", child.height, child.hash))


def check_index(book: ReadOnlyBook, txids: int, touched: int) -> None:
    """Compare how much the index holds with what was found in it, block by block. Raises Bad."""
    totals = reading(Finding.INDEX_ROW, None, lambda: inspecting.totals(book))
    for table, found, expected in (("txids", totals.txids, txids), ("history", totals.history, touched)):
        if found != expected:
            raise Bad(FirstBad(Finding.INDEX_ROW, f"table {table} has {found - expected} rows too many"))
    segment = reading(Finding.INDEX_ROW, None, lambda: inspecting.miscounted_segment(book))
    if segment is not None:
        raise Bad(
            FirstBad(Finding.INDEX_ROW, f"segment {segment} counts another number of txids than it has")
        )


def check_accounts(book: ReadOnlyBook, accounts: Scratch) -> None:
    """Compare the table of accounts with what the blocks gave. Raises Bad."""
    found, after = 0, b""
    while page := _page(book, after):
        for key, account in page:
            due = accounts.read(key)
            if account != due:
                detail = f"account {key.hex()} has {_shown(account)}, its entries give {_shown(due)}"
                raise Bad(FirstBad(Finding.ACCOUNT_ROW, detail))
        found += len(page)
        after = page[-1][0]
    if found != reading(Finding.ACCOUNT_ROW, None, lambda: inspecting.totals(book)).accounts:
        raise Bad(FirstBad(Finding.ACCOUNT_ROW, "a row whose key is no key"))
    for key, due in accounts.items():
        if due != ABSENT and reading(Finding.ACCOUNT_ROW, None, lambda: book.account(key)) != due:  # noqa: B023 - called at once
            detail = f"account {key.hex()} is missing, its entries give {_shown(due)}"
            raise Bad(FirstBad(Finding.ACCOUNT_ROW, detail))


def _page(book: ReadOnlyBook, after: bytes) -> list[tuple[bytes, Account]]:
    return reading(Finding.ACCOUNT_ROW, None, lambda: book.accounts_after(after, _ACCOUNTS_AT_ONCE))


def check_tree(book: ReadOnlyBook, parameters: Parameters) -> None:
    """Look at the blocks of side branches, and at which blocks are marked as the last ones. Raises Bad."""
    blocks = inspecting.side_blocks(book)
    while (record := reading(Finding.BLOCK_ROW, None, lambda: next(blocks, None))) is not None:
        try:
            _check_side_block(book, record, parameters)
        except RuleBroken as broken:
            found = FirstBad(Finding.SIDE_BLOCK, str(broken), record.height, record.hash)
            raise Bad(found) from broken
    marked = reading(Finding.BLOCK_ROW, None, lambda: inspecting.misplaced_leaf(book))
    if marked is not None:
        record = reading(Finding.BLOCK_ROW, None, lambda: book.record(marked))
        detail = "it is marked as the last block of a branch, or not, against what follows it"
        raise Bad(FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash))


def _check_side_block(book: ReadOnlyBook, record: BlockRecord, parameters: Parameters) -> None:
    """Hash a block again that was not connected, or no longer is; its accounts are not at hand."""
    parent = reading(Finding.BLOCK_ROW, record.height - 1, lambda: book.record(record.parent_id))
    rules.sane_header(record.header)
    rules.check_header_in_context(record.header, parent, parameters)
    raw = reading(Finding.SIDE_BLOCK, record.height, lambda: book.body(record.id))
    if record.standing not in _WITH_BODY:
        return
    detail = "its bytes are missing"
    if raw is not None:
        block = decode_block(raw)
        rules.sane_block(block, parameters)
        if block.header == record.header:
            return
        detail = "its bytes begin with another header"
    raise Bad(FirstBad(Finding.SIDE_BLOCK, detail, record.height, record.hash))


def _shown(account: tuple[int, int]) -> str:
    return "(balance {}, nonce {})".format(*account)
