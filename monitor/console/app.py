"""The application: shows the views of a run a few times a second, and turns keys into commands.

What is shown is decided by `Display` and the views, and what a command does by the broker.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from rich.style import Style
from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.filter import LineFilter
from textual.screen import Screen
from textual.widgets import Input

from monitor.console.colours import LAYOUT, Ascii, styles
from monitor.console.commands import Ask, Commands
from monitor.console.details import details
from monitor.console.dialogs import Reading
from monitor.console.display import NAMES, Display, Watched
from monitor.console.head import tab_at
from monitor.console.keys import KEYS, help_lines
from monitor.console.page import Glyphs
from monitor.console.pane import Lines, Pane
from monitor.console.terminal import lasting

FRAMES_PER_S = 3
DARK, LIGHT = "textual-dark", "textual-light"


class Console(App[str]):
    """The console of a run. Its result is "interrupted" where it was left with Ctrl-C.

    Args:
        watched: the run; read at each picture.
        clock: seconds, monotonic, the same as that of the view.
        ask: sends a command; None for a console that only looks.
        ascii_only: draw with ASCII alone.
        light: dark letters on a light ground.
        over: it is shown over a run of this very process, which "interrupted" stops.

    """

    AUTO_FOCUS = None  # the line for the filter is only typed in when it is asked for
    TITLE = "neurond"
    CSS = LAYOUT
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(name, action, priority=name == "ctrl+c") for key in KEYS for name, action in key.binds.items()
    ]

    def __init__(
        self,
        watched: Watched,
        clock: Callable[[], float] = time.monotonic,
        ask: Ask | None = None,
        *,
        ascii_only: bool = False,
        light: bool = False,
        over: bool = False,
    ) -> None:
        self._ascii = Ascii() if ascii_only else None
        super().__init__()
        self.watched, self.clock = watched, clock
        self._over = over
        self.commands = Commands(self, ask)
        self.shown = Display(watched, clock, time.monotonic, Glyphs(ascii_only), reads_only=ask is None)
        self.styles_of: dict[str, Style] = {}
        self.theme = LIGHT if light else DARK
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        """The lines above, the view, the filter when it is asked for, and the line below."""
        yield Lines(id="head")
        yield Pane(id="pane")
        yield Input(
            placeholder="filter: words that a row must hold", id="filter", compact=True, select_on_focus=False
        )
        yield Lines(id="foot")

    def get_driver_class(self) -> type[Driver]:
        """Textual's own, for a terminal that may be closed."""
        return lasting(super().get_driver_class())

    async def take_terminal(self) -> str | None:
        """Show the console until it is left; its result.

        Textual's handlers of signals go with it: left behind, that of SIGCONT would take the terminal once more.
        """
        numbers = [n for name in ("SIGTSTP", "SIGCONT", "SIGWINCH") if (n := getattr(signal, name, None))]
        before = {number: signal.getsignal(number) for number in numbers}
        try:
            return await self.run_async()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_mount(self) -> None:
        """Begin to draw."""
        self.theme_changed_signal.subscribe(self, lambda _: self._recolour())
        self._recolour()
        self.set_interval(1 / FRAMES_PER_S, self.repaint)

    def on_resize(self) -> None:
        """Another size is another picture."""
        self.call_after_refresh(self.repaint)

    def get_line_filters(self) -> list[LineFilter]:
        """Textual's own, and what makes the whole screen ASCII where it must be."""
        return [*super().get_line_filters(), *([self._ascii] if self._ascii is not None else [])]

    # --- what is shown --------------------------------------------------------------------------------

    @property
    def pane(self) -> Pane:
        """The view on the screen."""
        return self._main.query_one("#pane", Pane)

    @property
    def _main(self) -> Screen[Any]:
        return self.screen_stack[0]

    def repaint(self) -> None:
        """Draw everything anew, from what is known now."""
        if not self.styles_of or len(self._main.query("#head, #pane, #foot")) < 3:
            return  # not there yet, or being taken away already
        pane, width = self.pane, self.pane.size.width
        pane.draw(self.shown.page(width, max(1, pane.size.height - 1)), self.styles_of)
        self._main.query_one("#head", Lines).show(self.shown.head(width), self.styles_of)
        self._main.query_one("#foot", Lines).show([self.shown.foot(width)], self.styles_of)

    def _recolour(self) -> None:
        self.styles_of = styles(self.theme_variables)
        self.repaint()

    def say(self, words: str, role: str = "warn") -> None:
        """Show a line of words for a while."""
        self.shown.say(words, role)
        if self._running and self.styles_of:
            self.repaint()

    # --- keys -----------------------------------------------------------------------------------------

    def action_view(self, index: int) -> None:
        """Show another view."""
        if index != self.shown.current:
            self.shown.current = index
            self.pane.begin()
            self._main.query_one("#filter", Input).display = self.shown.typing = False
        self.shown.hush()
        self.repaint()

    def action_next(self, by: int) -> None:
        """Show the view beside this one."""
        self.action_view((self.shown.current + by) % len(NAMES))

    def action_move(self, by: int) -> None:
        """Select another row."""
        self.pane.move(by)

    def action_page(self, by: int) -> None:
        """Select a row a screen away."""
        self.pane.move(by * self.pane.page_rows())

    def action_help(self) -> None:
        """Say what all keys do."""
        lines = help_lines(self.commands.refusal, over=self._over)
        self.push_screen(Reading("keys", lambda: lines, self.styles_of))

    def action_filter(self) -> None:
        """Type what rows must hold."""
        box = self.query_one("#filter", Input)
        box.display = self.shown.typing = True
        box.value = self.shown.look.filter
        box.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        if event.input.id == "filter" and event.input.display:
            self.shown.filter(event.value)
            self.repaint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The filter stays, its line goes."""
        if event.input.id == "filter":
            self._leave_filter()

    def action_clear(self) -> None:
        """Leave the filter, and see everything again."""
        self.shown.filter("")
        self.shown.hush()
        self._leave_filter()

    def _leave_filter(self) -> None:
        self.query_one("#filter", Input).display = self.shown.typing = False
        self.set_focus(None)
        self.call_after_refresh(self.repaint)

    def action_sort(self) -> None:
        """Sort by the next column."""
        columns = self.pane.page.columns
        if not columns:
            return self.say(f"the view {self.shown.name} has an order of its own")
        self.shown.sort(columns)
        return self.repaint()

    def action_freeze(self) -> None:
        """Hold the display, or let it go on; the run never waits."""
        self.shown.freeze()
        self.repaint()

    def action_light(self) -> None:
        """Change between dark and light."""
        self.theme = DARK if self.theme == LIGHT else LIGHT

    def action_details(self) -> None:
        """Show all that is known of the selected row's process or link."""
        key = self.pane.key
        if not key or not details(self.shown.view, self.shown.now, key, self.shown.glyphs):
            return self.say("nothing is selected that there is more to say about")
        lines = lambda: details(self.shown.view, self.shown.now, key, self.shown.glyphs)  # noqa: E731 - read again and again
        self.push_screen(Reading(key, lines, self.styles_of))
        return None

    def action_picture(self) -> None:
        """Write what is shown as an SVG: into the current folder, or to the browser."""
        import io

        from monitor.picture import plain_fonts

        drawn = plain_fonts(self.export_screenshot(title=f"neurond top: {self.shown.view.name}"))
        name = f"neurond-{self.shown.view.name or 'top'}-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        if self.is_web:
            self.deliver_text(io.StringIO(drawn), save_filename=name, mime_type="image/svg+xml")
            self.say(f"your browser downloads {name}", "good")
            return
        try:
            Path(name).write_text(drawn, encoding="utf-8")
        except OSError as error:
            self.say(f"{name}: {error.strerror}", "bad")
        else:
            self.say(f"written: {name}", "good")

    def action_interrupt(self) -> None:
        """Leave as one that was interrupted."""
        self.exit("interrupted")

    def action_pause(self) -> None:
        """Pause the source, or let it go on."""
        self.commands.pause()

    def action_kill(self) -> None:
        """Kill the selected process, if the user is sure."""
        self.commands.kill()

    def action_restart(self) -> None:
        """Start the selected process anew, with nothing lost."""
        self.commands.restart()

    def action_frames(self) -> None:
        """Show the next frames of the selected link."""
        self.commands.frames()

    def action_edit(self) -> None:
        """Offer the settings of the selected process or link."""
        self.commands.edit()

    def on_lines_clicked(self, event: Lines.Clicked) -> None:
        """A click on a view's name shows it."""
        if event.lines.id == "head" and event.y == 2 and (view := tab_at(NAMES, event.x)) is not None:
            self.action_view(view)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:  # noqa: ARG002
        """What the command palette offers: whatever has a key."""
        for i, name in enumerate(NAMES):
            yield SystemCommand(f"View: {name}", f"key {i + 1}", partial(self.action_view, i))
        for key in KEYS:
            if key.palette and not (key.commands and self.commands.refusal):
                yield SystemCommand(key.palette, f"key {key.shown}", getattr(self, f"action_{key.action}"))
