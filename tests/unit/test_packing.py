"""Control-plane messages: what is refused, by the receiver and by the sender."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import msgpack
import numpy as np
import pytest

from tests.allocations import peak_memory, refuse
from topology import packing, wire
from topology.wire import Beat, ControlMessage, Event, Refused, Telemetry, WireError


def envelope(body: Any, kind: Any = "beat", version: Any = 1, **more: Any) -> bytes:
    """A control message of anything."""
    packed: bytes = msgpack.packb({"neurond": version, "kind": kind, "body": body, **more})
    return packed


TELEMETRY = asdict(Telemetry("h1", "group", 1, 4, {}, {}, {}))
EVENT = {"name": "h1", "kind": "epoch"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xff" * 40,
        wire.pack(Beat(9))[:-1],
        wire.pack(Beat(9)) + b"\0",
        msgpack.packb([1, 2]),
        msgpack.packb({"progress": 9}),
        envelope({"progress": 9}, more=1),
        envelope({"progress": 9}, kind="beast"),
        envelope({"progress": 9}, kind=["beat"]),
        envelope({"progress": 9}, version="1"),
        envelope({"progress": 9}, version=True),
        envelope([9]),
        envelope({}),
        envelope({"progress": 9, "more": 1}),
        envelope({"progress": "9"}),
        envelope({"progress": 9.0}),
        envelope({"progress": True}),
        envelope({"progress": None}),
        envelope({"progress": -1}),
        envelope({"progress": 2**63}),
        envelope({"progress": msgpack.Timestamp(1)}),
        envelope({"progress": msgpack.ExtType(5, b"")}),
        envelope({"why": b"bytes"}, kind="refused"),
        envelope({"why": b""}, kind="refused"),
        envelope({"why": "x" * (packing.MAX_STRING + 1)}, kind="refused"),
        envelope({b"why": "x"}, kind="refused"),
        envelope({"peers": {"h1": ["ipc:///x"]}, "complete": True}, kind="roster"),
        envelope({"peers": {"h1": [1, "ipc:///x"]}, "complete": True}, kind="roster"),
        envelope({"peers": {"h1": "ab"}, "complete": True}, kind="roster"),
        envelope({"peers": [["h1", ["ipc:///x", 1]]], "complete": True}, kind="roster"),
        envelope({"peers": {}, "complete": 1}, kind="roster"),
        envelope(TELEMETRY | {"gauges": {"lr": float("nan")}}, kind="telemetry"),
        envelope(TELEMETRY | {"gauges": {"lr": float("-inf")}}, kind="telemetry"),
        envelope(TELEMETRY | {"gauges": {"lr": True}}, kind="telemetry"),
        envelope(TELEMETRY | {"counters": {"spikes": 1.0}}, kind="telemetry"),
        envelope(TELEMETRY | {"links": {"a -> b": 1}}, kind="telemetry"),
        envelope(EVENT | {"data": [1]}, kind="event"),
        envelope(EVENT | {"data": {"a": b"x"}}, kind="event"),
        envelope(EVENT | {"data": {"a": {b"x": 1}}}, kind="event"),
        envelope(EVENT | {"data": {"a": msgpack.ExtType(5, b"")}}, kind="event"),
        b"\x81\x01\x02",
        b"\xa3\xff\xff\xff",
    ],
)
def test_bad_control_messages_are_refused(data: bytes) -> None:
    """Whatever is wrong with a control message, the answer is WireError."""
    with pytest.raises(WireError):
        wire.unpack(data)


def test_the_error_says_where() -> None:
    """A wrong field is named by the path to it."""
    with pytest.raises(WireError, match=r"^counters\.spikes: a whole number from 0 is expected, not 1\.0$"):
        wire.unpack(envelope(TELEMETRY | {"counters": {"spikes": 1.0}}, kind="telemetry"))


def nested(depth: int) -> list[Any]:
    """Lists within lists."""
    data: list[Any] = []
    for _ in range(depth - 1):
        data = [data]
    return data


@pytest.mark.parametrize("depth", [packing.MAX_DEPTH + 1, 100, 500])
def test_deep_data_is_refused(depth: int) -> None:
    """Data nested too deep is refused, far before it could exhaust the stack; in a field of other type as well."""
    wire.unpack(envelope(EVENT | {"data": {"a": nested(packing.MAX_DEPTH)}}, kind="event"))
    for body, kind in ((EVENT | {"data": {"a": nested(depth)}}, "event"), ({"why": nested(depth)}, "refused")):
        with pytest.raises(WireError):
            wire.unpack(envelope(body, kind))


def test_bottomless_data_is_refused() -> None:
    """A message that only opens lists is refused however long it is."""
    for opening in (b"\x91", b"\x81\xa1a", b"\xdd\x00\x00\x40\x00"):
        with pytest.raises(WireError):
            wire.unpack(opening * 100_000)


def test_a_control_message_can_make_us_allocate_so_much_and_no_more() -> None:
    """Bytes that announce or hold very many items are refused within a bounded amount of memory."""
    assert peak_memory(refuse(wire.unpack, b"\xdd\xff\xff\xff\xff")) < 100_000
    assert peak_memory(refuse(wire.unpack, b"\xdd\x00\x00\x40\x00" * 3300)) < 100 * 2**20
    assert peak_memory(refuse(wire.unpack, b"\xdd\x00\x02\x00\x00" * 100 + bytes(2**17))) < 2**20
    long_map = b"\xde\xff\xff" + b"".join(b"\xa4%04x\xc0" % i for i in range(2**16 - 1))
    assert peak_memory(refuse(wire.unpack, long_map)) < 2**20
    million_maps = b"\xdc\x00\x40" + (b"\xdc\x40\x00" + b"\x80" * 2**14) * 64
    assert peak_memory(refuse(wire.unpack, million_maps)) < 10 * 2**20
    assert peak_memory(refuse(wire.unpack, bytes(packing.MAX_CONTROL + 1))) < 100_000


@pytest.mark.parametrize(
    "message",
    [
        Beat(-1),
        Beat(True),
        Beat(np.int64(3)),  # type: ignore[arg-type]
        Refused("x" * (packing.MAX_STRING + 1)),
        Refused("é" * (packing.MAX_STRING // 2 + 1)),
        Telemetry("h1", "group", 1, 4, {"spikes": -1}, {}, {}),
        Event("h1", "epoch", {"array": np.zeros(3)}),
        Event("h1", "epoch", {1: "a"}),  # type: ignore[dict-item]
        Event("h1", "epoch", {"big": 2**64}),
        Event("h1", "epoch", {"long": [0] * (packing.MAX_ITEMS + 1)}),
        Telemetry("h1", "group", 1, 4, {str(i): i for i in range(packing.MAX_ITEMS + 1)}, {}, {}),
        Event("h1", "epoch", {"a": ["x" * packing.MAX_STRING] * 256}),
    ],
)
def test_control_messages_that_cannot_travel_are_our_own_fault(message: ControlMessage) -> None:
    """A control message that a receiver would refuse raises ValueError at the sender, and it is no WireError."""
    with pytest.raises(ValueError, match=r".") as caught:
        wire.pack(message)
    assert not isinstance(caught.value, WireError)


def test_gauges_that_are_not_finite_are_left_out() -> None:
    """A process whose numbers overflow still reports: what is not finite is as if it were not known."""
    message = Telemetry("h1", "group", 1, 4, {}, {"lr": 0.5, "weight_norm": float("inf"), "x": float("nan")}, {})
    assert wire.unpack(wire.pack(message)) == replace(message, gauges={"lr": 0.5})


def test_plain_data_may_be_what_people_compute() -> None:
    """Free-form data may hold tuples, NumPy's float64 and numbers that are not finite, for an event that says so."""
    message = Event("h1", "diverged", {"loss": float("inf"), "norm": np.float64(0.5), "at": (1, 2)})
    got = wire.unpack(wire.pack(message))
    assert got == Event("h1", "diverged", {"loss": float("inf"), "norm": 0.5, "at": [1, 2]})
