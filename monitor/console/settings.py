"""Which settings of the live processes a row of a view is about, and what a user may type for them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from monitor.console.links import all_ends
from monitor.view import View
from topology.plan import LOSS_LINK

UNITS = {"delay": "s", "retry_s": "s", "loss": "share, 0 to 1"}


def subjects(view: View, key: str) -> list[str]:
    """The processes whose settings concern a process, or a link: both its ends."""
    if (ends := all_ends(view).get(key)) is not None:
        return [*ends]
    return [process.name for process in view.processes if process.name == key]


def concerning(view: View, key: str, held: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, float]]:
    """The settings to offer, as (process, key, value): all of a process; of a link those that name its other end.

    Args:
        view: of the run.
        key: of a row: a process or a link.
        held: process -> its settings, as the processes answer `get`.

    """
    every = [
        (process, name, float(value))
        for process, values in held.items()
        for name, value in values.items()
        if isinstance(value, int | float)
    ]
    if (ends := all_ends(view).get(key)) is None:
        return every
    other = dict([ends, ends[::-1]])
    return [
        one
        for one in every
        if other.get(one[0]) in one[1].split(".", 1)[-1:] or _on_link(one, other, key == LOSS_LINK)
    ]


def _on_link(one: tuple[str, str, float], other: Mapping[str, str], loss: bool) -> bool:
    process, name, _ = one
    peer = other.get(process, "")
    return name.startswith(f"notify.{peer}.") or (loss and name.startswith("notify.loss."))


def unit(name: str) -> str:
    """What a setting is counted in; "" for a plain number."""
    return UNITS.get(name, UNITS.get(name.partition(".")[0], ""))


def parse(text: str) -> float | str:
    """The number that was typed, or in words why it is none."""
    try:
        value = float(text.strip().replace(",", ".") if text.count(",") == 1 and "." not in text else text.strip())
    except ValueError:
        return f"{text.strip()!r} is no number" if text.strip() else "type a number, such as 0.02"
    return value if math.isfinite(value) else "a finite number is wanted"
