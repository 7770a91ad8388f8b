"""What keys cost: a network over tcp with CURVE and ZAP against the same without."""

from __future__ import annotations

import json
import os
import statistics

from tests.bench.live import DEADLINE_S, scratch
from tests.bench.report import Row, Settings, say, spread
from tests.integration.test_broker_process import free_ports
from tests.keyed import network

GOAL = 0.75  # of the throughput without keys
NETWORK = "digits"
VOLLEY = "source.volley=32"


def curve(settings: Settings) -> list[Row]:
    """Stimuli a second of whole runs with keys and without, in turns; the median of the ratios.

    Processor time is measured too: other work on the machine changes it less.
    """
    epochs = 5 if settings.quick else 60
    with_keys: list[tuple[float, float]] = []
    without: list[tuple[float, float]] = []
    for pair in range(1 if settings.quick else settings.pairs):
        for insecure in (True, False) if pair % 2 == 0 else (False, True):
            (without if insecure else with_keys).append(_measured(epochs, insecure))
        say(f"curve, pair {pair + 1}: with keys {with_keys[-1][0]:,.0f}/s, without {without[-1][0]:,.0f}/s")
    both = list(zip(with_keys, without, strict=True))
    ratios = [a[0] / b[0] for a, b in both]
    costs = [a[1] / b[1] for a, b in both]
    return [
        Row(
            "curve",
            f">= {GOAL}x of tcp without keys",
            f"{spread(ratios, '{:.2f}x')}; processor time {spread(costs, '{:.2f}x')}",
            statistics.median(ratios) >= GOAL,
            f"processes by hand over tcp, --insecure or not: {NETWORK} --set {VOLLEY} --set source.epochs={epochs}",
            [
                f"pair {k}: with keys {a[0]:,.0f}/s, {a[1]:.1f} s of processor; without {b[0]:,.0f}/s, {b[1]:.1f} s"
                for k, (a, b) in enumerate(both, 1)
            ],
            {"with_keys": with_keys, "without": without, "ratios": ratios, "costs": costs},
        )
    ]


def _measured(epochs: float, insecure: bool) -> tuple[float, float]:
    """Stimuli a second, and seconds of processor time of all processes together."""
    sets = (VOLLEY, f"source.epochs={epochs}", f"source.eval_every={10**9}")
    before = os.times()
    with scratch() as folder, network(folder, free_ports(), *sets, topology=NETWORK, insecure=insecure) as whole:
        whole.left(within_s=10 * DEADLINE_S)
        result: float = json.loads((folder / "run" / "summary.json").read_text())["stimuli_per_s"]
    after = os.times()
    return result, after.children_user + after.children_system - before.children_user - before.children_system
