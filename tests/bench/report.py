"""A row of the table: a goal, what was measured, and the command that measured it."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class MeasurementError(Exception):
    """Something that a measurement needs is not here; the message is one line for a person."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure with.

    Args:
        data_dir: absolute folder whose `mnist/` holds the four files.
        torch_python: an interpreter that has PyTorch; None for this one, if it does.
        seeds: seeds of a mean or a median; `digits` always takes five, as its goal says.
        pairs: pairs of runs of the throughput.
        quick: everything once and short, to see that it works; the figures mean nothing.

    """

    data_dir: Path
    torch_python: str | None
    seeds: int
    pairs: int
    quick: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where nothing was measured."""

    name: str
    goal: str
    measured: str
    met: bool | None
    command: str
    details: Sequence[str] = ()
    figures: dict[str, Any] = field(default_factory=dict)  # every single measurement, for --json


def spread(values: Sequence[float], form: str = "{:.2f}", unit: str = "") -> str:
    """The median and, of several values, the least and the largest: ``1.52 x (1.48 .. 1.60, n=5)``."""
    unit = unit and f" {unit}"
    middle = form.format(statistics.median(values)) + unit
    if len(values) == 1:
        return f"{middle} (n=1)"
    return f"{middle} ({form.format(min(values))} .. {form.format(max(values))}, n={len(values)})"


def say(words: str) -> None:
    """A line of progress."""
    print(words, file=sys.stderr, flush=True)


def text(rows: Sequence[Row], heading: str) -> str:
    """The table, then each row's command and single measurements."""
    cells = [("", "goal", "measured", "")]
    cells += [(r.name, r.goal, r.measured, {True: "met", False: "MISSED", None: "-"}[r.met]) for r in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(4)]
    table = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in cells]
    table.insert(1, "  ".join("-" * w for w in widths))
    below = [line for r in rows for line in ("", f"{r.name}: {r.command}", *(f"    {d}" for d in r.details))]
    return "\n".join([heading, "", *table, *below])
