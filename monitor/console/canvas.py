"""Dots in text: braille, two by four dots a character, or in ASCII one by two. Pure."""

from __future__ import annotations

from monitor.console.page import Glyphs

_BRAILLE = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # bit of a dot: column, then row
_ASCII = " '.:"  # none, the upper one, the lower one, both


class Canvas:
    """Dots on `width` x `height` characters; the dot (0, 0) is top left.

    `across` and `down` are how many dots that is.
    """

    def __init__(self, width: int, height: int, glyphs: Glyphs) -> None:
        self._ascii = glyphs.ascii_only
        self._cell = (1, 2) if self._ascii else (2, 4)
        self.across, self.down = width * self._cell[0], height * self._cell[1]
        self._bits = [[0] * width for _ in range(height)]

    def dot(self, x: int, y: int) -> None:
        """Set a dot; one that lies outside is left out."""
        if 0 <= x < self.across and 0 <= y < self.down:
            (column, dx), (row, dy) = divmod(x, self._cell[0]), divmod(y, self._cell[1])
            self._bits[row][column] |= 1 << dy if self._ascii else _BRAILLE[dx][dy]

    def line(self, x0: int, y0: int, x1: int, y1: int) -> None:
        """Set the dots from one to another."""
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for i in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * i / steps), round(y0 + (y1 - y0) * i / steps))

    def rows(self) -> list[str]:
        """The characters; where no dot is, a space."""
        if self._ascii:
            return ["".join(_ASCII[bits] for bits in row) for row in self._bits]
        return ["".join(chr(0x2800 + bits) if bits else " " for bits in row) for row in self._bits]
