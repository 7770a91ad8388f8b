"""Latency and loss on purpose: what is done to frames, and that their order is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from neurond import injected
from neurond.injected import Injected


def frames(first: int, n: int) -> list[bytes]:
    """Frames that are told apart by a number."""
    return [bytes([i]) for i in range(first, first + n)]


def chances(*numbers: float) -> Iterator[float]:
    """Dice that fall like this, over and over."""
    while True:
        yield from numbers


def make(*dice: float) -> Injected:
    """Faults towards two peers."""
    falls = chances(*dice or (0.5,))
    return Injected(["a", "b"], lambda: next(falls))


def change(faults: Injected, key: str, value: float) -> None:
    """Set one of them, as `set` does."""
    faults.settings()[key].change(value)


def test_nothing_is_done_unless_it_is_asked_for() -> None:
    """Without a setting every frame goes as ever; set and set back is the same."""
    faults = make()
    assert {key: s.read() for key, s in faults.settings().items()} == {
        "delay.a": 0.0,
        "loss.a": 0.0,
        "delay.b": 0.0,
        "loss.b": 0.0,
    }
    assert not faults.disturbed
    change(faults, "delay.a", 0.1)
    change(faults, "delay.a", 0)
    assert not faults.disturbed
    assert not faults.takes("a", b"x", 0.0)
    assert faults.gauges() == {}


def test_a_frame_is_late_by_what_was_asked_and_to_that_peer_alone() -> None:
    """It goes when its time has come and no earlier; those for another peer are not touched."""
    faults = make()
    change(faults, "delay.a", 0.2)
    assert faults.gauges() == {"delay_s.a": 0.2}
    assert faults.takes("a", b"x", 1.0)
    assert not faults.takes("b", b"y", 1.0)
    assert faults.next_due == 1.2
    assert list(faults.due(1.19)) == []
    assert list(faults.due(1.2)) == [("a", b"x")]
    assert faults.next_due == float("inf")


def test_a_latency_that_shrinks_holds_for_what_waits_and_order_is_kept() -> None:
    """What waits goes when the new latency is over, at once where there is none; no frame overtakes another."""
    faults = make()
    change(faults, "delay.a", 60.0)
    assert faults.takes("a", b"1", 0.0)
    assert faults.takes("a", b"2", 0.5)
    change(faults, "delay.a", 1.0)
    assert faults.next_due == 1.0
    assert faults.takes("a", b"3", 0.75)
    assert list(faults.due(0.9)) == []
    assert list(faults.due(1.0)) == [("a", b"1")]
    change(faults, "delay.a", 0.0)
    assert faults.takes("a", b"4", 1.1)
    assert list(faults.due(1.1)) == [("a", b"2"), ("a", b"3"), ("a", b"4")]
    assert not faults.takes("a", b"5", 1.1)
    assert not faults.disturbed


def test_a_share_of_frames_is_lost_and_counted() -> None:
    """A frame is lost where the die falls below the share: with 1 all are, and the rest is untouched."""
    faults = make(0.1, 0.3, 0.2, 0.9)
    change(faults, "loss.b", 0.25)
    assert [faults.takes("b", f, 0.0) for f in frames(0, 4)] == [True, False, True, False]
    assert faults.lost == 2
    assert faults.gauges() == {"loss.b": 0.25}
    change(faults, "loss.b", 1.0)
    assert all(faults.takes("b", f, 0.0) for f in frames(0, 9))
    assert list(faults.due(99.0)) == []
    assert faults.lost == 11


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest frame gives way to one too many, and is counted."""
    monkeypatch.setattr(injected, "MOST_WAITING", 3)
    faults = make()
    change(faults, "delay.a", 1.0)
    for frame in frames(0, 5):
        faults.takes("a", frame, 0.0)
    assert faults.overflowed == 2
    assert [f for _, f in faults.due(1.0)] == frames(2, 3)


def test_what_waits_for_a_process_that_is_gone_is_dropped() -> None:
    """Its successor gets none of it, and the latency holds on."""
    faults = make()
    change(faults, "delay.a", 1.0)
    for frame in frames(0, 5):
        faults.takes("a", frame, 0.0)
    assert faults.forget("a") == 5
    assert faults.forget("stranger") == 0
    assert list(faults.due(9.0)) == []
    assert faults.takes("a", b"x", 9.0)


def test_what_cannot_be_is_out_of_bounds() -> None:
    """No more than all frames are lost, and none is later than a minute."""
    settings = make().settings()
    assert settings["loss.a"].trouble(1.01) == "a number from 0 to 1 is expected, not 1.01"
    assert settings["delay.a"].trouble(61) == "a number from 0 to 60 is expected, not 61"
    assert settings["delay.a"].trouble(-1)
    assert not settings["loss.a"].trouble(1)
