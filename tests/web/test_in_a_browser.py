"""The page as people meet it: a real daemon's book in a real browser, every page looked at and used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from node.ledger.address import decode_address
from tests.acceptance.nodes import Lab, Node, connected, until
from tests.building import Key, key
from tests.web.browser import PATIENCE_MS, listen
from tests.web.cafe import CAFE, STRANGER, Cafe, cafe, edit, with_audit

pytestmark = pytest.mark.acceptance

PHONE: Final = {"width": 390, "height": 844}
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
NOBODYS: Final = "0" * 64
AXE: Final = Axe().axe_script


@dataclass(frozen=True, slots=True)
class Shop:
    """The shop's node with its page, beside a friend's; and what stands in the book."""

    node: Node
    book: Cafe
    url: str

    def paths(self) -> dict[str, str]:
        """Return one address of each page, by the page's name."""
        tip, lost = self.book.tip, self.book.parts[1][-1]
        own = self.book.address(CAFE)
        return {
            "home": "/",
            "block": f"/block/{tip.height}",
            "the beginning": "/block/0",
            "a block that lost": f"/block/{lost.hash.hex()}",
            "entry": f"/tx/{tip.entries[-1].txid.hex()}",
            "reward": f"/tx/{tip.coinbase_leaf.hex()}",
            "pending entry": f"/tx/{self.node.call('pending')[0]['txid']}",
            "no entry": f"/tx/{NOBODYS}",
            "account": f"/account/{own}",
            "stranger": f"/account/{self.book.address(STRANGER)}",
            "accounts": "/accounts",
            "pending": "/pending",
            "peers": "/peers",
            "branches": "/tips",
            "plots": "/plots",
            "log": "/log",
            "health": "/health",
            "search": "/search?q=beans",
            "pay": "/pay",
            "check": "/check",
            "counter": "/counter",
            "request": f"/request?to={own}&amount=4.20&memo=one+flat+white",
            "statement": f"/statement/{own}",
            "API": "/api/",
        }

    def receive(
        self, name: str, memo: str = "a flat white", amount: int = 4_20, to: Key | bytes = CAFE
    ) -> str:
        """Have a guest's payment pending; return its txid."""
        return str(self.node.call("submit", entry=self.book.pay(name, memo, amount, to))["txid"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The shop, with a friend and a payment that waits."""
    lab = Lab(tmp_path_factory.mktemp("lab"))
    book = cafe()
    network = lab.network(book.parameters)
    friend = lab.node("anna", "--mine", "off", network=network)
    book.lay(friend.folder, key("anna"))
    node = lab.node("shop", "--mine", "off", network=network, web=True, peers=[friend.address])
    book.lay(node.folder)
    friend.start()
    node.start()
    connected(node, 1)
    made = Shop(node, book, str(until(lambda: node.status()["page"], "the page is there")).rstrip("/"))
    made.receive("emil")
    yield made
    lab.close()
    assert not [one.name for one in lab.nodes if "Traceback" in one.log()]


@pytest.fixture
def context(browser: Browser, shop: Shop) -> Iterator[BrowserContext]:
    """A browser of its own for one test, of a reader in Lisbon."""
    made = browser.new_context(base_url=shop.url, timezone_id="Europe/Lisbon", locale="en-GB")
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab of it; no page may complain: of its scripts, its style, its policy."""
    opened = context.new_page()
    complaints = listen(opened)
    yield opened
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


# ------------------------------------------------------------------------------------------ looked at


def violations(page: Page, *, only: tuple[str, ...] = ()) -> list[str]:
    """Return what axe finds wrong: rule, and the elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    rules = {"type": "rule", "values": only} if only else {"type": "tag", "values": RULES}
    found: dict[str, Any] = page.evaluate(
        "(rules) => axe.run({ resultTypes: ['violations'], runOnly: rules })", rules
    )
    return [
        f"{one['id']}: {[node['html'][:160] for node in one['nodes'][:4]]}" for one in found["violations"]
    ]


def settled_down(page: Page) -> None:
    """Wait until what is drawn stands still: fonts are there, and nothing fades in any more."""
    page.evaluate("""async () => {
        await document.fonts.ready;
        await Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null)));
    }""")


def test_axe_finds_nothing_wrong_with_any_page(page: Page, shop: Shop) -> None:
    found = {}
    for name, path in shop.paths().items():
        page.emulate_media(color_scheme="light")
        page.goto(path)
        settled_down(page)
        found[f"{name}, light"] = violations(page)
        page.emulate_media(color_scheme="dark")
        settled_down(page)
        found[f"{name}, dark"] = violations(page, only=("color-contrast",))
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


SMALL = """() => [...document.querySelectorAll("button, .button, input, select, summary, .tabs a")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }))
    .map((one) => {
        const box = (one.closest("label") ?? one).getBoundingClientRect();
        return [Math.min(box.width, box.height), one.matches("[type=checkbox]") ? 18 : 24, one.outerHTML];
    })
    .filter(([side, least]) => side < least)
    .map(([side, least, html]) => `${Math.round(side)} instead of ${least}: ${html.slice(0, 120)}`)"""


def test_on_a_phone_nothing_is_cut_off_and_a_finger_meets_what_it_means(page: Page, shop: Shop) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]  # a dict that nobody changes
    found = {}
    for name, path in shop.paths().items():
        page.goto(path)
        settled_down(page)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            found[f"{name}, wide"] = [str(width)]
        found[f"{name}, small"] = page.evaluate(SMALL)
        found[name] = violations(page, only=("target-size", "scrollable-region-focusable", "color-contrast"))
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_a_time_is_the_readers_with_utc_beside_it(page: Page, shop: Shop) -> None:
    page.goto(shop.paths()["entry"])
    time = page.locator("time").first
    assert "UTC" in str(time.get_attribute("title"))
    expect(page.locator("[data-zone]")).to_contain_text("Lisbon")


# ----------------------------------------------------------------------------------------- searched


def test_the_search_box_leads_to_whatever_was_typed(page: Page, shop: Shop) -> None:
    tip, own = shop.book.tip, shop.book.address(CAFE)
    txid = tip.entries[0].txid.hex()
    pending = shop.receive("henrik")
    page.goto("/")
    for typed, path in (
        (f"{tip.height}", f"/block/{tip.height}"),
        (tip.hash.hex(), f"/block/{tip.hash.hex()}"),
        (txid, f"/tx/{txid}"),
        (pending, f"/tx/{pending}"),
        (own, f"/account/{own}"),
        ("roastery", f"/account/{shop.book.contacts()['roastery']}"),
    ):
        page.fill("#q", typed)
        page.press("#q", "Enter")
        page.wait_for_url(f"**{path}")
        expect(page.locator("h1")).to_be_visible()


def test_the_search_box_finds_words_of_memos(page: Page, shop: Shop) -> None:
    page.goto("/")
    page.fill("#q", "crois")
    page.press("#q", "Enter")
    expect(page.locator("table.entries .cell-memo").first).to_contain_text("crois")
    page.fill("#q", "nothing of the kind")
    page.press("#q", "Enter")
    expect(page.locator("main")).to_contain_text("no memo has these words")


# -------------------------------------------------------------------------------------------- alive


def test_a_payment_is_seen_pending_and_then_in_the_book_without_a_reload(
    context: BrowserContext, page: Page, shop: Shop
) -> None:
    home = context.new_page()
    home.goto("/")
    home.evaluate("window.same = true")
    txid = shop.receive("chiara", "tiramisu, quickly")
    row = home.locator(f'#newest tr[data-key="{txid}"]')
    expect(row).to_contain_text("pending")
    expect(row).to_contain_text("tiramisu, quickly")
    page.goto(f"/tx/{txid}")
    page.evaluate("window.same = true")
    expect(page.locator("#standing")).to_contain_text("It waits to be mined")
    expect(page.locator(".verdict")).to_contain_text("until a block holds it")
    (block,) = shop.node.call("mine", count=1)
    expect(home.locator("#strip > li").first).to_have_attribute("data-key", block)
    expect(row).to_contain_text(f"block {shop.node.height()}")
    expect(page.locator("#standing")).to_contain_text("1 confirmation")
    expect(page.locator(".verdict")).not_to_contain_text("until a block holds it")
    assert home.evaluate("window.same")
    assert page.evaluate("window.same")


def test_an_edited_copy_is_told_of_in_red_with_what_it_said_and_what_is_proven(
    browser: Browser, tmp_path: Path
) -> None:
    lab = Lab(tmp_path)
    book = cafe(20)
    network = lab.network(book.parameters)
    with_audit(network)
    node = lab.node("shop", "--mine", "off", network=network, web=True)
    book.lay(node.folder)
    edited = next(one for one in book.parts[0][3].entries if one.memo)
    edit(node.folder, edited, 4)
    try:
        node.start()
        page = browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        complaints = listen(page)
        page.goto(f"{until(lambda: node.status()['page'], 'the page is there')}health")
        finding = page.locator("article.finding")
        expect(finding.locator("h3.bad")).to_contain_text("Block 4")
        expect(finding).to_contain_text(f"{edited.memo[:-3]}???")
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            settled_down(page)
            assert violations(page) == []
        page.goto(str(node.status()["page"]))
        expect(page.locator("#pulse a.bad")).to_contain_text("finding")
        assert complaints == []
        page.close()
    finally:
        lab.close()


# --------------------------------------------------------------------------------------- by keyboard

FOCUS = """() => {
    const one = document.activeElement, box = one.getBoundingClientRect(), style = getComputedStyle(one);
    return {
        id: one.id, text: one.textContent.trim(), tag: one.tagName,
        seen: box.width > 0 && box.bottom > 0 && box.top < innerHeight && box.right > 0,
        marked: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
    };
}"""


def tab_to(page: Page, id_: str = "", text: str = "", most: int = 60) -> list[str]:
    """Press Tab until an element has the focus; return the texts on the way, each in sight and marked."""
    passed = []
    for _ in range(most):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        assert focus["seen"], focus
        assert focus["marked"], focus
        passed.append(focus["text"])
        if (id_ and focus["id"] == id_) or (text and focus["text"] == text):
            return passed
    raise AssertionError(f"{id_ or text} is not reached; passed {passed}")


def test_the_first_tab_skips_to_the_content_and_the_order_is_that_of_the_page(page: Page) -> None:
    page.goto("/")
    assert tab_to(page, text="Skip to the content") == ["Skip to the content"]
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.goto("/")
    passed = tab_to(page, text="Health")
    tabs = page.locator(".tabs a").all_inner_texts()
    assert passed == ["Skip to the content", "Indelible", "", "Search", *tabs]


def test_a_payment_can_be_made_without_a_mouse(page: Page, shop: Shop) -> None:
    page.goto("/pay")
    tab_to(page, text="Make a new key")
    page.keyboard.press("Enter")
    expect(page.locator("#key-unsaved")).to_be_visible()
    address = page.locator("#key-address").inner_text()
    shop.receive("grace", "for your first cup", 10_00, decode_address("cup", address))
    shop.node.call("mine", count=1)
    expect(page.locator("#key-balance")).to_have_text("10.00 CUP")
    tab_to(page, "to")
    page.keyboard.type("cafe")
    tab_to(page, "amount")
    page.keyboard.type("4.20")
    tab_to(page, "memo")
    page.keyboard.type("one flat white")
    page.keyboard.press("Enter")
    expect(page.locator("#review-amount")).to_have_text("4.20 CUP")
    expect(page.locator("#review-title")).to_be_focused()
    tab_to(page, "sign")
    page.keyboard.press("Enter")
    expect(page.locator("#step-pending")).to_have_attribute("data-state", "done")
    shop.node.call("mine", count=1)
    expect(page.locator("#step-confirmed")).to_have_attribute("data-state", "done")
    expect(page.locator("#key-balance")).to_have_text("5.79 CUP")
