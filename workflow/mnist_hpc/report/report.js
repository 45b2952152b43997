// The page: build what it explores, then say which variants are chosen.
import { CONTENTS } from "./contents.js";
import { begin } from "./choice.js";
import { table } from "./tables.js";
import { chart } from "./charts.js";
import { axes } from "./sweeps.js";
import { gallery, oneVariant, pictures } from "./gallery.js";
import { planes } from "./planes.js";

const THEMES = ["light dark", "light", "dark"], theme = document.getElementById("theme");
theme.addEventListener("click", () => {
  const next = (Number(theme.dataset.theme) + 1) % THEMES.length;
  theme.dataset.theme = next;
  theme.ariaLabel = theme.title = `Theme: ${["as the system's", "light", "dark"][next]}`;
  document.documentElement.style.colorScheme = THEMES[next];
});

pictures();
const heatMap = document.querySelector("[data-chart=sweep]"), chosenSweep = heatMap && axes(heatMap);
for (const place of document.querySelectorAll("[data-table]")) {
  const ofSweep = place.dataset.table === "sweeps";
  const show = table(place, ofSweep ? row => row.sweep === chosenSweep.value : undefined);
  if (ofSweep) chosenSweep.addEventListener("change", show);
}
const confusions = document.querySelector("[data-chart=confusions] select");
if (confusions) oneVariant(confusions, name => name in CONTENTS.confusions);
const images = document.getElementById("gallery");
if (images) gallery(images, window.putOnCanvas);
const small = document.getElementById("planes");
if (small) planes(small);
begin();

// One after the other, so that the page answers meanwhile.
for (const figure of document.querySelectorAll("[data-chart]")) {
  await chart(figure);
  await new Promise(requestAnimationFrame);
}
document.documentElement.dataset.ready = "";
