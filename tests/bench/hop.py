"""What a hop costs beside its products: processor time of a group's process a volley, from socket to socket."""

from __future__ import annotations

import statistics

from tests.bench.hand import NETWORK, timed
from tests.bench.report import Row, Settings, say, spread
from tests.bench.stopwatch import HOP
from tests.bench.throughput import NEVER

GOAL_US = 60.0
VOLLEY = 32
LR = 0.2  # of a volley: that of the zoo's, which are four times as large, would be four times as much a stimulus
HIDDEN = ("h1", "h2", "out")


def hop(settings: Settings) -> list[Row]:
    """Microseconds a volley of 32 that no product with the weights takes: decode, join, fire, notify, encode, send.

    Volleys that wait together go as one, as they do in any run; a volley is 32 stimuli here, however they travelled.
    """
    epochs = 0.2 if settings.quick else 2
    runs = 1 if settings.quick else settings.pairs
    beside: dict[str, list[float]] = {name: [] for name in HIDDEN}
    lines = []
    for run in range(runs):
        sets = (f"source.epochs={epochs:g}", f"source.eval_every={NEVER}", f"source.volley={VOLLEY}")
        sets += (f"defaults.group.optimizer.lr={LR}",)
        summary, found = timed(settings, HOP, *sets)
        volleys = summary["stimuli"] / VOLLEY
        for name in HIDDEN:
            f = found[name]
            beside[name].append(1e6 * (f["process_s"] - f["cpu_s"]) / volleys)
        lines.append(
            f"run {run + 1}: "
            + "; ".join(
                f"{name} {1e6 * f['process_s'] / volleys:.0f} us a volley, {1e6 * f['cpu_s'] / volleys:.0f} of it in "
                f"products ({1e6 * f['learn_s'] / volleys:.0f} learning)"
                for name, f in found.items()
                if name in HIDDEN
            )
        )
        say(f"hop, {lines[-1]}")
    worst = max(beside, key=lambda name: statistics.median(beside[name]))
    return [
        Row(
            "hop",
            f"<= {GOAL_US:g} us a volley of {VOLLEY} beside its products",
            f"{spread(beside[worst], '{:.0f}', 'us')} ({worst}, the most of {len(beside)})",
            statistics.median(beside[worst]) <= GOAL_US,
            f"processes by hand, python -m tests.bench.stopwatch {HOP}: {NETWORK}, {epochs:g} epochs",
            lines,
            {"us": beside},
        )
    ]
