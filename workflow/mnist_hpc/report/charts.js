// Charts: which rows each of charts.py shows, of the chosen variants.
import { CONTENTS, fromColumns, rows, percent, signed, interval, number, duration } from "./contents.js";
import { shown, follow } from "./choice.js";
import { axis, described, different, points } from "./sweeps.js";

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
  sweep: chosen => (CONTENTS.sweeps[chosen.sweep].kind === "grid" ? grid(chosen) : space(chosen)),
  rungs,
  searches,
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

// The cells of a grid: each has the best of its points, over all that differ in further hyper-parameters only. Of a
// sweep that was halved, points that came further are better.
function grid({ sweep, across, down, value }) {
  const loss = value === "validation_loss_mean", { names } = CONTENTS.sweeps[sweep], cells = new Map(), all = points(sweep);
  const tried = Object.fromEntries([across, down].filter(Boolean).map(key => [key, different(all.map(row => row.tried[key]), names)]));
  for (const row of all) {
    const [column, line] = [across, down].map(key => (key ? tried[key].indexOf(row.tried[key]) : 0));
    const cell = cells.get(`${column} ${line}`) ?? { column, row: line, points: 0, value: null, rung: 0, rank: Infinity };
    cells.set(`${column} ${line}`, cell);
    cell.points++;
    cell.rank = Math.min(cell.rank, row.rank);
    const measured = row.failed ? null : row[value];
    if (measured === null || row.rung < cell.rung) continue;
    if (row.rung === cell.rung && (loss ? measured >= cell.value : measured <= cell.value)) continue;
    Object.assign(cell, { value: measured, rung: row.rung, values: described(sweep, row.tried) });
  }
  const found = [...cells.values()], measured = found.map(cell => cell.value).filter(each => each !== null);
  const middle = Math.sqrt(Math.min(...measured) * Math.max(...measured));
  const name = (key, place) => (key ? String(names[tried[key][place]] ?? tried[key][place]) : "");
  for (const cell of found) Object.assign(cell, {
    across: name(across, cell.column),
    down: name(down, cell.row),
    short: cell.value === null ? "failed" : loss ? cell.value.toPrecision(3) : percent(cell.value, 1),
    text: cell.value === null ? "failed" : loss ? number(cell.value) : `${percent(cell.value)} %`,
    dark: cell.value !== null && (loss ? cell.value > middle : cell.value < middle),
    value: cell.value === null || loss ? cell.value : 100 * cell.value,
  });
  return { found, settings: { reverse: loss, across, down: down || null, measured: loss ? "validation loss" : "validation accuracy, %" } };
}

// The points of a space over two of its dimensions, or against one of them what was measured.
function space({ sweep, across, down, value }) {
  const loss = value === "validation_loss_mean", { scales, names } = CONTENTS.sweeps[sweep], all = points(sweep);
  const measured = loss ? "validation loss" : "validation accuracy, %";
  const of = row => (row.failed || row[value] === null ? null : loss ? row[value] : 100 * row[value]);
  const good = all.map(of).filter(each => each !== null).sort((a, b) => a - b), middle = good[Math.floor(good.length / 2)];
  const x = axis(all.map(row => row.tried[across]), scales[across], names);
  const y = down ? axis(all.map(row => row.tried[down]), scales[down], names) : axis(good, loss ? "log" : "linear");
  const found = all.filter(row => down || of(row) !== null).map(row => ({
    x: x.at(row.tried[across]),
    y: y.at(down ? row.tried[down] : of(row)),
    value: of(row),
    chosen: row.rank === 1,
    rung: row.rung,
    size: 40 + 30 * row.rung,
    values: described(sweep, row.tried),
    loss: row.validation_loss_mean === null ? "failed" : number(row.validation_loss_mean),
    accuracy: row.validation_accuracy_mean === null ? "failed" : percent(row.validation_accuracy_mean),
    rank: row.rank, n: row.n, steps: row.steps, images: row.images,
  }));
  const domain = loss ? [good[0], Math.max(middle, 1.05 * good[0])] : [Math.min(middle, good.at(-1) / 1.001), good.at(-1)];
  return { drawn: "space", found, settings: {
    reverse: loss, domain, across, down: down || measured, measured,
    acrossTicks: x.ticks, acrossLabels: x.labels, downTicks: y.ticks, downLabels: y.labels,
  } };
}

const whole = label => Number(label).toLocaleString("en-US");

// The points of a sweep in each of their rungs. Fresh seeds of finalists stand beyond the last rung.
function rungs({ sweep }) {
  const all = fromColumns(CONTENTS.sweeps[sweep].rungs), best = points(sweep);
  const values = new Map(best.map(row => [row.point, described(sweep, row.tried)]));
  const finalists = rows("finalists").filter(row => row.sweep === sweep);
  const name = (row, place) => `finalist ${place + 1}, wins ${percent(row.wins, 0)} %`;
  const names = new Map(finalists.map((row, place) => [row.point, name(row, place)]));
  const others = finalists.length ? "dropped" : "point", palette = SPECIFICATIONS.rungs.config.range.category;
  const last = Math.max(...all.map(row => row.rung)) - (finalists.length ? 1 : 0);
  const seen = all.map(row => row.seen), [least, most] = [Math.min(...seen), Math.max(...seen)];
  const fresh = most * Math.max(1.3, (most / least) ** 0.2);
  // Few points are far above the others, and would make these look alike.
  const first = all.filter(row => row.rung === 1 && row.loss !== null).map(row => row.loss).sort((a, b) => a - b);
  const top = Math.max(1.2 * first[Math.floor(0.8 * (first.length - 1))], 2 * first[0]);
  const good = all.filter(row => row.loss > 0), y = axis(good.map(row => Math.min(row.loss, top)), "log");
  const found = good.map(row => ({
    point: row.point,
    rung: row.rung > last ? "fresh seeds" : `${row.rung} of ${last}`,
    x: Math.log10(row.rung > last ? fresh : row.seen),
    y: y.at(Math.min(row.loss, top)),
    above: row.loss > top,
    finalist: names.has(row.point),
    name: names.get(row.point) ?? others,
    chosen: row.point === best[0].point && row.rung === best[0].rung,
    values: values.get(row.point), loss: number(row.loss), accuracy: percent(row.accuracy), seen: row.seen, n: row.n,
  }));
  const ends = different(all.map(row => row.rung)).filter(rung => rung <= last).map(rung => {
    const of = all.filter(row => row.rung === rung).map(row => row.seen).sort((a, b) => a - b);
    return { low: of[0], middle: of[Math.floor(of.length / 2)], high: of.at(-1) };
  });
  const apart = ends.every((end, place) => end.high < 1.2 * end.low && (!place || end.low > 1.1 * ends[place - 1].high));
  const x = axis(apart ? ends.map(end => end.middle) : seen, "log");
  return { found, settings: {
    names: [...names.values(), others],
    colours: [...[...names].map((_, place) => palette[place % palette.length]), finalists.length ? "#888" : palette[0]],
    acrossTicks: [...x.ticks, ...(names.size ? [Math.log10(fresh)] : [])],
    acrossLabels: [...x.labels.map(whole), "fresh seeds"],
    downTicks: y.ticks, downLabels: y.labels,
  } };
}

// The lowest loss so far of all sweeps of the variant, the chosen sweep first, and at the end the chosen point's.
function searches({ sweep }) {
  const { variant } = CONTENTS.sweeps[sweep], names = CONTENTS.order.sweeps;
  const order = [sweep, ...names.filter(name => name !== sweep)].filter(name => CONTENTS.sweeps[name].variant === variant);
  const found = order.flatMap(name => {
    const pairs = CONTENTS.sweeps[name].found, best = points(name)[0];
    if (!pairs.length) return [];
    const row = (kind, images, value) => ({ kind, sweep: name, images, value, loss: number(value) });
    return [...pairs.map(([images, loss]) => row("so far", images, loss)), row("chosen", pairs.at(-1)[0], best.validation_loss_mean)];
  }).filter(row => row.value > 0);
  const [x, y] = ["images", "value"].map(key => axis(found.map(row => row[key]), "log"));
  return { found: found.map(row => ({ ...row, x: x.at(row.images), y: y.at(row.value) })), settings: {
    sweeps: [...new Set(found.map(row => row.sweep))],
    acrossTicks: x.ticks, acrossLabels: x.labels.map(whole), downTicks: y.ticks, downLabels: y.labels,
  } };
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

// Draw a chart in its figure; it follows the choice of variants, the controls of the figure, and other ones. It is redrawn from scratch at
// each change: a chart whose rows are exchanged keeps the order of the earlier ones.
export async function chart(figure, others = []) {
  const name = figure.dataset.chart, controls = [...figure.querySelectorAll("select"), ...others];
  const place = figure.querySelector(".view"), empty = figure.querySelector(".empty");
  let last = Promise.resolve(), made = null;

  async function draw() {
    const { found, settings = {}, drawn = name } = ROWS[name](Object.fromEntries(controls.map(({ name: key, value }) => [key, value])));
    empty.hidden = found.length > 0;
    place.hidden = !found.length;
    made?.finalize();
    const order = [...new Set(found.map(row => row.variant))];
    made = found.length ? await embedded(place, drawn, found, { ...settings, order, variants: few() }) : null;
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
