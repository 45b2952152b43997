// Charts: which rows each of charts.py shows, of the chosen variants.
import { CONTENTS, rows, percent, signed, interval, number, duration } from "./contents.js";
import { shown, follow } from "./choice.js";

// Errors in percent with a tick; labels are accuracies.
const ERRORS = [90, 70, 50, 30, 20, 10, 5, 3, 2, 1, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01];
const FEW = 6; // variants whose lines are told apart in one chart
const COSTS = { train_seconds_mean: "training time of a seed, s", parameters: "trainable parameters", steps: "training steps" };
const SPECIFICATIONS = JSON.parse(document.getElementById("charts").textContent);

const error = share => 100 * (1 - share);
// Where errors of zero are drawn on a logarithmic axis: below the smallest other one. The first key decides.
function floored(found, keys) {
  const above = found.map(row => row[keys[0]]).filter(value => value > 0);
  const floor = above.length ? Math.min(...above) / 3 : 0.01;
  let used = 0;
  for (const row of found) for (const key of keys)
    if (row[key] !== null && row[key] !== undefined && row[key] < floor) row[key] = used = floor;
  const values = found.flatMap(row => keys.map(key => row[key])).filter(value => value > 0), highest = Math.max(...values);
  const ticks = [...(used ? [used] : []), ...ERRORS.filter(tick => tick > 1.5 * used && tick <= highest)];
  return { found, settings: { floor: used, ticks: highest > Math.min(...values) ? ticks : [highest] } };
}
const among = (table, names = shown()) => rows(table).filter(row => names.includes(row.variant));
const inOrder = (found, names = shown()) => found.sort((a, b) => names.indexOf(a.variant) - names.indexOf(b.variant));

// Mean and interval of each variant with results, as the errors that charts draw.
function means(names) {
  return inOrder(among("variants", names).filter(row => row.test_accuracy_mean !== null).map(row => ({
    ...row,
    kind: "mean",
    error: error(row.test_accuracy_mean),
    low: row.test_accuracy_ci95_high === null ? null : error(row.test_accuracy_ci95_high),
    high: row.test_accuracy_ci95_low === null ? null : error(row.test_accuracy_ci95_low),
    text: interval(row.test_accuracy_mean, row.test_accuracy_ci95_low, row.test_accuracy_ci95_high) + `, n = ${row.n}`,
  })), names);
}

// The first of the chosen variants with results: the same, in the same colours, in all charts with a line for each.
const few = () => shown().filter(name => CONTENTS.curves[name]).slice(0, FEW);

const ROWS = {
  accuracy() {
    const seeds = inOrder(among("runs").filter(row => row.status === "ok")).map(row => ({
      kind: "seed", variant: row.variant, seed: row.seed, accuracy: 100 * row.test_accuracy, error: error(row.test_accuracy),
    }));
    return floored([...means(shown()), ...seeds], ["error", "low", "high"]);
  },
  cost({ cost }) {
    const text = value => (cost === "train_seconds_mean" ? duration(value) : Math.round(value).toLocaleString("en-US"));
    const found = means(shown()).map((row, place) => ({
      ...row, cost: row[cost], shown: text(row[cost]), name: place < FEW ? row.variant : "",
    }));
    const { settings, found: kept } = floored(found.filter(row => row.cost > 0), ["error", "low", "high"]);
    return { found: kept, settings: { ...settings, across: COSTS[cost] } };
  },
  comparisons({ relation }) {
    const found = inOrder(among("comparisons").filter(row => row.n > 0 && (!relation || row.relation === relation)));
    return { found: found.map(row => ({
      variant: row.variant,
      relation: row.relation === "base" ? "its base" : "the best",
      against: row.reference,
      mean: 100 * row.difference_mean,
      low: row.difference_ci95_low === null ? null : 100 * row.difference_ci95_low,
      high: row.difference_ci95_high === null ? null : 100 * row.difference_ci95_high,
      text: `${signed(100 * row.difference_mean)} points` + (row.difference_ci95_low === null ? "" : ` (95 %: ${signed(100 * row.difference_ci95_low)} to ${signed(100 * row.difference_ci95_high)})`),
    })) };
  },
  curves({ value, across }) {
    const accuracy = value.endsWith("accuracy"), found = [];
    for (const variant of few()) {
      const sums = new Map();
      for (const [seed, curve] of Object.entries(CONTENTS.curves[variant])) curve[value].forEach((measured, place) => {
        if (measured === null) return;
        const step = curve.step[place], at = curve[across][place];
        found.push({ kind: "seed", variant, seed, step, at, value: accuracy ? error(measured) : measured });
        const sum = sums.get(step) ?? { total: 0, at: 0, n: 0 };
        sums.set(step, { total: sum.total + measured, at: sum.at + at, n: sum.n + 1 });
      });
      for (const [step, { total, at, n }] of sums) found.push({
        kind: "mean", variant, seed: `mean of ${n}`, step, at: at / n, value: accuracy ? error(total / n) : total / n,
        text: accuracy ? `${percent(total / n)} %` : number(total / n),
      });
    }
    const { settings } = floored(found, ["value"]);
    if (!accuracy) settings.ticks = undefined; // Vega's own
    return { found: found.filter(row => row.value > 0), settings: { ...settings, accuracy, across: chosenText("curves", "across"), down: chosenText("curves", "value") } };
  },
  sweep: grid,
  confusions({ variant }) {
    return { found: (CONTENTS.confusions[variant] ?? []).flatMap((line, label) => line.map((images, predicted) => ({
      label, predicted, images, text: images < 0.05 ? "·" : images < 100 ? String(Math.round(10 * images) / 10) : String(Math.round(images)),
    }))) };
  },
  reliability() {
    const names = few();
    const found = inOrder(among("reliability", names), names).map(row => ({
      variant: row.variant, seed: row.seed, error: error(row.accuracy), unsure: error(row.confidence),
      text: `${percent(row.confidence)} %, ${percent(row.accuracy)} %`,
    }));
    const made = floored(found, ["error", "unsure"]);
    const values = found.flatMap(row => [row.error, row.unsure]);
    return { ...made, found: [...found, ...(values.length ? [Math.min(...values), Math.max(...values)].map(diagonal => ({ diagonal })) : [])] };
  },
  robustness({ transform }) {
    const names = few();
    const still = transform === "zoom" ? 1 : 0; // the level that leaves an image as it is
    const found = inOrder(among("robustness", names).filter(row => [transform, "none"].includes(row.transform)), names);
    const { settings, found: drawn } = floored(found.map(row => ({
      variant: row.variant, level: row.transform === "none" ? still : row.level, error: error(row.test_accuracy_mean),
      text: `${percent(row.test_accuracy_mean)} %`,
    })), ["error"]);
    return { found: drawn, settings: { ...settings, across: chosenText("robustness", "transform") } };
  },
  times() {
    const parts = Object.keys(CONTENTS.tables.times).filter(key => !["variant", "waiting"].includes(key));
    const whole = row => parts.reduce((sum, part) => sum + row[part], 0);
    return { found: among("times").sort((a, b) => whole(b) - whole(a)).flatMap(row => parts.map((part, place) => ({
      variant: row.variant, part, place, seconds: row[part], text: duration(row[part]),
    }))) };
  },
};

// The cells of a grid: each has the best of its points, over all that differ in further hyper-parameters only.
function grid({ sweep, across, down, value }) {
  const { axes, places } = CONTENTS.grids[sweep], cells = new Map();
  const loss = value === "validation_loss_mean";
  rows("sweeps").filter(row => row.sweep === sweep).forEach((row, point) => {
    const [column, line] = [across, down].map(key => (key ? places[key][point] : 0));
    const cell = cells.get(`${column} ${line}`) ?? { column, row: line, points: 0, value: null, rank: Infinity };
    cells.set(`${column} ${line}`, cell);
    cell.points++;
    cell.rank = Math.min(cell.rank, row.rank);
    const measured = row.failed ? null : row[value];
    if (measured === null || (cell.value !== null && (loss ? measured >= cell.value : measured <= cell.value))) return;
    Object.assign(cell, { value: measured, values: Object.entries(axes).map(([key, tried]) => `${key} ${tried[places[key][point]]}`).join(", ") });
  });
  const found = [...cells.values()], measured = found.map(cell => cell.value).filter(each => each !== null);
  const middle = Math.sqrt(Math.min(...measured) * Math.max(...measured));
  for (const cell of found) Object.assign(cell, {
    across: across ? axes[across][cell.column] : "",
    down: down ? axes[down][cell.row] : "",
    short: cell.value === null ? "failed" : loss ? cell.value.toPrecision(3) : percent(cell.value, 1),
    text: cell.value === null ? "failed" : loss ? number(cell.value) : `${percent(cell.value)} %`,
    dark: cell.value !== null && (loss ? cell.value > middle : cell.value < middle),
    value: cell.value === null || loss ? cell.value : 100 * cell.value,
  });
  return { found, settings: { reverse: loss, across, down: down || null, measured: loss ? "validation loss" : "validation accuracy, %" } };
}

// What a select of a chart shows.
const chosenText = (chart, name) =>
  document.querySelector(`[data-chart=${chart}] select[name=${name}]`).selectedOptions[0].textContent;

// A specification of charts.py with "$name" replaced by settings; what has no value is left out.
function filled(part, settings) {
  const named = typeof part === "string" ? part : part?.expr;
  if (typeof named === "string" && named.startsWith("$")) return settings[named.slice(1)];
  if (Array.isArray(part)) {
    const list = typeof part[0] === "string" && part[0].startsWith("$") ? settings[part[0].slice(1)] : null;
    return list ?? part.map(each => filled(each, settings));
  }
  if (part === null || typeof part !== "object") return part;
  const entries = Object.entries(part).map(([key, value]) => [key, filled(value, settings)]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

// Draw a chart in its figure; it follows the choice of variants and the controls of the figure. It is drawn anew for
// each change: a chart whose rows are exchanged keeps the order of the earlier ones.
export async function chart(figure) {
  const name = figure.dataset.chart, controls = [...figure.querySelectorAll("select")];
  const place = figure.querySelector(".view"), empty = figure.querySelector(".empty");
  let last = Promise.resolve(), made = null;

  async function draw() {
    const { found, settings = {} } = ROWS[name](Object.fromEntries(controls.map(({ name: key, value }) => [key, value])));
    empty.hidden = found.length > 0;
    place.hidden = !found.length;
    made?.finalize();
    const order = [...new Set(found.map(row => row.variant))];
    made = found.length ? await embedded(place, name, found, { ...settings, order, variants: few() }) : null;
  }

  const update = () => (last = last.then(draw));
  controls.forEach(control => control.addEventListener("change", update));
  await follow(update);
}

async function embedded(place, name, found, settings) {
  const specification = filled(SPECIFICATIONS[name], settings);
  const params = specification.params.map(param => ({ ...param, value: settings[param.name] ?? param.value }));
  const made = await window.vegaEmbed(place, { ...specification, params, datasets: { rows: found } }, {
    renderer: "svg",
    actions: { export: true, source: false, compiled: false, editor: false },
    downloadFileName: name,
    expressionFunctions: { duration },
    logLevel: 1, // errors
  });
  const summary = place.querySelector("summary");
  summary.ariaLabel = "Save this chart";
  summary.firstElementChild.ariaHidden = "true";
  return made;
}
