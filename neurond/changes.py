"""What has changed in some named arrays since they were last looked at, as bytes, and those bytes read again. Pure.

A journal (`journal.py`) is a header and records. The first record holds every array whole, each later one what has
changed since: an array whole, or its new values at some places, whichever is smaller. Values are absolute, so that a
record says what is, whatever came of those before it. All numbers are little-endian:

    header   magic "ndj" and version, incarnation, generation, fingerprint (16 bytes), CRC-32 of these
    record   length of the payload, number (64 bits each), CRC-32 of these, CRC-32 of these and the payload; payload
    payload  length of a msgpack list, that list (an array's name, dtype, shape and number of places, -1 where it is
             whole), then for each of them its places (uint32, row by row) and its values

Checksums of a record start from that of the header, so a record is good in no file but its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from zlib import crc32

import msgpack
import numpy as np
from numpy.typing import NDArray

VERSION = 1
PLACES = np.dtype("<u4")

_MAGIC = b"ndj"
_HEADER = struct.Struct("<3sBII16s")
_RECORD = struct.Struct("<QQ")
_CRC = struct.Struct("<I")
_CRCS = struct.Struct("<II")
_LENGTH = struct.Struct("<I")
_DTYPES = frozenset({"<f4", "<f8", "<i8", ">f4", ">f8", ">i8", "|b1", "|u1"})

Array = NDArray[Any]


class DamagedError(ValueError):
    """These bytes are not what was written; the message says what is wrong with them."""


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of one array: all of it, or its values (n,) at places (n,) of the flattened array."""

    name: str
    shape: tuple[int, ...]
    places: Array | None  # uint32; None: `values` is the whole array
    values: Array


class Shadow:
    """Some arrays as they were when last looked at: what is, or is about to be, in the journal.

    They stay as they are until the next look, so that they can be written meanwhile.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def look(self, live: Mapping[str, Array]) -> list[Change]:
        """What has changed since the last look; the first time, everything. Whole arrays are the shadow's own."""
        found = []
        for name, array in live.items():
            known = self.arrays.get(name)
            if known is None or known.shape != array.shape or known.dtype != array.dtype:
                self.arrays[name] = known = array.copy(order="C")
                found.append(Change(name, known.shape, None, known))
                continue
            # As bits: NaN differs from itself, and -0 does not differ from 0.
            places = np.flatnonzero(_bits(array) != _bits(known))
            if not len(places):
                continue
            if len(places) * (PLACES.itemsize + array.itemsize) < array.nbytes and array.size <= 1 << 32:
                values = array.reshape(-1)[places]
                known.reshape(-1)[places] = values
                found.append(Change(name, known.shape, places.astype(PLACES), values))
            else:
                np.copyto(known, array)
                found.append(Change(name, known.shape, None, known))
        return found

    def whole(self) -> list[Change]:
        """All arrays, as a first record holds them."""
        return [Change(name, array.shape, None, array) for name, array in self.arrays.items()]


def apply(changes: Iterable[Change], arrays: dict[str, Array]) -> None:
    """Let `changes` happen to `arrays`, in place; DamagedError, with nothing changed, if they are not for these."""
    changes = list(changes)
    for c in changes:
        if c.places is None:
            continue
        known = arrays.get(c.name)
        if known is None or known.shape != c.shape or known.dtype != c.values.dtype:
            raise DamagedError(f"a change of {c.name!r}, which is not there or another")
        if len(c.places) and int(c.places.max()) >= known.size:
            raise DamagedError(f"a place outside of {c.name!r}")
    for c in changes:
        if c.places is None:
            arrays[c.name] = c.values.reshape(c.shape).copy()
        else:
            arrays[c.name].reshape(-1)[c.places] = c.values


def fingerprint(process: str, arrays: Mapping[str, Array]) -> bytes:
    """16 bytes that tell the arrays of one process from those of another, or of another version.

    The name and dtype of each, and the shape of those that have one: a list (one dimension) may grow.
    """
    parts = [f"{name} {a.dtype.str} {a.shape if a.ndim > 1 else '-'}" for name, a in sorted(arrays.items())]
    return hashlib.sha256("\n".join([process, *parts]).encode()).digest()[:16]


@dataclass(frozen=True, slots=True)
class Header:
    """What a file begins with."""

    incarnation: int
    generation: int  # from 1, within the incarnation
    fingerprint: bytes

    def pack(self) -> bytes:
        """The header as bytes."""
        head = _HEADER.pack(_MAGIC, VERSION, self.incarnation, self.generation, self.fingerprint)
        return head + _CRC.pack(crc32(head))


HEADER_SIZE = _HEADER.size + _CRC.size


def record(header: bytes, number: int, changes: Iterable[Change]) -> bytes:
    """A record, for the file that begins with `header`."""
    changes = list(changes)
    listed = [(c.name, c.values.dtype.str, c.shape, -1 if c.places is None else len(c.places)) for c in changes]
    head = msgpack.packb(listed)
    parts = [_LENGTH.pack(len(head)), head]
    for c in changes:
        parts += [a.tobytes() for a in (c.places, c.values) if a is not None]
    payload = b"".join(parts)
    frame = _RECORD.pack(len(payload), number)
    known = crc32(frame, _seed(header))
    return frame + _CRCS.pack(known, crc32(payload, known)) + payload


@dataclass(frozen=True, slots=True)
class Contents:
    """What a file holds, up to where it is damaged.

    A record that was not written to its end, as a killed process leaves one, is `torn` and was never promised;
    `left_records` and `left_bytes` are what comes from the damage on, if there is any.
    """

    header: Header
    first: tuple[int, list[Change]] | None  # number and changes of the first record; None: that one is damaged
    later: list[tuple[int, list[Change]]]
    torn: int = 0  # bytes
    left_records: int = 0
    left_bytes: int = 0


def contents(content: bytes) -> Contents:
    """What the bytes of a file hold; DamagedError if not even the header can be used.

    A first record that is damaged is passed over: those after it may go on from an earlier file.
    """
    header, seed = _parse_header(content), _seed(content)
    first: tuple[int, list[Change]] | None = None
    later: list[tuple[int, list[Change]]] = []
    at, begun, damaged = HEADER_SIZE, False, False
    try:
        while (frame := _frame(content, at, seed)) is not None:
            if not begun:
                with contextlib.suppress(DamagedError):
                    first = (frame.number, _changes(frame))
            else:
                later.append((frame.number, _changes(frame)))
            at, begun = frame.end, True
    except DamagedError:
        damaged = any(content[at:])  # zeros: the file grew before its content came
    left = len(content) - at
    if begun and not damaged:
        return Contents(header, first, later, torn=left)
    return Contents(header, first, later, left_records=_count(content, at, seed), left_bytes=left)


class _Frame(NamedTuple):
    number: int
    payload: memoryview
    end: int
    good: bool


def _frame(content: bytes, at: int, seed: int) -> _Frame | None:
    """The record at `at`; None if it is not all there, DamagedError if where it ends cannot be known."""
    start = at + _RECORD.size + _CRCS.size
    if start > len(content):
        return None
    length, number = _RECORD.unpack_from(content, at)
    known, whole = _CRCS.unpack_from(content, at + _RECORD.size)
    if crc32(content[at : at + _RECORD.size], seed) != known:
        raise DamagedError("a record has no true beginning")
    if start + length > len(content):
        return None
    payload = memoryview(content)[start : start + length]
    return _Frame(number, payload, start + length, crc32(payload, known) == whole)


def _count(content: bytes, at: int, seed: int) -> int:
    """Records from `at` on, as far as they can be told apart; one at least."""
    records = 1
    with contextlib.suppress(DamagedError):
        while (frame := _frame(content, at, seed)) is not None and frame.end < len(content):
            at = frame.end
            records += 1
    return records


def _parse_header(content: bytes) -> Header:
    if content[: len(_MAGIC)] != _MAGIC or len(content) < HEADER_SIZE:
        raise DamagedError("it is no journal")
    _, version, incarnation, generation, print_ = _HEADER.unpack_from(content)
    if version != VERSION:
        raise DamagedError(f"it is of version {version}, not {VERSION}")
    if _seed(content) != _CRC.unpack_from(content, _HEADER.size)[0]:
        raise DamagedError("its header is damaged")
    return Header(incarnation, generation, print_)


def _seed(header: bytes) -> int:
    return crc32(header[: _HEADER.size])


def _changes(frame: _Frame) -> list[Change]:
    """The changes of a record; DamagedError if they are not what was written."""
    if not frame.good:
        raise DamagedError("a checksum is wrong")
    try:
        return list(_listed(frame.payload))
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise DamagedError(f"a record makes no sense: {error}") from error


def _listed(payload: memoryview) -> Iterator[Change]:
    (length,) = _LENGTH.unpack_from(payload)
    at = _LENGTH.size + length
    for name, dtype, shape, n in msgpack.unpackb(payload[_LENGTH.size : at]):
        if dtype not in _DTYPES or min(shape, default=0) < 0:
            raise ValueError(f"an array {dtype} {shape}")
        places = _array(payload, at, PLACES, n) if n >= 0 else None
        at += n * PLACES.itemsize if n >= 0 else 0
        values = _array(payload, at, np.dtype(dtype), n if n >= 0 else math.prod(shape))
        at += values.nbytes
        yield Change(name, tuple(shape), places, values if n >= 0 else values.reshape(shape))
    if at != len(payload):
        raise ValueError(f"{len(payload)} bytes, not {at}")


def _array(payload: memoryview, at: int, dtype: np.dtype[Any], n: int) -> Array:
    return np.frombuffer(payload[at : at + n * dtype.itemsize], dtype, n) if n else np.zeros(0, dtype)


def _bits(array: Array) -> Array:
    """The numbers of an array, one after the other, as whole numbers of the same bits."""
    return array.reshape(-1).view(f"u{array.itemsize}")
