// Plots over time, drawn by uPlot from /plots/data; colours and fonts are the style sheet's.

import { unitOf } from "./plot-units.js";

const { uPlot } = window; // a classic script, loaded before this one

const { symbol, decimals } = document.body.dataset;
const units = 10 ** Number(decimals);
const frame = document.getElementById("plots");
const status = document.getElementById("plots-status");
const place = document.getElementById("plots-table");
const short = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 2 });
const plain = new Intl.NumberFormat();
const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: Number(decimals), maximumFractionDigits: Number(decimals) });

const KINDS = {
  takings: { title: `Takings (${symbol})`, bars: true, scale: units, show: (value) => money.format(value) },
  entries: { title: "Entries", bars: true, scale: 1, show: (value) => plain.format(value) },
  amount: { title: `Turnover (${symbol})`, bars: true, scale: units, show: (value) => money.format(value) },
  interval_ms: { show: (value) => short.format(value) }, // its title and scale: see kindOf
  difficulty: { title: "Difficulty (hashes)", scale: 1, show: (value) => short.format(value) },
  hashrate: { title: "Hash rate (hashes a second)", scale: 1, show: (value) => short.format(value) },
};

/** A series' kind; the unit of a time is that of the figures at hand. */
function kindOf(name, values) {
  const kind = KINDS[name];
  if (name !== "interval_ms") return kind;
  const unit = unitOf(values);
  return { ...kind, title: `${unit.name} between blocks`, scale: unit.scale };
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const year = new Intl.DateTimeFormat(undefined, { year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Words under the ticks: the time within a day, else the day; with the day or the year where it changes. */
function ticksOf(ticks) {
  let before = "";
  return ticks.map((tick) => {
    const moment = tick * 1000;
    const fine = ticks.length > 1 && ticks[1] - ticks[0] < 86400;
    const [small, large] = fine ? [clock.format(moment), day.format(moment)] : [day.format(moment), year.format(moment)];
    const shown = large === before ? small : `${small}\n${large}`;
    before = large;
    return shown;
  });
}

const drawn = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function draw(section, times, values) {
  const kind = kindOf(section.dataset.plot, values);
  drawn.get(section)?.destroy();
  drawn.delete(section);
  section.querySelector(".plots-empty")?.remove();
  if (times.length < 1 || values.every((value) => value === null)) {
    const none = document.createElement("p");
    none.className = "plots-empty";
    none.textContent = "Nothing to draw yet.";
    section.append(none);
    return;
  }
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: `12px ${colour("--sans")}`,
  };
  const alone = times.length === 1;
  const step = times.length > 1 ? times[1] - times[0] : 86400;
  const options = {
    width: Math.max(240, section.clientWidth - 40),
    height: 210,
    cursor: { y: false },
    scales: {
      x: kind.bars || alone ? { range: (_, low, high) => [low - step, high + step] } : {},
      y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
    },
    axes: [{ ...axis, values: (_, ticks) => ticksOf(ticks) }, { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => short.format(tick)) }],
    series: [
      { label: "Time", value: (_, time) => (time === null || time === undefined ? "–" : full.format(time * 1000)) },
      {
        label: kind.title,
        stroke: colour("--accent"),
        fill: kind.bars ? colour("--accent-soft") : undefined,
        width: 1.75,
        points: { show: times.length < 60 && !kind.bars, fill: colour("--accent") },
        paths: kind.bars ? uPlot.paths.bars({ size: [0.7, 48] }) : undefined,
        value: (_, value) => (value === null || value === undefined ? "–" : kind.show(value)),
      },
    ],
  };
  drawn.set(section, new uPlot(options, [times, values.map((value) => (value === null ? null : value / kind.scale))], section));
}

function fill(data) {
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.textContent = "The last thirty points, the newest first";
  const head = table.createTHead().insertRow();
  const names = Object.keys(KINDS).filter((name) => name !== "takings" || frame.dataset.account);
  const kinds = new Map(names.map((name) => [name, kindOf(name, data[name])]));
  for (const title of ["Time", ...names.map((name) => kinds.get(name).title)]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    if (title !== "Time") cell.className = "number";
    head.append(cell);
  }
  const body = table.createTBody();
  for (let at = data.time.length - 1; at >= Math.max(0, data.time.length - 30); at -= 1) {
    const row = body.insertRow();
    const time = document.createElement("th");
    time.scope = "row";
    time.textContent = full.format(data.time[at] * 1000);
    row.append(time);
    for (const name of names) {
      const cell = row.insertCell();
      cell.className = "number";
      const value = data[name][at];
      cell.textContent = value === null ? "–" : kinds.get(name).show(value / kinds.get(name).scale);
    }
  }
  place.replaceChildren(table);
}

let newest = null;

function redraw() {
  if (newest === null) return;
  for (const section of frame.querySelectorAll("[data-plot]")) {
    const values = newest[section.dataset.plot];
    section.hidden = newest.time.length > 0 && values.every((value) => value === null);
    if (!section.hidden) draw(section, newest.time, values);
  }
}

async function load() {
  const by = new FormData(document.getElementById("by")).get("by");
  const asked = new URLSearchParams({ by, offset: String(Math.round(-new Date().getTimezoneOffset() / 60)) });
  if (frame.dataset.account) asked.set("account", frame.dataset.account);
  try {
    const answer = await fetch(`/plots/data?${asked}`);
    if (!answer.ok) throw new Error(String(answer.status));
    newest = await answer.json();
    redraw();
    fill(newest);
    status.textContent = `Plots by ${by} are drawn`;
  } catch {
    status.textContent = "The figures could not be loaded";
  }
}

document.getElementById("by").addEventListener("change", load);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) {
    width = innerWidth;
    redraw();
  }
});
load();
