"""A look at the frames that a process sends on one of its links: headers and sizes, never the values (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from topology import wire
from topology.plan import LOSS_LINK, GroupPlan, SourcePlan

MOST = 100
"""Frames that one look shows."""
WITHIN_S = 1.0
"""A look is over after so long, whatever was seen."""


class TapError(ValueError):
    """A look at something that is not there; the message is one line for a person."""


class Tap:
    """One look, until as many frames were seen as are wanted.

    Args:
        id: of the command that asks for it.
        link: number of the link.
        n: frames that are wanted.

    """

    def __init__(self, id: str, link: int, n: int) -> None:
        self.id = id
        self.seen: list[dict[str, Any]] = []
        self._link, self._n = link, n

    def take(self, frame: bytes) -> bool:
        """Note a frame that is on its way, if it is of the link; whether all that are wanted were seen."""
        if wire.link_of(frame) == self._link:
            self.seen.append(_header(frame))
        return len(self.seen) >= self._n

    def reply(self) -> wire.Reply:
        """What was seen."""
        return wire.Reply(self.id, True, {"frames": self.seen})


def open_tap(id: str, args: Mapping[str, Any], plan: GroupPlan | SourcePlan) -> Tap:
    """The look that a command asks for by ``link`` (``pre -> post``) and ``n``; TapError if it cannot be had."""
    links = numbers(plan)
    name, n = args.get("link"), args.get("n", 10)
    if not isinstance(name, str) or name not in links:
        from topology.errors import guess  # only errors need it

        shown = f"'{name:.70}'" if isinstance(name, str) else "without a name"
        hint = guess(name, links) if isinstance(name, str) else f"known: {', '.join(links)}"
        raise TapError(f"no link {shown}; {hint}")
    if type(n) is not int or not 1 <= n <= MOST:
        raise TapError(f"n: a whole number from 1 to {MOST} is expected, not {n!r:.40}")
    return Tap(id, links[name], n)


def numbers(plan: GroupPlan | SourcePlan) -> dict[str, int]:
    """The links on which a process sends, by the names that telemetry has for them, with their numbers."""
    links = [*plan.links_out, *(plan.links_in if isinstance(plan, GroupPlan) else ())]
    found = {link.name: link.index for link in links}
    confirms = plan.confirms if isinstance(plan, SourcePlan) else plan.loss.confirms if plan.loss else None
    return found if confirms is None else found | {LOSS_LINK: confirms}


def _header(frame: bytes) -> dict[str, Any]:
    message = wire.decode(frame)
    values = 0
    if isinstance(message, wire.Spikes | wire.Notifications):
        values = int(np.count_nonzero(message.values))
    return {
        "kind": type(message).__name__.lower(),
        "bytes": len(frame),
        "stimuli": len(message.ids),
        "values": values,
        "first_id": int(message.ids[0]),
        "presentation": message.presentation,
    }
