// The gallery of mistakes, the choice of one variant for it and for the confusions, and pictures of the chosen variants.
import { CONTENTS, percent, element } from "./contents.js";
import { shown, follow } from "./choice.js";

const IMAGES_AT_ONCE = 60;
const { picture, across, shape: [HEIGHT, WIDTH], variants: MISTAKES, seeds, wrong, label_errors: LABEL_ERRORS } = CONTENTS.mistakes;

// Let a select offer those of the chosen variants for which `has` holds.
export function oneVariant(select, has) {
  follow(() => {
    const before = select.value, names = shown().filter(has);
    select.replaceChildren(...names.map(name => element("option", { value: name }, name)));
    if (names.includes(before)) select.value = before;
    select.dispatchEvent(new Event("change"));
  });
}

// Build the gallery; `draw`, if the page has a canvas to draw on, puts an image there.
export function gallery(place, draw) {
  const list = place.querySelector("ol"), status = place.querySelector("output"), more = place.querySelector(".more");
  const control = Object.fromEntries([...place.querySelectorAll("select, input")].map(each => [each.name, each]));
  let most = IMAGES_AT_ONCE;

  function found() {
    const errors = LABEL_ERRORS[CONTENTS.variants[control.variant.value]] ?? {};
    return (MISTAKES[control.variant.value] ?? [])
      .map(([tile, index, label, predicted, confidence, misses]) => ({ tile, index, label, predicted, confidence, misses, error: errors[index] === label }))
      .filter(image => !control.label.value || image.label === Number(control.label.value))
      .filter(image => !control.predicted.value || image.predicted === Number(control.predicted.value))
      .filter(image => image.confidence >= Number(control.confidence.value) / 100)
      .filter(image => !control.errors.checked || image.error)
      .sort((a, b) => b.confidence - a.confidence);
  }

  function item({ tile, index, label, predicted, confidence, misses, error }, n) {
    const says = `test image ${index}: class ${label}, read as ${predicted} with ${percent(confidence, 0)} %, by ${misses} of ${n} seeds`;
    const image = element("span", { className: "tile", role: "img", ariaLabel: says + (error ? "; a known label error" : "") });
    image.style.backgroundPosition = `calc(${-(tile % across)} * var(--tile)) calc(${(-Math.floor(tile / across) * HEIGHT) / WIDTH} * var(--tile))`;
    const words = element("span", { title: says }, `${label} → ${predicted}`, element("small", {}, ` ${percent(confidence, 0)} %`));
    const made = element("li", { className: error ? "label-error" : "" }, image, words);
    if (error) made.append(element("small", {}, "label error"));
    if (draw && CONTENTS.variants[control.variant.value] === CONTENTS.dataset) {
      const button = element("button", { type: "button", ariaLabel: `Put test image ${index} on the canvas` }, "try");
      button.addEventListener("click", async () => {
        draw(await pixels(tile), `${label} (test image ${index})`);
        document.getElementById("draw").scrollIntoView();
      });
      made.append(button);
    }
    return made;
  }

  function show() {
    const name = control.variant.value, kept = found(), all = MISTAKES[name] ?? [];
    list.replaceChildren(...kept.slice(0, most).map(image => item(image, seeds[name])));
    more.hidden = kept.length <= most;
    const errors = all.filter(([, index, label]) => (LABEL_ERRORS[CONTENTS.variants[name]] ?? {})[index] === label).length;
    status.textContent = !name ? "None of the chosen variants classifies images." : !seeds[name] ? `${name} has no results.`
      : `${kept.length} images${all.length < wrong[name] ? `, of the ${all.length} hardest` : ""} of ${wrong[name]} that the ${seeds[name]} seeds of ${name} misclassify together` +
        (Object.keys(LABEL_ERRORS[CONTENTS.variants[name]] ?? {}).length ? `; ${errors} of these ${all.length} are known label errors.` : ".");
  }

  for (const each of Object.values(control)) each.addEventListener(each.type === "range" ? "input" : "change", () => { most = IMAGES_AT_ONCE; show(); });
  control.confidence.addEventListener("input", () => (place.querySelector(".least").textContent = `${control.confidence.value} %`));
  more.addEventListener("click", () => { most = Infinity; show(); });
  document.documentElement.style.setProperty("--tiles", picture ? `url("${picture}")` : "none");
  document.documentElement.style.setProperty("--across", across);
  document.documentElement.style.setProperty("--ratio", `${WIDTH} / ${HEIGHT}`);
  oneVariant(control.variant, variant => variant in MISTAKES);
}

// The pixels of a tile, Float32Array of values from 0 to 1, row by row.
async function pixels(tile) {
  const whole = element("img", { src: picture });
  await whole.decode();
  const canvas = element("canvas", { width: WIDTH, height: HEIGHT }), context = canvas.getContext("2d");
  context.drawImage(whole, -WIDTH * (tile % across), -HEIGHT * Math.floor(tile / across));
  const { data } = context.getImageData(0, 0, WIDTH, HEIGHT);
  return Float32Array.from({ length: WIDTH * HEIGHT }, (_, i) => data[4 * i] / 255);
}

// Show the figures that are kept as they are; those of a variant only if it is chosen.
export function pictures() {
  for (const image of document.querySelectorAll("img[data-picture]")) {
    const svg = CONTENTS.pictures[image.dataset.picture];
    if (svg) image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  }
  follow(() => {
    const names = shown();
    for (const each of document.querySelectorAll("[data-variant]")) each.hidden = !names.includes(each.dataset.variant);
    for (const kind of document.querySelectorAll(".kind")) kind.hidden = !kind.querySelector("figure:not([hidden])");
  });
}
