"""What corrects an entry, and what an entry corrects: found in the histories of its two parties.

Asks `query`, and touches nothing else. A correction that counts goes from one party to the other, so it
stands in both their histories: they are read side by side, newest first, until either of them is back at the
entry. So the shorter one decides what it costs, and a till with a long history is no trouble.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Final

from node.answers import Json
from node.corrections import counts, reference_of
from node.ledger.address import decode_address
from node.query import After, Query

MAX_LOOKED_AT: Final = 512
"""Items of the histories together; later corrections are found first."""
_PAGE: Final = 32


def corrections(query: Query, prefix: str, found: Json, pending: Iterable[Json]) -> Json:
    """Return `corrects` and `corrected_by` (lists of entries) and `corrections_complete` of an entry.

    `found` has the fields of `tx`; `pending` are waiting entries that may have to do with it. Not complete
    means that older corrections than those listed may be there.
    """
    waiting = list(pending)
    corrected_by = [entry for entry in waiting if counts(entry, found)]
    known, is_complete = {entry["txid"] for entry in corrected_by}, True
    if found["sender"] is not None and found["status"] == "confirmed":
        later, is_complete = _between(query, prefix, found)
        corrected_by += [item for item in later if counts(item, found) and item["txid"] not in known]
    return {
        "corrects": _corrected(query, found, waiting),
        "corrected_by": corrected_by,
        "corrections_complete": is_complete,
    }


def _corrected(query: Query, found: Json, waiting: list[Json]) -> list[Json]:
    """Return the entry that this one corrects, where it counts."""
    reference = reference_of(found["memo"])
    if reference is None:
        return []
    other = query.tx(bytes.fromhex(reference.txid))
    if other["status"] == "unknown":
        other = next((entry for entry in waiting if entry["txid"] == reference.txid), other)
    return [other] if counts(found, other) else []


def _between(query: Query, prefix: str, found: Json) -> tuple[list[Json], bool]:
    """Return what both parties did since an entry, newest first, and whether that is all of it."""
    keys = dict.fromkeys(decode_address(prefix, found[name]) for name in ("sender", "recipient"))
    items: dict[str, Json] = {}
    looked_at = 0
    for row in zip_longest(*(newest_first(query, key) for key in keys)):
        for item in row:
            # Within its block too: a miner may have put the correction before it.
            if item is None or item["height"] < found["height"]:
                return list(items.values()), True
            items[item["txid"]] = item
            looked_at += 1
        if looked_at >= MAX_LOOKED_AT:
            return list(items.values()), False
    return list(items.values()), True


def newest_first(query: Query, key: bytes) -> Iterator[Json]:
    """Yield the whole history of a key, read in parts as far as it is asked for."""
    after = None
    while page := query.history(key, _PAGE, after):
        yield from page
        last = page[-1]
        after = After(last["height"], last["position"], bytes.fromhex(last["block"]), last["balance"])
