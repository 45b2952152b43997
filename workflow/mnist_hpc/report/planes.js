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
      const net = at => predicted(operations, at);
      const figure = list.children[number], canvas = figure.querySelector("canvas");
      paint(canvas, net, points, labels, low, high);
      const right = net(points).filter(({ label }, i) => label === labels[i]).length / points.length;
      const text = `seed ${seed}: ${percent(right, 0)} % of these points right`;
      figure.querySelector("figcaption").textContent = text;
      canvas.ariaLabel = `${choice.value}, ${words}, ${text}`;
    });
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  }

  button.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) {
      slider.value = 0;
      show();
    }
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

// The class that a net assigns to each of many points, and its probability.
function predicted(operations, points) {
  const logits = outputs({ operations }, { shape: [points.length, 2], values: Float32Array.from(points.flat()) });
  const classes = logits.length / points.length;
  return points.map((_, i) => {
    const own = logits.subarray(classes * i, classes * (i + 1)), largest = own.reduce((a, b) => Math.max(a, b));
    return { label: own.indexOf(largest), sure: 1 / own.reduce((sum, logit) => sum + Math.exp(logit - largest), 0), classes };
  });
}

// Paint which class a net assigns to each square of the plane, paler where it is less sure, and the points.
function paint(canvas, net, points, labels, low, high) {
  const context = canvas.getContext("2d"), image = new ImageData(SQUARES, SQUARES);
  const middle = (i, axis) => low[axis] + ((i + 0.5) / SQUARES) * (high[axis] - low[axis]);
  const squares = Array.from({ length: SQUARES ** 2 }, (_, i) => [middle(i % SQUARES, 0), middle(SQUARES - 1 - Math.floor(i / SQUARES), 1)]);
  net(squares).forEach(({ label, sure, classes }, i) => {
    const strength = 0.15 + 0.4 * (sure - 1 / classes) / (1 - 1 / classes);
    image.data.set([...CLASSES[label].map(channel => 255 - strength * (255 - channel)), 255], 4 * i);
  });
  const small = element("canvas", { width: SQUARES, height: SQUARES });
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  points.forEach((point, i) => {
    const [x, y] = point.map((value, axis) => (value - low[axis]) / (high[axis] - low[axis]));
    context.fillStyle = `rgb(${CLASSES[labels[i]]})`;
    context.beginPath();
    context.arc(x * canvas.width, (1 - y) * canvas.height, 3, 0, 7);
    context.fill();
  });
}
