"""The open connections: bytes leave in one place, faults arrive in one place."""

from __future__ import annotations

from node.events import Close, Now, Send
from node.ledger import signature
from node.ledger.block import network_id
from node.messages import PROTOCOL_VERSION, Hello, Ping, rules_hash
from node.outbox import Outbox
from node.protocol import Connection
from node.sessions import BUSY_BYTES, Session, Sessions
from node.storage.memory import memory_disk, open_memory
from tests.building import EASY, key

NOW = Now(1, 1)


def hello() -> Hello:
    return Hello(
        PROTOCOL_VERSION, network_id(EASY), rules_hash(), key("n").public, bytes(16), "a", 1, 0, 0, 0
    )


def one(*, is_open: bool = True) -> tuple[Outbox, Sessions, Session]:
    out = Outbox(open_memory(memory_disk(EASY))[0])
    sessions = Sessions(out)
    link = Connection(
        dialled=True,
        hello=hello(),
        sign=lambda message: signature.sign(key("n").seed, message),
        parameters=EASY,
    )
    session = Session(5, link, "203.0.113.1", 9_000, None, 0, "203.0.113.1:9000", is_open=is_open)
    sessions.add(session)
    return out, sessions, session


def test_nothing_but_the_handshake_is_said_to_who_has_not_proven_itself() -> None:
    out, sessions, session = one(is_open=False)
    sessions.send(5, Ping(1))
    assert not out.drain()
    sessions.send_bytes(session, b"hello")
    assert out.drain() == [Send(5, b"hello")]
    assert not list(sessions.open())
    assert sessions.every() == [session]


def test_what_is_unsent_is_counted_and_makes_a_peer_busy() -> None:
    _, sessions, session = one()
    sessions.send_bytes(session, bytes(BUSY_BYTES))
    assert not session.is_busy
    sessions.send_bytes(session, b"!")
    assert session.is_busy
    assert session.bytes_out == BUSY_BYTES + 1


def test_a_claim_waits_for_its_batch_and_goes_with_the_connection() -> None:
    out, sessions, session = one()
    number = out.stage(out.batch())
    out.drain()
    sessions.send(5, Ping(1), after=number)
    assert not out.drain()
    sessions.close(session, "enough")
    out.persisted(number)
    assert out.drain() == [Close(5, "enough")]


def test_a_fault_is_charged_to_who_is_there_and_to_nobody_once_it_has_left() -> None:
    _, sessions, session = one()
    charged: list[tuple[Session, str, int]] = []
    sessions.on_fault = lambda whom, code, cost, _detail, _now: charged.append((whom, code, cost))
    sessions.fault(5, "some-rule", 20, "detail", NOW)
    assert sessions.remove(5) is session
    sessions.fault(5, "some-rule", 20, "detail", NOW)
    assert charged == [(session, "some-rule", 20)]
    assert sessions.name(5) == "a peer that left"
    sessions.send(5, Ping(1))
