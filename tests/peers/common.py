"""What the tests of the peer book share: times, addresses and loaded dice."""

from __future__ import annotations

from typing import Final

from node.endpoint import Endpoint
from node.peers import AddressBook

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
WALL: Final = 1_700_000_000_000
ANN, BOB, EVE = b"\x0a" * 32, b"\x0b" * 32, b"\x0e" * 32
HOME: Final = Endpoint("127.0.0.1", 9001)
FAR: Final = Endpoint("198.51.100.7", 9000)


class Low:
    """Dice that always fall on 0."""

    def randrange(self, stop: int, /) -> int:
        assert stop > 0
        return 0


class High:
    """Dice that always fall on the highest."""

    def randrange(self, stop: int, /) -> int:
        return stop - 1


def hosts(count: int, first: int = 1) -> list[tuple[str, int]]:
    return [(f"203.0.113.{number}", 9000) for number in range(first, first + count)]


def hear(book: AddressBook, told: list[tuple[str, int]], *, source: str = "198.51.100.1") -> int:
    return book.hear(told, source=source, from_host=source, wall_ms=WALL)
