"""A second, plain model of the ledger, written from docs/protocol.md (the numbers are its sections); no I/O.

It shares nothing with the node: no module of it, no trick of it. Whole blocks come in as bytes; of each valid
one it keeps the full table of accounts and the whole path behind it. Slow and large where that is plainer. Of
the law only Ed25519 is somebody else's: libsodium's, asked once for each entry.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgpack
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

Accounts = dict[bytes, tuple[int, int]]
"""Key -> (balance, nonce); (0, 0) is left out."""

HEADER: Final = struct.Struct(">II32s32sQIQ")
"""Version, height, previous hash, body root, timestamp, bits, nonce (6.1)."""


class Broken(Exception):
    """What is wrong with a block, as a sentence."""


class Unknown(KeyError):
    """No valid block of this hash is known."""


def must(ok: bool, why: str) -> None:
    """Raise Broken unless `ok`."""
    if not ok:
        raise Broken(why)


# --- What there is ---


class Terms(NamedTuple):
    """The parameters of a network (2.1), in the order of their encoding, and the bytes of its block 0."""

    name: str
    prefix: str
    symbol: str
    decimals: int
    interval_ms: int
    half_life_ms: int
    genesis_ms: int
    genesis_bits: int
    easiest_bits: int
    initial_reward: int
    halving_interval: int
    allocations: list[list[Any]]
    """Pairs of key and amount."""
    minimum_fee: int
    maximum_block_bytes: int
    drift_ms: int
    lifetime_ms: int
    maturity: int
    members: list[bytes]
    quorum: int
    genesis: bytes


class Coinbase(NamedTuple):
    """The fields of 6.3."""

    height: int
    miner: bytes
    amount: int
    note: str


class Entry(NamedTuple):
    """The fields of section 3."""

    version: int
    sender: bytes
    recipient: bytes
    amount: int
    fee: int
    nonce: int
    timestamp_ms: int
    memo: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """A valid block, and what it leads to."""

    raw: bytes = field(repr=False)
    hash: bytes
    parent: bytes
    height: int
    timestamp_ms: int
    work: int
    """Cumulative."""
    chain_time: int
    coinbase: Coinbase
    """In genesis one of 0 to nobody, which stands in no account."""
    entries: tuple[Entry, ...] = field(repr=False)
    txids: tuple[bytes, ...] = field(repr=False)
    accounts: Mapping[bytes, tuple[int, int]] = field(repr=False)
    path: tuple[bytes, ...] = field(repr=False)
    """Hashes of the blocks 0 to this one."""


# --- Values (1) ---


def sha256(*parts: bytes) -> bytes:
    """Return the SHA-256 of all parts, joined."""
    return hashlib.sha256(b"".join(parts)).digest()


def unpacked(raw: bytes, what: str) -> list[Any]:
    """Return the array that these bytes are the shortest form of."""
    try:
        value = msgpack.unpackb(raw)
        must(type(value) is list and msgpack.packb(value) == raw, f"{what}: not a canonical array")
    except ValueError as error:
        raise Broken(f"{what}: not msgpack: {error}") from error
    return list(value)


def shaped(value: object, what: str, *kinds: type | int) -> list[Any]:
    """Return `value`, an array of exactly these kinds: int, str, list, bytes, or a number of bytes."""
    if type(value) is not list or len(value) != len(kinds):
        raise Broken(f"{what}: not an array of {len(kinds)}")
    for item, kind in zip(value, kinds, strict=True):
        must(type(item) is (bytes if isinstance(kind, int) else kind), f"{what}: a field of another type")
        must(not isinstance(kind, int) or len(item) == kind, f"{what}: a field of another length")
        must(type(item) is not int or 0 <= item < 2**53, f"{what}: a number out of range")
        must(type(item) is not str or _is_text(item), f"{what}: not a text")
    return value


def _is_text(text: str) -> bool:
    return len(text.encode()) <= 256 and not any(c < " " or "\x7f" <= c <= "\x9f" for c in text)


def tree(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the data of these leaves (5.1)."""
    if not leaves:
        return sha256()
    if len(leaves) == 1:
        return sha256(b"\x00", leaves[0])
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha256(b"\x01", tree(leaves[:half]), tree(leaves[half:]))


# --- Proof of work (7) ---


def target_of(bits: int) -> int:
    """Return the target that these bits mean (7.1)."""
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    target = mantissa << 8 * (size - 3) if size > 3 else mantissa >> 8 * (3 - size)
    must(bits & 0x00800000 == 0 and 0 < target < 2**256, "bits that are no target")
    return target


def bits_of(target: int) -> int:
    """Return the shortest form of a target (7.1)."""
    size = (target.bit_length() + 7) // 8
    mantissa = int.from_bytes(target.to_bytes(size, "big")[:3].ljust(3, b"\x00"), "big")
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


def bits_after(terms: Terms, height: int, chain_time: int) -> int:
    """Return the bits of the child of a block of this height and chain time (7.4)."""
    behind = (chain_time - terms.interval_ms * (height + 1)) * 65536
    exponent = abs(behind) // terms.half_life_ms * (1 if behind >= 0 else -1)
    shift, frac = exponent >> 16, exponent & 0xFFFF
    easiest = target_of(terms.easiest_bits)
    if shift > 256:
        return bits_of(easiest)
    if shift < -256:
        return bits_of(1)
    cubic = 195766423245049 * frac + 971821376 * frac**2 + 5127 * frac**3 + 2**47
    product = target_of(terms.genesis_bits) * (65536 + cubic // 2**48)
    target = (product << shift if shift >= 0 else product >> -shift) // 65536
    return bits_of(min(max(target, 1), easiest))


# --- Accounts (8) ---


def add(accounts: Accounts, key: bytes, amount: int, nonces: int = 0) -> None:
    """Change one account by so much; (0, 0) is not kept."""
    balance, nonce = accounts.pop(key, (0, 0))
    balance, nonce = balance + amount, nonce + nonces
    assert balance >= 0 <= nonce, "a negative balance or nonce"
    if (balance, nonce) != (0, 0):
        accounts[key] = (balance, nonce)


def hash_of(raw: bytes) -> bytes:
    """Return the hash of a block's header, which stands in its bytes from the fourth on (6)."""
    return sha256(sha256(raw[3:95]))


class Ledger:
    """All valid blocks of one network that were handed over, in a tree."""

    def __init__(self, terms: Terms, network_id: bytes) -> None:
        self.terms = terms
        self.network_id = network_id
        self._blocks: dict[bytes, Block] = {network_id: _genesis(terms)}
        self._holders: dict[bytes, list[Block]] = {}
        """Txid -> the blocks that hold the entry."""
        self._signed: dict[bytes, bool] = {}
        """Txid -> whether its signature is valid."""
        assert self._blocks[network_id].hash == network_id, "another network's genesis"

    # --- What is known ---

    def knows(self, block_hash: bytes) -> bool:
        return block_hash in self._blocks

    def at(self, block_hash: bytes) -> Block:
        """Return the block. Raises Unknown."""
        if block_hash not in self._blocks:
            raise Unknown(block_hash.hex())
        return self._blocks[block_hash]

    def chain(self, block_hash: bytes) -> Iterator[bytes]:
        """Return the hashes from this block back to genesis. Raises Unknown."""
        return reversed(self.at(block_hash).path)

    def confirmed(self, block_hash: bytes, txid: bytes) -> bool:
        """Return whether this block or one before it holds the entry. Raises Unknown."""
        path = self.at(block_hash).path
        return any(path[at.height : at.height + 1] == (at.hash,) for at in self._holders.get(txid, ()))

    def reward(self, height: int) -> int:
        """Return what the block of this height creates (2.1)."""
        every = self.terms.halving_interval
        return self.terms.initial_reward >> ((height - 1) // every if every else 0)

    def scheduled(self, height: int) -> int:
        """Return all money that there is once the block of this height stands."""
        allocated: int = sum(amount for _, amount in self.terms.allocations)
        return allocated + sum(self.reward(h) for h in range(1, height + 1))

    def supply(self, block_hash: bytes) -> int:
        """Return all money that there is after this block: in accounts, and rewards not yet credited."""
        block = self.at(block_hash)
        immature = block.path[max(1, block.height - self.terms.maturity + 1) :]
        balances = sum(balance for balance, _ in block.accounts.values())
        return balances + sum(self._blocks[at].coinbase.amount for at in immature)

    def undo(self, block_hash: bytes) -> Accounts:
        """Return the accounts before this block, worked out from those after it. Raises Unknown."""
        block = self.at(block_hash)
        accounts = dict(block.accounts)
        credited = self._credited(block.height, block.path, block.coinbase)
        add(accounts, credited.miner, -credited.amount)
        for entry in reversed(block.entries):
            add(accounts, entry.recipient, -entry.amount)
            add(accounts, entry.sender, entry.amount + entry.fee, -1)
        return accounts

    # --- A block comes in ---

    def add(self, raw: bytes) -> bytes:
        """Take a block whose parent is known; return its hash. Raises Broken, or Unknown for its parent."""
        twice_hashed = hash_of(raw)
        if twice_hashed in self._blocks and self._blocks[twice_hashed].raw == raw:
            return twice_hashed

        # Form and roots (6): everything is what the header commits to.
        must(len(raw) <= self.terms.maximum_block_bytes, "the block is too long")
        head, body, first, raws = shaped(unpacked(raw, "block"), "block", 92, list, list, list)
        count, entries_root, history_root, extension_root = shaped(body, "body", int, 32, 32, 32)
        coinbase = Coinbase(*shaped(first, "coinbase", int, 32, int, str))
        shaped(raws, "entries", *[bytes] * len(raws))
        entries = tuple(self._entry(entry) for entry in raws)
        version, height, previous, body_root, now_ms, bits, _ = HEADER.unpack(head)
        must(count == len(entries) + 1, "the count is not that of the leaves")
        must(count < 2**32 and body_root == _body_root(body), "the body is not the header's")
        must(entries_root == tree([msgpack.packb(first), *raws]), "the entries are not the body's")
        must(extension_root == bytes(32), "the extension root is not zero")

        # The header, after the one before it (6.1, 7).
        parent = self.at(previous)
        target = target_of(bits)
        elapsed = now_ms - parent.timestamp_ms
        must(int.from_bytes(twice_hashed, "big") <= target, "the hash is above the target")
        must(version == 1, "the version is not in force")
        must(height == parent.height + 1, "the height is not the parent's plus 1")
        must(elapsed > 0, "the time is not later than the parent's")
        must(now_ms < 2**53, "the time is out of range")
        must(bits == bits_after(self.terms, parent.height, parent.chain_time), "other bits are due")
        must(history_root == tree(parent.path), "the history is not that of the blocks before")

        # What it says (3, 6.3, 8).
        fees = sum(entry.fee for entry in entries)
        must(coinbase.height == height, "the coinbase is of another height")
        must(coinbase.amount == self.reward(height) + fees, "the coinbase is not reward plus fees")
        path = (*parent.path, twice_hashed)
        accounts = dict(parent.accounts)
        for entry, bytes_of in zip(entries, raws, strict=True):
            self._apply(accounts, entry, now_ms)
            must(self._is_signed(entry, bytes_of), "the signature is not valid")
        credited = self._credited(height, path, coinbase)
        add(accounts, credited.miner, credited.amount)

        block = Block(
            raw=raw,
            hash=twice_hashed,
            parent=parent.hash,
            height=height,
            timestamp_ms=now_ms,
            work=parent.work + 2**256 // (target + 1),
            chain_time=parent.chain_time + min(elapsed, 160 * self.terms.interval_ms),
            coinbase=coinbase,
            entries=entries,
            txids=tuple(sha256(b"\x00", entry) for entry in raws),
            accounts=accounts,
            path=path,
        )
        self._keep(block)
        return block.hash

    def _keep(self, block: Block) -> None:
        self._blocks[block.hash] = block
        for txid in block.txids:
            self._holders.setdefault(txid, []).append(block)
        assert self.undo(block.hash) == self.at(block.parent).accounts, "undo does not bring back what was"
        assert self.supply(block.hash) == self.scheduled(block.height), "the supply is not the schedule's"

    def _entry(self, raw: bytes) -> Entry:
        entry = Entry(*shaped(unpacked(raw, "entry"), "entry", int, 32, 32, int, int, int, int, str, 64))
        must(entry.version == 1, "an entry of another version")
        return entry

    def _apply(self, accounts: Accounts, entry: Entry, now_ms: int) -> None:
        balance, nonce = accounts.get(entry.sender, (0, 0))
        must(entry.fee >= self.terms.minimum_fee, "the fee is below the minimum")
        must(entry.timestamp_ms >= now_ms - self.terms.lifetime_ms, "the entry is past its lifetime")
        must(entry.timestamp_ms <= now_ms + self.terms.drift_ms, "the entry is from the future")
        must(entry.nonce == nonce, "the nonce is not the sender's next")
        must(entry.amount + entry.fee <= balance, "the sender does not have that much")
        add(accounts, entry.sender, -(entry.amount + entry.fee), 1)
        add(accounts, entry.recipient, entry.amount)

    def _is_signed(self, entry: Entry, raw: bytes) -> bool:
        txid = sha256(b"\x00", raw)
        if txid not in self._signed:
            message = b"indelible/entry/1\x00" + self.network_id + msgpack.packb(list(entry[:8]))
            try:
                VerifyKey(entry.sender).verify(message, entry.signature)
                self._signed[txid] = True
            except BadSignatureError:
                self._signed[txid] = False
        return self._signed[txid]

    def _credited(self, height: int, path: tuple[bytes, ...], own: Coinbase) -> Coinbase:
        """Return the coinbase that the block of this height credits: its own, or the one that matures."""
        matures = height - self.terms.maturity
        return own if matures == height else self._blocks[path[max(matures, 0)]].coinbase


def read_terms(genesis: bytes) -> Terms:
    """Return the terms of the network whose block 0 these bytes are: its parameters stand in it (2.2)."""
    _, _, parameters, _ = shaped(unpacked(genesis, "genesis"), "genesis", 92, list, bytes, list)
    encoding, *fields = unpacked(parameters, "parameters")
    must(encoding == 1, "parameters of another encoding")
    return Terms._make([*fields, genesis])


def _body_root(body: Sequence[Any]) -> bytes:
    return sha256(b"\x02", body[0].to_bytes(4, "big"), *body[1:])


def _genesis(terms: Terms) -> Block:
    """Return block 0, which follows from the parameters (2.2)."""
    head, body, parameters, _ = unpacked(terms.genesis, "genesis")
    assert read_terms(terms.genesis) == terms
    assert body == [1, tree([parameters]), tree([]), bytes(32)]
    due = (1, 0, bytes(32), _body_root(body), terms.genesis_ms, terms.genesis_bits, 0)
    assert head == HEADER.pack(*due)
    block_hash = sha256(sha256(head))
    nobody = Coinbase(0, bytes(32), 0, "")
    accounts = {key: (amount, 0) for key, amount in terms.allocations}
    rest = (terms.genesis_ms, 0, terms.interval_ms, nobody, (), (), accounts, (block_hash,))
    return Block(terms.genesis, block_hash, bytes(32), 0, *rest)
