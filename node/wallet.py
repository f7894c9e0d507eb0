"""Wallets: keys, each in a file of its own under the data folder, never in the book's database.

Touches the disk; never sockets. A wallet is `<folder>/<name>.json`, written whole or not at all, 0600 in a
0700 folder, never overwritten. It belongs to no network: the address is the public key with the network's
prefix. Beside it, `<name>.backed-up` says that a checked backup was made, so that the owner is reminded
until it is. The functions raise WalletError, whose kinds say what to do next, and PathError for the disk.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from node import keyfile
from node.keyfile import KeyFile, PlainSeed, SealedSeed, Strength
from node.ledger import signature
from node.ledger.address import AddressError, decode_address, encode_address
from node.private import (
    PathError,
    create_private_file,
    expanded,
    make_private_folder,
    read_bounded,
    replace_private_file,
    tighten,
)

DEFAULT_NAME: Final = "default"
SECRET_PREFIX: Final = "secret"  # noqa: S105  the word that an exported key starts with, no key
"""Bech32m prefix of an exported secret key, the same for every network."""

_NAME: Final = re.compile(r"[a-z0-9_-]{1,32}")
_MARKER_SUFFIX: Final = ".backed-up"
_MAX_MARKER_BYTES: Final = 8192


class WalletError(Exception):
    """What can be wrong with a wallet; `hint` is the next thing to do."""

    code: ClassVar[str] = "wallet"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


class WalletNameRefused(WalletError):
    """A name that is not 1 to 32 of a-z, 0-9, _ and -."""

    code = "wallet-name"


class WalletMissing(WalletError):
    """There is no wallet of that name."""

    code = "wallet-missing"


class WalletExists(WalletError):
    """There is a file of that name already, and it is not overwritten."""

    code = "wallet-exists"


class WalletDamaged(WalletError):
    """The file is not what was written, or of a version that is not known yet."""

    code = "wallet-damaged"


class WalletLocked(WalletError):
    """The wallet needs its passphrase."""

    code = "wallet-locked"


class WrongPassphrase(WalletError):
    """The passphrase does not open the wallet."""

    code = "wrong-passphrase"


class ImportRefused(WalletError):
    """A text that is neither an exported key nor the path of a backup."""

    code = "import-refused"


class SecretKey:
    """An unlocked key: signs, and shows itself nowhere."""

    __slots__ = ("_seed", "public_key")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self.public_key = signature.public_key_of(seed)

    def __repr__(self) -> str:
        return f"SecretKey of {self.public_key.hex()}"

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of `message`."""
        return signature.sign(self._seed, message)


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet file that was read and is whole."""

    name: str
    path: Path
    key_file: KeyFile
    backed_up: bool
    """A checked backup of this key was made."""
    notice: str | None = None
    """A sentence for the owner: the file or its folder was open to others, and is no longer."""

    @property
    def public_key(self) -> bytes:
        return self.key_file.public_key

    @property
    def encrypted(self) -> bool:
        return isinstance(self.key_file.secret, SealedSeed)


@dataclass(frozen=True, slots=True)
class BrokenWallet:
    """A file in the wallets' folder that cannot be used, and why."""

    name: str
    path: Path
    error: WalletError | PathError


def create(
    folder: Path,
    name: str,
    passphrase: str | None = None,
    seed: bytes | None = None,
    strength: Strength = keyfile.MODERATE,
) -> Wallet:
    """Make a new wallet, encrypted when a passphrase is given; a fresh key without a seed (32 bytes)."""
    path = _path(folder, name)
    if os.path.lexists(path):
        raise _exists(path)
    seed = os.urandom(32) if seed is None else seed
    key_file = KeyFile(signature.public_key_of(seed), _secret(seed, passphrase, strength))
    return _store(folder, name, key_file)


def load(folder: Path, name: str) -> Wallet:
    """Read a wallet and close it to others; raises WalletMissing or WalletDamaged, naming the file."""
    path = _path(folder, name)
    if not os.path.lexists(path):
        hint = "`wallet list` shows those there are, `wallet new NAME` makes one"
        raise WalletMissing(f"there is no wallet {name!r} in {folder}", hint)
    notices = [notice for notice in (tighten(folder, 0o700), tighten(path, 0o600)) if notice]
    key_file = _read(path)
    return Wallet(name, path, key_file, _is_backed_up(path, key_file), "; ".join(notices) or None)


def ensure(folder: Path, name: str = DEFAULT_NAME, *, begun: bool = False) -> Wallet:
    """Load a wallet, or make it where there is none at all yet, as on a node's first start.

    Where there are others, a missing name is more likely a slip than a wish: WalletMissing. So it is where
    the node has `begun`, which had a wallet then: a new key in the place of a lost one would hide the loss.
    """
    path = _path(folder, name)
    try:
        return load(folder, name)
    except WalletMissing:
        if list_wallets(folder):
            raise
        if begun or os.path.lexists(path.with_suffix(_MARKER_SUFFIX)):
            raise WalletMissing(
                f"the wallet file {path} is gone",
                f"put it back, or restore a backup: `wallet import {name} {_backup_place(path)}`; "
                f"`wallet new {name}` begins with a new key, and what the lost one held stays lost",
            ) from None
    try:
        return create(folder, name)
    except WalletExists:  # another process was faster
        return load(folder, name)


def list_wallets(folder: Path) -> tuple[Wallet | BrokenWallet, ...]:
    """Return every wallet of the folder by name; a broken one is named and stops no other."""
    if not folder.is_dir():
        return ()
    found: list[Wallet | BrokenWallet] = []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            found.append(load(folder, path.stem))
        except (WalletError, PathError) as error:
            found.append(BrokenWallet(path.stem, path, error))
    return tuple(found)


def unlock(wallet: Wallet, passphrase: str | None = None) -> SecretKey:
    """Return the key that signs; a passphrase for a wallet in the clear is not needed and not looked at."""
    return SecretKey(_seed(wallet, passphrase))


def export(wallet: Wallet, passphrase: str | None = None) -> str:
    """Return the secret key as one line of text with a checksum (Bech32m): all that is needed to pay."""
    return encode_address(SECRET_PREFIX, _seed(wallet, passphrase))


def import_(
    folder: Path,
    name: str,
    source: str,
    passphrase: str | None = None,
    strength: Strength = keyfile.MODERATE,
) -> Wallet:
    """Make a wallet from what `export` gave, or from the path of a backup.

    A passphrase encrypts a key that comes in the clear; of an encrypted backup it is checked, and the backup
    stays as it is.
    """
    text = source.strip()
    if text.lower().startswith(SECRET_PREFIX + "1"):
        try:
            return create(folder, name, passphrase, decode_address(SECRET_PREFIX, text), strength)
        except AddressError as error:
            raise ImportRefused(f"the exported key is not whole ({error.message})", error.hint) from None
    path = expanded(Path(text))
    if not text or not os.path.lexists(path):
        shape = f'the text that `wallet export` prints ("{SECRET_PREFIX}1...") or the path of a backup'
        raise ImportRefused("there is nothing of that name to import", f"give {shape}")
    backup_file = check_backup(path, passphrase)
    if passphrase is not None and not backup_file.encrypted:
        wallet = create(folder, name, passphrase, _seed(backup_file, None), strength)
    else:
        wallet = _store(folder, name, backup_file.key_file)
    return _mark(wallet, path)


def backup(wallet: Wallet, destination: Path, passphrase: str | None = None) -> Path:
    """Copy the wallet to a new file (or into a folder), read it back, check it, and remember that.

    With the passphrase of an encrypted wallet, the check opens the copy too. Returns the copy's path. Raises
    WalletExists when there is a file already, WalletDamaged when the copy does not restore this key.
    """
    path = expanded(destination)
    if path.is_dir():
        path /= f"{wallet.name}-{wallet.public_key.hex()[:8]}.json"
    if path.parent.resolve() == wallet.path.parent.resolve():
        hint = "name a place on another disk or machine"
        raise WalletError("a backup beside the wallet is lost with it", hint)
    try:
        create_private_file(path, keyfile.render(_read(wallet.path)))
    except FileExistsError:
        raise _exists(path) from None
    if check_backup(path, passphrase).public_key != wallet.public_key:
        raise WalletDamaged(f"the copy {path} holds another key", "back up again to another place")
    _mark(wallet, path)
    return path


def check_backup(path: Path, passphrase: str | None = None) -> Wallet:
    """Read a backup and return it as a wallet; with a passphrase an encrypted one is opened as well.

    Raises WalletMissing, WalletDamaged or WrongPassphrase.
    """
    if not os.path.lexists(path):
        raise WalletMissing(f"there is no file {path}", "look for the backup elsewhere")
    wallet = Wallet(path.stem, path, _read(path), backed_up=True)
    if passphrase is not None:
        _seed(wallet, passphrase)
    return wallet


def _path(folder: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        hint = "use 1 to 32 of a-z, 0-9, _ and -"
        raise WalletNameRefused(f"{name[:40]!a} cannot be a wallet's name", hint)
    return folder / f"{name}.json"


def _secret(seed: bytes, passphrase: str | None, strength: Strength) -> keyfile.Secret:
    if passphrase is None:
        return PlainSeed(seed)
    if not passphrase:
        raise WalletLocked("the passphrase is empty", "type one, or none at all for a wallet in the clear")
    try:
        return keyfile.seal(seed, passphrase, strength)
    except MemoryError as error:
        raise _no_memory(error) from None


def _store(folder: Path, name: str, key_file: KeyFile) -> Wallet:
    path = _path(folder, name)
    notice = make_private_folder(folder)
    try:
        create_private_file(path, keyfile.render(key_file))
    except FileExistsError:
        raise _exists(path) from None
    # Read back: the key is used from now on, so it had better be there.
    return Wallet(name, path, _read(path), _is_backed_up(path, key_file), notice)


def _read(path: Path) -> KeyFile:
    try:
        return keyfile.parse(read_bounded(path, keyfile.MAX_FILE_BYTES))
    except keyfile.Damaged as error:
        hint = "move it away and bring it back from a backup: `wallet import NAME BACKUP`"
        raise WalletDamaged(f"the wallet file {path} is damaged ({error})", hint) from None
    except keyfile.NewerVersion as error:
        raise WalletDamaged(f"the wallet file {path} cannot be read ({error})", "upgrade Indelible") from None
    except FileNotFoundError:
        raise WalletMissing(
            f"the wallet file {path} is gone", "look where its link or its disk went"
        ) from None


def _seed(wallet: Wallet, passphrase: str | None) -> bytes:
    secret = wallet.key_file.secret
    if isinstance(secret, PlainSeed):
        return secret.seed
    if passphrase is None:
        raise WalletLocked(f"the wallet {wallet.name!r} is encrypted", "give its passphrase")
    try:
        seed = keyfile.unseal(secret, passphrase)
        keyfile.check_pair(seed, wallet.public_key)
    except keyfile.SeedRefused:
        raise WrongPassphrase(f"the passphrase of {wallet.name!r} is wrong", "try again") from None
    except keyfile.Damaged as error:
        hint = "bring it back from a backup: `wallet import NAME BACKUP`"
        raise WalletDamaged(f"the wallet file {wallet.path} is damaged ({error})", hint) from None
    except MemoryError as error:
        raise _no_memory(error) from None
    return seed


def _mark(wallet: Wallet, backup_path: Path) -> Wallet:
    """Remember the backup under its public key, so that another key of this name is not covered by it."""
    line = os.fsencode(f"{wallet.public_key.hex()} {backup_path.absolute()}\n")
    replace_private_file(wallet.path.with_suffix(_MARKER_SUFFIX), line)
    return Wallet(wallet.name, wallet.path, wallet.key_file, backed_up=True, notice=wallet.notice)


def _backup_place(path: Path) -> str:
    """Return where the backup of a wallet was put; BACKUP where that is not known."""
    try:
        line = read_bounded(path.with_suffix(_MARKER_SUFFIX), _MAX_MARKER_BYTES)
    except (FileNotFoundError, PathError):
        return "BACKUP"
    return shlex.quote(os.fsdecode(line).partition(" ")[2].strip() or "BACKUP")


def _is_backed_up(path: Path, key_file: KeyFile) -> bool:
    try:
        line = read_bounded(path.with_suffix(_MARKER_SUFFIX), _MAX_MARKER_BYTES)
    except (FileNotFoundError, PathError):
        return False
    return line.startswith(key_file.public_key.hex().encode() + b" ")


def _exists(path: Path) -> WalletExists:
    return WalletExists(f"{path} exists already and is not overwritten", "choose another name")


def _no_memory(error: MemoryError) -> WalletError:
    return WalletError(f"the passphrase cannot be worked on ({error})", "close other programs and try again")
