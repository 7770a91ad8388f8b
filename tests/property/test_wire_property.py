"""The wire format for messages and bytes that nobody thought of."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgpack
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
    Welcome,
    WireError,
)

FLOATS = hnp.from_dtype(np.dtype(np.float32), allow_nan=False, allow_infinity=False)
CODINGS = st.sampled_from(["fast", "small"])
NUMBERS = st.sampled_from(["float32", "float16", "uint8"])


@st.composite
def matrices(draw: st.DrawFn, rows: int, values: st.SearchStrategy[Any] = FLOATS) -> Any:
    """A float32 matrix, from all zero to no zero."""
    width = draw(st.integers(1, 40) | st.integers(250, 600))
    shape = (rows, width)
    matrix = draw(hnp.arrays(np.float32, shape, elements=values, fill=values))
    density = draw(st.sampled_from([0, 0.02, 0.1, 0.5, 1]))
    keep = np.random.default_rng(draw(st.integers(0, 9))).random(shape) < density
    return np.where(keep, matrix, np.float32(0))


@st.composite
def id_lists(draw: st.DrawFn) -> Any:
    """Ids in any order, not negative, near enough to one another."""
    base = draw(st.integers(0, 2**63 - 1) | st.sampled_from([0, 2**63 - 1]))
    span = min(2**63 - 1 - base, draw(st.sampled_from([20, 2**16 - 1, 2**16, 2**32 - 1])))
    offsets = draw(st.lists(st.integers(0, span), min_size=1, max_size=20))
    if draw(st.booleans()):
        offsets = list(range(min(len(offsets), span + 1)))
    return np.array([base + o for o in offsets], np.int64)


@st.composite
def data_messages(draw: st.DrawFn) -> DataMessage:
    """Any data message that can travel."""
    ids = draw(id_lists())
    n = len(ids)
    link, presentation = draw(st.integers(0, 2**16 - 1)), draw(st.integers(0, 2**16 - 1))
    incarnation, to = draw(st.integers(0, 2**16 - 1)), draw(st.integers(0, 2**16 - 1))
    seq = draw(st.integers(0, 2**64 - 1))
    head = (link, incarnation, to, seq, presentation)
    teach = draw(st.booleans())
    rows_of_flags = hnp.arrays(np.bool_, n)
    match draw(st.sampled_from([Spikes, Targets, Notifications, Closes, Confirms])):
        case t if t is Spikes:
            return Spikes(*head, teach, ids, draw(matrices(n)))
        case t if t is Targets:
            return Targets(*head, teach, ids, draw(matrices(n)))
        case t if t is Notifications:
            return Notifications(*head, ids, draw(rows_of_flags), draw(matrices(n)))
        case t if t is Closes:
            return Closes(*head, ids, draw(st.booleans()))
        case _:
            loss = draw(hnp.arrays(np.float32, n, elements=FLOATS))
            return Confirms(*head, teach, ids, loss, draw(rows_of_flags), draw(rows_of_flags))


def decode_or_none(data: bytes) -> DataMessage | None:
    """The message, or None for a WireError; any other exception is the test's failure."""
    try:
        return wire.decode(data)
    except WireError:
        return None


def is_refused_or_sound(data: bytes) -> bool:
    """Whether bytes give WireError, or a control message that comes back as it is; anything else is raised."""
    try:
        got = wire.unpack(data)
    except WireError:
        return True
    try:
        np.testing.assert_equal(asdict(wire.unpack(wire.pack(got))), asdict(got))  # which takes NaN to equal NaN
    except AssertionError:
        return False
    return True


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with a few of them changed, cut short, or with something added."""
    damage = bytearray(data)
    for _ in range(draw(st.integers(0, 4))):
        # Most of what can go wrong is in the first 48 bytes.
        at = draw(st.integers(0, len(damage) - 1) | st.integers(0, min(len(damage), 48) - 1))
        damage[at] = draw(st.integers(0, 255))
    end = draw(st.sampled_from([len(damage), len(damage) - 1]) | st.integers(0, len(damage)))
    return bytes(damage[:end]) + draw(st.just(b"") | st.binary(max_size=4))


@given(message=data_messages(), coding=CODINGS)
def test_float32_round_trip(message: DataMessage, coding: str) -> None:
    """Every data message arrives as it was sent, bit by bit, in every layout."""
    got = wire.decode(wire.encode(message, coding))
    assert type(got) is type(message)
    np.testing.assert_equal(asdict(got), asdict(message))


@given(ids=id_lists())
def test_ids_round_trip(ids: Any) -> None:
    """Ids arrive in the order and of the type in which they were sent."""
    got = wire.decode(wire.encode(Closes(0, 1, 1, 0, 0, ids)))
    assert got.ids.dtype == np.int64
    assert got.ids.tolist() == ids.tolist()


@given(data=st.data(), coding=CODINGS, values=NUMBERS)
def test_errors_are_bounded_and_zeros_exact(data: st.DataObject, coding: str, values: str) -> None:
    """In every number format a zero is exactly zero, and the rest is as near as the format promises."""
    matrix = data.draw(matrices(3, st.floats(-60_000, 60_000, width=32)))
    got = wire.decode(wire.encode(Spikes(0, 1, 1, 0, 0, True, np.arange(3), matrix), coding, values))
    assert isinstance(got, Spikes)
    assert (got.values[matrix == 0] == 0).all()
    exact = matrix.astype(np.float64)
    peak = np.abs(exact).max()
    if values == "float32":
        bound: Any = 0.0
    elif values == "float16":
        bound = np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25)
    else:
        bound = max(peak / (255 if matrix.min() >= 0 else 127), 1.2e-38) / 2 + peak * 1e-6
    assert (np.abs(got.values - exact) <= bound).all()


@given(
    pixels=hnp.arrays(np.uint8, st.tuples(st.just(3), st.integers(1, 400))),
    scale=st.floats(2.0**-20, 2.0**20, width=32),
    coding=CODINGS,
)
def test_pixels_are_exact(pixels: Any, scale: float, coding: str) -> None:
    """Pixels arrive as exactly scale times pixel, the product that float32 gives."""
    got = wire.decode(wire.encode_spikes_u8(0, 1, 1, 0, 0, True, np.arange(3), pixels, scale, coding))
    assert isinstance(got, Spikes)
    np.testing.assert_array_equal(got.values, pixels * np.float32(scale))


@given(message=data_messages(), values=NUMBERS)
def test_small_is_never_larger_than_fast(message: DataMessage, values: str) -> None:
    """`small` never needs more bytes than `fast`."""
    assert len(wire.encode(message, "small", values)) <= len(wire.encode(message, "fast", values))


@given(data=st.binary(max_size=200) | st.binary(max_size=200).map(lambda b: b"nd\x01" + b))
def test_any_bytes_give_a_message_or_wire_error(data: bytes) -> None:
    """Any bytes whatsoever give a data message or WireError."""
    kind = wire.kind_of(data)
    if decode_or_none(data) is not None:
        assert kind > 0


@given(data=st.data(), message=data_messages(), coding=CODINGS, values=NUMBERS)
def test_damaged_frames_give_a_sound_message_or_wire_error(
    data: st.DataObject, message: DataMessage, coding: str, values: str
) -> None:
    """A damaged frame is refused, or is a message that keeps every promise: it could be sent again."""
    got = decode_or_none(data.draw(damaged(wire.encode(message, coding, values))))
    if got is None:
        return
    assert (got.ids >= 0).all()
    if isinstance(got, (Spikes, Targets, Notifications)):
        assert got.values.dtype == np.float32
        assert np.isfinite(got.values).all()
    np.testing.assert_equal(asdict(wire.decode(wire.encode(got))), asdict(got))


NAMES = st.text(max_size=12)
COUNTS = st.integers(0, 2**63 - 1)
GAUGES = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63) + 1, 2**63 - 1)
PLAIN = st.recursive(
    st.none() | st.booleans() | GAUGES | NAMES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
MAPS = st.dictionaries(NAMES, PLAIN, max_size=4)
COUNTERS = st.dictionaries(NAMES, COUNTS, max_size=4)
CONTROL_MESSAGES: st.SearchStrategy[ControlMessage] = st.one_of(
    st.builds(Hello, NAMES, NAMES, COUNTS, NAMES, COUNTS, st.dictionaries(NAMES, GAUGES, max_size=4)),
    st.builds(Welcome, COUNTS, MAPS, NAMES, st.booleans()),
    st.builds(Refused, NAMES),
    st.builds(Roster, st.dictionaries(NAMES, st.tuples(NAMES, COUNTS), max_size=4), st.booleans()),
    st.builds(Beat, COUNTS),
    st.builds(Command, NAMES, NAMES, NAMES, MAPS),
    st.builds(Reply, NAMES, st.booleans(), MAPS, NAMES),
    st.builds(Event, NAMES, NAMES, MAPS),
    st.builds(
        Telemetry,
        NAMES,
        NAMES,
        COUNTS,
        COUNTS,
        COUNTERS,
        st.dictionaries(NAMES, GAUGES, max_size=4),
        st.dictionaries(NAMES, COUNTERS, max_size=4),
        st.lists(COUNTS, max_size=4),
    ),
)


@given(message=CONTROL_MESSAGES)
def test_control_round_trip(message: ControlMessage) -> None:
    """Every control message arrives as it was sent."""
    assert wire.unpack(wire.pack(message)) == message


@given(data=st.data(), message=CONTROL_MESSAGES)
def test_damaged_control_messages_give_a_sound_message_or_wire_error(
    data: st.DataObject, message: ControlMessage
) -> None:
    """A damaged control message is refused, or is a message that could be sent again."""
    assert is_refused_or_sound(data.draw(damaged(wire.pack(message))))


@given(data=st.binary(max_size=200))
def test_any_bytes_give_a_control_message_or_wire_error(data: bytes) -> None:
    """Any bytes whatsoever give WireError, or a control message that could be sent again."""
    assert is_refused_or_sound(data)


@given(
    kind=st.sampled_from(["hello", "roster", "telemetry", "event", "reply"]),
    body=st.dictionaries(
        st.sampled_from(["name", "role", "kind", "data", "peers", "complete", "id", "ok", "error"]),
        PLAIN | st.binary(max_size=4) | st.dictionaries(st.integers() | NAMES, PLAIN, max_size=2),
    ),
)
def test_any_body_gives_a_control_message_or_wire_error(kind: str, body: dict[str, Any]) -> None:
    """A body of any fields with values of any type gives WireError, or a message that could be sent again."""
    try:
        data = msgpack.packb({"neurond": 1, "kind": kind, "body": body})
    except (OverflowError, ValueError):
        return  # an integer or a string that msgpack cannot hold
    assert is_refused_or_sound(data)
