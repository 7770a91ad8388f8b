"""The coding of a block: a matrix of neuron values, a row a stimulus and a column a neuron, as raw bytes.

A block is laid out in one of three ways, whichever suits how many of its cells are zero:

    dense     every cell
    bitmap    the cells that are not zero, then a bit a cell
    index     the cells that are not zero, then the gap before each of them

A gap counts the zero cells since the last cell that was not, reading row by row; gaps are as wide as the
widest of them needs (1, 2 or 4 bytes). So an index that is out of order, or that names a cell twice, cannot
be written down at all.

Values are float32, float16, or uint8 with a scale and a zero point: ``value = scale * (q - zero)``. A cell
that is zero is exactly zero in every layout and every number format.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_WIDTH = 65_535
"""Neurons a row, at most."""
MAX_CELLS = 2**22
"""Cells a block, at most: 16 MiB of float32. It bounds what a hostile frame can make a process allocate."""

DENSE, BITMAP, INDEX8, INDEX16, INDEX32 = range(5)  # layouts; those of an index differ in the size of a gap
FLOAT32, FLOAT16, UINT8 = range(3)  # number formats

_DTYPES: tuple[np.dtype[Any], ...] = (np.dtype("<f4"), np.dtype("<f2"), np.dtype("u1"))  # by number format
_GAPS: dict[int, np.dtype[Any]] = {INDEX8: np.dtype("u1"), INDEX16: np.dtype("<u2"), INDEX32: np.dtype("<u4")}

_MAX_FLOAT32 = float(np.finfo(np.float32).max)
_MAX_FLOAT16 = float(np.finfo(np.float16).max)
_MIN_SCALE = float(np.finfo(np.float32).tiny)
_MAX_SCALE = 2.0**119  # 255 steps of it are still a finite float32

# When `fast` takes the trouble to leave zeros out. Measured over ipc: a byte costs 1.1 ns of CPU from sender
# to receiver, finding and placing what is not zero 1 to 3 ns a cell and 10 us. For uint8 that never pays.
_FAST_MIN_BYTES = 16_384
_FAST_SHARE = 0.25

Buffer = bytes | bytearray | memoryview


class WireError(ValueError):
    """A peer sent bytes that are no message of ours. Counted and dropped, never fatal."""


class Block(NamedTuple):
    """A coded block: what its header says, and the parts of its body in order."""

    layout: int
    number: int
    zero: int
    scale: float
    rows: int
    width: int
    stored: int  # values in the body
    parts: tuple[Buffer, ...]


def encode_block(matrix: NDArray[np.float32], coding: str, values: str) -> Block:
    """The block of a matrix.

    Args:
        matrix: (n, width) float32, finite. Not checked here; the decoder refuses what is not finite.
        coding: `small` takes the layout of fewest bytes, `fast` what costs least CPU from end to end.
        values: `float32` is exact. `float16` clips beyond +-65504, and is off by at most 2**-11 of the value
            (or 2**-25). `uint8` is off by at most half a step; a step is max/255, or max|value|/127 if any
            cell is negative.

    Raises:
        ValueError: an unknown coding or number format, a matrix beyond the limits, or uint8 of a value that
            is not finite.

    """
    flat: NDArray[np.float32] = _flat(matrix, np.float32)
    if values == "float32":
        return _lay_out(matrix.shape, flat, flat, coding, FLOAT32, 0, 0.0)
    if values == "float16":
        half = np.clip(flat, -_MAX_FLOAT16, _MAX_FLOAT16).astype(_DTYPES[FLOAT16])
        # Patterns of bits compare far faster than halves do. A negative zero then simply counts as a value.
        return _lay_out(matrix.shape, half, half.view(np.uint16), coding, FLOAT16, 0, 0.0)
    if values == "uint8":
        q, zero, scale = _quantise(flat)
        return _lay_out(matrix.shape, q, q, coding, UINT8, zero, scale)
    raise ValueError(f"unknown number format {values!r}: float32, float16 or uint8")


def encode_steps(steps: NDArray[np.uint8], scale: float, coding: str) -> Block:
    """The block of ``scale * steps``, without loss and without ever being floats here: for pixels.

    Args:
        steps: (n, width) uint8.
        scale: what one step is worth, above zero; it travels as float32.
        coding: `fast` or `small`, as in `encode_block`.

    Raises:
        ValueError: a scale out of range, an unknown coding, or a matrix beyond the limits.

    """
    if steps.dtype != np.uint8 or not _MIN_SCALE <= scale <= _MAX_SCALE:
        raise ValueError(f"steps are uint8 with a scale above zero, not {steps.dtype} with scale {scale}")
    flat = _flat(steps, np.uint8)
    return _lay_out(steps.shape, flat, flat, coding, UINT8, 0, scale)


def body_size(layout: int, number: int, zero: int, scale: float, cells: int, stored: int) -> int:
    """Bytes of a block's body, as its header announces them; WireError if that header makes no sense."""
    if number > UINT8 or layout > INDEX32:
        raise WireError(f"layout {layout} or number format {number} is not known")
    if not (0.0 < scale <= _MAX_SCALE if number == UINT8 else scale == 0.0 and zero == 0):
        raise WireError(f"scale {scale} and zero point {zero} do not belong to number format {number}")
    if stored > cells or (layout == DENSE and stored < cells):
        raise WireError(f"{stored} values announced for {cells} cells")
    size = stored * _DTYPES[number].itemsize
    if layout == DENSE:
        return size
    return size + ((cells + 7) // 8 if layout == BITMAP else stored * _GAPS[layout].itemsize)


def decode_block(
    frame: Buffer, at: int, layout: int, number: int, zero: int, scale: float, cells: int, stored: int
) -> NDArray[np.float32]:
    """All cells of the block whose body starts at byte `at` of `frame`.

    `body_size` has accepted these arguments, and the body lies within the frame.

    Returns:
        (cells,) float32, finite. A dense float32 block is a view of the frame, read-only if the frame is.

    Raises:
        WireError: a value is not finite, or the places do not fit the block.

    """
    values: NDArray[np.float32]
    values = np.frombuffer(frame, _DTYPES[number], stored, at).astype(np.float32, copy=False)
    if number == UINT8:
        if zero:
            values -= np.float32(zero)
        values *= np.float32(scale)
    elif np.count_nonzero(np.isfinite(values)) < stored:
        raise WireError("a value is not finite")
    if layout == DENSE:
        return values
    flat = np.zeros(cells, np.float32)
    flat[_places(frame, at + stored * _DTYPES[number].itemsize, layout, cells, stored)] = values
    return flat


def _places(frame: Buffer, at: int, layout: int, cells: int, stored: int) -> NDArray[np.int64]:
    """(stored,) cells that the values of a bitmap or an index belong to, ascending.

    Raises:
        WireError: there are more or fewer than values, or one is beyond the last cell.

    """
    places: NDArray[np.int64]
    if layout == BITMAP:
        bits = np.frombuffer(frame, np.uint8, (cells + 7) // 8, at)
        # A bit that is set in the padding becomes a place beyond the last cell.
        places = np.unpackbits(bits).view(np.bool_).nonzero()[0]
        if len(places) != stored:
            raise WireError(f"{len(places)} cells marked for {stored} values")
    else:
        places = np.add.accumulate(np.frombuffer(frame, _GAPS[layout], stored, at), dtype=np.int64)
        places += np.arange(stored)
    if stored and places[-1] >= cells:
        raise WireError(f"a value lies beyond the {cells} cells of its block")
    return places


def _flat(matrix: NDArray[Any], dtype: type[Any]) -> NDArray[Any]:
    """(cells,) the matrix row by row, contiguous; ValueError if it is beyond the limits."""
    if matrix.ndim != 2 or matrix.shape[1] > MAX_WIDTH or not 0 < matrix.size <= MAX_CELLS:
        raise ValueError(f"a matrix of shape {matrix.shape} does not fit a block")
    return np.ascontiguousarray(matrix, dtype).reshape(-1)


def _quantise(flat: NDArray[np.float32]) -> tuple[NDArray[np.uint8], int, float]:
    """(cells,) uint8 steps, the step that means zero, and what a step is worth."""
    low, high = float(flat.min()), float(flat.max())
    steps, zero = (255, 0) if low >= 0.0 else (127, 128)
    peak = max(high, -low)
    if not peak <= _MAX_FLOAT32:  # NaN is not, either
        raise ValueError("a value is not finite")
    scale = np.float32(min(max(peak / steps, _MIN_SCALE), _MAX_SCALE))
    q = flat / scale
    np.rint(q, out=q)
    if peak > steps * _MAX_SCALE:
        np.clip(q, -steps, steps, out=q)
    if zero:
        q += np.float32(zero)
    return q.astype(np.uint8), zero, float(scale)


def _lay_out(
    shape: tuple[int, ...],
    coded: NDArray[Any],
    pattern: NDArray[Any],
    coding: str,
    number: int,
    zero: int,
    scale: float,
) -> Block:
    """The block of (cells,) coded values in the layout that `coding` asks for.

    `pattern` is `coded` in a type that compares fast; where it equals `zero`, the cell is zero.
    """
    rows, width = shape
    cells, item = coded.size, coded.itemsize
    dense = Block(DENSE, number, zero, scale, rows, width, cells, (coded.data,))
    limit = cells * item  # what another layout must stay under
    if coding == "fast":
        if number == UINT8 or limit < _FAST_MIN_BYTES:
            return dense
        limit = int(limit * _FAST_SHARE)
    elif coding != "small":
        raise ValueError(f"unknown coding {coding!r}: fast or small")

    mask = pattern != zero
    stored = int(np.count_nonzero(mask))
    bitmap = stored * item + (cells + 7) // 8
    index = stored * (item + 1)  # at least
    if min(bitmap, index) >= limit:
        return dense
    places = mask.nonzero()[0]
    values = coded.take(places).data
    if index < bitmap:
        gaps = places - np.arange(stored)
        gaps[1:] -= gaps[:-1]
        widest = int(gaps.max()) if stored else 0
        layout = INDEX8 if widest < 2**8 else INDEX16 if widest < 2**16 else INDEX32
        index = stored * (item + _GAPS[layout].itemsize)
        if index < min(bitmap, limit):
            return Block(layout, number, zero, scale, rows, width, stored, (values, gaps.astype(_GAPS[layout]).data))
    if bitmap < limit:
        return Block(BITMAP, number, zero, scale, rows, width, stored, (values, np.packbits(mask).data))
    return dense
