"""The refusal by policy. Pure."""

from __future__ import annotations


class Refused(Exception):
    """What this node does not take at the moment, by policy. Costs the one who sent it nothing."""

    __slots__ = ("code", "detail", "hint")

    def __init__(self, code: str, detail: str, hint: str = "") -> None:
        """`code` is stable; `detail` says what is wrong, `hint` what to do next."""
        super().__init__(code, detail, hint)
        self.code = str(code)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        """Code first, as in logs."""
        return f"{self.code}: {self.detail}"
