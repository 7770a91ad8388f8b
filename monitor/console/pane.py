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

    The selection keeps to its key when rows come and go, or change places, and when another view has it too. In a
    page that follows nothing is selected until the user moves to a row: the row at its end is another at any moment.
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.page = Page()
        self.cursor = 0
        self.top = 0  # first row shown
        self.at_end = True  # a page that follows is looked at from its end
        self._chosen: list[str] = []  # keys that the user chose, the latest first, one of each kind of view

    @property
    def key(self) -> str:
        """What the selected row is about; "" for nothing."""
        if self.follows_end or self.cursor >= len(self.page.keys):
            return ""
        return self.page.keys[self.cursor]

    @property
    def follows_end(self) -> bool:
        """Whether it stays at the end of a page that grows, and no row of it was chosen."""
        return self.page.follows and self.at_end

    @property
    def selects(self) -> bool:
        """Whether there is anything to select."""
        return any(self.page.keys)

    def draw(self, page: Page, styles: dict[str, Style]) -> None:
        """Show a page, the next picture of the same view."""
        self.page = page
        self.styles_of = styles
        last = max(0, len(page.rows) - 1)
        wanted = next((key for key in self._chosen if key in page.keys), "")
        if page.follows:
            # Where other rows have taken the places of those before, the row that was chosen is not there any more.
            self.at_end = self.at_end or self.cursor >= len(page.keys) or page.keys[self.cursor] != wanted
            self.cursor = last if self.at_end else self.cursor
        elif wanted and self.key != wanted:
            self.cursor = page.keys.index(wanted)
        self.cursor = min(self.cursor, last)
        if not page.follows and self.selects and not self.key:
            self.cursor = self._nearest(self.cursor, 1)
        self._keep_in_sight()
        self.refresh()

    def begin(self) -> None:
        """Another view comes: from the row that was chosen, its top, or its end."""
        self.cursor = self.top = 0
        self.at_end = True

    def move(self, by: int) -> None:
        """Select the row so far below (above, if negative); where rows are about nothing, scroll."""
        if not self.selects:
            self.top = max(0, min(self.top + by, len(self.page.rows) - self._room()))
        else:
            last = len(self.page.rows) - 1
            by += by < 0 and self.follows_end  # the first step up chooses the row at the end
            self.at_end = by > 0 and self.cursor + by >= last
            self._choose(max(0, min(self.cursor + by, last)), 1 if by > 0 else -1)
        self._keep_in_sight()
        self.refresh()

    def page_rows(self) -> int:
        """Rows that there is room for."""
        return self._room()

    def _room(self) -> int:
        return max(1, self.size.height - len(self.page.heads))

    def _choose(self, row: int, step: int) -> None:
        """Select a row, or the next in that direction that is about something, as the user wants it."""
        self.cursor = self._nearest(row, step)
        if self.key:
            self._chosen = [self.key, *(key for key in self._chosen if key not in self.page.keys)]

    def _nearest(self, row: int, step: int) -> int:
        """The row, or the next in that direction, or else in the other, that is about something."""
        keys = self.page.keys
        for way in (step, -step):
            at = row
            while 0 <= at < len(keys):
                if keys[at]:
                    return at
                at += way
        return row

    def _keep_in_sight(self) -> None:
        room, rows = self._room(), len(self.page.rows)
        if self.selects:
            self.top = min(max(self.top, self.cursor - room + 1), self.cursor)
        self.top = max(0, min(self.top, rows - room))

    def on_click(self, event: events.Click) -> None:
        """Select the row."""
        row = self.top + event.y - len(self.page.heads)
        if self.selects and 0 <= row < len(self.page.rows):
            self.at_end = False
            self._choose(row, 1)
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
        chosen = self.selects and row == self.cursor and not self.follows_end
        shown = self.page.rows[row]
        if chosen and shown and shown[0][0].startswith(" "):
            # Also where there is neither colour nor reverse video, the selected row can be told.
            shown = [(">" + shown[0][0][1:], shown[0][1]), *shown[1:]]
        return self._strip(shown, self.styles_of.get("chosen", Style()) if chosen else Style())
