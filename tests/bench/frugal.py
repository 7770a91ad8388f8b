"""MNIST in few messages, and in few updates: how close to the synchronous dense twin, and how much less it took."""

from __future__ import annotations

import statistics
from typing import Any

from neurond import data
from neurond.runs import open_run
from tests.bench.learning import twin_accuracy
from tests.bench.live import overriding, scratch, shown, summary, times_fewer
from tests.bench.report import Row, Settings, say, spread

SEEDS = 5
EPOCHS = "source.epochs=10"
MESSAGES = (EPOCHS, "defaults.link.coding=small", "defaults.link.values=uint8")
UPDATES = (EPOCHS, "defaults.group.update.adapt=neuron", "defaults.group.update.target=0.002")
POINTS = 0.1  # below the twin
WAYS = {  # name: what is changed of the zoo's mnist, and how many times fewer of what
    "mnist in few messages": (MESSAGES, {"notifications": 100, "bytes": 10}),
    "mnist in few updates": (UPDATES, {"updates": 5_000}),
}

Found = dict[str, Any]


def frugal(settings: Settings) -> list[Row]:
    """Test accuracy beside the twin's, mean of five seeds; notifications, updates and bytes against dense."""
    runs: dict[str, list[Found]] = {name: [] for name in WAYS}
    twins: list[float] = []
    examples = data.load("mnist", data_dir=str(settings.data_dir))
    for seed in range(1 if settings.quick else SEEDS):
        for name, (sets, _) in WAYS.items():
            with scratch() as folder:
                arguments = ["mnist", "--seed", str(seed), *_told(settings, sets)]
                result = summary(folder / "run", *arguments, "--data-dir", str(settings.data_dir))
                plan = open_run(folder / "run").plan
            runs[name].append({"accuracy": 100 * result["test_accuracy"], **times_fewer(result)})
            say(f"{name}, seed {seed}: {runs[name][-1]['accuracy']:.2f} %")
        twins.append(100 * twin_accuracy(plan, examples))  # it knows no thresholds and no codings: one for all ways
        say(f"the synchronous twin, seed {seed}: {twins[-1]:.2f} %")
    return [row for name in WAYS for row in _rows(settings, name, runs[name], twins)]


def _told(settings: Settings, sets: tuple[str, ...]) -> list[str]:
    return overriding(*sets, *(("source.epochs=0.1",) if settings.quick else ()))


def _rows(settings: Settings, name: str, runs: list[Found], twins: list[float]) -> list[Row]:
    sets, goals = WAYS[name]
    column = {key: [run[key] for run in runs] for key in runs[0]}
    ours, theirs = statistics.mean(column["accuracy"]), statistics.mean(twins)
    lines = [
        f"seed {seed}: {r['accuracy']:.2f} %, twin {twin:.2f} %, {r['notifications']:.1f}x fewer notifications, "
        f"{r['updates']:,.0f}x fewer updates, {r['bytes']:.1f}x fewer bytes"
        for seed, (r, twin) in enumerate(zip(runs, twins, strict=True))
    ]
    command = shown("run", "mnist", "--seed", f"0..{len(runs) - 1}", *_told(settings, sets), "--json")

    def saved(what: str, goal: int) -> Row:
        least = statistics.median(column[what])
        return Row(f"{name}, {what}", f">= {goal:,}x fewer", spread(column[what], "{:,.1f}x"), least >= goal, command)

    return [
        Row(
            name,
            f"within {POINTS:g} points of the synchronous dense twin, mean of {SEEDS} seeds",
            f"{ours:.2f} % against {theirs:.2f} %, {theirs - ours:+.2f} points (n={len(runs)})",
            theirs - ours <= POINTS,
            f"{command}, and tests/twin.py on its plan (float32, batches of one volley, the same schedule)",
            lines,
            {**column, "twin": twins},
        ),
        *(saved(what, goal) for what, goal in goals.items()),
    ]
