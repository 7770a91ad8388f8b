"""The keys of the console: what each does, in words and as an action. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monitor.console.page import Glyphs, Spans, cut
from monitor.console.views import VIEWS


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or several that belong together; the bindings, the help, the palette and the line below come from it.

    Args:
        shown: as people call it.
        does: its line of help.
        binds: name of the key as Textual has it -> its action; none where the key is Textual's own.
        hint: a word in the line below the views; "" for none.
        palette: its line in the command palette; "" for none.
        commands: it asks something of the run.
        over: its line of help in the console of `run --watch`, where that is another.

    """

    shown: str
    does: str
    binds: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    palette: str = ""
    commands: bool = False
    over: str = ""

    @property
    def action(self) -> str:
        """Its action, of the palette."""
        return next(iter(self.binds.values()))


_VIEWS = {str(i + 1): f"view({i})" for i in range(len(VIEWS))}
_ROWS = {"down": "move(1)", "up": "move(-1)", "pagedown": "page(1)", "pageup": "page(-1)"}
_ENDS = {"home": "move(-1000000)", "end": "move(1000000)"}

KEYS = (
    Key("?", "this help", {"question_mark": "help"}, "help", "Help: all keys"),
    Key(
        "q",
        "leave; the run goes on",
        {"q": "quit"},
        "quit",
        "Quit; the run goes on",
        over="leave the console; the run goes on, in the live display",
    ),
    Key(
        "ctrl+c",
        "leave as interrupted, with exit code 130; the run goes on",
        {"ctrl+c": "interrupt"},
        over="stop the run: it is drained and saved, and ends",
    ),
    Key(
        f"1 to {len(VIEWS)}",
        f"{', '.join(VIEWS)}; left and right go through them",
        {**_VIEWS, "right": "next(1)", "left": "next(-1)"},
    ),
    Key("up, down", "select a process or a link; page up, page down, home, end", {**_ROWS, **_ENDS}),
    Key(
        "/",
        "filter: rows that hold these words; escape shows all again",
        {"slash": "filter", "escape": "clear"},
        "filter",
        "Filter: rows that hold some words",
    ),
    Key(
        "o",
        "sort by the next column, after the last in the order of the plan",
        {"o": "sort"},
        "sort",
        "Sort by the next column",
    ),
    Key(
        "space",
        "freeze the display, or let it go on; the run never waits",
        {"space": "freeze"},
        "freeze",
        "Freeze the display, or let it go on",
    ),
    Key(
        "enter",
        "everything that is known of the selected process or link",
        {"enter": "details"},
        "more",
        "Details of the selected row",
    ),
    Key(
        "e",
        "edit thresholds, learning rate, injected latency and loss",
        {"e": "edit"},
        "edit",
        "Edit settings of the selected process or link",
        commands=True,
    ),
    Key(
        "p",
        "pause the source, or let it go on",
        {"p": "pause"},
        "pause",
        "Pause the source, or let it go on",
        commands=True,
    ),
    Key(
        "k",
        "kill the selected process at once; asks first",
        {"k": "kill"},
        "kill",
        "Kill the selected process",
        commands=True,
    ),
    Key(
        "R",
        "start the selected process anew, with nothing lost; asks first",
        {"R": "restart"},
        "restart",
        "Restart the selected process, with nothing lost",
        commands=True,
    ),
    Key(
        "f",
        "the next frames of the selected link, both ways: their headers, no values",
        {"f": "frames"},
        "frames",
        "Frames: tap the selected link",
        commands=True,
    ),
    Key("s", "write what is shown as an SVG", {"s": "picture"}, "picture", "Picture of what is shown, as an SVG"),
    Key("t", "light or dark", {"t": "light"}, "light", "Light or dark"),
    Key("ctrl+p", "the command palette", hint="palette"),
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
    for key in KEYS:
        if not key.hint or (key.commands and reads_only):
            continue
        used += len(key.shown) + len(key.hint) + 3
        if used > width:
            break
        spans += [(key.shown, "strong"), (f" {key.hint}  ", "dim")]
    return spans


def help_lines(refusal: str, *, over: bool = False) -> list[str]:
    """The page of help.

    Args:
        refusal: why no command can be sent; "" where one can.
        over: the console is that of `run --watch`.

    """
    shown = [key for key in KEYS if not (key.commands and refusal)]
    lines = [f"{key.shown:<9} {(over and key.over) or key.does}" for key in shown]
    if refusal:
        lines += ["", f"{refusal[0].upper()}{refusal[1:]}."]
    return [*lines, "", *_READING]
