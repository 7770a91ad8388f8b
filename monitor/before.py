"""What was counted by the incarnations of a process that are gone. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from topology.lives import Life

Links = dict[str, dict[str, int]]
"""Link -> the counters of one end of it."""


@dataclass(slots=True)
class Before:
    """What was counted by incarnations that are gone."""

    counters: dict[str, int] = field(default_factory=dict)
    links: Links = field(default_factory=dict)
    cpu_s: float = 0.0

    def copy(self) -> Before:
        """Another with the same figures."""
        return Before(dict(self.counters), {link: dict(n) for link, n in self.links.items()}, self.cpu_s)

    def add(self, life: Life, after: Life | None) -> None:
        """Add those of one life; what the next has taken up of it from a checkpoint is counted on there."""
        took = after is not None and after.first.gauges.get("restored")
        taken_up = after.first.counters if after is not None and took else {}
        for key, n in life.last.counters.items():
            self.counters[key] = self.counters.get(key, 0) + max(0, n - taken_up.get(key, 0))
        for link, counters in life.last.links.items():
            mine = self.links.setdefault(link, {})
            for key, n in counters.items():
                mine[key] = mine.get(key, 0) + n
        cpu_s = life.last.gauges.get("cpu_s", 0.0)
        self.cpu_s += cpu_s if math.isfinite(cpu_s) else 0.0
