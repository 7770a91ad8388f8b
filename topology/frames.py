"""The layout of a data-plane frame: a fixed little-endian header, then raw arrays.

One frame is one message: over ipc that costs half of what three frames do. In order:

    head          32 bytes: magic and version, kind, flags, coding of the ids, link, presentation, number of
                  stimuli, incarnations of sender and receiver, sequence number, lowest id
    block head    16 bytes: layout, number format, zero point, width, number of values, scale
    block body    as `blocks.py` says; it comes first so that float32 lies aligned and is used where it is
    rows of bits  a bit a stimulus, each row filled up to a whole byte
    ids           nothing if they follow one another, else what to add to the lowest one, 2 or 4 bytes each

Everything here knows bytes and arrays only; which message a frame is for is decided in `wire.py`.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from topology.blocks import MAX_CELLS, MAX_WIDTH, Block, Buffer, WireError, body_size, decode_block

VERSION = 1
MAX_STIMULI = 4096
"""Stimuli a frame, at most."""
COALESCED = 128
"""Stimuli that a group fires in one go at most, where volleys of fewer have come close together."""
MAX_SPAN = 2**32
"""The ids of a frame are less than this apart."""

SPIKES, TARGETS, NOTIFICATIONS, CLOSES, CONFIRMS = range(1, 6)
TEACH = 1  # flag: the stimuli teach
AWAITED = 2  # flag: somebody waits for these closes; the other flags are reserved and zero

_SHAPE = {  # kind: has a block, rows of bits, flags it may carry
    SPIKES: (True, 0, TEACH),
    TARGETS: (True, 0, TEACH),
    NOTIFICATIONS: (True, 1, 0),
    CLOSES: (False, 0, AWAITED),
    CONFIRMS: (True, 2, TEACH),
}
_MAGIC = b"nd" + bytes([VERSION])
_PEEK = struct.Struct("<3sB")
_LINK, _LINK_AT = struct.Struct("<H"), 6
_HEAD = struct.Struct("<3sBBBHHHHHQq")
_BLOCK_HEAD = struct.Struct("<BBBBIIf")
_BOTH = struct.Struct(_HEAD.format + _BLOCK_HEAD.format[1:])

_RUN, _OFFSETS16, _OFFSETS32 = range(3)  # codings of the ids
_OFFSETS: dict[int, np.dtype[Any]] = {_OFFSETS16: np.dtype("<u2"), _OFFSETS32: np.dtype("<u4")}
_OFFSET_SIZES = (0, 2, 4)
_MAX_ID = 2**63 - 1


class Frame(NamedTuple):
    """The content of a frame. `values` is None for a kind that has no block; each of `bits` is (n,)."""

    kind: int
    flags: int
    link: int
    presentation: int
    incarnation: int
    to: int
    seq: int
    ids: NDArray[np.int64]
    values: NDArray[np.float32] | None
    bits: tuple[NDArray[np.bool_], ...]


def kind_of(frame: Buffer) -> int:
    """The kind that a frame says it is, or -1 for no frame of this version. It looks at four bytes only."""
    try:
        magic, kind = _PEEK.unpack_from(frame)
    except struct.error:
        return -1
    return kind if magic == _MAGIC and kind in _SHAPE else -1


def link_of(frame: Buffer) -> int:
    """The number of the link that a frame says it is of, or -1 where it ends before."""
    try:
        link: int = _LINK.unpack_from(frame, _LINK_AT)[0]
    except struct.error:
        return -1
    return link


def build(
    kind: int,
    flags: int,
    link: int,
    presentation: int,
    incarnation: int,
    to: int,
    seq: int,
    ids: NDArray[np.int64],
    block: Block | None,
    bits: tuple[NDArray[np.bool_], ...],
) -> bytes:
    """The frame of these fields; the inverse of `parse`.

    Args:
        kind: SPIKES to CONFIRMS; `flags`, `block` and `bits` are what that kind carries.
        flags: TEACH or 0.
        link: number of the link, 16 bits.
        presentation: 16 bits.
        incarnation: of the sender, 16 bits.
        to: incarnation of the receiver, 16 bits.
        seq: 64 bits.
        ids: (n,) int64, not negative, in any order, from lowest to highest less than 2**32.
        block: n rows of values.
        bits: (n,) flags each.

    Raises:
        ValueError: something that does not fit.

    """
    n = len(ids)
    if not 0 < n <= MAX_STIMULI:
        raise ValueError(f"a frame holds 1 to {MAX_STIMULI} stimuli, not {n}")
    if (block is not None and block.rows != n) or any(len(row) != n for row in bits):
        raise ValueError(f"the values or flags are not of {n} stimuli, as the ids are")
    base, coding, offsets = _code_ids(ids)
    tail = [*(np.packbits(row).data for row in bits), offsets]
    try:
        head = _HEAD.pack(_MAGIC, kind, flags, coding, link, presentation, n, incarnation, to, seq, base)
    except struct.error as e:
        raise ValueError(
            f"link {link}, presentation {presentation}, incarnation {incarnation} to {to}, seq {seq}: {e}"
        ) from e
    if block is None:
        return b"".join((head, *tail))
    layout, number, zero, scale, _, width, stored, parts = block
    return b"".join((head, _BLOCK_HEAD.pack(layout, number, zero, 0, width, stored, scale), *parts, *tail))


def parse(frame: Buffer) -> Frame:
    """The content of a frame, whatever bytes it is made of.

    Arrays may be views of the frame. That the ids ascend or differ from one another is not checked.

    Raises:
        WireError: the bytes are not exactly one frame of this version.

    """
    if type(frame) is not bytes:
        frame = memoryview(frame).cast("B")
    size = len(frame)
    kind = kind_of(frame)
    if kind < 0:
        raise WireError(f"{size} bytes are no frame of version {VERSION}")
    has_block, rows, known_flags = _SHAPE[kind]
    layout_of_head = _BOTH if has_block else _HEAD
    at = layout_of_head.size
    if size < at:
        raise WireError(f"{size} bytes are too few for a header of {at}")
    _, _, flags, coding, link, presentation, n, incarnation, to, seq, base, *block = layout_of_head.unpack_from(frame)
    if flags & ~known_flags or coding > _OFFSETS32:
        raise WireError(f"flags {flags} or coding of ids {coding} is not known")
    if not 0 < n <= MAX_STIMULI or base < 0:
        raise WireError(f"{n} stimuli from id {base} on are out of range")

    body = cells = 0
    if has_block:
        layout, number, zero, reserved, width, stored, scale = block
        cells = n * width
        if reserved or not 0 < width <= MAX_WIDTH or cells > MAX_CELLS:
            raise WireError(f"a block of {n} x {width} (reserved byte {reserved}) is out of range")
        body = body_size(layout, number, zero, scale, cells, stored)
    row = (n + 7) // 8
    announced = at + body + rows * row + n * _OFFSET_SIZES[coding]
    if size != announced:
        raise WireError(f"{size} bytes where the header announces {announced}")

    values = None
    if has_block:
        values = decode_block(frame, at, layout, number, zero, scale, cells, stored).reshape(n, width)
    at += body
    bits = tuple(_decode_bits(frame, at + i * row, n) for i in range(rows))
    ids = _decode_ids(frame, at + rows * row, coding, base, n)
    return Frame(kind, flags, link, presentation, incarnation, to, seq, ids, values, bits)


def _code_ids(ids: NDArray[np.int64]) -> tuple[int, int, Buffer]:
    """Lowest id, coding, and offsets from it; ValueError if the ids do not fit one frame."""
    n, first = len(ids), int(ids[0])
    if first >= 0 and int(ids[-1]) - first == n - 1 and np.count_nonzero(ids == np.arange(first, first + n)) == n:
        return first, _RUN, b""
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high - low >= MAX_SPAN:
        raise ValueError(f"ids from {low} to {high} do not fit one frame")
    coding = _OFFSETS16 if high - low < 2**16 else _OFFSETS32
    return low, coding, (ids - low).astype(_OFFSETS[coding]).data


def _decode_ids(frame: Buffer, at: int, coding: int, base: int, n: int) -> NDArray[np.int64]:
    """(n,) int64; WireError if one of them is beyond int64."""
    offsets: NDArray[Any]
    if coding == _RUN:
        offsets, highest = np.arange(n), n - 1
    else:
        offsets = np.frombuffer(frame, _OFFSETS[coding], n, at)
        highest = int(np.maximum.reduce(offsets))
    if base > _MAX_ID - highest:
        raise WireError(f"{n} stimuli from id {base} on are out of range")
    return offsets + np.int64(base)


def _decode_bits(frame: Buffer, at: int, n: int) -> NDArray[np.bool_]:
    """(n,) flags; WireError if a bit beyond them is set."""
    size = (n + 7) // 8
    if n % 8 and frame[at + size - 1] & (0xFF >> n % 8):
        raise WireError("flags are set for stimuli that the frame does not hold")
    return np.unpackbits(np.frombuffer(frame, np.uint8, size, at), count=n).view(np.bool_)
