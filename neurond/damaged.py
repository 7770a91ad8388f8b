"""What the files of a run folder must hold to be used: a full disk, or an editor, leaves other things.

Figures are finite numbers of a sane size. What does not fit is left out; nothing is guessed (pure).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, TypeGuard

MOST = 1e18
"""No figure of a run comes near to it."""
MOST_S = 1e10
"""Nor any time."""

_WORDS = ("name", "run", "why", "save_error", "until", "state", "digest", "arithmetic")
_DRAWN = ("stimuli", "test_accuracy", "test_loss")  # of an event
_PARTS = ("processes", "links")  # a map of figures by name


def parsed(data: bytes) -> dict[str, Any]:
    """The object of a line or a file of JSON; ValueError if it is none."""
    try:
        found = json.loads(data.decode())
        if b"\\u" in data:
            json.dumps(found, ensure_ascii=False).encode()  # half a character, which no file could take
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not an object")
    return found


def row(found: dict[str, Any]) -> dict[str, Any]:
    """A row of ``metrics.jsonl``; ValueError if it has no time."""
    return {"t_s": _time(found), **_figures({key: value for key, value in found.items() if key != "t_s"})}


def event(found: dict[str, Any]) -> dict[str, Any]:
    """A line of ``events.jsonl``; ValueError if it does not say what happened when, and to whom if to anybody."""
    kind, process, data = found.get("kind"), found.get("process", ""), found.get("data")
    if not isinstance(kind, str) or not isinstance(process, str) or not isinstance(data, dict):
        raise ValueError("it is no event")
    kept = {key: value for key, value in data.items() if key not in _DRAWN or _fits(key, value)}
    return {**found, "t_s": _time(found), "data": kept}


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """A summary: what does not fit is None, as what was not measured."""
    return dict.fromkeys(found) | _figures(found)


def environment(found: dict[str, Any]) -> dict[str, Any]:
    """Where a run took place."""
    parts = ("packages", "simulated")
    return {key: value for key, value in found.items() if key not in parts or isinstance(value, dict)}


def _time(found: Mapping[str, Any]) -> float:
    t_s = found.get("t_s")
    if not is_number(t_s) or not 0 <= t_s <= MOST_S:
        raise ValueError("it has no time")
    return float(t_s)


def _figures(found: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are what their name says."""
    kept: dict[str, Any] = {}
    for key, value in found.items():
        if key in _PARTS:
            if isinstance(value, dict):
                kept[key] = {name: _figures(part) for name, part in value.items() if isinstance(part, dict)}
        elif key == "evaluations":  # of a simulated run
            if isinstance(value, list):
                kept[key] = [_figures(one) for one in value if isinstance(one, dict)]
        elif key == "staleness_counts":
            if isinstance(value, dict):
                kept[key] = {least: n for least, n in value.items() if _fits(least, n)}
        elif _fits(key, value):
            kept[key] = value
    return kept


def _fits(key: str, value: object) -> bool:
    if key in _WORDS:
        return isinstance(value, str)
    if key == "reached":
        return isinstance(value, bool)
    if key == "unheard":
        return isinstance(value, list) and all(isinstance(name, str) for name in value)
    return is_number(value) and (value >= 0 or "loss" in key)


def is_number(value: object) -> TypeGuard[float]:
    """Whether something is a finite number of a sane size."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST and isfinite(value)
