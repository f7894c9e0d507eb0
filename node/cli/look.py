"""Commands that read the book: pending, tx, blocks, block, history, balance, tips. They change nothing."""

from __future__ import annotations

import re
from typing import Any, Final

import click

from node.cli.client import Client
from node.cli.errors import CommandError
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import Names, address_of
from node.cli.options import Command, examples
from node.cli.text import SHORT, Units, count_of, short, size, times, when
from node.corrections import reference_of

Json = dict[str, Any]

_BLOCKS: Final = 100
"""Blocks that one call gives at most; longer lists are asked for in parts."""
_ITEMS: Final = 1_000
"""The same, entries."""
_ATTEMPTS: Final = 5
"""How often a history is read again that changed while it was read."""
_MAX_HEIGHT_DIGITS: Final = 10
_LEAST_PREFIX: Final = 4
_HEX: Final = re.compile(r"[0-9a-f]{1,64}")
_STATUS_STYLES: Final = {"confirmed": "green", "pending": "yellow", "conflicted": "red", "unknown": "red"}
_VERDICT_STYLES: Final = {"yes": "bold green", "likely": "yellow", "no": "bold red"}
_TIP_STYLES: Final = {"active": "green", "invalid": "red"}

_limit = click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many."
)


# ------------------------------------------------------------------------------------- reading in parts


def all_pending(client: Client) -> list[Json]:
    """Return every pending entry, the oldest first."""
    found: dict[str, Json] = {}  # by txid: the list may move while it is read in parts
    offset = 0
    while page := client.call("pending", limit=_ITEMS, offset=offset):
        found |= {entry["txid"]: entry for entry in page}
        offset += len(page)
        if len(page) < _ITEMS:
            break
    return list(found.values())


def read_history(client: Client, address: str | None, limit: int) -> list[Json]:
    """Return the newest items of a history, read again where the chain changed meanwhile."""
    for _ in range(_ATTEMPTS):
        try:
            return _history_once(client, address, limit)
        except CommandError as error:
            if error.code != "chain-changed":
                raise
    raise CommandError("chain-changed", "the chain keeps changing", "try again in a moment")


def _history_once(client: Client, address: str | None, limit: int) -> list[Json]:
    items: list[Json] = []
    while len(items) < limit:
        last = items[-1] if items else None
        after = {name: last[name] for name in ("height", "position", "block", "balance")} if last else None
        page = client.call("history", address=address, limit=min(limit - len(items), _ITEMS), after=after)
        items += page
        if not page:
            break
    return items


def _read_blocks(client: Client, limit: int, before: int | None) -> list[Json]:
    blocks: list[Json] = []
    while len(blocks) < limit:
        page = client.call("blocks", limit=min(limit - len(blocks), _BLOCKS), before=before)
        blocks += page
        if not page or page[-1]["height"] == 0:
            break
        before = page[-1]["height"]
    return blocks


def full_txid(client: Client, text: str) -> str:
    """Return the txid that was typed, or the one that starts with it among what this node's owner sees.

    Raises CommandError: bad-txid, ambiguous, not-found.
    """
    typed = text.lower().removesuffix("…")
    if not _HEX.fullmatch(typed):
        raise CommandError("bad-txid", f"{text[:70]!a} is no txid", "type its 64 hexadecimal digits")
    if len(typed) == 64:
        return typed
    if len(typed) < _LEAST_PREFIX:
        raise CommandError(
            "bad-txid", f"{typed} is too short for a txid", f"type at least {SHORT} digits of it"
        )
    known = (str(entry["txid"]) for entry in (*all_pending(client), *read_history(client, None, _ITEMS)))
    found = {known_txid for known_txid in known if known_txid.startswith(typed)}
    if len(found) > 1:
        raise CommandError("ambiguous", f"{len(found)} entries start with {typed}", "type more of it")
    if not found:
        hint = "only pending entries and your own history are looked through: type all 64 digits"
        raise CommandError("not-found", f"no entry that starts with {typed}", hint)
    return found.pop()


# --------------------------------------------------------------------------------------------- commands


@click.command(cls=Command)
@pass_invocation
def pending(invocation: Invocation) -> None:
    """List the entries that wait to be mined, the oldest first."""
    found = all_pending(invocation.client())
    invocation.answer(found, lambda: _show_pending(found, invocation.units(), Names.of(invocation)))


def _show_pending(entries: list[Json], units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it; so below

    title, moments = times([entry["timestamp_ms"] for entry in entries])
    columns = [
        show.Column(title),
        show.Column("txid"),
        show.Column("from", spare=1),
        show.Column("to"),
        show.Column(units.symbol, right=True),
        show.Column("fee", right=True, spare=4),
        show.Column("nonce", right=True, spare=5),
        show.Column("memo", flexible=True, spare=2),
    ]
    rows = [
        (
            moment,
            short(entry["txid"]),
            names.short(entry["sender"]),
            names.short(entry["recipient"]),
            units.bare(entry["amount"]),
            units.bare(entry["fee"]),
            str(entry["nonce"]),
            entry["memo"],
        )
        for entry, moment in zip(entries, moments, strict=True)
    ]
    show.table(columns, rows, "nothing is pending")


@click.command(cls=Command)
@click.argument("txid")
@pass_invocation
def tx(invocation: Invocation, txid: str) -> None:
    """Show an entry or a reward by its TXID: pending, confirmed, conflicted or unknown.

    Of entries that are pending or in your own history the first digits are enough.
    """
    client = invocation.client()
    found = client.call("tx", txid=full_txid(client, txid), corrections=True)
    invocation.answer(found, lambda: _show_tx(found, invocation.units(), Names.of(invocation)))


def _show_tx(found: Json, units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415

    verdict = found["settled"]["verdict"]
    pairs: list[tuple[str, show.Value]] = [
        ("txid", found["txid"]),
        ("status", show.Cell(found["status"], _STATUS_STYLES.get(found["status"], ""))),
        ("settled", show.Cell(f"{verdict}: {found['settled']['reason']}", _VERDICT_STYLES[verdict])),
    ]
    if found["block"] is not None:
        pairs += [
            ("block", f"{found['height']}, {found['block']}"),
            ("position", str(found["position"])),
            ("confirmations", str(found["confirmations"])),
            ("mined", when(found["block_timestamp_ms"])),
        ]
    if found["amount"] is not None:
        pairs += [
            ("time", when(found["timestamp_ms"])),
            ("from", names.full(found["sender"]) or "nobody: it is a reward"),
            ("to", names.full(found["recipient"])),
            ("amount", units.amount(found["amount"])),
            ("fee", units.amount(found["fee"])),
            ("nonce", "" if found["nonce"] is None else str(found["nonce"])),
            ("memo", found["memo"]),
        ]
    pairs += [("corrects", _in_short(entry, units)) for entry in found["corrects"]]
    pairs += [("corrected by", _in_short(entry, units)) for entry in found["corrected_by"]]
    if not found["corrections_complete"]:
        pairs.append(("", "there may be older corrections: the history of both is long"))
    show.fields([(name, value) for name, value in pairs if value != ""])


def _in_short(entry: Json, units: Units) -> str:
    """Return an entry that has to do with the one shown, on one line."""
    reference = reference_of(entry["memo"])
    text = entry["memo"] if reference is None else reference.text
    return " ".join(
        word for word in (short(entry["txid"]), entry["status"], units.amount(entry["amount"]), text) if word
    )


@click.command(
    cls=Command,
    epilog=examples(
        "blocks --limit 5",
        "blocks --before 100        99 and below",
    ),
)
@_limit
@click.option("--before", type=click.IntRange(0), help="Below this height only.")
@pass_invocation
def blocks(invocation: Invocation, limit: int, before: int | None) -> None:
    """List blocks, the newest first."""
    found = _read_blocks(invocation.client(), limit, before)
    invocation.answer(found, lambda: _show_blocks(found, invocation.units(), Names.of(invocation)))


def _show_blocks(found: list[Json], units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415

    title, moments = times([block["timestamp_ms"] for block in found])
    columns = [
        show.Column("height", right=True),
        show.Column("hash", spare=1),
        show.Column(title),
        show.Column("entries", right=True),
        show.Column("size", right=True, spare=3),
        show.Column(f"reward {units.symbol}", right=True, spare=4),
        show.Column("fees", right=True, spare=2),
        show.Column("miner", spare=1),
    ]
    rows = [
        (
            str(block["height"]),
            short(block["hash"]),
            moment,
            str(block["transactions"]),
            size(block["size"]),
            units.bare(block["reward"]),
            units.bare(block["fees"]),
            names.short(block["miner"]),
        )
        for block, moment in zip(found, moments, strict=True)
    ]
    show.table(columns, rows, "no blocks there")


@click.command(cls=Command)
@click.argument("name", metavar="HEIGHT-or-HASH")
@pass_invocation
def block(invocation: Invocation, name: str) -> None:
    """Show a block with its entries, by height or by hash."""
    found = invocation.client().call("block", name=_block_name(name))
    invocation.answer(found, lambda: _show_block(found, invocation.units(), Names.of(invocation)))


def _block_name(text: str) -> int | str:
    if text.isascii() and text.isdigit() and len(text) <= _MAX_HEIGHT_DIGITS:
        return int(text)
    if len(text) == 64 and _HEX.fullmatch(text.lower()):
        return text.lower()
    hint = "type a number, or the 64 hexadecimal digits of a hash"
    raise CommandError("bad-block", f"{text[:70]!a} is no height and no hash", hint)


def _show_block(found: Json, units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415

    entries = found["transactions"]
    aside = any(entry["status"] != "confirmed" for entry in entries)
    show.fields(
        [
            ("height", str(found["height"])),
            ("hash", found["hash"]),
            ("previous", found["previous"]),
            ("time", when(found["timestamp_ms"])),
            ("bits", f"{found['bits']:#010x}"),
            ("work", found["work"]),
            ("miner", names.full(found["miner"]) or "nobody: it is the first block"),
            ("reward", f"{units.amount(found['reward'])}, and {units.bare(found['fees'])} of fees"),
            ("size", size(found["size"])),
            ("entries", str(len(entries)) + (" (not on the main chain)" if aside else "")),
        ]
    )
    if not entries:
        return
    show.line("")
    title, moments = times([entry["timestamp_ms"] for entry in entries])
    columns = [
        show.Column("at", right=True, spare=4),
        show.Column(title, spare=3),
        show.Column("txid"),
        show.Column("from"),
        show.Column("to"),
        show.Column(units.symbol, right=True),
        show.Column("fee", right=True, spare=2),
        show.Column("memo", flexible=True, spare=1),
    ]
    rows = [
        (
            str(entry["position"]),
            moment,
            short(entry["txid"]),
            names.short(entry["sender"]),
            names.short(entry["recipient"]),
            units.bare(entry["amount"]),
            units.bare(entry["fee"]),
            entry["memo"],
        )
        for entry, moment in zip(entries, moments, strict=True)
    ]
    show.table(columns, rows, "")


@click.command(cls=Command)
@click.argument("address", required=False)
@_limit
@pass_invocation
def history(invocation: Invocation, address: str | None, limit: int) -> None:
    """List what an ADDRESS or contact sent, got and mined, the newest first; yours without one.

    The balance is the one after each entry; rewards that have not matured count.
    """
    found = read_history(invocation.client(), _typed(invocation, address), limit)
    invocation.answer(found, lambda: _show_history(found, invocation.units(), Names.of(invocation)))


def _show_history(items: list[Json], units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415

    title, moments = times([item["timestamp_ms"] for item in items])
    columns = [
        show.Column(title),
        show.Column("what"),
        show.Column(units.symbol, right=True),
        show.Column("balance", right=True),
        show.Column("memo", flexible=True, spare=1),
        show.Column("txid", spare=2),
        show.Column("block", right=True, spare=3),
    ]
    rows: list[tuple[show.Value, ...]] = []
    for item, moment in zip(items, moments, strict=True):
        moved = _change(item)
        rows.append(
            (
                moment,
                _what(item, names),
                show.Cell(units.change(moved), "green" if moved > 0 else "red" if moved < 0 else ""),
                units.bare(item["balance"]),
                _memo(item["memo"]),
                short(item["txid"]),
                str(item["height"]),
            )
        )
    show.table(columns, rows, "nothing yet")


def _typed(invocation: Invocation, address: str | None) -> str | None:
    """Return the address that was typed, or of the contact that was named; None for the node's own."""
    return None if address is None else address_of(invocation, address)


def _memo(memo: str) -> str:
    """Return a memo with the reference of a correction in short."""
    reference = reference_of(memo)
    return memo if reference is None else f"corrects {short(reference.txid)} {reference.text}".rstrip()


def _what(item: Json, names: Names) -> str:
    match item["direction"]:
        case "in":
            return f"from {names.short(item['sender'])}"
        case "out":
            return f"to {names.short(item['recipient'])}"
        case "reward":
            return "mined"
        case _:
            return "to itself"


def _change(item: Json) -> int:
    """Return by how much an item of a history changed the balance."""
    amount, fee = int(item["amount"]), int(item["fee"])
    return {"in": amount, "reward": amount, "self": -fee}.get(item["direction"], -amount - fee)


@click.command(cls=Command)
@click.argument("address", required=False)
@pass_invocation
def balance(invocation: Invocation, address: str | None) -> None:
    """Show what an ADDRESS or contact has, and what pending entries will change; yours without one."""
    found = invocation.client().call("balance", address=_typed(invocation, address))
    invocation.answer(found, lambda: _show_balance(found, invocation.units(), Names.of(invocation)))


def _show_balance(found: Json, units: Units, names: Names) -> None:
    from node.cli import show  # noqa: PLC0415

    show.fields(
        [
            ("address", names.full(found["address"])),
            ("confirmed", units.amount(found["confirmed"])),
            ("pending", f"{units.change(found['pending'])} {units.symbol}"),
            ("next nonce", str(found["next_nonce"])),
        ]
    )


@click.command(cls=Command)
@pass_invocation
def tips(invocation: Invocation) -> None:
    """List the ends of all branches that the node knows; the active one is the book."""
    found = invocation.client().call("tips")
    invocation.answer(found, lambda: _show_tips(found))


def _show_tips(found: list[Json]) -> None:
    from node.cli import show  # noqa: PLC0415

    columns = [
        show.Column("height", right=True),
        show.Column("hash"),
        show.Column("branch", right=True),
        show.Column("status"),
    ]
    rows = [
        (
            str(tip["height"]),
            short(tip["hash"]),
            count_of(tip["branch_length"], "block") if tip["branch_length"] else "",
            show.Cell(tip["status"], _TIP_STYLES.get(tip["status"], "")),
        )
        for tip in found
    ]
    show.table(columns, rows, "no tips")
