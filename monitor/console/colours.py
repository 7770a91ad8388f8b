"""How the console looks: where its parts are, the colours of roles by its theme, and what makes a screen ASCII."""

from __future__ import annotations

from collections.abc import Mapping

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from monitor.console.network import LEVELS

LAYOUT = """
Screen { layout: vertical; }
#head { height: 3; }
#pane { height: 1fr; }
#filter { display: none; height: 1; }
#foot { height: 1; }
.box { width: 90%; height: 90%; max-width: 110; border: round $primary; background: $surface; }
.small { height: 6; max-width: 70; }
ModalScreen { align: center middle; }
#reading, #settings { height: 1fr; }
#said, #value { height: 1; }
.-ascii .box { border: ascii $primary; }
"""


def styles(theme: Mapping[str, str]) -> dict[str, Style]:
    """Role -> style.

    Args:
        theme: the variables of a theme, such as `foreground` and `text-success`.

    """
    ground, letters = Color.parse(theme["background"]), Color.parse(theme["foreground"])
    dim = ground.blend(letters, 0.62)
    hot = Color.parse(theme["text-error"])
    warm = Color.parse(theme["text-warning"])
    loads = [dim, *(warm.blend(hot, i / (LEVELS - 2)) for i in range(LEVELS - 1))]
    found = {
        "": Style(color=letters.rich_color),
        "dim": Style(color=dim.rich_color),
        "head": Style(color=dim.rich_color, bold=True),
        "strong": Style(color=letters.rich_color, bold=True),
        "tab": Style(color=letters.rich_color, bold=True, reverse=True),
        "chosen": Style(color=ground.rich_color, bgcolor=letters.rich_color),
        "good": Style(color=Color.parse(theme["text-success"]).rich_color),
        "warn": Style(color=warm.rich_color),
        "bad": Style(color=hot.rich_color, bold=True),
        "accent": Style(color=Color.parse(theme["text-primary"]).rich_color),
    }
    for i, colour in enumerate(loads):
        found[f"load{i}"] = Style(color=colour.rich_color, bold=i == LEVELS - 1)
    return found


class Ascii(LineFilter):
    """Puts something that every terminal has in the place of every other character: in frames, icons, names."""

    _KNOWN = str.maketrans("│┃║▏▎▌▐─━═▁▔┌┐└┘╭╮╰╯├┤┬┴┼…●•", "|" * 7 + "-" * 5 + "+" * 13 + "~oo")

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The segments of a line, as wide as before."""
        return [
            segment if segment.text.isascii() else Segment(self._plain(segment.text), segment.style, segment.control)
            for segment in segments
        ]

    def _plain(self, text: str) -> str:
        from rich.cells import cell_len

        plain = text.translate(self._KNOWN)
        return "".join(c if c.isascii() else " " * cell_len(c) for c in plain)
