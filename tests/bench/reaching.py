"""Time to 97 % test accuracy on MNIST against single-process PyTorch, pair by pair.

On either side the learning rate falls by a cosine over a number of epochs chosen beforehand, the shortest of those
below that ends at 97 % or more; the time is that of the training alone. PyTorch may choose its batch size, too.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import Any

from tests.bench.live import overriding, scratch, shown, summary
from tests.bench.pytorch import LOOP, interpreter, measured
from tests.bench.report import MeasurementError, Row, Settings, say, spread
from tests.bench.throughput import NEVER

GOAL = 0.8
ACCURACY = 0.97
HORIZONS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0)  # epochs
BATCHES = {32: 0.4, 64: 0.6, 128: 0.8}  # batch: learning rate at the start, the best found for PyTorch
OURS = ("source.volley=64", "defaults.group.optimizer.lr=0.4")  # fewer epochs than volleys of 128

Found = Mapping[str, Any]


def reaching(settings: Settings) -> list[Row]:
    """Seconds of training to 97 %, ours over theirs; the median of the ratios."""
    python, folder = interpreter(settings.torch_python), settings.data_dir / "mnist"
    horizons = (0.5,) if settings.quick else HORIZONS

    def theirs(batch: int, epochs: float) -> Found:
        return measured(python, LOOP, folder, batch, BATCHES[batch], epochs, "cosine")

    def ours(epochs: float) -> Found:
        return neurond(settings, epochs, *OURS)

    least = {0: shortest(horizons, ours)} | {
        batch: shortest(horizons, lambda epochs, batch=batch: theirs(batch, epochs)) for batch in BATCHES
    }
    say("reaching: epochs of neurond and of each batch size of PyTorch: " + ", ".join(map(str, least.values())))
    ratios, lines = [], []
    for pair in range(1 if settings.quick else settings.pairs):
        mine: Found = {}
        other: dict[int, Found] = {}
        for side in (0, 1) if pair % 2 == 0 else (1, 0):
            if side == 0:
                mine = _reached(least[0], horizons, ours)
            else:
                for batch in BATCHES:
                    other[batch] = _reached(least[batch], horizons, lambda e, batch=batch: theirs(batch, e))
        best = min(other, key=lambda batch: other[batch]["train_s"])
        ratios.append(mine["train_s"] / other[best]["train_s"])
        lines.append(
            f"pair {pair + 1}: neurond {mine['train_s']:.2f} s ({100 * mine['test_accuracy']:.2f} %), PyTorch "
            + ", ".join(
                f"{f['train_s']:.2f} s at batch {batch} ({100 * f['test_accuracy']:.2f} %)"
                for batch, f in other.items()
            )
        )
        say(f"reaching, {lines[-1]}")
    return [
        Row(
            "time to 97 %",
            f"<= {GOAL:g}x PyTorch's best of batch {', '.join(map(str, BATCHES))}",
            spread(ratios, "{:.2f}x"),
            statistics.median(ratios) <= GOAL,
            f"{shown('run', 'mnist', *overriding(f'source.epochs={least[0]:g}', *OURS))}; python {LOOP.name}",
            lines,
            {"ratios": ratios, "epochs": least},
        )
    ]


def neurond(settings: Settings, epochs: float, *more: str) -> Found:
    """A run of the zoo's mnist whose window opens, and whose learning rate warms up, in proportion to its length."""
    sets = (
        f"source.epochs={epochs:g}",
        f"source.eval_every={NEVER}",
        f"source.opening={round(15_000 * epochs)}",
        f"defaults.group.optimizer.warmup={round(2_500 * epochs)}",
        *more,
    )
    with scratch() as run:
        return summary(run / "run", "mnist", *overriding(*sets), "--data-dir", str(settings.data_dir))


def shortest(horizons: tuple[float, ...], train: Callable[[float], Found]) -> float:
    """The first of these numbers of epochs after which a run ends at the accuracy; the last if none does."""
    for epochs in horizons:
        if train(epochs)["test_accuracy"] >= ACCURACY:
            return epochs
    return horizons[-1]


def _reached(epochs: float, horizons: tuple[float, ...], train: Callable[[float], Found]) -> Found:
    """The run of the shortest horizon from `epochs` on that ends at the accuracy; luck varies."""
    for horizon in horizons[horizons.index(epochs) :]:
        found = train(horizon)
        if found["test_accuracy"] >= ACCURACY or horizon == horizons[-1]:
            return found
    raise MeasurementError("no horizon")
