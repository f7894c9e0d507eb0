"""QR codes: to be paid, and of a receipt. The command works without a node."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import click

from node import proof_file, proofs
from node import qr as codes
from node import wallet as wallets
from node.cli.errors import CommandError, refusals
from node.cli.invocation import Invocation, pass_invocation
from node.cli.named import address_of
from node.cli.offline import book_path, configuration, parameters_of
from node.cli.options import Command, examples
from node.cli.signing import check_memo, read_amount, read_recipient
from node.ledger.address import encode_address
from node.ledger.block import network_id
from node.ledger.params import Parameters
from node.paths import wallets_folder
from node.payment_uri import Payment, Scale, payment_uri, receipt_uri
from node.private import PathError, read_bounded, replace_private_file
from node.proof_file import ReceiptRefused
from node.storage.faults import BookFault
from node.storage.reading import open_read_only
from node.wallet import WalletError

_FORMS: Final[dict[str, Callable[[str], bytes]]] = {".svg": codes.svg, ".png": codes.png}


@click.command(
    cls=Command,
    epilog=examples(
        "qr                                    your own address",
        "qr --amount 7.50 --memo coffee        to be paid just that",
        "qr ann --output ann.svg",
        "qr --receipt coffee.json              what a receipt proves",
    ),
)
@click.argument("address", required=False)
@click.option("--amount", metavar="AMOUNT", help="To be paid, in decimal units.")
@click.option("--memo", default="", metavar="TEXT", help="For the one who pays to sign along.")
@click.option(
    "--receipt", type=click.Path(path_type=Path), metavar="FILE", help="Of this receipt, checked first."
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write FILE.svg or FILE.png instead.",
)
@pass_invocation
def qr(
    invocation: Invocation,
    address: str | None,
    amount: str | None,
    memo: str,
    receipt: Path | None,
    output: Path | None,
) -> None:
    """Show a QR code that asks to pay ADDRESS or contact; you without one.

    Of a receipt it holds the entry's id and the tip to compare: a whole receipt fills several codes that few
    cameras read, so hand that over as the file it is.
    """
    if receipt is not None:
        if address is not None or amount is not None or memo:
            raise click.UsageError("--receipt stands alone: a receipt names its own entry")
        uri = _of_receipt(receipt)
    else:
        uri = _of_payment(invocation, address, amount, memo)
    if output is None:
        invocation.answer({"uri": uri}, lambda: show_code(uri))
        return
    _write(output, uri)
    invocation.answer({"uri": uri, "file": str(output)}, lambda: click.echo(f"wrote {output}\n{uri}"))


def _of_payment(invocation: Invocation, address: str | None, amount: str | None, memo: str) -> str:
    check_memo(memo)
    scale = _scale(invocation)
    named = _own(invocation, scale.prefix) if address is None else address_of(invocation, address)
    key = read_recipient(named, scale.prefix)
    value = None if amount is None else read_amount(amount, scale.decimals)
    return payment_uri(Payment(key, value, memo), scale)


def _of_receipt(path: Path) -> str:
    """Return the link to what a receipt proves; one that is not in order gets no code."""
    with refusals(PathError, ReceiptRefused):
        try:
            proven = proof_file.decode(read_bounded(path, proof_file.MAX_FILE_BYTES))
        except FileNotFoundError:
            raise CommandError("path", f"there is no file {path}", "name a receipt's file") from None
        checked = proofs.check(proven)
    if checked.entry is None:
        raise CommandError("bad-receipt", f"{path} is the receipt of no entry", "see `receipt --help`")
    return receipt_uri(checked.entry.txid, checked.tip.hash, checked.network_id)


def _scale(invocation: Invocation) -> Scale:
    """Return the network of the node that is meant, whether it runs or not."""
    if invocation.client_if_running() is not None:
        info = invocation.info()
        return Scale(bytes.fromhex(info["network_id"]), info["prefix"], info["decimals"])
    parameters = _stored_parameters(invocation)
    return Scale(network_id(parameters), parameters.prefix, parameters.decimals)


def _own(invocation: Invocation, prefix: str) -> str:
    """Return the address that mining pays to."""
    if invocation.client_if_running() is not None:
        return str(invocation.info()["address"])
    with refusals(WalletError, PathError):
        wallet = wallets.load(wallets_folder(invocation.folder()), configuration(invocation).wallet)
    return encode_address(prefix, wallet.public_key)


def _stored_parameters(invocation: Invocation) -> Parameters:
    path = book_path(invocation)
    if not path.is_file():
        return configuration(invocation).parameters
    with refusals(BookFault), closing(open_read_only(path)) as book:
        return parameters_of(invocation, book)


def show_code(uri: str) -> None:
    """Print a link and its code. Raises CommandError(too-narrow)."""
    is_terminal = sys.stdout.isatty()
    lines = codes.terminal(uri, coloured=False)
    columns = shutil.get_terminal_size().columns
    if is_terminal and len(lines[0]) > columns:
        message = f"the code takes {len(lines[0])} columns, this terminal has {columns}"
        raise CommandError("too-narrow", message, "widen it, or write a file: --output code.svg")
    if is_terminal and not os.environ.get("NO_COLOR"):
        lines = codes.terminal(uri, coloured=True)
    click.echo("\n".join([*lines, uri]))


def _write(path: Path, uri: str) -> None:
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise CommandError("bad-output", f"{path} is no .svg and no .png", "name one: --output code.svg")
    with refusals(PathError):
        replace_private_file(path, form(uri))
