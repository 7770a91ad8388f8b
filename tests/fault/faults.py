"""The faults that neurond is held against, and where each of them is injected.

A test says with `injects` what it injects, and into what. `python -m tests.fault.table` prints the table of that.
"""

from __future__ import annotations

from enum import Enum

import pytest

injects = pytest.mark.injects
"""``@injects(Place.PROCESSES, Fault.KILL_FLOOD, ...)``: this test injects these faults there."""


class Place(Enum):
    """Into what a fault is injected."""

    SIMULATED = "simulated"  # the machines, over a messenger of the tests, in virtual time
    MACHINES = "machines"  # one machine, or what reads bytes, by itself
    PROCESSES = "processes"  # real processes, over ipc or over tcp through the proxy of the tests
    CONTAINERS = "containers"


class Fault(Enum):
    """A fault, and in one line what it is."""

    DROP = "frames are lost"
    DELAY = "frames take long"
    REORDER = "frames overtake one another"
    DOUBLE = "frames come twice"
    KILL_IDLE = "SIGKILL of a process that waits"
    KILL_FLOOD = "SIGKILL of a process in full flood"
    KILL_SAVING = "SIGKILL of a process in the middle of a checkpoint"
    STOP = "SIGSTOP for longer than a process may be silent, then SIGCONT"
    ZOMBIE = "a process that was replaced goes on sending, as the incarnation that it was"
    BUSY_LOOP = "a loop that turns and does no work"
    CRASH_LOOP = "a process that dies at each start"
    SUPERVISOR_KILLED = "SIGKILL of the process that started all others"
    BROKER_KILLED = "SIGKILL of the broker, and another in its place"
    TWO_OF_A_NAME = "two processes under one name"
    STALE_SOCKET = "the ipc file of a process that died is in the way"
    PORT_IN_USE = "the port is another program's"
    START_ORDER = "processes are started in any order"
    ONE_WAY_CUT = "a process is heard and hears nothing, or the other way round"
    TWO_WAY_CUT = "a process is cut off from all others, then the cut heals"
    RESET = "connections are reset, again and again"
    HALF_OPEN = "a connection whose other end is gone and never said so"
    BANDWIDTH = "a link carries few bytes a second"
    MOVED = "a peer comes back at another address"
    SLOW_RECEIVER = "a process is a hundred times slower than the others"
    LATE_JOIN = "a process joins late, when the others are under load"
    CLOCK_JUMP = "the clock stands still, or leaps ahead by hours (a monotonic one never goes back)"
    FULL_DISK = "no room is left on the disk"
    BAD_CHECKPOINT = "a checkpoint is cut short or damaged"
    BAD_JOURNAL = "a journal is cut short or damaged"
    FEW_FILES = "no more files can be opened"
    FUZZ = "frames of random, changed, cut and spliced bytes"
    OVERSIZED = "frames larger than any may be"
    FOREIGN = "frames of another program, or of another version"
    FORGED = "well-formed frames that lie"
    WRONG_KEYS = "no key, another's key, a key that nobody knows"
    SLOW_MONITOR = "a monitor that reads slowly, or not at all"


def seeds(fast: int, full: int) -> list[object]:
    """Parameters 0 to `full` - 1 of a test; those from `fast` on are left to `make faults`."""
    return [pytest.param(seed, marks=[pytest.mark.faults] if seed >= fast else []) for seed in range(full)]
