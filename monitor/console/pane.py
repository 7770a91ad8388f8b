"""The widgets of the console that show rows of spans: lines that stay, and a pane that scrolls and selects."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from monitor.console.page import Page, Spans


class Lines(Widget):
    """Some rows, from the top; what is below the screen is cut off."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[Spans] = []
        self.styles_of: dict[str, Style] = {}

    class Clicked(Message):
        """A place was clicked: column and row."""

        def __init__(self, lines: Lines, x: int, y: int) -> None:
            super().__init__()
            self.lines = lines
            self.x, self.y = x, y

    def show(self, rows: list[Spans], styles: dict[str, Style]) -> None:
        """Draw these from now on."""
        if rows != self.rows or styles is not self.styles_of:
            self.rows, self.styles_of = rows, styles
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Tell the application where."""
        self.post_message(self.Clicked(self, event.x, event.y))

    def render_line(self, y: int) -> Strip:
        """A row of the screen."""
        return self._strip(self.rows[y] if y < len(self.rows) else [], Style())

    def _strip(self, row: Spans, over: Style) -> Strip:
        base = self.rich_style
        segments = [Segment(text, base + self.styles_of.get(role, Style()) + over) for text, role in row]
        strip = Strip(segments)
        return strip.adjust_cell_length(self.size.width, base + over)


class Pane(Lines):
    """A page: its heads stay, its rows scroll, and one of them is selected.

    The selection keeps to its key when rows come and go, or change places.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.page = Page()
        self.cursor = 0
        self.top = 0  # first row shown
        self.at_end = True  # a page that follows is looked at from its end
        self._key = ""

    @property
    def key(self) -> str:
        """What the selected row is about; "" for nothing."""
        return self.page.keys[self.cursor] if self.cursor < len(self.page.keys) else ""

    @property
    def selects(self) -> bool:
        """Whether there is anything to select."""
        return any(self.page.keys)

    def draw(self, page: Page, styles: dict[str, Style]) -> None:
        """Show a page, the next picture of the same view."""
        self.page = page
        self.styles_of = styles
        last = max(0, len(page.rows) - 1)
        if page.follows:
            self.cursor = last if self.at_end else min(self.cursor, last)
        elif self._key and self.key != self._key and self._key in page.keys:
            self.cursor = page.keys.index(self._key)
        self.cursor = min(self.cursor, last)
        if self.selects and not self.key:
            self._move_to(self.cursor, 1)
        self._keep_in_sight()
        self.refresh()

    def begin(self) -> None:
        """Another view comes: from its top, or its end."""
        self.cursor = self.top = 0
        self.at_end, self._key = True, ""

    def move(self, by: int) -> None:
        """Select the row so far below (above, if negative); where rows are about nothing, scroll."""
        if not self.selects:
            self.top = max(0, min(self.top + by, len(self.page.rows) - self._room()))
        else:
            self._move_to(max(0, min(self.cursor + by, len(self.page.rows) - 1)), 1 if by > 0 else -1)
            self.at_end = self.cursor >= len(self.page.rows) - 1
        self._keep_in_sight()
        self.refresh()

    def page_rows(self) -> int:
        """Rows that there is room for."""
        return self._room()

    def _room(self) -> int:
        return max(1, self.size.height - len(self.page.heads))

    def _move_to(self, row: int, step: int) -> None:
        """Select a row, or the next in that direction that is about something."""
        keys = self.page.keys
        for way in (step, -step):
            at = row
            while 0 <= at < len(keys):
                if keys[at]:
                    self.cursor, self._key = at, keys[at]
                    return
                at += way

    def _keep_in_sight(self) -> None:
        room, rows = self._room(), len(self.page.rows)
        if self.selects:
            self.top = min(max(self.top, self.cursor - room + 1), self.cursor)
        self.top = max(0, min(self.top, rows - room))

    def on_click(self, event: events.Click) -> None:
        """Select the row."""
        row = self.top + event.y - len(self.page.heads)
        if self.selects and 0 <= row < len(self.page.rows):
            self._move_to(row, 1)
            self.at_end = False
            self.refresh()
        super().on_click(event)

    def on_mouse_scroll_down(self) -> None:
        """A few rows down."""
        self.move(3)

    def on_mouse_scroll_up(self) -> None:
        """A few rows up."""
        self.move(-3)

    def render_line(self, y: int) -> Strip:
        """A row of the screen."""
        heads = self.page.heads
        if y < len(heads):
            return self._strip(heads[y], Style())
        row = self.top + y - len(heads)
        if row >= len(self.page.rows):
            return self._strip([], Style())
        chosen = self.selects and row == self.cursor
        shown = self.page.rows[row]
        if chosen and shown and shown[0][0].startswith(" "):
            # Also where there is neither colour nor reverse video, the selected row can be told.
            shown = [(">" + shown[0][0][1:], shown[0][1]), *shown[1:]]
        return self._strip(shown, self.styles_of.get("chosen", Style()) if chosen else Style())
