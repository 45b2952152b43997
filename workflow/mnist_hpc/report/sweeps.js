// The controls of the grid: which sweep, and which of its hyper-parameters are the axes.
import { CONTENTS, element } from "./contents.js";

export function axes(figure) {
  const [sweep, across, down] = ["sweep", "across", "down"].map(name => figure.querySelector(`select[name=${name}]`));
  const options = keys => keys.map(key => element("option", { value: key }, key));
  function fill() {
    const { axes: tried } = CONTENTS.grids[sweep.value];
    const varied = Object.keys(tried).filter(key => tried[key].length > 1).sort((a, b) => tried[b].length - tried[a].length);
    across.replaceChildren(...options(varied));
    down.replaceChildren(...options(varied), element("option", { value: "" }, "none"));
    down.value = varied[1] ?? "";
  }
  sweep.replaceChildren(...options(Object.keys(CONTENTS.grids)));
  // Before the chart hears of the change: capture comes first.
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
