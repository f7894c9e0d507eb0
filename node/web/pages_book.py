"""Pages over the book: the first one, a block, an entry, an account, all accounts, what is pending."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from node.answers import Json
from node.corrected import corrections
from node.ledger import merkle
from node.ledger.address import encode_address
from node.ledger.block import Header
from node.proof_file import encode
from node.query import After, ChainChanged, Query, StoredBlock
from node.receipts import TipChecked, check_tip, make_receipt
from node.storage.page_index import Ranked
from node.web.answers import WebError
from node.web.context import Context, context_of
from node.web.local_socket import NodeRefused
from node.web.naming import after_of, block_name, cursor, hash_of, key_of, numbers_of, txid_of
from node.web.rendering import page
from node.web.shared import Shared, shared_of

STRIP: Final = 12
"""Blocks on the first page."""
NEWEST: Final = 12
"""Entries there."""
WAITING: Final = 6
"""Pending entries there."""
ENTRIES: Final = 50
"""Entries on one page of a block."""
HISTORY: Final = 25
"""Entries on one page of an account: each may stand in a block of its own, which is read whole."""
ACCOUNTS: Final = 50
PENDING: Final = 50
CORRECTIONS_FROM: Final = 200
"""Pending entries that are looked at for corrections."""


async def home(request: Request) -> Response:
    """Show the newest blocks and entries, what is pending, and how the node is."""
    context, shared = context_of(request), shared_of(request)
    status = await shared.status()

    def question(query: Query) -> tuple[list[Json], list[Json], Json | None]:
        blocks = shared.recent.blocks(query, STRIP)
        own = _balance(query, status["address"], context) if status is not None else None
        return blocks, shared.newest_entries(query, blocks, NEWEST), own

    (blocks, newest, own), waiting = await asyncio.gather(
        context.read(question), _newest_waiting(shared, status)
    )
    return page(request, "home.html", blocks=blocks, newest=newest, waiting=waiting, status=status, own=own)


async def block(request: Request) -> Response:
    """Show a block: its neighbours, its header, and its entries in pages."""
    name = block_name(request.path_params["name"])
    start = numbers_of(request.query_params.get("from"), 1)
    first = max(1, start[0]) if start else 1

    def question(query: Query) -> tuple[Json, Header | None, int, bool]:
        part = query.part_of_block(name, first, ENTRIES)
        this, main = query.header(bytes.fromhex(part["hash"])), query.header(part["height"])
        is_main = main is not None and main.hash.hex() == part["hash"]
        return part, this, query.headers(1)[0].height, is_main

    context = context_of(request)
    part, header, tip, is_main = await context.read(question)
    checked = await _checked(context, name) if isinstance(name, bytes) else None
    last = first + len(part["entries"]) - 1
    return page(
        request,
        "block.html",
        block=part,
        header=header,
        tip=tip,
        is_main=is_main,
        checked=checked,
        first=first,
        last=last,
        following=last + 1 if first <= last < part["transactions"] else None,
    )


async def _checked(context: Context, name: bytes) -> TipChecked:
    """Return whether a block that someone wrote down is still part of the book, proven."""
    return await context.read_book(lambda book: check_tip(book, context.parameters, name))


async def extension(request: Request) -> Response:
    """Hand out the proof that the book was only added to since a block, as a file."""
    context = context_of(request)
    name = hash_of(request.path_params["name"])
    checked = None if name is None else await _checked(context, name)
    if name is None or checked is None or checked.extension is None:
        hint = "name a block of the book, above the first, by its hash"
        raise WebError(404, "not-found", "there is no such proof", hint)
    return _file(encode(checked.extension), f"extension-{name.hex()[-16:]}")


async def tx(request: Request) -> Response:
    """Show an entry: who paid whom, both times, how deep it is, and the proof that it is in its block."""
    context, shared = context_of(request), shared_of(request)
    name = txid_of(request.path_params["txid"])
    try:
        known = await shared.node.get("tx", txid=name.hex())
        away = False
    except NodeRefused as refused:
        known, away = None, refused.code == "no-node"

    waiting = await shared.node.maybe("pending", limit=CORRECTIONS_FROM) or []

    def question(query: Query) -> tuple[Json, Proof | None, Json]:
        found = query.tx(name)
        if found["block"] is None:
            found = known or found
            return found, None, corrections(query, context.prefix, found, waiting)
        stored = query.stored(bytes.fromhex(found["block"]))
        proof = proof_of(stored, found["position"]) if stored is not None else None
        return found, proof, corrections(query, context.prefix, found, waiting)

    found, proof, corrected = await context.read(question)
    return page(
        request,
        "tx.html",
        status_code(found, away=away),
        tx=found,
        proof=proof,
        corrected=corrected,
        settled=(known or {}).get("settled"),
        away=away,
    )


async def receipt(request: Request) -> Response:
    """Hand out the receipt of an entry as a file."""
    context = context_of(request)
    name = txid_of(request.path_params["txid"])
    made = await context.read_book(lambda book: make_receipt(book, context.parameters, name))
    return _file(encode(made), f"receipt-{name.hex()[:16]}")


def _file(content: bytes, name: str) -> Response:
    """Return a proof to be saved."""
    headers = {"Content-Disposition": f'attachment; filename="{name}.json"', "Cache-Control": "no-store"}
    return Response(content, headers=headers, media_type="application/json")


def status_code(found: Json, *, away: bool) -> int:
    """Return 404 for an entry that nobody here knows; with the node away, what is pending is not known."""
    return 404 if found["status"] == "unknown" and found["sender"] is None and not away else 200


async def account(request: Request) -> Response:
    """Show an account: its balance, and its history with the balance after each entry."""
    context, shared = context_of(request), shared_of(request)
    address = request.path_params["address"]
    key = key_of(address, context.prefix)
    after = after_of(request.query_params.get("after"), key, shared.secret)

    def question(query: Query) -> tuple[Json, list[Json], bool]:
        changed = False
        try:
            items = query.history(key, HISTORY + 1, after)
        except ChainChanged:
            items, changed = query.history(key, HISTORY + 1), True
        return query.balance(key), items, changed

    (balance, items, changed), waiting = await asyncio.gather(
        context.read(question), shared.node.maybe("balance", address=address.lower())
    )
    more = len(items) > HISTORY
    items = items[:HISTORY]
    following = cursor(_place_of(items[-1]), key, shared.secret) if more else None
    return page(
        request,
        "account.html",
        address=encode_address(context.prefix, key),
        balance=balance,
        waiting=waiting,
        items=items,
        first=after is not None and not changed,
        following=following,
        changed=changed,
    )


async def accounts(request: Request) -> Response:
    """List all accounts, by balance or by how busy they are."""
    context = context_of(request)
    by = "activity" if request.query_params.get("by") == "activity" else "balance"
    after = numbers_of(request.query_params.get("after"), 2)
    place = (after[0], after[1]) if after else None
    index = context.index
    rows: list[Ranked] = []
    if index is not None:
        reading = index.index.by_entries if by == "activity" else index.index.by_balance
        rows = await asyncio.to_thread(reading, ACCOUNTS + 1, place)
    shown = rows[:ACCOUNTS]
    balances = await context.read(lambda query: [query.balance(row.key)["confirmed"] for row in shown])
    listed = [
        {"address": encode_address(context.prefix, row.key), "balance": balance, "entries": row.entries}
        for row, balance in zip(shown, balances, strict=True)
    ]
    following = None
    if len(rows) > ACCOUNTS:
        last = shown[-1]
        following = f"by={by}&after={last.entries if by == 'activity' else last.balance}.{last.id}"
    return page(
        request,
        "accounts.html",
        accounts=listed,
        by=by,
        following=following,
        first=place is not None,
        progress=index.progress if index is not None else None,
    )


async def pending(request: Request) -> Response:
    """List what waits to be mined, the oldest first."""
    shared = shared_of(request)
    at = numbers_of(request.query_params.get("from"), 1)
    first = at[0] if at else 0
    status = await shared.node.get("status")
    waiting = await shared.node.get("pending", limit=PENDING, offset=first)
    following = first + PENDING if first + len(waiting) < status["pending"] and waiting else None
    return page(request, "pending.html", waiting=waiting, status=status, first=first, following=following)


# ----------------------------------------------------------------------------------------------- proofs


@dataclass(frozen=True, slots=True)
class Step:
    """One step up the tree: a neighbour, and what both together hash to."""

    neighbour: str
    is_left: bool
    """Whether the neighbour stands on the left."""
    together: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How an entry's hash leads to the root that its block's header commits to. Hashes in hex."""

    leaf: str
    steps: tuple[Step, ...]
    root: str
    leaves: int


def proof_of(stored: StoredBlock, position: int) -> Proof:
    """Return the way from a leaf to the root of its block's tree (RFC 6962)."""
    leaves = stored.sane.leaves
    neighbours = merkle.inclusion_proof(leaves, position)
    at, steps = leaves[position], []
    for neighbour, is_left in zip(neighbours, sides(position, len(leaves)), strict=True):
        at = merkle.node_hash(neighbour, at) if is_left else merkle.node_hash(at, neighbour)
        steps.append(Step(neighbour.hex(), is_left, at.hex()))
    return Proof(leaves[position].hex(), tuple(steps), stored.sane.block.body.entries_root.hex(), len(leaves))


def sides(index: int, size: int) -> list[bool]:
    """Return for each step from a leaf to the root whether the neighbour is on the left."""
    sides: list[bool] = []
    low, high = 0, size
    while high - low > 1:  # from the root down: a tree splits at the largest power of two below its size
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        is_right = index >= middle
        sides.append(is_right)
        low, high = (middle, high) if is_right else (low, middle)
    return sides[::-1]


# ---------------------------------------------------------------------------------------------- helpers


async def _newest_waiting(shared: Shared, status: Json | None) -> list[Json]:
    """Return the last pending entries, the newest first."""
    if status is None or not status["pending"]:
        return []
    offset = max(0, status["pending"] - WAITING)
    found: list[Json] | None = await shared.node.maybe("pending", limit=WAITING, offset=offset)
    return (found or [])[::-1]


def _balance(query: Query, address: str, context: Context) -> Json:
    return query.balance(key_of(address, context.prefix))


def _place_of(item: Json) -> After:
    return After(item["height"], item["position"], bytes.fromhex(item["block"]), item["balance"])


ROUTES: Final = (
    Route("/", home),
    Route("/block/{name}", block),
    Route("/extension/{name}", extension),
    Route("/tx/{txid}", tx),
    Route("/receipt/{txid}", receipt),
    Route("/account/{address}", account),
    Route("/accounts", accounts),
    Route("/pending", pending),
)
