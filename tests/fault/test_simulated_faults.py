"""The machines under a faulty messenger: nothing hangs, nothing is counted twice, every loss is in the books."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurond import data
from neurond.group import GroupMachine
from neurond.links import Inbound
from neurond.machine import Machine
from neurond.source import SourceMachine
from tests.simulated import Faults, Network
from topology import wire
from topology.load import loads
from topology.plan import SOURCE, Plan
from topology.resolve import DataShape, resolve

TOPOLOGY = """
neurond: 1
name: faulty
seed: {seed}
source: {{data: digits, epochs: 0.1, test: 0.05, window: {window}, volley: {volley}, opening: 100{retry}}}
groups:
  a: {{size: 12, neuron: relu, shards: 2{memory}}}
  b: {{size: 9, neuron: tanh}}
  c: {{size: 8, neuron: relu}}
  out: {{size: 10, neuron: linear}}
loss: {{reads: out, kind: cross-entropy, notify: {loss_rule}}}
defaults:
  group: {{optimizer: {{kind: sgd, lr: 0.05}}, update: {{rule: threshold, threshold: 0.001}}}}
  link: {{notify: {rule}}}
links: {{source -> a: , a -> b: , a -> c: , b -> out: , c -> out: , source -> out: }}
"""
RULES = ("stochastic", "exact", "drop", "residual", "quantum")


def notify(rule: str, threshold: float) -> str:
    """A rule as YAML; one that has no threshold must not be given one."""
    return "{rule: exact}" if rule == "exact" else f"{{rule: {rule}, threshold: {threshold}}}"


def build(seed: int, faults: Faults, retry: str = ", retry: 500ms", volleys: int | None = None) -> Network:
    """A network whose volleys, window (in volleys, if not given) and rules the seed draws."""
    rng = np.random.default_rng(seed)
    volley = int(rng.choice([1, 4, 16]))
    text = TOPOLOGY.format(
        seed=seed,
        volley=volley,
        window=volley * (volleys or int(rng.choice([1, 2, 4]))),
        retry=retry,
        rule=notify(RULES[seed % len(RULES)], 0.05),
        memory=", memory: 128" if seed % 3 == 0 else "",
        loss_rule=notify(RULES[seed // 5 % len(RULES)], 0.2),
    )
    examples = data.load("digits", test=0.05)
    shape = DataShape(64, 10, 1, len(examples.x_train), len(examples.x_test))
    return Network(resolve(loads(text), shape), examples, seed, faults)


def draw_faults(seed: int) -> Faults:
    """Every fourth run has clean links; the others have some of everything."""
    if seed % 4 == 0:
        return Faults(delay_s=0.01)
    rng = np.random.default_rng([seed, 1])
    drop, double, reorder, delay, stall = rng.uniform(0, [0.1, 0.1, 0.3, 0.05, 0.002])
    return Faults(drop, double, reorder, delay, stall=stall, stall_s=1.5)  # three times as long as `retry`


def inbounds(machine: Machine) -> list[Inbound]:
    """Every receiving end of a process."""
    if isinstance(machine, GroupMachine):
        ends = [*machine._spikes_in, *machine._errors_in]
        return ends if machine._readout is None else [*ends, machine._readout.targets_in]
    assert isinstance(machine, SourceMachine)
    return [*machine._closes_in, machine._confirms_in]


def check_books(network: Network) -> None:
    """Every frame is accounted for, and nothing is remembered that should not be."""
    plan = network.plan
    # sent + doubled = handled + refused as not in order + dropped, for each pair of processes
    taken: dict[tuple[str, str], int] = {}
    for name, machine in network.machines.items():
        for link, counted in machine.telemetry(network.now).links.items():
            pre, post = (end.strip() for end in link.split("->"))
            post = plan.source.readout if post == "loss" else post
            pair = (post, pre) if name == pre else (pre, post)
            taken[pair] = taken.get(pair, 0) + counted["received"] + counted["duplicates"]
            assert counted["fenced"] == 0
        assert network.counters(name)["wire_errors"] == 0
    for pair, sent in network.sent.items():
        assert sent + network.doubled[pair] == taken[pair] + network.dropped[pair], pair

    # gaps: all that was sent before the last frame that was taken, and did not come in its turn
    for name, machine in network.machines.items():
        for inbound in inbounds(machine):
            assert inbound.received + inbound.gaps == inbound.expected, name

    for name, group in network.groups.items():
        counters = network.counters(name)
        assert len(group.memory) <= group.plan.memory
        if network.faults.drop == 0:
            assert counters["late"] == counters["expired"] == 0
            assert len(group.memory) == 0, f"{name} never forgot {len(group.memory)} stimuli"
            assert counters["stimuli"] == network.counters("source")["presented"]


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


def draw_disasters(seed: int) -> Faults:
    """Processes are killed and cut off in the course of a run, beside all that a messenger can do."""
    rng = np.random.default_rng([seed, 2])
    messenger = draw_faults(seed)
    kill, down, cut, cut_for, journal, news = rng.uniform(0, [0.1, 1.0, 0.1, 3.0, 1.0, 0.1])
    disasters = {"kill": kill, "down_s": down, "cut": cut, "cut_s": cut_for, "journal_s": journal, "news_s": news}
    # Slow enough for a run to last some seconds.
    return replace(messenger, **disasters, delay_s=messenger.delay_s + 0.02)


def check_books_of_the_dead(network: Network) -> None:
    """Every frame is accounted for, whoever was killed: handled, refused, dropped on the way, or lost in a death."""
    handled = refused = 0
    for machine in (*network.machines.values(), *network.buried):
        told = machine.telemetry(network.now)
        handled += sum(counted["received"] + counted["duplicates"] for counted in told.links.values())
        refused += told.counters["fenced"]
        assert told.counters["wire_errors"] == 0
        for inbound in inbounds(machine):
            assert inbound.received + inbound.gaps == inbound.over + inbound.expected, machine.name
    came = sum(network.sent.values()) + sum(network.doubled.values()) - sum(network.dropped.values())
    assert came == handled + refused + network.lost_in_death
    for name, group in network.groups.items():
        assert len(group.memory) <= group.plan.memory, name


@pytest.mark.parametrize("block", range(20))
def test_no_death_and_no_partition_hangs_or_miscounts(block: int) -> None:
    """Over 200 seeds of killed and cut off processes each stimulus is counted once, and no run hangs."""
    examples, disasters = data.load("digits", test=0.05), 0
    for seed in range(10 * block, 10 * block + 10):
        network = build(seed, draw_disasters(seed))
        total = round(network.plan.source.epochs * len(examples.x_train))
        try:
            network.run(limit_s=20_000)
            source = network.counters("source")
            assert [e.kind for e in network.events if e.kind == "diverged"] == []
            assert source["confirmed"] == total
            assert source["presented"] >= total
            check_books_of_the_dead(network)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error
        disasters += network.disasters
    assert disasters > 20


SOON_S = 0.6  # two looks at what is under way, and the way there and back
AFTER = {"kill": 0.3, "cut": 10.0}  # s until a process is back


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
