import random

import pytest

from topology import wire
from topology.feed import Heard, Mark, event_frames, parse, telemetry_frames

EVENT = wire.Event("source", "epoch", {"epoch": 1})
TELEMETRY = wire.Telemetry("h1", "group", 1, 2, {"stimuli": 3}, {"loss": 0.5}, {})


def test_round_trip() -> None:
    """What goes into the feed comes out of it, events with their mark."""
    item = parse(event_frames(EVENT, Mark(2**64 - 1, 7)))
    assert (item.message, item.mark) == (EVENT, Mark(2**64 - 1, 7))
    item = parse(telemetry_frames("h1", wire.pack(TELEMETRY)))
    assert (item.message, item.mark) == (TELEMETRY, None)


@pytest.mark.parametrize(
    "frames",
    [
        [],
        [b"h1"],
        [b"h1", b"junk"],
        [b"@event", wire.pack(EVENT)],
        [b"@event", wire.pack(EVENT), b"short"],
        [b"h1", wire.pack(TELEMETRY), b"x" * 16],
        [b"h1", wire.pack(wire.Beat(1))],
        [b"h1", wire.pack(TELEMETRY), b"x" * 16, b"more"],
    ],
)
def test_what_is_no_item(frames: list[bytes]) -> None:
    """Frames that are not of the feed are one known error."""
    with pytest.raises(wire.WireError):
        parse(frames)


def test_events_are_new_once() -> None:
    """Whatever the order and however often they come, each event is new exactly once."""
    for seed in range(50):
        numbers = [*range(1, 40)] * 3
        random.Random(seed).shuffle(numbers)
        heard = Heard()
        new = [n for n in numbers if heard.is_new(Mark(1, n))]
        assert sorted(new) == [*range(1, 40)], f"seed {seed}"


def test_a_new_broker_counts_anew() -> None:
    """The numbers of another broker are new, whatever was heard of the one before."""
    heard = Heard()
    assert [heard.is_new(Mark(1, 1)), heard.is_new(Mark(1, 1)), heard.is_new(Mark(2, 1))] == [True, False, True]


def test_memory_is_bounded() -> None:
    """A gap that is never filled is given up, and what is kept beyond it stays bounded."""
    heard = Heard(most=10)
    for number in range(5, 10_000, 2):
        assert heard.is_new(Mark(1, number))
        assert not heard.is_new(Mark(1, number))
    assert not heard.is_new(Mark(1, 2))
    assert len(heard._beyond) <= 11
