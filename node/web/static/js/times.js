// Times in the reader's own zone. The server writes UTC, which stays as the title, and stands alone without scripts.

const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const short = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const apart = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });

const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

/** How long ago a moment was, in words of the reader's language; `moment` and `now` in milliseconds. */
export function ago(moment, now = Date.now()) {
  const seconds = Math.round((moment - now) / 1000);
  const [unit, length] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS[3];
  return apart.format(Math.trunc(seconds / length), unit);
}

function text(element, moment) {
  switch (element.dataset.when) {
    case "ago": return ago(moment);
    case "clock": return clock.format(moment);
    case "near": return new Date(moment).toDateString() === new Date().toDateString() ? clock.format(moment) : short.format(moment);
    case "day": return day.format(moment);
    default: return full.format(moment);
  }
}

/** Rewrite every `<time data-when>` below `root` in the reader's zone. */
export function localise(root = document) {
  for (const element of root.querySelectorAll("time[data-when]")) {
    const moment = Date.parse(element.dateTime);
    if (Number.isNaN(moment)) continue;
    const shown = text(element, moment);
    if (element.textContent !== shown) element.textContent = shown;
  }
}

/** Name the reader's zone wherever the page says which one it uses. */
export function nameZone(root = document) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const element of root.querySelectorAll("[data-zone]")) element.textContent = zone ?? "your zone";
}
