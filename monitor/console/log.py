"""The view of events: what all processes and the broker have said, in one log. Pure."""

from __future__ import annotations

from monitor.columns import STATES
from monitor.console.page import Glyphs, Look, Page, Spans, cut, matches
from monitor.figures import duration
from monitor.happened import words
from monitor.view import View

WHO, KIND = 10, 9


def events(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row an event, the oldest first; the time is that of training, as above, a dash where it is not known."""
    head = [(f" {'time':>7} {'process':<{WHO}} {'event':<{KIND}} what", "head")]
    rows: list[Spans] = []
    keys: list[str] = []
    for at, event in view.log:
        who = str(event.data.get("process", event.name))
        said = words(event.kind, event.data)
        if not matches(look.filter, (who, event.kind, said)):
            continue
        role = STATES.get(event.kind, "dim")
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
