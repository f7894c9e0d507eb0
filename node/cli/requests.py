"""Payment requests: request, requests. They keep a file in the data folder that the node does not read."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from node import requests as kept
from node import wallet as wallets
from node.asked import Request, match, wanted
from node.cli.counter import read_span
from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.look import all_pending
from node.cli.named import Names, address_of
from node.cli.options import Command, examples
from node.cli.qr import show_code
from node.cli.signing import check_memo, now_ms, read_amount, read_recipient
from node.cli.text import short, times
from node.ledger.address import decode_address, encode_address
from node.ledger.codec import MAX_UINT
from node.paths import wallets_folder
from node.payment_uri import Payment, Scale, payment_uri
from node.private import PathError
from node.requests import RequestsError
from node.takings import Span

Json = dict[str, Any]

_LOOK_S: Final = 0.5
_STYLES: Final = {"paid": "bold green", "open": "yellow", "expired": "red"}


@click.command(
    cls=Command,
    epilog=examples(
        "request 7.50 --memo 'two coffees'",
        "request 7.50 --wait 300         until it is paid",
        "request 20 --to till            a wallet or contact",
    ),
)
@click.argument("amount")
@click.option("--memo", metavar="TEXT", help="What for; the payment carries it. Without, a number is made.")
@click.option("--to", "recipient", metavar="NAME", help="A wallet or contact; your own address without.")
@click.option(
    "--minutes", type=click.IntRange(1, 525_600), default=60, show_default=True, help="Open so long."
)
@pass_invocation
def request(
    invocation: Invocation, amount: str, memo: str | None, recipient: str | None, minutes: int
) -> None:
    """Ask to be paid AMOUNT: a link and a QR code, matched by address, memo and amount.

    With --wait SECONDS it stays until it is paid, and says whether it is safe to hand over the cup.
    """
    info = invocation.info()
    name, made_ms = secrets.token_hex(4), now_ms()
    asked = Request(
        name=name,
        address=_recipient(invocation, recipient),
        amount=read_amount(amount, info["decimals"]),
        memo=f"request {name}" if memo is None else memo,
        created_ms=made_ms,
        expires_ms=made_ms + minutes * 60_000,
    )
    check_memo(asked.memo)
    if asked.amount == 0:
        raise CommandError("bad-amount", "a request for nothing is paid by anything", "name an amount")
    with refusals(RequestsError, PathError):
        kept.change(Path(info["data_dir"]), lambda before: [*before, asked])
    uri = _link(invocation, asked)
    if not invocation.as_json:
        _show_link(uri)
    if invocation.wait_s:
        _wait(invocation, asked, uri)
    else:
        invocation.answer(_fields(asked, None) | {"uri": uri}, lambda: None)


def _show_link(uri: str) -> None:
    try:
        show_code(uri)
    except CommandError:  # no room for the code: the link alone does
        click.echo(uri)


def _recipient(invocation: Invocation, text: str | None) -> str:
    """Return the address of one of the node's wallets, of a contact, or that was typed."""
    info = invocation.info()
    if text is None:
        return str(info["address"])
    found = wallets.list_wallets(wallets_folder(Path(info["data_dir"])))
    for wallet in found:
        if isinstance(wallet, wallets.Wallet) and wallet.name == text:
            return encode_address(info["prefix"], wallet.public_key)
    address = address_of(invocation, text)
    read_recipient(address, info["prefix"])
    return address


def _link(invocation: Invocation, asked: Request) -> str:
    info = invocation.info()
    scale = Scale(bytes.fromhex(info["network_id"]), info["prefix"], info["decimals"])
    return payment_uri(Payment(decode_address(scale.prefix, asked.address), asked.amount, asked.memo), scale)


def _wait(invocation: Invocation, asked: Request, uri: str) -> None:
    """Stay until the request is paid. Raises CommandError(not-paid) when the time is over."""
    until = time.monotonic() + invocation.wait_s
    said = ""
    while True:
        found = next((one for one in _matched(invocation) if one.name == asked.name), asked)
        paid = _payment(invocation, found)
        reason = "waiting for the payment" if paid is None else f"seen, but wait: {paid['settled']['reason']}"
        if paid is not None and paid["settled"]["verdict"] != "no":
            break
        if reason != said and not invocation.as_json:
            click.echo(reason)
            said = reason
        left = until - time.monotonic()
        if left <= 0:
            hint = "it stays open: `requests` shows what becomes of it"
            raise CommandError("not-paid", f"request {asked.name} is not paid yet ({reason})", hint)
        time.sleep(min(_LOOK_S, left))
    invocation.answer(_fields(found, paid) | {"uri": uri}, lambda: _say_paid(paid))


def _say_paid(paid: Json) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    settled = paid["settled"]
    style = "bold green" if settled["verdict"] == "yes" else "yellow"
    show.line(show.Cell(f"PAID, settled: {settled['verdict']} ({settled['reason']})", style))
    show.line(f"txid {paid['txid']}")


# ------------------------------------------------------------------------------------------- matching


def _matched(invocation: Invocation) -> list[Request]:
    """Look for what pays the requests, keep what was found, and return them, the oldest first."""
    client, folder = invocation.client(), Path(invocation.info()["data_dir"])
    with refusals(RequestsError, PathError):
        before = kept.read(folder)
        looked_for = wanted(before)
        if not looked_for:
            return before
        entries = {entry["txid"]: entry for entry in all_pending(client)}
        for address, since_ms in looked_for.items():
            span = Span(max(0, since_ms), MAX_UINT)
            entries |= {item["txid"]: item for item in read_span(client, address, span)}
        # One made meanwhile has an address or a time that was not looked for: it waits for the next look.
        names = {request.name for request in before}

        def found(now: list[Request]) -> list[Request]:
            known = [one for one in now if one.name in names]
            by_name = {one.name: one for one in match(known, list(entries.values()), now_ms())}
            return [by_name.get(one.name, one) for one in now]

        after = kept.change(folder, found)
        settled = {
            (one.name, one.paid_by) for one in after if not one.is_final and _is_settled(invocation, one)
        }
        return kept.change(folder, lambda now: [_final_if(one, settled) for one in now]) if settled else after


def _final_if(request: Request, settled: set[tuple[str, str | None]]) -> Request:
    return replace(request, is_final=True) if (request.name, request.paid_by) in settled else request


def _is_settled(invocation: Invocation, request: Request) -> bool:
    paid = _payment(invocation, request)
    return paid is not None and paid["settled"]["verdict"] == "yes"


def _payment(invocation: Invocation, request: Request) -> Json | None:
    if request.paid_by is None:
        return None
    found: Json = invocation.client().call("tx", txid=request.paid_by)
    return found


def _fields(request: Request, paid: Json | None) -> Json:
    return {
        "name": request.name,
        "state": request.state(now_ms()),
        "address": request.address,
        "amount": request.amount,
        "memo": request.memo,
        "created_ms": request.created_ms,
        "expires_ms": request.expires_ms,
        "txid": request.paid_by,
        "settled": None if paid is None else paid["settled"],
    }


# ----------------------------------------------------------------------------------------- the list


@click.command(cls=Command)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@pass_invocation
def requests(invocation: Invocation, limit: int) -> None:
    """List payment requests, the newest first: open, paid or expired."""
    newest = _matched(invocation)[::-1][:limit]
    found = [_fields(one, _payment(invocation, one)) for one in newest]
    invocation.answer(found, lambda: _show(invocation, found))


def _show(invocation: Invocation, found: Sequence[Json]) -> None:
    from node.cli import show  # noqa: PLC0415 - the same

    units, names = invocation.units(), Names.of(invocation)
    title, moments = times([one["created_ms"] for one in found])
    columns = [
        show.Column(title),
        show.Column("state"),
        show.Column(units.symbol, right=True),
        show.Column("memo", flexible=True, spare=1),
        show.Column("to", spare=3),
        show.Column("settled", spare=1),
        show.Column("txid", spare=2),
    ]
    rows = [
        (
            moment,
            show.Cell(one["state"], _STYLES[one["state"]]),
            units.bare(one["amount"]),
            one["memo"],
            names.short(one["address"]),
            "" if one["settled"] is None else one["settled"]["verdict"],
            short(one["txid"]),
        )
        for one, moment in zip(found, moments, strict=True)
    ]
    show.table(columns, rows, "no requests yet: `request AMOUNT` makes one")
