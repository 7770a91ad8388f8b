"""Processes that are killed, cut off, replaced while they live, or slow, and clocks that cannot be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurond import data
from tests.fault.faults import Fault, Place, injects, seeds
from tests.fault.history import check
from tests.fault.networks import build, check_books_of_the_dead, draw_disasters, draw_faults
from tests.simulated import Faults, Network
from topology.plan import SOURCE

pytestmark = pytest.mark.timeout(600)  # ten runs a block, beside whatever else the machine does


def run_through(network: Network) -> None:
    """Run to the end, and hold everything that is promised against it."""
    total = round(network.plan.source.epochs * len(data.load("digits", test=0.05).x_train))
    network.run(limit_s=200_000)
    assert [e.kind for e in network.events if e.kind == "diverged"] == []
    assert network.counters(SOURCE)["confirmed"] == total
    check_books_of_the_dead(network)
    check(network.history, total)


@injects(Place.SIMULATED, Fault.KILL_FLOOD, Fault.TWO_WAY_CUT, Fault.DROP, Fault.DELAY, Fault.REORDER, Fault.DOUBLE)
@pytest.mark.parametrize("block", seeds(3, 40))
def test_no_death_and_no_partition_hangs_or_miscounts(block: int) -> None:
    """Over 400 seeds of killed and cut off processes each stimulus is counted once, and no run hangs."""
    disasters = 0
    for seed in range(10 * block, 10 * block + 10):
        network = build(seed, draw_disasters(seed))
        try:
            run_through(network)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error
        assert network.disasters <= network.faults.most
        disasters += network.disasters
    assert disasters > 20


@pytest.mark.parametrize("settings", [{"join": "latest"}, {"join": "sum"}, {"update": "literal"}], ids=str)
def test_no_other_way_of_learning_breaks_a_promise(settings: dict[str, str]) -> None:
    """Groups that do not wait for a stimulus, or learn by traces, are killed and cut off, and all is counted once."""
    disasters = 0
    for seed in range(6):
        network = build(seed, draw_disasters(seed), lr=1e-4, **settings)
        try:
            run_through(network)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error
        disasters += network.disasters
    assert disasters > 5


@injects(Place.SIMULATED, Fault.ZOMBIE, Fault.ONE_WAY_CUT, Fault.CLOCK_JUMP, Fault.SLOW_RECEIVER, Fault.STOP)
@pytest.mark.parametrize("block", seeds(3, 40))
def test_nothing_is_believed_that_need_not_be_true(block: int) -> None:
    """Over 400 seeds of zombies, one-way partitions, leaping clocks and slow processes each stimulus counts once."""
    undead = leaps = frozen = 0
    for seed in range(10 * block, 10 * block + 10):
        rng = np.random.default_rng([seed, 3])
        zombie, one_way, leap, freeze = rng.uniform([0.5, 0, 0, 0], [1.0, 1.0, 0.02, 0.05])
        slow = {str(rng.choice(["a.0", "b", "out", SOURCE])): float(rng.choice([1, 10, 100]))}
        strange = {"zombie": zombie, "one_way": one_way, "leap": leap, "freeze": freeze, "slow": slow}
        network = build(seed, replace(draw_disasters(seed), **strange))
        try:
            run_through(network)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error
        assert network.disasters <= network.faults.most
        undead += network.undead
        leaps += network.leaps
        frozen += network.frozen
    assert min(undead, leaps, frozen) > 5


@injects(Place.SIMULATED, Fault.SLOW_RECEIVER)
@pytest.mark.parametrize("name", [SOURCE, "a.0", "b", "out"])
def test_who_is_slow_is_not_flooded(name: str) -> None:
    """What waits for a process that is a hundred times slower than the others is what the window lets through."""
    network = build(3, Faults(slow={name: 100.0}), retry=", retry: 10s", volleys=4)
    plan = network.plan
    run_through(network)
    links = 1 + max(len(group.links_in) + len(group.links_out) for group in plan.groups)
    volleys = plan.source.window // plan.source.volley
    assert network.longest[name] <= 2 * links * volleys, "more than each link can have under way"
    assert network.counters(SOURCE)["represented"] == 0


@injects(Place.SIMULATED, Fault.CLOCK_JUMP)
@pytest.mark.parametrize("name", [SOURCE, "a.0", "out"])
def test_a_clock_that_leaps_by_hours(name: str) -> None:
    """A clock that leaps ahead in full flood costs at most that what is under way is presented again."""
    network = build(4, Faults(delay_s=0.005), retry=", retry: 60s", volleys=4)
    network.run(20_000, confirmed=40)
    for _ in range(5):
        network.leap(name, 7 * 3600.0)
        network.run(20_000, confirmed=network.counters(SOURCE)["confirmed"] + 10)
    before = network.now
    run_through(network)
    assert network.counters(SOURCE)["represented"] <= (5 * network.plan.source.window if name == SOURCE else 0)
    assert network.now < before + 60.0, "nobody waits for a clock"


@injects(Place.SIMULATED, Fault.ONE_WAY_CUT)
@pytest.mark.parametrize("direction", ["hears", "heard"])
@pytest.mark.parametrize("name", [SOURCE, "a.0", "b", "out"])
def test_a_one_way_partition_heals(name: str, direction: str) -> None:
    """Cut in one direction alone for 10 s, a process is taken in again, and everything is counted once."""
    network = build(3, Faults(delay_s=0.005), retry=", retry: 500ms", volleys=2)
    network.run(20_000, confirmed=40)
    network.cut(name, 10.0, **{direction: True})
    healed = network.now + 10.0
    network.run(20_000, confirmed=network.counters(SOURCE)["confirmed"] + 40)
    # Nobody was told of it where it was heard: then it is time alone, and its longest pause, that helps.
    assert healed < network.now < healed + (SOON_S if direction == "hears" else 10.0)
    run_through(network)


@injects(Place.SIMULATED, Fault.LATE_JOIN)
@pytest.mark.parametrize("seed", seeds(3, 20))
def test_who_joins_late_finds_the_others_under_load(seed: int) -> None:
    """A process that comes without anything, long after the window has filled, learns with the others at once."""
    network = build(seed, draw_faults(seed))
    network.run(20_000, confirmed=30)
    for name in ("b", "out"):
        network.kill(name, 5.0)  # nothing is kept of it: what comes is new
        network.run(20_000, confirmed=network.counters(SOURCE)["confirmed"] + 30)
        assert network.machines[name].incarnation == 2
        assert network.counters(name)["stimuli"] > 0
    run_through(network)


SOON_S = 0.6  # two looks at what is under way, and the way there and back
AFTER = {"kill": 0.3, "cut": 10.0}  # s until a process is back


@injects(Place.SIMULATED, Fault.KILL_FLOOD, Fault.TWO_WAY_CUT)
@pytest.mark.parametrize("disaster", AFTER)
@pytest.mark.parametrize("name", [SOURCE, "a.0", "b", "out"])
def test_learning_goes_on_as_soon_as_everybody_is_back(name: str, disaster: str) -> None:
    """What was under way is presented again when a process comes back, and not only when it is due by itself."""
    network = build(3, Faults(delay_s=0.005, kill=1e-12), retry=", retry: 60s", volleys=2)
    network.run(20_000, confirmed=40)
    getattr(network, disaster)(name, AFTER[disaster])
    back = network.now + AFTER[disaster]
    network.run(20_000, confirmed=network.counters(SOURCE)["confirmed"] + 60)
    assert back < network.now < back + SOON_S
