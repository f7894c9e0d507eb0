"""The accounts: what an entry does to them, and its exact reverse.

Pure. State maps a public key to (balance, nonce). Absent means (0, 0), which is never stored; an account
whose nonce is above 0 is never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from node.ledger.block import Coinbase
from node.ledger.entry import Entry
from node.ledger.errors import Rule, RuleBroken
from node.ledger.params import Parameters


class Account(NamedTuple):
    """What the ledger knows of a key."""

    balance: int
    """Smallest units."""
    nonce: int
    """How many entries the key has signed into the book; the nonce that its next one must carry."""


AccountState: TypeAlias = tuple[int, int]
"""(balance, nonce): an account as the ledger itself keeps it, for millions are made. `Account`, which names
the two, takes three times as long to make."""

ABSENT: Final = Account(0, 0)


class Accounts(Protocol):
    """Where accounts are read and written: the store's own, or a scratch copy on the side."""

    def __getitem__(self, key: bytes, /) -> AccountState:
        """Return the account of a 32-byte key, ABSENT where there is none."""

    def __setitem__(self, key: bytes, account: AccountState, /) -> None:
        """Set the account; ABSENT removes it."""


class StateMismatch(Exception):
    """Undoing what was never done: the stored accounts are not those that the block was applied to.

    A fault of this machine (its disk, or someone who edited the book there), never a peer's.
    """


def genesis_accounts(parameters: Parameters) -> dict[bytes, AccountState]:
    """Return the state of the genesis block: its allocations."""
    return {key: (amount, 0) for key, amount in parameters.allocations}


def apply_entry(accounts: Accounts, entry: Entry) -> None:
    """Move the money of one entry.

    Raises RuleBroken: nonce-used, nonce-gap, overspend. Nothing is written then.
    """
    balance, nonce = accounts[entry.sender]
    if entry.nonce != nonce:
        rule = Rule.NONCE_USED if entry.nonce < nonce else Rule.NONCE_GAP
        raise RuleBroken(rule, f"nonce {entry.nonce}, the sender's next is {nonce}")
    cost = entry.amount + entry.fee
    if cost > balance:
        raise RuleBroken(Rule.OVERSPEND, f"costs {cost}, the sender has {balance}")
    accounts[entry.sender] = (balance - cost, nonce + 1)
    # Read only now: the recipient may be the sender, and would mint money from a balance read before.
    balance, nonce = accounts[entry.recipient]
    accounts[entry.recipient] = (balance + entry.amount, nonce)


def undo_entry(accounts: Accounts, entry: Entry) -> None:
    """Take one entry back: the exact reverse of `apply_entry`.

    Raises StateMismatch. Nothing is written then.
    """
    _, next_nonce = accounts[entry.sender]
    if next_nonce != entry.nonce + 1:
        raise StateMismatch(
            f"sender of {entry.txid.hex()} is at nonce {next_nonce}, not at {entry.nonce + 1}"
        )
    balance, nonce = accounts[entry.recipient]
    if balance < entry.amount:
        raise StateMismatch(
            f"recipient of {entry.txid.hex()} holds {balance}, less than the {entry.amount} it was paid"
        )
    accounts[entry.recipient] = (balance - entry.amount, nonce)
    # Read only now, as in `apply_entry`: the recipient may be the sender.
    balance, _ = accounts[entry.sender]
    accounts[entry.sender] = (balance + entry.amount + entry.fee, entry.nonce)


def apply_coinbase(accounts: Accounts, coinbase: Coinbase) -> None:
    """Credit what a block created, after its entries."""
    balance, nonce = accounts[coinbase.miner]
    accounts[coinbase.miner] = (balance + coinbase.amount, nonce)


def undo_coinbase(accounts: Accounts, coinbase: Coinbase) -> None:
    """Take back what a block created, before its entries are taken back. Raises StateMismatch."""
    balance, nonce = accounts[coinbase.miner]
    if balance < coinbase.amount:
        raise StateMismatch(
            f"miner of block {coinbase.height} holds {balance}, less than the {coinbase.amount} it created"
        )
    accounts[coinbase.miner] = (balance - coinbase.amount, nonce)


def apply_entries(accounts: Accounts, entries: Sequence[Entry], first_position: int) -> int:
    """Apply entries in listed order and return the sum of their fees.

    Raises RuleBroken with the position of the entry in its block, where the first one here stands at
    `first_position`; the entries before it stay applied, so callers work on a scratch copy.
    """
    fees = 0
    for position, entry in enumerate(entries, first_position):
        try:
            apply_entry(accounts, entry)
        except RuleBroken as broken:
            raise RuleBroken(broken.rule, broken.detail, position) from None
        fees += entry.fee
    return fees


class Changes(dict[bytes, AccountState]):
    """Accounts changed by one block, over where they are read from, which stays as it was.

    A dict of what was changed: asked for another key it gives the account below, and keeps nothing.
    """

    __slots__ = ("_below",)

    def __init__(self, below: Callable[[bytes], AccountState]) -> None:
        self._below = below

    def __missing__(self, key: bytes) -> AccountState:
        """Return the account as it is below."""
        return self._below(key)
