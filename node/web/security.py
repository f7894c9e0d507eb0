"""What guards the page from other web pages and from the network: pure ASGI, in front of everything.

- A request must ask for a host that is this page's. A name that an attacker pointed at this machine (DNS
  rebinding) is not.
- A browser that acts for a page of another origin is refused, by what it says of itself (Sec-Fetch-Site,
  Origin). Only a link to here may be followed. There is no CORS header, so nothing is readable elsewhere.
- Who looks from another machine may read, and hand in signed entries, and see nothing of what is local.
- Every answer forbids what the page does not need: scripts from elsewhere, framing, sniffing, referrers.

Pure: reads the request's scope, writes headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.web.answers import WebError, error_response
from node.web.viewers import host_of, is_local, is_loopback_host

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Of every answer; what an answer sets itself stays."""

LOCAL_ONLY: Final = ("/log", "/counter")
"""Paths, and all below them, for viewers at this machine: they tell of the owner and of other people."""

REMOTE_POSTS: Final = ("/api/tx",)
"""All that other machines may do but read."""

_READS: Final = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Hosts:
    """What this page may be asked for by."""

    bound: str
    """Address or name that it listens on."""
    port: int
    names: tuple[str, ...] = ()
    """Further names, with any port: another program may hand requests on from there."""

    def allows(self, header: str) -> bool:
        """Tell whether a Host header names this page."""
        host, port = host_of(header), _port_of(header)
        if host in self.names:
            return True
        if port != self.port and not (port is None and self.port == 80):
            return False
        if is_loopback_host(host) or host == self.bound:
            return True
        # An address cannot be pointed elsewhere; whoever got here by one asked for this machine.
        return not is_loopback_host(self.bound) and _is_address(host)


class Guard:
    """The middleware."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        refused = refusal(scope, self._hosts)
        if refused is None:
            await self._app(scope, receive, send_guarded)
        else:
            await error_response(refused, scope["path"])(scope, receive, send_guarded)


def refusal(scope: Scope, hosts: Hosts) -> WebError | None:
    """Return why a request is refused, None where it is not."""
    headers = Headers(scope=scope)
    named = headers.getlist("host")
    if len(named) != 1 or not hosts.allows(named[0]):
        hint = "open it by its address, or name it in web_names of the settings file"
        return WebError(421, "wrong-host", "this page is not known by that name", hint)
    if _is_foreign(scope, headers, named[0]):
        return WebError(403, "cross-origin", "a page from elsewhere may not ask this one", "open it itself")
    if is_local(scope):
        return None
    method, path = scope["method"], scope["path"]
    if method not in _READS and path not in REMOTE_POSTS:
        return WebError(403, "local-only", "from another machine you can only look", "use that machine")
    if any(path == one or path.startswith(f"{one}/") for one in LOCAL_ONLY):
        return WebError(403, "local-only", "this is shown on its own machine alone", "use that machine")
    return None


def _is_foreign(scope: Scope, headers: Headers, host: str) -> bool:
    """Tell whether a browser asks on behalf of a page of another origin, but for following a link."""
    reads = scope["method"] in _READS
    follows = (
        reads
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest", "document") == "document"
    )
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none") and not follows:
        return True
    origins = headers.getlist("origin")
    # Behind a program that hands requests on, the scheme may differ; the host and port do not.
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    return any(origin.lower() not in own for origin in origins)


def _port_of(header: str) -> int | None:
    """Return the port of a Host header, None where it has none; -1 where it is none."""
    tail = header.strip().rpartition("]")[2] if header.strip().startswith("[") else header.strip()
    _, colon, port = tail.partition(":")
    if not colon:
        return None
    return int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
