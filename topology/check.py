"""Checks of a topology as a whole: links to groups that are not there, cycles, groups left out, limits.

They work on plain maps that need not be valid otherwise, so that one run of `neurond check` shows every
problem at once; a value of the wrong type is passed over here, since the model has already named it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from topology.errors import Marks, Problem, guess, guessed, quote
from topology.graph import Graph, shard_names
from topology.plan import BROKER, SOURCE

if TYPE_CHECKING:
    from topology.spec import Topology

MAX_PROCESSES = 10_000
MAX_LINKS = 10_000
"""Links between processes at most: a link of the topology is one for each pair of shards."""


def link_key(text: str) -> str:
    """A link's one spelling, ``pre -> post``; text that is no link comes back as it is."""
    parts = [p.strip() for p in text.split("->")]
    return " -> ".join(parts) if len(parts) == 2 and all(len(p.split()) == 1 for p in parts) else text


def check_structure(data: Mapping[str, Any], marks: Marks) -> list[Problem]:
    """Every problem of the graph that `data` describes.

    Args:
        data: a topology as plain maps, defaults merged in, links spelt as `link_key` does.
        marks: where its values stand.

    """
    groups = _mapping(data.get("groups"))
    links = _mapping(data.get("links"))
    reads = _mapping(data.get("loss")).get("reads")
    problems: list[Problem] = []

    if not groups:
        return problems  # missing or no mapping, which the model has said; every link would be wrong
    pairs, certain = _pairs(groups, links, marks, problems)
    graph = Graph(groups, pairs)
    problems += _cycles(graph, marks)

    if isinstance(reads, str):
        if reads not in groups:
            problems.append(marks.problem(("loss", "reads"), f"unknown group {quote(reads)}", guess(reads, groups)))
            reads = guessed(reads, groups)
        elif _count(groups[reads], "shards") > 1:
            problems.append(
                marks.problem(
                    ("groups", reads, "shards"),
                    "the readout cannot be sharded: its loss needs every output",
                    "remove shards",
                )
            )
    if certain and links:
        problems += _left_out(graph, reads if isinstance(reads, str) else None, marks)
    problems += _memories(groups, _mapping(data.get("source")).get("window", 128), marks)
    problems += _limits(groups, pairs, marks)
    problems += _literal_joins(groups, marks)
    problems += _strangers(data, groups, marks)
    return problems


def remarks(topology: Topology) -> list[Problem]:
    """What is allowed, and yet not likely to be meant."""
    return [
        *_bounded_readout(topology),
        *_cools_for_nothing(topology),
        *_joins_nothing(topology),
        *dict.fromkeys(_nothing_to_literal(topology)),  # what the defaults give to many is said once
        *_for_containers(topology),
    ]


def _for_containers(topology: Topology) -> Iterator[Problem]:
    if topology.place:
        message = "neurond run starts every process on this machine"
        yield topology.problem(("place",), message, "`neurond compose --swarm` places them")
    if topology.limits:
        message = "neurond run sets its processes no limits"
        yield topology.problem(("limits",), message, "`neurond compose` does")


def _bounded_readout(topology: Topology) -> Iterator[Problem]:
    name = topology.loss.reads
    neuron = topology.groups[name].neuron
    reach = {"relu": "are never below 0", "sigmoid": "stay between 0 and 1", "tanh": "stay between -1 and 1"}
    if topology.loss.kind == "cross-entropy" and neuron in reach:
        message = f"cross-entropy takes outputs for log-odds, but those of '{neuron}' {reach[neuron]}"
        yield topology.problem(("groups", name, "neuron"), message, "did you mean 'linear'?")


def _cools_for_nothing(topology: Topology) -> Iterator[Problem]:
    """Thresholds that are to fall with a learning rate that does not fall."""
    groups, links = topology.groups, topology.links
    cooling: list[tuple[float, str, tuple[str, ...]]]
    cooling = [(group.update.cool, name, ("groups", name, "update", "cool")) for name, group in groups.items()]
    cooling += [
        (link.notify.cool, post, ("links", key, "notify", "cool"))
        for (pre, post), (key, link) in zip(topology.pairs, links.items(), strict=True)
        if pre != SOURCE  # nothing is notified there
    ]
    cooling.append((topology.loss.notify.cool, topology.loss.reads, ("loss", "notify", "cool")))
    for cool, name, where in cooling:
        if cool < 1 and groups[name].optimizer.schedule == "constant":
            message = f"the threshold follows the learning rate of {quote(name)}, which is constant"
            yield topology.problem(where, message, f"set groups.{name}.optimizer.schedule, or remove cool")


def _joins_nothing(topology: Topology) -> Iterator[Problem]:
    """A join of one link. One that comes from the defaults is meant for those who have several, if anybody has."""
    groups, marks = topology.groups, topology._marks or Marks(topology.name)
    links = Counter[str]()
    for pre, post in topology.pairs:
        links[post] += 1 if pre == SOURCE else groups[pre].shards
    several = any(n > 1 for n in links.values())
    for name, group in groups.items():
        where = ("groups", name, "join")
        if group.join != "match" and links[name] == 1 and not (several and marks.find(where)[1] != where):
            yield topology.problem(where, f"{quote(name)} has one link in, so nothing is joined", "remove it")


def _nothing_to_literal(topology: Topology) -> Iterator[Problem]:
    """What the rule that learns by traces has no use for: it has no stimulus to be stale, and its own way back."""
    literal = {name: group for name, group in topology.groups.items() if group.update.rule == "literal"}
    found = [
        (("groups", name, key), f"{key} means")
        for name, group in literal.items()
        for key in ("staleness_decay", "look_ahead", "delay_compensation")
        if getattr(group, key)
    ]
    found += [
        (("links", key, "feedback"), "feedback 'random' means")
        for (pre, post), (key, link) in zip(topology.pairs, topology.links.items(), strict=True)
        if pre != SOURCE and post in literal and link.feedback == "random"
    ]
    for where, what in found:
        yield topology.problem(where, f"{what} nothing with update rule 'literal'", "remove it, or use another rule")


def _pairs(
    groups: Mapping[str, Any], links: Mapping[str, Any], marks: Marks, problems: list[Problem]
) -> tuple[list[tuple[str, str]], bool]:
    """Links as (pre, post) with misspelt names put right; false if some name could not be."""
    pairs: list[tuple[str, str]] = []
    certain = True
    for link in links:
        ends = link.split(" -> ")
        if len(ends) != 2 or link_key(link) != link:
            hint = "write it as 'pre -> post'"
            problems.append(marks.problem(("links", link), f"{quote(link)} is no link", hint, key=True))
            certain = False
            continue
        for i, (end, trouble) in enumerate(zip(ends, _ends(ends, groups), strict=True)):
            if trouble:
                problems.append(marks.problem(("links", link), *trouble, key=True))
                ends[i] = guessed(end, [SOURCE, *groups] if i == 0 else groups) or ""
        if ends[1] == SOURCE or not all(ends):
            certain = False
        elif ends[0] == ends[1]:
            problems.append(marks.problem(("links", link), "a group cannot feed itself", key=True))
        else:
            pairs.append((ends[0], ends[1]))
    return pairs, certain


def _ends(ends: list[str], groups: Mapping[str, Any]) -> Iterator[tuple[str, str] | None]:
    """What is wrong with the name of a link's pre group, then of its post group."""
    pre, post = ends
    if pre == SOURCE or pre in groups:
        yield None
    else:
        yield f"unknown group {quote(pre)}", guess(pre, [SOURCE, *groups])
    if post == SOURCE:
        yield "nothing can feed the source", f"did you mean '{post} -> {pre}'?"
    elif post == "loss":
        yield "the loss is no group", f"remove this link and write loss: {{reads: {pre}}}"
    elif post in groups:
        yield None
    else:
        yield f"unknown group {quote(post)}", guess(post, groups)


def _cycles(graph: Graph, marks: Marks) -> Iterator[Problem]:
    for cycle in graph.cycles():
        steps = list(zip(cycle, (*cycle[1:], cycle[0]), strict=True))
        written = [link for link in graph.links if link in set(steps)]
        pre, post = written[-1]  # the link that closed the cycle, to a reader from the top
        turn = cycle.index(post)
        shown = [*cycle[turn:], *cycle[:turn], post]
        if len(shown) > 8:
            shown = [*shown[:4], "...", *shown[-3:]]
        yield marks.problem(
            ("links", f"{pre} -> {post}"),
            f"closes the cycle {' -> '.join(shown)}",
            "links must not lead back",
            key=True,
        )


def _left_out(graph: Graph, readout: str | None, marks: Marks) -> Iterator[Problem]:
    for name in graph.unfed():
        if graph.pre(name):
            yield marks.problem(("groups", name), "nothing from the source reaches this group", key=True)
        else:
            yield marks.problem(
                ("groups", name),
                "nothing feeds this group",
                f"add a link such as '{SOURCE} -> {name}'",
                key=True,
            )
    if readout is None:
        return
    for name in graph.unread(readout):
        yield marks.problem(
            ("groups", name),
            "this group reaches no loss",
            f"add a link from it that leads to '{readout}', or remove it",
            key=True,
        )


def _memories(groups: Mapping[str, Any], window: object, marks: Marks) -> Iterator[Problem]:
    for name, body in groups.items():
        memory = _count(body, "memory")
        if memory and isinstance(window, int) and memory < window:
            yield marks.problem(
                ("groups", name, "memory"),
                f"{memory} stimuli are fewer than the window of {window}",
                "stimuli in flight would be forgotten",
            )


def _literal_joins(groups: Mapping[str, Any], marks: Marks) -> Iterator[Problem]:
    """A group that learns by traces cannot say which stimuli the inputs that it mixed were of."""
    for name, body in groups.items():
        join = _mapping(body).get("join", "match")
        if join in ("latest", "sum") and _mapping(_mapping(body).get("update")).get("rule") == "literal":
            message = f"join {quote(join)} does not go with update rule 'literal'"
            yield marks.problem(("groups", name, "join"), message, "use join match, or another rule")


def _limits(groups: Mapping[str, Any], pairs: list[tuple[str, str]], marks: Marks) -> Iterator[Problem]:
    count = {name: max(1, _count(body, "shards")) for name, body in groups.items()}
    if sum(count.values()) > MAX_PROCESSES:
        message = f"{sum(count.values()):,} processes, shards included, are more than {MAX_PROCESSES:,}"
        yield marks.problem(("groups",), message, key=True)
    links = sum(count.get(pre, 1) * count[post] for pre, post in pairs)
    if links > MAX_LINKS:
        message = f"{links:,} links between processes, shards included, are more than {MAX_LINKS:,}"
        yield marks.problem(("links",), message, key=True)


def _strangers(data: Mapping[str, Any], groups: Mapping[str, Any], marks: Marks) -> Iterator[Problem]:
    """Names of processes that are placed or limited, and that are none."""
    known = [SOURCE, BROKER, *groups]
    count = {group: min(1000, _count(body, "shards")) for group, body in groups.items()}
    shards = {name for group in groups for name in shard_names(group, count[group])}
    for key in ("place", "limits"):
        for name in _mapping(data.get(key)):
            if name not in known and name not in shards:
                yield marks.problem((key, name), f"unknown process {quote(name)}", guess(name, known), key=True)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(body: object, key: str) -> int:
    value = _mapping(body).get(key, 0)
    return value if isinstance(value, int) else 0
