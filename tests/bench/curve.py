"""What keys cost: a network over tcp with CURVE and ZAP against the same without."""

from __future__ import annotations

import json
import statistics

from tests.bench.live import DEADLINE_S, scratch
from tests.bench.report import Row, Settings, say, spread
from tests.integration.test_broker_process import free_ports
from tests.keyed import network

GOAL = 0.75  # of the throughput without keys
NETWORK = "digits"
VOLLEY = "source.volley=32"


def curve(settings: Settings) -> list[Row]:
    """Stimuli a second of whole runs with keys and without, in turns; the median of the ratios."""
    epochs = 5 if settings.quick else 60
    with_keys: list[float] = []
    without: list[float] = []
    for pair in range(1 if settings.quick else settings.pairs):
        for insecure in (True, False) if pair % 2 == 0 else (False, True):
            (without if insecure else with_keys).append(_stimuli_per_s(epochs, insecure))
        say(f"curve, pair {pair + 1}: with keys {with_keys[-1]:,.0f}/s, without {without[-1]:,.0f}/s")
    ratios = [a / b for a, b in zip(with_keys, without, strict=True)]
    return [
        Row(
            "curve",
            f">= {GOAL}x of tcp without keys",
            spread(ratios, "{:.2f}x"),
            statistics.median(ratios) >= GOAL,
            f"processes by hand over tcp, --insecure or not: {NETWORK} --set {VOLLEY} --set source.epochs={epochs}",
            [
                f"pair {k}: with keys {a:,.0f}/s, without {b:,.0f}/s, {a / b:.2f}x"
                for k, (a, b) in enumerate(zip(with_keys, without, strict=True), 1)
            ],
            {"with_keys_per_s": with_keys, "without_per_s": without, "ratios": ratios},
        )
    ]


def _stimuli_per_s(epochs: float, insecure: bool) -> float:
    sets = (VOLLEY, f"source.epochs={epochs}", f"source.eval_every={10**9}")
    with scratch() as folder, network(folder, free_ports(), *sets, topology=NETWORK, insecure=insecure) as whole:
        whole.left(within_s=10 * DEADLINE_S)
        result: float = json.loads((folder / "run" / "summary.json").read_text())["stimuli_per_s"]
        return result
