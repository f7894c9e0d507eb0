// The log as it happens: new lines on top, those of the level that is chosen, the oldest dropped.

import { localise } from "./times.js";

const MOST = 400;
const RANK = { debug: 0, info: 0, warning: 1, error: 2 };

const list = document.getElementById("log");
const level = document.getElementById("level");
const hold = document.getElementById("hold");
const state = document.getElementById("log-state");
const empty = document.getElementById("log-empty");
const held = [];

function lineOf({ time_ms: time, level: name, text }) {
  const line = document.createElement("li");
  line.className = `${name} fresh`;
  line.dataset.level = name;
  const when = document.createElement("time");
  when.dateTime = new Date(time).toISOString();
  when.title = when.dateTime.replace("T", " ").replace("Z", " UTC");
  when.dataset.when = "clock";
  const said = document.createElement("bdi");
  said.textContent = text;
  line.append(when, " ");
  if (RANK[name] > 0) {
    const badge = document.createElement("span");
    badge.className = `badge ${name === "error" ? "bad" : "warn"}`;
    badge.textContent = name;
    line.append(badge, " ");
  }
  line.append(said);
  return line;
}

function show() {
  for (const line of list.children) line.hidden = RANK[line.dataset.level] < RANK[level.value];
  empty.hidden = [...list.children].some((line) => !line.hidden);
}

function add(events) {
  list.prepend(...events.map(lineOf).reverse());
  while (list.children.length > MOST) list.lastElementChild.remove();
  localise(list);
  show();
}

for (const button of document.querySelectorAll("[data-without-script]")) button.remove();
hold.hidden = false;
hold.addEventListener("click", () => {
  const holding = hold.getAttribute("aria-pressed") !== "true";
  hold.setAttribute("aria-pressed", String(holding));
  if (!holding) add(held.splice(0));
});
level.addEventListener("change", show);

const source = new EventSource("/events");
source.onopen = () => { state.textContent = "live"; };
source.onerror = () => { state.textContent = "not connected; trying again"; };
source.onmessage = (message) => {
  const event = JSON.parse(message.data);
  if (hold.getAttribute("aria-pressed") !== "true") add([event]);
  else if (held.length < MOST) held.push(event);
};
show();
