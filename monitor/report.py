"""A run as one page of HTML, from what its folder tells. Pure: `page.py` lays it out, `charts.py` draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from monitor import page
from monitor.charts import COLOURS, Mark, Series, bars, lines
from monitor.columns import CPU, MEMORY, NOTIFICATIONS, QUEUE, SPIKES, STALENESS, STIMULI, UPDATES
from monitor.dense import COMPARED, losses, outcome
from monitor.diagram import diagram
from monitor.figures import compact, count, duration, number, percent, ratio, times
from monitor.happened import ROUTINE
from monitor.happened import words as said
from monitor.told import Row, Told, last_part
from monitor.traffic import LOST, both_ways

EVENTS_SHOWN = 300  # in a list: the first and the last of them
MARKED = frozenset({"lost", "failed", "diverged", "set", "paused", "resumed"})
"""Kinds of event that the curves are marked with."""
MARKS = 40  # of a curve, at most
FIGURES = {
    "stimuli_per_s": STIMULI,
    "spike_share": SPIKES,
    "notifications": NOTIFICATIONS,
    "updates": UPDATES,
    "staleness": STALENESS,
    "queue": QUEUE,
    "cpu": CPU,
    "rss_mib": MEMORY,
}
"""What of a process' last row is shown, and how."""


CONDITIONS = {
    "loss": "{:.2%} of the frames lost",
    "bytes_per_s": "{:,.0f} bytes a second over each link",
    "frame_s": "{:g} s for a frame",
    "multiplies_per_s": "{:g} multiply-adds a second",
    "churn_s": "each process dies after {:g} s on average",
    "down_s": "who died is back after {:g} s on average",
}
"""What of a simulation's conditions is a bare number, and how it is told."""


def report(told: Told) -> str:
    """The page of one run; everything that is on it was measured, and what was not is a dash or left out."""
    return page.page(
        f"{told.name} · neurond",
        [
            *_head(told),
            page.section("Curves", page.charts(_curves(told))),
            page.section("Against a dense network", _dense(told)),
            page.section("Network", _network(told)),
            page.section("Traffic by link", _traffic(told)),
            page.section("Staleness", page.charts(_staleness(told))),
            page.section("Processes", _processes(told)),
            page.section("Events", _events(told)),
            page.section("Settings", _settings(told)),
            page.section("Environment", _environment(told)),
        ],
    )


def stimuli(x: float) -> str:
    """A number of stimuli, as axes have it."""
    return compact(round(x))


def _head(told: Told) -> Iterator[str]:
    f = told.figure
    yield f"<h1>{escape(told.plan.name)}</h1>"
    yield page.words(told.path, "dim path")
    if conditions := _conditions(told):
        yield page.words(f"Simulated: {conditions}.")
    if told.ended:
        until = f", until {f('until')}: {'reached' if f('reached') else 'not reached'}" if f("until") else ""
        yield page.words(f"Ended: {f('why') or 'unknown why'}{until}. {'. '.join(_capital(told))}.")
    else:
        yield page.words("It has not come to its end: it goes on, or was killed. These are its last figures.")
    lost = losses(told.figures)
    yield page.words(lost[:1].upper() + lost[1:] + "." if lost else "", "bad")
    quality = ("test accuracy", percent(f("test_accuracy"), 2))
    if f("test_accuracy") is None:
        quality = ("test loss", number(f("test_loss"), 4))
    saved = [(times(ratio(f(k), f(d))), f"fewer {words}") for words, k, d in COMPARED]
    yield page.tiles(
        [
            quality[::-1],
            (compact(f("stimuli")), "stimuli"),
            (compact(f("stimuli_per_s")), "stimuli a second"),
            *saved,
            (number(f("staleness_mean"), 2), "staleness, mean"),
        ]
    )


def _conditions(told: Told) -> str:
    """What links and processes were like in a simulated run; empty for a real one."""
    return ", ".join(
        CONDITIONS[key].format(value) if key in CONDITIONS and isinstance(value, int | float) else f"{key} {value}"
        for key, value in told.environment.get("simulated", {}).items()
    )


def _capital(told: Told) -> list[str]:
    needed = ("test_accuracy", "test_loss", "stimuli", "train_s", "stimuli_per_s", "staleness_mean", "skipped_share")
    return [line[:1].upper() + line[1:] for line in outcome({key: told.figure(key) for key in needed})]


def _curves(told: Told) -> Iterator[str]:
    marks = _marks(told)

    def chart(title: str, series: list[Series], show: Any, **options: Any) -> str:
        drawn = lines(series, title, show, stimuli, "stimuli", marks=marks, **options)
        return page.figure(title, drawn, series)

    loss = [Series("training", told.curve("loss")), Series("test", told.evaluations("test_loss"))]
    yield chart("Loss", loss, lambda y: f"{y:.3g}", zero=True)
    hits = [Series("training", told.curve("train_accuracy")), Series("test", told.evaluations("test_accuracy"))]
    yield chart("Accuracy", hits, lambda y: f"{100 * y:.4g} %")
    yield chart("Stimuli a second", [Series("stimuli/s", told.curve("stimuli_per_s"))], compact, zero=True)
    sparse = [Series(words, told.of_dense(key)) for words, key, _ in COMPARED]
    yield chart("Sent or done, of what a dense network would", sparse, lambda y: f"{100 * y:,.4g} %", log=True)
    links = _largest(told)
    yield chart("Bytes by link, so far", [Series(link, told.of_link(link)) for link in links], compact, zero=True)


def _marks(told: Told) -> list[Mark]:
    found = []
    for e in last_part(told.events):
        at = told.stimuli_at(e["t_s"]) if e.get("kind") in MARKED else None
        if at is not None:
            found.append(Mark(at, f"{e.get('process', '')} {e['kind']} {_words(e)}".strip()))
    return found[:MARKS]


def _largest(told: Told) -> list[str]:
    """The links that carried most, as many as there are colours."""
    links: dict[str, Row] = told.figure("links") or {}
    both = {link: both_ways(t) for link, t in links.items()}
    return sorted(both, key=lambda link: -both[link])[:COLOURS]


def _dense(told: Told) -> str:
    figures = [(words, told.figure(key), told.figure(dense)) for words, key, dense in COMPARED]
    rows = [[words, count(here), count(dense), times(ratio(here, dense))] for words, here, dense in figures]
    return page.table(["training", "event-driven", "dense", "saved"], rows)


def _network(told: Told) -> str:
    links = told.figure("links") or {}
    note = "A link is as wide as the root of what it carried, both ways." if links else ""
    return diagram(told.plan, links) + page.words(note, "dim")


def _traffic(told: Told) -> str:
    links: dict[str, Row] = told.figure("links") or {}
    if not links:
        return page.words("Not recorded: this run was made before links were.", "dim")
    total = sum(map(both_ways, links.values()))
    rows = []
    for link, t in links.items():
        for way, sign in (("forward", ""), ("back", "back_")):
            sent = t.get(f"{sign}values")
            pairs = (("values", "dense"), ("bytes", "dense_bytes"))
            of_dense = [_share(t, sign + key, sign + dense) for key, dense in pairs]
            share = t[f"{sign}bytes"] / total if total and f"{sign}bytes" in t else None
            lost = [t.get(sign + key) for key in LOST]
            counts = [t.get(sign + key) for key in ("bytes", "frames")]
            rows.append(
                [
                    link,
                    way,
                    page.share_cell(share),
                    *map(count, (*counts, sent)),
                    *map(percent, of_dense),
                    *(page.cell(count(n), "n bad") if n else count(n) for n in lost),
                ]
            )
    counted = ["bytes", "frames", "values", "values of dense", "bytes of dense", "missing", "twice", "fenced"]
    note = (
        "Evaluations included. Values are spikes on the way forward, notifications on the way back; "
        "a dense pass sends all of them, four bytes each."
    )
    if not told.ended:
        note += " What is missing, or came twice, is told by link only at the end of a run."
    return page.table(["link", "way", "share of bytes", *counted], rows, text=3) + page.words(note, "dim")


def _share(counts: Row, key: str, of: str) -> float | None:
    """One count as a share of another; None where either was not counted, or nothing was due."""
    return counts[key] / counts[of] if key in counts and counts.get(of) else None


def _staleness(told: Told) -> Iterator[str]:
    counts: list[tuple[str, int]] = list((told.figure("staleness_counts") or {}).items())
    total = sum(n for _, n in counts)
    while counts and not counts[-1][1]:
        counts.pop()
    title = "Gradients by staleness"
    drawn = bars(counts, title, lambda n: percent(n / total, 0) if n >= total / 200 else "<1 %")
    yield page.figure(title, drawn, note="in updates of the group's own; each bar ends where the next begins")
    curves = [Series(g.name, told.of_process(g.name, "staleness")) for g in told.plan.groups]
    worst = sorted((s for s in curves if s.points), key=lambda s: -s.points[-1][1])[:COLOURS]
    title = "Mean staleness so far"
    drawn = lines(worst, title, lambda y: f"{y:.3g}", stimuli, "stimuli", zero=True)
    left = len(curves) - len(worst)
    yield page.figure(title, drawn, worst, note=f"of the stalest; {left} more" if left else "")


def _processes(told: Told) -> str:
    processes: dict[str, Row] = told.rows[-1].get("processes", {}) if told.rows else {}
    rows = [
        [name, str(p.get("state", "-")), *(figure.show(p.get(key)) for key, figure in FIGURES.items())]
        for name, p in processes.items()
    ]
    heads = ["process", "at the end", *(figure.head for figure in FIGURES.values())]
    return page.table(heads, rows, text=2)


def _events(told: Told) -> str:
    if not told.events:
        return page.words("Not recorded.", "dim")
    routine = [e for e in told.events if e.get("kind") in ROUTINE]
    others = [e for e in told.events if e.get("kind") not in ROUTINE]
    count = f"{len(routine):,} {'event' if len(routine) == 1 else 'events'}"
    return _listed(others) + page.details(f"{count} of routine: epochs, evaluations, saves", _listed(routine))


def _words(e: Row) -> str:
    return said(str(e.get("kind", "")), e.get("data", {}))


def _listed(events: Sequence[Row]) -> str:
    """A table of events, and of very many the first and the last."""
    half = EVENTS_SHOWN // 2
    left = max(0, len(events) - 2 * half)
    shown = [*events[:half], *events[half + left :]]
    rows = [
        [f"{e.get('t_s', 0.0):.2f} s", str(e.get("process", "")), str(e.get("kind", "")), _words(e)] for e in shown
    ]
    note = f"{left:,} events between the first and the last {half} are in events.jsonl." if left else ""
    return page.table(["time", "process", "event", ""], rows, text=4) + page.words(note, "dim")


def _settings(told: Told) -> str:
    rows = [
        [f"{c.get('t_s', 0.0):.2f} s", *(str(c.get(k, "")) for k in ("process", "key", "before", "value"))]
        for c in told.changes
    ]
    changed = page.table(["time", "process", "changed while it ran", "before", "then"], rows, text=3)
    return changed + page.folded("topology.yaml, with every default", told.topology)


def _environment(told: Told) -> str:
    found = dict(told.environment)
    found |= {package: version or "not there" for package, version in found.pop("packages", {}).items()}
    found |= {"simulated": _conditions(told)} if "simulated" in found else {}
    found |= {"trained for": duration(told.figure("train_s"))} if told.figure("train_s") is not None else {}
    return page.table(["", ""], ([key, str(value)] for key, value in found.items()), text=2)
