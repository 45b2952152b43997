// Which variants the page shows: chosen once, followed by all tables and charts, and kept in the address.
import { CONTENTS, element } from "./contents.js";

export const ALL = CONTENTS.order.variants; // best first
const chosen = new Set();
const followers = [];

// The chosen variants, best first; all if none is chosen.
export const shown = () => (chosen.size ? ALL.filter(name => chosen.has(name)) : ALL);

// Call a function now, and whenever other variants are chosen; return what it returns now.
export function follow(function_) {
  followers.push(function_);
  return function_();
}

// Names that the study does not have choose nothing.
export async function choose(names) {
  const known = names.filter(name => ALL.includes(name)), unknown = names.filter(name => !ALL.includes(name));
  if (known.length || !unknown.length) {
    chosen.clear();
    known.forEach(name => chosen.add(name));
  }
  writeAddress();
  showChoice(unknown.length ? `This study has no variant ${unknown.join(", ")}. ` : "");
  // What readers look at stays where it is, although what is above it grows or shrinks.
  const seen = document.elementFromPoint(innerWidth / 2, innerHeight / 3)?.closest("figure, [data-table], section");
  const top = seen?.getBoundingClientRect().top;
  await Promise.all(followers.map(function_ => function_()));
  if (seen) scrollBy(0, seen.getBoundingClientRect().top - top);
}

// The address is #section&variant=a,b; both parts may be missing.
function readAddress() {
  const hash = location.hash.slice(1);
  const names = new URLSearchParams(hash).get("variant")?.split(","); // mail programs may have written %2C for a comma
  return { section: hash.split("&").find(part => part && !part.includes("=")), names: names?.filter(Boolean) };
}

function writeAddress() {
  const { section } = readAddress();
  const names = chosen.size ? `variant=${shown().map(encodeURIComponent).join(",")}` : "";
  const hash = [section, names].filter(Boolean).join("&");
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

async function goToAddress() {
  const { section, names } = readAddress();
  if (names) await choose(names);
  else writeAddress(); // a link to a section keeps the choice
  if (section) document.getElementById(section)?.scrollIntoView();
}

const panel = document.getElementById("chooser"), list = panel.querySelector("ul");
const boxes = new Map();

function showChoice(problem = "") {
  for (const [name, box] of boxes) box.checked = chosen.has(name);
  const count = chosen.size;
  const text = !count ? `all ${ALL.length}` : count === 1 ? [...chosen][0] : `${count} of ${ALL.length}`;
  panel.querySelector("summary output").textContent = text;
  panel.querySelector(".problem").textContent = problem;
  if (problem) panel.open = true;
}

for (const name of ALL) {
  const box = element("input", { type: "checkbox", value: name });
  box.addEventListener("change", () => choose([...boxes.values()].filter(each => each.checked).map(each => each.value)));
  boxes.set(name, box);
  const dataset = CONTENTS.variants[name] === CONTENTS.dataset ? "" : ` (${CONTENTS.variants[name]})`;
  list.append(element("li", {}, element("label", {}, box, ` ${name}${dataset}`)));
}
panel.querySelector("input[type=search]").addEventListener("input", event => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const [name, box] of boxes) box.closest("li").hidden = !words.every(word => name.toLowerCase().includes(word));
});
const ACTIONS = {
  all: () => [],
  best: () => ALL.slice(0, 6),
  listed: () => ALL.filter(name => !boxes.get(name).closest("li").hidden),
};
for (const button of panel.querySelectorAll("button"))
  button.addEventListener("click", () => {
    const names = ACTIONS[button.dataset.choose]();
    if (names.length || button.dataset.choose === "all") choose(names);
  });
panel.addEventListener("keydown", event => {
  if (event.key !== "Escape") return;
  panel.open = false;
  panel.querySelector("summary").focus();
});
document.addEventListener("click", event => panel.contains(event.target) || (panel.open = false));
// Links such as #variant=cnn choose; the same link works twice.
document.addEventListener("click", event => {
  const link = event.target.closest("a[href^='#']");
  if (link?.hash === location.hash) goToAddress();
});
addEventListener("hashchange", goToAddress);

// To be called once, when all that follows the choice is there.
export function begin() {
  showChoice();
  goToAddress();
}
