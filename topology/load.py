"""YAML text -> `Topology`, or `TopologyError` with every problem, its place and a hint.

Read (`read.py`), apply `--set`, merge `defaults`, validate (`spec.py`), check the graph (`check.py`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path as FilePath
from typing import Any, NoReturn

from pydantic import ValidationError

from topology.check import check_structure, link_key
from topology.errors import Mark, Marks, Path, Problem, TopologyError, guess, quote
from topology.explain import explained, section_at
from topology.read import MAX_BYTES, read
from topology.section import Section, is_name
from topology.spec import Group, Link, Topology, TopologyFile

ZOO = FilePath(__file__).parent / "zoo"


def zoo() -> tuple[str, ...]:
    """Names of the networks that come with the package."""
    return tuple(sorted(path.stem for path in ZOO.glob("*.yaml")))


def describe(name: str) -> str:
    """What a network of the zoo is, in a sentence: the first of the comment that its file opens with."""
    comment = []
    for line in _text(ZOO / f"{name}.yaml", name).splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.strip("# "))
    sentence, full_stop, _ = " ".join(comment).partition(". ")
    return sentence + full_stop.strip()


def load(
    path_or_name: str | os.PathLike[str], overrides: Iterable[str] = (), env: Mapping[str, str] = os.environ
) -> Topology:
    """The topology in a file, or the one of the zoo that a bare name means.

    Args:
        path_or_name: a file; or a name of `zoo()`, if it has no slash, no .yaml and is no file here.
        overrides: ``a.b.c=value`` each, as `--set` takes them.
        env: what `${VAR}` is looked up in.

    Raises:
        TopologyError: with every problem.

    """
    given = os.fspath(path_or_name)
    path = FilePath(given)
    if path.name == given and path.suffix not in (".yaml", ".yml") and not _is_file(path):
        if given not in zoo():
            what = "is a directory" if given and _is_directory(path) else "no such file or network"
            raise TopologyError([Problem(quote(given), 0, 0, "", what, guess(given, zoo()))])
        path, given = ZOO / f"{given}.yaml", f"{given}.yaml"
    return loads(_text(path, given), given, overrides, env)


def loads(
    text: str, name: str = "<text>", overrides: Iterable[str] = (), env: Mapping[str, str] = os.environ
) -> Topology:
    """The topology in `text`; `name` is what messages call the file. Otherwise as `load`."""
    tree = read(text, name, env, _tidy)
    if tree.data is None and not tree.problems:
        hint = "'neurond init' writes one to start from"
        raise TopologyError([Problem(name, 1, 1, "", "the file is empty", hint)])
    if not isinstance(tree.data, dict):
        found = tree.problems or [Problem(name, 1, 1, "", f"expected a mapping, got {quote(tree.data)}")]
        raise TopologyError(found)
    stem = FilePath(name).stem
    if "name" not in tree.data and is_name(stem):
        tree.data["name"] = stem
    problems = list(tree.problems)
    for override in overrides:
        problems += _override(tree.data, tree.marks, override, env)
    return _validated(tree.data, tree.marks, problems)


def from_dict(data: Mapping[str, Any], name: str = "<dict>") -> Topology:
    """The topology in plain maps shaped like a file, for programs that build one. Raises: TopologyError."""
    tidied = {
        k: {_tidy((k,), str(n)): b for n, b in v.items()} if isinstance(v, Mapping) else v for k, v in data.items()
    }
    return _validated(tidied, Marks(name), [])


def _validated(data: dict[str, Any], marks: Marks, problems: list[Problem]) -> Topology:
    merged = _with_defaults(data)
    taken = {(p.line, p.column) for p in problems if p.line}
    later: list[Problem] = []
    try:
        TopologyFile.model_validate(merged)
    except ValidationError as error:
        later += explained(error, marks)
    later += check_structure(merged, marks)
    problems += [p for p in later if (p.line, p.column) not in taken]
    if problems:
        raise TopologyError(problems)
    topology = Topology.model_validate({key: value for key, value in merged.items() if key != "defaults"})
    topology._marks = marks
    return topology


def _with_defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with `defaults` merged into each group and link; whatever has a wrong type stays as it is."""
    merged = dict(data)
    defaults = data.get("defaults")
    if defaults is None:
        merged.pop("defaults", None)
        defaults = {}
    if not isinstance(defaults, dict):
        defaults = {}
    for key, model in (("groups", Group), ("links", Link)):
        bodies = data.get(key)
        default = defaults.get(key[:-1])
        if isinstance(bodies, dict):
            merged[key] = {
                name: _inherit(default if isinstance(default, dict) else {}, body, model)
                for name, body in ((n, {} if b is None and model is Link else b) for n, b in bodies.items())
            }
    return merged


def _inherit(default: Mapping[str, Any], own: Any, model: type[Section]) -> Any:
    """`own` over `default`, key by key, sections within merged the same way.

    What `own` makes meaningless is not inherited: a link that says `rule: exact` has no use for the
    threshold of the links that do not.
    """
    if not isinstance(own, dict):
        return own
    inherited = {
        key: value
        for key, value in default.items()
        if key not in model.only or own.get(model.only[key][0], model.only[key][1][0]) in model.only[key][1]
    }
    merged = inherited | own
    for key, value in own.items():
        inner = _inner(model, key)
        if inner and isinstance(inherited.get(key), dict):
            merged[key] = _inherit(inherited[key], value, inner)
    return merged


def _inner(model: type[Section], key: str) -> type[Section] | None:
    annotation = model.model_fields[key].annotation if key in model.model_fields else None
    return annotation if isinstance(annotation, type) and issubclass(annotation, Section) else None


def _override(data: dict[str, Any], marks: Marks, override: str, env: Mapping[str, str]) -> list[Problem]:
    """Apply one ``a.b.c=value`` to `data`; returns what is wrong with it."""
    written, equals, text = override.partition("=")
    parts = tuple(part.strip() for part in written.strip().split("."))
    path: Path = tuple(_tidy(parts[:i], part) for i, part in enumerate(parts))
    shown = ".".join(path)

    def wrong(message: str, hint: str = "") -> list[Problem]:
        return [Problem("--set", 0, 0, shown, message, hint)]

    if not equals or not all(path):
        return wrong("no assignment", "write --set groups.h1.optimizer.lr=0.02")
    try:
        tree = read(text, "--set", env, lambda inner, key: _tidy((*path, *inner), key))
    except TopologyError as error:
        return wrong(error.problems[0].message, error.problems[0].hint)
    if tree.problems:
        return wrong(tree.problems[0].message, tree.problems[0].hint)

    here = data
    for depth, key in enumerate(path):
        section = section_at(path[:depth])
        known: Iterable[str] = section.model_fields if section else here
        if key not in known and path[:depth] not in (("place",), ("limits",)):  # whose names `check` knows
            kind = path[0][:-1] if depth == 1 and path[0] in ("groups", "links") else "key"
            return wrong(f"unknown {kind} {quote(key)}", guess(key, known))
        if depth == len(path) - 1:
            break
        if here.get(key) is None:
            here[key] = {}
        here = here[key]
        if not isinstance(here, dict):
            return wrong(f"{'.'.join(path[: depth + 1])} holds no keys")
    for field, (word, words) in (section.only if section else {}).items():
        if word == path[-1] and tree.data not in words:
            here.pop(field, None)  # `--set …rule=exact` takes the file's threshold away with the file's rule
    here[path[-1]] = tree.data
    marks.graft(path, tree.marks, Mark("--set"))
    return []


def _tidy(path: Path, key: str) -> str:
    """The one spelling of a key of the mapping at `path`."""
    return link_key(key) if path == ("links",) else key


def _text(path: FilePath, name: str) -> str:
    """The text of a file; TopologyError if it cannot be had."""

    def stop(message: str, line: int = 0, column: int = 0, hint: str = "") -> NoReturn:
        raise TopologyError([Problem(name, line, column, "", message, hint)])

    try:
        mode = path.stat().st_mode
        raw = None
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # opening a pipe waits for somebody to write to it
            with path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        stop("no such file", hint=guess(path.stem, zoo(), listed=False))
    except IsADirectoryError:
        stop("is a directory, not a topology file")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        stop(f"cannot be read: {reason[:1].lower()}{reason[1:]}")
    if raw is None:
        stop("is a pipe or a device, not a regular file", hint="save what it gives as a file")
    if len(raw) > MAX_BYTES:
        stop("the file is larger than 1 MiB", 1, 1)
    try:
        return raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8")) + 1
        stop("not UTF-8 text", before.count(b"\n") + 1, column, "save the file as UTF-8")


def _is_file(path: FilePath) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the system allows
        return False


def _is_directory(path: FilePath) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
