"""What is wrong with a topology and where: marks, problems, and the one error that carries them all.

Nothing here imports pydantic or ruamel, so any part of a run may catch `TopologyError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str, ...]
"""Keys from the top of a topology down to a value: ``("groups", "h1", "size")``."""

_MOST = 50  # problems printed; the rest are counted


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1, and line 0 means no place (a `--set`)."""

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a topology, in plain words."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """One line: ``file:line:column: path: message, hint``."""
        if self.line:
            where = f"{self.file}:{self.line}:{self.column}: "
            where += f"{self.path}: " if self.path else ""
        else:
            where = f"{self.file} {self.path}: " if self.path else f"{self.file}: "
        line = where + self.message + (f", {self.hint}" if self.hint else "")
        return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


class TopologyError(ValueError):
    """The user's topology cannot be used. `problems` holds every reason that was found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.line, p.column)))
        super().__init__(self.problems)

    def __str__(self) -> str:
        lines = [str(p) for p in self.problems[:_MOST]]
        if len(self.problems) > _MOST:
            lines.append(f"... and {len(self.problems) - _MOST:,} more problems")
        return "\n".join(lines)


class Marks:
    """Where every key and value of one topology was written."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._at: dict[Path, tuple[Mark, Mark]] = {}

    def put(self, path: Path, key: Mark, value: Mark) -> None:
        """Remember where the key and the value of `path` stand; a later call replaces an earlier one."""
        self._at[path] = (key, value)

    def graft(self, path: Path, other: Marks, mark: Mark) -> None:
        """Say that `path` now holds what `other` describes, all of it from `mark`."""
        for old in [p for p in self._at if p[: len(path)] == path]:
            del self._at[old]
        self._at[path] = (mark, mark)  # an empty value has no place of its own
        for inner in other._at:
            self._at[path + inner] = (mark, mark)

    def find(self, path: Path, *, key: bool = False) -> tuple[Mark, Path]:
        """Where `path` was written, and as what: a value that came from `defaults` is found there.

        A path that nobody wrote is found at the closest thing around it. `key` asks for the key's place.
        """
        for candidate in (path, _default_of(path)):
            if candidate in self._at:
                return self._at[candidate][0 if key else 1], candidate
        for end in range(len(path) - 1, -1, -1):
            for candidate in (path[:end], _default_of(path[:end])):
                if candidate in self._at:
                    return self._at[candidate][0], path
        return Mark(self.file), path

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem with what stands at `path`."""
        mark, shown = self.find(path, key=key)
        return Problem(mark.file, mark.line, mark.column, ".".join(shown), message, hint)


def _default_of(path: Path) -> Path:
    """The path under `defaults` that a group's or a link's value may have come from."""
    if len(path) > 2 and path[0] in ("groups", "links"):
        return ("defaults", path[0][:-1], *path[2:])
    return path


def guessed(word: str, known: Iterable[str]) -> str | None:
    """The known word that is close enough to a misspelt one to be what was meant."""
    lower = {w.lower().replace("_", "-"): w for w in known}
    close = difflib.get_close_matches(word[:64].lower().replace("_", "-"), lower, n=1, cutoff=0.6)
    return lower[close[0]] if close else None


def guess(word: str, known: Iterable[str], *, listed: bool = True) -> str:
    """A hint for a word that is not known: the closest known word, else (if `listed`) all of them."""
    words = list(known)
    close = guessed(word, words)
    if close:
        return f"did you mean '{close}'?"
    if not listed or not words:
        return ""
    return f"known: {', '.join(words[:20])}" + (" and more" if len(words) > 20 else "")


def quote(value: object) -> str:
    """A value as it is shown in a message: short, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    shown = repr(value) if isinstance(value, str) else str(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
