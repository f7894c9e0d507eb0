"""What `send` was asked to pay: typed, in a payment link, or to correct a mistake. Signs nothing."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import click

from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation
from node.cli.look import full_txid
from node.cli.named import address_of
from node.cli.signing import read_amount, read_recipient
from node.corrections import correcting_memo
from node.payment_uri import SCHEME, Scale, UriError, parse_payment

Json = dict[str, Any]

_AMOUNT: Final = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


class Order(NamedTuple):
    """What was typed."""

    to: str | None
    """An address, a contact or a payment link."""
    amount: str | None
    """In decimal units."""
    memo: str


class Resolved(NamedTuple):
    """What an entry will say."""

    recipient: bytes
    amount: int
    memo: str


def resolved(invocation: Invocation, order: Order) -> Resolved:
    """Return whom to pay how much for what. Raises CommandError, UsageError."""
    info = invocation.info()
    if order.to is None:
        raise click.UsageError("name TO and AMOUNT: whom to pay, and how much")
    if order.to.lower().startswith(SCHEME):
        return _of_link(info, order)
    if order.amount is None:
        raise click.UsageError("name the AMOUNT to pay")
    recipient = read_recipient(address_of(invocation, order.to), info["prefix"])
    return Resolved(recipient, read_amount(order.amount, info["decimals"]), order.memo)


def _of_link(info: Json, order: Order) -> Resolved:
    """Return what a link asks for. What it leaves open may be typed; what it says is never overruled."""
    scale = Scale(bytes.fromhex(info["network_id"]), info["prefix"], info["decimals"])
    with refusals(UriError):
        asked = parse_payment(order.to or "", scale)
    if asked.amount is not None and order.amount is not None:
        raise click.UsageError("the link names the amount: type the link alone")
    if asked.memo and order.memo:
        raise click.UsageError("the link has a memo, by which the payment is known: leave --memo out")
    amount = asked.amount
    if amount is None:
        if order.amount is None:
            raise click.UsageError("the link leaves the amount to you: type it behind the link")
        amount = read_amount(order.amount, scale.decimals)
    return Resolved(asked.key, amount, asked.memo or order.memo)


def correcting(invocation: Invocation, txid: str, payer: str, order: Order) -> Order:
    """Return the order of an entry that corrects another one, for the payer's address.

    Raises CommandError: there is no such entry, or the payer has no part in it.
    """
    if order.to is not None and order.amount is None and _AMOUNT.fullmatch(order.to):
        order = order._replace(to=None, amount=order.to)  # whom is known already: the one word is how much
    client = invocation.client()
    found = client.call("tx", txid=full_txid(client, txid))
    if found["sender"] is None:
        message = f"no entry {found['txid']} is here" if found["amount"] is None else "a reward is no mistake"
        raise CommandError("not-found", message, "see `history`")
    parties = (found["sender"], found["recipient"])
    if payer not in parties:
        message = f"{payer} neither paid nor got entry {found['txid']}: a correction would not count"
        raise CommandError("not-yours", message, "name the wallet that did: --from NAME")
    other = parties[1] if payer == parties[0] else parties[0]
    if order.to is not None and address_of(invocation, order.to) != other:
        message = f"a correction of entry {found['txid']} goes to {other}, or it counts for nothing"
        raise CommandError("wrong-recipient", message, "leave the recipient out, or name that one")
    amount = "0" if order.amount is None else order.amount
    return Order(other, amount, correcting_memo(found["txid"], order.memo))
