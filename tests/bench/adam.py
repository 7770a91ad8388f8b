"""MNIST with Adam in the accumulators: a wider network, and an optimizer whose sums decay with every step."""

from __future__ import annotations

import statistics

from tests.bench.live import overriding, scratch, shown, summary, times_fewer
from tests.bench.report import Row, Settings, say, spread

GOAL = 98.3
SETS = (
    "source.epochs=10",
    "source.volley=64",
    "groups.h1.size=500",
    "groups.h2.size=500",
    "defaults.group.optimizer.kind=adam",
    "defaults.group.optimizer.lr=0.002",
)


def adam(settings: Settings) -> list[Row]:
    """Test accuracy of 784-500-500-10 after ten epochs, the mean of the seeds."""
    sets = (*SETS, "source.epochs=0.1") if settings.quick else SETS
    told = overriding(*sets)
    found, lines = [], []
    for seed in range(1 if settings.quick else settings.seeds):
        with scratch() as folder:
            arguments = ["mnist", "--seed", str(seed), *told, "--data-dir", str(settings.data_dir)]
            result = summary(folder / "run", *arguments)
        found.append(100 * result["test_accuracy"])
        saved = times_fewer(result)
        lines.append(
            f"seed {seed}: {found[-1]:.2f} % in {result['train_s']:.0f} s, {saved['notifications']:.1f}x fewer "
            f"notifications, {saved['updates']:,.0f}x fewer updates, {saved['bytes']:.1f}x fewer bytes"
        )
        say(f"adam, {lines[-1]}")
    mean = statistics.mean(found)
    return [
        Row(
            "mnist 784-500-500-10, adam",
            f">= {GOAL:g} %",
            f"mean {mean:.2f} %; {spread(found, unit='%')}",
            mean >= GOAL,
            shown("run", "mnist", "--seed", f"0..{len(found) - 1}", *told, "--json"),
            lines,
            {"test_accuracy_percent": found},
        )
    ]
