"""What stands beside the main chain's blocks, compared with what they give: accounts, index, side branches.

Reads a book and writes nothing. Part of `audit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, cast

from node import differences
from node.audit_findings import Bad, Difference, Finding, FirstBad, reading
from node.ledger import rules
from node.ledger.block import decode_block
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters
from node.ledger.state import ABSENT, Account, AccountState
from node.noted import LAST_REORG, UNSAVED_SWITCHES, decode_loud_switch, decode_unsaved
from node.storage import inspecting
from node.storage.faults import damaged
from node.storage.port import BlockRecord, Scratch, Standing, StorageFault, Store
from node.storage.reading import ReadOnlyBook
from node.tree import Tree, skip_height

_ACCOUNTS_AT_ONCE: Final = 1_000
_FILE_FAULTS: Final = 20
"""Of SQLite's own check."""
_MOST_STEPS: Final = 10_000
"""Of one walk along the tree: far more than skip links need at any height."""
_CODES: Final = frozenset(str(rule) for rule in Rule)
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


def account_findings(book: ReadOnlyBook, accounts: Scratch) -> Iterator[FirstBad]:
    """Compare the table of accounts with what the blocks gave. Raises Bad where it cannot be read."""
    found, after = 0, b""
    while page := _page(book, after):
        for key, account in page:
            due = accounts[key]
            if account != due:
                detail = f"account {key.hex()} has {_shown(account)}, its entries give {_shown(due)}"
                yield _of_account(detail, key, account, due)
        found += len(page)
        after = page[-1][0]
    if found != reading(Finding.ACCOUNT_ROW, None, lambda: inspecting.totals(book)).accounts:
        yield FirstBad(Finding.ACCOUNT_ROW, "a row whose key is no key")
    for key, due in accounts.items():
        if due != ABSENT and reading(Finding.ACCOUNT_ROW, None, lambda: book.account(key)) == ABSENT:  # noqa: B023 - called at once
            detail = f"account {key.hex()} is missing, its entries give {_shown(due)}"
            yield _of_account(detail, key, ABSENT, due)


def _of_account(detail: str, key: bytes, found: AccountState, due: AccountState) -> FirstBad:
    told = [
        Difference(name, str(said), str(proof))
        for name, said, proof in zip(Account._fields, found, due, strict=True)
        if said != proof
    ]
    fields = (Difference("account", key.hex(), key.hex()), *told)
    return FirstBad(Finding.ACCOUNT_ROW, detail, fields=fields)


def _page(book: ReadOnlyBook, after: bytes) -> list[tuple[bytes, Account]]:
    return reading(Finding.ACCOUNT_ROW, None, lambda: book.accounts_after(after, _ACCOUNTS_AT_ONCE))


def tree_findings(book: ReadOnlyBook, parameters: Parameters) -> Iterator[FirstBad]:
    """Look at the blocks of side branches, and at which blocks are marked as the last ones.

    Raises Bad where a row cannot be read.
    """
    after = -1
    while True:
        try:
            block_id = reading(Finding.BLOCK_ROW, None, lambda: inspecting.next_side_block(book, after))  # noqa: B023 - called at once
            if block_id is None:
                break
            after = block_id
            _check_side_block(book, block_id, parameters)
        except Bad as bad:
            yield bad.found
    if reading(Finding.BLOCK_ROW, None, lambda: inspecting.missing_ids(book)):
        yield FirstBad(Finding.BLOCK_ROW, "a block of the tree is missing: its number is left out")
    stray = reading(Finding.SIDE_BLOCK, None, lambda: inspecting.stray_body(book))
    if stray is not None:
        yield FirstBad(Finding.SIDE_BLOCK, f"bytes are stored under number {stray}, where no block has any")
    marked = reading(Finding.BLOCK_ROW, None, lambda: inspecting.misplaced_leaf(book))
    if marked is not None:
        record = reading(Finding.BLOCK_ROW, None, lambda: book.record(marked))
        detail = "it is marked as the last block of a branch, or not, against what follows it"
        yield FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash)


def _check_side_block(book: ReadOnlyBook, block_id: int, parameters: Parameters) -> None:
    """Hash a block again that was not connected, or no longer is; its accounts are not at hand.

    Those before it have been looked at: they came before it. Raises Bad.
    """
    record = reading(Finding.BLOCK_ROW, None, lambda: book.record(block_id))
    parent = reading(Finding.BLOCK_ROW, record.height - 1, lambda: book.record(record.parent_id))
    try:
        rules.sane_header(record.header)
        rules.check_header_in_context(record.header, parent, parameters)
        _check_place(book, record, parent, parameters)
        _check_side_body(book, record, parent, parameters)
    except RuleBroken as broken:
        raise Bad(FirstBad(Finding.SIDE_BLOCK, str(broken), record.height, record.hash)) from broken


def _check_place(
    book: ReadOnlyBook, record: BlockRecord, parent: BlockRecord, parameters: Parameters
) -> None:
    """Compare a row of a side branch with what the rows before it give. Raises Bad."""
    tree = _tree_of(book)
    tip_of_before = reading(Finding.BLOCK_ROW, parent.height, lambda: tree.frontier(parent))
    _, nodes = tip_of_before.append(record.hash)
    skip = skip_height(record.height)
    expected = replace(
        record,
        work=parent.work + record.header.work,
        chain_time=rules.chain_time_of(record.header, parent, parameters),
        skip_id=reading(Finding.BLOCK_ROW, skip, lambda: tree.ancestor(parent, skip)).id,
        history_nodes=b"".join(nodes),
        rule=record.rule if record.standing is Standing.CONDEMNED else "",
    )
    wrong = differences.of_rows(record, expected, but=("first_seen_ms",))
    if wrong:
        detail = f"the row has another {wrong[0].name} than the blocks before give"
        raise Bad(FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash, fields=wrong))
    if parent.standing < record.standing is not Standing.CONDEMNED:
        detail = f"it counts as {record.standing.name.lower()}, the block before it does not"
        raise Bad(FirstBad(Finding.BLOCK_ROW, detail, record.height, record.hash))
    if record.standing is Standing.CONDEMNED and record.rule not in _CODES:
        raise Bad(FirstBad(Finding.BLOCK_ROW, "it breaks no rule that there is", record.height, record.hash))


class _Walk:
    """What a walk along the tree reads; ends by force, as edited links may lead in a circle."""

    def __init__(self, book: ReadOnlyBook) -> None:
        self._book = book
        self._left = _MOST_STEPS

    def record(self, block_id: int) -> BlockRecord:
        self._left -= 1
        if self._left < 0:
            raise damaged(self._book.path, "its blocks follow each other in a circle")
        return self._book.record(block_id)


def _tree_of(book: ReadOnlyBook) -> Tree:
    return Tree(cast("Store", _Walk(book)))  # walks read records, and nothing else of a store


def _check_side_body(
    book: ReadOnlyBook, record: BlockRecord, parent: BlockRecord, parameters: Parameters
) -> None:
    """Hash its bytes, and look at its entries one by one. Raises Bad, RuleBroken."""
    raw = reading(Finding.SIDE_BLOCK, record.height, lambda: book.body(record.id))
    if record.standing not in _WITH_BODY:
        return
    detail = "its bytes are missing"
    if raw is not None:
        block = decode_block(raw)
        sane = rules.sane_block(block, parameters)
        if block.header == record.header:
            rules.check_block_in_context(sane, _tree_of(book).frontier(parent).root())
            return
        detail = "its bytes begin with another header"
    raise Bad(FirstBad(Finding.SIDE_BLOCK, detail, record.height, record.hash))


def other_findings(book: ReadOnlyBook) -> Iterator[FirstBad]:
    """Look at what stands beside blocks and accounts, and at the file itself. Raises Bad."""
    for name in reading(Finding.META_ROW, None, lambda: inspecting.odd_meta(book)):
        yield FirstBad(Finding.META_ROW, f"table meta has a row {name!a}")
    for key, value in reading(Finding.NAMED_ROW, None, lambda: inspecting.named_values(book)):
        if not is_sound_value(book, key, value):
            fields = (Difference(str(key), differences.shown(value), None),)
            yield FirstBad(Finding.NAMED_ROW, f"the value {key!a} is none that a node writes", fields=fields)
    for sql in reading(Finding.FILE, None, lambda: inspecting.foreign_objects(book)):
        yield FirstBad(Finding.FILE, f"its tables are not as they were made: {sql[:120]!a}")
    for text in reading(Finding.FILE, None, lambda: inspecting.file_faults(book, _FILE_FAULTS)):
        yield FirstBad(Finding.FILE, f"SQLite finds: {text[:200]}")


def is_sound_value(book: ReadOnlyBook, name: object, value: object) -> bool:
    """Tell whether a small named value is of those that a node writes, and fits the tree."""
    if type(value) is not bytes:
        return False
    try:
        if name == LAST_REORG:
            switch = decode_loud_switch(value)
            ends = [(switch.old, switch.old_height), (switch.new, switch.new_height)]
            return all(_is_known(book, *end) for end in ends)
        if name == UNSAVED_SWITCHES:
            return all(_is_known(book, left) for left, _ in decode_unsaved(value))
    except StorageFault:
        pass
    return False


def _is_known(book: ReadOnlyBook, block_hash: bytes, height: int | None = None) -> bool:
    record = book.find(block_hash)
    return record is not None and height in {None, record.height}


def _shown(account: tuple[int, int]) -> str:
    return "(balance {}, nonce {})".format(*account)
