"""When a process that died is started anew, and when it is given up (pure).

Erlang's restart intensity: the limit is a function of the restarts so far and of the time. `now` is the caller's
own clock in seconds, and never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PERIOD_S = 30.0


@dataclass(slots=True)
class Restarts:
    """The restarts of each process of a run: at most `most` in any `period_s`, after pauses that grow.

    The first restart is made at once, the next after `first_s`, then `factor` times as long each, up to
    `longest_s`. What happened longer than `period_s` ago is forgotten, so a process that lived well for that long
    begins anew.

    Args:
        most: restarts of one process in a period; 0: none ever.
        period_s: how far back it is counted.
        first_s: pause before the second restart.
        factor: by which each further pause is longer.
        longest_s: no pause is longer.

    """

    most: int
    period_s: float = PERIOD_S
    first_s: float = 0.25
    factor: float = 2.0
    longest_s: float = 5.0
    _past: dict[str, list[float]] = field(default_factory=dict)  # when each restart was due, in order

    def past(self, name: str) -> int:
        """How often `name` was started anew in the last period, when it last died."""
        return len(self._past.get(name, ()))

    def died(self, name: str, now: float) -> float | None:
        """The pause in seconds before `name` is started anew, and note it; None if it is to be given up."""
        past = [due for due in self._past.get(name, ()) if due > now - self.period_s]
        self._past[name] = past
        if len(past) >= self.most:
            return None
        pause_s = min(self.first_s * self.factor ** (len(past) - 1), self.longest_s) if past else 0.0
        past.append(now + pause_s)
        return pause_s
