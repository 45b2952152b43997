// The page: build what it explores, then say which variants are chosen.
import { CONTENTS } from "./contents.js";
import { begin } from "./choice.js";
import { table } from "./tables.js";
import { chart } from "./charts.js";
import { axes } from "./sweeps.js";
import { gallery, oneVariant, pictures } from "./gallery.js";
import { planes } from "./planes.js";

const theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const dark = (theme.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  theme.dataset.theme = document.documentElement.style.colorScheme = dark ? "light" : "dark";
  theme.ariaLabel = theme.title = `Theme: ${theme.dataset.theme}`;
});

pictures();
const searched = document.querySelector("[data-chart=sweep]"), chosenSweep = searched && axes(searched);
for (const place of document.querySelectorAll("[data-table]")) {
  const ofSweeps = ["sweeps", "finalists"].includes(place.dataset.table);
  const show = table(place, ofSweeps ? chosenSweep : null);
  if (ofSweeps) chosenSweep.addEventListener("change", show);
}
const confusions = document.querySelector("[data-chart=confusions] select");
if (confusions) oneVariant(confusions, name => name in CONTENTS.confusions);
const images = document.getElementById("gallery");
if (images) gallery(images, window.putOnCanvas);
// The gallery and the confusions are about the same variant.
const both = [confusions, images?.querySelector("select[name=variant]")].filter(Boolean);
for (const one of both) one.addEventListener("change", () => {
  const other = both.find(each => each !== one);
  if (!other || other.value === one.value || ![...other.options].some(option => option.value === one.value)) return;
  other.value = one.value;
  other.dispatchEvent(new Event("change"));
});
const small = document.getElementById("planes");
if (small) planes(small);
begin();

// One after the other, so that the page answers meanwhile.
for (const figure of document.querySelectorAll("[data-chart]")) {
  await chart(figure, ["rungs", "searches"].includes(figure.dataset.chart) ? [chosenSweep] : []);
  await new Promise(requestAnimationFrame);
}
document.documentElement.dataset.ready = "";
