"""Answers of the web application that are no page: errors as JSON or text, and bodies with an ETag. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

JSON_TYPE: Final = "application/json"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
BINARY_TYPE: Final = "application/octet-stream"

ASK_AGAIN: Final = "no-cache"
"""Cache-Control of what may change: kept, but asked for again, which costs a 304 while it has not."""
FOR_EVER: Final = "public, max-age=31536000, immutable"
"""Of what a hash names."""


class WebError(Exception):
    """What is answered instead of what was asked for."""

    def __init__(
        self, status: int, code: str, message: str, hint: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        """`status`: of HTTP. `code` is stable; `message` and `hint`, what to do next, are for people."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = dict(headers or {})


def error_response(error: WebError, path: str) -> Response:
    """Return an error: `{code, message, hint}` under /api/, else a line of text."""
    headers = {"Cache-Control": "no-store"} | error.headers
    if path.startswith("/api/"):
        fields = {"code": error.code, "message": error.message, "hint": error.hint}
        return Response(json_bytes(fields), error.status, headers, JSON_TYPE)
    text = f"{error.message}{f': {error.hint}' if error.hint else ''}\n"
    return Response(text, error.status, headers, TEXT_TYPE)


def json_bytes(value: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def tagged(
    request: Request,
    body: bytes,
    media_type: str,
    *,
    caching: str = ASK_AGAIN,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a body with a strong ETag, the hash of what it is; 304 where the browser has just that."""
    digest = hashlib.sha256(b"%s\0%s" % (media_type.encode(), body)).hexdigest()
    tag = f'"{digest[:32]}"'
    known = {"ETag": tag, "Cache-Control": caching, **(headers or {})}
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(None, 304, known)
    return Response(body, 200, known, media_type)


def _has(if_none_match: str, tag: str) -> bool:
    """Tell whether a list of ETags has this one, by RFC 9110's weak comparison."""
    tags = (one.strip().removeprefix("W/") for one in if_none_match.split(","))
    return any(one in (tag, "*") for one in tags)
