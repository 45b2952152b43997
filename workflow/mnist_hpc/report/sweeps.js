// Sweeps: which one is shown, which of its hyper-parameters are the axes, and where values stand on an axis.
import { CONTENTS, element, number, rows } from "./contents.js";

// The points of a sweep, best first, with their values.
export const points = sweep =>
  rows("sweeps").filter(row => row.sweep === sweep).map(row => ({ ...row, tried: JSON.parse(row.values) }));

// The different ones of some values: numbers by size, then others in the order of names.
export function different(values, names = {}) {
  const found = [...new Set(values)], numbers = found.filter(value => typeof value === "number"), order = Object.keys(names);
  const others = found.filter(value => typeof value !== "number").sort((a, b) => order.indexOf(String(a)) - order.indexOf(String(b)));
  return [...numbers.sort((a, b) => a - b), ...others];
}

// What distinguishes a point, as text.
export const described = (sweep, tried) =>
  Object.entries(tried).map(([key, value]) => `${key} ${CONTENTS.sweeps[sweep].names[value] ?? value}`).join(", ");

const NAMED = 8; // different numbers that all have a tick

// Some numbers between two others with few digits.
function round(low, high) {
  const rough = (high - low) / 5 || Math.abs(low) || 1, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(each => each >= rough);
  const first = Math.ceil(low / step), last = Math.floor(high / step);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

function powers(low, high) {
  const decades = Math.log10(high / low), mantissas = decades < 1.5 ? [1, 2, 5] : [1];
  if (decades < 0.4) return round(low, high);
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  return Array.from({ length: last - first + 1 }, (_, place) => mantissas.map(each => Number(`${each}e${first + place}`)))
    .flat().filter(tick => tick >= low && tick <= high);
}

// An axis for some values on a scale of searches.py: where each stands, and its ticks with their labels.
export function axis(values, scale, names = {}) {
  const found = different(values, names);
  const numbers = found.every(value => typeof value === "number" && (scale === "linear" || value > 0));
  if (scale === "list" || !numbers) {
    const labels = found.map(value => String(names[value] ?? value));
    return { at: value => found.indexOf(value), ticks: labels.map((_, place) => place), labels };
  }
  const at = scale === "log" ? Math.log10 : value => value, [low, high] = [found[0], found.at(-1)];
  const ticks = found.length <= NAMED ? found : scale === "log" ? powers(low, high) : round(low, high);
  return { at, ticks: ticks.map(at), labels: ticks.map(number) };
}

// The controls of the chart of a sweep; what the page says about other kinds of sweeps is hidden.
export function axes(figure) {
  const [sweep, across, down] = ["sweep", "across", "down"].map(name => figure.querySelector(`select[name=${name}]`));
  const options = keys => keys.map(key => element("option", { value: key }, key));
  function fill() {
    const { scales, kind, halved, variant, edges } = CONTENTS.sweeps[sweep.value], shown = points(sweep.value);
    const count = Object.fromEntries(Object.keys(scales).map(key => [key, different(shown.map(row => row.tried[key])).length]));
    const varied = Object.keys(scales).filter(key => count[key] > 1).sort((a, b) => count[b] - count[a]);
    across.replaceChildren(...options(varied.length ? varied : Object.keys(scales).slice(0, 1)));
    down.replaceChildren(...options(varied), element("option", { value: "" }, "none"));
    down.value = varied[1] ?? "";
    for (const part of document.querySelectorAll("[data-about]"))
      part.hidden = part.dataset.about === "halved" ? !halved : part.dataset.about !== kind;
    document.querySelector("[data-chart=searches] .variant").textContent = variant;
    const edge = figure.querySelector(".edges");
    edge.hidden = !edges.length;
    edge.querySelector("b").textContent = edges.join(", ");
  }
  sweep.replaceChildren(...options(CONTENTS.order.sweeps));
  // Before the charts hear of the change: capture comes first.
  figure.addEventListener("change", event => {
    if (event.target === sweep) fill();
    else if (across.value === down.value) {
      const other = event.target === across ? down : across;
      other.value = [...other.options].map(option => option.value).find(value => value !== event.target.value) ?? "";
    }
  }, true);
  fill();
  return sweep;
}
