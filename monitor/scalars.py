"""What a run folder tells, as single numbers with a name and a step, the way tools for experiments take it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from monitor.dense import COMPARED, COUNTED_LOSSES
from monitor.told import Row, Told, elapsed
from monitor.traffic import both_ways, ends

QUALITY = {
    "loss": "loss/train",
    "test_loss": "loss/test",
    "train_accuracy": "accuracy/train",
    "test_accuracy": "accuracy/test",
    "stimuli_per_s": "speed/stimuli_per_s",
    "in_flight": "speed/in_flight",
    "staleness_mean": "staleness/all",
}
PROCESS = ("stimuli_per_s", "spike_share", "notifications", "updates", "staleness", "queue", "cpu", "rss_mib")


class Scalar(NamedTuple):
    """One number: `step` in stimuli, `at` in seconds since 1970, or since the run began where that is not known."""

    tag: str
    step: int
    at: float
    value: float


def scalars(told: Told) -> Iterator[Scalar]:
    """Every figure of each row that has a number of stimuli; what was not measured has none."""
    times = elapsed(told.rows)
    began = 0.0
    with suppress(ValueError, OverflowError):  # the environment tells when the last part of the run began
        began = datetime.fromisoformat(str(told.environment.get("started"))).timestamp()
        began -= times[-1] - float(told.rows[-1].get("t_s", 0.0)) if times else 0.0
    for t_s, row in zip(times, told.rows, strict=True):
        if "stimuli" in row:
            for tag, value in _figures(row):
                yield Scalar(tag, row["stimuli"], began + t_s, float(value))


def _figures(row: Row) -> Iterator[tuple[str, float]]:
    for key, tag in QUALITY.items():
        if row.get(key) is not None:
            yield tag, row[key]
    for _, key, dense in COMPARED:
        if row.get(key) is not None and row.get(dense):
            yield f"of_dense/{key}", row[key] / row[dense]
    for key in COUNTED_LOSSES:
        if row.get(key):
            yield f"lost/{key}", row[key]
    for name, process in row.get("processes", {}).items():
        for key in PROCESS:
            if process.get(key) is not None:
                yield f"{key}/{name}", process[key]
    for link, counts in row.get("links", {}).items():
        if "bytes" in counts:
            yield f"link_bytes/{'_to_'.join(ends(link))}", both_ways(counts)
