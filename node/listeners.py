"""Sockets that listen: opened at every address of a host, or a named error with what to do next."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Final

BACKLOG: Final = 128
"""Connections that the system holds until they are accepted."""


class CannotListen(Exception):
    """This machine cannot listen where it was told to."""

    def __init__(self, code: str, message: str, hint: str) -> None:
        """`hint`: what to do next."""
        super().__init__(f"{message}: {hint}")
        self.code = code
        self.message = message
        self.hint = hint


async def open_listeners(host: str, port: int, flags: str = "--") -> list[socket.socket]:
    """Return sockets that listen at the addresses of `host`, all at one port; 0 is any free one.

    `flags`: how the flags begin that a hint names, those of the node itself or of its page (`--web-`).
    An address that this machine lacks does not matter as long as it has another of them.
    Raises CannotListen: port-taken, no-such-host, cannot-listen.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, ValueError):
        raise CannotListen("no-such-host", f"{host!r} is no address", f"check {flags}host") from None
    listeners: list[socket.socket] = []
    missing = CannotListen("no-such-host", f"{host!r} has no address", f"check {flags}host")
    for family, address in dict.fromkeys((row[0], row[4]) for row in found):
        try:
            listener = socket.create_server((address[0], port, *address[2:]), family=family, backlog=BACKLOG)
        except OSError as error:
            missing = _cannot_listen(host, port, flags, error)
            if error.errno != errno.EADDRINUSE:
                continue
            for opened in listeners:
                opened.close()
            raise missing from None
        listener.settimeout(0)
        port = listener.getsockname()[1]
        listeners.append(listener)
    if not listeners:
        raise missing
    return listeners


def _cannot_listen(host: str, port: int, flags: str, error: OSError) -> CannotListen:
    match error.errno:
        case errno.EADDRINUSE:
            return CannotListen(
                "port-taken",
                f"port {port} on {host} is taken by another program",
                f"give another {flags}port",
            )
        case errno.EACCES:
            return CannotListen(
                "cannot-listen", f"port {port} is not for everyone", f"give a {flags}port above 1023"
            )
        case errno.EADDRNOTAVAIL:
            return CannotListen(
                "cannot-listen", f"{host} is no address of this machine", f"check {flags}host"
            )
    reason = os.strerror(error.errno) if error.errno is not None else str(error)
    return CannotListen(
        "cannot-listen",
        f"cannot listen on {host} port {port}: {reason}",
        f"mend that, or give another {flags}host",
    )
