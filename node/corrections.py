"""Corrections: how an entry says of another one that it was a mistake, in a book where nothing is erased.

Pure. The memo of a correction begins with `corrects `, the 64 lower-case hexadecimal digits of the other
entry's txid, and where more is said a blank and that text. It counts where one of the two parties of that
entry sends it to the other one, for whatever amount; everybody else's is a remark like any memo.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from node.answers import Json

_REFERENCE: Final = re.compile(r"corrects ([0-9a-f]{64})(?: (.*))?", re.DOTALL)


class Reference(NamedTuple):
    """What a correction's memo says."""

    txid: str
    """Of the entry that was a mistake; hexadecimal."""
    text: str


def reference_of(memo: str | None) -> Reference | None:
    """Return the reference in a memo, None for any other memo."""
    found = _REFERENCE.fullmatch(memo or "")
    return None if found is None else Reference(found[1], found[2] or "")


def correcting_memo(txid: str, text: str) -> str:
    """Return the memo of an entry that corrects another one."""
    return f"corrects {txid} {text}" if text else f"corrects {txid}"


def counts(correction: Json, corrected: Json) -> bool:
    """Tell whether an entry (fields of `tx`) corrects another one in the name of its parties."""
    reference = reference_of(correction["memo"])
    if reference is None or reference.txid != corrected["txid"] or corrected["sender"] is None:
        return False
    parties = (corrected["sender"], corrected["recipient"])
    between = (correction["sender"], correction["recipient"])
    return between in (parties, parties[::-1])
