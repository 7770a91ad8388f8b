"""The outbox keeps a bounded number of frames, and the shell survives whatever comes in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from neurond import shell as shell_module
from neurond.machine import Action, Frame, MachineEvent, Peers, Request, Send, Start
from neurond.settings import Settings
from neurond.shell import OUTBOX, Inbox, Outbox, Shell, resident_bytes
from tests.plans import group_plan
from tests.waiting import comes
from topology import wire
from topology.address import bind_lock
from topology.plan import LinkPlan
from topology.wire import Closes, Roster, Telemetry


@pytest.fixture
def context():
    """A ZeroMQ context that must not be left with open sockets."""
    with zmq.Context() as context:
        yield context


@pytest.fixture
def inbox_at(context, scratch: Path) -> Iterator[Callable[[str], Inbox]]:
    """Inboxes by name, each with the lock of its endpoint, as a process has it."""
    with ExitStack() as stack:

        def bind(name: str) -> Inbox:
            endpoint = f"ipc://{scratch}/{name}"
            stack.callback(bind_lock(endpoint).release)
            inbox = Inbox(context, endpoint)
            stack.callback(inbox.close)
            return inbox

        yield bind


def closes(seq: int) -> bytes:
    """A real frame, told from others by its number."""
    import numpy as np

    return wire.encode(Closes(0, 1, 1, seq, 1, np.array([seq])))


class Recorder:
    """A machine that only notes what it was given, and sends what it is told to."""

    name, role, incarnation, progress = "recorder", "group", 1, 0
    plan = group_plan("recorder", (0, 2, 2), "relu", (LinkPlan(0, "peer", "recorder", 2, "peer", 0, 2),))

    def __init__(self) -> None:
        self.settings = Settings(self.name)
        self.events: list[MachineEvent] = []
        self.answers: list[Action] = []

    def handle(self, event: MachineEvent, now: float) -> Sequence[Action]:
        self.events.append(event)
        answers, self.answers = self.answers, []
        return answers

    def telemetry(self, now: float) -> Telemetry:
        return Telemetry(self.name, self.role, 1, 1, {"wire_errors": 0}, {}, {})

    def state(self):
        return {}

    def restore(self, state) -> None:
        pass

    @property
    def frames(self) -> list[bytes]:
        return [e.data for e in self.events if isinstance(e, Frame)]


def test_an_outbox_to_nobody_is_bounded_and_counts_what_it_drops(context, scratch: Path) -> None:
    """Frames for a peer that never comes fill the socket, then the outbox, and then the oldest is dropped."""
    outbox = Outbox(context, f"ipc://{scratch}/nobody", 1)
    total = OUTBOX + 3000  # more than the socket's own high-water mark besides
    gone_at_once = sum(outbox.put(b"x") for _ in range(total))
    assert len(outbox.waiting) == OUTBOX
    assert outbox.drops == total - gone_at_once - OUTBOX > 0
    outbox.close()


async def test_frames_reach_the_machine_and_errors_overtake_spikes(context, scratch: Path) -> None:
    """Everything sent arrives once; of what waits together, closes are handled before spikes, in their own order."""
    import numpy as np

    # Within a process what was sent is there at once, so all of it waits together.
    inbox, machine = Inbox(context, "inproc://inbox"), Recorder()
    sender = Outbox(context, inbox.endpoint, 1)
    spikes = wire.encode(wire.Spikes(0, 1, 1, 0, 1, True, np.array([1]), np.ones((1, 2), np.float32)))
    for frame in (spikes, spikes, closes(0), closes(1), spikes):
        assert sender.put(frame)
    shell = Shell(context, inbox, machine, lambda _: None)
    await asyncio.sleep(0)
    assert machine.frames == [], "frames were handled before the peers were known"
    shell.meet(Roster({}, complete=True))
    await comes(lambda: len(machine.frames) == 5, "five frames")
    assert machine.frames == [closes(0), closes(1), spikes, spikes, spikes]
    shell.close()
    sender.close()
    inbox.close()


async def test_garbage_is_counted_and_never_reaches_the_machine(context, inbox_at) -> None:
    """Bytes that are no frame of ours cost a counter, and the next good frame is handled as ever."""
    inbox, machine = inbox_at("inbox"), Recorder()
    shell = Shell(context, inbox, machine, lambda _: None)
    shell.meet(Roster({}, complete=True))
    sender = Outbox(context, inbox.endpoint, 1)
    for frame in (b"", b"nd", b"\0" * 100, b"nd\x01\xff" + b"\0" * 60, closes(7)):
        sender.put(frame)
    await comes(lambda: machine.frames == [closes(7)], "the good frame")
    assert shell.telemetry().counters["wire_errors"] == 4
    shell.close()
    sender.close()


async def test_a_complete_roster_starts_the_machine_once_and_frames_flow(context, inbox_at) -> None:
    """Start comes with the first complete roster only; what the machine wants sent arrives at the peer."""
    inbox, machine = inbox_at("inbox"), Recorder()
    peer = inbox_at("peer")
    shell = Shell(context, inbox, machine, lambda _: None)
    machine.answers = [Send("peer", closes(1)), Send("stranger", closes(2))]
    shell.meet(Roster({"peer": (peer.endpoint, 1)}, complete=False))
    assert machine.events == [Peers({"peer": 1}, complete=False)]
    shell.meet(Roster({"peer": (peer.endpoint, 1), "recorder": (inbox.endpoint, 1)}, complete=True))
    shell.meet(Roster({"peer": (peer.endpoint, 1)}, complete=True))
    assert [e for e in machine.events if isinstance(e, Start)] == [Start()]
    assert peer.socket.poll(5000)
    assert peer.socket.recv() == closes(1)
    assert shell.telemetry().counters["drops"] == 1  # nobody is called stranger
    shell.close()


async def test_what_waited_for_a_peer_that_died_is_not_sent_to_the_next(context, scratch: Path, inbox_at) -> None:
    """What waited here is gone and counted, and what is for the successor arrives.

    What libzmq had taken for the one that died may still leave: it closes a socket in its own time. The frames say
    whom they are for, and the successor drops them (`test_links`).
    """
    inbox, machine = inbox_at("inbox"), Recorder()
    shell = Shell(context, inbox, machine, lambda _: None)
    endpoint = f"ipc://{scratch}/peer"
    waiting = OUTBOX // 2
    machine.answers = [Send("peer", closes(n)) for n in range(1000 + waiting)]  # what a socket takes, and more
    shell.meet(Roster({"peer": (endpoint, 1)}, complete=True))
    machine.answers = [Send("peer", closes(9999))]
    shell.meet(Roster({"peer": (endpoint, 2)}, complete=True))
    peer, got = inbox_at("peer"), []
    while closes(9999) not in got:
        assert peer.socket.poll(5000), "the frame for the new one"
        got.append(peer.socket.recv())
    assert set(got) <= {closes(n) for n in (*range(1000), 9999)}
    assert shell.telemetry().counters["drops"] >= waiting
    shell.close()


def test_resident_memory_is_of_this_process() -> None:
    """The figure is that of psutil, within what changes between two looks."""
    import psutil

    assert abs(resident_bytes() - psutil.Process().memory_info().rss) < 8 * 2**20


async def test_frames_that_are_late_on_purpose_arrive_in_order_and_lost_ones_do_not(context, inbox_at) -> None:
    """A latency holds frames back for its time, a loss of 1 takes all; both are set by key, and told."""
    inbox, machine = inbox_at("inbox"), Recorder()
    peer = inbox_at("peer")
    shell = Shell(context, inbox, machine, lambda _: None)
    shell.meet(Roster({"peer": (peer.endpoint, 1)}, complete=True))
    machine.settings.answer(Request("q", "set", {"settings": {"delay.peer": 0.1}}))
    began = time.monotonic()
    shell.perform([Send("peer", closes(n)) for n in range(5)])
    assert not peer.socket.poll(0)
    assert shell.telemetry().gauges["delay_s.peer"] == 0.1
    await comes(lambda: peer.socket.poll(0), "they arrive")
    assert time.monotonic() - began >= 0.1
    machine.settings.answer(Request("q", "set", {"settings": {"delay.peer": 0.0}}))
    machine.settings.answer(Request("q", "set", {"settings": {"loss.peer": 1.0}}))
    shell.perform([Send("peer", closes(n)) for n in range(5, 8)])
    machine.settings.answer(Request("q", "set", {"settings": {"loss.peer": 0.0}}))
    shell.perform([Send("peer", closes(9))])
    got: list[bytes] = []
    while closes(9) not in got:
        assert peer.socket.poll(5000)
        got.append(peer.socket.recv())
    assert got == [closes(n) for n in (0, 1, 2, 3, 4, 9)]
    told = shell.telemetry()
    assert told.counters["injected"] == 3
    assert told.counters["drops"] == 0
    assert not any("peer" in gauge for gauge in told.gauges)
    shell.close()


async def test_a_tap_shows_what_is_sent_and_ends_when_it_has_seen_enough(context, inbox_at, monkeypatch) -> None:
    """So many frames of the link are shown, or what came within its time; a link that is none is refused at once."""
    monkeypatch.setattr(shell_module, "WITHIN_S", 0.05)
    inbox, machine, told = inbox_at("inbox"), Recorder(), []
    shell = Shell(context, inbox, machine, told.append)
    shell.tap(Request("two", "tap", {"link": "peer -> recorder", "n": 2}))
    shell.tap(Request("many", "tap", {"link": "peer -> recorder", "n": 100}))
    shell.tap(Request("none", "tap", {"link": "peer -> nobody"}))
    assert [(reply.id, reply.ok) for reply in told] == [("none", False)]
    shell.perform([Send("peer", closes(n)) for n in range(3)])
    assert [reply.id for reply in told] == ["none", "two"]
    assert [frame["first_id"] for frame in told[1].data["frames"]] == [0, 1]
    await comes(lambda: len(told) == 3, "time is up")
    assert [frame["first_id"] for frame in told[2].data["frames"]] == [0, 1, 2]
    shell.close()
