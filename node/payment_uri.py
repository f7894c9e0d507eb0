"""Links of one's own schemes, as QR codes and pages carry them: to pay somebody, and to look at a receipt.

Pure. `indelible:ADDRESS?amount=12.50&memo=two%20coffees&network=0123456789abcdef` asks for a payment, the
amount in decimal units, the network by the first 16 digits of its id.
`indelible-receipt:TXID?tip=HASH&network=...` names an entry and the tip its receipt leads to: what people
compare. Parts that are unknown, doubled, empty or badly escaped are refused, so that no two programs read one
link differently (RFC 3986).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from node.ledger import codec
from node.ledger.address import AddressError, decode_address, encode_address
from node.ledger.amount import AmountError, format_amount, parse_amount

SCHEME: Final = "indelible:"
RECEIPT_SCHEME: Final = "indelible-receipt:"
MAX_URI: Final = 1_200
"""Characters: an address, an amount, and a memo with each of its bytes escaped take fewer."""
NETWORK_DIGITS: Final = 16

_VALUE: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$'()*+,;:@/=]|%[0-9A-Fa-f]{2})+")
_PLAIN: Final = re.compile(rb"[A-Za-z0-9\-._~]")
_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_AGAIN: Final = "copy the whole link again, or ask for a fresh one"


class UriError(ValueError):
    """A link that cannot be used; `hint` is the next thing to do."""

    code: Final = "bad-link"

    def __init__(self, message: str, hint: str = _AGAIN) -> None:
        super().__init__(f"{message}: {hint}")
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Payment:
    """What somebody asks to be paid."""

    key: bytes
    """Whom: 32 bytes."""
    amount: int | None = None
    """Smallest units; None leaves it to the one who pays."""
    memo: str = ""


@dataclass(frozen=True, slots=True)
class Scale:
    """What of a network's parameters a link depends on."""

    network_id: bytes
    """32 bytes."""
    prefix: str
    """Of addresses."""
    decimals: int


def payment_uri(payment: Payment, scale: Scale) -> str:
    """Return the link that asks for a payment. Raises UriError: the memo cannot stand in an entry."""
    _check_memo(payment.memo)
    parts = []
    if payment.amount is not None:
        parts.append(f"amount={format_amount(payment.amount, scale.decimals)}")
    if payment.memo:
        parts.append(f"memo={_escape(payment.memo)}")
    parts.append(f"network={_network(scale.network_id)}")
    return f"{SCHEME}{encode_address(scale.prefix, payment.key)}?{'&'.join(parts)}"


def parse_payment(text: str, scale: Scale) -> Payment:
    """Return what a link asks for. Raises UriError naming what is wrong with it.

    A link that does not name its network is taken: the address' prefix and checksum still fit or do not.
    """
    address, parts = _split(text, SCHEME, ("amount", "memo", "network"))
    _check_network(parts, scale.network_id)
    memo = parts.get("memo", "")
    _check_memo(memo)
    try:
        key = decode_address(scale.prefix, address)
        amount = parse_amount(parts["amount"], scale.decimals) if "amount" in parts else None
    except (AddressError, AmountError) as error:
        raise UriError(f"the link cannot be used: {error.message}", error.hint) from None
    return Payment(key, amount, memo)


def receipt_uri(txid: bytes, tip: bytes, network_id: bytes) -> str:
    """Return the link that names an entry and the tip its receipt leads to; 32 bytes each."""
    return f"{RECEIPT_SCHEME}{txid.hex()}?tip={tip.hex()}&network={_network(network_id)}"


def parse_receipt(text: str, network_id: bytes) -> tuple[bytes, bytes]:
    """Return the txid and the tip's hash that a link names. Raises UriError."""
    txid, parts = _split(text, RECEIPT_SCHEME, ("tip", "network"))
    _check_network(parts, network_id)
    tip = parts.get("tip", "")
    if not _HASH.fullmatch(txid) or not _HASH.fullmatch(tip):
        raise UriError("the link does not name an entry and a tip by 64 hexadecimal digits each")
    return bytes.fromhex(txid), bytes.fromhex(tip)


def is_own(text: str) -> bool:
    """Tell by its look whether a text is a link of these schemes: what anybody may have a QR code of."""
    for scheme, names in ((SCHEME, ("amount", "memo", "network")), (RECEIPT_SCHEME, ("tip", "network"))):
        if text.lower().startswith(scheme):
            try:
                subject, _ = _split(text, scheme, names)
            except UriError:
                return False
            return subject.isascii() and subject.isalnum()
    return False


def _split(text: str, scheme: str, names: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """Return what stands behind the scheme, and the parts behind the question mark, unescaped."""
    if len(text) > MAX_URI:
        raise UriError(f"the link is longer than {MAX_URI} characters")
    if not text.lower().startswith(scheme):
        raise UriError(f"the link does not start with {scheme}")
    subject, _, query = text[len(scheme) :].partition("?")
    parts: dict[str, str] = {}
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        if name not in names or name in parts:
            raise UriError(f"the link has an unknown or doubled part, {name[:20]!a}")
        if not _VALUE.fullmatch(value):
            raise UriError(f"the link's {name} is empty or badly escaped")
        parts[name] = _unescape(name, value)
    return subject, parts


def _check_network(parts: dict[str, str], network_id: bytes) -> None:
    if parts.get("network", _network(network_id)).lower() != _network(network_id):
        raise UriError("the link is for another network", "ask for one of this network")


def _check_memo(memo: str) -> None:
    try:
        fits = codec.is_text(memo) and len(memo.encode()) <= codec.MAX_TEXT_BYTES
    except UnicodeEncodeError:
        fits = False
    if not fits:
        hint = f"plain text of at most {codec.MAX_TEXT_BYTES} bytes, on one line"
        raise UriError("the memo cannot stand in an entry", hint)


def _network(network_id: bytes) -> str:
    return network_id.hex()[:NETWORK_DIGITS]


def _escape(text: str) -> str:
    return "".join(chr(byte) if _PLAIN.match(bytes((byte,))) else f"%{byte:02X}" for byte in text.encode())


def _unescape(name: str, value: str) -> str:
    raw = _ESCAPED.sub(lambda match: bytes.fromhex(match[1].decode()), value.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise UriError(f"the link's {name} is not UTF-8 text") from None
