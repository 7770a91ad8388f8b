"""What the keys of the console do, in words. Pure."""

from __future__ import annotations

from monitor.console.page import Glyphs, Spans, cut

HINTS = (  # key, words, whether it commands the run
    ("?", "help", False),
    ("q", "quit", False),
    ("/", "filter", False),
    ("o", "sort", False),
    ("space", "freeze", False),
    ("enter", "more", False),
    ("e", "edit", True),
    ("p", "pause", True),
    ("k", "kill", True),
    ("R", "restart", True),
    ("s", "picture", False),
    ("t", "light", False),
    ("^p", "palette", False),
)

PALETTE = (  # words, key, name of the action, whether it commands the run
    ("Freeze the display, or let it go on", "space", "freeze", False),
    ("Sort by the next column", "o", "sort", False),
    ("Filter: rows that hold some words", "/", "filter", False),
    ("Details of the selected row", "enter", "details", False),
    ("Picture of what is shown, as an SVG", "s", "picture", False),
    ("Light or dark", "t", "light", False),
    ("Help: all keys", "?", "help", False),
    ("Pause the source, or let it go on", "p", "pause", True),
    ("Edit settings of the selected process or link", "e", "edit", True),
    ("Kill the selected process", "k", "kill", True),
    ("Restart the selected process, with nothing lost", "R", "restart", True),
    ("Quit; the run goes on", "q", "quit", False),
)

_LOOKING = (
    ("1 to 6", "groups, links, raster, curves, events, graph; left and right go through them"),
    ("up, down", "select a process or a link; page up, page down, home, end"),
    ("/", "filter: rows that hold these words; escape shows all again"),
    ("o", "sort by the next column, after the last in the order of the plan"),
    ("space", "freeze the display, or let it go on; the run never waits"),
    ("enter", "everything that is known of the selected process or link"),
    ("s", "write what is shown as an SVG"),
    ("t", "light or dark"),
    ("ctrl+p", "the command palette"),
    ("q", "leave; the run goes on"),
)
_COMMANDING = (
    ("e", "edit thresholds, learning rate, injected latency and loss"),
    ("p", "pause the source, or let it go on"),
    ("k", "kill the selected process at once; asks first"),
    ("R", "start the selected process anew, with nothing lost; asks first"),
)
_READING = (
    "A dash: nobody has measured it. Rates, stale and dense are those of the last three seconds.",
    "stale: a group's own updates between the forward and the backward pass of a gradient.",
    "dense: the share of the values that a dense pass would have sent on the link.",
    "lost, twice, fenced: frames that never came, came again, or came from a process that was replaced.",
    "age: seconds since a process was heard, or a frame was seen to be sent.",
)


def hints(wanted: str, width: int, glyphs: Glyphs, *, reads_only: bool) -> Spans:
    """The filter, if there is one, and the keys that there is room for."""
    spans: Spans = [(" ", "")]
    if wanted:
        spans.append((f"/{cut(wanted, 20, glyphs)}  ", "warn"))
    used = sum(len(text) for text, _ in spans)
    for key, words, commands in HINTS:
        if commands and reads_only:
            continue
        used += len(key) + len(words) + 3
        if used > width:
            break
        spans += [(key, "strong"), (f" {words}  ", "dim")]
    return spans


def help_lines(refusal: str) -> list[str]:
    """The page of help; `refusal` says why no command can be sent, and is "" where one can."""
    keys = _LOOKING if refusal else (*_LOOKING, *_COMMANDING)
    lines = [f"{key:<9} {words}" for key, words in keys]
    if refusal:
        lines += ["", f"{refusal[0].upper()}{refusal[1:]}."]
    return [*lines, "", *_READING]
