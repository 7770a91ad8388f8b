"""The charts of a study, as SVG and PNG. The only module that needs matplotlib.

Every chart shows the mean over the seeds, and from the least to the largest of them as a band or a bar. Colours are
those of Okabe and Ito (2008, Color universal design), and lines differ by their markers too.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from neurond.errors import RunError
from neurond.experiments.figures import FIGURES
from neurond.experiments.results import Results
from neurond.experiments.study import Arm, Chart, Dots, Lines, Map
from topology.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
WIDE, HIGH = 5.4, 3.9  # inches of a chart
ROW = 0.27  # inches of a row of dots
STYLE: Any = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "neurond",  # the same results give the same file
}


class Spread(NamedTuple):
    """Mean, least and largest of a figure over seeds, as drawn."""

    mean: float
    low: float
    high: float


def require() -> None:
    """Raise RunError if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401 - an extra
    except ImportError:
        raise RunError("matplotlib is not installed: pip install 'neurond[experiments]'") from None


def draw(results: Results, folder: Path, seeds: int | None = None) -> list[Path]:
    """Draw the charts of a study into ``folder/NAME.svg`` and ``.png``; where they are.

    Raises RunError if there is no matplotlib, or the files cannot be written.
    """
    require()
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    paths = []
    with mpl.rc_context(STYLE):
        canvas = Canvas()
        FigureCanvasAgg(canvas)
        _layout(canvas, results, seeds)
        for end, more in (("svg", {"metadata": {"Date": None}}), ("png", {"dpi": 130})):
            image = io.BytesIO()
            canvas.savefig(image, format=end, bbox_inches="tight", pad_inches=0.12, facecolor="white", **more)
            path = folder / f"{results.path.name.removesuffix('.json')}.{end}"
            try:
                write_whole(path, image.getvalue())
            except OSError as error:
                raise RunError(f"cannot write {path}: {error.strerror}") from error
            paths.append(path)
    return paths


def spread(results: Results, arm: Arm, figure: str, seeds: int | None) -> Spread | None:
    """A figure of an arm over the seeds, in its unit; None where no run has it."""
    scale = FIGURES[figure].scale
    values = [scale * r.figures[figure] for r in results.of(arm.label, seeds) if figure in r.figures]
    return Spread(fmean(values), min(values), max(values)) if values else None


def _layout(canvas: Canvas, results: Results, seeds: int | None) -> None:
    panels = [panel for chart in results.study.charts for panel in _panels(chart, results)]
    rows = max(_height(chart, results) for chart, _ in panels)
    canvas.set_size_inches(WIDE * len(panels), rows)
    first = next((i for i, (chart, _) in enumerate(panels) if isinstance(chart, Dots)), None)  # its rows have names
    for i, (chart, line) in enumerate(panels):
        axes = canvas.add_subplot(1, len(panels), i + 1)
        match chart:
            case Lines():
                _lines(axes, chart, results, seeds)
                if rows > HIGH:  # beside many rows of dots
                    axes.set_box_aspect(HIGH / WIDE)
                    axes.set_anchor("N")
            case Map():
                _map(axes, chart, line, results, seeds)
            case Dots():
                _dots(axes, chart, results, seeds, labelled=i == first)
    handles = {label: h for a in canvas.axes for h, label in zip(*a.get_legend_handles_labels(), strict=True)}
    if len(handles) > 1:
        canvas.legend(
            handles.values(),
            handles.keys(),
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            ncols=min(len(handles), 2 * len(panels)),
        )
    quick = "; --quick: not a measurement" if results.quick else ""
    canvas.suptitle(f"{results.study.title}; {_seeds(results, seeds)}{quick}", fontsize=12, x=0.02, ha="left")
    canvas.tight_layout()


def _seeds(results: Results, seeds: int | None) -> str:
    """How many seeds the means are of; as a range where some arms have fewer so far."""
    counts = {n for arm in results.study.arms if (n := len(results.of(arm.label, seeds)))} or {0}
    least = "" if len(counts) == 1 else f"{min(counts)} to "
    return f"{least}{max(counts)} seed{'s' if max(counts) != 1 else ''}"


def _panels(chart: Chart, results: Results) -> list[tuple[Chart, str]]:
    if isinstance(chart, Map):
        return [(chart, line) for line in dict.fromkeys(arm.line for arm in results.study.arms)]
    return [(chart, "")]


def _height(chart: Chart, results: Results) -> float:
    return max(HIGH - 1.2, 1.2 + ROW * len(results.study.arms)) if isinstance(chart, Dots) else HIGH


def _looks(results: Results) -> dict[str, tuple[str, str]]:
    """Colour and marker of each line of a study, the same in all its charts."""
    lines = dict.fromkeys(arm.line for arm in results.study.arms)
    return {line: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, line in enumerate(lines)}


def _lines(axes: Axes, chart: Lines, results: Results, seeds: int | None) -> None:
    for line, (colour, marker) in _looks(results).items():
        arms = [arm for arm in results.study.arms if arm.line == line]
        ys = [(arm, y) for arm in arms if (y := spread(results, arm, chart.figure, seeds)) is not None]
        if chart.against:
            if chart.at is not None:
                ys = [(arm, y) for arm, y in ys if arm.x in {chart.at, None}]
            _against(axes, chart, results, seeds, ys, {"color": colour, "marker": marker, "label": line})
            continue
        placed = sorted(((arm.x, y) for arm, y in ys if arm.x is not None), key=lambda p: p[0])
        if placed:
            x = [at for at, _ in placed]
            axes.fill_between(
                x, [y.low for _, y in placed], [y.high for _, y in placed], color=colour, alpha=0.16, lw=0
            )
            axes.plot(x, [y.mean for _, y in placed], color=colour, marker=marker, ms=4.5, lw=1.6, label=line)
        levels = [(arm, y) for arm, y in ys if arm.x is None]
        if len(levels) == 1:  # one that has no place on the axis, to compare with
            arm, level = levels[0]
            axes.axhspan(level.low, level.high, color=colour, alpha=0.1, lw=0)
            axes.axhline(level.mean, color=colour, lw=1.3, ls="--", label=arm.label)
    axes.set_xlabel(FIGURES[chart.against].label if chart.against else results.study.axis)
    axes.set_ylabel(FIGURES[chart.figure].label)
    if chart.at is not None:
        axes.set_title(f"{results.study.axis} {chart.at:g}", fontsize=10)
    if chart.log_x:
        _log(axes, "x")
    if chart.log_y:
        _log(axes, "y")


def _against(
    axes: Axes,
    chart: Lines,
    results: Results,
    seeds: int | None,
    ys: Sequence[tuple[Arm, Spread]],
    look: Any,
) -> None:
    both = [(x, y) for arm, y in ys if (x := spread(results, arm, chart.against, seeds)) is not None]
    if not both:
        return
    axes.errorbar(
        [x.mean for x, _ in both],
        [y.mean for _, y in both],
        xerr=_bars([x for x, _ in both]),
        yerr=_bars([y for _, y in both]),
        lw=1.4,
        elinewidth=0.8,
        ms=4.5,
        **look,
    )


def _map(axes: Axes, chart: Map, line: str, results: Results, seeds: int | None) -> None:
    arms = [arm for arm in results.study.arms if arm.line == line]
    xs, ys = sorted({arm.x or 0.0 for arm in arms}), sorted({arm.y or 0.0 for arm in arms})
    every = [s.mean for arm in results.study.arms if (s := spread(results, arm, chart.figure, seeds)) is not None]
    grid = [[float("nan")] * len(xs) for _ in ys]
    for arm in arms:
        if (found := spread(results, arm, chart.figure, seeds)) is not None:
            grid[ys.index(arm.y or 0.0)][xs.index(arm.x or 0.0)] = found.mean
    if not every:
        return
    low, high = _robust(every)
    image = axes.imshow(grid, origin="lower", aspect="auto", cmap="viridis", vmin=low, vmax=high)
    for row, values in enumerate(grid):
        for column, value in enumerate(values):
            if value == value:
                ink = "black" if value > low + 0.6 * (high - low) else "white"
                axes.text(column, row, f"{value:.1f}", ha="center", va="center", color=ink, fontsize=8.5)
    axes.set_xticks(range(len(xs)), [f"{x:g}" for x in xs])
    axes.set_yticks(range(len(ys)), [f"{y:g}" for y in ys])
    axes.grid(visible=False)
    axes.set_xlabel(results.study.axis)
    axes.set_ylabel(results.study.axis_y)
    axes.set_title(line, fontsize=10)
    bar = axes.figure.colorbar(image, ax=axes, extend="min" if low > min(every) else "neither")
    bar.set_label(FIGURES[chart.figure].label)


def _robust(values: Sequence[float]) -> tuple[float, float]:
    """What the colours reach from and to: a few values that are far below the rest do not take them all."""
    ordered = sorted(values)
    middle = ordered[len(ordered) // 2]
    high = ordered[-1]
    return max(ordered[0], middle - 3 * (high - middle) - 1e-9), high + 1e-9


def _dots(axes: Axes, chart: Dots, results: Results, seeds: int | None, *, labelled: bool) -> None:
    arms = results.study.arms
    looks = _looks(results)
    for row, arm in enumerate(arms):
        found = spread(results, arm, chart.figure, seeds)
        if found is None:
            continue
        colour, marker = looks[arm.line]
        look: Any = {"color": colour, "marker": marker, "label": arm.line or None}
        axes.errorbar([found.mean], [row], xerr=_bars([found]), ls="", ms=5.5, elinewidth=1.6, capsize=2.5, **look)
    axes.set_yticks(range(len(arms)), [arm.label for arm in arms] if labelled else [""] * len(arms))
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(FIGURES[chart.figure].label)
    if chart.log:
        _log(axes, "x")


def _bars(found: Sequence[Spread]) -> list[list[float]]:
    """How far the bars reach below and above."""
    return [[max(0.0, s.mean - s.low) for s in found], [max(0.0, s.high - s.mean) for s in found]]


def _log(axes: Axes, which: str) -> None:
    """A logarithmic axis that says so, with plain numbers; more of them where it spans little."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    axis.set_label_text(f"{axis.get_label_text()}, log scale")
    low, high = getattr(axes, f"get_{which}lim")()
    few: Any = (
        (1.0,)
        if high / low > 300
        else (1.0, 2.0, 5.0)
        if high / low > 5
        else (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
    )
    axis.set_major_locator(LogLocator(10, few))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())
