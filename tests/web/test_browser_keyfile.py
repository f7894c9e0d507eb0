"""Wallet files in the browser: what one side writes the other opens, and damage is noticed by both."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

from node import keyfile
from node.keyfile import KeyFile, PlainSeed, SealedSeed, Strength
from node.ledger.signature import public_key_of
from tests.test_keyfile import changed, signed

pytestmark = pytest.mark.acceptance

SEED = bytes(range(32))
PUBLIC_KEY = public_key_of(SEED)
QUICK = Strength(operations=1, memory=8192)
PASSPHRASE = "caf\u00e9 \u2603 \U0001f600"
SEALED = KeyFile(PUBLIC_KEY, keyfile.seal(SEED, PASSPHRASE, QUICK))
PLAIN = KeyFile(PUBLIC_KEY, PlainSeed(SEED))

IMPORT = """
  const {toHex, fromHex} = await import("/static/js/bytes.js");
  const keyfile = await import("/static/js/keyfile.js");
  const {derive} = await import("/static/js/derive.js");
  const {publicKeyOf} = await import("/static/js/signature.js");
  const told = [];
  const work = (passphrase, salt, strength) => derive(passphrase, salt, strength, (part) => told.push(part));
  const outcome = (act) => {
    try { return act(); } catch (error) {
      if (error.code === undefined) { throw error; }
      return `${error.code}: ${error.message}`;
    }
  };
  const later = (promise) => promise.catch((error) => error.code ?? String(error));
  const parsed = (content) => outcome(() => keyfile.parse(content) && "whole");
"""


def run(page: Page, body: str, argument: object) -> Any:  # noqa: ANN401 - JSON
    """Run the body of a function of `given` with the modules of wallet files at hand."""
    return page.evaluate(f"async (given) => {{ {IMPORT} {body} }}", argument)


def opened(page: Page, content: bytes, passphrase: str) -> object:
    """Return the seed that the browser finds in a file, in hexadecimal, or the code of its refusal."""
    return run(
        page,
        """
        const file = keyfile.parse(fromHex(given.content));
        return later(keyfile.unseal(file, given.passphrase, work).then(toHex));
        """,
        {"content": content.hex(), "passphrase": passphrase},
    )


def test_a_file_of_the_node_is_opened_by_its_passphrase_however_the_accent_was_typed(scripts: Page) -> None:
    content = keyfile.render(SEALED)
    assert opened(scripts, content, PASSPHRASE) == SEED.hex()
    assert opened(scripts, content, PASSPHRASE.replace("\u00e9", "e\u0301")) == SEED.hex()
    assert opened(scripts, content, PASSPHRASE + " ") == "wrong-passphrase"
    assert opened(scripts, keyfile.render(PLAIN), "") == SEED.hex()


@pytest.mark.parametrize("strength", [QUICK, keyfile.MODERATE])
def test_a_file_of_the_browser_is_opened_by_the_node(scripts: Page, strength: Strength) -> None:
    made = run(
        scripts,
        """
        const seed = fromHex(given.seed);
        const sealed = await keyfile.seal(seed, given.passphrase, work, given.strength ?? undefined);
        const content = keyfile.render({publicKey: publicKeyOf(seed), sealed});
        return {content: new TextDecoder().decode(content), last: told.at(-1), rising: told.every(
          (part, at) => at === 0 || part >= told[at - 1])};
        """,
        {
            "seed": SEED.hex(),
            "passphrase": PASSPHRASE,
            "strength": None
            if strength is keyfile.MODERATE
            else {"operations": strength.operations, "memory": strength.memory},
        },
    )
    read = keyfile.parse(made["content"].encode())
    assert read.public_key == PUBLIC_KEY
    assert isinstance(read.secret, SealedSeed)
    assert read.secret.strength == strength
    assert keyfile.unseal(read.secret, PASSPHRASE) == SEED
    assert made["rising"]
    assert made["last"] == 1


def test_each_file_is_sealed_with_fresh_salt_and_nonce(scripts: Page) -> None:
    boxes = run(
        scripts,
        """
        const seal = () => keyfile.seal(fromHex(given), "same", work, {operations: 1, memory: 8192});
        const both = await Promise.all([seal(), seal()]);
        return both.map(({salt, box}) => [salt, box.slice(0, 24)].map(toHex));
        """,
        SEED.hex(),
    )
    (one_salt, one_nonce), (other_salt, other_nonce) = boxes
    assert one_salt != other_salt
    assert one_nonce != other_nonce


@pytest.mark.parametrize("key_file", [PLAIN, SEALED])
def test_what_the_node_writes_is_written_the_same_and_any_change_is_noticed(
    scripts: Page, key_file: KeyFile
) -> None:
    content = keyfile.render(key_file)
    found = run(
        scripts,
        """
        const content = fromHex(given);
        const flips = [];
        for (let at = 0; at < 8 * content.length; at += 1) {
          const flipped = content.slice();
          flipped[at >> 3] ^= 1 << (at & 7);
          flips.push(parsed(flipped));
        }
        const torn = Array.from(content, (_, length) => parsed(content.slice(0, length)));
        return {again: toHex(keyfile.render(keyfile.parse(content))),
                missed: [...flips, ...torn].filter((told) => !told.startsWith("wallet-damaged: ")).length};
        """,
        content.hex(),
    )
    assert found == {"again": content.hex(), "missed": 0}


@pytest.mark.parametrize(
    "content, why",
    [
        (b"", "not the JSON"),
        (b"null", "no JSON object"),
        (b"[]", "no JSON object"),
        (b"{}", "checksum"),
        (b"[" * 4000, "not the JSON"),
        (b"9" * 5000, "longer than 4096 bytes"),
        (b"\xef\xbb\xbf" + keyfile.render(PLAIN), "not in the form"),
        (keyfile.render(PLAIN).replace(b"\n", b"\r\n"), "not in the form"),
        (keyfile.render(KeyFile(PUBLIC_KEY, PlainSeed(bytes(32)))), "does not give its public key"),
        (
            signed({"indelible_wallet": 2, "\u00e9": [{"b": True, "a": None}, "\x7f\U0001f600"]}),
            "of version 2",
        ),
        (signed({"indelible_wallet": 1, "public_key": "00"}), "missing or has another length"),
        (changed(SEALED, operations=17), "operations are not between 1 and 16"),
        (changed(SEALED, operations=True), "operations are not between 1 and 16"),
        (changed(SEALED, memory_bytes=8191), "memory is not between 8192 and 1073741824"),
        (changed(SEALED, memory_bytes=2**30 + 1), "memory is not between 8192 and 1073741824"),
        (changed(SEALED, kdf="argon2i"), "not in the form"),
        (changed(SEALED, salt="00"), "missing or has another length"),
    ],
)
def test_what_is_no_whole_wallet_file_is_named(scripts: Page, content: bytes, why: str) -> None:
    told = run(scripts, "return parsed(fromHex(given));", content.hex())
    assert told.startswith("wallet-damaged: ")
    assert why in told
    with pytest.raises((keyfile.Damaged, keyfile.NewerVersion)):
        keyfile.parse(content)
