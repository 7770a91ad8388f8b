"""The network as SVG: a box a group, below what feeds it; a link is as wide as what it carried. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from monitor.figures import compact
from monitor.traffic import both_ways, ends
from topology.graph import Graph
from topology.plan import SOURCE, GroupPlan, Plan

BOX_WIDTH, BOX_HEIGHT, ACROSS, DOWN, EDGE = 124, 44, 24, 44, 40
THIN, WIDE = 1.5, 12.0  # of a link that carried nothing, and of the one that carried most


def diagram(plan: Plan, links: Mapping[str, Mapping[str, Any]]) -> str:
    """The groups of a plan and their links.

    Args:
        plan: of the run.
        links: what went over each link, as `monitor.traffic` has it; may be empty.

    """
    groups: dict[str, GroupPlan] = {g.group: g for g in plan.groups}
    shards = {name: sum(g.group == name for g in plan.groups) for name in groups}
    pairs = list(dict.fromkeys((link.pre_group, g.group) for g in plan.groups for link in g.links_in))
    rows = _rows(Graph(groups, pairs))
    place = _places(rows)
    width = max(len(row) for row in rows) * (BOX_WIDTH + ACROSS) - ACROSS + 2 * EDGE
    height = len(rows) * (BOX_HEIGHT + DOWN) - DOWN + 2
    carried = {pair: _bytes(pair, links) for pair in pairs}
    most = max(carried.values(), default=0)
    parts = [_link(pair, place, carried[pair], most, width) for pair in pairs]
    parts.append(_box(place[SOURCE], width, SOURCE, plan.source.data))
    for name, group in groups.items():
        often = f" in {shards[name]}" if shards[name] > 1 else ""
        parts.append(_box(place[name], width, name, f"{group.group_size} {group.neuron}{often}"))
    size = f'viewBox="0 0 {width} {height}" style="max-width:{width}px"'
    words = f"the network {plan.name}: {', '.join([SOURCE, *groups])}"
    return f'<svg class="network" {size} role="img" aria-label="{escape(words)}">{"".join(parts)}</svg>'


def _rows(graph: Graph) -> list[list[str]]:
    """The source, then each group below all that feed it."""
    depth = {SOURCE: 0}
    for name in graph.order():
        depth[name] = 1 + max(depth[pre] for pre in graph.pre(name))
    rows: list[list[str]] = [[] for _ in range(1 + max(depth.values()))]
    for name, row in depth.items():
        rows[row].append(name)
    return rows


def _places(rows: list[list[str]]) -> dict[str, tuple[float, int]]:
    """Middle of each box from the middle of the picture, and its row."""
    step = BOX_WIDTH + ACROSS
    return {name: ((i - (len(row) - 1) / 2) * step, y) for y, row in enumerate(rows) for i, name in enumerate(row)}


def _bytes(pair: tuple[str, str], links: Mapping[str, Mapping[str, Any]]) -> int:
    """What went over a link in both directions, over all its shards."""
    return sum(both_ways(told) for link, told in links.items() if tuple(map(_group, ends(link))) == pair)


def _group(process: str) -> str:
    return process.partition(".")[0]


def _link(pair: tuple[str, str], place: Mapping[str, tuple[float, int]], n: int, most: int, width: int) -> str:
    (x0, row0), (x1, row1) = place[pair[0]], place[pair[1]]
    x0, x1 = x0 + width / 2, x1 + width / 2
    y0, y1 = _top(row0) + BOX_HEIGHT, _top(row1)
    thick = THIN + (WIDE - THIN) * math.sqrt(n / most) if most else THIN
    aside, bend = 0.0, float(DOWN)
    if row1 - row0 > 1:  # past the boxes between them
        aside, bend = (1 if x0 + x1 >= width else -1) * 0.65 * (BOX_WIDTH + EDGE), 1.5 * DOWN
    way = f"M{x0:.0f} {y0}C{x0 + aside:.0f} {y0 + bend:.0f} {x1 + aside:.0f} {y1 - bend:.0f} {x1:.0f} {y1}"
    told = f"{pair[0]} -> {pair[1]}" + (f": {compact(n)} bytes both ways" if most else "")
    return f'<path class="link" d="{way}" stroke-width="{thick:.1f}"><title>{escape(told)}</title></path>'


def _box(place: tuple[float, int], width: int, name: str, words: str) -> str:
    x, y = place[0] + width / 2, _top(place[1])
    corner = f'x="{x - BOX_WIDTH / 2:.0f}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"'
    return (
        f'<rect class="box" {corner}/>'
        f'<text class="name" x="{x:.0f}" y="{y + 18}" text-anchor="middle">{escape(_short(name))}</text>'
        f'<text x="{x:.0f}" y="{y + 34}" text-anchor="middle">{escape(_short(words))}</text>'
    )


def _top(row: int) -> int:
    return 1 + row * (BOX_HEIGHT + DOWN)


def _short(text: str) -> str:
    return text if len(text) <= 18 else text[:17] + "…"
