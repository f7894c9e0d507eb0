"""The local socket: JSON-RPC 2.0 over a Unix socket for its owner alone, one line a message.

Sockets and threads; holds no rule and no SQL. Entries handed over in one go reach the core as one `Submit`.
Questions to the stored book run on threads, each over a book opened for it.

The daemon implements `methods.Node`, and hands over what concerns the socket: `answered` for each Answer and
Refuse, `tell` for each Notice. The Answer to a `Submit` is a list, in the order of its entries: the txid in
hex of one taken, {"code", "message", "hint"} of one refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from node import jsonrpc
from node.events import Answer, Event, Forget, Notice, Refuse, Submit
from node.jsonrpc import Call, RpcError
from node.methods import LEVELS, SUBSCRIBE_PARAMS, Node, Read, Ready, Submission, arguments, method_of
from node.private import FILE_MODE, PathError, trouble
from node.proven_parts import ProvenParts
from node.query import BookDamaged, ChainChanged, NotFound, Query
from node.socket_session import Reply, Session
from node.storage.faults import BookFault
from node.storage.port import StorageFault

MAX_SESSIONS: Final = 64
"""Clients at a time; each may have thousands of calls under way."""

READERS: Final = 2
"""Threads that read the book."""

_TURNS_TO_CONNECT: Final = 3
"""Turns of the event loop until a connection that was accepted is a session."""

log = logging.getLogger(__name__)


class _Asked(NamedTuple):
    """A request that the core has not answered."""

    session: Session
    replies: Sequence[Reply]
    """One, but for the entries of a `Submit`."""
    is_submit: bool


class Control:
    """The server. All but `start` and `close` return at once; everything runs on one event loop."""

    def __init__(self, node: Node, path: Path) -> None:
        """`path`: where the socket goes, in a folder that is the owner's alone."""
        self._node = node
        self._path = path
        self._server: asyncio.Server | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="read")
        self._proven = ProvenParts()
        self._sessions: dict[Session, None] = {}
        self._asked: dict[int, _Asked] = {}
        self._last_request = 0
        self._all_gone = asyncio.Event()
        self._all_gone.set()

    async def start(self) -> None:
        """Listen. Raises PathError: something else is there, or the folder cannot be written.

        A socket that nobody listens on is left of a node that was killed, and is replaced.
        """
        listener = _listen(self._path)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Session(self), sock=listener, backlog=64)

    async def close(self) -> None:
        """Stop listening and close every session; a client that asked for the stop sees the process end."""
        if self._server is None:
            return
        # asyncio stumbles over a connection that it accepted in the same turn in which its server is closed.
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        for _ in range(_TURNS_TO_CONNECT):
            await asyncio.sleep(0)
        self._server.close()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        for session in list(self._sessions):
            session.close()
        await asyncio.to_thread(self._readers.shutdown, cancel_futures=True)
        await self._all_gone.wait()  # bounded: who does not read its last answers is cut off

    def answered(self, effect: Answer | Refuse) -> None:
        """Pass on what the core says to a request; nothing where the client has gone."""
        asked = self._asked.pop(effect.request, None)
        if asked is None:
            return
        if isinstance(effect, Refuse):
            error = RpcError(jsonrpc.REFUSED, effect.code, effect.message, effect.hint)
            for reply in asked.replies:
                reply.error(error)
        elif asked.is_submit:
            asked.session.hold()
            for reply, result in zip(asked.replies, cast("Sequence[Any]", effect.result), strict=True):
                if isinstance(result, str):
                    reply.taken(result)
                else:
                    hint = result.get("hint", "")
                    reply.error(RpcError(jsonrpc.REFUSED, result["code"], result["message"], hint))
            asked.session.flush()
        else:
            asked.replies[0].result(effect.result)

    def hears(self, level: int) -> bool:
        """Tell whether anybody subscribed to notices of this level."""
        for session in self._sessions:  # no generator: this is asked for each entry
            if session.least_level is not None and level >= session.least_level:
                return True
        return False

    def tell(self, notice: Notice, wall_ms: int) -> None:
        """Pass a notice on to all who subscribed to its level."""
        text = ""
        for session in list(self._sessions):
            if session.least_level is None or notice.level < session.least_level:
                continue
            text = text or jsonrpc.notification_text(
                "event",
                {
                    "time_ms": wall_ms,
                    "kind": notice.kind,
                    "level": notice.level.name.lower(),
                    "text": notice.text,
                    "fields": dict(notice.fields),
                },
            )
            session.tell(text)

    # For the sessions -----------------------------------------------------------------------------

    def admit(self, session: Session) -> bool:
        """Take a new session in; False when there are too many."""
        if len(self._sessions) >= MAX_SESSIONS:
            return False
        self._sessions[session] = None
        self._all_gone.clear()
        return True

    def ended(self, session: Session) -> None:
        """Give up what may take long: a client that ended is as good as gone, for all that can be seen.

        Entries and questions are answered at once anyway, and a script may well end before it reads.
        """
        for request in self._requests_of(session):
            if not self._asked[request].is_submit:
                reply = self._forget(request).replies[0]
                hint = "keep the connection open for the answer"
                reply.error(RpcError(jsonrpc.REFUSED, "gone", "the client ended before the answer", hint))

    def lost(self, session: Session) -> None:
        """Forget a session and what it asked of the core."""
        self._sessions.pop(session, None)
        if not self._sessions:
            self._all_gone.set()
        for request in self._requests_of(session):
            self._forget(request)

    def _requests_of(self, session: Session) -> list[int]:
        return [request for request, asked in self._asked.items() if asked.session is session]

    def _forget(self, request: int) -> _Asked:
        self._node.post(Forget(request))
        return self._asked.pop(request)

    def submit(self, session: Session, entries: Sequence[tuple[Reply, Submission]]) -> None:
        """Hand entries to the core, all in one; the first says for all whether they may replace others."""
        raws, replace = tuple(submission.raw for _, submission in entries), entries[0][1].replace
        asked = _Asked(session, [reply for reply, _ in entries], is_submit=True)
        self._ask(asked, lambda request: Submit(request, raws, replace))

    def call(self, session: Session, call: Call, reply: Reply) -> None:
        """Begin to answer any other call. Raises RpcError."""
        match call.method:
            case "subscribe":
                level = arguments("subscribe", SUBSCRIBE_PARAMS, call.params)["level"]
                session.least_level = LEVELS[level]
                reply.result({"level": level})
            case "unsubscribe":
                arguments("unsubscribe", (), call.params)
                session.least_level = None
                reply.result({})
            case "stop":
                arguments("stop", (), call.params)
                session.asked_to_stop = True
                reply.result({"stopping": True})
                self._node.stop()
            case name:
                method = method_of(name)
                given = arguments(name, method.params, call.params)
                try:
                    outcome = method.run(self._node, given)
                except StorageFault as fault:
                    raise _refusal(fault) from fault
                if isinstance(outcome, Ready):
                    reply.result(outcome.result)
                elif isinstance(outcome, Read):
                    self._read(session, reply, outcome.question)
                else:
                    self._ask(_Asked(session, (reply,), is_submit=False), outcome.event)

    def _ask(self, asked: _Asked, event: Callable[[int], Event]) -> None:
        self._last_request += 1
        self._asked[self._last_request] = asked
        self._node.post(event(self._last_request))

    def _read(self, session: Session, reply: Reply, question: Callable[[Query], object]) -> None:
        session.reading(1)
        future = asyncio.get_running_loop().run_in_executor(self._readers, self._answer, question)
        future.add_done_callback(partial(self._has_read, session, reply))

    def _answer(self, question: Callable[[Query], object]) -> object:
        """On a thread: put the question to the book as it is now."""
        with closing(self._node.open_book()) as book, book.snapshot():
            return question(Query(book, self._node.parameters, self._proven))

    def _has_read(self, session: Session, reply: Reply, done: asyncio.Future[object]) -> None:
        session.reading(-1)
        error = None if done.cancelled() else done.exception()
        if done.cancelled():
            reply.error(RpcError(jsonrpc.REFUSED, "stopping", "the node is stopping", "start it again"))
        elif error is not None:
            reply.error(_refusal(error))
        else:
            reply.result(done.result())


def _refusal(error: BaseException) -> RpcError:
    """Return what the client is told of a question that failed; what is this machine's fault is logged."""
    match error:
        case NotFound() | ChainChanged():
            return RpcError(jsonrpc.REFUSED, error.code, error.message, error.hint)
        case BookDamaged():
            log.error("%s: %s", error.message, error.hint)
            return RpcError(jsonrpc.LOCAL_FAULT, error.code, error.message, error.hint)
        case BookFault():
            log.error("the book cannot be read: %s", error)
            return RpcError(jsonrpc.LOCAL_FAULT, error.code, error.message, error.hint)
        case StorageFault():  # found by the core, which knows of no commands
            log.error("the book cannot be read: %s", error)
            return RpcError(jsonrpc.LOCAL_FAULT, BookFault.code, str(error), "run `python cli.py verify`")
        case _:
            log.error("a question to the book failed by a fault of this program", exc_info=error)
            hint = "the node's log has the details; please report them"
            return RpcError(jsonrpc.INTERNAL_ERROR, "internal-error", "the node failed to answer", hint)


def _listen(path: Path) -> socket.socket:
    """Return a bound socket, 0600, in the place of a stale one. Raises PathError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _clear(path)
        listener.bind(os.fspath(path))
        path.chmod(FILE_MODE)
    except OSError as error:
        listener.close()
        raise trouble("listen on", path, error, "name another folder with --data-dir") from None
    except PathError:
        listener.close()
        raise
    return listener


def _clear(path: Path) -> None:
    """Remove a socket that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PathError(f"{path} is in the place of the node's socket", "move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)  # a full queue means that somebody is there, as an answer does
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
    raise PathError(f"another node answers on {path}", "stop it, or name another folder with --data-dir")
