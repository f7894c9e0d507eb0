"""A book on paper: networks, entries, blocks and accounts as docs/protocol.md has them. Touches nothing.

Plain and slow, and nothing of it comes from the code under test: msgpack from `packing`, trees by the
recursive definitions in `merkle`, signatures from `keys`, targets by exact fractions from `asert`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from tests.vectors.generate import asert, compact_bits
from tests.vectors.generate.keys import Pair, key, sign
from tests.vectors.generate.merkle import mth
from tests.vectors.generate.packing import Value, pack

Network: TypeAlias = Mapping[str, Any]
"""Parameters by name, in the order in which they are encoded; `allocations` as [key in hex, amount]."""

Accounts: TypeAlias = dict[bytes, tuple[int, int]]
"""Key -> (balance, nonce); (0, 0) is left out."""

DAY = 86_400_000
ENTRY_TAG = b"indelible/entry/1\x00"
AUTH_TAG = b"indelible/auth/1\x00"

BUILT_IN: Network = {
    "name": "indelible-tryout",
    "prefix": "bean",
    "symbol": "BEAN",
    "decimals": 2,
    "interval_ms": 15_000,
    "half_life_ms": 600_000,
    "genesis_ms": 1_735_689_600_000,
    "genesis_bits": 0x1E03FFFF,
    "easiest_bits": 0x1E03FFFF,
    "initial_reward": 5_000,
    "halving_interval": 2_000_000,
    "allocations": [],
    "minimum_fee": 1,
    "maximum_block_bytes": 1_048_576,
    "drift_ms": 30_000,
    "lifetime_ms": 14 * DAY,
    "maturity": 0,
    "members": [],
    "quorum": 0,
}
EASY: Network = {
    **BUILT_IN,
    "name": "for-tests",
    "prefix": "test",
    "symbol": "TEST",
    "interval_ms": 1_000,
    "half_life_ms": 40_000,
    "genesis_ms": 1_700_000_000_000,
    "genesis_bits": 0x207FFFFF,
    "easiest_bits": 0x207FFFFF,
}
STEEP: Network = {
    **EASY,
    "name": "Dexters Caf\u00e9 \u2615",
    "prefix": "dexter",
    "symbol": "\u2615",
    "decimals": 0,
    "half_life_ms": 1_000,
    "genesis_bits": 0x207FFF00,
    "easiest_bits": 0x207FFF00,
    "initial_reward": 100,
    "halving_interval": 2,
    "allocations": sorted([[key("ann").public.hex(), 1_000], [key("bob").public.hex(), 2**40]]),
    "minimum_fee": 0,
    "maximum_block_bytes": 4_096,
    "maturity": 2,
}
NETWORKS: Mapping[str, Network] = {"built-in": BUILT_IN, "easy": EASY, "steep": STEEP}
"""`easy`: blocks cost nothing. `steep`: twice the work for each second ahead, small blocks, maturity 2."""


def parameter_bytes(network: Network) -> bytes:
    """Return the array of 20 that is leaf 0 of genesis."""
    allocations: Value = [[bytes.fromhex(owner), amount] for owner, amount in network["allocations"]]
    return pack([1, *[allocations if name == "allocations" else value for name, value in network.items()]])


class Payment(NamedTuple):
    """An entry: its fields, and its bytes, which may belong to another signature or field on purpose."""

    sender: bytes
    recipient: bytes
    amount: int
    fee: int
    nonce: int
    timestamp_ms: int
    memo: str
    raw: bytes

    @property
    def txid(self) -> bytes:
        """The leaf hash."""
        return hashlib.sha256(b"\x00" + self.raw).digest()


def message_of(network_id: bytes, fields: list[Value], tag: bytes = ENTRY_TAG) -> bytes:
    """Return what the signature of an entry covers; `fields` are the first eight."""
    return tag + network_id + pack(fields)


def pay(
    network_id: bytes,
    sender: Pair,
    recipient: bytes,
    amount: int,
    *,
    nonce: int,
    timestamp_ms: int,
    fee: int = 1,
    memo: str = "",
    signature: bytes | None = None,
) -> Payment:
    """Return an entry, signed by its sender unless a signature is given."""
    fields: list[Value] = [1, sender.public, recipient, amount, fee, nonce, timestamp_ms, memo]
    proof = sign(sender, message_of(network_id, fields)) if signature is None else signature
    return Payment(sender.public, recipient, amount, fee, nonce, timestamp_ms, memo, pack([*fields, proof]))


@dataclass(frozen=True)
class Made:
    """A block with all that follows from it."""

    network: str
    name: str
    parent: Made | None
    header: bytes
    body: list[Value]
    coinbase: bytes
    entries: list[bytes]
    raw: bytes
    timestamp_ms: int
    bits: int
    chain_time: int
    hashes: list[bytes]
    """Of all blocks from genesis to this one."""
    rewards: list[tuple[bytes, int]]
    """Miner and amount of each coinbase from block 1 to this one."""
    accounts: Accounts

    @property
    def height(self) -> int:
        """Genesis has 0."""
        return len(self.hashes) - 1

    @property
    def hash(self) -> bytes:
        """Of the header."""
        return self.hashes[-1]

    @property
    def work(self) -> int:
        """Of this block alone."""
        return 2**256 // (target_of(self.bits) + 1) if self.parent else 0

    @property
    def cumulative_work(self) -> int:
        """Of this block and all before it."""
        return self.work + self.parent.cumulative_work if self.parent else 0


def double_sha256(raw: bytes) -> bytes:
    """Return the hash of a header."""
    return hashlib.sha256(hashlib.sha256(raw).digest()).digest()


def target_of(bits: int) -> int:
    """Return the target that compact bits mean."""
    target = compact_bits.decode(bits)
    if target is None:
        raise ArithmeticError(f"no target: {bits:#010x}")
    return target


def header_bytes(
    version: int, height: int, previous: bytes, body_root: bytes, timestamp_ms: int, bits: int, nonce: int
) -> bytes:
    """Return the 92 bytes."""
    return b"".join(
        (
            version.to_bytes(4, "big"),
            height.to_bytes(4, "big"),
            previous,
            body_root,
            timestamp_ms.to_bytes(8, "big"),
            bits.to_bytes(4, "big"),
            nonce.to_bytes(8, "big"),
        )
    )


def body_root_of(count: int, entries_root: bytes, history_root: bytes, extension_root: bytes) -> bytes:
    """Return what the header commits to."""
    content = count.to_bytes(4, "big") + entries_root + history_root + extension_root
    return hashlib.sha256(b"\x02" + content).digest()


@cache
def genesis(name: str) -> Made:
    """Return block 0 of a network."""
    network = NETWORKS[name]
    leaf = parameter_bytes(network)
    body: list[Value] = [1, mth([leaf]), mth([]), bytes(32)]
    root = body_root_of(1, mth([leaf]), mth([]), bytes(32))
    header = header_bytes(1, 0, bytes(32), root, network["genesis_ms"], network["genesis_bits"], 0)
    accounts = {bytes.fromhex(owner): (amount, 0) for owner, amount in network["allocations"]}
    return Made(
        network=name,
        name="genesis",
        parent=None,
        header=header,
        body=body,
        coinbase=leaf,
        entries=[],
        raw=pack([header, body, leaf, []]),
        timestamp_ms=network["genesis_ms"],
        bits=network["genesis_bits"],
        chain_time=network["interval_ms"],
        hashes=[double_sha256(header)],
        rewards=[],
        accounts=accounts,
    )


def bits_after(block: Made) -> int:
    """Return the compact target that the child of a block must carry."""
    network = NETWORKS[block.network]
    row = asert.Row(
        why="",
        anchor_bits=network["genesis_bits"],
        interval=network["interval_ms"],
        half_life=network["half_life_ms"],
        time_delta=block.chain_time,
        height_delta=block.height,
        easiest_bits=network["easiest_bits"],
    )
    return compact_bits.encode(asert.target_after(row))


def reward_at(network: Network, height: int) -> int:
    """Return what the block at a height creates, by halving as often as whole intervals have passed."""
    reward: int = network["initial_reward"]
    every: int = network["halving_interval"]
    passed = 0 if every == 0 else (height - 1) // every
    for _ in range(min(passed, 64)):
        reward //= 2
    return reward


def block(
    name: str,
    parent: Made,
    entries: Sequence[Payment | bytes] = (),
    *,
    after_ms: int = 1_000,
    miner: bytes | None = None,
    note: str = "",
    is_mined: bool = True,
    is_applied: bool = True,
    **changes: Any,  # noqa: ANN401 - each is a field of another type
) -> Made:
    """Return a block on its parent, `after_ms` behind it, right but for what `changes` say.

    Changes: version, height, previous, body_root, bits, count, entries_root, history_root, extension_root,
    coinbase_height, coinbase_amount (more than is due), coinbase (its bytes). What is made wrong stays wrong
    consistently: the roots above it are worked out over it. `is_applied` False leaves the accounts alone.
    """
    network = NETWORKS[parent.network]
    height = parent.height + 1
    payments = [entry for entry in entries if isinstance(entry, Payment)]
    raws = [entry.raw if isinstance(entry, Payment) else entry for entry in entries]
    owner = key("miner").public if miner is None else miner
    amount = reward_at(network, height) + sum(payment.fee for payment in payments)
    amount += changes.get("coinbase_amount", 0)
    coinbase = changes.get("coinbase", pack([changes.get("coinbase_height", height), owner, amount, note]))
    roots: dict[str, Any] = {
        "count": 1 + len(raws),
        "entries_root": mth([coinbase, *raws]),
        "history_root": mth(parent.hashes),
        "extension_root": bytes(32),
    }
    roots |= {name: value for name, value in changes.items() if name in roots}
    timestamp_ms = parent.timestamp_ms + after_ms
    bits: int = changes.get("bits", bits_after(parent))
    header = _mined(
        changes.get("version", 1),
        changes.get("height", height),
        changes.get("previous", parent.hash),
        changes.get("body_root", body_root_of(**roots)),
        timestamp_ms,
        bits,
        is_mined=is_mined,
    )
    body: list[Value] = list(roots.values())
    rewards = [*parent.rewards, (owner, amount)]
    return Made(
        network=parent.network,
        name=name,
        parent=parent,
        header=header,
        body=body,
        coinbase=coinbase,
        entries=raws,
        raw=b"\x94" + pack(header) + pack(body) + coinbase + pack(list(raws)),
        timestamp_ms=timestamp_ms,
        bits=bits,
        chain_time=parent.chain_time + min(after_ms, 160 * network["interval_ms"]),
        hashes=[*parent.hashes, double_sha256(header)],
        rewards=rewards,
        accounts=_after(network, parent.accounts, payments, rewards) if is_applied else {},
    )


def _mined(
    version: int,
    height: int,
    previous: bytes,
    body_root: bytes,
    timestamp_ms: int,
    bits: int,
    *,
    is_mined: bool,
) -> bytes:
    """Return the header with the first nonce whose hash meets the target, or whose hash does not."""
    target = target_of(bits)
    nonce = 0
    while True:
        header = header_bytes(version, height, previous, body_root, timestamp_ms, bits, nonce)
        if (int.from_bytes(double_sha256(header), "big") <= target) == is_mined:
            return header
        nonce += 1


def _after(
    network: Network, before: Accounts, payments: list[Payment], rewards: list[tuple[bytes, int]]
) -> Accounts:
    """Return the accounts after a block; says so where an entry is not one that the law allows."""
    accounts = dict(before)
    for payment in payments:
        balance, nonce = accounts.get(payment.sender, (0, 0))
        if nonce != payment.nonce or balance < payment.amount + payment.fee:
            raise ArithmeticError(f"no valid entry: {payment}")
        accounts[payment.sender] = (balance - payment.amount - payment.fee, nonce + 1)
        balance, nonce = accounts.get(payment.recipient, (0, 0))
        accounts[payment.recipient] = (balance + payment.amount, nonce)
    matured = len(rewards) - network["maturity"]
    if matured >= 1:
        owner, amount = rewards[matured - 1]
        balance, nonce = accounts.get(owner, (0, 0))
        accounts[owner] = (balance + amount, nonce)
    return {owner: account for owner, account in accounts.items() if account != (0, 0)}
