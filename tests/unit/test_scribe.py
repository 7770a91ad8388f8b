"""The scribe: what it writes while the loop works, and what it says when the disk does not keep up."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from neurond import begin, data, journal
from neurond.changes import Change, Shadow, fingerprint
from neurond.group import GroupMachine
from neurond.journal import Journal, Recovered
from neurond.scribe import Scribe
from tests.unit.test_journal import room_for
from tests.waiting import comes
from topology import wire
from topology.load import load
from topology.resolve import resolve

INTERVAL_S = 0.01


class SlowJournal(Journal):
    """A journal on a disk that stands still until it is told otherwise."""

    moves = threading.Event()

    def write(self, changes: Sequence[Change], shadow: Shadow) -> None:
        assert self.moves.wait(30)
        super().write(changes, shadow)


@pytest.fixture
def machine() -> GroupMachine:
    """The group `h1` of digits."""
    return GroupMachine(resolve(load("digits"), data.describe("digits")).group("h1"))


@pytest.fixture
def told() -> list[wire.Event]:
    """What was told the broker."""
    return []


@pytest.fixture
async def scribe(tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> Iterator[Scribe]:
    """A scribe of that machine, stopped at the end."""
    made = make(Journal, tmp_path, machine, told)
    yield made
    made.abandon()


def make(kind: type[Journal], tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> Scribe:
    """A scribe with a journal of that kind."""
    own = fingerprint("h1", machine.durable())
    return Scribe(machine, kind(tmp_path, "h1", 1, own), INTERVAL_S, told.append)


def work(machine: GroupMachine, weight: float) -> None:
    """What learning does, as far as a scribe can see it."""
    machine.durable()["w.source"][3, 5] = weight
    machine.progress += 1


def found(tmp_path: Path, machine: GroupMachine) -> Recovered:
    """What the next process would find."""
    return journal.recover(tmp_path, "h1", 2, fingerprint("h1", machine.durable()))


def weight(tmp_path: Path, machine: GroupMachine) -> float | None:
    """The weight that it would go on with."""
    arrays = found(tmp_path, machine).arrays
    return None if arrays is None else float(arrays["w.source"][3, 5])


async def test_it_writes_by_itself(tmp_path: Path, machine: GroupMachine, scribe: Scribe) -> None:
    """The first state is written at once, later ones at the next interval; where nothing moves nothing is written."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    for n in (1.0, 2.0, np.float32(np.pi)):
        work(machine, n)
        await comes(lambda n=n: weight(tmp_path, machine) == n, "what has changed")
    await comes(lambda: scribe._under_way is None, "the end of the write")
    written = scribe.counters["journal_bytes"]
    machine.durable()["w.source"][0, 0] = 7  # but no progress
    looked = scribe._timer
    await comes(lambda: scribe._timer is not looked, "another look")
    assert (scribe.counters["journal_bytes"], scribe.counters["journal_failed"]) == (written, 0)


async def test_a_look_that_is_dear(
    tmp_path: Path, machine: GroupMachine, told: list[wire.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where looking takes long the interval becomes longer, so that it never takes more than a share of the time."""
    monkeypatch.setattr("neurond.scribe.TIMES", 1e9)
    scribe = make(Journal, tmp_path, machine, told)
    assert scribe._timer is not None
    assert scribe._timer.when() - scribe._loop.time() > 100 * INTERVAL_S
    scribe.abandon()


async def test_the_last_moment(tmp_path: Path, machine: GroupMachine, scribe: Scribe) -> None:
    """A process that leaves in good order writes what has changed since the last interval."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    work(machine, 5.0)
    scribe.close()
    assert weight(tmp_path, machine) == 5.0


async def test_in_the_midst_of_something(tmp_path: Path, machine: GroupMachine, scribe: Scribe) -> None:
    """One that fails in the midst of something leaves the last interval's state, which was one between two events."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    before = weight(tmp_path, machine)
    work(machine, 5.0)
    scribe.abandon()
    scribe.close()  # nothing more
    assert weight(tmp_path, machine) == before


async def test_nobody_needs_it(tmp_path: Path, machine: GroupMachine, scribe: Scribe) -> None:
    """At the end of a run nothing of it stays."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    scribe.discard()
    assert list(tmp_path.iterdir()) == []


async def test_a_slow_disk(tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> None:
    """While a write is under way intervals are skipped and counted; the next write holds all that has changed."""
    SlowJournal.moves.clear()
    scribe = make(SlowJournal, tmp_path, machine, told)
    for n in (1.0, 2.0, 3.0):
        work(machine, n)
        before = scribe.counters["journal_skipped"]
        await comes(lambda before=before: scribe.counters["journal_skipped"] > before, "a skipped interval")
    assert found(tmp_path, machine).arrays is None
    SlowJournal.moves.set()
    await comes(lambda: weight(tmp_path, machine) == 3.0, "what had changed meanwhile")
    assert found(tmp_path, machine).records == 1
    scribe.abandon()
    assert (told, scribe.counters["journal_failed"]) == ([], 0)


async def test_a_slow_disk_at_the_end(tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> None:
    """Whoever leaves waits for the write under way, and what has changed meanwhile is not lost."""
    SlowJournal.moves.clear()
    scribe = make(SlowJournal, tmp_path, machine, told)
    work(machine, 4.0)
    later = threading.Timer(0.05, SlowJournal.moves.set)
    later.start()
    scribe.close()
    later.join()
    assert weight(tmp_path, machine) == 4.0


async def test_a_full_disk(tmp_path: Path, machine: GroupMachine, scribe: Scribe, told: list[wire.Event]) -> None:
    """It is told once, each interval tries again, and once there is room all is written, and that is told."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    with room_for(1000):
        work(machine, 1.0)
        await comes(lambda: scribe.counters["journal_failed"] > 3, "some failures")
        work(machine, 2.0)
        before = scribe.counters["journal_failed"]
        await comes(lambda: scribe.counters["journal_failed"] > before + 1, "more of them")
        assert weight(tmp_path, machine) not in (1.0, 2.0)
        assert told == [wire.Event("h1", "journal", {"ok": False, "why": "no journal is kept: File too large"})]
    await comes(lambda: len(told) > 1, "that it goes on")
    assert told[1:] == [wire.Event("h1", "journal", {"ok": True, "why": "the journal goes on"})]
    assert weight(tmp_path, machine) == 2.0
    work(machine, 3.0)
    await comes(lambda: weight(tmp_path, machine) == 3.0, "the next change")


async def test_a_full_disk_at_the_end(tmp_path: Path, machine: GroupMachine, scribe: Scribe, told: list) -> None:
    """A last write that fails is told, and harms neither the process nor what was written before."""
    await comes(lambda: found(tmp_path, machine).arrays, "the first state")
    before = weight(tmp_path, machine)
    work(machine, 1.0)
    with room_for(0):
        scribe.close()
    assert [event.data["ok"] for event in told] == [False]
    assert weight(tmp_path, machine) == before


async def test_no_run_folder(tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> None:
    """Where there is no run folder none is made: that is told, and training goes on."""
    scribe = make(Journal, tmp_path / "gone", machine, told)
    await comes(lambda: told, "a word")
    scribe.close()
    assert told[0].data == {"ok": False, "why": "no journal is kept: No such file or directory"}
    assert not (tmp_path / "gone").exists()


async def test_begun(tmp_path: Path, machine: GroupMachine, told: list[wire.Event]) -> None:
    """The first process of a name removes what an earlier run has left; a plan without a journal makes none."""
    earlier = make(Journal, tmp_path, machine, told)
    work(machine, 9.0)
    earlier.close()
    assert weight(tmp_path, machine) == 9.0
    assert machine.plan.journal_s == 0.25
    scribe = begin.journalled(machine, tmp_path, anew=False, tell=told.append)
    assert scribe is not None
    scribe.abandon()
    assert weight(tmp_path, machine) == 9.0
    none = GroupMachine(resolve(load("digits", ["journal=off"]), data.describe("digits")).group("h1"))
    assert begin.journalled(none, tmp_path, anew=True, tell=told.append) is None
    assert [*tmp_path.rglob("*.journal")] == []
    assert told == []
