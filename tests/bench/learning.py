"""How well networks learn, what they save against dense, and whether the exact case is exact."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

import numpy as np

import neurond
from neurond import data
from neurond.optimizers import learning_rate
from neurond.runs import open_run
from tests.bench.live import scratch, shown, summary, times_fewer
from tests.bench.report import Row, Settings, say, spread
from tests.twin import Twin
from tests.unit.test_exact import HEAD, STIMULI, WIRINGS
from topology.load import loads
from topology.plan import Plan

DIGITS_SEEDS = 5
DIGITS, MNIST, TWIN_POINTS = 97.0, 97.5, 0.3  # percent, percent, points
NOTIFICATIONS, UPDATES = 40, 1000  # times fewer
EXACT = 1e-5


def digits(settings: Settings) -> list[Row]:
    """Test accuracy of the default topology, the mean of five seeds."""
    short = ["--set", "source.epochs=3"] if settings.quick else []
    found = []
    for seed in range(1 if settings.quick else DIGITS_SEEDS):
        with scratch() as folder:
            result = summary(folder / "run", "digits", "--seed", str(seed), *short)
        found.append(100 * result["test_accuracy"])
        say(f"digits, seed {seed}: {found[-1]:.2f} %")
    mean, seeds = statistics.mean(found), len(found)
    return [
        Row(
            "digits",
            f">= {DIGITS:g} %, mean of {DIGITS_SEEDS} seeds",
            f"mean {mean:.2f} % ({min(found):.2f} .. {max(found):.2f}, n={seeds})",
            mean >= DIGITS,
            shown("run", "digits", "--seed", f"0..{seeds - 1}", *short, "--json"),
            [f"seed {seed}: {accuracy:.2f} %" for seed, accuracy in enumerate(found)],
            {"test_accuracy_percent": found},
        )
    ]


def mnist(settings: Settings) -> list[Row]:
    """MNIST by the zoo's topology: accuracy, beside the synchronous twin's, and what was saved."""
    folder_of_data = ["--data-dir", str(settings.data_dir)]
    short = ["--set", "source.epochs=0.1"] if settings.quick else []
    examples = data.load("mnist", data_dir=str(settings.data_dir))
    runs: list[dict[str, Any]] = []
    for seed in range(1 if settings.quick else settings.seeds):
        with scratch() as folder:
            result = summary(folder / "run", "mnist", "--seed", str(seed), *short, *folder_of_data)
            plan = open_run(folder / "run").plan
        say(f"mnist, seed {seed}: {100 * result['test_accuracy']:.2f} %; now the synchronous twin")
        runs.append(
            {
                "accuracy": 100 * result["test_accuracy"],
                "twin": 100 * twin_accuracy(plan, examples),
                **times_fewer(result),
                "stimuli_per_s": result["stimuli_per_s"],
            }
        )
        say(f"mnist, seed {seed}: twin {runs[-1]['twin']:.2f} %")
    column = {key: [run[key] for run in runs] for key in runs[0]}
    below = [twin - accuracy for twin, accuracy in zip(column["twin"], column["accuracy"], strict=True)]
    lines = [
        f"seed {seed}: {r['accuracy']:.2f} %, twin {r['twin']:.2f} %, "
        f"notifications {r['notifications']:.1f}x, updates {r['updates']:,.0f}x"
        for seed, r in enumerate(runs)
    ]
    command = shown("run", "mnist", "--seed", f"0..{len(runs) - 1}", *short, "--json")
    twin = f"{command}, and tests/twin.py on its plan (float32, batches of one volley, the same schedule)"
    accuracy, difference = statistics.median(column["accuracy"]), statistics.median(below)
    saved, updates = (statistics.median(column[key]) for key in ("notifications", "updates"))
    return [
        Row(
            "mnist",
            f">= {MNIST:g} %",
            spread(column["accuracy"], unit="%"),
            accuracy >= MNIST,
            command,
            lines,
            column,
        ),
        Row(
            "mnist-twin",
            f"within {TWIN_POINTS:g} points of the twin",
            f"{spread(below, '{:+.2f}', 'points')} (+ is below it)",
            difference <= TWIN_POINTS,
            twin,
            figures={"points_below": below},
        ),
        Row(
            "mnist-notifications",
            f">= {NOTIFICATIONS}x fewer than dense",
            spread(column["notifications"], "{:.1f}x"),
            saved >= NOTIFICATIONS,
            command,
        ),
        Row(
            "mnist-updates",
            f">= {UPDATES:,}x fewer than dense",
            spread(column["updates"], "{:,.0f}x"),
            updates >= UPDATES,
            command,
        ),
    ]


def twin_accuracy(plan: Plan, examples: data.Dataset) -> float:
    """Test accuracy of the synchronous twin after as many stimuli, from 0 to 1."""
    optimizer = plan.groups[0].optimizer
    twin = Twin(plan, np.float32)
    stimuli = round(plan.source.epochs * len(examples.x_train))
    twin.train(examples, optimizer.lr_unit, stimuli, partial(learning_rate, optimizer))
    return twin.accuracy(examples)


def exact(settings: Settings) -> list[Row]:
    """Window 1 and no thresholds, in real processes: the largest distance of any weight to the NumPy reference.

    Short as it is, so `--quick` changes nothing.
    """
    examples = data.load("digits")
    head = HEAD.format(epochs=STIMULI / len(examples.x_train), loss="cross-entropy")
    distance: dict[str, float] = {}
    for name, wiring in WIRINGS.items():
        with scratch() as folder:
            run = neurond.run(loads(head + wiring), run_dir=folder / "run")
            weights, plan, stimuli = run.weights, run.plan, run.summary["stimuli"]
        if stimuli != STIMULI:
            raise AssertionError(f"{name}: {stimuli} stimuli were taught, not {STIMULI}")
        twin = Twin(plan, np.float64)
        optimizer = plan.groups[0].optimizer
        twin.train(examples, 1, STIMULI, partial(learning_rate, optimizer))
        reference = {f"{pre} -> {post}": w for post, links in twin.w.items() for pre, w in links.items()}
        reference |= {f"{group}.bias": b for group, b in twin.b.items()}
        if reference.keys() != weights.keys():
            raise AssertionError(f"{name}: the run has other links than its twin")
        distance[name] = max(float(np.abs(weights[key] - w).max()) for key, w in reference.items())
        say(f"exact, {name}: {distance[name]:.1e}")
    worst = max(distance.values())
    return [
        Row(
            "exact",
            f"<= {EXACT:.0e} after {STIMULI} stimuli",
            f"largest |w - reference| {worst:.1e} of {len(distance)} wirings",
            worst <= EXACT,
            "neurond.run of the wirings in tests/unit/test_exact.py, beside tests/twin.py in float64",
            [f"{name}: {d:.1e}" for name, d in distance.items()],
            {"max_abs_difference": distance},
        )
    ]
