"""The view of events: what all processes and the broker have said, in one log. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monitor.console.page import Glyphs, Look, Page, Spans, cut, matches
from monitor.figures import duration, number, percent
from monitor.view import View
from topology.wire import Event

ROLES = {
    "running": "good",
    "finished": "good",
    "ended": "good",
    "joined": "good",
    "evaluated": "accent",
    "set": "warn",
    "left": "warn",
    "journal": "warn",
    "died": "bad",
    "lost": "bad",
    "failed": "bad",
    "diverged": "bad",
}
"""Kind of event -> its role; the others are dim."""

WHO, KIND = 10, 9


def events(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row an event, the oldest first; the time is that of training, as above, a dash where it is not known."""
    head = [(f" {'time':>7} {'process':<{WHO}} {'event':<{KIND}} what", "head")]
    rows: list[Spans] = []
    keys: list[str] = []
    for at, event in view.log:
        who = str(event.data.get("process", event.name))
        said = words(event)
        if not matches(look.filter, (who, event.kind, said)):
            continue
        role = ROLES.get(event.kind, "dim")
        room = max(0, width - 8 - WHO - KIND - 4)
        rows.append(
            [
                (f" {duration(at):>7} ", "dim"),
                (f"{cut(who, WHO, glyphs):<{WHO}} ", "strong"),
                (f"{cut(event.kind, KIND, glyphs):<{KIND}} ", role),
                (cut(said, room, glyphs), ""),
            ]
        )
        keys.append(who)
    return Page([head], rows, keys, follows=True)


def words(event: Event) -> str:
    """What an event says beside its kind, in a line."""
    data = event.data
    if event.kind == "evaluated":
        return ", ".join(_figure(key, data[key]) for key in ("test_accuracy", "test_loss") if _is_said(data.get(key)))
    if event.kind == "set":
        before = data.get("before")
        was = "" if before is None else f" (was {_value(before)})"
        return f"{data.get('key')} = {_value(data.get('value'))}{was}"
    why = data.get("why") or data.get("message") or data.get("what")
    found = [_one_line(str(why))] if why else []
    found += [
        _figure(key, value)
        for key, value in data.items()
        if key not in ("process", "why", "message", "what") and _is_said(value)
    ]
    return ", ".join(found)


FIGURES: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "test_accuracy": ("test accuracy", percent),
    "test_loss": ("test loss", number),
    "train_s": ("after", duration),
    "stimuli": ("stimuli", lambda n: f"{n:,.0f}"),
}
"""Figures that are written as in the lines above the views, and what they are called; others are as they come."""


def _figure(key: str, value: Any) -> str:
    """What a figure is called, and itself."""
    if key in FIGURES and isinstance(value, int | float):
        label, written = FIGURES[key]
        return f"{label} {written(value)}"
    return f"{key} {_value(value)}"


def _is_said(value: Any) -> bool:
    """Whether it is a figure or a word; of a yes or no, the kind of event and its reason tell."""
    return isinstance(value, int | float | str) and not isinstance(value, bool) and value != ""


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _one_line(str(value))


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
