"""Changes of arrays: what is noticed, how little of it is kept, and what is refused."""

from __future__ import annotations

import struct
from zlib import crc32

import msgpack
import numpy as np
import pytest

from neurond.changes import HEADER_SIZE, Change, DamagedError, Header, Shadow, apply, contents, record

HEADER = Header(1, 1, bytes(16)).pack()


def test_changes_are_seen_by_their_bits() -> None:
    """A NaN that stays is no change, and 0 that becomes -0 is one."""
    w = np.array([[np.nan, 0.0, 1.0, *[7.0] * 9]], np.float32)
    shadow = Shadow()
    shadow.look({"w": w})
    assert shadow.look({"w": w}) == []
    w[0, 1] = -0.0
    (change,) = shadow.look({"w": w})
    assert change.places is not None
    assert (change.places.tolist(), change.values.tobytes()) == ([1], np.float32(-0.0).tobytes())
    assert shadow.look({"w": w}) == []


@pytest.mark.parametrize(("n", "sparse"), [(1, True), (49, True), (50, False), (100, False)])
def test_whichever_is_smaller(n: int, sparse: bool) -> None:
    """Places and values while that is shorter than the whole array: up to half of float32 weights."""
    w = np.zeros((10, 10), np.float32)
    shadow = Shadow()
    shadow.look({"w": w})
    w.flat[:n] = 1
    (change,) = shadow.look({"w": w})
    assert (change.places is not None) == sparse
    copy = {"w": np.zeros((10, 10), np.float32)}
    apply([change], copy)
    assert np.array_equal(copy["w"], w)


def test_a_view_that_is_not_in_one_piece() -> None:
    """Arrays may be parts of others."""
    whole = np.zeros((4, 50), np.float32)
    shadow = Shadow()
    shadow.look({"w": whole[:, :-1]})
    whole[3, 48] = 5
    whole[3, 49] = 6  # outside
    (change,) = shadow.look({"w": whole[:, :-1]})
    assert change.places is not None
    assert (change.places.tolist(), change.values.tolist()) == ([3 * 49 + 48], [5.0])


def test_a_list_that_grows() -> None:
    """An array of another length or dtype is kept whole, an empty one too."""
    shadow = Shadow()
    shadow.look({"again": np.zeros(0, np.int64)})
    (grown,) = shadow.look({"again": np.arange(3)})
    (shrunk,) = shadow.look({"again": np.zeros(0, np.int64)})
    copy: dict[str, np.ndarray] = {}
    for change, length in ((grown, 3), (shrunk, 0)):
        held = contents(HEADER + record(HEADER, 1, [change]))
        assert held.first is not None
        apply(held.first[1], copy)
        assert len(copy["again"]) == length


@pytest.mark.parametrize(
    "change",
    [
        Change("b", (2, 3), np.zeros(1, np.uint32), np.zeros(1, np.float32)),
        Change("w", (3, 2), np.zeros(1, np.uint32), np.zeros(1, np.float32)),
        Change("w", (2, 3), np.zeros(1, np.uint32), np.zeros(1)),
        Change("w", (2, 3), np.full(1, 6, np.uint32), np.zeros(1, np.float32)),
    ],
    ids=["another name", "another shape", "another dtype", "outside"],
)
def test_changes_of_something_else(change: Change) -> None:
    """A change that does not fit what is there is refused, with all that came with it."""
    arrays = {"w": np.ones((2, 3), np.float32)}
    with pytest.raises(DamagedError):
        apply([Change("w", (2, 3), np.zeros(1, np.uint32), np.zeros(1, np.float32)), change], arrays)
    assert arrays["w"].all()


def forged(payload: bytes) -> bytes:
    """A file with one record whose checksums are right."""
    frame = struct.pack("<QQ", len(payload), 1)
    known = crc32(frame, crc32(HEADER[:-4]))
    return HEADER + frame + struct.pack("<II", known, crc32(payload, known)) + payload


def listed(*entries: object) -> bytes:
    """The list that a payload begins with."""
    head = msgpack.packb(entries)
    return struct.pack("<I", len(head)) + head


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xff\xff\xff",
        listed(1, 2),
        listed(["w", "<f4", [2], -1]),
        listed(["w", "<f4", [-2], -1]),
        listed(["w", "<f4", "ab", -1]),
        listed(["w", "|O8", [1], -1]) + bytes(8),
        listed(["w", "<f4", [2], -1]) + bytes(9),
        listed(["w", "<f4", [2], 5]) + bytes(8),
        listed(["w", "<f4", [1 << 62], -1]) + bytes(8),
    ],
    ids=str,
)
def test_nonsense_with_a_right_checksum(payload: bytes) -> None:
    """A record that says what cannot be is damaged, and takes no memory first."""
    held = contents(forged(payload))
    assert held.first is None


def test_sound_with_a_right_checksum() -> None:
    """The forger of these tests makes what is read, where it makes sense."""
    held = contents(forged(listed(["w", "<f4", [2], -1]) + np.ones(2, np.float32).tobytes()))
    assert held.first is not None
    (change,) = held.first[1]
    assert (change.name, change.shape, change.places, change.values.tolist()) == ("w", (2,), None, [1.0, 1.0])


@pytest.mark.parametrize("at", range(HEADER_SIZE))
def test_every_byte_of_the_header_counts(at: int) -> None:
    """A header with any byte changed is none."""
    content = bytearray(HEADER)
    content[at] ^= 255
    with pytest.raises(DamagedError):
        contents(bytes(content))


def test_a_record_is_good_in_its_own_file_only() -> None:
    """The record of another file, or of another time, does not pass for one of this."""
    shadow = Shadow()
    shadow.look({"w": np.zeros(3, np.float32)})
    one = record(HEADER, 1, shadow.whole())
    for other in (Header(1, 2, bytes(16)), Header(2, 1, bytes(16)), Header(1, 1, b"another network.")):
        assert contents(other.pack() + one).first is None
    assert contents(HEADER + one).first is not None
