"""What the browser encodes, signs and reads is what the node does: the same golden vectors, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Page

from node.ledger import codec, signature
from node.ledger.address import AddressError, decode_address, encode_address
from node.ledger.amount import AmountError, format_amount, parse_amount
from node.ledger.entry import assemble_entry, decode_entry, unsigned_message
from node.ledger.errors import RuleBroken
from node.payment_uri import Payment, Scale, UriError, parse_payment, payment_uri
from tests.vectors.read import read

pytestmark = pytest.mark.acceptance

LARGEST = 2**53 - 1
NETWORK = bytes(range(32))
SEED = 20_261_122
"""Of the random cases: the same ones each run."""

IMPORT = """
  const {toHex, fromHex} = await import("/static/js/bytes.js");
  const codec = await import("/static/js/codec.js");
  const entry = await import("/static/js/entry.js");
  const address = await import("/static/js/address.js");
  const amount = await import("/static/js/amount.js");
  const signature = await import("/static/js/signature.js");
  const hashing = await import("/static/js/hashing.js");
  const uri = await import("/static/js/uri.js");
  const outcome = (act) => {
    try { return act(); } catch (error) {
      if (error.code === undefined) { throw error; }
      return {code: error.code, message: error.message, hint: error.hint};
    }
  };
"""


def run(page: Page, body: str, argument: object) -> Any:  # noqa: ANN401 - JSON
    """Run the body of a function of `given` with the page's modules at hand."""
    return page.evaluate(f"async (given) => {{ {IMPORT} {body} }}", argument)


def entries() -> dict[str, Any]:
    """Return the golden vectors of entries."""
    return read("entries.json")


def test_golden_entries_are_encoded_signed_and_named_as_by_the_node(scripts: Page) -> None:
    made = run(
        scripts,
        """
        const network = fromHex(given.network_id);
        return given.good.map((good) => {
          const fields = {...good, sender: fromHex(good.sender), recipient: fromHex(good.recipient)};
          const message = entry.messageOf(network, fields);
          const signed = signature.sign(fromHex(good.seed), message);
          const made = entry.assemble(network, message, signed);
          const sender = signature.publicKeyOf(fromHex(good.seed));
          return [message, signed, made.raw, made.txid, sender].map(toHex);
        });
        """,
        entries(),
    )
    parts = ("signed_message", "signature", "entry", "txid", "sender")
    assert made == [[good[part] for part in parts] for good in entries()["good"]]


def test_golden_entries_are_read_back_to_their_fields(scripts: Page) -> None:
    shown = run(
        scripts,
        """
        const network = fromHex(given.network_id);
        return given.good.map((good) => {
          const {raw, txid, signature: signed, ...read} = entry.decodeEntry(fromHex(good.entry));
          const again = entry.decodeMessage(network, entry.signedMessage(network, raw));
          const plain = (fields) =>
            ({...fields, sender: toHex(fields.sender), recipient: toHex(fields.recipient)});
          return {...plain(read), txid: toHex(txid), again: plain(again),
                  valid: signature.verify(read.sender, entry.signedMessage(network, raw), signed)};
        });
        """,
        entries(),
    )
    names = ("sender", "recipient", "amount", "fee", "nonce", "timestamp_ms", "memo")
    for good, found in zip(entries()["good"], shown, strict=True):
        fields = {"version": 1, **{name: good[name] for name in names}}
        assert found == {**fields, "txid": good["txid"], "again": fields, "valid": True}


def test_malformed_entries_are_refused_for_the_same_rule(scripts: Page) -> None:
    codes = run(
        scripts,
        "return given.bad.map((bad) => outcome(() => entry.decodeEntry(fromHex(bad.entry))).code ?? null);",
        entries(),
    )
    assert codes == [bad["rule"] for bad in entries()["bad"]]


def test_signatures_at_the_edges_of_the_rule_are_judged_as_by_the_node(scripts: Page) -> None:
    cases = read("ed25519.json")
    judged = run(
        scripts,
        """
        const signing = given.signing.map(({seed, message}) => [
          signature.publicKeyOf(fromHex(seed)), signature.sign(fromHex(seed), fromHex(message)),
        ].map(toHex));
        const valid = given.cases.map((one) => signature.verify(
          fromHex(one.public_key), fromHex(one.message), fromHex(one.signature)));
        return {signing, valid};
        """,
        cases,
    )
    assert judged["signing"] == [[case["public_key"], case["signature"]] for case in cases["signing"]]
    assert judged["valid"] == [case["valid"] for case in cases["cases"]]


def test_entries_that_their_sender_did_not_sign_are_found_out(scripts: Page) -> None:
    valid = run(
        scripts,
        """
        const network = fromHex(given.network_id);
        return given.bad_signatures.map((bad) => {
          const read = entry.decodeEntry(fromHex(bad.entry));
          return signature.verify(read.sender, entry.signedMessage(network, read.raw), read.signature);
        });
        """,
        entries(),
    )
    assert valid == [False] * len(entries()["bad_signatures"])


def test_the_same_keys_are_payable_as_for_the_wallet(scripts: Page) -> None:
    drawn = random.Random(SEED)
    keys = [drawn.randbytes(32) for _ in range(64)]
    keys += [signature.public_key_of(drawn.randbytes(32)) for _ in range(8)]
    keys += [bytes.fromhex(case["public_key"]) for case in read("ed25519.json")["cases"]]
    payable = run(
        scripts,
        "return given.map((key) => signature.isPayablePoint(fromHex(key)));",
        [key.hex() for key in keys],
    )
    assert payable == [signature.is_payable_point(key) for key in keys]
    assert {True, False} == set(payable)


def random_fields(drawn: random.Random) -> dict[str, Any]:
    """Return the fields of an entry, at the widths where encodings change and between them."""
    edges = (0, 1, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, LARGEST)

    def number() -> int:
        return drawn.choice(edges) if drawn.random() < 0.5 else drawn.randrange(2 ** drawn.randrange(1, 54))

    alphabet = "az09 ~\u00e9\u05d0\u202e\ufeff\ufffd\U0001f600\U0010ffff"
    memo = "".join(drawn.choices(alphabet, k=drawn.choice((0, 1, 7, 8, 31, 32, 60, 64))))
    numbers = {name: min(number(), LARGEST) for name in ("amount", "fee", "nonce", "timestamp_ms")}
    return {**numbers, "memo": memo, "recipient": drawn.randbytes(32), "seed": drawn.randbytes(32)}


def test_random_entries_agree_byte_by_byte(scripts: Page) -> None:
    drawn = random.Random(SEED)
    cases = [random_fields(drawn) for _ in range(300)]
    made = run(
        scripts,
        """
        return given.cases.map((one) => {
          const network = fromHex(given.network);
          const seed = fromHex(one.seed);
          const sender = signature.publicKeyOf(seed);
          const message = entry.messageOf(network, {...one, sender, recipient: fromHex(one.recipient)});
          return toHex(entry.assemble(network, message, signature.sign(seed, message)).raw);
        });
        """,
        {
            "network": NETWORK.hex(),
            "cases": [
                {**case, "recipient": case["recipient"].hex(), "seed": case["seed"].hex()} for case in cases
            ],
        },
    )
    for case, raw in zip(cases, made, strict=True):
        seed = case.pop("seed")
        message = unsigned_message(NETWORK, sender=signature.public_key_of(seed), **case)
        assert assemble_entry(NETWORK, message, signature.sign(seed, message)).raw.hex() == raw


def test_damaged_entries_are_refused_where_the_node_refuses_them(scripts: Page) -> None:
    drawn = random.Random(SEED)
    goods = [bytes.fromhex(good["entry"]) for good in entries()["good"]]
    damaged = [mutated(drawn, drawn.choice(goods)) for _ in range(1_000)]
    codes = run(
        scripts,
        "return given.map((raw) => outcome(() => entry.decodeEntry(fromHex(raw))).code ?? null);",
        [raw.hex() for raw in damaged],
    )
    assert codes == [rule_of(raw) for raw in damaged]


def mutated(drawn: random.Random, raw: bytes) -> bytes:
    """Return the bytes changed at one place, cut, or with more inside."""
    at = drawn.randrange(len(raw))
    return drawn.choice(
        (
            raw[:at] + drawn.randbytes(1) + raw[at + 1 :],
            raw[:at],
            raw[:at] + raw[at + 1 :],
            raw[:at] + drawn.randbytes(drawn.randrange(1, 9)) + raw[at:],
        )
    )


def rule_of(raw: bytes) -> str | None:
    """Return the rule by which the node refuses the bytes, if it does."""
    try:
        decode_entry(raw)
    except RuleBroken as broken:
        return broken.rule.value
    return None


def test_values_have_one_encoding_both_ways(scripts: Page) -> None:
    numbers = [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, LARGEST]
    texts = ["", "x" * 31, "x" * 32, "x" * 255, "x" * 256, "x" * 70_000, "\u00e9\U0001f600"]
    values = [*numbers, *texts, [[]] * 15, [[]] * 16, list(range(70_000)), [1, ["x", [2]]]]
    encoded = run(
        scripts,
        """
        return given.map((value) => {
          const raw = codec.encode(value);
          const same = JSON.stringify(codec.decode(raw)) === JSON.stringify(value);
          return same ? toHex(raw) : "read back as something else";
        });
        """,
        values,
    )
    assert encoded == [codec.encode(value).hex() for value in values]


@pytest.mark.parametrize("value", ["-1", "-0", "1.5", "2**53", "NaN", "null", "true", "({})", '"\\ud800"'])
def test_what_no_record_holds_is_not_encoded(scripts: Page, value: str) -> None:
    made = f"try {{ codec.encode([{value}]); return 'encoded'; }} catch (error) {{ return error.name; }}"
    assert run(scripts, made, None) == "TypeError"


def test_arrays_that_claim_more_than_is_there_are_refused_at_once(scripts: Page) -> None:
    claims = ["ddffffffff", "c6ffffffff", "dbffffffff", "91" * 100_000, "dd00100000" * 1_000, "93" * 1_000]
    codes = run(scripts, "return given.map((raw) => outcome(() => codec.decode(fromHex(raw))).code);", claims)
    assert codes == ["not-canonical"] * len(claims)


def test_golden_inclusion_proofs_give_the_roots(scripts: Page) -> None:
    vectors = read("merkle.json")
    found = run(
        scripts,
        """
        const root = ({index, size, proof}) => {
          const made = hashing.rootFromInclusion(
            fromHex(given.leaf_hashes[index] ?? given.leaf_hashes[0]), index, size, proof.map(fromHex));
          return made === null ? null : toHex(made);
        };
        return {good: given.inclusion.map(root), bad: given.bad_inclusion.map(root)};
        """,
        vectors,
    )
    roots = {case["size"]: case["root"] for case in vectors["roots"]}
    assert found["good"] == [roots[case["size"]] for case in vectors["inclusion"]]
    assert all(
        root is None or root != roots[case["size"]]
        for case, root in zip(vectors["bad_inclusion"], found["bad"], strict=True)
    )


def told(act: Callable[[], object]) -> object:
    """Return what an action gives, or how it is refused, as the browser tells it."""
    try:
        return act()
    except (AddressError, AmountError, UriError) as error:
        return {"code": error.code, "message": error.message, "hint": error.hint}


def test_addresses_agree_both_ways_and_typos_are_told_in_the_same_words(scripts: Page) -> None:
    drawn = random.Random(SEED)
    keys = [drawn.randbytes(32) for _ in range(200)]
    right = [encode_address("bean", key) for key in keys]
    wrong = [typo(drawn, text) for text in right]
    wrong += ["", " ", "bean1", "hello", "12345", "cat1xyz", "bean1\u212a", "b\u0131an1", '"quoted"']
    wrong += ["it's", "\\", "\ufeffbean1", "\x1cbean1", "bean1'\U0001f600", encode_address("other", keys[0])]
    wrong += [f" {right[0]}", f"{right[0]}\n", right[0].upper(), right[0].title(), f"{right[0]}q"]
    wrong += [right[0][:-1], right[0].replace("bean1", "bean")]
    found = run(
        scripts,
        """
        return {
          encoded: given.keys.map((key) => address.encodeAddress("bean", fromHex(key))),
          decoded: given.texts.map((text) => outcome(() => toHex(address.decodeAddress("bean", text)))),
        };
        """,
        {"keys": [key.hex() for key in keys], "texts": right + wrong},
    )
    assert found["encoded"] == right
    for text, outcome in zip(right + wrong, found["decoded"], strict=True):
        assert outcome == told(partial(key_in, text)), text


def key_in(text: str) -> str:
    """Return the key in an address, in hexadecimal."""
    return decode_address("bean", text).hex()


def typo(drawn: random.Random, text: str) -> str:
    """Return the text with one character replaced, doubled, left out or in the other case."""
    at = drawn.randrange(len(text))
    other = drawn.choice("qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1BIO \u00e9\t'\"")
    changed = drawn.choice((other, text[at] * 2, "", text[at].upper()))
    return text[:at] + changed + text[at + 1 :]


AMOUNTS = [
    *["0", "00", "1", "1.5", "1.50", "0.01", "007", "90071992547409.91", "90071992547409.92", "9" * 400],
    *["", " ", " 1", "1 ", "-1", "+1", "+ 1", "1,5", "1.", ".5", ".", "1e3", "0x10", "1.2.3", "1.234"],
    *["1\n", "\u00a01", "1\u2003", "'", "a" * 30, "\U0001f600", "\u0661", "NaN", "Infinity", "1_000"],
    *[
        "\x1c1",
        "\ufeff1",
        "9007199254740991",
        "9007199254740992",
        "0" * 30 + "1",
        "0.000000001",
        "0.00000001",
    ],
]


@pytest.mark.parametrize("decimals", [0, 2, 8])
def test_amounts_agree_and_refusals_use_the_same_words(scripts: Page, decimals: int) -> None:
    values = [0, 1, 99, 100, 101, -1, -150, LARGEST, -LARGEST]
    found = run(
        scripts,
        """
        return {
          parsed: given.texts.map((text) => outcome(() => amount.parseAmount(text, given.decimals))),
          shown: given.values.map((value) => amount.formatAmount(value, given.decimals, "BEAN")),
        };
        """,
        {"texts": AMOUNTS, "values": values, "decimals": decimals},
    )
    assert found["shown"] == [format_amount(value, decimals, "BEAN") for value in values]
    for text, outcome in zip(AMOUNTS, found["parsed"], strict=True):
        assert outcome == told(partial(parse_amount, text, decimals)), text


SCALE = Scale(NETWORK, "bean", 2)
RIGHT = encode_address("bean", bytes(32))


def test_payment_links_of_the_node_are_read_back(scripts: Page) -> None:
    drawn = random.Random(SEED)
    memos = ["", "two coffees", "a&b=c?d#e%20", "caf\u00e9 \U0001f600", "'()*!+,;"]
    payments = [
        Payment(drawn.randbytes(32), amount, memo) for amount in (None, 0, 1_250, LARGEST) for memo in memos
    ]
    found = run(
        scripts,
        "return given.links.map((link) => outcome(() => uri.parsePaymentLink(link, given.network)));",
        {"links": [payment_uri(payment, SCALE) for payment in payments], "network": NETWORK.hex()},
    )
    assert found == [
        {
            "address": encode_address("bean", payment.key),
            "amount": "" if payment.amount is None else format_amount(payment.amount, 2),
            "memo": payment.memo,
        }
        for payment in payments
    ]


@pytest.mark.parametrize(
    "query",
    [
        *[
            "amount=",
            "memo=",
            "amount",
            "&",
            "amount=1&",
            "amount=1&amount=1",
            "to=1",
            "Amount=1",
            "memo=a%2",
        ],
        *[
            "memo=%ff",
            "memo=%c0%80",
            "memo=%ed%a0%80",
            "memo=a b",
            "memo=\u00e9",
            "memo=a?b",
            "memo=a#",
            "=1",
        ],
        *["network=0011", "network=00010203040506", "x" * 30 + "=1", "memo=" + "a" * 1_300, "\U0001f600=1"],
    ],
)
def test_payment_links_are_refused_in_the_same_words(scripts: Page, query: str) -> None:
    text = f"indelible:{RIGHT}?{query}"
    found = run(
        scripts,
        "return outcome(() => uri.parsePaymentLink(given.text, given.network));",
        {"text": text, "network": NETWORK.hex()},
    )
    refused = told(partial(parse_payment, text, SCALE))
    assert isinstance(refused, dict)
    assert found == refused
