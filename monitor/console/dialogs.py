"""What the console shows above its views: a question, text to read, and the settings of a live process or link."""

from __future__ import annotations

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

Setting = tuple[str, str, float]
"""Process, key, value."""

REFRESH_S = 0.5


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
        self._show()
        self.set_interval(REFRESH_S, self._show)

    def action_move(self, by: int) -> None:
        """Scroll."""
        self.query_one("#reading", Pane).move(by)

    def _show(self) -> None:
        rows: list[Spans] = [[(f" {line}", "")] for line in self._lines()]
        head: Spans = [(f" {self._title}", "strong"), ("   escape closes", "dim")]
        self.query_one("#reading", Pane).draw(Page([head, []], rows, [""] * len(rows)), self._styles)


class Edit(ModalScreen[None]):
    """The settings of a live process or link: choose one, type a value, and it is set at once.

    Args:
        title: what they belong to.
        settings: what can be set, and the values now.
        put: sets one; the value that it has then, or in words why not.
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
        put: Callable[[str, str, float], Awaitable[float | str]],
        styles: dict[str, Style],
    ) -> None:
        super().__init__()
        self._title, self._settings, self._put, self._styles = title, list(settings), put, styles
        self._said: Spans = []

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
            self._said = [(f" {came}", "bad")]
        else:
            self._settings[at] = (process, key, came)
            self._said = [(f" {process} {key} = {came:g}, was {before:g}", "good")]
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
        self.query_one("#said", Lines).show([self._said], self._styles)
