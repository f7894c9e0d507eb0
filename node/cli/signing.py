"""Signed bytes for what was typed: the key is opened here, and only signatures leave.

Reads wallets and passphrase files, and asks for a passphrase where there is a terminal to ask on.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, Final

import click

from node import wallet as wallets
from node.cli.errors import CommandError, refusals
from node.cli.text import printable
from node.ledger import codec, signature
from node.ledger.address import AddressError, decode_address
from node.ledger.amount import AmountError, parse_amount
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from node.ledger.errors import RuleBroken
from node.private import PathError, read_bounded
from node.wallet import SecretKey, Wallet, WalletError

_MAX_PASSPHRASE_FILE: Final = 4_096


def read_amount(text: str, decimals: int) -> int:
    """Return what was typed in decimal units as smallest units. Raises CommandError(bad-amount)."""
    with refusals(AmountError):
        return parse_amount(text, decimals)


def read_recipient(text: str, prefix: str) -> bytes:
    """Return the key of an address that somebody can hold the key of. Raises CommandError(bad-address)."""
    with refusals(AddressError):
        key = decode_address(prefix, text)
    if not signature.is_payable_point(key):
        message = "nobody can have the key of this address: what is paid to it is lost"
        raise CommandError("bad-recipient", message, "ask its owner for the address again")
    return key


def check_memo(memo: str) -> None:
    """Raise CommandError(entry-memo) for what no entry may carry."""
    try:
        length = len(memo.encode())
    except UnicodeEncodeError:
        raise CommandError("entry-memo", "the memo is not UTF-8 text", "type it in UTF-8") from None
    if length > codec.MAX_TEXT_BYTES:
        message = f"the memo takes {length} bytes, at most {codec.MAX_TEXT_BYTES} fit"
        raise CommandError("entry-memo", message, "say it in fewer words")
    if not codec.is_text(memo):
        message = f"the memo has a control character: {printable(memo)[:60]}"
        raise CommandError("entry-memo", message, "keep it on one line of plain text")


def read_passphrase_file(path: Path) -> str:
    """Return the first line of a file, without its end. Raises CommandError."""
    with refusals(PathError):
        try:
            content = read_bounded(path, _MAX_PASSPHRASE_FILE)
        except FileNotFoundError:
            hint = "name the file that holds the passphrase"
            raise CommandError("path", f"there is no file {path}", hint) from None
    try:
        return content.decode().partition("\n")[0].removesuffix("\r")
    except UnicodeDecodeError:
        raise CommandError("path", f"{path} is not UTF-8 text", "write the passphrase as UTF-8") from None


def ask_passphrase(title: str, *, twice: bool = False) -> str:
    """Ask for a passphrase without showing it. Raises CommandError where nobody can be asked."""
    if not _is_terminal():
        hint = "name a file that holds it with --passphrase-file"
        raise CommandError("wallet-locked", f"{title}: there is no terminal to ask on", hint)
    answer: str = click.prompt(title, hide_input=True, confirmation_prompt=twice, err=True)
    return answer


def _is_terminal() -> bool:
    return sys.stdin.isatty()


def open_key(wallet: Wallet, passphrase_file: Path | None) -> SecretKey:
    """Return the key of a wallet, asking for its passphrase where it has one and no file holds it."""
    passphrase = None
    if wallet.encrypted:
        if passphrase_file is not None:
            passphrase = read_passphrase_file(passphrase_file)
        else:
            passphrase = ask_passphrase(f"Passphrase of wallet {wallet.name}")
    with refusals(WalletError, PathError):
        return wallets.unlock(wallet, passphrase)


def load_wallet(folder: Path, name: str) -> Wallet:
    """Return a wallet by name. Raises CommandError."""
    with refusals(WalletError, PathError):
        return wallets.load(folder, name)


def sign_entry(key: SecretKey, network_id: bytes, **fields: Any) -> Entry:  # noqa: ANN401 - as unsigned_message names them
    """Return the signed entry of these fields (those of `unsigned_message`, but for the sender)."""
    try:
        message = unsigned_message(network_id, sender=key.public_key, **fields)
        return assemble_entry(network_id, message, key.sign(message))
    except RuleBroken as broken:
        raise CommandError(str(broken.rule), broken.detail, "look at what was typed") from None


def now_ms() -> int:
    """Return the time by this machine's clock, which the entry carries."""
    return time.time_ns() // 1_000_000
