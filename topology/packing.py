"""Frozen dataclasses as msgpack maps, strictly: what the annotations say and nothing else.

A message is ``{"neurond": version, "kind": class name in lower case, "body": {field: value}}``. Every field
is there, no other is, and each has its declared type. Annotations may use str, bool, int (not negative),
float (finite), Any (plain data), and maps, lists and fixed tuples of those. What each of them accepts is worked out
once, when the codec is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, get_args, get_origin, get_type_hints

import msgpack

MAX_CONTROL = 16 * 2**20
"""Bytes a message, at most."""
MAX_STRING = 2**16
"""Bytes a string, at most; keys are strings too."""
MAX_ITEMS = 2**14
"""Items a map or list, at most."""
MAX_CONTAINERS = 2**16
"""Maps and lists a message, at most: an empty one is a byte on the wire and 64 in memory."""
MAX_DEPTH = 16
"""Maps and lists within one another, at most, in a field of type Any."""

_MAX_INT = 2**63 - 1

_Reader = Callable[[Any, str], Any]  # (value, where it stands) -> value as declared, or ValueError


class Codec:
    """Turns messages of the given classes into bytes and back."""

    def __init__(self, tag: str, version: int, classes: Iterable[type]) -> None:
        self._tag = tag
        self._version = version
        self._by_kind = {c.__name__.lower(): (c, _fields(c)) for c in classes}

    def pack(self, message: Any) -> bytes:
        """The bytes of a message; ValueError if a field does not hold what it is declared to hold."""
        kind = type(message).__name__.lower()
        body = {name: read(getattr(message, name), name) for name, read in self._by_kind[kind][1].items()}
        data: bytes = msgpack.packb({self._tag: self._version, "kind": kind, "body": body})
        if len(data) > MAX_CONTROL:
            raise ValueError(f"{kind} of {len(data)} bytes: at most {MAX_CONTROL}")
        return data

    def unpack(self, data: bytes) -> Any:
        """The message of some bytes; ValueError for any bytes that are not wholly one message."""
        if len(data) > MAX_CONTROL:
            raise ValueError(f"message of {len(data)} bytes: at most {MAX_CONTROL}")
        envelope = _load(data)
        if type(envelope) is not dict or envelope.keys() != {self._tag, "kind", "body"}:
            raise ValueError("no message of ours")
        version, kind, body = envelope[self._tag], envelope["kind"], envelope["body"]
        if type(version) is not int or version != self._version:
            raise ValueError(f"version {_word(version)} is not {self._version}")
        if type(kind) is not str or kind not in self._by_kind:
            raise ValueError(f"unknown kind {_word(kind)}")
        cls, readers = self._by_kind[kind]
        if type(body) is not dict or body.keys() != readers.keys():
            raise ValueError(f"{kind}: its fields are {', '.join(readers)}")
        return cls(**{name: read(body[name], name) for name, read in readers.items()})


def _load(data: bytes) -> Any:
    """Plain msgpack data, bounded in every dimension; ValueError for anything else."""
    containers = 0
    most = min(MAX_ITEMS, len(data))  # room for a list is taken before its items are seen

    def count(container: Any) -> Any:
        nonlocal containers
        containers += 1
        if containers > MAX_CONTAINERS:
            raise ValueError(f"more than {MAX_CONTAINERS} maps and lists")
        return container

    try:
        return msgpack.unpackb(
            data,
            strict_map_key=True,
            object_hook=count,
            list_hook=count,
            max_str_len=MAX_STRING,
            max_array_len=most,
            max_map_len=most,
            max_bin_len=0,
            max_ext_len=0,
        )
    except (msgpack.UnpackException, ValueError, TypeError, RecursionError) as e:
        raise ValueError(f"not msgpack as we write it: {e}") from e


def _fields(cls: type) -> dict[str, _Reader]:
    """Name and reader of each field of a dataclass."""
    hints = get_type_hints(cls)
    return {f.name: _reader(hints[f.name]) for f in fields(cls)}


def _reader(annotation: Any) -> _Reader:
    """What accepts values of an annotation, and nothing else."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and arguments[0] is str:
        return _dict_reader(_reader(arguments[1]))
    if get_origin(annotation) is list:
        return _list_reader(_reader(arguments[0]))
    if get_origin(annotation) is tuple and ... not in arguments:
        return _tuple_reader(tuple(_reader(a) for a in arguments))
    raise TypeError(f"no message field can be {annotation}")


def _read_str(value: Any, where: str) -> str:
    # Four bytes a character at most, so only a long string needs counting.
    if type(value) is not str or (len(value) * 4 > MAX_STRING and len(value.encode()) > MAX_STRING):
        raise ValueError(f"{where}: a string of at most {MAX_STRING} bytes is expected, not {_word(value)}")
    return value


def _read_bool(value: Any, where: str) -> bool:
    if type(value) is not bool:
        raise ValueError(f"{where}: true or false is expected, not {_word(value)}")
    return value


def _read_int(value: Any, where: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_INT:
        raise ValueError(f"{where}: a whole number from 0 is expected, not {_word(value)}")
    return value


def _read_float(value: Any, where: str) -> float:
    if not _is_number(value) or not math.isfinite(value):
        raise ValueError(f"{where}: a finite number is expected, not {_word(value)}")
    number: float = value
    return number


def _read_any(value: Any, where: str, depth: int = MAX_DEPTH) -> Any:
    """Plain data: None, bool, numbers, str, lists and string-keyed maps. A tuple is a list on the wire."""
    kind = type(value)
    if kind is str:
        return _read_str(value, where)
    if value is None or kind is bool or _is_number(value):
        return value
    if not depth:
        raise ValueError(f"{where}: nested more than {MAX_DEPTH} deep")
    if kind in (dict, list, tuple) and len(value) > MAX_ITEMS:
        raise ValueError(f"{where}: at most {MAX_ITEMS} items can be sent, not {len(value)}")
    if kind is dict:
        return {_read_str(k, where): _read_any(v, f"{where}.{k:.40}", depth - 1) for k, v in value.items()}
    if kind is list or kind is tuple:
        return [_read_any(v, where, depth - 1) for v in value]
    raise ValueError(f"{where}: {_word(value)} cannot be sent")


def _is_number(value: Any) -> bool:
    """Whether msgpack can carry it as a number. A bool is none; NumPy's float64 is a float."""
    return isinstance(value, float) or (type(value) is int and -_MAX_INT <= value <= _MAX_INT)


def _dict_reader(read: _Reader) -> _Reader:
    def read_dict(value: Any, where: str) -> dict[str, Any]:
        if type(value) is not dict or len(value) > MAX_ITEMS:
            raise ValueError(f"{where}: a map of at most {MAX_ITEMS} is expected, not {_word(value)}")
        return {_read_str(k, where): read(v, f"{where}.{k:.40}") for k, v in value.items()}

    return read_dict


def _list_reader(read: _Reader) -> _Reader:
    def read_list(value: Any, where: str) -> list[Any]:
        if type(value) is not list or len(value) > MAX_ITEMS:
            raise ValueError(f"{where}: a list of at most {MAX_ITEMS} is expected, not {_word(value)}")
        return [read(v, where) for v in value]

    return read_list


def _tuple_reader(readers: tuple[_Reader, ...]) -> _Reader:
    def read_tuple(value: Any, where: str) -> tuple[Any, ...]:
        if type(value) not in (list, tuple) or len(value) != len(readers):
            raise ValueError(f"{where}: {len(readers)} items are expected, not {_word(value)}")
        return tuple(read(v, where) for read, v in zip(readers, value, strict=True))

    return read_tuple


def _word(value: Any) -> str:
    """A value for an error message. Never the repr of a list or map: it may be long, and deep."""
    return f"{value!r:.40}" if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


_PLAIN: dict[Any, _Reader] = {
    str: _read_str,
    bool: _read_bool,
    int: _read_int,
    float: _read_float,
    Any: _read_any,
}
