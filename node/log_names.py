"""The owner's names in the gossip log: whom an entry is from and to, where either has a name.

Pure. The core knows no names, so this stands between it and whoever tells its notices: the log and `watch`.
"""

from __future__ import annotations

from collections.abc import Callable

from node.answers import shown_address
from node.events import Notice
from node.ledger.entry import Entry

_KIND = "entry-pending"
"""The one notice that tells of a single entry while it is at hand."""


def with_names(
    notice: Notice,
    name_of: Callable[[bytes], str | None],
    entry_of: Callable[[bytes], Entry | None],
    prefix: str,
) -> Notice:
    """Return the notice with `(ann to bob)` behind it, where its entry's sender or recipient has a name.

    `name_of` takes a key of 32 bytes, `entry_of` a txid; `prefix` is that of addresses. The names stand in
    the fields too, as `sender_name` and `recipient_name`.
    """
    if notice.kind != _KIND:
        return notice
    entry = entry_of(bytes.fromhex(str(notice.fields["txid"])))
    if entry is None:
        return notice
    sender, recipient = name_of(entry.sender), name_of(entry.recipient)
    if sender is None and recipient is None:
        return notice
    shown = f"{sender or _short(prefix, entry.sender)} to {recipient or _short(prefix, entry.recipient)}"
    found = {"sender_name": sender, "recipient_name": recipient}
    named = {field: name for field, name in found.items() if name is not None}
    return notice._replace(text=f"{notice.text} ({shown})", fields={**notice.fields, **named})


def _short(prefix: str, key: bytes) -> str:
    address = shown_address(prefix, key)
    return f"{address[:9]}…{address[-5:]}"
