// Small nets on points of the plane: how they come to separate the classes, moment by moment.
import { CONTENTS, percent, element } from "./contents.js";
import { decoded, outputs } from "./net.js";
import { oneVariant } from "./gallery.js";

const SQUARES = 90; // along a side of the plane
const CLASSES = [[213, 94, 0], [0, 114, 178], [0, 158, 115], [230, 159, 0]];
const FRAME = 120; // milliseconds of a moment when it plays

export function planes(place) {
  const choice = place.querySelector("select"), slider = place.querySelector("input[type=range]");
  const button = place.querySelector("button"), status = place.querySelector("output"), list = place.querySelector(".planes");
  let timer = 0;

  const plane = () => CONTENTS.planes[choice.value];

  function build() {
    stop();
    list.replaceChildren();
    if (!plane()) return void (status.textContent = "None of the chosen variants has snapshots.");
    for (const seed of Object.keys(plane().seeds))
      list.append(element("figure", {}, element("canvas", { width: 4 * SQUARES, height: 4 * SQUARES, role: "img" }), element("figcaption", {}, `seed ${seed}`)));
    slider.max = plane().steps.length - 1;
    slider.value = slider.max;
    show();
  }

  function show() {
    const { steps, points, labels, seeds } = plane(), moment = Number(slider.value);
    const words = `step ${steps[moment].toLocaleString("en-US")} of ${steps.at(-1).toLocaleString("en-US")}`;
    slider.ariaValueText = status.textContent = words;
    const low = [0, 1].map(axis => Math.min(...points.map(point => point[axis])) - 0.2);
    const high = [0, 1].map(axis => Math.max(...points.map(point => point[axis])) + 0.2);
    Object.entries(seeds).forEach(([seed, moments], number) => {
      const { operations } = decoded({ operations: moments[moment], weights: "" });
      const net = point => outputs({ operations }, { shape: [2], values: Float32Array.from(point) });
      const figure = list.children[number], canvas = figure.querySelector("canvas");
      paint(canvas, net, points, labels, low, high);
      const right = points.filter((point, i) => best(net(point)) === labels[i]).length / points.length;
      const text = `seed ${seed}: ${percent(right, 0)} % of these points`;
      figure.querySelector("figcaption").textContent = text;
      canvas.ariaLabel = `${choice.value}, ${words}, ${text} on their side of the boundary`;
    });
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  }

  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === Number(slider.max)) slider.value = 0;
    button.textContent = "Pause";
    timer = setInterval(() => {
      if (slider.value === slider.max) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }, FRAME);
  });
  slider.addEventListener("input", () => { stop(); show(); });
  choice.addEventListener("change", build);
  oneVariant(choice, name => name in CONTENTS.planes);
}

const best = logits => logits.indexOf(Math.max(...logits));

// Paint which class a net assigns to each square of the plane, paler where it is less sure, and the points.
function paint(canvas, net, points, labels, low, high) {
  const context = canvas.getContext("2d"), side = canvas.width / SQUARES;
  const at = (i, axis) => low[axis] + ((i + 0.5) / SQUARES) * (high[axis] - low[axis]);
  for (let row = 0; row < SQUARES; row++) for (let column = 0; column < SQUARES; column++) {
    const logits = net([at(column, 0), at(SQUARES - 1 - row, 1)]), largest = Math.max(...logits);
    const sure = 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0);
    const strength = 0.15 + 0.4 * (sure - 1 / logits.length) / (1 - 1 / logits.length);
    context.fillStyle = `rgb(${CLASSES[best(logits)].map(channel => Math.round(255 - strength * (255 - channel)))})`;
    context.fillRect(column * side, row * side, side, side);
  }
  points.forEach((point, i) => {
    const [x, y] = point.map((value, axis) => (value - low[axis]) / (high[axis] - low[axis]));
    context.fillStyle = `rgb(${CLASSES[labels[i]]})`;
    context.beginPath();
    context.arc(x * canvas.width, (1 - y) * canvas.height, 3, 0, 7);
    context.fill();
  });
}
