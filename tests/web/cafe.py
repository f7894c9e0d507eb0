"""A small book as a coffee shop would have it: its guests, what it buys, a branch that lost.

Deterministic but for the clock: the book ends about now, so that its pages say "a minute ago". Writes a data
folder; the node is started by whoever asked for it.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from benchmarks.books import lay_parts
from node import keyfile
from node.keyfile import KeyFile, PlainSeed
from node.ledger.address import encode_address
from node.ledger.entry import Entry
from node.ledger.params import Parameters
from node.paths import contacts_file, wallets_folder
from node.private import make_private_folder
from node.storage.sqlite import BOOK_NAME
from node.wallet import DEFAULT_NAME
from tests.building import Built, ChainBuilder, Key, key, with_allocations

CAFE, STRANGER = key("cafe"), key("passer-by")
GUESTS: Final = ("anna", "ben", "chiara", "deniz", "emil", "fatou", "grace", "henrik")
SUPPLIERS: Final = {
    "roastery": ("two sacks of Sidamo", "beans for the week", "decaf, 5 kg"),
    "bakery": ("croissants, 60", "sourdough, 12 loaves"),
    "dairy": ("milk, 40 l", "oat milk, 24 cartons"),
}
CUPS: Final = (
    ("two flat whites", 8_40),
    ("cappuccino, oat", 4_60),
    ("espresso at the bar", 2_50),
    ("croissant and americano", 6_90),
    ("lunch for three", 38_50),
    ("café crème", 4_20),
    ("a bag of beans to take home", 14_00),
    ("cheesecake, two forks", 6_50),
    ("tea, and the window seat", 3_80),
)
NOTES: Final = ("", "", "", "good morning", "mined behind the counter")
_HASHES_16_BITS: Final = 0x1F00FFFF

NETWORK: Final = Parameters(
    name="corner-cafe",
    prefix="cup",
    symbol="CUP",
    decimals=2,
    interval_ms=30 * 60_000,
    half_life_ms=86_400_000,
    genesis_ms=0,
    genesis_bits=0x207FFFFF,
    easiest_bits=0x207FFFFF,
    initial_reward=50_00,
    halving_interval=2_000_000,
    allocations=(),
    minimum_fee=1,
    maximum_block_bytes=1 << 20,
    drift_ms=30_000,
    lifetime_ms=14 * 86_400_000,
    maturity=0,
)


@dataclass(frozen=True, slots=True)
class Cafe:
    """A network and the book of it, as blocks in the order in which the node hears of them."""

    chain: ChainBuilder
    parts: Sequence[Sequence[Built]]
    """What arrives together; a part may begin a branch at an earlier block, and outweigh what was there."""

    @property
    def parameters(self) -> Parameters:
        return self.chain.parameters

    @property
    def tip(self) -> Built:
        return self.parts[-1][-1]

    def address(self, owner: Key) -> str:
        """Return an owner's address in this network."""
        return encode_address(self.parameters.prefix, owner.public)

    def contacts(self) -> Mapping[str, str]:
        """Return the names that the shop has for people."""
        return {name: self.address(key(name)) for name in ("cafe", *GUESTS, *SUPPLIERS)}

    def pay(self, name: str, memo: str, amount: int, to: Key | bytes = CAFE) -> str:
        """Return a guest's entry of this moment, signed, in hex."""
        now_ms = time.time_ns() // 1_000_000
        return self.chain.entry(key(name), to, amount, memo=memo, timestamp_ms=now_ms).raw.hex()

    def lay(self, folder: Path, owner: Key = CAFE) -> None:
        """Write the data folder of somebody who has the book: the book, the wallet, the contacts."""
        lay_parts(self.parameters, [[block.raw for block in part] for part in self.parts], folder)
        wallets = wallets_folder(folder)
        make_private_folder(wallets)
        wallet = wallets / f"{DEFAULT_NAME}.json"
        wallet.write_bytes(keyfile.render(KeyFile(owner.public, PlainSeed(owner.seed))))
        wallet.chmod(0o600)
        lines = [f'{name} = "{address}"\n' for name, address in self.contacts().items()]
        contacts_file(folder).write_text("".join(lines), encoding="utf-8")


def with_audit(network: Path, interval: str = "1s") -> None:
    """Have the nodes of a network's file read their book again that often."""
    text = network.read_text(encoding="utf-8")
    network.write_text(text.replace("[node]\n", f'[node]\naudit = "{interval}"\n', 1), encoding="utf-8")


def edit(folder: Path, entry: Entry, height: int) -> None:
    """Change the end of an entry's memo in the book of a node that rests."""
    memo = entry.memo.encode()
    with closing(sqlite3.connect(folder / BOOK_NAME)) as book, book:
        asked = "SELECT id, raw FROM bodies JOIN main USING (id) WHERE height = ?"
        ((name, raw),) = book.execute(asked, (height,))
        forged = bytes(raw).replace(memo, memo[:-3] + b"???", 1)
        book.execute("UPDATE bodies SET raw = ? WHERE id = ?", (forged, name))


def cafe(blocks: int = 40, *, is_hard: bool = False) -> Cafe:
    """Return a book of so many blocks (20 or more); `is_hard`: some work in each, so slow to make."""
    bits = _HASHES_16_BITS if is_hard else NETWORK.genesis_bits
    now_ms = time.time_ns() // 1_000_000
    begins = replace(
        NETWORK,
        genesis_ms=now_ms - (blocks + 1) * NETWORK.interval_ms,
        genesis_bits=bits,
        easiest_bits=bits,
    )
    owners = {key(name): 400_00 for name in GUESTS} | {CAFE: 900_00, STRANGER: 50_00}
    chain = ChainBuilder(with_allocations(owners, begins))
    dice = random.Random(7)
    main: list[Built] = []
    at = chain.genesis
    last_ms = now_ms - 90_000
    for height in range(1, blocks + 1):
        span = last_ms - at.timestamp_ms
        time_ms = at.timestamp_ms + int(span / (blocks + 1 - height) * dice.uniform(0.5, 1.5))
        time_ms = last_ms if height == blocks else time_ms
        entries = [
            _sale(chain, dice, time_ms - dice.randrange(1_000, 60_000))
            for _ in range(dice.choice((1, 2, 3, 5)))
        ]
        entries.sort(key=lambda entry: (entry.sender, entry.nonce))
        at = chain.block(at, entries, timestamp_ms=time_ms, miner=_miner(dice), note=dice.choice(NOTES))
        main.append(at)
    fork = blocks - 9
    lost = [chain.block(main[fork - 1], timestamp_ms=main[fork].timestamp_ms + 700, miner=key("ben"))]
    lost.append(chain.block(lost[0], timestamp_ms=main[fork + 1].timestamp_ms - 500, miner=key("ben")))
    return Cafe(chain, (main[:fork], lost, main[fork : fork + 3], main[fork + 3 :]))


def _sale(chain: ChainBuilder, dice: random.Random, time_ms: int) -> Entry:
    """Return something that is paid for: mostly a guest at the counter, now and then the shop itself."""
    if dice.random() < 0.12:
        supplier = dice.choice(sorted(SUPPLIERS))
        payer, paid = CAFE, key(supplier)
        memo, amount = dice.choice(SUPPLIERS[supplier]), dice.randrange(20_00, 60_00, 50)
    else:
        payer = STRANGER if dice.random() < 0.06 else key(dice.choice(GUESTS))
        paid = CAFE
        memo, amount = ("", 2_50) if payer == STRANGER else dice.choice(CUPS)
    return chain.entry(payer, paid, amount, memo=memo, timestamp_ms=time_ms)


def _miner(dice: random.Random) -> Key:
    return CAFE if dice.random() < 0.6 else key(dice.choice(("anna", "ben")))
