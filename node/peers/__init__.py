"""The peer book: whom to dial and when, who misbehaved, and what peers are called.

Pure: no clock, no sockets, no disk. Time comes in as arguments (`mono_ms` monotonic milliseconds for
deadlines, `wall_ms` Unix milliseconds for what outlives the process), randomness as an object handed in.
"""

from __future__ import annotations

from node.peers.addresses import AddressBook, Dice, Told
from node.peers.among import clock_is_off, keep_new, median_offset
from node.peers.blame import BAN_MS, Ban, Verdict
from node.peers.book import PeerBook
from node.peers.names import Meeting, Names, short_identity

__all__ = [
    "BAN_MS",
    "AddressBook",
    "Ban",
    "Dice",
    "Meeting",
    "Names",
    "PeerBook",
    "Told",
    "Verdict",
    "clock_is_off",
    "keep_new",
    "median_offset",
    "short_identity",
]
