"""A topology as text for a terminal, and as mermaid for a page.

In text every group is a line, in an order that follows the links. Each sender's links run down a lane at
the left, from the line under it to the arrows of those that it feeds:

          source  digits, epochs 30, window 64, volley 16
      ┌──┘
      ├─▶ h1      64 relu, …
    ┌─│──┘
    └─┴─▶ out     10 linear, …      (fed by the source, and by h1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from topology.graph import graph_of
from topology.lanes import lanes, text
from topology.plan import SOURCE

if TYPE_CHECKING:
    from topology.spec import Group, Link, Notify, Topology

_LOSS = "loss"


def draw(topology: Topology) -> str:
    """The topology as lines of text: the graph, then a line for each link that says more than its name."""
    graph = graph_of(topology)
    names = [SOURCE, *graph.order(), _LOSS]
    words = dict(zip(names, _words(topology, names), strict=True))
    pres = {name: graph.pre(name) for name in names[1:-1]} | {_LOSS: (topology.loss.reads,)}
    pad = max(len(name) for name in names)
    lines = [f"{topology.name}, seed {topology.seed}", ""]
    for strokes, name in lanes(names, pres):
        lines.append(text(strokes) if name is None else f"{text(strokes)} {name:<{pad}}  {words[name]}".rstrip())
    lines += ["", *_link_lines(topology)]
    return "\n".join(lines) + "\n"


def mermaid(topology: Topology) -> str:
    """The topology as a mermaid flowchart."""
    names = [SOURCE, *graph_of(topology).order(), _LOSS]
    ids = {name: f"n{i}" for i, name in enumerate(names)}  # names such as `end` are words of mermaid
    lines = ["flowchart TD"]
    for name, words in zip(names, _words(topology, names), strict=True):
        label = f"{name}<br/>{words}".replace("&", "#amp;").replace('"', "#quot;")
        lines.append(f'  {ids[name]}(["{label}"])' if name in (SOURCE, _LOSS) else f'  {ids[name]}["{label}"]')
    for (pre, post), link in zip(topology.pairs, topology.links.values(), strict=True):
        label = "" if pre == SOURCE else f'|"{_rule(link.notify)}"|'
        lines.append(f"  {ids[pre]} -->{label} {ids[post]}")
    lines.append(f'  {ids[topology.loss.reads]} -->|"{_rule(topology.loss.notify)}"| {ids[_LOSS]}')
    return "\n".join(lines) + "\n"


def _words(topology: Topology, names: list[str]) -> list[str]:
    """What is said of the source, each group and the loss, in the order of `names`."""
    source = topology.source
    first = f"{source.data}, epochs {source.epochs:g}, window {source.window}, volley {source.volley}"
    return [first, *(_group(topology.groups[name]) for name in names[1:-1]), topology.loss.kind]


def _group(group: Group) -> str:
    shards = f" in {group.shards} shards" if group.shards > 1 else ""
    optimizer, update = group.optimizer, group.update
    schedule = "" if optimizer.schedule == "constant" else f" {optimizer.schedule}"
    amount = {"always": "", "every": f" {update.every}"}.get(update.rule, f" {update.threshold:g}")
    steps = f"{optimizer.kind} {optimizer.lr:g}{schedule}"
    return f"{group.size} {group.neuron}{shards}, {steps}, update {update.rule}{amount}"


def _rule(notify: Notify) -> str:
    number = {"exact": "", "top_k": f" {notify.k}"}.get(notify.rule, f" {notify.threshold:g}")
    return notify.rule + number


def _link_lines(topology: Topology) -> list[str]:
    """Links as a table: name, numbers on the wire, rule of the way back (the source is told nothing)."""
    rows = [
        (name, _wire(link), "" if pre == SOURCE else _rule(link.notify))
        for (pre, _), (name, link) in zip(topology.pairs, topology.links.items(), strict=True)
    ]
    rows.append((f"{topology.loss.reads} -> {_LOSS}", "", _rule(topology.loss.notify)))
    wide = [max(len(row[i]) for row in rows) for i in range(2)]
    return [f"{name:<{wide[0]}}  {wire:<{wide[1]}}  {rule}".rstrip() for name, wire, rule in rows]


def _wire(link: Link) -> str:
    return link.values if link.coding is None else f"{link.values} {link.coding}"
