"""What a roster means for the ends of a process' links, and the frames that come before it does."""

from __future__ import annotations

import numpy as np
import pytest

from neurond import ends
from neurond.ends import Ends
from neurond.group import GroupMachine
from neurond.links import Inbound, Outbound
from neurond.machine import Frame, Peers, Send
from tests.plans import group_plan
from topology import wire
from topology.plan import GroupPlan, LinkPlan


def hidden() -> GroupPlan:
    """A group of 4 between the source, of 3, and the readout."""
    into = LinkPlan(0, "source", "h", 3, "source", 0, 3)
    out = LinkPlan(1, "h", "out", 4, "h", 0, 4)
    return group_plan("h", (0, 4, 4), "linear", (into,), links_out=(out,))


def spikes(incarnation: int, seq: int, to: int = 1) -> bytes:
    """A volley of one stimulus from the source."""
    ids, values = np.array([seq]), np.ones((1, 3), np.float32)
    return wire.encode(wire.Spikes(0, incarnation, to, seq, 1, True, ids, values))


def test_a_roster_names_who_is_heard_and_who_is_told() -> None:
    """Each end is told of its own peer; who is not in the roster is left as he was."""
    inbound, outbound, other = Inbound(), Outbound("b"), Outbound("c")
    both = Ends([("a", inbound)], [outbound, other])
    assert both.meet({"a": 3, "b": 2}) == []
    assert (inbound.incarnation, outbound.incarnation, other.incarnation) == (3, 2, 1)


def test_early_frames_are_bounded_and_those_that_found_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many frames wait for a roster, and so many bytes; all of them count as unheard until it comes."""
    monkeypatch.setattr(ends, "MOST_BYTES", 100)
    waiting = Ends([], [])
    for _ in range(ends.MOST + 10):
        waiting.keep(b"")
    assert waiting.fenced == ends.MOST + 10
    assert len(waiting.meet({})) == ends.MOST
    assert waiting.fenced == 10
    waiting.keep(b"x" * 90)
    waiting.keep(b"y" * 20)
    assert waiting.meet({}) == [b"x" * 90]


def test_frames_that_overtook_the_roster_are_handled_when_it_comes() -> None:
    """Spikes of the source's next incarnation wait for the news of it, and then fire in their order."""
    machine = GroupMachine(hidden())
    machine.handle(Peers({"source": 1, "out": 1}), 0.0)
    assert any(isinstance(a, Send) for a in machine.handle(Frame(spikes(1, 0)), 0.0))
    for seq in (0, 1):
        assert not machine.handle(Frame(spikes(2, seq)), 0.0)
    assert machine.telemetry(0.0).counters["fenced"] == 2
    sent = machine.handle(Peers({"source": 2, "out": 1}), 0.0)
    assert [a.to for a in sent if isinstance(a, Send)] == ["out"]
    counters = machine.telemetry(0.0).counters
    assert (counters["stimuli"], counters["fenced"], counters["gaps"], counters["frames_in"]) == (2, 0, 0, 3)


def test_frames_to_another_incarnation_of_the_process_are_not_heard() -> None:
    """What was on its way to the process that died is nothing for its successor."""
    machine = GroupMachine(hidden(), incarnation=2)
    machine.handle(Peers({"source": 1, "out": 1}), 0.0)
    assert not machine.handle(Frame(spikes(1, 7, to=1)), 0.0)
    assert machine.handle(Frame(spikes(1, 0, to=2)), 0.0)
    counters = machine.telemetry(0.0).counters
    assert (counters["stimuli"], counters["fenced"], counters["gaps"]) == (1, 1, 0)
