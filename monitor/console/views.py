"""The views of the console in the order of their digits. Pure."""

from __future__ import annotations

from typing import Protocol

from monitor.console.curves import curves
from monitor.console.groups import groups
from monitor.console.links import links
from monitor.console.log import events
from monitor.console.network import network
from monitor.console.page import Glyphs, Look, Page
from monitor.console.raster import raster
from monitor.view import View


class Draw(Protocol):
    """A view of a run on `width` x `height` characters, at `now` (s, on the view's clock)."""

    def __call__(self, view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:
        """The view, drawn."""
        ...


VIEWS: dict[str, Draw] = {
    "groups": groups,
    "links": links,
    "raster": raster,
    "curves": curves,
    "events": events,
    "graph": network,
}
