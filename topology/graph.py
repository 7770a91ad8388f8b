"""Pure queries on the graph of a topology: who feeds whom, in which order, and who is left out.

Every function is linear in groups and links and none recurses, so a chain of 10,000 groups is no trouble.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from topology.plan import SOURCE

if TYPE_CHECKING:
    from topology.spec import Topology


class Graph:
    """The groups of a topology and the source, with the links between them, as they were written."""

    def __init__(self, groups: Iterable[str], links: Iterable[tuple[str, str]]) -> None:
        self.groups = tuple(groups)
        self.links = tuple(links)
        self._pre: dict[str, list[str]] = {name: [] for name in (SOURCE, *self.groups)}
        self._post: dict[str, list[str]] = {name: [] for name in (SOURCE, *self.groups)}
        for pre, post in self.links:
            self._post[pre].append(post)
            self._pre[post].append(pre)

    def pre(self, name: str) -> tuple[str, ...]:
        """Who feeds `name`: groups, or the source."""
        return tuple(self._pre[name])

    def post(self, name: str) -> tuple[str, ...]:
        """Whom `name` feeds."""
        return tuple(self._post[name])

    def order(self) -> tuple[str, ...]:
        """Every group behind all that feed it; else as they were written.

        Groups on a cycle, or fed only through one, are left out. Kahn, "Topological sorting of large
        networks", CACM 1962.
        """
        waiting = {name: len(pres) for name, pres in self._pre.items()}
        ready = [name for name in (SOURCE, *self.groups) if not waiting[name]]
        done: list[str] = []
        for name in ready:  # grows while it is walked
            done.append(name)
            for post in self._post[name]:
                waiting[post] -= 1
                if not waiting[post]:
                    ready.append(post)
        return tuple(name for name in done if name != SOURCE)

    def depth(self) -> int:
        """Groups on the longest way from the source."""
        depth = {SOURCE: 0}
        for name in self.order():
            depth[name] = 1 + max((depth[pre] for pre in self._pre[name]), default=0)
        return max(depth.values())

    def cycles(self, most: int = 10) -> list[tuple[str, ...]]:
        """Cycles that share no group, `most` at most; each as its groups in the direction of the links."""
        left = set(self.groups)
        found: list[tuple[str, ...]] = []
        while len(found) < most:
            self._trim(left)
            start = next((g for g in self.groups if g in left), None)
            if start is None:
                break
            way: dict[str, None] = {}  # an ordered set
            here = start
            while here not in way:  # all that is left has a post group that is left, so this must close
                way[here] = None
                here = next(p for p in self._post[here] if p in left)
            steps = list(way)
            cycle = steps[steps.index(here) :]
            found.append(tuple(cycle))
            left -= set(cycle)
        return found

    def _trim(self, left: set[str]) -> None:
        """Take from `left` every group that no cycle within it passes through or leads out of."""
        posts = {g: sum(p in left for p in self._post[g]) for g in left}
        ends = [g for g in left if not posts[g]]
        for name in ends:
            left.discard(name)
            for pre in self._pre[name]:
                if pre in left:
                    posts[pre] -= 1
                    if not posts[pre]:
                        ends.append(pre)

    def unfed(self) -> tuple[str, ...]:
        """Groups that nothing from the source reaches."""
        seen = _reach(SOURCE, self._post)
        return tuple(g for g in self.groups if g not in seen)

    def unread(self, readout: str) -> tuple[str, ...]:
        """Groups from which no way leads to the readout, and so to the loss."""
        seen = _reach(readout, self._pre)
        return tuple(g for g in self.groups if g not in seen)


def graph_of(topology: Topology) -> Graph:
    """The graph of a topology."""
    return Graph(topology.groups, topology.pairs)


def shards(size: int, count: int) -> tuple[tuple[int, int], ...]:
    """`size` neurons over `count` processes as evenly as may be: (first neuron, neurons) of each."""
    small, larger = divmod(size, count)
    return tuple((i * small + min(i, larger), small + (i < larger)) for i in range(count))


def shard_names(group: str, count: int) -> tuple[str, ...]:
    """Process names of a group: its own, or `h2.0`, `h2.1`, … where it is sharded."""
    return (group,) if count == 1 else tuple(f"{group}.{i}" for i in range(count))


def process_names(topology: Topology) -> list[str]:
    """Names of the group processes, in the order of the file."""
    return [name for group, body in topology.groups.items() for name in shard_names(group, body.shards)]


def _reach(start: str, edges: dict[str, list[str]]) -> set[str]:
    seen = {start}
    todo: list[str] = [start]
    while todo:
        for name in edges.get(todo.pop(), ()):
            if name not in seen:
                seen.add(name)
                todo.append(name)
    return seen
