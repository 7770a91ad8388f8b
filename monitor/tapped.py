"""The frames that were seen on a link, as lines. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.figures import count
from topology.wire import EVALUATION, IDS


def tapped(frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line a frame, as `tap` answers them: its kind, what it holds, and the first stimulus that it is of."""
    return list(map(_line, frames)) or ["nothing within a second"]


def _line(frame: Mapping[str, Any]) -> str:
    first, presentation = frame.get("first_id"), frame.get("presentation") or 1
    if first is None:
        stimulus = "-"
    else:
        incarnation, number = divmod(first - EVALUATION if first >= EVALUATION else first, IDS)
        begun_anew = f"{incarnation + 1}:" if incarnation else ""  # the source numbers its stimuli from zero again
        stimulus = f"{'evaluation ' if first >= EVALUATION else ''}{begun_anew}{number:,}"
    counted = "  ".join(f"{count(frame.get(key)):>7} {key}" for key in ("stimuli", "values", "bytes"))
    again = f", presentation {presentation}" if presentation > 1 else ""
    return f"{frame.get('kind') or '-':<13} {counted}  from {stimulus}{again}"
