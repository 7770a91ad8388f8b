"""The view of events: what all processes and the broker have said, in one log. Pure.

Runs of routine events are folded but for their last ones, so that what is none stays in sight; a filter looks at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from monitor.columns import STATES
from monitor.console.page import Glyphs, Look, Page, Spans, cut, matches
from monitor.figures import duration
from monitor.happened import ROUTINE, words
from monitor.view import View
from topology.wire import Event

WHO, KIND = 10, 9
ROUTINE_SHOWN = 2  # of routine events in a row, the last
Logged = tuple[float | None, Event]


def events(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A row an event, the oldest first; the time is that of training, as above, a dash where it is not known."""
    head = [(f" {'time':>7} {'process':<{WHO}} {'event':<{KIND}} what", "head")]
    rows: list[Spans] = []
    keys: list[str] = []
    for one in view.log if look.filter else _folded(view.log):
        if isinstance(one, str):
            rows.append([(f" {'':>7} {cut(one, width - 9, glyphs)}", "dim")])
            keys.append("")
            continue
        at, event = one
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


def _folded(log: Iterable[Logged]) -> Iterator[Logged | str]:
    """The events; in place of the earlier ones of a run of routine, how many of each kind there were."""
    for routine, together in groupby(log, lambda logged: logged[1].kind in ROUTINE):
        events = list(together)
        earlier = events[:-ROUTINE_SHOWN]
        if routine and len(earlier) > 1:
            counts = Counter(event.kind for _, event in earlier)
            yield "... " + ", ".join(f"{n:,} {ROUTINE[kind] if n > 1 else kind}" for kind, n in counts.items())
            events = events[-ROUTINE_SHOWN:]
        yield from events
