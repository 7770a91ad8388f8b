"""What pydantic found, in the words of a topology: path, message, hint."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from topology.errors import Marks, Path, Problem, guess, guessed, quote
from topology.section import NEEDS, Section
from topology.spec import TopologyFile

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}

_SUCH_AS = {"k": "5", "every": "16", "steps": "[0.5,0.75]"}  # values of keys that a word asks for


def explained(error: ValidationError, marks: Marks) -> Iterator[Problem]:
    """Each thing that pydantic found, as a problem with a place."""
    details = [(tuple(str(part) for part in d["loc"]), d) for d in error.errors(include_url=False)]
    unknown = [path for path, detail in details if detail["type"] == "extra_forbidden"]
    meant = {(*path[:-1], _close(path)) for path in unknown}
    for path, detail in details:
        if detail["type"] == "missing" and path in meant:
            continue  # misspelt, not missing
        if path[:1] == ("defaults",) and detail["type"] == NEEDS:
            continue  # the group or link may give what is missing; if not, it says so itself
        on_key = bool(path) and path[-1] == "[key]"
        if on_key:
            path = path[:-1]
        kind = detail["type"]
        if kind == "missing":
            yield marks.problem(path[:-1], f"missing key '{path[-1]}'", _missing_hint(path), key=True)
        elif kind == "extra_forbidden":
            yield marks.problem(path, f"unknown key {quote(path[-1])}", _key_hint(path), key=True)
        else:
            asked = _asked_for(detail, path, marks) if kind == NEEDS else None
            yield asked or marks.problem(path, *_value(detail, path), key=on_key)


def section_at(path: Path) -> type[Section] | None:
    """The model of the mapping at `path` of a file; None where there is none."""
    here: Any = TopologyFile
    for part in path:
        if isinstance(here, type) and issubclass(here, Section):
            if part not in here.model_fields:
                return None
            here = here.model_fields[part].annotation
        elif len(get_args(here)) == 2:  # dict[str, Group]
            here = get_args(here)[1]
        else:
            return None
    return here if isinstance(here, type) and issubclass(here, Section) else None


def _asked_for(detail: ErrorDetails, path: Path, marks: Marks) -> Problem | None:
    """A key is missing that a `--set` asks for: said there, once for all who inherit it; None where a file asks."""
    section, given = section_at(path), detail["input"]
    for (key, word), needed in (section.needs if section else {}).items():
        mark, shown = marks.find((*path, key))
        if given.get(key) == word and needed not in given and mark.file == "--set":
            remedy = shlex.quote(f"{'.'.join((*shown[:-1], needed))}={_SUCH_AS[needed]}")
            return Problem(mark.file, 0, 0, ".".join(shown), _value(detail, path)[0], f"add --set {remedy}")
    return None


def _value(detail: ErrorDetails, path: Path) -> tuple[str, str]:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if "message" in context:
        return str(context["message"]), str(context.get("hint", ""))
    if kind == "literal_error":
        return _word(path, given, str(context["expected"]))
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        bound = context[key]
        shown = f"{bound:,}" if isinstance(bound, int) or bound > 1000 else f"{bound:g}"
        return f"must be {words} {shown.removesuffix('.0')}, got {quote(given)}", ""
    if kind in _EXPECTED:
        hint = ""
        if isinstance(given, str) and kind in ("int_type", "float_type") and _is_number(given):
            hint = "remove the quotes"
        elif isinstance(given, (int, float)) and kind == "string_type":
            hint = f"write '{quote(given)}' with quotes"
        return f"expected {_EXPECTED[kind]}, got {quote(given)}", hint
    if kind in ("too_short", "string_too_short"):
        return "must not be empty", ""
    message = detail["msg"]
    return message[:1].lower() + message[1:], ""


def _word(path: Path, given: object, expected: str) -> tuple[str, str]:
    known = [w.strip("'") for w in expected.replace(" or ", ", ").split(", ")]
    if isinstance(given, str):
        return f"unknown {path[-1]} {quote(given)}", guess(given, known)
    return f"expected {' or '.join(known)}, got {quote(given)}", ""


def _missing_hint(path: Path) -> str:
    return "begin the file with 'neurond: 1'" if path == ("neurond",) else ""


def _key_hint(path: Path) -> str:
    section = section_at(path[:-1])
    if section is None:
        return ""
    known = list(section.model_fields)
    if _close(path):
        return f"did you mean '{_close(path)}'?"
    for name in known:  # right word, wrong level: groups.h1.lr
        inner = section_at((*path[:-1], name))
        if inner and path[-1] in inner.model_fields:
            return f"did you mean '{name}.{path[-1]}'?"
    return guess(path[-1], known)


def _close(path: Path) -> str | None:
    """The key that a misspelt one was probably meant to be."""
    section = section_at(path[:-1])
    return guessed(path[-1], section.model_fields) if section else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
