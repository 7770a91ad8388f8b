"""What a view of the console hands to its shell: rows of spans. Pure.

A span is text and the role that it plays; which colour that is, the shell knows. Rows may be more than the screen
holds: the shell scrolls, and `keys` says what each row is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from monitor.figures import ASCII_BLOCKS, BLOCKS

Span = tuple[str, str]
"""Text, and its role: "", dim, strong, head, good, warn, bad, accent, or load0 to load4 (idle to busiest)."""

Spans = list[Span]


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters that a terminal can show."""

    ascii_only: bool = False

    @property
    def blocks(self) -> str:
        """Eight heights, the lowest first."""
        return ASCII_BLOCKS if self.ascii_only else BLOCKS

    def pick(self, plain: str, ascii_: str) -> str:
        """One or the other."""
        return ascii_ if self.ascii_only else plain


@dataclass(frozen=True, slots=True)
class Look:
    """How the user wants to see a view."""

    filter: str = ""  # only rows that hold this, in any case
    sort: int = 0  # how often `sort` was asked for: 0 is the order of the plan, n the n-th column

    def sorted_next(self, columns: int) -> Look:
        """By the next column; behind the last, in the order of the plan again."""
        return replace(self, sort=(self.sort + 1) % (columns + 1))


@dataclass(frozen=True, slots=True)
class Page:
    """A view, drawn."""

    heads: list[Spans] = field(default_factory=list)  # stay where they are
    rows: list[Spans] = field(default_factory=list)  # scroll
    keys: list[str] = field(default_factory=list)  # of each row: the process or link that it is about, or ""
    columns: int = 0  # that it can be sorted by
    follows: bool = False  # new rows come at the end, and are looked at unless one has scrolled away


def matches(wanted: str, texts: Sequence[str]) -> bool:
    """Whether a row of these texts passes a filter: it holds every word of it."""
    row = " ".join(texts).lower()
    return all(word in row for word in wanted.lower().split())


def text_of(spans: Spans) -> str:
    """The row without its roles."""
    return "".join(text for text, _ in spans)


def cut(text: str, width: int, glyphs: Glyphs) -> str:
    """The text in at most `width` characters; what does not fit is seen to be missing."""
    return text if len(text) <= width else text[: max(0, width - 1)] + glyphs.pick("…", "~")
