"""Lines and bars as SVG, to be put into a page: colours come from its style sheet, so that they suit light and dark.

Everything is drawn in one size that is legible on a phone; `page.py` lays such charts out side by side. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 420, 220  # of a chart, in its own units: about pixels
LEFT, RIGHT, TOP, BOTTOM = 50, 12, 14, 34  # room for the axes
COLOURS = 8  # series that the style sheet has a colour for
TOUCHED = 100  # points of a line that tell their value to whoever points at them
DRAWN = 400  # points of a line

Show = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Series:
    """One line; `points` are (x, y) in the order of x, and y is finite."""

    label: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at x, in words."""

    x: float
    words: str


@dataclass(frozen=True, slots=True)
class _Axis:
    """Where the values of one axis lie: `start` and `end` in the chart's units."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (_log10(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (self.end - self.start) * ((value - low) / (high - low) if high > low else 0.5)


def lines(
    series: Sequence[Series],
    words: str,
    show_y: Show,
    show_x: Show,
    x_name: str,
    *,
    marks: Sequence[Mark] = (),
    zero: bool = False,
    log: bool = False,
    log_x: bool = False,
) -> str:
    """A chart of lines; empty where there is no point to draw.

    Args:
        series: at most `COLOURS` of them; the n-th has the colour n.
        words: what the chart shows, for those who hear it.
        show_y: a value of y as it is written.
        show_x: a value of x likewise.
        x_name: what x is.
        marks: drawn as thin upright lines.
        zero: y begins at zero.
        log: y is logarithmic; points at zero and below are not drawn.
        log_x: x likewise.

    """
    kept = [
        Series(s.label, [p for p in s.points if (not log or p[1] > 0) and (not log_x or p[0] > 0)]) for s in series
    ]
    xs = [x for s in kept for x, _ in s.points]
    ys = [y for s in kept for _, y in s.points]
    if not xs:
        return ""
    y_ticks = _decades(min(ys), max(ys)) if log else ticks(0.0 if zero else min(ys), max(ys))
    x_axis = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT, log_x)
    y_axis = _Axis(y_ticks[0], max(y_ticks[-1], *ys), HEIGHT - BOTTOM, TOP, log)
    parts = [*_grid(y_axis, y_ticks, show_y), *_feet(x_axis, show_x, x_name)]
    for mark in marks:
        if x_axis.low <= mark.x <= x_axis.high:
            x = _n(x_axis.at(mark.x))
            parts.append(
                f'<path class="mark" d="M{x} {TOP}V{HEIGHT - BOTTOM}"><title>{escape(mark.words)}</title></path>'
            )
    for i, s in enumerate(kept):
        parts += _line(s, i + 1, x_axis, y_axis, show_x, show_y)
    return _svg(parts, words)


def bars(heights: Sequence[tuple[str, int]], words: str, show: Show) -> str:
    """A chart of bars side by side, each with its label below and, unless it is zero, its value above."""
    most = max((n for _, n in heights), default=0)
    if not most:
        return ""
    y_axis = _Axis(0, most, HEIGHT - BOTTOM, TOP + 14)
    step = (WIDTH - LEFT - RIGHT) / len(heights)
    parts = [f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>']
    for i, (label, n) in enumerate(heights):
        x, top = LEFT + i * step, y_axis.at(n)
        middle = _n(x + step / 2)
        parts.append(
            f'<rect class="bar" x="{_n(x + 2)}" y="{_n(top)}" width="{_n(step - 4)}" '
            f'height="{_n(HEIGHT - BOTTOM - top)}" rx="2"><title>{escape(label)}: {n:,}</title></rect>'
        )
        parts.append(_text(middle, _n(top - 4), show(n) if n else "", "middle"))
        parts.append(_text(middle, HEIGHT - BOTTOM + 15, label, "middle"))
    return _svg(parts, words)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers at even steps, about `wanted`: the first is not above `low`, the last not below `high`."""
    span = high - low
    if span <= 0:
        span = abs(high) or 1.0
        low, high = low - span / 2, high + span / 2
    rough = span / wanted
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 2.5, 5, 10) if size * m >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def thinned(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most about `most` points of a line: the first, the last, and the lowest and highest of each stretch.

    However short it was, a collapse is seen.
    """
    if len(points) <= most:
        return list(points)
    step = math.ceil(2 * len(points) / most)
    kept = {0, len(points) - 1}
    for start in range(0, len(points), step):
        stretch = range(start, min(start + step, len(points)))
        kept |= {pick(stretch, key=lambda i: points[i][1]) for pick in (min, max)}
    return [points[i] for i in sorted(kept)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten, from one that is not above `low` to the last that is not above `high`, two at least.

    Where there are hardly more, twice and five times each as well.
    """
    first, last = math.floor(_log10(low) + 1e-9), math.floor(_log10(high) + 1e-9)
    found = [10.0**i for i in range(first, max(last, first + 1) + 1)]
    if len(found) < 4:
        found = [x * m for x in found for m in (1, 2, 5) if x * m <= max(high, found[-1])]
    return found


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


def _grid(axis: _Axis, at: Sequence[float], show: Show) -> list[str]:
    parts = []
    for i, value in enumerate(at):
        y = _n(axis.at(value))
        parts.append(f'<path class="{"grid" if i else "axis"}" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, _n(axis.at(value) + 4), show(value), "end"))
    return parts


def _feet(axis: _Axis, show: Show, name: str) -> list[str]:
    y = HEIGHT - BOTTOM + 15
    middle = math.sqrt(axis.low * axis.high) if axis.log else (axis.low + axis.high) / 2
    ends = ((axis.low, "start"), (middle, "middle"), (axis.high, "end"))
    shown = [_text(_n(axis.at(value)), y, show(value), anchor) for value, anchor in ends]
    return [*(shown if axis.high > axis.low else shown[1:2]), _text(WIDTH - RIGHT, HEIGHT - 4, name, "end")]


def _line(s: Series, colour: int, x_axis: _Axis, y_axis: _Axis, show_x: Show, show_y: Show) -> list[str]:
    if not s.points:
        return []
    placed = [(_n(x_axis.at(x)), _n(y_axis.at(y))) for x, y in thinned(s.points, DRAWN)]
    parts = []
    if len(placed) > 1:
        way = "L".join(f"{x} {y}" for x, y in placed)
        parts.append(f'<path class="line s{colour}" d="M{way}"/>')
    else:
        parts.append(f'<circle class="point s{colour}" cx="{placed[0][0]}" cy="{placed[0][1]}" r="3"/>')
    for x, y in thinned(s.points, TOUCHED):
        told = f"{escape(s.label)}: {escape(show_y(y))} at {escape(show_x(x))}"
        at = f'cx="{_n(x_axis.at(x))}" cy="{_n(y_axis.at(y))}"'
        parts.append(f'<circle class="touch s{colour}" {at} r="6"><title>{told}</title></circle>')
    return parts


def _text(x: float | str, y: float | str, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str], words: str) -> str:
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
    return head + "".join(parts) + "</svg>"


def _n(value: float) -> str:
    """A coordinate in few characters."""
    return f"{value:.1f}".removesuffix(".0")
