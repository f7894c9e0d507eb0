"""Commands about keys: wallet new, list, show, import, export, backup. They work without a node."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from node import wallet as wallets
from node.cli.errors import refusals, tell, told_as
from node.cli.invocation import Invocation, pass_invocation
from node.cli.offline import address_prefix
from node.cli.options import Group, examples
from node.cli.signing import ask_passphrase, load_wallet, read_passphrase_file
from node.ledger.address import encode_address
from node.paths import wallets_folder
from node.private import PathError
from node.wallet import DEFAULT_NAME, Wallet, WalletError

_name = click.argument("name", default=DEFAULT_NAME, metavar="[NAME]")
_passphrase_file = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the passphrase on its first line; without it you are asked.",
)
_encrypt = click.option(
    "--encrypt", is_flag=True, help="Ask for a passphrase, and encrypt the wallet with it."
)


@click.group(cls=Group)
def wallet() -> None:
    """Make, show and save keys; `default` is the wallet that mining pays to."""


@wallet.command(epilog=examples("wallet new till", "wallet new till --encrypt"))
@click.argument("name")
@_encrypt
@_passphrase_file
@pass_invocation
def new(invocation: Invocation, name: str, *, encrypt: bool, passphrase_file: Path | None) -> None:
    """Make a wallet: a new key, and its address."""
    prefix = address_prefix(invocation)  # first: what is refused has made nothing
    passphrase = _new_passphrase(encrypt=encrypt, file=passphrase_file)
    with refusals(WalletError, PathError):
        made = wallets.create(_folder(invocation), name, passphrase)
    _answer(invocation, made, prefix)


@wallet.command(name="list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List the wallets in the node's folder."""
    prefix = address_prefix(invocation)
    found = wallets.list_wallets(_folder(invocation))
    whole = [each for each in found if isinstance(each, Wallet)]
    for broken in found:
        if not isinstance(broken, Wallet):
            tell(told_as(broken.error), as_json=invocation.as_json)
    answer = [_fields(each, prefix) for each in whole]
    invocation.answer(answer, lambda: _show_list(whole, prefix))


def _show_list(found: list[Wallet], prefix: str) -> None:
    from node.cli import show  # noqa: PLC0415 - rich loads slowly, and programs do not need it

    columns = [
        show.Column("name"),
        show.Column("address"),
        show.Column("encrypted", spare=2),
        show.Column("backup", spare=1),
    ]
    rows = [
        (
            each.name,
            encode_address(prefix, each.public_key),
            "yes" if each.encrypted else "no",
            show.Cell("yes", "green") if each.backed_up else show.Cell("none yet", "yellow"),
        )
        for each in found
    ]
    show.table(columns, rows, "no wallets yet: `wallet new NAME` makes one")


@wallet.command()
@_name
@pass_invocation
def show(invocation: Invocation, name: str) -> None:
    """Show a wallet's address."""
    found = load_wallet(_folder(invocation), name)
    prefix = address_prefix(invocation)
    invocation.answer(_fields(found, prefix), lambda: _show_one(found, prefix))


def _show_one(found: Wallet, prefix: str) -> None:
    from node.cli import show as screen  # noqa: PLC0415 - the same

    screen.fields(
        [
            ("name", found.name),
            ("address", encode_address(prefix, found.public_key)),
            ("public key", found.public_key.hex()),
            ("encrypted", "yes" if found.encrypted else "no"),
            ("backup", "yes" if found.backed_up else f"none yet: `wallet backup {found.name} PLACE`"),
            ("file", str(found.path)),
        ]
    )


@wallet.command(
    name="import",
    epilog=examples(
        "wallet import till /media/stick/till-0a1b2c3d.json", "wallet import till - < secret.txt"
    ),
)
@click.argument("name")
@click.argument("source")
@_encrypt
@_passphrase_file
@pass_invocation
def import_(
    invocation: Invocation, name: str, source: str, *, encrypt: bool, passphrase_file: Path | None
) -> None:
    """Make a wallet of a backup, or of the secret that `wallet export` printed.

    SOURCE is the backup's path, or `-` to type the secret (or to have it piped in): what stands on a command
    line is kept in your shell's history.
    """
    prefix = address_prefix(invocation)
    passphrase = _new_passphrase(encrypt=encrypt, file=passphrase_file)
    with refusals(WalletError, PathError):
        made = wallets.import_(
            _folder(invocation), name, _read_secret() if source == "-" else source, passphrase
        )
    _answer(invocation, made, prefix)


def _read_secret() -> str:
    if sys.stdin.isatty():
        return ask_passphrase("Secret (secret1...)")
    return sys.stdin.readline(256)


@wallet.command()
@_name
@_passphrase_file
@pass_invocation
def export(invocation: Invocation, name: str, passphrase_file: Path | None) -> None:
    """Print a wallet's secret: whoever has it can pay from it."""
    found = load_wallet(_folder(invocation), name)
    passphrase = _passphrase_of(found, passphrase_file)
    with refusals(WalletError, PathError):
        secret = wallets.export(found, passphrase)
    fields = _fields(found, address_prefix(invocation)) | {"secret": secret}
    if not invocation.as_json and sys.stdout.isatty():
        click.echo("Whoever reads this line can pay from the wallet:", err=True)
    invocation.answer(fields, lambda: click.echo(secret))


@wallet.command(epilog=examples("wallet backup /media/stick", "wallet backup till /media/stick"))
@click.argument("words", nargs=-1, required=True, metavar="[NAME] PLACE")
@_passphrase_file
@pass_invocation
def backup(invocation: Invocation, words: tuple[str, ...], passphrase_file: Path | None) -> None:
    """Copy a wallet to PLACE, a folder or a new file on another disk, and check the copy."""
    if len(words) > 2:
        raise click.UsageError(f"a name and a place, not {len(words)} words")
    prefix = address_prefix(invocation)
    name, place = words[0] if len(words) == 2 else DEFAULT_NAME, Path(words[-1])
    found = load_wallet(_folder(invocation), name)
    passphrase = None if passphrase_file is None else read_passphrase_file(passphrase_file)
    with refusals(WalletError, PathError):
        path = wallets.backup(found, place, passphrase)
    fields = _fields(found, prefix) | {"path": str(path)}
    invocation.answer(fields, lambda: click.echo(f"saved and checked: {path}"))


def _folder(invocation: Invocation) -> Path:
    if invocation.socket is not None and invocation.data_dir is None:
        return wallets_folder(Path(invocation.info()["data_dir"]))
    return wallets_folder(invocation.folder())


def _fields(found: Wallet, prefix: str) -> dict[str, Any]:
    return {"name": found.name, "address": encode_address(prefix, found.public_key)}


def _answer(invocation: Invocation, made: Wallet, prefix: str) -> None:
    fields = _fields(made, prefix)
    backup_hint = "" if made.backed_up else f"\nback it up: wallet backup {made.name} PLACE"
    invocation.answer(fields, lambda: click.echo(f"{fields['name']}  {fields['address']}{backup_hint}"))


def _new_passphrase(*, encrypt: bool, file: Path | None) -> str | None:
    if file is not None:
        return read_passphrase_file(file)
    return ask_passphrase("Passphrase", twice=True) if encrypt else None


def _passphrase_of(found: Wallet, file: Path | None) -> str | None:
    if not found.encrypted:
        return None
    if file is not None:
        return read_passphrase_file(file)
    return ask_passphrase(f"Passphrase of wallet {found.name}")
