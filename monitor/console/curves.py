"""The view of curves: loss and accuracy against stimuli, and accuracy against what was sent for it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from monitor.console.canvas import Canvas
from monitor.console.page import Glyphs, Look, Page, Span, Spans, cut
from monitor.figures import compact, number, percent
from monitor.view import View

LABEL = 7  # characters of a scale's numbers
SIDE_BY_SIDE = 132  # characters of a screen from which the curves stand side by side
MIN_HEIGHT = 5  # rows of one: title, two of dots, the ends of the scale below

Points = Sequence[tuple[float, float]]
Written = Callable[..., str]  # of a number, and of digits behind its point


def curves(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """Three plots, side by side where there is room, else one below the other; they fill the screen."""
    plots: list[tuple[str, Points, Points, str, Written]] = [
        ("loss", view.losses, (), "stimuli", number),
        ("training accuracy", view.accuracies, view.tests, "stimuli", percent),
        ("training accuracy against MB sent", view.costs, (), "MB", percent),
    ]
    if width >= SIDE_BY_SIDE:
        each = (width - 4) // 3
        drawn = [plot(*one, each, max(MIN_HEIGHT, min(height, each // 2)), glyphs) for one in plots]
        rows = [_joined(parts) for parts in zip(*drawn, strict=True)]
    else:
        tall = max(MIN_HEIGHT, height // 3)
        rows = [row for one in plots for row in plot(*one, width - 1, tall, glyphs)]
    return Page([], rows, [""] * len(rows))


def plot(
    title: str, points: Points, marks: Points, unit: str, written: Written, width: int, height: int, glyphs: Glyphs
) -> list[Spans]:
    """A curve with its scale, in `height` rows of `width` characters.

    Args:
        title: of the curve.
        points: (x, y) of the curve, by x.
        marks: (x, y) of single points, drawn as characters of their own.
        unit: of x.
        written: how a y is written, the same here as elsewhere.
        width: at least 20.
        height: at least `MIN_HEIGHT`.
        glyphs: what the screen can show.

    """
    last = [f"{title} {written(points[-1][1])}"] if points else [f"{title} -"]
    if marks:
        last.append(f"test {written(marks[-1][1])} {glyphs.pick('●', 'o')}")
    head: Spans = [(f" {cut(', '.join(last), width - 2, glyphs):<{width - 1}}", "strong")]
    room, tall = width - LABEL - 3, height - 2
    everything = [*points, *marks]
    if not points or room < 4:
        blank: Spans = [(" " * width, "")]
        words: Spans = [(f" {'no sample yet':<{width - 1}}", "dim")]
        return [head, words, *[blank] * (height - 2)]
    low_x, high_x = min(x for x, _ in everything), max(x for x, _ in everything)
    low, high = min(y for _, y in everything), max(y for _, y in everything)
    canvas = Canvas(room, tall, glyphs)

    def at(point: tuple[float, float], across: int, down: int) -> tuple[int, int]:
        x = (point[0] - low_x) / (high_x - low_x) if high_x > low_x else 0.0
        y = (point[1] - low) / (high - low) if high > low else 0.5
        return round(x * (across - 1)), round((1 - y) * (down - 1))

    dots = [at(point, canvas.across, canvas.down) for point in points]
    canvas.dot(*dots[0])
    for first, second in pairwise(dots):
        canvas.line(*first, *second)
    cells = [list(row) for row in canvas.rows()]
    single = {at(point, room, tall) for point in marks}
    scale = dict(zip((0, tall - 1), _ticks((high, low), written), strict=True))
    bar = glyphs.pick("│", "|")
    rows = [head]
    for y, row in enumerate(cells):
        tick = scale.get(y, "")
        rows.append([(f" {tick:>{LABEL}} {bar}", "dim"), *_spans(row, y, single, glyphs)])
    ends = _end(low_x), f"{_end(high_x)} {unit}"
    rows.append([(f" {'':>{LABEL}} {ends[0]}{ends[1]:>{max(1, room + 1 - len(ends[0]))}}", "dim")])
    return rows


def _ticks(ends: tuple[float, float], written: Written) -> list[str]:
    """Both ends of a scale, with as many digits as tell them apart, if there is room."""
    found = [_tick(y, written) for y in ends]
    for digits in range(1, LABEL):
        finer = [written(y, digits) for y in ends]
        if len(set(found)) > 1 or ends[0] == ends[1] or max(map(len, finer)) > LABEL:
            break
        found = finer
    return found


def _tick(y: float, written: Written) -> str:
    text = written(y)
    return text if len(text) <= LABEL else f"{y:.0e}"


def _end(x: float) -> str:
    return compact(x) if x >= 100 else f"{x:.3g}"


def _spans(row: list[str], y: int, single: set[tuple[int, int]], glyphs: Glyphs) -> list[Span]:
    """A row of dots, with the single points in it."""
    spans: list[Span] = []
    since = 0
    for x in sorted(x for x, at in single if at == y):
        spans += [("".join(row[since:x]), "accent"), (glyphs.pick("●", "o"), "warn")]
        since = x + 1
    return [*spans, ("".join(row[since:]), "accent")]


def _joined(parts: Sequence[Spans]) -> Spans:
    """Rows beside each other."""
    joined: Spans = []
    for part in parts:
        joined += part
        joined.append((" ", ""))
    return joined
