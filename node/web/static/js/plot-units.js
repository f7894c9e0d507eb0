/** The unit that a span of time is plotted in. Pure. */

const UNITS = [
  { name: "Hours", scale: 3_600_000, from: 3 * 3_600_000 },
  { name: "Minutes", scale: 60_000, from: 1_000_000 },
];

/**
 * The unit in which the longest of these spans is a number that is read at a glance.
 * @param {(number | null)[]} spans milliseconds @returns {{name: string, scale: number}} milliseconds of one
 */
export function unitOf(spans) {
  const longest = spans.reduce((most, span) => Math.max(most, span ?? 0), 0);
  const { name, scale } = UNITS.find((unit) => longest >= unit.from) ?? { name: "Seconds", scale: 1000 };
  return { name, scale };
}
