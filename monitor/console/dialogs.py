"""What the console shows above its views: a question, text to read, and the settings of a live process or link."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from monitor.console.page import Page, Spans
from monitor.console.pane import Lines, Pane
from monitor.console.settings import parse, unit
from monitor.slip import slip

Setting = tuple[str, str, float]
"""Process, key, value."""

REFRESH_S = 0.5
MIN_WIDTH = 20  # characters, below which nothing is wrapped
LABEL = re.compile(r"\s*\S+( \S+)*\s{2,}|\s+")


class Question(ModalScreen[bool]):
    """Asks for a yes, and says what it costs; anything else is a no."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)"),
        Binding("n,escape,q,enter", "dismiss(False)"),
    ]

    def __init__(self, words: str, price: str, styles: dict[str, Style]) -> None:
        super().__init__()
        self._words, self._price, self._styles = words, price, styles

    def compose(self) -> ComposeResult:
        """The question in a box."""
        with Vertical(classes="box small"):
            yield Lines(id="question")

    def on_mount(self) -> None:
        """Ask."""
        rows: list[Spans] = [
            [(f" {self._words}", "strong")],
            [(f" {self._price}", "")],
            [],
            [(" y", "strong"), (" yes   ", "dim"), ("n", "strong"), (" no", "dim")],
        ]
        self.query_one("#question", Lines).show(rows, self._styles)


class Reading(ModalScreen[None]):
    """Lines to read, which may change while they are looked at."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss"),
        Binding("down", "move(1)"),
        Binding("up", "move(-1)"),
        Binding("pagedown,space", "move(10)"),
        Binding("pageup", "move(-10)"),
    ]

    def __init__(self, title: str, lines: Callable[[], Sequence[str]], styles: dict[str, Style]) -> None:
        super().__init__()
        self._title, self._lines, self._styles = title, lines, styles

    def compose(self) -> ComposeResult:
        """The lines in a box."""
        with Vertical(classes="box"):
            yield Pane(id="reading")

    def on_mount(self) -> None:
        """Show them, and again from time to time."""
        self.call_after_refresh(self._show)  # as soon as the box has its size
        self.set_interval(REFRESH_S, self._show)

    def action_move(self, by: int) -> None:
        """Scroll."""
        self.query_one("#reading", Pane).move(by)
        self._show()

    def on_resize(self) -> None:
        """Another width is other rows."""
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        pane = self.query_one("#reading", Pane)
        rows: list[Spans] = [
            [(f" {part}", "")] for line in self._lines() for part in wrapped(line, pane.size.width - 2)
        ]
        below = len(rows) - pane.top - (pane.size.height - 2)
        more = f"; {below} more row{'' if below == 1 else 's'} below" if below > 0 else ""
        head: Spans = [(f" {self._title}", "strong"), ("   escape closes", "dim"), (more, "warn")]
        pane.draw(Page([head, []], rows, [""] * len(rows)), self._styles)


def wrapped(line: str, width: int) -> list[str]:
    """The line in parts of at most `width` characters; what stands before two spaces stays in a column of its own."""
    if len(line) <= width or width < MIN_WIDTH:
        return [line]
    label = LABEL.match(line)
    return textwrap.wrap(line, width, subsequent_indent=" " * min(len(label[0]) if label else 0, width // 2))


class Edit(ModalScreen[None]):
    """The settings of a live process or link: choose one, type a value, and it is set at once.

    Args:
        title: what they belong to.
        settings: what can be set, and the values now.
        put: sets one; the value that it has then and the one that the topology has, or in words why not.
        styles: of roles.

    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss"),
        Binding("down", "move(1)", priority=True),
        Binding("up", "move(-1)", priority=True),
    ]

    def __init__(
        self,
        title: str,
        settings: Sequence[Setting],
        put: Callable[[str, str, float], Awaitable[tuple[float, float] | str]],
        styles: dict[str, Style],
    ) -> None:
        super().__init__()
        self._title, self._settings, self._put, self._styles = title, list(settings), put, styles
        self._said: list[Spans] = []

    def compose(self) -> ComposeResult:
        """The settings, and the line to type in, in a box."""
        with Vertical(classes="box"):
            yield Pane(id="settings")
            yield Lines(id="said")
            yield Input(id="value", compact=True, select_on_focus=True)

    def on_mount(self) -> None:
        """Begin with the first."""
        self._show()
        self._offer()

    def action_move(self, by: int) -> None:
        """Choose another."""
        self.query_one("#settings", Pane).move(by)
        self._said = []
        self._show()
        self._offer()

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Set it."""
        event.stop()
        at = self.query_one("#settings", Pane).cursor
        process, key, before = self._settings[at]
        value = parse(event.value)
        came = value if isinstance(value, str) else await self._put(process, key, value)
        if isinstance(came, str):
            self._said = [[(f" {came}", "bad")]]
        else:
            now, planned = came
            self._settings[at] = (process, key, now)
            self._said = [[(f" {process} {key} = {now:g}, was {before:g}", "good")]]
            warning = slip(f"{process} {key}", before, now, planned)
            room = self.query_one("#settings", Pane).size.width - 2
            self._said += [[(f" {part}", "warn")] for part in wrapped(warning, room) if warning]
        self._show()
        self._offer()

    def _offer(self) -> None:
        """The value now, for the user to type over."""
        box = self.query_one("#value", Input)
        box.value = f"{self._settings[self.query_one('#settings', Pane).cursor][2]:g}"
        box.focus()
        box.action_select_all()

    def _show(self) -> None:
        wide = max(len(f"{process} {key}") for process, key, _ in self._settings)
        rows: list[Spans] = [
            [(f"  {f'{process} {key}':<{wide}} ", ""), (f"{value:>10g} ", "strong"), (unit(key), "dim")]
            for process, key, value in self._settings
        ]
        keys = [f"{process} {key}" for process, key, _ in self._settings]
        head: Spans = [(f" {self._title}", "strong"), ("   up and down choose, enter sets, escape closes", "dim")]
        self.query_one("#settings", Pane).draw(Page([head, []], rows, keys), self._styles)
        said = self.query_one("#said", Lines)
        said.styles.height = max(1, len(self._said))
        said.show(self._said, self._styles)
