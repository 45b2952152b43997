// Tables that sort, filter, and are copied as CSV. columns.py says which columns they show and how.
import { CONTENTS, rows, percent, signed, number, element } from "./contents.js";
import { shown, follow } from "./choice.js";

const AT_ONCE = 12; // rows; the others are a click away
const TEXTS = {
  text: String,
  count: value => Math.round(value).toLocaleString("en-US"),
  number,
  percent: value => percent(value),
  points: value => signed(100 * value),
  seconds: value => (value < 100 ? number(value) : Math.round(value).toLocaleString("en-US")),
};
const TO_RIGHT = new Set(["count", "number", "percent", "points", "seconds"]);

// Values by size, texts by alphabet, empty cells last in both directions.
function compared(a = null, b = null, down) {
  if (a === null || b === null) return (a === null) - (b === null);
  const order = typeof a === "string" ? a.localeCompare(b, "en") : a - b;
  return down ? -order : order;
}

const quoted = value => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // not allowed on pages that come from another machine without https
    const area = element("textarea", { value: text });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

// The columns of the hyper-parameters of a sweep, which its points have as JSON in the file.
function ofSweep(name, points) {
  const numbers = key => points.filter(row => row.sweep === name).every(row => typeof row[key] === "number");
  return Object.keys(CONTENTS.sweeps[name].scales).map(key => ({ name: key, label: key.replaceAll("_", " "), kind: numbers(key) ? "number" : "text" }));
}

// Build the table in an element; `sweep`, if it is about one, is the select that says which. Returns a function that
// shows it again.
export function table(place, sweep) {
  const name = place.dataset.table;
  const every = rows(name).map(row => (sweep ? { ...row, ...JSON.parse(row.values) } : row));
  const more = row => !sweep || row.sweep === sweep.value;
  const described = JSON.parse(place.querySelector("script").textContent);
  const known = Object.keys(CONTENTS.tables[name]);
  const own = described.filter(column => known.includes(column.name));
  const rest = known.filter(key => !own.some(column => column.name === key)).map(key => ({ name: key, label: key, kind: "any" }));
  const state = { sorted: null, down: false, whole: false, wide: false };
  const search = element("input", { type: "search", placeholder: "words, or column=value", ariaLabel: `Filter the table ${name}` });
  const copy = element("button", { type: "button" }, "Copy as CSV"), status = element("output", { className: "soft" });
  const wide = element("input", { type: "checkbox" });
  const head = element("tr"), body = element("tbody"), all = element("button", { type: "button", hidden: true });
  place.append(
    element("div", { className: "controls" }, search, copy, ...(rest.length ? [element("label", {}, wide, " all columns")] : []), status),
    element("div", { className: "wide", tabIndex: 0, role: "region", ariaLabel: `Table: ${name}` }, element("table", {}, element("caption", { className: "unseen" }, name), element("thead", {}, head), body)),
    all,
    element("details", { className: "soft" }, element("summary", {}, "What the columns mean"),
      element("dl", {}, ...own.filter(column => column.meaning).flatMap(column => [element("dt", {}, column.label), element("dd", {}, column.meaning)]))));

  // The points of a sweep are about a variant, but are not chosen with it.
  const follows = row => !sweep && row.variant in CONTENTS.variants;
  const columns = () => {
    const [rank, ...others] = own, keys = sweep ? ofSweep(sweep.value, every) : [];
    const further = state.wide ? rest.filter(column => !keys.some(key => key.name === column.name)) : [];
    return [rank, ...keys, ...others, ...further];
  };
  const text = (row, { name: key, kind }) => {
    const value = row[key];
    if (value === null || value === undefined) return "";
    return kind === "any" ? (typeof value === "number" ? number(value) : String(value)) : TEXTS[kind](value);
  };
  const right = (row, { name: key, kind }) => (kind === "any" ? typeof row[key] === "number" : TO_RIGHT.has(kind));

  function found() {
    const names = new Set(shown()), words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = every.filter(row => !follows(row) || names.has(row.variant)).filter(more)
      .filter(row => {
        const shown = columns().map(column => [column.name.toLowerCase(), text(row, column).toLowerCase()]);
        return words.every(word => shown.some(([key, value]) => value.includes(word) || word === `${key}=${value}`));
      });
    const rank = [...names];
    const ordered = kept.sort((a, b) => follows(a) && follows(b) ? rank.indexOf(a.variant) - rank.indexOf(b.variant) : 0);
    const known = columns().some(column => column.name === state.sorted); // a sweep may lack what another one varies
    return known ? ordered.sort((a, b) => compared(a[state.sorted], b[state.sorted], state.down)) : ordered;
  }

  function show() {
    head.replaceChildren(...columns().map(column => {
      const sorted = state.sorted === column.name ? (state.down ? "descending" : "ascending") : "none";
      const button = element("button", { type: "button", title: column.meaning ?? column.name }, column.label);
      button.addEventListener("click", () => {
        state.down = state.sorted === column.name ? !state.down : TO_RIGHT.has(column.kind);
        state.sorted = column.name;
        show();
        head.children[columns().indexOf(column)]?.querySelector("button").focus();
      });
      return element("th", { scope: "col", ariaSort: sorted, className: TO_RIGHT.has(column.kind) ? "right" : "" }, button);
    }));
    const kept = found(), visible = state.whole ? kept : kept.slice(0, AT_ONCE);
    body.replaceChildren(...visible.map(row => element("tr", {}, ...columns().map((column, place) => {
      const cell = element(place ? "td" : "th", { className: right(row, column) ? "right" : "" });
      if (!place) cell.scope = "row";
      const link = column.name === "variant" && CONTENTS.variants[row.variant];
      cell.append(link ? element("a", { href: `#variant=${encodeURIComponent(row.variant)}` }, row.variant) : text(row, column));
      return cell;
    }))));
    all.hidden = visible.length === kept.length;
    all.textContent = `Show all ${kept.length} rows`;
    status.textContent = `${kept.length} of ${every.filter(more).length} rows`;
  }

  search.addEventListener("input", show);
  wide.addEventListener("change", () => { state.wide = wide.checked; show(); });
  all.addEventListener("click", () => { state.whole = true; show(); });
  copy.addEventListener("click", async () => {
    const lines = found().map(row => columns().map(column => quoted(String(row[column.name] ?? ""))));
    const csv = [columns().map(column => column.name), ...lines].map(line => line.join(",")).join("\n");
    status.textContent = (await copied(`${csv}\n`)) ? `Copied ${lines.length} rows.` : "The browser does not allow copying.";
  });
  follow(show);
  return show;
}
