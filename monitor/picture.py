"""A run as a picture: what the display showed, as an SVG that needs no font from the network."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.segment import Segments

from monitor.render import render
from monitor.view import View

WIDTH, HEIGHT = 80, 30
FONTS = "'DejaVu Sans Mono', Menlo, Consolas, monospace"


def frame(view: View) -> Segments:
    """The live display as it is now; it stays so when the view goes on."""
    console = _console()
    return Segments(list(console.render(render(view))))


def svg(shown: Sequence[RenderableType], title: str) -> str:
    """What is `shown`, one below the other, on a terminal of 80 columns."""
    console = _console()
    for renderable in shown:
        console.print(renderable)
    return plain_fonts(console.export_svg(title=title))


def plain_fonts(drawn: str) -> str:
    """The picture with fonts that people have, in place of one that would be fetched."""
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return drawn.replace("Fira Code, monospace", FONTS)


def _console() -> Console:
    return Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        height=HEIGHT,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        _environ={},
    )
