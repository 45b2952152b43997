"""The charts of the page, as Vega-Lite: what is drawn. The scripts of the page give each its rows (``charts.js``)."""

import functools
from typing import Any

import altair as alt

# Colours by Okabe and Ito, which colour-blind readers can distinguish, and which both themes can carry.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Text and lines take the colour of the page, in both themes; fonts are those of the page.
INK = "currentColor"
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "tickColor", "domainColor", "gridColor"), INK),
        **dict.fromkeys(("labelFontSize", "titleFontSize"), 12),
        "titleFontWeight": "normal",
        "gridOpacity": 0.12,
        "labelLimit": 160,
    },
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12, "labelLimit": 200},
    "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12},
    "text": {"fill": INK},
    "rule": {"color": INK},
    "range": {"category": list(PALETTE)},
}
AS_ACCURACY = "datum.value <= floor ? '100' : format(100 - datum.value, '.6~g')"
# What begins with "$" is filled in by charts.js.
VARIANT = alt.Y("variant:N", sort=["$order"], title=None, axis=alt.Axis(grid=True))
LEGEND = alt.Legend(orient="top", columns=alt.expr("width < 400 ? 1 : 3"), symbolOpacity=1)
COLOUR = alt.Color("variant:N", scale=alt.Scale(domain=["$variants"]), title=None, legend=LEGEND)
# Seconds below one as such: "20m" would be read as minutes.
AS_NUMBER = "datum.value && datum.value < 1 ? format(datum.value, '~g') : format(datum.value, '~s')"


@functools.cache
def specifications() -> dict[str, dict[str, Any]]:
    """Return the charts by name; each reads its rows from the data set "rows"."""
    made = {
        "accuracy": (accuracy(), "Test accuracy of each variant, with its seeds and its 95 % interval"),
        "cost": (cost(), "Test accuracy of each variant against its cost"),
        "comparisons": (comparisons(), "Differences of test accuracy between variants, with 95 % intervals"),
        "curves": (curves(), "Learning curves of variants"),
        "sweep": (sweep(), "Heat map of a sweep over two hyper-parameters"),
        "space": (space(), "Points of a sweep over two hyper-parameters"),
        "rungs": (rungs(), "Points of a sweep from rung to rung"),
        "searches": (searches(), "Lowest validation loss against the cost of sweeps"),
        "confusions": (confusions(), "How many test images of each class are predicted as each class"),
        "reliability": (reliability(), "Accuracy against confidence of variants"),
        "robustness": (robustness(), "Test accuracy of variants on transformed images"),
        "times": (times(), "What the processes of trainings spent their time on, by variant"),
    }
    return {name: _finished(chart, description) for name, (chart, description) in made.items()}


def accuracy() -> alt.LayerChart:
    """Return test accuracies on a logarithmic scale of errors: a dot a seed, mean and interval."""
    x = _error("error", "test accuracy, %")
    tooltip = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("seed:Q"),
        alt.Tooltip("accuracy:Q", format=".4f", title="test, %"),
    ]
    dots = _rows("seed").mark_circle(size=40, opacity=0.5, color=INK, aria=False).encode(x, VARIANT, tooltip=tooltip)
    bounds = _rows("mean").mark_rule(strokeWidth=2).encode(alt.X("low:Q"), alt.X2("high:Q"), VARIANT)
    shown = [alt.Tooltip("variant:N"), alt.Tooltip("text:N", title="test")]
    means = _rows("mean").mark_tick(thickness=3, size=16, color=PALETTE[1]).encode(x, VARIANT, tooltip=shown)
    return (dots + bounds + means).properties(height=alt.Step(20))


def cost() -> alt.LayerChart:
    """Return mean test accuracy against what is chosen: time, parameters, images."""
    y = _error("error", "test accuracy, %", axis=alt.Y)
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("text:N", title="test"), alt.Tooltip("shown:N", title="cost")]
    x = alt.X("cost:Q", scale=alt.Scale(type="log"), axis=alt.Axis(title="$across", labelExpr=AS_NUMBER, tickCount=6))
    dots = _rows("mean").mark_circle(size=110, opacity=0.9).encode(x, y, tooltip=tooltip)
    bounds = _rows("mean").mark_rule().encode(x, alt.Y("low:Q"), alt.Y2("high:Q"))
    names = _rows("mean").mark_text(align="left", dx=9, fontSize=11, limit=140).encode(x, y, text="name:N")
    return (bounds + dots + names).properties(height=420)


def comparisons() -> alt.LayerChart:
    """Return paired differences of test accuracy to the base and to the best variant, with intervals."""
    x = alt.X("mean:Q", title="difference, percentage points")
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("against:N"), alt.Tooltip("text:N", title="difference")]
    colour = alt.Color("relation:N", title="compared with", legend=alt.Legend(orient="top"))
    base = alt.Chart(_data())
    offset = alt.YOffset("relation:N")
    bounds = base.mark_rule(strokeWidth=2).encode(alt.X("low:Q"), alt.X2("high:Q"), VARIANT, colour, offset)
    dots = base.mark_circle(size=60, opacity=1).encode(x, VARIANT, colour, offset, tooltip=tooltip)
    zero = base.mark_rule(strokeDash=[4, 4]).encode(x=alt.datum(0))
    return (zero + bounds + dots).properties(height=alt.Step(12))


def curves() -> alt.LayerChart:
    """Return learning curves: a thin line a seed, a thick one their mean."""
    x = alt.X("at:Q", axis=alt.Axis(title="$across", labelExpr=AS_NUMBER, grid=False, tickCount=6))
    y = alt.Y(
        "value:Q",
        scale=alt.Scale(type="log", nice=False, reverse=alt.expr("accuracy")),
        axis=alt.Axis(title="$down", labelExpr=f"accuracy ? ({AS_ACCURACY}) : datum.label", values=alt.expr("$ticks")),
    )
    base = alt.Chart(_data()).encode(x, y, COLOUR)
    hovered = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("seed:N"),
        alt.Tooltip("step:Q", format=","),
        alt.Tooltip("text:N"),
    ]
    seeds = base.transform_filter("datum.kind == 'seed'").mark_line(strokeWidth=0.8, opacity=0.45, aria=False)
    means = base.transform_filter("datum.kind == 'mean'").mark_line(strokeWidth=2.5, aria=False)
    dots = base.transform_filter("datum.kind == 'mean'").mark_circle(size=30, aria=False).encode(tooltip=hovered)
    layers = seeds.encode(detail="seed:N") + means + dots
    return layers.add_params(alt.param(name="accuracy", value=True)).properties(height=380)


def sweep() -> alt.LayerChart:
    """Return a grid of hyper-parameters as a heat map of two of them; further ones are at their best."""
    base = alt.Chart(_data()).encode(
        alt.X("across:O", sort=alt.SortField("column"), axis=alt.Axis(title="$across", labelAngle=0)),
        alt.Y("down:O", sort=alt.SortField("row"), axis=alt.Axis(title="$down")),
    )
    tooltip = [alt.Tooltip("values:N"), alt.Tooltip("text:N", title="mean"), alt.Tooltip("points:Q", title="of points")]
    scale = alt.Scale(type="log", scheme="viridis", reverse=alt.expr("reverse"))
    colour = alt.Color("value:Q", scale=scale, legend=alt.Legend(title="$measured", orient="top", format=".3~g"))
    cells = base.mark_rect(stroke=None).encode(color=colour, tooltip=tooltip)
    written = base.mark_text(fontSize=11).encode(
        text="short:N", color=alt.condition("datum.dark", alt.value("white"), alt.value("black"))
    )
    best = base.transform_filter("datum.rank == 1").mark_point(size=900, shape="circle", strokeWidth=3, filled=False)
    layers = cells + written + best.encode(color=alt.value(PALETTE[1]))
    return layers.add_params(alt.param(name="reverse", value=True)).properties(height=alt.Step(34))


def space() -> alt.LayerChart:
    """Return the points of a space over two of its dimensions, coloured by what was measured in their highest rung."""
    base = alt.Chart(_data()).encode(_placed(alt.X, "x", "$across"), _placed(alt.Y, "y", "$down"))
    scale = alt.Scale(type="log", scheme="viridis", reverse=alt.expr("reverse"), domain=["$domain"], clamp=True)
    colour = alt.Color("value:Q", scale=scale, legend=alt.Legend(title="$measured", orient="top", format=".3~g"))
    size = alt.Size("size:Q", scale=None, legend=None)
    tooltip = [
        *(alt.Tooltip("values:N"), alt.Tooltip("loss:N"), alt.Tooltip("accuracy:N", title="accuracy, %")),
        *(alt.Tooltip("rank:Q"), alt.Tooltip("rung:Q"), alt.Tooltip("n:Q"), alt.Tooltip("steps:Q", format=",")),
        alt.Tooltip("images:Q", format=",", title="images of all its trainings"),
    ]
    good = base.transform_filter("isValid(datum.value)").mark_circle(opacity=0.9)
    failed = base.transform_filter("!isValid(datum.value)").mark_point(shape="cross", angle=45, size=60, color=INK)
    best = base.transform_filter("datum.chosen").mark_point(size=330, shape="circle", strokeWidth=3, filled=False)
    layers = good.encode(color=colour, size=size, tooltip=tooltip) + failed.encode(tooltip=tooltip)
    layers += best.encode(color=alt.value(PALETTE[1]))
    return _with_labels(layers.add_params(alt.param(name="reverse", value=True))).properties(height=380)


def rungs() -> alt.LayerChart:
    """Return the losses of the points of a sweep from rung to rung: finalists in colours, the others grey."""
    x = _placed(alt.X, "x", "images that one training has seen")
    base = alt.Chart(_data()).encode(x, _placed(alt.Y, "y", "validation loss (triangle: higher)"), detail="point:N")
    tooltip = [
        *(alt.Tooltip("values:N"), alt.Tooltip("name:N", title="is"), alt.Tooltip("rung:N"), alt.Tooltip("n:Q")),
        *(alt.Tooltip("loss:N"), alt.Tooltip("accuracy:N", title="accuracy, %")),
        alt.Tooltip("seen:Q", format=",", title="images"),
    ]
    scale = alt.Scale(domain=["$names"], range=["$colours"])
    colour = alt.Color("name:N", scale=scale, title=None, legend=LEGEND)
    shape = alt.Shape("above:N", scale=alt.Scale(domain=[False, True], range=["circle", "triangle-up"]), legend=None)
    base = base.encode(colour)
    rest, finalists = (base.transform_filter(f"{not_}datum.finalist") for not_ in ("!", ""))
    best = base.transform_filter("datum.chosen").mark_point(size=330, shape="circle", strokeWidth=3, filled=False)
    layers = (
        rest.mark_line(strokeWidth=0.8, opacity=0.5, aria=False)
        + rest.mark_point(size=26, opacity=0.5, filled=True, aria=False).encode(shape, tooltip=tooltip)
        + finalists.mark_line(strokeWidth=2.5, aria=False)
        + finalists.mark_point(size=50, opacity=1, filled=True, aria=False).encode(shape, tooltip=tooltip)
        + best.encode(color=alt.value(PALETTE[1]))
    )
    return _with_labels(layers).properties(height=380)


def searches() -> alt.LayerChart:
    """Return the lowest loss so far against the images of all trainings of a sweep; a dot for the chosen point."""
    colour = alt.Color("sweep:N", scale=alt.Scale(domain=["$sweeps"]), title=None, legend=LEGEND)
    tooltip = [alt.Tooltip("sweep:N"), alt.Tooltip("kind:N"), alt.Tooltip("loss:N")]
    tooltip += [alt.Tooltip("images:Q", format=",")]
    x = _placed(alt.X, "x", "images of all trainings together")
    base = alt.Chart(_data()).encode(x, _placed(alt.Y, "y", "lowest validation loss so far"), colour)
    path = base.transform_filter("datum.kind == 'so far'").mark_line(interpolate="step-after", aria=False)
    steps = base.transform_filter("datum.kind == 'so far'").mark_circle(size=20, opacity=1, aria=False)
    ends = base.transform_filter("datum.kind == 'chosen'").mark_circle(size=110, opacity=1)
    return _with_labels(path + steps.encode(tooltip=tooltip) + ends.encode(tooltip=tooltip)).properties(height=340)


def confusions() -> alt.LayerChart:
    """Return how often each class is taken for another one."""
    base = alt.Chart(_data()).encode(
        alt.X("predicted:O", title="predicted class", axis=alt.Axis(labelAngle=0, orient="top")),
        alt.Y("label:O", title="class"),
    )
    tooltip = [alt.Tooltip(name) for name in ("label:O", "predicted:O", "images:Q")]
    colour = alt.Color(
        "images:Q", scale=alt.Scale(type="sqrt", domainMin=0, range=["#0072B200", "#0072B2A0"]), legend=None
    )
    wrong = base.transform_filter("datum.label != datum.predicted").mark_rect().encode(colour, tooltip=tooltip)
    counts = base.mark_text(fontSize=11).encode(
        text="text:N", opacity=alt.condition("datum.label == datum.predicted", alt.value(0.55), alt.value(1))
    )
    return (wrong + counts).properties(width=alt.Step(34), height=alt.Step(28))


def reliability() -> alt.LayerChart:
    """Return how often nets are right when they are so sure, in bins of equal size."""
    x, y = (
        _error(name, f"{title} of a bin, %", axis=axis)
        for name, title, axis in (("unsure", "mean confidence", alt.X), ("error", "accuracy", alt.Y))
    )
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("seed:N"), alt.Tooltip("text:N", title="confidence, accuracy")]
    line = (
        alt.Chart(_data())
        .mark_line(strokeDash=[4, 4], color=INK, aria=False)
        .encode(alt.X("diagonal:Q"), alt.Y("diagonal:Q"))
    )
    dots = alt.Chart(_data()).mark_circle(size=36, opacity=0.6, aria=False).encode(x, y, COLOUR, tooltip=tooltip)
    return (
        line.transform_filter("isValid(datum.diagonal)") + dots.transform_filter("isValid(datum.error)")
    ).properties(height=380)


def robustness() -> alt.LayerChart:
    """Return accuracy on transformed test images against how much they are transformed."""
    y = _error("error", "test accuracy, %", axis=alt.Y)
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("level:Q"), alt.Tooltip("text:N", title="test")]
    base = alt.Chart(_data()).encode(alt.X("level:Q", axis=alt.Axis(title="$across", tickCount=6)), y, COLOUR)
    layers = base.mark_line(aria=False) + base.mark_circle(size=50, opacity=1).encode(tooltip=tooltip)
    return layers.properties(height=340)


def times() -> alt.Chart:
    """Return what the processes of trainings spent their time on, by variant."""
    tooltip = [alt.Tooltip("variant:N"), alt.Tooltip("part:N"), alt.Tooltip("text:N", title="time")]
    bars = alt.Chart(_data()).mark_bar(aria=False)
    return bars.encode(
        alt.X("seconds:Q", title="all seeds together", axis=alt.Axis(labelExpr="duration(datum.value)", tickCount=6)),
        VARIANT,
        alt.Color("part:N", sort=None, title=None, legend=LEGEND),
        order="place:Q",
        tooltip=tooltip,
    ).properties(height=alt.Step(18))


def _data() -> alt.NamedData:
    return alt.NamedData(name="rows")


def _rows(kind: str) -> alt.Chart:
    """Return a chart of the rows of one kind."""
    return alt.Chart(_data()).transform_filter(f"datum.kind == '{kind}'")


def _placed(axis: Any, field: str, title: str) -> Any:
    """Return an axis on which charts.js gives rows their places, ticks and labels, see ``axis`` in sweeps.js."""
    name = "across" if axis is alt.X else "down"
    label = f"{name}Labels[indexof({name}Ticks, datum.value)]"
    ticks = alt.Axis(title=title, values=alt.expr(f"${name}Ticks"), labelExpr=label, labelOverlap="greedy")
    return axis(f"{field}:Q", scale=alt.Scale(zero=False, nice=False, padding=14), axis=ticks)


def _with_labels(chart: Any) -> Any:
    """Return a chart with what the labels of ``_placed`` refer to."""
    names = [f"{axis}{part}" for axis in ("across", "down") for part in ("Ticks", "Labels")]
    return chart.add_params(*(alt.param(name=name, value=[]) for name in names))


def _error(field: str, title: str, axis: Any = alt.X) -> Any:
    """Return a logarithmic axis of errors in percent, the smallest at its far end, labelled with accuracies."""
    ticks = alt.Axis(title=title, labelExpr=AS_ACCURACY, values=alt.expr("$ticks"))
    return axis(f"{field}:Q", scale=alt.Scale(type="log", reverse=True, nice=False, padding=8), axis=ticks)


def _finished(chart: Any, description: str) -> dict[str, Any]:
    """Return a chart as Vega-Lite that fills the width it is given; screen readers read its description."""
    chart = chart.add_params(alt.param(name="floor", value=0)).properties(description=description)
    if chart.width is alt.Undefined:
        chart = chart.properties(width="container")
    made: dict[str, Any] = chart.to_dict(validate=True)
    return made | {"config": CONFIG}
