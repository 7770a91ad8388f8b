"""Layouts and number formats of a block of values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from topology import blocks
from topology.blocks import Block, WireError, body_size, decode_block, encode_block, encode_steps

Matrix = NDArray[np.float32]


def decoded(block: Block) -> Matrix:
    """What a receiver makes of a block."""
    cells = block.rows * block.width
    body = b"".join(block.parts)
    assert len(body) == body_size(block.layout, block.number, block.zero, block.scale, cells, block.stored)
    values = decode_block(body, 0, block.layout, block.number, block.zero, block.scale, cells, block.stored)
    return values.reshape(block.rows, block.width)


def with_nonzero(cells: int, places: list[int]) -> Matrix:
    """One row of zeros but for the cells at `places`."""
    row = np.zeros((1, cells), np.float32)
    row[0, places] = np.arange(1, len(places) + 1)
    return row


@pytest.mark.parametrize(
    ("matrix", "layout"),
    [
        (np.ones((2, 3), np.float32), blocks.DENSE),
        (with_nonzero(40, list(range(0, 40, 2))), blocks.BITMAP),
        (with_nonzero(300, [0, 255, 299]), blocks.INDEX8),
        (with_nonzero(300, [255]), blocks.INDEX8),
        (with_nonzero(300, [256]), blocks.INDEX16),
        (with_nonzero(3000, [*range(0, 600, 2), 2999]), blocks.BITMAP),  # one wide gap spoils the index
        (with_nonzero(65_535, [1]).repeat(2, axis=0)[:, ::-1], blocks.INDEX16),
        (np.vstack([with_nonzero(65_535, []), with_nonzero(65_535, [9])]), blocks.INDEX32),
        (np.zeros((4, 9), np.float32), blocks.INDEX8),
    ],
)
def test_small_takes_the_layout_of_fewest_bytes(matrix: Matrix, layout: int) -> None:
    """`small` takes the layout that needs the fewest bytes, and it decodes to the same matrix."""
    block = encode_block(matrix, "small", "float32")
    assert block.layout == layout
    np.testing.assert_array_equal(decoded(block), matrix)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.124, 0.126, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("values", ["float32", "float16", "uint8"])
def test_no_layout_beats_small(density: float, values: str) -> None:
    """At any density, no layout would have needed fewer bytes than the one that `small` takes."""
    rng = np.random.default_rng(7)
    matrix = rng.uniform(1, 2, (16, 50)).astype(np.float32) * (rng.random((16, 50)) < density)
    block = encode_block(matrix, "small", values)
    size = sum(len(bytes(p)) for p in block.parts)
    item = {"float32": 4, "float16": 2, "uint8": 1}[values]
    count = np.count_nonzero(matrix)
    flat = np.flatnonzero(matrix)
    gap = 1 if not count or np.diff(flat, prepend=-1).max() <= 256 else 2
    assert size == min(800 * item, 100 + count * item, count * (item + gap))


def test_fast_leaves_blocks_dense_unless_that_pays() -> None:
    """`fast` codes an index for a big float32 block with few values, and dense for the rest."""
    few = with_nonzero(9600, list(range(0, 9600, 50)))
    half = with_nonzero(9600, list(range(0, 9600, 2)))
    assert encode_block(few, "fast", "float32").layout == blocks.INDEX8
    assert encode_block(half, "fast", "float32").layout == blocks.DENSE
    assert encode_block(few[:, :300], "fast", "float32").layout == blocks.DENSE
    assert encode_block(few.repeat(9, axis=0), "fast", "uint8").layout == blocks.DENSE


def test_dense_float32_is_not_copied() -> None:
    """A dense float32 block decodes to a read-only view of the frame."""
    body = np.arange(1, 7, dtype=np.float32).tobytes()
    values = decode_block(body, 0, blocks.DENSE, blocks.FLOAT32, 0, 0.0, 6, 6)
    assert np.shares_memory(values, np.frombuffer(body, np.uint8))
    assert not values.flags.writeable


def test_any_memory_order_is_accepted() -> None:
    """A matrix that is a strided view, or of another float type, is coded by its values."""
    matrix = np.arange(12, dtype=np.float64).reshape(3, 4)
    for view in (matrix.T, matrix[:, ::2], np.asfortranarray(matrix)):
        np.testing.assert_array_equal(decoded(encode_block(view, "fast", "float32")), view)


def test_float16_clips() -> None:
    """Values beyond the range of float16 become the largest float16, silently."""
    matrix = np.array([[65504, 65519, 65520, 1e30, -1e30, 1e-9]], np.float32)
    got = decoded(encode_block(matrix, "fast", "float16"))
    np.testing.assert_array_equal(got, [[65504, 65504, 65504, 65504, -65504, 0]])


@pytest.mark.parametrize("coding", ["fast", "small"])
@pytest.mark.parametrize("peak", [1e-45, 1e-38, 1e-3, 1.0, 3e38])
def test_uint8_survives_extreme_scales(peak: float, coding: str) -> None:
    """From the smallest to the largest float32, uint8 gives a finite value within half a step, or clips."""
    for matrix in (np.array([[0, peak, 0, peak / 3]], np.float32), np.array([[0, peak, -peak]], np.float32)):
        got = decoded(encode_block(matrix, coding, "uint8"))
        steps = 127 if (matrix < 0).any() else 255
        step = max(float(np.abs(matrix).max()) / steps, 1.2e-38)
        clipped = np.clip(matrix, -steps * 2.0**119, steps * 2.0**119)
        np.testing.assert_allclose(got, clipped, rtol=1e-5, atol=step / 2)
        assert (got[matrix == 0] == 0).all()


def test_steps_are_exact() -> None:
    """Steps of a given scale arrive as exactly that many float32 scales."""
    steps = np.arange(256, dtype=np.uint8).reshape(4, 64)
    for coding in ("fast", "small"):
        got = decoded(encode_steps(steps, 1 / 255, coding))
        np.testing.assert_array_equal(got, steps * np.float32(1 / 255))


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-40, 1e37, float("inf"), float("nan")])
def test_steps_want_a_sane_scale(scale: float) -> None:
    """A scale that a float32 could not hold for 255 steps is refused where it is set."""
    with pytest.raises(ValueError, match="scale"):
        encode_steps(np.ones((1, 1), np.uint8), scale, "fast")


@pytest.mark.parametrize(
    "shape", [(3,), (0, 4), (4, 0), (1, blocks.MAX_WIDTH + 1), (blocks.MAX_CELLS // 1024 + 1, 1024)]
)
def test_a_matrix_beyond_the_limits_is_refused(shape: tuple[int, ...]) -> None:
    """A matrix that no receiver would accept is refused where it is sent."""
    with pytest.raises(ValueError, match="does not fit a block"):
        encode_block(np.zeros(shape, np.float32), "small", "float32")


def test_unknown_words_are_refused() -> None:
    """An unknown coding or number format is an error, not a default."""
    one = np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match="unknown coding 'dense'"):
        encode_block(one, "dense", "float32")
    with pytest.raises(ValueError, match="unknown number format 'int8'"):
        encode_block(one, "fast", "int8")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_uint8_has_no_code_for_what_is_not_finite(bad: float) -> None:
    """NaN and infinities cannot be quantised: ValueError at the sender."""
    with pytest.raises(ValueError, match="not finite"):
        encode_block(np.array([[1, bad]], np.float32), "fast", "uint8")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("coding", ["fast", "small"])
def test_a_float_that_is_not_finite_is_refused(bad: float, coding: str) -> None:
    """NaN and infinities are refused by the receiver, in every layout."""
    for others in ([1.0, 1.0], [0.0] * 50):
        block = encode_block(np.array([[*others, bad]], np.float32), coding, "float32")
        with pytest.raises(WireError, match="not finite"):
            decoded(block)


def test_large_finite_values_are_not_mistaken() -> None:
    """Finite values whose sum is not finite are accepted, without a warning."""
    matrix = np.array([[3e38, 3e38, -3e38, -3e38]], np.float32)
    np.testing.assert_array_equal(decoded(encode_block(matrix, "fast", "float32")), matrix)


@pytest.mark.parametrize(
    ("layout", "body", "cells", "stored"),
    [
        (blocks.BITMAP, b"\x07\xc0", 8, 1),  # two cells marked for one value
        (blocks.BITMAP, b"\x07\x00", 8, 1),
        (blocks.BITMAP, b"\x07\x01", 6, 1),  # marked in the padding
        (blocks.INDEX8, b"\x07\x06", 6, 1),
        (blocks.INDEX8, b"\x07\x07\x03\x02", 6, 2),
        (blocks.INDEX16, b"\x07\xff\xff", 6, 1),
        (blocks.INDEX32, b"\x07\x07\xff\xff\xff\xff\xff\xff\xff\xff", 6, 2),
    ],
)
def test_places_beyond_the_block_are_refused(layout: int, body: bytes, cells: int, stored: int) -> None:
    """A bitmap or an index that does not fit its block is refused."""
    assert body_size(layout, blocks.UINT8, 0, 1.0, cells, stored) == len(body)
    with pytest.raises(WireError):
        decode_block(body, 0, layout, blocks.UINT8, 0, 1.0, cells, stored)


@pytest.mark.parametrize(
    ("layout", "number", "zero", "scale", "cells", "stored"),
    [
        (5, 0, 0, 0.0, 8, 8),
        (0, 3, 0, 0.0, 8, 8),
        (blocks.DENSE, 0, 0, 0.0, 8, 7),
        (blocks.DENSE, 0, 0, 0.0, 8, 9),
        (blocks.INDEX8, 0, 0, 0.0, 8, 9),
        (blocks.BITMAP, 0, 0, 0.0, 8, 2**32 - 1),
        (blocks.DENSE, blocks.FLOAT32, 1, 0.0, 8, 8),
        (blocks.DENSE, blocks.FLOAT32, 0, 1.0, 8, 8),
        (blocks.DENSE, blocks.FLOAT32, 0, float("nan"), 8, 8),
        (blocks.DENSE, blocks.UINT8, 0, 0.0, 8, 8),
        (blocks.DENSE, blocks.UINT8, 0, -1.0, 8, 8),
        (blocks.DENSE, blocks.UINT8, 0, float("nan"), 8, 8),
        (blocks.DENSE, blocks.UINT8, 0, float("inf"), 8, 8),
        (blocks.DENSE, blocks.UINT8, 128, 1e37, 8, 8),
    ],
)
def test_headers_that_make_no_sense_are_refused(
    layout: int, number: int, zero: int, scale: float, cells: int, stored: int
) -> None:
    """A block header that contradicts itself is refused before its body is looked at."""
    with pytest.raises(WireError):
        body_size(layout, number, zero, scale, cells, stored)
