"""YAML 1.2 text -> plain maps and scalars, with the place of each, and nothing that a file may do to us.

ruamel scans and parses, `scalars.py` says what a scalar means. Anchors, aliases and tags are refused: a topology
needs none of them, and they are how a small file becomes a large one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from topology.errors import Mark, Marks, Path, Problem, TopologyError, quote
from topology.scalars import SHIELD, bare, expand, resolved, shielded

MAX_BYTES = 1 << 20
MAX_ENTRIES = 10_000
"""Entries of one mapping at most, so that nobody waits for a file that no machine could run."""
_MAX_DEPTH = 12

Tidy = Callable[[Path, str], str]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(slots=True)
class Tree:
    """A YAML document as plain maps, lists and scalars; `problems` did not stop the reading."""

    data: Any
    marks: Marks
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read; `key` is the mapping's key that waits for its value."""

    path: Path
    items: dict[str, Any] | list[Any]
    entries: int = 0  # read so far, duplicates too
    key: str | None = None
    key_mark: Mark | None = None


def read(text: str, file: str, env: Mapping[str, str], tidy: Tidy) -> Tree:
    """Read one YAML document.

    Args:
        text: the document.
        file: its name in messages.
        env: what `${VAR}` is looked up in.
        tidy: gives a key of the mapping at a path its one spelling (`a->b` is `a -> b`).

    Returns:
        The tree; `data` is None for an empty document.

    Raises:
        TopologyError: where reading cannot go on.

    """
    tree = Tree(None, Marks(file))
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise TopologyError([Problem(file, 1, 1, "", "the file is larger than 1 MiB")])
    stray = SHIELD.search(text)
    if stray:
        mark = _mark_at(text, stray.start(), file)
        raise TopologyError([Problem(file, mark.line, mark.column, "", "a private-use character")])

    reader = _Reader(tree, file, env, tidy)
    for event in _events(shielded(text), file):
        reader.take(event)
    return tree


class _Reader:
    """Builds a tree from YAML events, without recursion, so that depth cannot hurt."""

    def __init__(self, tree: Tree, file: str, env: Mapping[str, str], tidy: Tidy) -> None:
        self.tree, self.file, self.env, self.tidy = tree, file, env, tidy
        self.stack: list[_Open] = []
        self.documents = 0

    def take(self, event: Event) -> None:
        mark = _mark(event, self.file)
        if isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self.stop(mark, "a second document starts here", "a file holds one topology")
        elif isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            self.stop(mark, "anchors and aliases (& and *) are not supported", "write the value out")
        elif (tag := getattr(event, "tag", None)) not in (None, "!"):
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            self.stop(mark, f"the tag {quote(shown)} is not supported", "remove it")
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            self.stack.pop()
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            self.opened({} if isinstance(event, MappingStartEvent) else [], mark)
        elif isinstance(event, ScalarEvent):
            self.scalar(event, mark)

    def scalar(self, event: ScalarEvent, mark: Mark) -> None:
        text = bare(event.value)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.items, dict) and top.key is None:
            self.key(top, text, mark)
            return
        value: Any = None
        try:
            text = expand(text, self.env)
            value = resolved(text) if event.style is None else text
        except LookupError as error:
            message, hint = error.args
            self.problem(mark, message, hint)
        bad = _CONTROL.search(text)
        if bad:
            self.problem(mark, f"a control character (U+{ord(bad[0]):04X})", "remove it")
            value = None
        self.place(value, mark if event.value else None)

    def key(self, top: _Open, text: str, mark: Mark) -> None:
        assert isinstance(top.items, dict)
        self.count(top, mark)
        text = self.tidy(top.path, text)
        if _CONTROL.search(text):
            self.stop(mark, "a control character in a key", "remove it", path=top.path)
        if text in top.items:
            first, _ = self.tree.marks.find((*top.path, text), key=True)
            hint = f"it stands on line {first.line} too"
            self.problem(mark, f"duplicate key {quote(text)}", hint, path=(*top.path, text))
        top.key, top.key_mark = text, mark

    def opened(self, items: dict[str, Any] | list[Any], mark: Mark) -> None:
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.items, dict) and top.key is None:
            self.stop(mark, "a key must be a word, not a mapping or a list", path=top.path)
        if len(self.stack) >= _MAX_DEPTH:
            self.stop(mark, f"nested deeper than {_MAX_DEPTH} levels")
        self.stack.append(_Open(self.place(items, mark), items))

    def place(self, value: Any, given: Mark | None) -> Path:
        """Put a value where it belongs; returns its path. A value that was left out stands at its key."""
        mark = given or (self.stack[-1].key_mark if self.stack else None) or Mark(self.file, 1, 1)
        if not self.stack:
            self.tree.data = value
            self.tree.marks.put((), mark, mark)
            return ()
        top = self.stack[-1]
        if isinstance(top.items, list):
            self.count(top, mark)
            path = (*top.path, str(len(top.items)))
            top.items.append(value)
            self.tree.marks.put(path, mark, mark)
            return path
        assert top.key is not None
        assert top.key_mark is not None
        path = (*top.path, top.key)
        if top.key in top.items:  # a duplicate, already reported: the first one stays
            top.key = None
            return (*path[:-1], path[-1] + " (again)")
        top.items[top.key] = value
        self.tree.marks.put(path, top.key_mark, mark)
        top.key = None
        return path

    def count(self, top: _Open, mark: Mark) -> None:
        top.entries += 1
        if top.entries > MAX_ENTRIES:
            self.stop(mark, f"more than {MAX_ENTRIES:,} entries", path=top.path)

    def where(self) -> Path:
        path = self.stack[-1].path if self.stack else ()
        key = self.stack[-1].key if self.stack else None
        return path if key is None else (*path, key)

    def problem(self, mark: Mark, message: str, hint: str = "", path: Path | None = None) -> None:
        shown = ".".join(self.where() if path is None else path)
        self.tree.problems.append(Problem(self.file, mark.line, mark.column, shown, message, hint))

    def stop(self, mark: Mark, message: str, hint: str = "", path: Path | None = None) -> None:
        self.problem(mark, message, hint, path)
        raise TopologyError(self.tree.problems)


def _events(text: str, file: str) -> Iterator[Event]:
    """The events of a YAML text; whatever the parser raises becomes a TopologyError at its place."""
    mark = Mark(file, 1, 1)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            mark = _mark(event, file)
            yield event
    except TopologyError:
        raise
    except ReaderError as error:
        mark = _mark_at(text, int(error.position), file)
        message, hint = f"a character that YAML does not allow (U+{ord(text[error.position]):04X})", ""
    except MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        if place is not None:
            mark = Mark(file, place.line + 1, place.column + 1)
        message, hint = _plainly(error)
    except Exception:  # ruamel lets OverflowError and its like escape on hostile escapes
        message, hint = "broken YAML", ""
    else:
        return
    raise TopologyError([Problem(file, mark.line, mark.column, "", message, hint)])


def _plainly(error: MarkedYAMLError) -> tuple[str, str]:
    """What the YAML parser found, in words for people, and a hint."""
    found = bare(" ".join(str(error.problem or error.context or "cannot be read").split()))
    if "'\\t'" in found:
        return "a tab where YAML allows only spaces", "replace it with spaces"
    if "mapping values are not allowed here" in found:
        return "broken YAML: a ':' that does not fit here", "check the indentation; quote text with ': '"
    if "unexpected end of stream" in found or "<stream end>" in found:
        return "broken YAML: the file ends inside a quote or bracket", "close it"
    return f"broken YAML: {found[:120]}", "check brackets, quotes and indentation"


def _mark(event: Event, file: str) -> Mark:
    return Mark(file, event.start_mark.line + 1, event.start_mark.column + 1)


def _mark_at(text: str, position: int, file: str) -> Mark:
    before = text[:position]
    return Mark(file, before.count("\n") + 1, position - before.rfind("\n"))
