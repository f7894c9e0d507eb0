"""Paying from the page of a real node: the key stays in the browser, the entry is watched into the book."""

from __future__ import annotations

import base64
import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote, quote_plus, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, Request, Route, expect

from node import keyfile
from node.keyfile import KeyFile, SealedSeed, Strength
from node.ledger.address import encode_address
from node.ledger.block import network_id
from node.ledger.entry import Entry, assemble_entry, decode_entry, signed_message, unsigned_message
from node.ledger.signature import public_key_of, sign
from tests.acceptance.nodes import QUICK, Lab, Node, until
from tests.web.browser import PATIENCE_MS, STATIC, listen

pytestmark = pytest.mark.acceptance

DRAWN = random.Random(20_261_122)
SEED = DRAWN.randbytes(32)
KEY = public_key_of(SEED)
ADDRESS = encode_address("test", KEY)
FRIEND = public_key_of(DRAWN.randbytes(32))
FRIENDS = encode_address("test", FRIEND)
PASSPHRASE = "caf\u00e9 & cream"
SEALED = keyfile.seal(SEED, PASSPHRASE, Strength(operations=1, memory=8192))
UNPROTECTED = "Object.defineProperty(Crypto.prototype, 'subtle', {get: () => undefined});"
"""What a browser does on plain HTTP off loopback: there is no WebCrypto but for randomness."""
EXPECTED = ("Failed to load resource", "The Cross-Origin-Opener-Policy header has been ignored")
"""What Chromium says of each refused request, which `asked` looks at, and of plain HTTP under a name."""
NETWORK = replace(QUICK, name="paying", allocations=((KEY, 100_00),))
NETWORK_ID = network_id(NETWORK)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node with its page, whose genesis gave the payer 100.00; it mines when it is told to."""
    with closing(Lab(tmp_path_factory.mktemp("lab"))) as lab:
        network = lab.network(NETWORK)
        text = network.read_text(encoding="utf-8")
        assert "\n[node]\n" in text
        network.write_text(
            text.replace("\n[node]\n", '\n[node]\nweb_names = ["shop.test"]\n'), encoding="utf-8"
        )
        started = lab.node("shop", "--mine", "off", network=network, web=True)
        started.folder.mkdir(mode=0o700)
        (started.folder / "contacts.toml").write_text(f'friend = "{FRIENDS}"\n', encoding="utf-8")
        started.start()
        until(lambda: started.status()["page"], "the page is there")
        yield started


@dataclass
class Asked:
    """Every request of a browser, with its headers and body. Not slotted: Playwright marks its listeners."""

    requests: list[Request] = field(default_factory=list)

    def add(self, request: Request) -> None:
        """Record one more."""
        self.requests.append(request)

    def of(self, method: str, path: str) -> list[Request]:
        """Return the requests of a method to a path."""
        return [one for one in self.requests if (one.method, urlsplit(one.url).path) == (method, path)]

    def leaked(self, *secrets: bytes) -> list[bytes]:
        """Return whatever left the browser and holds one of these, in any form."""
        looked_for = [form.lower() for secret in secrets for form in forms(secret)]
        return [text for text in self.texts() if any(form in text.lower() for form in looked_for)]

    def texts(self) -> Iterator[bytes]:
        """Yield whatever left the browser."""
        for request in self.requests:
            yield request.url.encode()
            yield from (f"{name}: {value}".encode() for name, value in request.all_headers().items())
            yield request.post_data_buffer or b""


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own for one test, with nothing kept in it."""
    made = browser.new_context()
    made.add_init_script(UNPROTECTED)
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def asked(context: BrowserContext) -> Iterator[Asked]:
    """All requests of the test; none of them may hold anything secret."""
    recorded = Asked()
    context.on("request", recorded.add)
    yield recorded
    assert len(recorded.requests) > 10
    assert recorded.leaked(SEED, PASSPHRASE.encode(), SEALED.box, SEALED.salt) == []
    assert context.service_workers == []
    for request in recorded.requests:
        method, path = request.method, urlsplit(request.url).path
        answer = request.response() if method == "GET" and path != "/events" else None
        assert method == "GET" or (method, path) == ("POST", "/api/tx"), f"{method} {path}"
        assert answer is None or answer.status < 400, f"{path}: {answer.status}"


def forms(secret: bytes) -> set[bytes]:
    """Return a secret in the forms in which it could be sent: raw, hexadecimal, base64, percent-encoded."""
    encoded = {base64.b64encode(secret), base64.urlsafe_b64encode(secret)}
    quoted = {quote(secret).encode(), quote_plus(secret).encode()}
    numbers = json.dumps(list(secret)).encode()
    return {secret, secret.hex().encode(), numbers, numbers.replace(b" ", b""), *quoted} | {
        form.rstrip(b"=") for form in encoded
    }


@pytest.fixture
def page(context: BrowserContext, asked: Asked, node: Node) -> Iterator[Page]:
    """The page to pay from, with nothing typed yet; it may not complain."""
    opened = context.new_page()
    complaints = listen(opened)
    opened.goto(url(node))
    yield opened
    assert [text for text in complaints if not text.startswith(EXPECTED)] == []


def url(node: Node, query: str = "") -> str:
    """Return where to pay."""
    return f"{node.status()['page']}pay{query}"


def open_wallet(page: Page, folder: Path, passphrase: str = PASSPHRASE) -> None:
    """Open the payer's wallet file."""
    path = folder / "wallet.json"
    path.write_bytes(keyfile.render(KeyFile(KEY, SEALED)))
    page.set_input_files("#open-file", path)
    page.fill("#open-passphrase", passphrase)
    page.click("#open button")


def with_key(page: Page, folder: Path) -> Page:
    """Open the payer's wallet file, and wait until it is open."""
    open_wallet(page, folder)
    expect(page.locator("#key-address")).to_have_text(ADDRESS)
    return page


def review(page: Page, to: str, amount: str, memo: str = "") -> None:
    """Type a payment, and look it over."""
    page.fill("#to", to)
    page.fill("#amount", amount)
    page.fill("#memo", memo)
    page.click("#draft button")


def now_ms() -> int:
    """Return the time by this machine's clock."""
    return time.time_ns() // 1_000_000


def facts(page: Page, id_: str) -> dict[str, str]:
    """Return a list of facts as it is shown."""
    names, values = (page.locator(f"#{id_} {tag}").all_inner_texts() for tag in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def sent_entry(asked: Asked) -> Entry:
    """Return the entry that was handed in last: the whole body of the request."""
    body = asked.of("POST", "/api/tx")[-1].post_data_buffer
    assert body is not None
    return decode_entry(body)


def confirmed(node: Node, page: Page) -> None:
    """Mine what is pending, and see it on the page that is open."""
    node.call("mine", count=1)
    expect(page.locator("#step-confirmed")).to_have_attribute("data-state", "done")


def test_a_payment_is_signed_here_seen_pending_and_then_in_the_book(
    page: Page, node: Node, asked: Asked, tmp_path: Path
) -> None:
    page.evaluate("window.same = true")
    with_key(page, tmp_path)
    expect(page.locator("#key-balance")).to_have_text("100.00 TEST")
    review(page, FRIENDS, "2.50", "two espressos \u202e")
    expect(page.locator("#review")).to_be_visible()
    shown = facts(page, "review-facts")
    assert page.inner_text("#review-amount") == "2.50 TEST"
    assert (shown["To"], shown["From"]) == (f"friend {FRIENDS}", ADDRESS)
    assert (shown["Fee"], shown["Leaves your account"]) == ("0.01 TEST", "2.51 TEST")
    assert (shown["What for"], shown["Your entry number"]) == ("two espressos \\u202e", "0")
    assert asked.of("POST", "/api/tx") == []
    page.click("#sign")
    expect(page.locator("#step-pending")).to_have_attribute("data-state", "done")
    (entry,) = node.call("pending")
    made = sent_entry(asked)
    assert (entry["txid"], made.memo) == (made.txid.hex(), "two espressos \u202e")
    assert (made.sender, made.recipient, made.amount, made.fee) == (KEY, FRIEND, 250, 1)
    assert page.locator("#review-bytes").text_content() == signed_message(NETWORK_ID, made.raw).hex()
    confirmed(node, page)
    expect(page.locator("#sent-what")).to_contain_text("In block 1")
    expect(page.locator("#key-balance")).to_have_text("97.49 TEST")
    assert page.evaluate("window.same") is True  # nothing was loaded again


def test_what_is_looked_over_is_read_from_the_bytes_and_not_from_the_form(page: Page, tmp_path: Path) -> None:
    text = (STATIC / "js" / "entry.js").read_text(encoding="utf-8")
    altered = text.replace(
        "sender, recipient, amount, fee, nonce", "sender, sender, amount + 7, fee, nonce", 2
    )
    altered = altered.replace("{ sender, sender, amount + 7, fee", "{ sender, recipient, amount, fee")
    assert altered != text
    page.route("**/js/entry.js", lambda route: route.fulfill(body=altered, content_type="text/javascript"))
    page.reload()
    review(with_key(page, tmp_path), FRIENDS, "2.50")
    expect(page.locator("#review-amount")).to_have_text("2.57 TEST")
    assert facts(page, "review-facts")["To"] == ADDRESS


@pytest.mark.parametrize("passphrase, why", [("wrong", "The passphrase is wrong"), ("", "has a passphrase")])
def test_a_wrong_passphrase_opens_nothing(page: Page, tmp_path: Path, passphrase: str, why: str) -> None:
    open_wallet(page, tmp_path, passphrase)
    expect(page.locator("#open-passphrase-error")).to_contain_text(why)
    expect(page.locator("#open-passphrase")).to_be_focused()
    expect(page.locator("#key-opened")).to_be_hidden()


def test_a_new_key_is_saved_sealed_and_kept_only_when_asked_to(page: Page, node: Node, asked: Asked) -> None:
    passphrase = "correct horse battery staple"
    page.click("#make button")
    expect(page.locator("#key-unsaved")).to_be_visible()
    address = page.inner_text("#key-address")
    page.fill("#save-passphrase", passphrase)
    page.fill("#save-again", "another")
    page.click("#save button")
    expect(page.locator("#save-again-error")).to_contain_text("differ")
    assert page.evaluate("localStorage.length") == 0
    page.fill("#save-again", passphrase)
    page.check("#save-keep")
    with page.expect_download() as download:
        page.click("#save button")
    content = download.value.path().read_bytes()
    saved = keyfile.parse(content)
    assert encode_address("test", saved.public_key) == address
    assert isinstance(saved.secret, SealedSeed)
    assert saved.secret.strength == keyfile.MODERATE
    seed = keyfile.unseal(saved.secret, passphrase)
    assert public_key_of(seed) == saved.public_key
    assert page.evaluate("localStorage.getItem('indelible.wallet')") == content.decode()
    expect(page.locator("#key-unsaved")).to_be_hidden()
    page.reload()
    expect(page.locator("#kept-address")).to_have_text(address)
    page.fill("#kept-passphrase", passphrase)
    page.click("#kept button[type=submit]")
    expect(page.locator("#key-address")).to_have_text(address)
    assert asked.leaked(seed, passphrase.encode(), saved.secret.box) == []


def test_a_leak_would_be_seen_wherever_it_is(context: BrowserContext, node: Node) -> None:
    recorded = Asked()
    context.on("request", recorded.add)
    page = context.new_page()
    page.goto(url(node))
    assert recorded.leaked(SEED, PASSPHRASE.encode()) == []
    page.evaluate(
        """async ([hex, base64, passphrase]) => {
          await fetch(`/pay/entry/${hex}`);
          await fetch("/pay", {headers: {"X-Held": base64}});
          await fetch("/api/tx", {method: "POST", body: passphrase});
        }""",
        [SEED.hex(), base64.b64encode(SEED).decode(), PASSPHRASE],
    )
    assert len(recorded.leaked(SEED)) == 2
    assert len(recorded.leaked(PASSPHRASE.encode())) == 1


def test_a_key_that_is_saved_nowhere_is_not_closed_unasked(page: Page) -> None:
    asked_about: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked_about.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.click("#make button")
    page.click("#key-close")
    assert len(asked_about) == 1
    expect(page.locator("#key-opened")).to_be_visible()


@pytest.mark.parametrize(
    "to, amount, memo, wrong, why",
    [
        (FRIENDS[:-1] + "q", "1", "", "to", "checksum"),
        (encode_address("bean", FRIEND), "1", "", "to", "another network"),
        ("nobody", "1", "", "to", "not an address"),
        (encode_address("test", bytes(32)), "1", "", "to", "could never be spent"),
        (encode_address("test", bytes(31) + b"\xff"), "1", "", "to", "could never be spent"),
        (f"indelible:{FRIENDS}?network=0011223344556677", "1", "", "to", "another network"),
        (FRIENDS, "1,50", "", "amount", "comma"),
        (FRIENDS, "0.001", "", "amount", "finer"),
        (FRIENDS, "1", "\u00e9" * 129, "memo", "258 bytes, at most 256"),
    ],
)
def test_what_cannot_be_paid_is_told_at_its_field(
    page: Page, to: str, amount: str, memo: str, wrong: str, why: str
) -> None:
    review(page, to, amount, memo)
    expect(page.locator(f"#{wrong}-error")).to_contain_text(why)
    expect(page.locator(f"#{wrong}")).to_be_focused()
    assert page.get_attribute(f"#{wrong}", "aria-invalid") == "true"
    expect(page.locator("#review")).to_be_hidden()


def test_without_a_key_nothing_is_looked_over(page: Page) -> None:
    review(page, "friend", "1")
    expect(page.locator("#draft-error")).to_contain_text("no key")
    expect(page.locator("#key-title")).to_be_focused()


def test_the_form_is_filled_from_a_link(page: Page, node: Node, tmp_path: Path) -> None:
    link = f"indelible:{FRIENDS}?amount=1.25&memo=a%20%26%20b&network={NETWORK_ID.hex()[:16]}"
    for query in (f"?to={FRIENDS}&amount=1.25&memo=a+%26+b", f"?to={quote(link, safe='')}"):
        page.goto(url(node, query))
        with_key(page, tmp_path)
        page.click("#draft button")
        expect(page.locator("#review-amount")).to_have_text("1.25 TEST")
        assert facts(page, "review-facts")["What for"] == "a & b"
        page.click("#back")
        expect(page.locator("#amount")).to_be_focused()


def test_what_the_node_refuses_is_told_with_its_hint(page: Page, tmp_path: Path) -> None:
    with_key(page, tmp_path)
    review(page, "friend", "1000")
    expect(page.locator("#review-short")).to_contain_text("1000.01 TEST")
    page.click("#sign")
    expect(page.locator("#review-error")).to_contain_text("TEST")
    expect(page.locator("#sign")).to_be_enabled()


def test_an_entry_number_that_was_taken_meanwhile_is_replaced_by_the_next(
    page: Page, node: Node, asked: Asked, tmp_path: Path
) -> None:
    with_key(page, tmp_path)
    review(page, "friend", "0.10", "second")
    expect(page.locator("#review")).to_be_visible()
    number = facts(page, "review-facts")["Your entry number"]
    first = unsigned_message(
        NETWORK_ID,
        sender=KEY,
        recipient=FRIEND,
        amount=0,
        fee=1,
        nonce=int(number),
        timestamp_ms=now_ms(),
        memo="",
    )
    node.call("submit", entry=assemble_entry(NETWORK_ID, first, sign(SEED, first)).raw.hex())
    page.click("#sign")
    expect(page.locator("#step-pending")).to_have_attribute("data-state", "done")
    made = sent_entry(asked)
    assert (made.nonce, made.amount, made.memo) == (int(number) + 1, 10, "second")
    assert len(asked.of("POST", "/api/tx")) == 2
    confirmed(node, page)


def test_an_answer_that_got_lost_does_not_make_two_payments(
    page: Page, node: Node, asked: Asked, tmp_path: Path
) -> None:
    with_key(page, tmp_path)
    review(page, "friend", "0.20")
    lost: list[Route] = []

    def lose(route: Route) -> None:
        if lost:
            route.continue_()
        else:
            lost.append(route)
            assert route.fetch().ok
            route.abort()

    page.route("**/api/tx", lose)
    page.click("#sign")
    expect(page.locator("#review-error")).to_contain_text("does not answer")
    page.click("#sign")
    expect(page.locator("#step-pending")).to_have_attribute("data-state", "done")
    one, other = asked.of("POST", "/api/tx")
    assert one.post_data_buffer == other.post_data_buffer
    assert len(node.call("pending")) == 1
    confirmed(node, page)


def test_a_phone_on_plain_http_pays_too_and_is_told_what_that_means(
    page: Page, node: Node, asked: Asked, tmp_path: Path
) -> None:
    expect(page.locator("#plain-http")).to_be_hidden()
    page.goto(url(node).replace("127.0.0.1", "shop.test"))
    assert page.evaluate("isSecureContext") is False
    expect(page.locator("#plain-http")).to_be_visible()
    assert page.locator("#contacts option").count() == 0  # the owner's names are not for viewers elsewhere
    review(with_key(page, tmp_path), FRIENDS, "0.30")
    page.click("#sign")
    expect(page.locator("#step-pending")).to_have_attribute("data-state", "done")
    assert sent_entry(asked).amount == 30
    confirmed(node, page)


def test_nothing_typed_on_the_page_has_a_name_by_which_a_form_could_send_it(page: Page) -> None:
    assert page.locator("#pay :is(input, select, textarea, button)[name]").count() == 0
    assert page.locator("#pay form[action], #pay form[method]").count() == 0


def test_the_page_that_checks_receipts_is_served_as_it_is_saved(
    context: BrowserContext, node: Node, tmp_path: Path
) -> None:
    node.call("mine", count=1)
    (reward, *_) = node.call("history", address=node.status()["address"], limit=1)
    page = context.new_page()
    complaints = listen(page)
    page.goto(str(node.status()["page"]) + "check")
    path = tmp_path / "receipt.json"
    path.write_bytes(context.request.get(f"{node.status()['page']}api/receipt/{reward['txid']}").body())
    page.set_input_files("#receipt", path)
    page.fill("#trust", node.tip())
    page.press("#trust", "Enter")
    expect(page.locator("#verdict-title")).to_have_text("In order, and anchored")
    assert complaints == []
