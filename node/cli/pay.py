"""Commands that pay: send, bump, cancel. They hand over signed bytes: no key leaves the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from node import wallet as wallets
from node.cli.errors import CommandError
from node.cli.invocation import Invocation, pass_invocation
from node.cli.look import full_txid
from node.cli.named import Names
from node.cli.options import Command, examples
from node.cli.orders import Order, correcting, resolved
from node.cli.signing import (
    check_memo,
    load_wallet,
    now_ms,
    open_key,
    read_amount,
    sign_entry,
)
from node.cli.text import Units
from node.ledger.address import decode_address, encode_address
from node.ledger.amount import format_amount
from node.ledger.entry import Entry
from node.paths import wallets_folder
from node.wallet import SecretKey, Wallet

Json = dict[str, Any]

_RETRIES: Final = 5
"""How often `send` signs again with another nonce, for someone else paid from this wallet at that moment."""

_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the wallet's passphrase on its first line; without it you are asked.",
)


class _Send(Command):
    """Takes -1 for an amount that is refused as one, and not for an option that nobody knows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed = next((word for word in args if word[:1] == "-" and word[1:2] in set("0123456789.")), None)
        if typed is not None and "--" not in args and not _is_value(args, typed):
            read_amount(typed, 0)  # refuses it
        return super().parse_args(ctx, args)


def _is_value(args: list[str], word: str) -> bool:
    """True where the word follows an option that takes one."""
    before = args[args.index(word) - 1] if args.index(word) else ""
    return before.startswith("--")


@click.command(
    cls=_Send,
    epilog=examples(
        "send bean1... 7.50 --memo 'two coffees'",
        "send ann 7.50                     a contact: see `contact add`",
        "send 'indelible:bean1...?amount=7.50&memo=coffee'   a link",
        "send bean1... 0 --memo 'key handed over'    a record, no money",
        "send --corrects 9f3c2a81d0 --memo 'was tea'",
        "send --corrects 9f3c2a81d0 7.50   and the money back",
        "send bean1... 3 --from till --fee 0.05",
    ),
)
@click.argument("to", required=False)
@click.argument("amount", required=False)
@click.option("--memo", default="", metavar="TEXT", help="Up to 256 bytes, for everybody to read, for ever.")
@click.option("--fee", metavar="AMOUNT", help="For whoever mines it; the least the network takes without.")
@click.option("--from", "source", metavar="NAME", help="The wallet that pays; the node's own without.")
@click.option("--corrects", metavar="TXID", help="The entry that was a mistake; yours, given or got.")
@_passphrase_file
@pass_invocation
def send(
    invocation: Invocation,
    *,
    to: str | None,
    amount: str | None,
    memo: str,
    fee: str | None,
    source: str | None,
    corrects: str | None,
    passphrase_file: Path | None,
) -> None:
    """Pay AMOUNT, in decimal units, to the address or contact TO, or what a payment link asks for.

    With --corrects, TO is the other one of the two whose entry it was, and AMOUNT is nothing where none is
    named: type the amount of a refund alone.
    """
    info = invocation.info()
    wallet = load_wallet(_wallets_of(info), source or info["wallet"])
    order = Order(to, amount, memo)
    if corrects is not None:
        order = correcting(invocation, corrects, encode_address(info["prefix"], wallet.public_key), order)
    recipient, value, memo = resolved(invocation, order)
    offered = info["minimum_fee"] if fee is None else read_amount(fee, info["decimals"])
    check_memo(memo)
    key = open_key(wallet, passphrase_file)
    entry = _send(invocation, key, recipient=recipient, amount=value, fee=offered, memo=memo)
    _answer(
        invocation,
        entry,
        lambda: (
            f"sent {invocation.units().amount(value)} "
            f"to {Names.of(invocation).full(encode_address(info['prefix'], recipient))}"
        ),
    )


def _send(invocation: Invocation, key: SecretKey, **fields: Any) -> Entry:  # noqa: ANN401 - those of an entry
    """Sign with the lowest free nonce and hand over; again where another payment took it meanwhile."""
    info, client = invocation.info(), invocation.client()
    address = encode_address(info["prefix"], key.public_key)
    for attempt in range(_RETRIES + 1):
        account = client.call("balance", address=address)
        entry = sign_entry(
            key,
            bytes.fromhex(info["network_id"]),
            nonce=account["next_nonce"],
            timestamp_ms=now_ms(),
            **fields,
        )
        try:
            _submit(invocation, entry, replace=False)
        except CommandError as error:
            if error.code == "nonce-used" and attempt < _RETRIES:
                continue
            if error.code == "overspend" and account["confirmed"] + account["pending"] <= 0:
                raise _no_coins(error, info) from None
            raise
        else:
            return entry
    raise AssertionError("the last attempt returns or raises")


def _no_coins(error: CommandError, info: Json) -> CommandError:
    units = Units(info["decimals"], info["symbol"])
    earned = f"`mine 1` earns {units.amount(info['reward'])}" if info["reward"] else "ask somebody to pay you"
    return CommandError(error.code, f"there are no coins here: {error.message}", earned)


def _submit(invocation: Invocation, entry: Entry, *, replace: bool) -> None:
    try:
        invocation.client().call("submit", entry=entry.raw.hex(), replace=replace)
    except CommandError as error:
        if error.code == "node-gone":
            hint = f"it may have taken the entry: look with `tx {entry.txid.hex()}` before you pay again"
            raise CommandError(error.code, error.message, hint, error.status) from None
        raise


def _answer(invocation: Invocation, entry: Entry, what: Callable[[], str]) -> None:
    txid = entry.txid.hex()
    units = invocation.units()
    invocation.answer(
        {"txid": txid}, lambda: click.echo(f"{what()}, for a fee of {units.amount(entry.fee)}\ntxid {txid}")
    )


@click.command(cls=Command, epilog=examples("bump 9f3c2a81d0 --fee 0.05"))
@click.argument("txid")
@click.option(
    "--fee", required=True, metavar="AMOUNT", help="The new fee; at least a tenth more than before."
)
@_passphrase_file
@pass_invocation
def bump(invocation: Invocation, txid: str, fee: str, passphrase_file: Path | None) -> None:
    """Offer a higher fee for the pending entry TXID, so that it is mined sooner; all else stays as it is."""
    info = invocation.info()
    offered = read_amount(fee, info["decimals"])
    old = _pending(invocation, txid)
    least = _least_replacement(old["fee"])
    if offered < least:
        raise CommandError(
            "fee-too-low-to-replace",
            f"the fee is {format_amount(old['fee'], info['decimals'], info['symbol'])} already",
            f"offer at least {format_amount(least, info['decimals'], info['symbol'])}",
        )
    key = open_key(_wallet_of(info, old["sender"]), passphrase_file)
    entry = sign_entry(
        key,
        bytes.fromhex(info["network_id"]),
        recipient=decode_address(info["prefix"], old["recipient"]),
        amount=old["amount"],
        fee=offered,
        nonce=old["nonce"],
        timestamp_ms=old["timestamp_ms"],  # the payment was made then
        memo=old["memo"],
    )
    _submit(invocation, entry, replace=True)
    _answer(invocation, entry, lambda: f"replaced {old['txid']}")


@click.command(cls=Command)
@click.argument("txid")
@_passphrase_file
@pass_invocation
def cancel(invocation: Invocation, txid: str, passphrase_file: Path | None) -> None:
    """Take the pending entry TXID back, by a payment of nothing to yourself for a little more fee.

    Works as long as no block holds it; whichever of the two is mined first counts.
    """
    info = invocation.info()
    old = _pending(invocation, txid)
    key = open_key(_wallet_of(info, old["sender"]), passphrase_file)
    entry = sign_entry(
        key,
        bytes.fromhex(info["network_id"]),
        recipient=key.public_key,
        amount=0,
        fee=max(_least_replacement(old["fee"]), info["minimum_fee"]),
        nonce=old["nonce"],
        timestamp_ms=now_ms(),
        memo="",
    )
    _submit(invocation, entry, replace=True)
    _answer(invocation, entry, lambda: f"cancelled {old['txid']}")


def _least_replacement(fee: int) -> int:
    """Return the least fee that takes the place of this one: a tenth more, rounded up, and at least one."""
    return fee + max(1, -(-fee // 10))


def _pending(invocation: Invocation, text: str) -> Json:
    """Return the pending entry that was named. Raises CommandError."""
    client = invocation.client()
    found: Json = client.call("tx", txid=full_txid(client, text))
    if found["status"] == "pending":
        return found
    if found["status"] == "confirmed":
        message = f"it is in block {found['height']} already: nobody can change it"
        raise CommandError("already-confirmed", message, "ask whom you paid to pay it back")
    message = f"no entry {found['txid']} is pending ({found['status']})"
    raise CommandError("not-pending", message, "see `pending`")


def _wallet_of(info: Json, address: str) -> Wallet:
    """Return the wallet whose address this is."""
    folder = _wallets_of(info)
    for found in wallets.list_wallets(folder):
        if isinstance(found, Wallet) and encode_address(info["prefix"], found.public_key) == address:
            return found
    raise CommandError("not-yours", f"no wallet in {folder} has the address {address}", "see `wallet list`")


def _wallets_of(info: Json) -> Path:
    return wallets_folder(Path(info["data_dir"]))
