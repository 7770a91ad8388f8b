"""The wire format: golden bytes of every message."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from tests.stimuli import IDS, VALUES, spikes
from topology import wire
from topology.wire import (
    Beat,
    Closes,
    Command,
    Confirms,
    ControlMessage,
    DataMessage,
    Event,
    Hello,
    Notifications,
    Refused,
    Reply,
    Roster,
    Spikes,
    Targets,
    Telemetry,
    Unknown,
    Welcome,
    WireError,
)

RELU = np.abs(VALUES)
PIXELS = np.array([[0, 255], [3, 0], [0, 0]], np.uint8)


def one(width: int, place: int, rows: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Zeros, but a 2 in the last row."""
    values = np.zeros((rows, width), np.float32)
    values[-1, place] = 2
    return values


def flags(*on: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Flags from ones and zeros."""
    return np.array(on, np.bool_)


# Head: magic, version, kind, flags, coding of ids, link, presentation, n, incarnations, seq, lowest id.
# Block head: layout, number format, zero, reserved, width, values stored, scale. Then body, bits, ids.
SPIKES_OF_3 = "6e64 01 01 00 00 0300 0100 0300 0200 0100 0500000000000000 0700000000000000 "
SPIKES_OF_2 = "6e64 01 01 00 00 0300 0100 0200 0200 0100 0500000000000000 0700000000000000 "
SPIKES_OF_1 = "6e64 01 01 00 00 0300 0100 0100 0200 0100 0500000000000000 0700000000000000 "
TAUGHT_OF_3 = "6e64 01 01 01 00 0300 0100 0300 0200 0100 0500000000000000 0700000000000000 "

GOLDEN_DATA: dict[str, tuple[DataMessage, str, str, str]] = {
    "dense float32": (
        spikes(VALUES, teach=True),
        "fast",
        "float32",
        TAUGHT_OF_3 + "00 00 00 00 02000000 06000000 00000000  00000000 0000c03f 00000000 00000000 000000c0 00000000",
    ),
    "dense float16": (
        spikes(VALUES),
        "fast",
        "float16",
        SPIKES_OF_3 + "00 01 00 00 02000000 06000000 00000000  0000 003e 0000 0000 00c0 0000",
    ),
    "bitmap": (
        spikes(VALUES),
        "small",
        "float32",
        SPIKES_OF_3 + "01 00 00 00 02000000 02000000 00000000  0000c03f 000000c0  48",
    ),
    "index, gaps of 1 byte": (
        spikes(one(40, 39)),
        "small",
        "float32",
        SPIKES_OF_1 + "02 00 00 00 28000000 01000000 00000000  00000040  27",
    ),
    "index, gaps of 2 bytes": (
        spikes(one(300, 299)),
        "small",
        "float32",
        SPIKES_OF_1 + "03 00 00 00 2c010000 01000000 00000000  00000040  2b01",
    ),
    "index, gaps of 4 bytes": (
        spikes(one(40_000, 39_999, rows=2)),
        "small",
        "float32",
        SPIKES_OF_2 + "04 00 00 00 409c0000 01000000 00000000  00000040  7f380100",
    ),
    "targets": (
        Targets(3, 2, 1, 5, 1, True, IDS, np.array([[0], [9], [4]], np.float32)),
        "fast",
        "uint8",  # ignored: a class number must arrive exactly
        "6e64 01 02 01 00 0300 0100 0300 0200 0100 0500000000000000 0700000000000000"
        "00 00 00 00 01000000 03000000 00000000  00000000 00001041 00008040",
    ),
    "notifications, ids in any order": (
        Notifications(3, 2, 1, 5, 1, np.array([9, 7, 80]), flags(1, 0, 1), VALUES),
        "small",
        "float32",
        "6e64 01 03 00 01 0300 0100 0300 0200 0100 0500000000000000 0700000000000000"
        "01 00 00 00 02000000 02000000 00000000  0000c03f 000000c0  48  a0  0200 0000 4900",
    ),
    "closes": (
        Closes(3, 2, 1, 5, 0, IDS, awaited=False),
        "fast",
        "float32",
        "6e64 01 04 00 00 0300 0000 0300 0200 0100 0500000000000000 0700000000000000",
    ),
    "closes, ids far apart": (
        Closes(3, 2, 1, 5, 0, np.array([1, 70_000, 2])),
        "fast",
        "float32",
        "6e64 01 04 02 02 0300 0000 0300 0200 0100 0500000000000000 010000000000000000000000 6f110100 01000000",
    ),
    "confirms": (
        Confirms(3, 2, 1, 5, 0, True, IDS, np.array([0.5, 0, 2], np.float32), flags(1, 1, 0), flags(0, 0, 1)),
        "small",
        "float16",  # ignored: losses are float32
        "6e64 01 05 01 00 0300 0000 0300 0200 0100 0500000000000000 0700000000000000"
        "00 00 00 00 01000000 03000000 00000000  0000003f 00000000 00000040  c0 20",
    ),
}


@pytest.mark.parametrize("case", GOLDEN_DATA)
def test_golden_data_frames(case: str) -> None:
    """Every kind of frame, layout and coding of ids is these bytes and no others, and they mean the message."""
    message, coding, values, golden = GOLDEN_DATA[case]
    frame = bytes.fromhex(golden)
    assert wire.encode(message, coding, values).hex(" ") == frame.hex(" ")
    for buffer in (frame, bytearray(frame), memoryview(frame)):
        got = wire.decode(buffer)
        assert type(got) is type(message)
        np.testing.assert_equal(asdict(got), asdict(message))


@pytest.mark.parametrize(
    ("values", "golden", "meaning"),
    [
        (  # 1.5 is 95.25 steps of 2/127
            VALUES,
            "02 80 00 02000000 06000000 0402813c  80 df 80 80 01 80",
            np.array([[0, 95], [0, 0], [-127, 0]]) * (2 / 127),
        ),
        (  # and 191.25 steps of 2/255
            RELU,
            "02 00 00 02000000 06000000 8180003c  00 bf 00 00 ff 00",
            np.array([[0, 191], [0, 0], [255, 0]]) * (2 / 255),
        ),
    ],
)
def test_golden_uint8_frames(values: Any, golden: str, meaning: Any) -> None:
    """Values that are nowhere negative have their zero at step 0, others at step 128."""
    frame = bytes.fromhex(SPIKES_OF_3 + "00" + golden)
    assert wire.encode(spikes(values), "fast", "uint8").hex(" ") == frame.hex(" ")
    got = wire.decode(frame)
    assert isinstance(got, Spikes)
    np.testing.assert_allclose(got.values, meaning, rtol=1e-6)


def test_golden_pixels() -> None:
    """Pixels travel as they are, and arrive as scale times pixel."""
    frame = bytes.fromhex(TAUGHT_OF_3 + "00 02 00 00 02000000 06000000 0000003f  00 ff 03 00 00 00")
    assert wire.encode_spikes_u8(3, 2, 1, 5, 1, True, IDS, PIXELS, 0.5).hex(" ") == frame.hex(" ")
    np.testing.assert_equal(asdict(wire.decode(frame)), asdict(spikes(PIXELS * np.float32(0.5), teach=True)))


def control(message: ControlMessage, golden: str) -> Any:
    """A control message and its bytes, with text written as text between quotes."""
    quoted = re.sub(r"'([^']*)'", lambda m: m[1].encode().hex(), golden)
    return pytest.param(message, bytes.fromhex(quoted), id=type(message).__name__)


ENVELOPE = "83 a7 'neurond' 01 a4 'kind' "


@pytest.mark.parametrize(
    ("message", "golden"),
    [
        control(
            Hello("h1", "group", 42, "ipc:///x", settings={"lr": 0.5}),
            ENVELOPE + "a5 'hello' a4 'body' 86 a4 'name' a2 'h1' a4 'role' a5 'group' a3 'pid' 2a"
            "a8 'endpoint' a8 'ipc:///x' ab 'incarnation' 00 a8 'settings' 81 a2 'lr' cb 3fe0000000000000",
        ),
        control(
            Welcome(3, {"seed": 7, "a": [1, None, True, 0.5, -1]}, "runs/x", resume=True),
            ENVELOPE + "a7 'welcome' a4 'body' 85 ab 'incarnation' 03"
            "a4 'plan' 82 a4 'seed' 07 a1 'a' 95 01 c0 c3 cb 3fe0000000000000 ff"
            "a7 'run_dir' a6 'runs/x' a6 'resume' c3 a7 'recover' c2",
        ),
        control(Unknown(), ENVELOPE + "a7 'unknown' a4 'body' 80"),
        control(Refused("no"), ENVELOPE + "a7 'refused' a4 'body' 81 a3 'why' a2 'no'"),
        control(
            Roster({"h1": ("ipc:///x", 1)}, complete=False),
            ENVELOPE + "a6 'roster' a4 'body' 83 a5 'peers' 81 a2 'h1' 92 a8 'ipc:///x' 01 a8 'complete' c2"
            "a7 'changes' 00",
        ),
        control(Beat(9), ENVELOPE + "a4 'beat' a4 'body' 81 a8 'progress' 09"),
        control(
            Command("c1", "pause"),
            ENVELOPE + "a7 'command' a4 'body' 84 a2 'id' a2 'c1' a4 'verb' a5 'pause'a6 'target' a0 a4 'args' 80",
        ),
        control(
            Reply("c1", ok=True, data={"a": 1}),
            ENVELOPE + "a5 'reply' a4 'body' 84 a2 'id' a2 'c1' a2 'ok' c3 a4 'data' 81 a1 'a' 01 a5 'error' a0",
        ),
        control(
            Event("source", "epoch", {"n": 1}),
            ENVELOPE + "a5 'event' a4 'body' 83 a4 'name' a6 'source' a4 'kind' a5 'epoch' a4 'data' 81 a1 'n' 01",
        ),
        control(
            Telemetry("h1", "group", 1, 4, {"spikes": 300}, {"lr": 0.5}, {"source -> h1": {"sent": 2}}, [5, 0]),
            ENVELOPE + "a9 'telemetry' a4 'body' 88 a4 'name' a2 'h1' a4 'role' a5 'group' ab 'incarnation' 01"
            "a3 'seq' 04 a8 'counters' 81 a6 'spikes' cd012c a6 'gauges' 81 a2 'lr' cb 3fe0000000000000"
            "a5 'links' 81 ac 'source -> h1' 81 a4 'sent' 02 a6 'raster' 92 05 00",
        ),
    ],
)
def test_golden_control_messages(message: ControlMessage, golden: bytes) -> None:
    """Every control message is these bytes and no others, and they mean the message."""
    assert wire.pack(message) == golden
    assert wire.unpack(golden) == message


def test_kind_of_peeks() -> None:
    """The kind of a frame is known without decoding it, and garbage is of no kind."""
    for message, coding, values, _ in GOLDEN_DATA.values():
        frame = wire.encode(message, coding, values)
        assert wire.kind_of(frame) == getattr(wire, type(message).__name__.upper())
        assert wire.kind_of(memoryview(frame)) == frame[3]
    for garbage in (b"", b"nd\x01", b"nd\x01\x00", b"nd\x01\x06", b"nd\x02\x01", b"dn\x01\x01", b"\x80" * 99):
        assert wire.kind_of(garbage) == -1


def test_another_version_is_refused() -> None:
    """A frame or a message of a later version is refused, whatever else it says."""
    frame = bytearray(wire.encode(Closes(3, 2, 1, 5, 0, IDS)))
    frame[2] += 1
    with pytest.raises(WireError, match="no frame of version 1"):
        wire.decode(frame)
    data = wire.pack(Beat(9)).replace(b"neurond\x01", b"neurond\x02")
    with pytest.raises(WireError, match="version 2 is not 1"):
        wire.unpack(data)
