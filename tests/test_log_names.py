"""Names in the gossip log: the entry's two people where they are known, and nothing else changed."""

from __future__ import annotations

import re

import pytest

from node.events import Notice
from node.ledger.entry import Entry
from node.log_names import with_names
from tests.building import ChainBuilder, key

ENTRY = ChainBuilder().entry(key("ann"), key("bob"), 5)
NOTICE = Notice(
    "entry-pending", "peer till: entry pending", fields={"txid": ENTRY.txid.hex(), "sender": "00"}
)


def entry_of(txid: bytes) -> Entry | None:
    return ENTRY if txid == ENTRY.txid else None


@pytest.mark.parametrize(
    "known, shown",
    [
        (("ann", "bob"), r" \(ann to bob\)"),
        (("ann",), r" \(ann to test1.{4}….{5}\)"),
        (("bob",), r" \(test1.{4}….{5} to bob\)"),
    ],
)
def test_a_pending_entry_is_told_with_the_names_that_are_known(known: tuple[str, ...], shown: str) -> None:
    names = {key(name).public: name for name in known}
    told = with_names(NOTICE, names.get, entry_of, "test")
    assert re.fullmatch(re.escape(NOTICE.text) + shown, told.text)
    assert told.fields.get("sender_name") == ("ann" if "ann" in known else None)
    assert told.fields.get("recipient_name") == ("bob" if "bob" in known else None)
    assert told.fields["txid"] == ENTRY.txid.hex()


@pytest.mark.parametrize(
    "notice",
    [
        NOTICE,
        Notice("entry-expired", "gone", fields={"txid": ENTRY.txid.hex()}),
        Notice("entry-pending", "one that left already", fields={"txid": "00" * 32}),
    ],
)
def test_what_names_nobody_stays_as_it_is(notice: Notice) -> None:
    assert with_names(notice, lambda _: None, entry_of, "test") is notice
