"""MNIST in few notifications, updates and bytes: how close to the synchronous dense twin, and how much less it took.

Each is asked for alone, so each has its own settings.
"""

from __future__ import annotations

import statistics
from typing import Any

from neurond import data
from neurond.runs import open_run
from tests.bench.learning import twin_accuracy
from tests.bench.live import overriding, scratch, shown, summary, times_fewer
from tests.bench.report import Row, Settings, say, spread

SEEDS = 5
POINTS = 0.1  # below the twin
EPOCHS = "source.epochs=10"
FEW_UPDATES = (
    "source.volley=32",
    "defaults.group.optimizer.lr=0.25",
    "defaults.group.update.threshold=0.063",
    "defaults.group.update.cool=0.05",
)
WAYS = {  # what is to be few: what is changed of the zoo's mnist, and how many times fewer they are to be
    "notifications": ((EPOCHS,), 100),
    "updates": ((EPOCHS, *FEW_UPDATES), 5_000),
    "bytes": ((EPOCHS, "defaults.link.coding=small", "defaults.link.values=uint8"), 10),
}

Found = dict[str, Any]


def frugal(settings: Settings) -> list[Row]:
    """Test accuracy beside the twin's, mean of five seeds; notifications, updates and bytes against dense."""
    examples = data.load("mnist", data_dir=str(settings.data_dir))
    rows: list[Row] = []
    for what, (sets, goal) in WAYS.items():
        told = overriding(*sets, *(("source.epochs=0.1",) if settings.quick else ()))
        runs = [_run(settings, what, seed, told, examples) for seed in range(1 if settings.quick else SEEDS)]
        rows += _rows(what, goal, shown("run", "mnist", "--seed", f"0..{len(runs) - 1}", *told, "--json"), runs)
    return rows


def _run(settings: Settings, what: str, seed: int, told: list[str], examples: data.Dataset) -> Found:
    with scratch() as folder:
        arguments = ["mnist", "--seed", str(seed), *told, "--data-dir", str(settings.data_dir)]
        result = summary(folder / "run", *arguments)
        plan = open_run(folder / "run").plan
    accuracy = 100 * result["test_accuracy"]
    say(f"few {what}, seed {seed}: {accuracy:.2f} %; now the synchronous twin")
    twin = 100 * twin_accuracy(plan, examples)
    say(f"few {what}, seed {seed}: twin {twin:.2f} %")
    return {"accuracy": accuracy, "twin": twin, **times_fewer(result)}


def _rows(what: str, goal: int, command: str, runs: list[Found]) -> list[Row]:
    column = {key: [run[key] for run in runs] for key in runs[0]}
    ours, twin = statistics.mean(column["accuracy"]), statistics.mean(column["twin"])
    lines = [
        f"seed {seed}: {r['accuracy']:.2f} %, twin {r['twin']:.2f} %, {r['notifications']:.1f}x fewer notifications, "
        f"{r['updates']:,.0f}x fewer updates, {r['bytes']:.1f}x fewer bytes"
        for seed, r in enumerate(runs)
    ]
    return [
        Row(
            f"mnist, few {what}",
            f">= {goal:,}x fewer",
            spread(column[what], "{:,.1f}x"),
            statistics.median(column[what]) >= goal,
            command,
            lines,
            column,
        ),
        Row(
            f"mnist, few {what}, accuracy",
            f"within {POINTS:g} points of the synchronous dense twin, mean of {SEEDS} seeds",
            f"{ours:.2f} % against {twin:.2f} %, {twin - ours:+.2f} points (n={len(runs)})",
            twin - ours <= POINTS,
            f"{command}, and tests/twin.py on its plan (float32, batches of one volley, the same schedule)",
        ),
    ]
