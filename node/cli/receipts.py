"""Commands about proofs: receipt, check-receipt, check-tip. None of them asks a node.

`receipt` and `check-tip` read the copy of the book on this machine's disk, beside a running node or without
one; `check-receipt` reads its file and nothing else.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from node.answers import entry_content, reward_content
from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.look import full_txid
from node.cli.new_file import write_new
from node.cli.offline import book_path, parameters_of
from node.cli.options import Command, examples
from node.cli.text import Units, count_of, size, when
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.private import PathError, read_bounded
from node.proof_file import MAX_FILE_BYTES, Extension, ReceiptRefused, decode, encode
from node.proofs import Checked, HeldEntry, check
from node.query import BookDamaged, NotFound
from node.receipts import BadTip, Fate, TipChecked, make_receipt
from node.receipts import check_tip as check_tip_of
from node.storage.faults import BookFault
from node.storage.reading import ReadOnlyBook, open_read_only

Json = dict[str, Any]

_HASH: Final = re.compile("[0-9a-fA-F]{64}")
_HEIGHT: Final = re.compile("[0-9]{1,10}")
_STANDARD_INPUT: Final = Path("-")

_output = click.option(
    *("-o", "--output", "output"),
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write the proof to this new file.",
)


class _Named(NamedTuple):
    """A block as people write it down."""

    hash: bytes
    height: int | None
    """None where only the hash was written down."""


# ------------------------------------------------------------------------------------------ receipt


@click.command(
    cls=Command,
    epilog=examples(
        "receipt TXID -o cup.json",
        "receipt TXID --tip 1200 -o cup.json   up to a known block",
        "check-receipt cup.json                what your friend types",
    ),
)
@click.argument("txid")
@_output
@click.option("--tip", metavar="HEIGHT-or-HASH", help="Lead to this block instead of today's last one.")
@pass_invocation
def receipt(invocation: Invocation, txid: str, output: Path | None, tip: str | None) -> None:
    """Make a receipt: one small file that proves an entry or a reward to whoever has no copy of the book.

    Of entries that are pending or in your own history the first digits are enough while the node runs.
    """
    name = _txid(invocation, txid)
    upto = None if tip is None else _height_or_hash(tip)
    with _book(invocation) as (book, parameters):
        made = make_receipt(book, parameters, name, upto)
    raw, checked = encode(made), check(made)
    if output is None:
        click.echo(raw, nl=False)
        return
    write_new(output, raw)
    block, last = checked.block, checked.tip
    answer = {
        "file": str(output),
        "bytes": len(raw),
        "txid": name.hex(),
        "height": block.height,
        "block": block.hash.hex(),
        "tip_height": last.height,
        "tip": last.hash.hex(),
    }
    said = (
        f"wrote {output} ({size(len(raw))}): block {block.height}, up to block {last.height}",
        f"your friend: python cli.py check-receipt {shlex.quote(output.name)}",
    )
    invocation.answer(answer, lambda: click.echo("\n".join(said)))


# ------------------------------------------------------------------------------------ check-receipt


@click.command(
    "check-receipt",
    cls=Command,
    epilog=examples(
        "check-receipt cup.json",
        "check-receipt cup.json --trust HASH   of a block you know",
        "check-receipt - < cup.json",
    ),
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--trust", metavar="HASH", help="A block's hash (or HEIGHT:HASH) that you know to be right.")
@pass_invocation
def check_receipt(invocation: Invocation, file: Path, trust: str | None) -> None:
    """Check a receipt, or the proof of `check-tip`, without any node. What is forged is named.

    Two headers prove their own work only: without --trust it says which hash to compare with someone you
    trust.
    """
    anchor = None if trust is None else _named(trust)
    with refusals(ReceiptRefused):
        proven = decode(_content(file))
        checked = check(proven, None if anchor is None else anchor.hash)
    if anchor is not None and anchor.height is not None:
        found = checked.block if checked.anchor == "block" else checked.tip
        if anchor.height != found.height:
            message = f"{anchor.hash.hex()} is block {found.height}, not {anchor.height}"
            raise CommandError("not-anchored", message, "look at what you wrote down")
    invocation.answer(_checked_fields(checked, anchor), lambda: _show_checked(checked, anchor))


def _checked_fields(checked: Checked, anchor: _Named | None) -> Json:
    parameters, block, tip = checked.parameters, checked.block, checked.tip
    return {
        "ok": True,
        "kind": "extension" if checked.entry is None else "receipt",
        "anchored_to": None if anchor is None else anchor.hash.hex(),
        "anchor": checked.anchor,
        "work": hex(checked.work),
        "network": parameters.name,
        "network_id": checked.network_id.hex(),
        "symbol": parameters.symbol,
        "decimals": parameters.decimals,
        "height": block.height,
        "block": block.hash.hex(),
        "block_timestamp_ms": block.timestamp_ms,
        "tip_height": tip.height,
        "tip": tip.hash.hex(),
        "tip_timestamp_ms": tip.timestamp_ms,
        "entry": None if checked.entry is None else _entry_fields(checked, checked.entry),
    }


def _entry_fields(checked: Checked, held: HeldEntry) -> Json:
    """Return the fields of `tx` that the receipt proves."""
    prefix = checked.parameters.prefix
    fields: Json = {"txid": held.txid.hex(), "position": held.position}
    if isinstance(held.content, Entry):
        return fields | entry_content(held.content, prefix)
    empty = {"timestamp_ms": None, "sender": None, "nonce": None}
    return fields | empty | reward_content(held.content, checked.block.timestamp_ms, prefix)


def _show_checked(checked: Checked, anchor: _Named | None) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it; so below

    tip, block, parameters = checked.tip, checked.block, checked.parameters
    if anchor is None:
        show.line(show.Cell(f"consistent, not anchored: compare tip {tip.hash.hex()}", "yellow"))
    else:
        show.line(show.Cell(f"anchored to {anchor.hash.hex()}", "green"))
        if checked.anchor == "block" and tip.hash != block.hash:
            show.line(show.Cell(f"its tip is not: compare tip {tip.hash.hex()}", "yellow"))
    pairs: list[tuple[str, show.Value]] = [("network", f"{parameters.name} ({checked.network_id.hex()})")]
    if checked.entry is not None:
        fields = _entry_fields(checked, checked.entry)
        units = Units(parameters.decimals, parameters.symbol)
        pairs += [
            ("txid", fields["txid"]),
            ("from", fields["sender"] or "nobody: it is a reward"),
            ("to", fields["recipient"]),
            ("amount", units.amount(fields["amount"])),
            ("fee", units.amount(fields["fee"])),
            ("memo", fields["memo"]),
            ("time", when(fields["timestamp_ms"])),
        ]
    pairs += [
        ("block" if checked.entry else "old tip", f"{block.height}, {block.hash.hex()}"),
        ("mined", when(block.timestamp_ms)),
        ("tip", f"{tip.height}, {tip.hash.hex()}"),
        ("", _said_of_history(checked)),
        ("work", _said_of_work(checked)),
    ]
    show.fields([(name, value) for name, value in pairs if value != ""])
    if anchor is None:
        show.line("on a copy that you trust, and not one of whoever gave you this:")
        show.line(f"  python cli.py check-tip {tip.height}:{tip.hash.hex()}")
        show.line("or with the hash of a block that you know: check-receipt FILE --trust HASH")


def _said_of_history(checked: Checked) -> str:
    if checked.entry is not None:
        return ""
    return f"the history up to block {checked.block.height} was only added to"


def _said_of_work(checked: Checked) -> str:
    headers = 1 if checked.tip.hash == checked.block.hash else 2
    whose = "that of its one header" if headers == 1 else "that of its two headers alone"
    return f"about {checked.work:,} hashes: {whose}, no more is proven"


# ---------------------------------------------------------------------------------------- check-tip


@click.command(
    "check-tip",
    cls=Command,
    epilog=examples(
        "check-tip HASH                 a hash that you wrote down",
        "check-tip 1200:HASH            with its height",
        "check-tip HASH -o proof.json   for check-receipt, elsewhere",
    ),
)
@click.argument("block", metavar="HASH")
@_output
@click.pass_context
@pass_invocation
def check_tip(invocation: Invocation, ctx: click.Context, block: str, output: Path | None) -> None:
    """Tell whether a block that someone wrote down is still part of the book: HASH or HEIGHT:HASH.

    That nothing before it was changed is proven by the two histories, and the proof can be written to a file
    for whoever does not trust this copy. Leaves with status 1 where it is no longer part of the book.
    """
    named = _named(block)
    with _book(invocation) as (book, parameters):
        found = check_tip_of(book, parameters, named.hash, named.height)
    if output is not None and found.extension is not None:
        write_new(output, encode(found.extension))
    elif output is not None and found.fate is Fate.HELD:
        raise CommandError(
            "no-proof", "every history starts with genesis: no proof is needed", "leave out -o"
        )
    invocation.answer(_tip_fields(found, named), lambda: _show_tip(found, named, output))
    if found.fate is not Fate.HELD:
        ctx.exit(1)


def _tip_fields(found: TipChecked, named: _Named) -> Json:
    return {
        "held": found.fate is Fate.HELD,
        "status": str(found.fate),
        "hash": named.hash.hex(),
        "height": found.height,
        "rewritten_at": found.rewritten_at,
        "tip_height": found.tip.height,
        "tip": found.tip.hash.hex(),
        "proof": None if found.extension is None else _proof_fields(found.extension),
    }


def _proof_fields(extension: Extension) -> Json:
    """Return the proof as its file holds it, for whoever writes it down in the one form."""
    fields: Json = json.loads(encode(extension))
    return fields


def _show_tip(found: TipChecked, named: _Named, output: Path | None) -> None:
    from node.cli import show  # noqa: PLC0415

    style = "green" if found.fate is Fate.HELD else "bold red" if found.rewritten_at is not None else "yellow"
    show.line(show.Cell(_said_of_tip(found), style))
    pairs: list[tuple[str, show.Value]] = [
        ("hash", named.hash.hex()),
        ("tip now", f"{found.tip.height}, {found.tip.hash.hex()}"),
    ]
    if output is not None and found.extension is not None:
        said = f"python cli.py check-receipt {shlex.quote(output.name)} --trust {named.hash.hex()}"
        pairs += [("proof", str(output)), ("your friend", said)]
    show.fields(pairs)


def _said_of_tip(found: TipChecked) -> str:
    height, tip = found.height, found.tip
    if found.fate is Fate.HELD:
        added = count_of(tip.height - (height or 0), "block")
        return f"still part of the book at height {height}; {added} added since"
    if found.fate is Fate.REWRITTEN:
        return f"no longer: the book was rewritten at height {found.rewritten_at}"
    if found.fate is Fate.INVALID:
        return f"no: block {height} of that hash breaks a rule, and was never part of the book"
    if found.fate is Fate.AHEAD:
        return f"not yet: it is block {height}, and this copy ends at block {tip.height}; ask again later"
    if height is None:
        return "not known to this copy: it never had that block, or the hash was written down wrong"
    if height > tip.height:
        return f"not known to this copy, which ends at block {tip.height}: ask again later"
    return (
        f"no: this copy has another block at height {height}, and not that one; the book was rewritten at "
        f"height {height} or below, or the hash was written down wrong"
    )


# ------------------------------------------------------------------------------------ what all need


@contextmanager
def _book(invocation: Invocation) -> Iterator[tuple[ReadOnlyBook, Parameters]]:
    """Open the copy on this machine's disk, as it is at this moment."""
    with (
        refusals(BookFault, BookDamaged, NotFound, BadTip),
        closing(open_read_only(book_path(invocation))) as book,
        book.snapshot(),
    ):
        yield book, parameters_of(invocation, book)


def _named(text: str) -> _Named:
    height, colon, digits = text.rpartition(":")
    if not colon:
        return _Named(bytes.fromhex(_hash_of(text, "hash")), None)
    if _HEIGHT.fullmatch(height) is None:
        raise CommandError("bad-hash", f"{height[:40]!a} is no height", "type HASH or HEIGHT:HASH")
    return _Named(bytes.fromhex(_hash_of(digits, "hash")), int(height))


def _txid(invocation: Invocation, text: str) -> bytes:
    """Return the txid that was typed; its first digits are enough where a node runs to ask."""
    client = None if len(text) == 64 else invocation.client_if_running()
    return bytes.fromhex(_hash_of(text, "txid") if client is None else full_txid(client, text))


def _height_or_hash(text: str) -> int | bytes:
    return int(text) if _HEIGHT.fullmatch(text) else bytes.fromhex(_hash_of(text, "hash"))


def _hash_of(text: str, what: str) -> str:
    if _HASH.fullmatch(text) is None:
        raise CommandError(f"bad-{what}", f"{text[:70]!a} is no {what}", "type its 64 hexadecimal digits")
    return text.lower()


def _content(path: Path) -> bytes:
    """Return the file's bytes, or those of standard input; at most one more than a receipt may have."""
    if path == _STANDARD_INPUT:
        return sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    try:
        with refusals(PathError):
            return read_bounded(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        raise CommandError("path", f"there is no file {path}", "name the receipt's file") from None
