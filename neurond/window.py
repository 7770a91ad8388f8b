"""How much may be under way: the source's window, which opens gradually and can be set while the network runs."""

from __future__ import annotations

from neurond.flight import Flight
from topology.plan import SourcePlan


class Window:
    """The room for stimuli under way.

    Args:
        plan: of the source.
        flight: what is under way.

    `widest` is what it opens to, and `volley` how many stimuli are presented at once: as many as the plan says, if so
    many fit.

    """

    def __init__(self, plan: SourcePlan, flight: Flight) -> None:
        self._plan = plan
        self._flight = flight
        self._opens_at = 0  # stimuli that were confirmed when it last began to open
        self.widen(plan.window)

    def widen(self, widest: float) -> None:
        """Let it open to this from now on, be that more or less."""
        self.widest = int(widest)
        self.volley = min(self._plan.volley, self.widest)

    def open_anew(self, confirmed: int) -> None:
        """Begin to open again: a group has come back with weights that the others have left behind."""
        self._opens_at = confirmed

    def width(self, confirmed: int) -> int:
        """What may be under way after so many confirmed stimuli.

        It opens gradually, for errors are large when all is new, and when a group has come back.
        """
        since = confirmed - self._opens_at
        share = min(1.0, since / self._plan.opening) if self._plan.opening else 1.0
        return self.volley + int(share * (self.widest - self.volley))

    def has_room(self, n: int, confirmed: int) -> bool:
        """Whether there is room for so many more stimuli.

        What makes news old is the gradients that are under way, not the stimuli: most of these need none once the
        network has learned a little. So where `window_by` says so the window counts the gradients that are to be
        expected, and stimuli only up to `places`, for the groups' memory has an end.
        """
        flight, width = self._flight, self.width(confirmed)
        if self._plan.window_by == "stimuli":
            return len(flight) + n <= width
        most = max(self._plan.places, self.volley)
        return len(flight) + n <= most and flight.gradients + n * flight.share <= width
