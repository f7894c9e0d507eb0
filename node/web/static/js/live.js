// Keeps a page true without a reload: when something happens at the node, the page is fetched again, and those
// parts of it that are marked `data-live` take the place of what they were. The server renders everything once.

import { localise } from "./times.js";

const TELLING = /^(block-connected|switched|entry-|node-here|node-away|missed|too-slow|audit|clock|reorg)/;
const SOONEST = 60;
const APART = 400;

let timer = 0;
let last = 0;
let busy = false;
let again = false;

/** What an element says, whatever this browser made of its times. */
function plain(element) {
  const copy = element.cloneNode(true);
  copy.classList.remove("fresh");
  if (copy.getAttribute("class") === "") copy.removeAttribute("class");
  for (const time of copy.querySelectorAll("time[data-when]")) time.textContent = "";
  return copy.outerHTML;
}

function mergeList(old, fresh) {
  const known = new Map([...old.children].map((child) => [child.dataset.key, child]));
  let grew = 0;
  const children = [...fresh.children].map((child) => {
    const before = known.get(child.dataset.key);
    if (before && plain(before) === plain(child)) return before;
    if (!before) {
      child.classList.add("fresh");
      grew += 1;
    }
    return child;
  });
  const same = children.length === old.children.length && children.every((child, at) => child === old.children[at]);
  if (!same) old.replaceChildren(...children);
  return grew;
}

function take(fresh) {
  for (const element of document.querySelectorAll("[data-live][id]")) {
    const other = fresh.getElementById(element.id);
    if (!other) continue;
    if (element.dataset.live === "list" && other.dataset.live === "list") mergeList(element, other);
    else if (plain(element) !== plain(other)) {
      const holds = element.contains(document.activeElement);
      const focused = holds ? document.activeElement.getAttribute("href") : null;
      element.replaceWith(other);
      if (focused) other.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    }
  }
  localise();
}

async function refresh() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  last = Date.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
    if (answer.headers.get("Content-Type")?.startsWith("text/html")) {
      take(new DOMParser().parseFromString(await answer.text(), "text/html"));
      announce();
    }
  } catch {
    // The page's server is away for a moment: the next event, or its return, brings the next try.
  } finally {
    busy = false;
    if (again) {
      again = false;
      soon();
    }
  }
}

function soon() {
  if (document.hidden) {
    again = true;
    return;
  }
  clearTimeout(timer);
  timer = setTimeout(refresh, Math.max(SOONEST, last + APART - Date.now()));
}

// ------------------------------------------------------------------------------------ for screen readers

let blocks = 0;
let told = Date.now();

/** Say in words what changed: how an entry stands at once, new blocks at most once in half a minute. */
function announce() {
  const place = document.querySelector("[data-announce]");
  if (!place) return;
  const what = place.dataset.announce && document.getElementById(place.dataset.announce);
  if (what) {
    const text = what.textContent.trim().replace(/\s+/g, " ");
    if (place.dataset.said !== undefined && place.dataset.said !== text) place.textContent = text;
    place.dataset.said = text;
  } else if (blocks && Date.now() - told > 30_000) {
    place.textContent = blocks === 1 ? "One new block" : `${blocks} new blocks`;
    blocks = 0;
    told = Date.now();
  }
}

announce();
// From where the page was made on: what has happened since may not be in it.
const source = new EventSource(`/events?after=${encodeURIComponent(document.body.dataset.seen ?? "")}`);
source.onmessage = (message) => {
  const { kind } = JSON.parse(message.data);
  if (kind === "block-connected") blocks += 1;
  if (TELLING.test(kind)) soon();
};
let opened = false;
source.onopen = () => {
  if (opened) soon();
  opened = true;
};
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && again) {
    again = false;
    soon();
  }
});
const every = document.querySelector("[data-refresh]")?.dataset.refresh;
if (every) setInterval(soon, every * 1000);
