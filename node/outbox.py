"""What the core has to say: effects in order, and the claims among them held until their batch is durable.

Pure. One place numbers the batches, and one place keeps "persist before claim": an effect that tells of
something stored names the batch it waits for, and leaves only when that batch is durable.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping

from node.events import NOTHING, Answer, Effect, Level, Notice, Persist, Send
from node.storage.port import Batch, Store

Claim = Send | Answer | Notice
"""What may have to wait."""


class Outbox:
    """Effects of the step at hand, and claims that wait for the disk.

    What is held is bounded by those who claim: a session's unsent output counts what is held here, requests
    are few, and connecting waits when `entries_in_flight` grows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._effects: list[Effect] = []
        self._waiting: list[Effect] = []
        """Batches that leave with the next one."""
        self._held: deque[tuple[int, Claim]] = deque()
        self._held_bytes: dict[int, int] = {}
        """Of what is held, by connection."""
        self._in_flight: deque[tuple[int, int]] = deque()
        self.latest = NOTHING
        """The last batch staged."""
        self.durable = NOTHING
        """The last batch known to be on disk."""
        self.ahead: Callable[[Persist], None] | None = None
        """Takes what is staged ahead in the middle of a step; without it, that leaves with all the rest."""
        self.entries_in_flight = 0
        """What the batches weigh that are not durable yet, in entries: the chain is held back by it."""

    def batch(self) -> Batch:
        """Return an empty batch, to be filled and staged before the next one is asked for."""
        return Batch(self.latest + 1)

    def stage(self, batch: Batch, entries: int = 0, *, may_wait: bool = False) -> int:
        """Make the batch visible to the core and send it on its way to the disk; return its number.

        `entries`: how many are in it, blocks counted as some. `may_wait`: it leaves with the next, or when
        the core has no more to do at once: a header whose block follows needs no transaction of its own.
        """
        if batch.number != self.latest + 1:
            raise AssertionError(f"batch {batch.number} staged after {self.latest}")
        self.latest = batch.number
        self.entries_in_flight += entries
        self._in_flight.append((batch.number, entries))
        if batch.touches_book:
            self._store.stage(batch)
        self._waiting.append(Persist(batch))
        if not may_wait:
            self.hurry()
        return batch.number

    def hurry(self) -> None:
        """Send the batches that may wait on their way."""
        self._effects += self._waiting
        self._waiting.clear()

    def stage_ahead(self, batch: Batch) -> int:
        """Stage a batch that the disk may begin with before the step is over, unless something goes first."""
        number = self.stage(batch)
        if self.ahead is not None and len(self._effects) == 1:
            self._effects.clear()
            self.ahead(Persist(batch))
        return number

    def persisted(self, number: int) -> None:
        """Let go of what waited for this batch and those before it."""
        if number > self.latest:
            raise AssertionError(f"batch {number} said to be durable, the last one staged is {self.latest}")
        if number <= self.durable:
            return
        self.durable = number
        self._store.settle(number)
        while self._in_flight and self._in_flight[0][0] <= number:
            self.entries_in_flight -= self._in_flight.popleft()[1]
        while self._held and self._held[0][0] <= number:
            effect = self._held.popleft()[1]
            self._effects.append(effect)
            self._weigh(effect, -1)

    def emit(self, effect: Effect) -> None:
        """Say something that claims nothing stored."""
        self._effects.append(effect)

    def claim(self, effect: Claim, after: int) -> None:
        """Say something once batch `after` is durable. Claims leave in the order of their batches."""
        if after > self.latest:
            raise AssertionError(f"a claim of batch {after}, the last one staged is {self.latest}")
        if after <= self.durable:
            self._effects.append(effect)
            return
        self._weigh(effect, 1)
        if not self._held or self._held[-1][0] <= after:
            self._held.append((after, effect))
        else:
            # A rare claim about an older batch than the last one: keep the order by batch.
            place = bisect_right(self._held, after, key=lambda held: held[0])
            self._held.insert(place, (after, effect))

    def notice(
        self,
        kind: str,
        text: str,
        level: Level = Level.INFO,
        *,
        after: int = NOTHING,
        fields: Mapping[str, object] | None = None,
    ) -> None:
        """Tell people; after a batch, where it claims one."""
        self.claim(Notice(kind, text, level, fields or {}), after)

    def held_bytes(self, connection: int) -> int:
        """Return how much waits here for a connection: as much as unsent, though no socket knows of it."""
        return self._held_bytes.get(connection, 0)

    def _weigh(self, effect: Claim, sign: int) -> None:
        if isinstance(effect, Send):
            left = self._held_bytes.get(effect.connection, 0) + sign * len(effect.data)
            if left:
                self._held_bytes[effect.connection] = left
            else:
                self._held_bytes.pop(effect.connection, None)

    def forget_connection(self, connection: int) -> None:
        """Drop what waits for a connection that is gone."""
        self._held_bytes.pop(connection, None)
        self._held = deque(
            held
            for held in self._held
            if not (isinstance(held[1], Send) and held[1].connection == connection)
        )

    def drain(self) -> list[Effect]:
        """Return the effects gathered since the last call, in order."""
        effects, self._effects = self._effects, []
        return effects
