"""People who pay each other, at whatever node is at hand, and ask for blocks; some type the same twice."""

from __future__ import annotations

from random import Random
from typing import Final

from node import events
from node.ledger import signature
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from tests.building import Key, key
from tests.simulation.checkers import Checkers
from tests.simulation.faults import Load
from tests.simulation.machine import Machine

MEMOS: Final = ("", "two flat whites", "beans, 1 kg", "tip jar", "☕" * 20)


def last_wallet(number: int) -> Key:
    """Return the wallet of a node's owner that pays only when the trouble is over."""
    return key(f"last wallet {number}")


class People:
    """All who have a wallet."""

    def __init__(
        self,
        load: Load,
        network_id: bytes,
        wallets: list[Key],
        machines: list[Machine],
        checkers: Checkers,
        dice: Random,
    ) -> None:
        self._load = load
        self._network_id = network_id
        self._wallets = wallets
        self._machines = machines
        self._checkers = checkers
        self._dice = dice
        self._guests: list[Key] = []
        """Who was paid and had no account before."""

    def pay(self, now_ms: int) -> None:
        """Somebody pays somebody."""
        dice = self._dice
        at_hand = [machine for machine in self._machines if machine.is_up and not machine.is_paused]
        if not at_hand:
            return
        machine = dice.choice(at_hand)
        is_owner = dice.randrange(10) > 0
        wallet = machine.build.key if is_owner else dice.choice(self._wallets)
        core = machine.core
        if self._guests and dice.randrange(8) == 0:
            self._spend_all(machine, dice.choice(self._guests), now_ms)
            return
        nonce = core.mempool.lowest_free_nonce(wallet.public, core.store.account(wallet.public).nonce)
        replaces = dice.randrange(1000) < self._load.replace and nonce > 0
        fee = 1 + dice.randrange(10)
        if replaces:
            nonce, fee = nonce - 1, 20 + dice.randrange(50)
        self._type(machine, wallet, nonce, fee, replace=replaces, now_ms=now_ms)
        if dice.randrange(1000) < self._load.double_spend:
            self._type(dice.choice(at_hand), wallet, nonce, fee, replace=False, now_ms=now_ms)

    def _spend_all(self, machine: Machine, guest: Key, now_ms: int) -> None:
        """A guest pays back all that there is: an account is empty then."""
        account = machine.core.store.account(guest.public)
        if account.balance > 1 and not machine.core.mempool.pending_cost(guest.public):
            entry = self._sign(machine, guest, self._recipient(), account.balance - 1, 1, account.nonce)
            self._hand_in(machine, entry, replace=False, now_ms=now_ms)

    def _recipient(self) -> bytes:
        """Return whom somebody pays: now and then one who has no account yet."""
        if self._dice.randrange(6) == 0:
            self._guests.append(key(f"guest {len(self._guests)}"))
            return self._guests[-1].public
        return self._dice.choice(self._wallets).public

    def pay_at_last(self, machine: Machine, fee: int, now_ms: int) -> bytes:
        """Type a payment of a wallet that has paid nothing else; return its txid, which must be confirmed."""
        wallet = last_wallet(machine.build.number)
        nonce = machine.core.store.account(wallet.public).nonce
        entry = self._sign(machine, wallet, self._wallets[0].public, 1, fee, nonce)
        self._hand_in(machine, entry, replace=True, now_ms=now_ms)
        return entry.txid

    def _type(
        self, machine: Machine, wallet: Key, nonce: int, fee: int, *, replace: bool, now_ms: int
    ) -> None:
        entry = self._sign(machine, wallet, self._recipient(), self._dice.randrange(1, 2_000), fee, nonce)
        self._hand_in(machine, entry, replace=replace, now_ms=now_ms)

    def _hand_in(self, machine: Machine, entry: Entry, *, replace: bool, now_ms: int) -> None:
        machine.request(lambda request: self._submit(machine, request, entry, replace=replace, now_ms=now_ms))

    def _submit(
        self, machine: Machine, request: int, entry: Entry, *, replace: bool, now_ms: int
    ) -> events.Submit:
        self._checkers.typed(machine, request, (entry,), now_ms)
        return events.Submit(request, (entry.raw,), replace)

    def _sign(
        self, machine: Machine, wallet: Key, recipient: bytes, amount: int, fee: int, nonce: int
    ) -> Entry:
        message = unsigned_message(
            self._network_id,
            sender=wallet.public,
            recipient=recipient,
            amount=amount,
            fee=fee,
            nonce=nonce,
            timestamp_ms=machine.now().wall_ms,
            memo=self._dice.choice(MEMOS),
        )
        return assemble_entry(self._network_id, message, signature.sign(wallet.seed, message))

    def ask_for_a_block(self) -> None:
        """Somebody types `mine 1`, and may go away before it is there."""
        at_hand = [machine for machine in self._machines if machine.is_up and not machine.is_paused]
        if not at_hand:
            return
        machine = self._dice.choice(at_hand)
        request = machine.request(lambda number: events.MineBlocks(number, 1))
        if self._dice.randrange(4) == 0:
            machine.take(events.Forget(request))
