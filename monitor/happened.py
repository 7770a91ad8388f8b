"""What an event says beside its kind, in a line of words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monitor.figures import duration, number, percent

FIGURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "test_accuracy": ("test accuracy", percent),
    "test_loss": ("test loss", number),
    "train_s": ("after", duration),
}
"""Figures that are written as everywhere else, and what they are called; others are as they come."""

ROUTINE = {"epoch": "epochs", "evaluated": "evaluations", "saved": "saves"}
"""Kinds of event that are folded away, and what many of them are called: they come of themselves, and the curves have
them."""

REASONS = ("why", "message", "what")
EVALUATED = ("test_accuracy", "test_loss", "stimuli")
"""What an evaluation says, the figures first: there may be no room for all of it."""


def words(kind: str, data: Mapping[str, Any]) -> str:
    """What an event says, given its kind and its data: the reason, then each figure and word with its name."""
    if kind == "evaluated":
        data = {key: data[key] for key in EVALUATED if key in data}
    if kind == "set":
        before = data.get("before")
        was = "" if before is None else f" (was {_value(before)})"
        return f"{data.get('key')} = {_value(data.get('value'))}{was}"
    why = next((str(data[key]) for key in REASONS if data.get(key)), "")
    others = {key: value for key, value in data.items() if key not in ("process", *REASONS)}
    said = [_figure(key, value) for key, value in others.items() if _is_said(value)]
    return ", ".join([*([_one_line(why)] if why else []), *said])


def _figure(key: str, value: Any) -> str:
    """What a figure is called, and itself."""
    if key in FIGURES and isinstance(value, int | float):
        label, written = FIGURES[key]
        return f"{label} {written(value)}"
    return f"{_one_line(key.replace('_', ' '))} {value if key == 'pid' else _value(value)}"


def _is_said(value: Any) -> bool:
    """Whether it is a figure or a word; of a yes or no, the kind of event and its reason tell."""
    return isinstance(value, int | float | str) and not isinstance(value, bool) and value != ""


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else _one_line(str(value))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
