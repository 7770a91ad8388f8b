"""Data-plane frames: what is refused, by the receiver and by the sender."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zmq

from tests.allocations import peak_memory, refuse
from tests.stimuli import IDS, VALUES, spikes
from topology import frames, wire
from topology.wire import Closes, Notifications, WireError

SPIKES = spikes(VALUES)

HEAD = struct.Struct("<2sBBBBHHHIQq")
BLOCK_HEAD = struct.Struct("<BBBBIIf")


def frame_of(kind: int = 1, body: bytes = b"", **fields: Any) -> bytes:
    """A frame with any field set to anything; without any, one stimulus with an empty index of 8 cells."""
    head = {"magic": b"nd", "version": 1, "kind": kind, "flags": 0, "coding": 0, "link": 3, "presentation": 0}
    head |= {"n": 1, "incarnation": 2, "seq": 5, "base": 7}
    block: dict[str, Any] = {
        "layout": 2,
        "number": 0,
        "zero": 0,
        "reserved": 0,
        "width": 8,
        "stored": 0,
        "scale": 0.0,
    }
    for name, value in fields.items():
        (head if name in head else block)[name] = value
    blocks = b"" if kind == wire.CLOSES else BLOCK_HEAD.pack(*block.values())
    return HEAD.pack(*head.values()) + blocks + body


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"nd\x01\x01",
        b"nd\x01\x04" + bytes(27),
        frame_of()[:47],
        frame_of(body=b"\0"),
        frame_of(wire.CLOSES, body=b"\0"),
        frame_of(wire.CLOSES)[:31],
        frame_of(magic=b"no"),
        frame_of(version=0),
        frame_of(kind=0),
        frame_of(kind=6),
        frame_of(flags=2),
        frame_of(flags=128),
        frame_of(wire.NOTIFICATIONS, body=b"\0", flags=1),
        frame_of(wire.CLOSES, flags=1),
        frame_of(coding=3),
        frame_of(n=0),
        frame_of(n=frames.MAX_STIMULI + 1),
        frame_of(base=-1),
        frame_of(n=2, base=2**63 - 1),
        frame_of(coding=2, base=2**63 - 1, body=b"\1\0\0\0"),
        frame_of(reserved=1),
        frame_of(width=0),
        frame_of(width=65_536),
        frame_of(n=4096, width=1025),
        frame_of(layout=5),
        frame_of(number=3),
        frame_of(stored=9, body=bytes(45)),
        frame_of(stored=2**32 - 1),
        frame_of(scale=1.0),
        frame_of(number=2, scale=float("nan")),
        frame_of(layout=0, stored=8, body=struct.pack("<8f", *range(7), float("nan"))),
        frame_of(stored=1, body=struct.pack("<fB", 1, 8)),
        frame_of(wire.NOTIFICATIONS, body=b"\x40"),
        frame_of(wire.CONFIRMS, width=1, body=b"\x00\x01"),
        frame_of(wire.CONFIRMS, width=2, body=b"\x00\x00"),
    ],
)
def test_bad_frames_are_refused(frame: bytes) -> None:
    """Whatever is wrong with a frame, the answer is WireError."""
    with pytest.raises(WireError):
        wire.decode(frame)


def test_good_neighbours_of_the_bad_frames() -> None:
    """The frames above are refused for the one thing that is wrong with each: without it they decode."""
    wire.decode(frame_of())
    wire.decode(frame_of(flags=1))
    wire.decode(frame_of(wire.NOTIFICATIONS, body=b"\x80"))
    wire.decode(frame_of(wire.CONFIRMS, width=1, body=b"\x80\x00"))
    wire.decode(frame_of(coding=2, base=2**63 - 2, body=b"\1\0\0\0"))
    wire.decode(frame_of(stored=1, body=struct.pack("<fB", 1, 7)))
    closes = wire.decode(frame_of(wire.CLOSES, base=2**63 - 1))
    assert closes.ids.tolist() == [2**63 - 1]


@pytest.mark.parametrize(
    "change",
    [
        {"ids": IDS[:0], "values": VALUES[:0]},
        {"ids": IDS[:2]},
        {"ids": -IDS},
        {"ids": IDS - 10},
        {"ids": np.array([0, 1, 2**32])},
        {"ids": np.array([-(2**63), 0, 2**63 - 1])},
        {"link": 2**16},
        {"link": -1},
        {"presentation": 2**16},
        {"incarnation": 2**16},
        {"to": 2**16},
        {"seq": 2**64},
        {"values": VALUES[:2]},
        {"values": VALUES[0]},
    ],
)
def test_messages_that_cannot_travel_are_our_own_fault(change: dict[str, Any]) -> None:
    """A message that does not fit a frame raises ValueError at the sender, and it is no WireError."""
    with pytest.raises(ValueError, match=r".") as caught:
        wire.encode(replace(SPIKES, **change))
    assert not isinstance(caught.value, WireError)


def test_too_many_stimuli_cannot_travel() -> None:
    """A frame holds so many stimuli and no more."""
    assert len(wire.encode(Closes(3, 2, 1, 5, 0, np.arange(frames.MAX_STIMULI)))) == 32
    with pytest.raises(ValueError, match="1 to 4096 stimuli, not 4097"):
        wire.encode(Closes(3, 2, 1, 5, 0, np.arange(frames.MAX_STIMULI + 1)))


@pytest.mark.parametrize(
    ("ids", "size"),
    [
        ([7, 8, 9, 10], 32),
        ([7, 9, 8, 10], 32 + 8),
        ([10, 9, 8, 7], 32 + 8),
        ([5, 5], 32 + 4),
        ([2**16 - 1, 0], 32 + 4),
        ([2**16, 0], 32 + 8),
        ([0, 2**32 - 1], 32 + 8),
        ([2**63 - 1, 2**63 - 3], 32 + 4),
        ([2**63 - 2, 2**63 - 1], 32),
    ],
)
def test_ids_take_as_few_bytes_as_they_can(ids: list[int], size: int) -> None:
    """Ids that follow one another take no bytes, others 2 or 4 each; the order is kept."""
    frame = wire.encode(Closes(3, 2, 1, 5, 0, np.array(ids)))
    assert len(frame) == size
    assert wire.decode(frame).ids.tolist() == ids


def test_any_buffer_is_read_by_its_bytes() -> None:
    """A ZeroMQ frame, or a view of larger items than bytes, is read like the bytes that it holds."""
    frame = wire.encode(Closes(3, 2, 1, 5, 0, IDS))
    for buffer in (zmq.Frame(frame), memoryview(frame).cast("I")):
        assert wire.kind_of(buffer) == wire.CLOSES
        assert wire.decode(buffer).ids.tolist() == [7, 8, 9]


def test_flags_of_other_length_cannot_travel() -> None:
    """Flags that are not one a stimulus raise ValueError."""
    with pytest.raises(ValueError, match="not of 3 stimuli"):
        wire.encode(Notifications(3, 2, 1, 5, 1, IDS, np.array([True, False]), VALUES))


def test_a_frame_can_make_us_allocate_so_much_and_no_more() -> None:
    """A few bytes never make a process allocate more than one block of the largest size."""
    empty = frame_of(n=1024, width=4096)
    assert peak_memory(lambda: wire.decode(empty)) < 4 * 2**22 + 100_000
    for announced in (
        frame_of(n=4096, width=65_535),
        frame_of(n=1024, width=4096, layout=0, stored=2**22),
        frame_of(n=1024, width=4096, layout=1, stored=2**22),
        frame_of(n=1024, width=4096, layout=4, stored=2**32 - 1),
    ):
        assert peak_memory(refuse(wire.decode, announced)) < 100_000
