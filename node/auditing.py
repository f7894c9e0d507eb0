"""The node's side of the audit in the background: a worker process now and then, its progress, its findings.

Starts and ends processes (`node.audit_worker`); asyncio. Nothing of it can stall the node: a worker that dies
is told of in the log, and the next one comes when it is due.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.ledger.params import Parameters

SOONEST_S: Final = 60.0
"""From the end of a reading to one that is asked for because something is odd."""
FIRST_AFTER_S: Final = 60.0
"""After a start, or sooner where the interval is shorter."""
_LINE_BYTES: Final = 1 << 24
"""The longest line: a thousand findings with their fields."""
_DROPPED_BYTES: Final = 1 << 16
_LAST_WORDS: Final = 200
_ROOT: Final = str(Path(__file__).resolve().parent.parent)
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv[1]); from node.audit_worker import main; sys.exit(main())"
)
COMMAND: Final = (sys.executable, "-P", "-c", _PROGRAM, _ROOT)
"""What starts a worker."""

Json = dict[str, Any]

log = logging.getLogger(__name__)


def order(folder: Path, parameters: Parameters) -> bytes:
    """Return the line that tells a worker what to read.

    Here, for the worker's own module takes the whole audit with it, which its node has no use for.
    """
    return json.dumps({"folder": str(folder), "parameters": parameters.encode().hex()}).encode() + b"\n"


class BackgroundAudit:
    """Reads the book again and again. `run` belongs into the caller's task group; `close` ends it."""

    def __init__(
        self,
        folder: Path,
        parameters: Parameters,
        interval_s: int,
        on_read: Callable[[Sequence[Json]], None],
        *,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """`interval_s`: between two readings, 0 for none. `on_read` is told each reading's findings."""
        self._order = order(folder, parameters)
        self._interval_s = interval_s
        self._on_read = on_read
        self._command = command
        self._closing = asyncio.Event()
        self._wanted = asyncio.Event()  # a reading before its time, or the end
        self._ended_s = -SOONEST_S
        self._process: asyncio.subprocess.Process | None = None
        self._state = "waiting" if interval_s else "off"
        self._height = 0
        self._of = 0
        self._last_ms: int | None = None
        self.found: list[Json] = []
        """By the last reading that came to its end."""

    def summary(self) -> Json:
        """Return the fields of `audit` in `status`."""
        return {
            "state": self._state,
            "height": self._height,
            "percent": 100 * self._height // self._of if self._of else 0,
            "last_ms": self._last_ms,
            "findings": len(self.found),
            "first_bad": self.found[0] if self.found else None,
        }

    async def run(self) -> None:
        """Read when it is due, until `close`."""
        if not self._interval_s:
            return
        await self._pause(min(FIRST_AFTER_S, self._interval_s))
        while not self._closing.is_set():
            self._state = "running"
            trouble = await self._read()
            self._ended_s = time.monotonic()
            if self._closing.is_set():
                return
            if trouble is not None:
                log.warning("the audit in the background ended early (%s); it is tried again later", trouble)
            self._state = "failed" if trouble is not None else "waiting"
            await self._pause(self._interval_s)

    async def close(self) -> None:
        """End the worker; returns at once, `run` ends when the process is gone."""
        self._closing.set()
        self._wanted.set()
        self._kill()

    def soon(self) -> None:
        """Read now instead of later, for something is odd; not while it reads, nor for a minute after that.

        Whoever can make things look odd keeps the machine at work no longer than that. Not where it is off.
        """
        if self._state != "running" and time.monotonic() - self._ended_s >= SOONEST_S:
            self._wanted.set()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wanted.wait()
        self._wanted.clear()

    async def _read(self) -> str | None:
        """Follow one worker to its end; return why it came to none, None where it did."""
        pipe = asyncio.subprocess.PIPE
        began = time.monotonic()
        try:
            # A process group of its own keeps the terminal's Ctrl-C from it: the node ends it.
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                close_fds=True,
                process_group=0,
                limit=_LINE_BYTES,
            )
        except OSError as error:
            return f"it could not be started: {error}"
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the worker was started without its pipes")
        try:
            process.stdin.write(self._order)
            last_words, is_done = await asyncio.gather(process.stderr.read(), self._listen(process.stdout))
            status = await process.wait()
        finally:
            self._kill()
            await process.wait()
            self._process = None
        if is_done:
            took_s = time.monotonic() - began
            log.info("the book was read again in %.1f s; findings: %d", took_s, len(self.found))
            return None
        said = last_words.decode(errors="replace").strip().splitlines()[-1:]
        return ": ".join([f"exit status {status}", *(line[:_LAST_WORDS] for line in said)])

    async def _listen(self, stdout: asyncio.StreamReader) -> bool:
        """Take what the worker says; True once it has told what it found."""
        is_done = False
        try:
            while line := await stdout.readline():
                said = json.loads(line)
                if "found" in said:
                    is_done = True
                    self._height = self._of = said["height"]
                    self._last_ms = time.time_ns() // 1_000_000
                    self.found = said["found"]
                    self._on_read(self.found)
                else:
                    self._height, self._of = said["at"], said["of"]
        except ValueError:  # a line that is too long, or no JSON: it ends without a result
            while await stdout.read(_DROPPED_BYTES):  # unread, it would never end
                pass
        return is_done

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.kill()
