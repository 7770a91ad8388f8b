"""Real processes over tcp, each connection through a proxy that delays, starves, resets and cuts it off."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.faults import Fault, Place, injects
from tests.fault.proxy import UP
from tests.fault.tcp import Network, network
from tests.waiting import DEADLINE_S, comes
from topology.plan import SOURCE

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 as its loopback"),
]
FULL = pytest.mark.faults
GONE_S = 10.0
"""Seconds of a partition: longer than a process may be silent."""
HEALED_S = 6.0
"""Seconds after a partition in which stimuli are confirmed again, on however busy a machine."""


@injects(Place.PROCESSES, Fault.TWO_WAY_CUT, Fault.HALF_OPEN)
@pytest.mark.parametrize("name", ["h1", pytest.param("out", marks=FULL), pytest.param(SOURCE, marks=FULL)])
async def test_a_partition_heals_by_itself(tmp_path: Path, name: str) -> None:
    """A process that was cut off from everybody for 10 s learns again soon after, by itself, as who it was."""
    async with network(tmp_path) as run:
        await run.goes_on()
        run.cut(name, "hears", "says")
        await comes(lambda: f"{name} lost: no beat for 3 s" in run.said("broker"), "it is missed")
        await asyncio.sleep(GONE_S - 4.0)  # of the fault
        at = run.confirmed
        run.heal()
        run.over(f"a partition of {name}", HEALED_S)
        await comes(lambda: run.confirmed > at, "learning again")
        await run.goes_on()
        assert run.history.last()[name].incarnation == 1
        summary = await run.end()
    assert summary["test_accuracy"] > 0.5


@injects(Place.PROCESSES, Fault.ONE_WAY_CUT)
@FULL
@pytest.mark.parametrize("direction", ["hears", "says"])
@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
async def test_a_one_way_partition_heals_by_itself(tmp_path: Path, name: str, direction: str) -> None:
    """A process that hears nobody, or that nobody hears, for 10 s, learns again soon after."""
    async with network(tmp_path) as run:
        await run.goes_on()
        run.cut(name, direction)
        await asyncio.sleep(GONE_S)  # of the fault
        run.heal()
        run.over(f"a partition in which {name} {direction} nothing", HEALED_S)
        await run.goes_on()
        await run.end()


def delayed(run: Network) -> None:
    """Everything takes 50 ms there and as long back."""
    for proxies in run.proxies.values():
        for proxy in proxies:
            proxy.behave(delay_s=0.05)


def starved(run: Network) -> None:
    """A group's inbox takes 100 KB a second."""
    run.proxies["h1"][0].behave(UP, bytes_per_s=1e5)


def reset(run: Network) -> None:
    """Every connection to the inboxes is reset."""
    for name in ("h1", "h2", "out", SOURCE):
        run.proxies[name][0].reset()


def swallowed(run: Network) -> None:
    """What goes to a group is taken and thrown away."""
    run.proxies["h2"][0].behave(UP, swallow=True)


def refused(run: Network) -> None:
    """Nobody gets a connection to the readout."""
    run.proxies["out"][0].refuse()


def unheard(run: Network) -> None:
    """The broker is cut off from everybody; the spikes are not."""
    for proxy in run.proxies["broker"]:
        proxy.behave(hold=True)


@injects(Place.PROCESSES, Fault.DELAY, Fault.BANDWIDTH, Fault.RESET, Fault.DROP, Fault.TWO_WAY_CUT)
@FULL
@pytest.mark.parametrize("fault", [delayed, starved, reset, swallowed, refused, unheard], ids=lambda f: f.__name__)
async def test_a_bad_network(tmp_path: Path, fault: Callable[[Network], None]) -> None:
    """Slow, starved, reset and swallowing connections cost time; every stimulus counts once, and it recovers."""
    async with network(tmp_path) as run:
        for _ in range(3):
            await run.goes_on()
            fault(run)
            await asyncio.sleep(2.0)  # of the fault
            run.heal()
            run.over(fault.__name__, HEALED_S)
        await run.goes_on()
        await run.end()


@injects(Place.PROCESSES, Fault.MOVED, Fault.LATE_JOIN)
@FULL
@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
async def test_back_at_another_address(tmp_path: Path, name: str) -> None:
    """A process that was killed under load, and comes back late and elsewhere, is found there by all."""
    async with network(tmp_path) as run:
        await run.goes_on()
        before = run.proxies[name][0].port
        run.processes[name].kill()
        run.processes[name].wait()
        await asyncio.sleep(3.0)  # the others wait, with all that is under way
        run.start(name)
        assert run.proxies[name][0].port != before
        run.over(f"{name} at another address", HEALED_S + 3.0)  # as long as a name may stay with one who is silent
        await run.goes_on()
        assert run.history.last()[name].incarnation == 2
        await run.end()


@injects(Place.PROCESSES, Fault.ZOMBIE)
@FULL
@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
async def test_a_zombie(tmp_path: Path, name: str) -> None:
    """Who was stopped, replaced, and goes on is heard by nobody, and leaves when it is told that its time is over."""
    async with network(tmp_path) as run:
        await run.goes_on()
        zombie = run.processes[name]
        zombie.send_signal(signal.SIGSTOP)
        await comes(lambda: f"{name} lost: no beat for 3 s" in run.said("broker"), "it is missed")
        run.start(name, log=f"{name}-2")
        await run.goes_on()
        zombie.send_signal(signal.SIGCONT)
        run.over(f"the return of {name}", HEALED_S)
        assert await asyncio.to_thread(zombie.wait, DEADLINE_S) == 1
        assert f"incarnation 1 of '{name}' is over: 2 took its place" in run.said(name)
        del run.processes[name]
        await run.goes_on()
        assert run.history.last()[name].incarnation == 2
        await run.end()


@injects(Place.PROCESSES, Fault.TWO_OF_A_NAME)
@FULL
@pytest.mark.parametrize("name", ["h1", SOURCE])
async def test_two_of_a_name(tmp_path: Path, name: str) -> None:
    """A second process under a name that is held is refused in words, and the first never notices."""
    async with network(tmp_path) as run:
        await run.goes_on()
        second = run.start(name, log="second")
        assert await asyncio.to_thread(second.wait, DEADLINE_S) == 1
        assert f"name '{name}' is taken by pid {run.processes[name].pid}" in run.said("second")
        del run.processes["second"]
        run.over("a second of its name", 1.0 + HEALED_S)
        await run.goes_on()
        assert run.history.last()[name].incarnation == 1
        await run.end()


@injects(Place.PROCESSES, Fault.SLOW_RECEIVER)
@FULL
async def test_a_receiver_that_is_slow(tmp_path: Path) -> None:
    """A group that runs for a hundredth of the time is waited for, and what waits for it is bounded."""
    async with network(tmp_path) as run:
        await run.goes_on()
        slow = run.processes["h2"]
        end = time.monotonic() + 8.0
        while time.monotonic() < end:
            slow.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.198)
            slow.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.002)
        run.over("a slow receiver", HEALED_S)
        await run.goes_on()
        await run.end()
