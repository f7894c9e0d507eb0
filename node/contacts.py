"""Contacts: the owner's names for addresses, in `contacts.toml` of the data folder.

Reads one file and, for `add` and `remove`, writes it whole, under a lock beside it; no sockets. A person may
edit it too: one line a contact, `ann = "bean1..."`; comments and order stay when a command changes it. A name
stands for one address and an address has one name, so that nothing shown or typed can mean two people.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple, Self

from node.ledger.address import AddressError, decode_address, encode_address
from node.private import PathError, changing, make_private_folder, read_bounded, replace_private_file
from node.settings import MAX_FILE_BYTES, ConfigError, Table, read_file

MAX_CONTACTS: Final = 2_000

_NAME: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,31}")
_LOOKS_LIKE_AN_ADDRESS: Final = re.compile(r"[a-z-]+1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{12,}", re.IGNORECASE)
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key of TOML that needs no quotes."""
_HEADER: Final = "# Names for addresses, for you alone: one line each. `contact add` writes here too.\n"
_NAME_HINT: Final = "use 1 to 32 of a-z, A-Z, 0-9, _, . and -, not - first"


class ContactError(Exception):
    """A contact that cannot be added, removed or found; `hint` is the next thing to do."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message}: {hint}")
        self.code = code
        self.message = message
        self.hint = hint


class _Signature(NamedTuple):
    """What tells that a file is another one than the last time."""

    inode: int
    size: int
    changed_ns: int


class _Read(NamedTuple):
    """The contacts of one state of the file."""

    addresses: Mapping[str, str]
    """By name, in the file's order."""
    names: Mapping[str, str]
    """By address."""
    by_key: Mapping[bytes, str]
    """The same by key, which spares the log a checksum for every line."""


_NONE: Final = _Read({}, {}, {})


class Contacts:
    """The contacts of a data folder, read again when the file has changed.

    What a person is typing at may be broken for a moment: then the last good state stays, and `trouble` says
    what is wrong. Lookups may come from any thread.
    """

    def __init__(self, path: Path, prefix: str) -> None:
        """`prefix`: how addresses of the network start. Reads at the first question, and raises nothing."""
        self.path = path
        self.trouble: ConfigError | None = None
        """Why the file as it is now cannot be used."""
        self._prefix = prefix
        self._signature: _Signature | None = None
        self._read = _NONE

    @classmethod
    def load(cls, path: Path, prefix: str) -> Self:
        """Return the contacts in a file; a missing one is empty. Raises ConfigError, naming file and line."""
        contacts = cls(path, prefix)
        contacts.items()
        if contacts.trouble is not None:
            raise contacts.trouble
        return contacts

    def name_of(self, address: str | None) -> str | None:
        """Return what the owner calls an address, None where there is no name for it."""
        return None if address is None else self._fresh().names.get(address)

    def name_of_key(self, key: bytes) -> str | None:
        """Return what the owner calls the address of a key of 32 bytes."""
        return self._fresh().by_key.get(key)

    def address_of(self, name: str) -> str | None:
        """Return the address of exactly this name."""
        return self._fresh().addresses.get(name)

    def items(self) -> list[tuple[str, str]]:
        """Return (name, address), in the file's order."""
        return list(self._fresh().addresses.items())

    def resolve(self, text: str) -> str:
        """Return the address that was typed, or that of the contact that was named; never a guess.

        Raises ContactError(bad-address): it is neither, or a mistyped one.
        """
        try:
            return encode_address(self._prefix, decode_address(self._prefix, text))
        except AddressError as error:
            if not _NAME.fullmatch(text) or looks_like_an_address(text, self._prefix):
                raise ContactError(error.code, error.message, error.hint) from None
        address = self.address_of(text)
        if address is not None:
            return address
        if self.trouble is not None:
            raise ContactError(self.trouble.code, self.trouble.message, self.trouble.hint)
        hint = f'`contact list` shows the names; addresses of this network start with "{self._prefix}1"'
        raise ContactError(
            "bad-address",
            f"{text!a} is not an address, and no contact is called that",
            self._nearest(text) or hint,
        )

    def add(self, name: str, address: str) -> str:
        """Write a new contact; return its address as it is shown.

        Raises ContactError (bad-name, bad-address, contact-exists), ConfigError, PathError.
        """
        wrong = _wrong_name(name, self._prefix)
        if wrong:
            raise ContactError("bad-name", f"{name[:40]!a} {wrong}", _NAME_HINT)
        try:
            shown = encode_address(self._prefix, decode_address(self._prefix, address))
        except AddressError as error:
            raise ContactError(error.code, error.message, error.hint) from None
        make_private_folder(self.path.parent)
        with changing(self.path):
            self._add(name, shown)
        return shown

    def _add(self, name: str, shown: str) -> None:
        self._reload()
        hint = "`contact remove` that one first"
        taken = next((known for known in self._read.addresses if known.lower() == name.lower()), None)
        if taken is not None:
            raise ContactError("contact-exists", f"there is a contact {taken} already", hint)
        called = self._read.names.get(shown)
        if called is not None:
            raise ContactError("contact-exists", f"this address is called {called} already", hint)
        if len(self._read.addresses) >= MAX_CONTACTS:
            raise ContactError("too-many-contacts", f"{MAX_CONTACTS} contacts are the most", hint)
        text = self._text() or _HEADER
        text += "" if text.endswith("\n") else "\n"
        self._write(text + _line(name, shown), {**self._read.addresses, name: shown})

    def remove(self, name: str) -> str:
        """Take a contact out; return its address. Raises ContactError(not-found), ConfigError, PathError."""
        self._reload()
        self._known(name)  # what is refused makes no lock
        with changing(self.path):
            table = self._reload()
            address = self._known(name)
            lines = self._text().split("\n")
            del lines[table.lines[(name,)] - 1]
            self._write("\n".join(lines), {k: v for k, v in self._read.addresses.items() if k != name})
        return address

    def _known(self, name: str) -> str:
        address = self._read.addresses.get(name)
        if address is None:
            hint = self._nearest(name) or "`contact list` shows the names"
            raise ContactError("not-found", f"there is no contact {name[:40]!a}", hint)
        return address

    def _nearest(self, name: str) -> str:
        folded = {known.lower(): known for known in self._read.addresses}
        # Here and not at the top: only a mistake needs it, and a node should start fast.
        from difflib import get_close_matches  # noqa: PLC0415

        near = get_close_matches(name.lower(), folded, n=1)
        return f"did you mean {folded[near[0]]}?" if near else ""

    def _fresh(self) -> _Read:
        """Return the contacts as the file has them now, the last good ones where it cannot be used."""
        signature = _signature(self.path)
        if signature != self._signature:
            self._signature = signature
            try:
                self._reload()
            except ConfigError as error:
                self.trouble = error
        return self._read

    def _reload(self) -> Table:
        """Read the file. Raises ConfigError."""
        try:
            table = read_file(self.path, str(self.path))
        except FileNotFoundError:
            table = Table(str(self.path), (), {}, {})
        self._read = _read(table, self._prefix)
        self.trouble = None
        return table

    def _text(self) -> str:
        try:
            return read_bounded(self.path, MAX_FILE_BYTES).decode("utf-8-sig").replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    def _write(self, text: str, meant: Mapping[str, str]) -> None:
        """Write the text; plain lines instead where it does not say what is meant (a value of many lines)."""
        plain = _HEADER + "".join(_line(name, address) for name, address in meant.items())
        content = (text if _says(text, meant) else plain).encode()
        if len(content) > MAX_FILE_BYTES:
            raise PathError(f"{self.path} would become too long", "take comments or contacts out")
        replace_private_file(self.path, content)
        self._reload()


def _says(text: str, meant: Mapping[str, str]) -> bool:
    """Tell whether the text has just these names."""
    try:
        return list(tomllib.loads(text)) == list(meant)
    except ValueError:
        return False


def looks_like_an_address(text: str, prefix: str) -> bool:
    """Tell whether somebody could take the text for an address, of this network or another."""
    return text.lower().startswith(prefix + "1") or _LOOKS_LIKE_AN_ADDRESS.match(text) is not None


def _wrong_name(name: str, prefix: str) -> str:
    """Return why it cannot be a contact's name, empty where it can."""
    if not _NAME.fullmatch(name):
        return "cannot be a name"
    return "looks like an address" if looks_like_an_address(name, prefix) else ""


def _read(table: Table, prefix: str) -> _Read:
    """Return the contacts of a file. Raises ConfigError with the line of the first that is wrong."""
    addresses: dict[str, str] = {}
    names: dict[str, str] = {}
    by_key: dict[bytes, str] = {}
    folded: dict[str, str] = {}
    for name, value in table.values.items():
        if isinstance(value, dict):
            example = _line("a.name", prefix + "1...").rstrip()
            hint = f"write it as a line, the name in quotes where it has a dot: {example}"
            raise table.mistake(name, f"{name[:40]!a} is no name with an address", hint)
        wrong = _wrong_name(name, prefix)
        if wrong:
            raise table.mistake(name, f"{name[:40]!a} {wrong}", _NAME_HINT)
        key = table.read(name, lambda text: decode_address(prefix, text))
        if key is None:
            raise AssertionError("a key of the table has a value")
        address = encode_address(prefix, key)
        if name.lower() in folded:
            message = f"{name} and {folded[name.lower()]} differ in case only"
            raise table.mistake(name, message, "give one of them another name")
        if address in names:
            message = f"{name} and {names[address]} are the same address"
            raise table.mistake(name, message, "keep one of the two")
        folded[name.lower()] = name
        addresses[name] = address
        names[address] = name
        by_key[key] = name
        if len(addresses) > MAX_CONTACTS:
            raise table.mistake(name, f"{MAX_CONTACTS} contacts are the most", "take some out")

    return _Read(addresses, names, by_key)


def _line(name: str, address: str) -> str:
    return f'{name if _BARE.fullmatch(name) else chr(34) + name + chr(34)} = "{address}"\n'


def _signature(path: Path) -> _Signature | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return _Signature(found.st_ino, found.st_size, found.st_mtime_ns)
