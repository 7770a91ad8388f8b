"""The outbox keeps a bounded number of frames, and the shell survives whatever comes in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from neurond.machine import Action, Frame, MachineEvent, Peers, Send, Start
from neurond.shell import OUTBOX, Inbox, Outbox, Shell, resident_bytes
from tests.waiting import comes
from topology import wire
from topology.address import bind_lock
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

    def __init__(self) -> None:
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

    lock = bind_lock(f"ipc://{scratch}/inbox")
    inbox, machine = Inbox(context, f"ipc://{scratch}/inbox"), Recorder()
    sender = Outbox(context, inbox.endpoint, 1)
    spikes = wire.encode(wire.Spikes(0, 1, 1, 0, 1, True, np.array([1]), np.ones((1, 2), np.float32)))
    for frame in (spikes, spikes, closes(0), closes(1), spikes):
        assert sender.put(frame)
    await comes(lambda: inbox.socket.poll(0), "nothing arrives")
    shell = Shell(context, inbox, machine, lambda _: None)
    await asyncio.sleep(0.05)
    assert machine.frames == [], "frames were handled before the peers were known"
    shell.meet(Roster({}, complete=True))
    await comes(lambda: len(machine.frames) == 5, "five frames")
    kinds = [wire.kind_of(frame) for frame in machine.frames]
    # What had arrived before the first look is sorted; under load the last ones may come a little later.
    assert kinds.count(wire.CLOSES) == 2
    assert [f for f in machine.frames if wire.kind_of(f) == wire.CLOSES] == [closes(0), closes(1)]
    shell.close()
    sender.close()
    inbox.close()
    lock.release()
    assert not (scratch / "inbox").exists()


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
