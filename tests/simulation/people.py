"""People who pay each other, at whatever node is at hand, and ask for blocks; some type the same twice."""

from __future__ import annotations

from random import Random
from typing import Final

from node import events
from node.ledger import signature
from node.ledger.entry import Entry, assemble_entry, unsigned_message
from tests.building import Key
from tests.simulation.checkers import Checkers
from tests.simulation.faults import Load
from tests.simulation.machine import Machine

MEMOS: Final = ("", "two flat whites", "beans, 1 kg", "tip jar", "☕" * 20)


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
        self.payments = 0

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
        nonce = core.mempool.lowest_free_nonce(wallet.public, core.store.account(wallet.public).nonce)
        replaces = dice.randrange(1000) < self._load.replace and nonce > 0
        fee = 1 + dice.randrange(10)
        if replaces:
            nonce, fee = nonce - 1, 20 + dice.randrange(50)
        self._type(machine, wallet, nonce, fee, replace=replaces, now_ms=now_ms)
        if dice.randrange(1000) < self._load.double_spend:
            self._type(dice.choice(at_hand), wallet, nonce, fee, replace=False, now_ms=now_ms)

    def _type(
        self, machine: Machine, wallet: Key, nonce: int, fee: int, *, replace: bool, now_ms: int
    ) -> None:
        self.payments += 1
        entry = self._entry(machine, wallet, nonce, fee)
        machine.request(lambda request: self._submit(machine, request, entry, replace=replace, now_ms=now_ms))

    def _submit(
        self, machine: Machine, request: int, entry: Entry, *, replace: bool, now_ms: int
    ) -> events.Submit:
        self._checkers.typed(machine, request, (entry,), now_ms)
        return events.Submit(request, (entry.raw,), replace)

    def _entry(self, machine: Machine, wallet: Key, nonce: int, fee: int) -> Entry:
        dice = self._dice
        message = unsigned_message(
            self._network_id,
            sender=wallet.public,
            recipient=dice.choice(self._wallets).public,
            amount=dice.randrange(1, 2_000),
            fee=fee,
            nonce=nonce,
            timestamp_ms=machine.now().wall_ms,
            memo=dice.choice(MEMOS),
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
