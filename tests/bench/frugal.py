"""MNIST in few messages: how close to the synchronous dense twin, and how much less is sent and updated."""

from __future__ import annotations

import statistics
from typing import Any

from neurond import data
from neurond.runs import open_run
from tests.bench.learning import twin_accuracy
from tests.bench.live import overriding, scratch, shown, summary, times_fewer
from tests.bench.report import Row, Settings, say, spread

NAME = "mnist in few messages"
FRUGAL = (
    "source.epochs=10",
    "defaults.link.coding=small",
    "defaults.link.values=uint8",
    "defaults.link.notify.threshold=0.4",
    "defaults.group.update.threshold=0.08",
    "defaults.group.update.cool=0.1",
    "defaults.group.optimizer.lr=1.0",
)
POINTS = 0.1  # below the twin
NOTIFICATIONS, UPDATES, BYTES = 100, 5_000, 10  # times fewer


def frugal(settings: Settings) -> list[Row]:
    """Test accuracy beside the twin's, mean of the seeds; notifications, updates and bytes against dense."""
    sets = (*FRUGAL, "source.epochs=0.1") if settings.quick else FRUGAL
    told = overriding(*sets)
    examples = data.load("mnist", data_dir=str(settings.data_dir))
    runs: list[dict[str, Any]] = []
    for seed in range(1 if settings.quick else settings.seeds):
        with scratch() as folder:
            arguments = ["mnist", "--seed", str(seed), *told, "--data-dir", str(settings.data_dir)]
            result = summary(folder / "run", *arguments)
            plan = open_run(folder / "run").plan
        say(f"{NAME}, seed {seed}: {100 * result['test_accuracy']:.2f} %; now the synchronous twin")
        runs.append(
            {
                "accuracy": 100 * result["test_accuracy"],
                "twin": 100 * twin_accuracy(plan, examples),
                **times_fewer(result),
            }
        )
        say(f"{NAME}, seed {seed}: twin {runs[-1]['twin']:.2f} %")
    column = {key: [run[key] for run in runs] for key in runs[0]}
    below = statistics.mean(column["twin"]) - statistics.mean(column["accuracy"])
    lines = [
        f"seed {seed}: {r['accuracy']:.2f} %, twin {r['twin']:.2f} %, {r['notifications']:.1f}x fewer notifications, "
        f"{r['updates']:,.0f}x fewer updates, {r['bytes']:.1f}x fewer bytes"
        for seed, r in enumerate(runs)
    ]
    command = shown("run", "mnist", "--seed", f"0..{len(runs) - 1}", *told, "--json")

    def saved(what: str, goal: int) -> Row:
        found = statistics.median(column[what])
        return Row(f"{NAME}, {what}", f">= {goal:,}x fewer", spread(column[what], "{:,.1f}x"), found >= goal, command)

    return [
        Row(
            NAME,
            f"within {POINTS:g} points of the synchronous dense twin, mean of 5 seeds",
            f"{statistics.mean(column['accuracy']):.2f} % against {statistics.mean(column['twin']):.2f} %, "
            f"{below:+.2f} points (n={len(runs)})",
            below <= POINTS,
            f"{command}, and tests/twin.py on its plan (float32, batches of one volley, the same schedule)",
            lines,
            column,
        ),
        saved("notifications", NOTIFICATIONS),
        saved("updates", UPDATES),
        saved("bytes", BYTES),
    ]
