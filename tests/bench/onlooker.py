"""Whether a network trains as fast beside a console that watches, or that stands still with its feed open."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.console import SETTLE_S, opened
from tests.bench.live import Live, live, overriding, shown
from tests.bench.report import MeasurementError, Row, Settings, say, spread
from tests.bench.throughput import NEVER

SPAN_S = 6.0
STOPPED_GOAL = 0.97  # of the rate without a console: what is left of it costs no more than noise
ENDLESS = (f"source.eval_every={NEVER}", "source.epochs=100000", "defaults.group.optimizer.lr=0.1")


def onlooker(settings: Settings) -> list[Row]:
    """Stimuli a second of one run: alone, watched by a console, beside one that was stopped; in turns."""
    found: dict[str, list[float]] = {"alone": [], "watched": [], "stopped": []}
    lines = []
    with live("mnist", *overriding(*ENDLESS), "--data-dir", str(settings.data_dir)) as network:
        at = asyncio.run(network.address())
        time.sleep(SETTLE_S)  # the window opens
        for turn in range(1 if settings.quick else settings.pairs):
            for what in sorted(found, reverse=bool(turn % 2)):
                with _console(network.run_dir.parent, at, what):
                    found[what].append(_rate(network))
            lines.append(
                f"turn {turn + 1}: " + ", ".join(f"{rates[-1]:,.0f}/s {what}" for what, rates in found.items())
            )
            say(f"onlooker, {lines[-1]}")
    shares = {
        what: [rate / alone for rate, alone in zip(found[what], found["alone"], strict=True)]
        for what in ("watched", "stopped")
    }
    return [
        Row(
            "beside a stopped console",
            f">= {STOPPED_GOAL:g}x the rate without one",
            spread(shares["stopped"], "{:.2f}x"),
            statistics.median(shares["stopped"]) >= STOPPED_GOAL,
            f"{shown('run', 'mnist', *overriding(*ENDLESS))}, beside `neurond top` and kill -STOP",
            [*lines, f"beside one that watches, on the same cores: {spread(shares['watched'], '{:.2f}x')}"],
            {"stimuli_per_s": found},
        )
    ]


@contextlib.contextmanager
def _console(folder: Path, at: str, what: str) -> Iterator[None]:
    """A console that watches or stands still; none for `alone`."""
    if what == "alone":
        yield
        return
    with opened(folder, at) as (_, process):
        time.sleep(SETTLE_S)
        if what == "stopped":
            process.send_signal(signal.SIGSTOP)
        yield


def _rate(network: Live) -> float:
    """Stimuli a second over a span, by the rows of its metrics."""
    first = _last_row(network)
    time.sleep(SPAN_S)
    last = _last_row(network)
    return float((last["stimuli"] - first["stimuli"]) / (last["t_s"] - first["t_s"]))


def _last_row(network: Live) -> dict[str, Any]:
    lines = (network.run_dir / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[-2:] if line.endswith("}")]
    if not rows or network.supervisor.poll() is not None:
        raise MeasurementError("the run that is looked at has no rows, or has ended")
    row: dict[str, Any] = rows[-1]
    return row
