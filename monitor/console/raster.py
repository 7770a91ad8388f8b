"""The view of spikes: some neurons of each group against the last seconds, in dots. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.console.canvas import Canvas
from monitor.console.page import Glyphs, Look, Page, Span, Spans, cut, matches
from monitor.figures import compact
from monitor.process import LOST, Process
from monitor.view import View

NAME = 8
NEURONS = 9  # characters of how many of them are shown: 32 of 300
MOST_ROWS = 8  # of a group: 32 neurons in braille


def raster(view: View, now: float, width: int, height: int, glyphs: Glyphs, look: Look) -> Page:  # noqa: ARG001
    """A block of rows a group; the newest look is at the right, and looks that were lost are hatched.

    Each group has a row at least, and as many as its neurons need where the screen has them.
    """
    found = [p for p in view.processes if p.role != "source" and matches(look.filter, (p.name,))]
    if not found:
        return Page([], [[(" no group yet", "dim")]], [""])
    tall = _shared([_needed(p, glyphs) for p in found], height)
    apart = sum(tall) + len(found) - 1 <= height
    room = max(4, width - NAME - NEURONS - 4)
    rows: list[Spans] = []
    keys: list[str] = []
    for i, process in enumerate(found):
        block = _block(process, room, tall[i], glyphs)
        if apart and i < len(found) - 1:
            block.append([("", "")])
        rows += block
        keys += [process.name] * len(block)
    words = "a dot is a neuron that spiked; newest right, 32 looks a second at most"
    head: Spans = [(f" {'group':<{NAME}} {'neurons':>{NEURONS}} {cut(words, room, glyphs)}", "head")]
    return Page([head], rows, keys)


def _needed(process: Process, glyphs: Glyphs) -> int:
    """Rows that show all its neurons."""
    return max(1, -(-process.neurons // Canvas(1, 1, glyphs).down)) if process.looks else 1


def _shared(needed: Sequence[int], height: int) -> list[int]:
    """Rows for each group: one, and then one more for each in turn that needs it, while there are any."""
    given = [1] * len(needed)
    most = [min(MOST_ROWS, n) for n in needed]
    spare = height - len(given)
    while spare > 0 and given != most:
        for i in range(len(given)):
            if given[i] < most[i] and spare > 0:
                given[i] += 1
                spare -= 1
    return given


def _block(process: Process, room: int, tall: int, glyphs: Glyphs) -> list[Spans]:
    name = f" {cut(process.name, NAME, glyphs):<{NAME}} "
    if not process.looks:
        return [[(name, "strong"), ("no sample yet", "dim")]]
    canvas = Canvas(room, tall, glyphs)
    looks = list(process.looks)[-canvas.across :]
    shown = sample(process.neurons, canvas.down)
    start = canvas.across - len(looks)
    for x, bits in enumerate(looks, start):
        if bits != LOST:
            for y, neuron in enumerate(shown):
                if bits >> neuron & 1:
                    canvas.dot(x, y)
    lost = _lost(looks, start, canvas.across // room)
    rows = []
    for y, row in enumerate(canvas.rows()):
        label: list[Span] = [(name if y == 0 else " " * len(name), "strong")]
        label.append((f"{_shown(process, len(shown)) if y == 0 else '':>{NEURONS}} ", "dim"))
        rows.append([*label, *_hatched(row, lost, glyphs)])
    return rows


def _shown(process: Process, rows: int) -> str:
    """How many neurons are shown, and of how many, as far as that is known and another number."""
    size = round(process.gauges.get("neurons", rows))
    if size <= rows:
        return str(rows)
    words = f"{rows} of {size}"
    return words if len(words) <= NEURONS else f"{rows} of {compact(size / 1e3)}k"


def sample(neurons: int, most: int) -> list[int]:
    """At most `most` of the neurons, evenly spaced."""
    if neurons <= most:
        return list(range(neurons))
    return [i * neurons // most for i in range(most)]


def _lost(looks: Sequence[int], start: int, per_character: int) -> set[int]:
    """The characters that hold nothing but looks that were lost."""
    known: set[int] = set()
    lost: set[int] = set()
    for x, bits in enumerate(looks, start):
        (lost if bits == LOST else known).add(x // per_character)
    return lost - known


def _hatched(row: str, lost: set[int], glyphs: Glyphs) -> list[Span]:
    """A row of dots, with what was lost in it."""
    spans: list[Span] = []
    text, hatched = "", False
    for x, character in enumerate(row):
        if (x in lost) != hatched:
            spans.append((text, "dim" if hatched else "accent"))
            text, hatched = "", x in lost
        text += glyphs.pick("╱", "/") if hatched else character
    return [*spans, (text, "dim" if hatched else "accent")]
