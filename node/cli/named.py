"""Contacts in commands: a name typed for an address, and names shown in the place of addresses.

Reads `contacts.toml` in the data folder, and only where a command needs it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from node.cli.errors import refusals
from node.cli.invocation import Invocation
from node.cli.text import short_address
from node.paths import contacts_file

if TYPE_CHECKING:
    from node.contacts import Contacts


def contacts_of(invocation: Invocation) -> Contacts:
    """Return the contacts of the node that is meant. Raises ConfigError, CommandError."""
    # Here and not at the top: their reader is not needed where there is no file.
    from node.cli.offline import address_prefix  # noqa: PLC0415
    from node.contacts import Contacts  # noqa: PLC0415

    return Contacts.load(_path(invocation), address_prefix(invocation))


def address_of(invocation: Invocation, text: str) -> str:
    """Return the address that was typed, or of the contact that was named. Raises CommandError(bad-address).

    A file of contacts that cannot be used keeps nobody from paying a whole address.
    """
    from node.cli.offline import address_prefix  # noqa: PLC0415 - the same
    from node.contacts import ContactError, Contacts  # noqa: PLC0415

    with refusals(ContactError):
        return Contacts(_path(invocation), address_prefix(invocation)).resolve(text)


def address_or_text(invocation: Invocation, text: str) -> str:
    """Return the address of the contact of this name, else the text: it may be another network's address."""
    if not _path(invocation).exists():
        return text
    from node.cli.offline import address_prefix  # noqa: PLC0415 - the same
    from node.contacts import Contacts  # noqa: PLC0415

    return Contacts(_path(invocation), address_prefix(invocation)).address_of(text) or text


class Names:
    """Addresses as tables and fields show them: by the owner's name where there is one."""

    def __init__(self, contacts: Contacts | None) -> None:
        """None: nobody has a name."""
        self._contacts = contacts

    @classmethod
    def of(cls, invocation: Invocation) -> Names:
        """Return the names of the node that is meant; a broken file is told of, and none is shown."""
        if not _path(invocation).exists():
            return cls(None)
        from node.cli.offline import address_prefix  # noqa: PLC0415 - the same
        from node.contacts import Contacts  # noqa: PLC0415

        contacts = Contacts(_path(invocation), address_prefix(invocation))
        contacts.items()
        if contacts.trouble is not None:
            from node.cli import show  # noqa: PLC0415 - the same

            show.warn(f"{contacts.trouble.message}; {contacts.trouble.hint}")
        return cls(contacts)

    def short(self, address: str | None) -> str:
        """Return the name, else the address by its beginning and end; empty for nobody."""
        return self._name(address) or short_address(address)

    def full(self, address: str | None) -> str:
        """Return the name and the whole address; empty for nobody."""
        if address is None:
            return ""
        name = self._name(address)
        return f"{address} ({name})" if name else address

    def _name(self, address: str | None) -> str | None:
        return None if self._contacts is None else self._contacts.name_of(address)


def _path(invocation: Invocation) -> Path:
    if invocation.socket is not None and invocation.data_dir is None:
        return contacts_file(Path(invocation.info()["data_dir"]))
    return contacts_file(invocation.folder())
