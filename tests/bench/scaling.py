"""Whether the cost of a stimulus grows with the sum of the work, and no faster: long chains, and many shards."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.bench.live import scratch, summary
from tests.bench.report import Row, Settings, say, spread
from tests.bench.throughput import NEVER

GOAL = 1.1  # exponent
WIDTH = 64
CHAINS = (2, 4, 8, 16, 32)
SHARDS = (1, 2, 4, 8, 16)
EPOCHS = 10
REPEATS = 3
HEAD = f"""neurond: 1
seed: 1
source: {{data: digits, epochs: {EPOCHS}, window: 512, volley: 32, eval_every: {NEVER}}}
loss: {{reads: out}}
defaults: {{group: {{neuron: tanh, optimizer: {{kind: sgd, lr: 0.02}}}}}}
"""


def chain(groups: int) -> str:
    """A chain of so many equal groups, and the readout."""
    names = [f"h{k}" for k in range(1, groups + 1)]
    sizes = "".join(f"  {name}: {{size: {WIDTH}}}\n" for name in names)
    wires = "".join(f"  {a} -> {b}:\n" for a, b in zip(["source", *names], [*names, "out"], strict=True))
    return f"{HEAD}groups:\n{sizes}  out: {{size: 10, neuron: linear}}\nlinks:\n{wires}"


def sharded(shards: int) -> str:
    """One group in so many equal shards, and the readout."""
    group = f"  h: {{size: {WIDTH * shards}, shards: {shards}}}\n  out: {{size: 10, neuron: linear}}\n"
    return f"{HEAD}groups:\n{group}links:\n  source -> h:\n  h -> out:\n"


def scaling(settings: Settings) -> list[Row]:
    """Seconds a stimulus against the number of equal processes; the exponent of the fitted power."""
    return [
        _row(settings, "chain", "groups in a chain", CHAINS, chain),
        _row(settings, "shards", "shards of a group", SHARDS, sharded),
    ]


def _cost(name: str, topology: str, epochs: int) -> float:
    """Microseconds a stimulus."""
    with scratch() as folder:
        file = Path(folder) / f"{name}.yaml"
        file.write_text(topology)
        return 1e6 / float(summary(folder / "run", str(file), "--set", f"source.epochs={epochs}")["stimuli_per_s"])


def _row(settings: Settings, name: str, what: str, counts: tuple[int, ...], wiring: Callable[[int], str]) -> Row:
    epochs = 1 if settings.quick else EPOCHS
    cost: dict[int, float] = {}
    lines: list[str] = []
    for count in counts:
        found = [_cost(name, wiring(count), epochs) for _ in range(1 if settings.quick else REPEATS)]
        cost[count] = statistics.median(found)
        lines.append(
            f"{count} {what}: {spread(found, '{:.1f}', 'us')} a stimulus, {cost[count] / count:.1f} a process"
        )
        say(f"scaling, {lines[-1]}")
    # A process or two leave cores idle or share them with nobody: the fit is over where both cores are busy.
    busy = [count for count in counts if count >= 4]
    exponent = float(np.polyfit(*([math.log(v) for v in values] for values in (busy, [cost[c] for c in busy])), 1)[0])
    return Row(
        name,
        f"no hang; cost a stimulus ~ work^e, e <= {GOAL:g}",
        f"e = {exponent:.2f} from {busy[0]} to {busy[-1]}",
        exponent <= GOAL,
        f"neurond run of {WIDTH} neurons a process, {epochs} epochs of digits, volleys of 32",
        lines,
        {"us": cost, "exponent": exponent},
    )
