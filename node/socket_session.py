"""One client of the local socket: lines in, answers out, and no more of either than it takes.

On the event loop of its transport; holds no method. A client with too much under way, or too much unread, is
not read from until it has caught up. What it sends in one go is answered in one go.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Final, Protocol, cast

from node import jsonrpc
from node.jsonrpc import BadCall, Call, RpcError
from node.methods import Submission, submission_of

MAX_LINE: Final = 1 << 20
"""Bytes of one message from a client: an array of some 2,000 entries."""

READ_BYTES: Final = 1 << 18
"""Read from a client at a time; memory that it does not fill is never touched."""

MAX_UNDER_WAY: Final = 4_096
"""Calls of one client that wait for their answer; it is not read from meanwhile."""

MAX_READS: Final = 16
"""Questions to the book of one client under way at a time, for the same reason."""

MAX_MERGED: Final = 1_000
"""Entries handed to the core in one."""

MAX_UNREAD: Final = 4 << 20
"""Bytes that a subscriber may leave unread before it is disconnected."""

LINGER_S: Final = 5.0
"""How long a connection that is being closed may take to read its last answers."""

_PAUSE_ABOVE: Final = 1 << 20
"""Bytes unread by a client above which its calls wait."""


class Server(Protocol):
    """What a session needs of the server."""

    def admit(self, session: Session) -> bool:
        """Take a new session in; False when there are too many."""

    def ended(self, session: Session) -> None:
        """Note that the client sends no more: it may be gone, or only done."""

    def lost(self, session: Session) -> None:
        """Forget a session and what it asked for."""

    def submit(self, session: Session, entries: Sequence[tuple[Reply, Submission]]) -> None:
        """Hand entries, which may all replace others or all may not, to the core."""

    def call(self, session: Session, call: Call, reply: Reply) -> None:
        """Begin to answer any other call. Raises RpcError."""


class Reply:
    """Where the answer to one call goes: to its client, or to its place in the answer to an array."""

    __slots__ = ("_answered", "_array", "_call_id", "_session")

    def __init__(self, session: Session, call: Call | BadCall, array: _Array | None) -> None:
        self._session = session
        self._call_id = call.id
        self._answered = isinstance(call, BadCall) or call.answered
        self._array = array

    def result(self, value: object) -> None:
        """Answer the call."""
        self._say(jsonrpc.result_text(self._call_id, value) if self._answered else None)

    def taken(self, txid: str) -> None:
        """Answer a call of `submit` whose entry was taken."""
        self._say(jsonrpc.txid_text(self._call_id, txid) if self._answered else None)

    def error(self, error: RpcError) -> None:
        """Refuse the call."""
        self._say(jsonrpc.error_text(self._call_id, error) if self._answered else None)

    def _say(self, text: str | None) -> None:
        if self._array is not None:
            text = self._array.add(text)
        self._session.finished(text)


class _Array:
    """The answer to an array of calls, said when all are in; nothing when none of them wants one."""

    __slots__ = ("_missing", "_texts")

    def __init__(self, calls: int) -> None:
        self._missing = calls
        self._texts: list[str] = []

    def add(self, text: str | None) -> str | None:
        """Take the answer of one call; return that of the array when it is whole."""
        self._missing -= 1
        if text is not None:
            self._texts.append(text)
        return f"[{','.join(self._texts)}]" if self._missing == 0 and self._texts else None


class Session(asyncio.BufferedProtocol):
    """One client. What it sends is read into one buffer: asyncio would map a new one for each read."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._transport = cast("asyncio.Transport", None)  # asyncio sets it before it calls anything else
        self._read = memoryview(bytearray(READ_BYTES))
        self._buffer = bytearray()
        self._searched = 0  # bytes of the buffer that hold no line's end
        self._out: list[str] = []
        self._out_length = 0
        self._entries: list[tuple[Reply, Submission]] = []
        self._under_way = 0
        self._reads = 0
        self._writable = True
        self._ended = False  # the client will send no more
        self._closing = False
        self._turn_is_due = False
        self.least_level: int | None = None
        """Of the notices it subscribed to; None without a subscription."""
        self.asked_to_stop = False
        """Its socket is kept open to the end of the process, which is how it learns of it."""

    # What asyncio calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_PAUSE_ABOVE)
        if not self._server.admit(self):
            self.dismiss("too-many-connections", "too many commands are connected already", "end one of them")

    def connection_lost(self, _: Exception | None) -> None:
        self._closing = True
        self._server.lost(self)

    def get_buffer(self, _: int) -> memoryview:
        return self._read

    def buffer_updated(self, count: int) -> None:
        self._buffer += self._read[:count]
        self._take_lines()

    def eof_received(self) -> bool:
        self._ended = True
        self._buffer += b"\n"  # the last line may lack it
        self._take_lines()
        self._server.ended(self)
        return True  # answers can still go out

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._take_lines()

    # In -------------------------------------------------------------------------------------------

    def _take_lines(self) -> None:
        """Take as many lines as may be under way at once; read on when there is room for more."""
        while not self._closing and self._has_room():
            end = self._buffer.find(b"\n", self._searched)
            if (end if end >= 0 else len(self._buffer)) > MAX_LINE:
                hint = "send long arrays in parts"
                self.dismiss("line-too-long", f"a message has at most {MAX_LINE} bytes", hint)
                return
            if end < 0:
                self._searched = len(self._buffer)
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            if line.strip():
                self._take(line)
        self._hand_over()
        if self._closing:
            return
        if not self._has_room():
            self._transport.pause_reading()
        elif self._ended:
            self._end_if_done()
        else:
            self._transport.resume_reading()

    def _has_room(self) -> bool:
        return (
            self._writable
            and self._out_length < _PAUSE_ABOVE
            and self._under_way < MAX_UNDER_WAY
            and self._reads < MAX_READS
        )

    def _take(self, line: bytes) -> None:
        found = jsonrpc.parse(line)
        if isinstance(found, list):
            self._under_way += len(found)
            array = _Array(len(found))
            for call in found:
                self._start(call, Reply(self, call, array))
        else:
            self._under_way += 1
            self._start(found, Reply(self, found, None))

    def _start(self, call: Call | BadCall, reply: Reply) -> None:
        try:
            if isinstance(call, BadCall):
                raise call.error
            if call.method == "submit":
                self._gather(reply, submission_of(call.params))
                return
            self._hand_over()  # what was typed first is looked at first
            self._server.call(self, call, reply)
        except RpcError as error:
            reply.error(error)

    def _gather(self, reply: Reply, submission: Submission) -> None:
        """Keep an entry until the end of what came in one go."""
        full = len(self._entries) >= MAX_MERGED
        if full or (self._entries and self._entries[0][1].replace != submission.replace):
            self._hand_over()
        self._entries.append((reply, submission))

    def _hand_over(self) -> None:
        if self._entries:
            entries, self._entries = self._entries, []
            self._server.submit(self, entries)

    # Out ------------------------------------------------------------------------------------------

    def finished(self, text: str | None) -> None:
        """Note that one call has its answer, and send it (the last one of an array has all of them)."""
        self._under_way -= 1
        if text is not None:
            self._say(text)
        self._call_soon()

    def hold(self) -> None:
        """Keep the answers that come now until `flush`."""
        self._turn_is_due = True

    def flush(self) -> None:
        """Send them at once, which saves a turn of the loop; then take what more was asked."""
        self._turn()

    def reading(self, change: int) -> None:
        """Count a question to the book that began (1) or ended (-1)."""
        self._reads += change

    def tell(self, text: str) -> None:
        """Send a notification, unless too much is unread already."""
        if self._closing:
            return
        if self._transport.get_write_buffer_size() > MAX_UNREAD:
            message = f"{MAX_UNREAD} bytes of events were not read in time"
            self.dismiss("too-slow", message, "read faster, or subscribe to a higher level")
            return
        self._say(text)
        self._call_soon()

    def dismiss(self, code: str, message: str, hint: str) -> None:
        """Say why, and close."""
        self._say(jsonrpc.notification_text("closed", {"code": code, "message": message, "hint": hint}))
        self.close()

    def close(self) -> None:
        """Send what there is and close; a client that does not read is not waited for long."""
        if self._closing:
            return
        self._closing = True
        self._send()
        if self.asked_to_stop:
            os.dup(self._transport.get_extra_info("socket").fileno())
        self._transport.close()
        asyncio.get_running_loop().call_later(LINGER_S, self._transport.abort)

    def _say(self, text: str) -> None:
        self._out.append(text)
        self._out_length += len(text)

    def _call_soon(self) -> None:
        """Answers given in one go leave together, and then there may be room for more calls."""
        if not self._turn_is_due:
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        is_due, self._turn_is_due = self._turn_is_due, False  # perhaps it was flushed meanwhile
        if is_due and not self._closing:
            self._send()
            self._take_lines()

    def _send(self) -> None:
        if self._out:
            lines, self._out, self._out_length = self._out, [], 0
            self._transport.write(("\n".join(lines) + "\n").encode())

    def _end_if_done(self) -> None:
        if not self._under_way and not self._out and self.least_level is None:
            self.close()
