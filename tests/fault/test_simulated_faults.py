"""The machines under a faulty messenger: nothing hangs, nothing is counted twice, every loss is in the books."""

from __future__ import annotations

import numpy as np
import pytest

from neurond import data
from tests.fault.faults import Fault, Place, injects
from tests.fault.history import check
from tests.fault.networks import build, check_books, draw_faults, inbounds
from tests.simulated import Faults, Network
from topology import wire
from topology.plan import SOURCE, Plan


@injects(Place.SIMULATED, Fault.DROP, Fault.DELAY, Fault.REORDER, Fault.DOUBLE)
@pytest.mark.parametrize("block", range(20))
def test_no_fault_of_the_messenger_hangs_or_miscounts(block: int) -> None:
    """Over 200 seeds of drops, delays, reordering and duplicates each stimulus is counted once and no run hangs."""
    examples = data.load("digits", test=0.05)
    for seed in range(10 * block, 10 * block + 10):
        network = build(seed, draw_faults(seed))
        total = round(network.plan.source.epochs * len(examples.x_train))
        try:
            network.run(limit_s=20_000)
            source = network.counters("source")
            assert [e.kind for e in network.events if e.kind in ("finished", "diverged")] == ["finished"]
            assert source["confirmed"] == source["presented"] == total
            assert source["eval_stimuli"] == len(examples.x_test)
            check_books(network)
            network.history.clean = network.faults.drop == 0
            check(network.history, total)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error


def forged(plan: Plan, seq: int) -> list[tuple[str, bytes]]:
    """A frame for every end of every link that is as it should be but for its number, and whom it is for."""
    one, yes = np.array([0]), np.array([True])
    link, taught = plan.source.confirms, (1, True, one)
    loss, target = np.zeros(1, np.float32), np.zeros((1, plan.source.targets), np.float32)
    frames = [
        (plan.source.readout, wire.encode(wire.Targets(link, 1, 1, seq, *taught, target))),
        (SOURCE, wire.encode(wire.Confirms(link, 1, 1, seq, *taught, loss, yes, yes))),
    ]
    for group in plan.groups:
        for link_in in group.links_in:
            spikes = wire.Spikes(link_in.index, 1, 1, seq, *taught, np.ones((1, link_in.n_pre), np.float32))
            closes = wire.Closes(link_in.index, 1, 1, seq, 1, one)
            frames += [(group.name, wire.encode(spikes)), (link_in.pre, wire.encode(closes))]
    return frames


@injects(Place.SIMULATED, Fault.FORGED)
@pytest.mark.parametrize("seed", range(10))
def test_a_false_number_on_every_link_holds_nothing_up(seed: int) -> None:
    """With one volley under way and the default retry, forged numbers far ahead cost neither a stimulus nor time."""
    clean, lied_to = (build(seed, Faults(delay_s=0.01), retry="", volleys=1) for _ in range(2))
    clean.run(20_000)
    for k, (to, frame) in enumerate(forged(lied_to.plan, 50_000)):
        lied_to.forge(clean.now * (0.2 + 0.01 * k), to, frame)
    lied_to.run(20_000)
    ends = [inbound for machine in lied_to.machines.values() for inbound in inbounds(machine)]
    assert lied_to.now < clean.now + 1.0
    assert lied_to.counters(SOURCE)["confirmed"] == clean.counters(SOURCE)["confirmed"] > 100
    assert sum(inbound.duplicates for inbound in ends) == len(forged(lied_to.plan, 0)) == len(ends), "not all came"
    assert lied_to.counters(SOURCE)["represented"] == 0
    assert all(inbound.gaps == 0 for inbound in ends)


@injects(Place.SIMULATED, Fault.FORGED)
@pytest.mark.parametrize("far", [2**33, 2**40, 2**62])
def test_stimuli_that_nobody_presented_end_no_group(far: int) -> None:
    """Forged spikes of ids that no frame could hold beside the true ones cost a count, and the run ends as ever."""
    clean, network = (build(3, Faults()) for _ in range(2))
    clean.run(20_000)
    for group in network.plan.groups:
        for link in group.links_in:
            one = np.ones((1, link.n_pre), np.float32)
            for k in range(8):
                lie = wire.Spikes(link.index, 1, 1, 500_000 + k, 1, True, np.array([far + k]), one)
                network.forge(clean.now / 3, group.name, wire.encode(lie))
    network.run(20_000)
    counters = network.counters(SOURCE)
    assert [e.kind for e in network.events if e.kind in ("finished", "diverged")] == ["finished"]
    assert counters["confirmed"] == counters["presented"] > 100


def test_the_same_seed_gives_the_same_run() -> None:
    """Two runs of one seed end with equal weights to the last bit: the machines hide no randomness and no clock."""
    faults = Faults(drop=0.03, double=0.03, reorder=0.1, delay_s=0.02)
    first, second = build(7, faults), build(7, faults)
    first.run(20_000)
    second.run(20_000)
    for name, weights in first.weights().items():
        for key, w in weights.items():
            np.testing.assert_array_equal(w, second.weights()[name][key])
    assert first.counters("source") == second.counters("source")


@pytest.mark.parametrize("seed", range(12))
def test_a_saved_run_goes_on_with_every_stimulus_counted_once(seed: int) -> None:
    """Saved in mid-flood and taken up by new machines, an epoch still counts each of its stimuli once."""
    first = build(seed, draw_faults(seed))
    total = round(first.plan.source.epochs * len(data.load("digits", test=0.05).x_train))
    first.run(20_000, confirmed=total // 3 + seed)
    done = first.counters("source")["confirmed"]
    assert 0 < done < total

    second = Network(first.plan, data.load("digits", test=0.05), seed, first.faults, incarnation=2)
    for name, machine in second.machines.items():
        machine.restore(first.machines[name].state())
    assert second.counters("source")["confirmed"] == done
    second.run(20_000)

    assert second.counters("source")["confirmed"] == total
    outcome = next(e for e in second.events if e.kind == "finished")
    assert outcome.data["stimuli"] == total
