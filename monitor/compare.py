"""Several runs side by side: their figures, the settings in which they differ, their curves in one chart. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from monitor import page
from monitor.charts import COLOURS, Series, lines
from monitor.dense import COUNTED_LOSSES, in_words
from monitor.figures import compact, count, number, percent, ratio, times
from monitor.report import stimuli
from monitor.told import Told

Settings = Mapping[str, Any]
"""A topology laid flat: ``groups.h1.optimizer.lr`` -> value."""


class Entry(NamedTuple):
    """A run to be compared."""

    told: Told
    settings: Settings


class Line(NamedTuple):
    """A line of the table: a figure or a setting, as written, of each run."""

    words: str
    values: tuple[str, ...]
    best: tuple[bool, ...]  # nobody's, where more is not better, or all are alike


MORE, LESS = max, min

QUALITY = (
    ("test accuracy", "test_accuracy", lambda x: percent(x, 2), MORE),
    ("test loss", "test_loss", lambda x: number(x, 4), LESS),
    ("train loss", "loss", lambda x: number(x, 4), LESS),
    ("stimuli", "stimuli", count, None),
    ("trained for", "train_s", lambda x: "-" if x is None else f"{x:,.1f} s", None),
    ("stimuli/s", "stimuli_per_s", compact, MORE),
    ("staleness", "staleness_mean", lambda x: number(x, 2), LESS),
)
UNLIKE = 20  # times as long as another: both are seen on a logarithmic axis only
CHANGED = 2  # settings that are named
SAVED = ("notifications", "updates", "bytes", "spikes")


def names(runs: Sequence[Told]) -> list[str]:
    """What each run is called in a comparison: its folder's name, or its path where two have the same."""
    short = [told.name for told in runs]
    return [told.path if short.count(told.name) > 1 else told.name for told in runs]


def table(entries: Sequence[Entry]) -> list[Line]:
    """The figures of each run, what was changed while it ran, then each setting in which they differ."""
    found = []
    for words, key, show, better in QUALITY:
        numbers = [e.told.figure(key) for e in entries]
        if any(n is not None for n in numbers):
            found.append(Line(words, tuple(map(show, numbers)), _best(entries, numbers, better)))
    for key in SAVED:
        ratios = [ratio(e.told.figure(key), e.told.figure(f"{key}_dense")) for e in entries]
        if any(r is not None for r in ratios):
            found.append(Line(f"fewer {key}", tuple(map(times, ratios)), _best(entries, ratios, MORE)))
    for key in COUNTED_LOSSES:
        if any(e.told.figure(key) for e in entries):
            counts = [e.told.figure(key) for e in entries]
            found.append(Line(in_words(key), tuple(map(count, counts)), _best(entries, counts, LESS)))
    ends = tuple(str(e.told.figure("why") or "-") if e.told.ended else "not ended" for e in entries)
    none = (False,) * len(entries)
    found.append(Line("ended", ends, none))
    if any(e.told.changes for e in entries):
        found.append(Line("changed while it ran", tuple(_changed(e.told) for e in entries), none))
    return [*found, *(Line(key, values, none) for key, values in differences([e.settings for e in entries]))]


def _changed(told: Told) -> str:
    """The settings that a run did not keep to, as they were last; only how many, where there is no room for them."""
    last = {f"{change.get('process')} {change.get('key')}": change.get("value") for change in told.changes}
    if len(last) > CHANGED:
        return f"{len(last)} settings"
    return ", ".join(f"{name}={value}" for name, value in last.items()) or "-"


def differences(settings: Sequence[Settings]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each setting in which some of the runs differ, with its value in each; a dash where a run has none."""
    for key in dict.fromkeys(key for each in settings for key in each):
        values = [each.get(key) for each in settings]
        if any(value != values[0] for value in values):
            yield key, tuple("-" if value is None else str(value) for value in values)


def plain(entries: Sequence[Entry]) -> str:
    """The table as text: a column a run."""
    rows = [("", *names([e.told for e in entries])), *((line.words, *line.values) for line in table(entries))]
    wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([f"{row[0]:<{wide[0]}}", *(f"{c:>{w}}" for c, w in zip(row[1:], wide[1:], strict=True))])
        for row in rows
    )


def objects(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The same as data: each run's summary or last row, what was changed, and the settings in which they differ."""
    differ = dict(differences([e.settings for e in entries]))
    return [
        {
            "run": e.told.path,
            **e.told.figures,
            "settings": {key: e.settings.get(key) for key in differ},
            "changed": list(e.told.changes),
        }
        for e in entries
    ]


def comparison(entries: Sequence[Entry]) -> str:
    """The page: the curves of all runs in one chart each, and the table."""
    runs = [e.told for e in entries]
    called = names(runs)
    rows = [
        [line.words, *(page.cell(v, "n", bold=b) for v, b in zip(line.values, line.best, strict=True))]
        for line in table(entries)
    ]
    left = len(runs) - COLOURS
    best = "In each line the best figure is bold, among runs of the same data set."
    note = f"{best} Below them, the settings in which the runs differ."
    cut = f"Of the first {COLOURS} runs; {left} more are in the table only." if left > 0 else ""
    return page.page(
        f"{len(runs)} runs · neurond",
        [
            f"<h1>{len(runs)} runs</h1>",
            page.words(note, "dim"),
            page.table(["", *called], rows),
            page.section(
                "Curves",
                page.words(cut, "dim"),
                page.charts(_curves(runs[:COLOURS], called)),
            ),
        ],
    )


def _curves(runs: Sequence[Told], called: Sequence[str]) -> Iterator[str]:
    def chart(title: str, points: Any, show: Any, show_x: Any = stimuli, x: str = "stimuli", **options: Any) -> str:
        series = [Series(name, points(told)) for name, told in zip(called, runs, strict=False)]
        unlike = _unlike(series)
        x_name = f"{x}, logarithmic" if unlike else x
        return page.figure(title, lines(series, title, show, show_x, x_name, log_x=unlike, **options), series)

    yield chart("Test accuracy", lambda t: t.evaluations("test_accuracy"), lambda y: f"{100 * y:.4g} %")
    seconds: dict[str, Any] = {"show_x": lambda x: f"{x:,.1f}", "x": "seconds"}
    yield chart(
        "Test accuracy over time", lambda t: t.evaluated_at("test_accuracy"), lambda y: f"{100 * y:.4g} %", **seconds
    )
    yield chart("Test loss", lambda t: t.evaluations("test_loss"), lambda y: f"{y:.3g}", zero=True)
    yield chart("Training loss", lambda t: t.curve("loss"), lambda y: f"{y:.3g}", zero=True)
    yield chart("Stimuli a second", lambda t: t.curve("stimuli_per_s"), compact, zero=True)
    for key in SAVED[:3]:
        title = f"{key.capitalize()}, of what a dense network would"
        yield chart(title, lambda t, key=key: t.of_dense(key), lambda y: f"{100 * y:,.4g} %", log=True)
    yield chart("Mean staleness so far", lambda t: t.curve("staleness_mean"), lambda y: f"{y:.3g}", zero=True)


def _unlike(series: Sequence[Series]) -> bool:
    """Whether some curve would be a stroke at the edge of a chart that is as wide as the longest of them."""
    ends = [s.points[-1][0] for s in series if s.points]
    return bool(ends) and max(ends) > UNLIKE * min(ends)


def _best(entries: Sequence[Entry], numbers: Sequence[float | None], better: Any) -> tuple[bool, ...]:
    """Which of the runs are the best of those of their data set: what others learn is no easier or harder for it."""
    data = [e.told.plan.source.data for e in entries]
    rivals = [{n for n, other in zip(numbers, data, strict=True) if other == own and n is not None} for own in data]
    return tuple(
        better is not None and n is not None and len(them) > 1 and n == better(them)
        for n, them in zip(numbers, rivals, strict=True)
    )
