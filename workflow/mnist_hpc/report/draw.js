// A canvas to draw on, and what several nets read, live. The page around it is draw.html.
import { bytes, decoded, probabilities } from "./net.js";
import { centred, coarse } from "./image.js";

const FOR = [0, 114, 178], AGAINST = [213, 94, 0]; // colours of positive and negative weights
const PEN = 0.1; // width of strokes as a fraction of the canvas; about that of MNIST's, if the drawing fills it
const QUIET = 700; // milliseconds without a change before a screen reader hears the result

// Make the section `root` work; `data` is what drawing.py writes. Returns a function that puts an image on the canvas:
// Float32Array of 784 values from 0 to 1, and what it is.
export function start(root, data) {
  const find = selector => root.querySelector(selector);
  const canvas = find(".drawing-canvas"), chooser = find("select"), status = find("[role=status]");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const stored = bytes(data.images);
  let shown = null; // the image on the canvas, {pixels, words}, while nothing is drawn over it
  let pen = null, last = null; // which pointer draws, and where it was
  let models = null; // decoded when they are needed first
  let due = 0, spoken = 0;

  const picture = number => Float32Array.from(stored.subarray(784 * number, 784 * (number + 1)), grey => grey / 255);

  function ink() {
    const { width: columns, height: rows } = canvas, values = new Float32Array(rows * columns);
    const { data: colours } = context.getImageData(0, 0, columns, rows);
    for (let i = 0; i < values.length; i++) values[i] = colours[4 * i + 3] / 255;
    return { rows, columns, values };
  }

  function read() {
    due = 0;
    models ??= data.models.map(model => ({ ...model, ...decoded(model) }));
    const image = shown ? shown.pixels : (data.coarse ? coarse : centred)(ink());
    const outputs = models.map(model => image && probabilities(model, image));
    paint(find(".drawing-seen canvas"), image ?? new Float32Array(784), () => [0, 0, 0]);
    models.forEach((model, column) => fill(column, outputs[column]));
    models.filter(model => model.linear !== null).forEach(model => template(model, image, outputs[models.indexOf(model)]));
    root.classList.toggle("drawing-empty", !image);
    canvas.setAttribute("aria-label", image ? (shown?.words ?? "Your drawing") : "Empty drawing area");
    find(".drawing-about").textContent = shown ? `On the canvas: ${shown.words}` : ""; // the list may cut it off
    clearTimeout(spoken);
    spoken = setTimeout(() => (status.textContent = image ? `${sentences(outputs)}.` : ""), QUIET);
  }

  const later = () => (due ||= requestAnimationFrame(read));
  const best = output => output.indexOf(Math.max(...output));
  const sentences = outputs =>
    outputs.map((output, i) => `${data.models[i].name}: ${best(output)}, ${percent(Math.max(...output))} %`).join("; ");
  const percent = share => (100 * share).toFixed(1);

  // Write the outputs of one model, or none, into its column of the table.
  function fill(column, output) {
    find(`.drawing-verdict td:nth-of-type(${column + 1}) span`).textContent = output ? best(output) : "–";
    root.querySelectorAll(`tbody .drawing-class td:nth-of-type(${column + 1})`).forEach((cell, place) => {
      cell.textContent = output ? percent(output[place]) : "";
      cell.style.setProperty("--share", output ? output[place] : 0);
      cell.classList.toggle("drawing-best", Boolean(output) && place === best(output));
    });
  }

  // Show the weights of the class that a linear model chose, and where they met ink.
  function template(model, image, output) {
    const figure = root.querySelectorAll(".drawing-template")[models.filter(m => m.linear !== null).indexOf(model)];
    figure.hidden = !image;
    if (!image) return;
    const { shape, values } = model.operations[model.linear].kernel, digit = best(output);
    const weights = Float32Array.from({ length: 784 }, (_, i) => values[i * shape[1] + digit]);
    const largest = weights.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    const [whole, met] = figure.querySelectorAll("canvas"), sign = weight => (weight < 0 ? AGAINST : FOR);
    paint(whole, weights.map(weight => weight / largest), sign);
    paint(met, weights.map((weight, i) => (weight * image[i]) / largest), sign);
    figure.querySelectorAll(".drawing-digit").forEach(place => (place.textContent = digit));
  }

  // Paint 784 values from -1 to 1: their sizes are opacities.
  function paint(target, values, colour) {
    const pixels = new ImageData(28, 28);
    values.forEach((value, i) => pixels.data.set([...colour(value), Math.round(255 * Math.abs(value))], 4 * i));
    target.getContext("2d").putImageData(pixels, 0, 0);
  }

  function clear() {
    shown = null;
    chooser.value = "";
    context.clearRect(0, 0, canvas.width, canvas.height);
    later();
  }

  function put(pixels, words) {
    clear();
    shown = { pixels, words };
    const small = document.createElement("canvas");
    small.width = small.height = 28;
    paint(small, pixels, () => [0, 0, 0]);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
  }

  function putStored(number) {
    const option = chooser.querySelector(`option[value="${number}"]`);
    put(picture(number), option.textContent.trim());
    option.selected = true;
  }

  // One of `count` stored images from `first` on, by chance, but not the one that is shown.
  function another(first, count) {
    const others = Array.from({ length: count }, (_, i) => first + i).filter(number => String(number) !== chooser.value);
    if (others.length) putStored(others[Math.floor(Math.random() * others.length)]);
  }

  function stroke(event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const events = event.getCoalescedEvents?.() ?? [];
    for (const { clientX, clientY } of events.length ? events : [event]) {
      const to = [((clientX - left) * canvas.width) / width, ((clientY - top) * canvas.height) / height];
      context.beginPath();
      context.moveTo(...(last ?? to));
      context.lineTo(...to); // a line to where it begins is a dot
      context.stroke();
      last = to;
    }
    shown = null;
    chooser.value = "";
    later();
  }

  Object.assign(context, { lineWidth: PEN * canvas.width, lineCap: "round", lineJoin: "round" });
  canvas.addEventListener("pointerdown", event => {
    if (event.button || pen !== null) return; // one finger at a time
    event.preventDefault();
    [pen, last] = [event.pointerId, null];
    canvas.setPointerCapture(pen);
    stroke(event);
  });
  canvas.addEventListener("pointermove", event => event.pointerId === pen && stroke(event));
  canvas.addEventListener("lostpointercapture", event => event.pointerId === pen && (pen = null));
  const actions = {
    clear,
    sample: () => another(0, data.sample),
    mistake: () => another(data.sample, data.mistakes),
  };
  for (const button of root.querySelectorAll("button"))
    button.addEventListener("click", actions[button.dataset.action]);
  chooser.addEventListener("change", () => (chooser.value ? putStored(Number(chooser.value)) : clear()));
  return put;
}
