"""One command to several processes and what they answered, within a deadline (pure)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Round:
    """One command to some processes, and their answers until all have come or the deadline has."""

    id: str
    verb: str
    waits_for: set[str]
    deadline: float
    done: Callable[[Round, float], None]
    client: str = ""  # id of the client's command that this answers; "" for the broker's own
    generation: int = 0
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """What went wrong, in one line; empty if nothing did."""
        names: dict[str, list[str]] = {}
        for name, error in self.errors.items():
            names.setdefault(error, []).append(name)
        return "; ".join(f"{', '.join(who)}: {error}" for error, who in names.items())
