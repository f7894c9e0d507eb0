"""The node's side of the page: a process of its own (`node.web`), started, watched, and started again.

Starts and ends a process, and tries out a port; asyncio. Nothing of it can stall or stop the node: what goes
wrong with the page is told in the log, and the page is away until it is back.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from node.config import Web
from node.listeners import CannotListen, open_listeners
from node.miner_policy import RestartPolicy

END_GRACE_S: Final = 2.0
"""How long the page may take to end before it is killed."""

PORT_TAKEN_S: Final = 5.0
"""After which a port that was taken is tried again."""

CHOSEN_PORT_S: Final = 3.0
"""How long a start waits for a port that was named: the page of a node that was killed just now ends."""

MAX_LINE: Final = 500
"""Characters of a line of its standard error that the log keeps."""

READY: Final = b"ready\n"
"""What the page says on standard output once it can be opened."""

_LOOK_AGAIN_S: Final = 0.2
_READ: Final = 1 << 14
_FLAGS: Final = "--web-"
_ROOT: Final = str(Path(__file__).resolve().parent.parent)
# The folder that holds this package comes last on the path, as for the workers that mine; unlike them it
# needs the packages that are installed. The working folder has no say in what is imported (-P).
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from node.web.__main__ import main; sys.exit(main(sys.argv[2:]))"
)
COMMAND: Final = (sys.executable, "-P", "-c", _PROGRAM, _ROOT)
"""What starts the page; its flags follow."""

log = logging.getLogger(__name__)


class Page:
    """The page's process. `run` belongs into the caller's task group; `close` ends it."""

    def __init__(self, web: Web, data_dir: Path, *, command: Sequence[str] = COMMAND) -> None:
        self._web = web
        self._command = (*command, *arguments(web, data_dir))
        self._closing = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._ready = False
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def url(self) -> str | None:
        """Where the page is, while it is there."""
        return self._web.url if self._ready else None

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep the page there until `close`, or until cancelled; no process outlives this."""
        self._ended.clear()
        policy = RestartPolicy()
        try:
            while await self._port_is_free():
                began = time.monotonic()
                died = await self._serve()
                if self._closing.is_set():
                    return
                restart = policy.died(time.monotonic() - began)
                level = logging.ERROR if restart.slow else logging.WARNING
                log.log(level, "the page died (%s); it starts again in %.1f s", died, restart.delay)
                await self._pause(restart.delay)
        finally:
            self._ended.set()

    async def close(self) -> None:
        """End the page; returns when its process is gone."""
        self._closing.set()
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_GRACE_S):
                await self._ended.wait()
        _kill(self._process)
        await self._ended.wait()

    async def _port_is_free(self) -> bool:
        """Wait until the port is free, saying so when it is not; False once closing."""
        waited = False
        while not self._closing.is_set():
            taken = await trouble(self._web)
            if taken is None:
                if waited:
                    log.info("port %d is free now", self._web.port)
                return True
            if not waited:
                log.warning("there is no page: %s", taken)
            waited = True
            await self._pause(PORT_TAKEN_S)
        return False

    async def _serve(self) -> str:
        """Start one process and follow it to its end; return how it went."""
        pipe = asyncio.subprocess.PIPE
        try:
            # A process group of its own keeps the terminal's Ctrl-C from it: the node ends it.
            self._process = process = await asyncio.create_subprocess_exec(
                *self._command, stdin=pipe, stdout=pipe, stderr=pipe, close_fds=True, process_group=0
            )
        except OSError as error:
            return f"it could not be started: {error}"
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the page was started without its pipes")
        if self._closing.is_set():
            process.stdin.close()
        try:
            await asyncio.gather(self._listen(process.stdout), _pass_on(process.stderr))
            return _how(await process.wait())
        finally:
            self._ready = False
            _kill(process)  # whatever ends this, a cancellation too
            await process.wait()
            self._process = None

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        """Note when the page can be opened; read on to the end, so that nothing it says holds it up."""
        said = b""
        while chunk := await stdout.read(_READ):
            said = (said + chunk)[: len(READY)]
            if said == READY and not self._ready:
                self._ready = True
                log.info("the page is at %s", self._web.url)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()


def arguments(web: Web, data_dir: Path) -> tuple[str, ...]:
    """Return the flags of the page's process."""
    names = (word for name in web.names for word in ("--name", name))
    return (
        *("--data-dir", str(data_dir), "--host", web.host, "--port", str(web.port)),
        *names,
        "--child",
    )


async def trouble(web: Web) -> str | None:
    """Return why the page could not listen now, None where it could."""
    try:
        listeners = await open_listeners(web.host, web.port, _FLAGS)
    except CannotListen as error:
        return str(error)
    for listener in listeners:
        listener.close()
    return None


async def refuse_taken_port(web: Web) -> None:
    """Raise CannotListen where the page was given a port that it cannot have."""
    if not (web.is_on and web.is_chosen):
        return
    deadline = time.monotonic() + CHOSEN_PORT_S
    while True:
        try:
            listeners = await open_listeners(web.host, web.port, _FLAGS)
        except CannotListen as error:
            if error.code != "port-taken" or time.monotonic() > deadline:
                raise
            await asyncio.sleep(_LOOK_AGAIN_S)
        else:
            for listener in listeners:
                listener.close()
            return


async def _pass_on(stderr: asyncio.StreamReader) -> None:
    """Log each line of standard error, the long ones cut."""
    rest, cutting = b"", False
    while chunk := await stderr.read(_READ):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not cutting:
                _log_line(line)
            cutting = False
        if len(rest) > MAX_LINE:
            if not cutting:
                _log_line(rest)
            rest, cutting = b"", True
    if rest:
        _log_line(rest)


def _log_line(line: bytes) -> None:
    text = line.decode(errors="replace").rstrip()[:MAX_LINE]
    if text:
        log.warning("page: %s", text)


def _kill(process: asyncio.subprocess.Process | None) -> None:
    if process is not None and process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()


def _how(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
