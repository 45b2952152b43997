// What the report holds, as contents.py writes it, and how its numbers are written.

export const CONTENTS = JSON.parse(document.getElementById("contents").textContent);

// The rows of a table as objects.
export const rows = name => fromColumns(CONTENTS.tables[name]);

export function fromColumns(table) {
  const columns = Object.entries(table);
  const count = columns.length ? columns[0][1].length : 0;
  return Array.from({ length: count }, (_, place) => Object.fromEntries(columns.map(([key, values]) => [key, values[place]])));
}

export const percent = (share, digits = 2) => (100 * share).toFixed(digits);
export const signed = value => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
export const number = value => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));

// Seconds in the usual units, as tables/text.py writes them.
export function duration(seconds) {
  if (seconds < 10) return `${Number(seconds.toPrecision(2))} s`;
  const whole = Math.round(seconds), minutes = Math.floor(whole / 60);
  if (minutes < 60) return minutes ? `${minutes} min${whole % 60 ? ` ${whole % 60} s` : ""}` : `${whole} s`;
  const all = Math.round(seconds / 60);
  return `${Math.floor(all / 60)} h${all % 60 ? ` ${all % 60} min` : ""}`;
}

// A mean in percent with its interval.
export const interval = (mean, low, high) =>
  percent(mean) + " %" + (low === null ? "" : ` (95 %: ${percent(low)} to ${percent(high)})`);

// An element with attributes and children.
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes))
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  made.append(...children);
  return made;
}
