"""What a group counts, and what its telemetry tells: cumulative counters, gauges, and the counts of each link."""

from __future__ import annotations

from collections.abc import Mapping

from neurond.dendrites import Dendrites
from neurond.links import FLOAT_BYTES, link_counters
from neurond.memory import Floats, Memory
from neurond.notifier import Notifier
from neurond.wiring import Wiring
from topology.plan import SOURCE, GroupPlan

COUNTERS = (
    "stimuli",
    "eval_stimuli",
    "volleys",
    "spikes",
    "spikes_dense",
    "notifications",
    "notifications_dense",
    "updates_dense",
    "bytes",
    "bytes_dense",
    "eval_bytes",
    "frames_in",
    "frames_out",
    "closes",
    "skipped",
    "seen_again",
    "mixed",
    "unsent",
    "wire_errors",
    "nonfinite",
)


class Ledger:
    """The counts of a group, and where all else that is told of it is looked up.

    Args:
        plan: of the group.
        wiring: its ends.
        dendrites: its weights.
        memory: its stimuli.
        rules: its notification rules, by pre process; that of the loss is ``loss``.

    `count` has a number for each of `COUNTERS`; the group counts in it.

    """

    def __init__(
        self,
        plan: GroupPlan,
        wiring: Wiring,
        dendrites: Dendrites,
        memory: Memory,
        rules: Mapping[str, Notifier],
    ) -> None:
        self.count = dict.fromkeys(COUNTERS, 0)
        self._plan = plan
        self._wiring = wiring
        self._dendrites = dendrites
        self._memory = memory
        self._rules = rules
        self._errors_width = sum(link.n_pre for link in plan.links_in if link.pre != SOURCE)

    def note_volley(self, a: Floats, spiked: int) -> None:
        """Count a volley of training, activations (n, size) of which so many are not zero."""
        count, posts, n = self.count, len(self._wiring.spikes_out), len(a)
        count["stimuli"] += n
        count["volleys"] += 1
        count["spikes"] += spiked * posts
        count["spikes_dense"] += a.size * posts
        count["notifications_dense"] += n * self._errors_width
        count["updates_dense"] += self._dendrites.size
        count["bytes_dense"] += FLOAT_BYTES * n * (self._plan.size * posts + self._errors_width)  # both ways
        for link, outbound in zip(self._plan.links_in, self._wiring.errors_out, strict=True):
            if link.pre != SOURCE:
                outbound.dense += n * link.n_pre

    def counters(self) -> dict[str, int]:
        """Cumulative counters as they are now."""
        named = self._wiring.named()
        return self._dendrites.counters() | {
            **self.count,
            "expired": self._memory.expired,
            "late": self._memory.late,
            "gaps": sum(received.gaps for _, received, _ in named),
            "duplicates": sum(received.duplicates for _, received, _ in named),
            "fenced": self._wiring.ends.fenced,
            "residual_clipped": self._dendrites.clipped + sum(rule.clipped for rule in self._rules.values()),
        }

    def gauges(self) -> dict[str, float]:
        """Gauges as they are now."""
        own = self._dendrites
        gauges = {
            "neurons": float(self._plan.size),
            "staleness_max": float(own.staleness.largest),
            "remembered": float(len(self._memory)),
            "lr": own.learning_rate(),
            "weight_norm": own.norm(),
        }
        gradient_norm = own.gradient_norm()
        if gradient_norm is not None:
            gauges["gradient_norm"] = gradient_norm
        gauges |= {f"threshold.{pre}": threshold for pre, threshold in own.thresholds().items()}
        return gauges | {
            f"notify.{pre}.threshold": rule.threshold for pre, rule in self._rules.items() if rule.steered
        }

    def links(self) -> dict[str, dict[str, int]]:
        """Link -> what the ends of it that are here have counted."""
        return {name: link_counters(received, sent) for name, received, sent in self._wiring.named()}
