"""The view of the graph: who is wired to whom, each line in the colour of its load. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from monitor.columns import STATES
from monitor.console.groups import state
from monitor.console.links import Link, all_links
from monitor.console.page import Glyphs, Look, Page, Spans, matches
from monitor.figures import compact
from monitor.process import Process
from monitor.view import View
from topology.graph import Graph
from topology.lanes import NOBODY, Owner, Strokes, in_ascii, lanes
from topology.plan import LOSS_LINK, SOURCE

LEVELS = 5


def network(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row a process and a row a bend, with what comes in and goes out beside the names."""
    found = all_links(view, now)
    drawn = [link for link in found if link.name != LOSS_LINK]
    processes = {process.name: process for process in view.processes}
    names, pres = _order(processes, drawn)
    loads = {(link.pre, link.post): link.bytes_per_s or 0.0 for link in drawn}
    for link in drawn:  # a line that serves all of a sender's links is as busy as all of them
        loads[link.pre, ""] = loads.get((link.pre, ""), 0.0) + (link.bytes_per_s or 0.0)
    busiest = max((load for (_, post), load in loads.items() if post), default=0.0)
    pad = max((len(name) for name in names), default=0)
    rows: list[Spans] = []
    keys: list[str] = []
    for strokes, name in lanes(names, pres):
        row = _coloured(strokes, loads, busiest, glyphs)
        if name is not None:
            role = "strong" if matches(look.filter, (name,)) else "dim"
            row += [(f" {name:<{pad}}  ", role), *_figures(name, processes.get(name), found, now)]
        rows.append([(" ", ""), *row])
        keys.append(name or "")
    words = " a line's colour is its load" + (f"; the busiest link carries {_kilo(busiest)}" if busiest else "")
    return Page([[(words, "head")]], rows, keys)


def _order(processes: Mapping[str, Process], links: list[Link]) -> tuple[list[str], dict[str, list[str]]]:
    """The names below those that feed them, and who feeds each."""
    ends = dict.fromkeys([*processes, *(end for link in links for end in (link.pre, link.post))])
    groups = [name for name in ends if name != SOURCE]
    graph = Graph(groups, [(link.pre, link.post) for link in links])
    ordered = list(graph.order())
    names = [name for name in ends if name == SOURCE] + ordered
    pres: dict[str, list[str]] = {}
    for link in links:
        if link.pre in names and link.post in names:
            pres.setdefault(link.post, []).append(link.pre)
    return names + [name for name in groups if name not in ordered], pres


def level(load: float, busiest: float) -> int:
    """A load from 0 (nothing) to `LEVELS` - 1."""
    if load <= 0 or busiest <= 0:
        return 0
    return min(LEVELS - 1, 1 + int((LEVELS - 1) * load / busiest * 0.999))


def _coloured(strokes: Strokes, loads: Mapping[Owner, float], busiest: float, glyphs: Glyphs) -> Spans:
    row: Spans = []
    for character, owner in strokes:
        role = "" if owner == NOBODY else f"load{level(loads.get(owner, 0.0), busiest)}"
        drawn = in_ascii(character) if glyphs.ascii_only else character
        if row and row[-1][1] == role:
            row[-1] = (row[-1][0] + drawn, role)
        else:
            row.append((drawn, role))
    return row


def _figures(name: str, process: Process | None, links: list[Link], now: float) -> Spans:
    if process is None:
        return [("not heard of", "dim")]
    word = state(process, now)
    spans: Spans = [(f"{word:<8}", STATES.get(word, "dim"))]
    rate = process.line().stimuli_per_s
    received = _sum(link.forward.bytes_per_s if link.post == name else None for link in links)
    received_back = _sum(link.backward.bytes_per_s if link.pre == name else None for link in links)
    sent = _sum(link.forward.bytes_per_s if link.pre == name else None for link in links)
    sent_back = _sum(link.backward.bytes_per_s if link.post == name else None for link in links)
    coming, going = _sum((received, received_back)), _sum((sent, sent_back))
    spans.append((f" {compact(rate):>7} stim/s   in {_kilo(coming):>10}   out {_kilo(going):>10}", ""))
    return spans


def _sum(found: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [x for x in found if x is not None]
    return sum(known) if known else None


def _kilo(bytes_per_s: float | None) -> str:
    return "-" if bytes_per_s is None else f"{compact(bytes_per_s / 1000)} kB/s"
