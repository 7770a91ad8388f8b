"""What of a machine outlives its process, and how the next one goes on from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from neurond import data
from neurond.changes import fingerprint
from neurond.group import GroupMachine
from neurond.machine import Action, Send, Start, State
from neurond.source import SourceMachine
from tests.simulated import Network
from topology import wire
from topology.load import load
from topology.plan import SOURCE, Plan
from topology.resolve import resolve
from topology.wire import EVALUATION, IDS


@pytest.fixture(scope="module")
def examples() -> data.Dataset:
    """The embedded digits."""
    return data.load("digits")


def planned(*settings: str) -> Plan:
    """Two epochs of digits."""
    return resolve(load("digits", ["source.epochs=2", *settings]), data.describe("digits"))


def kept(state: State) -> State:
    """A copy, as a journal has one."""
    return {name: array.copy() for name, array in state.items()}


def same(a: State, b: State) -> bool:
    """Equal to the last bit."""
    return a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() and a[k].dtype == b[k].dtype for k in a)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adagrad", "rmsprop", "adam"])
@pytest.mark.parametrize("rule", ["always", "every", "threshold"])
def test_a_group_goes_on(examples: data.Dataset, optimizer: str, rule: str) -> None:
    """The next process has the same weights and counts; the learning rate goes on, and nothing is held back yet."""
    settings = [f"defaults.group.optimizer.kind={optimizer}", "defaults.group.optimizer.schedule=cosine"]
    settings += [f"defaults.group.update={{rule: {rule}{', every: 7' if rule == 'every' else ''}}}"]
    plan = planned(*settings, "defaults.group.optimizer.lr=0.01")
    network = Network(plan, examples, seed=3)
    network.run(confirmed=700)
    for group in plan.groups:
        before, after = network.groups[group.name], GroupMachine(group, incarnation=2)
        fresh = after.state()
        assert fingerprint(group.name, before.durable()) == fingerprint(group.name, after.durable())
        after.recover(kept(before.durable()))
        assert same(before.durable(), after.durable())
        for name, array in after.state().items():
            if name.startswith("w.") and "/" in name:
                assert np.array_equal(array, fresh[name]), name
            elif name.startswith(("w.", "b")):
                assert np.array_equal(array, before.state()[name]), name
                assert not np.array_equal(array, fresh[name]), name
        assert after.dendrites.learning_rate() == before.dendrites.learning_rate() != group.optimizer.lr
        assert after.dendrites.share(0.01) == before.dendrites.share(0.01) < 1
        assert after.dendrites.finite
        seen, told = after.telemetry(0).counters, before.telemetry(0).counters
        own = ("gaps", "duplicates", "fenced")
        assert {k: v for k, v in seen.items() if k not in own} == {k: v for k, v in told.items() if k not in own}


def test_durable_costs_no_copy(examples: data.Dataset) -> None:
    """Weights are handed out as they lie in memory: whoever looks at them twice sees them change."""
    plan = planned()
    network = Network(plan, examples)
    durable = network.groups["h1"].durable()
    before = kept(durable)
    network.run(confirmed=500)
    assert not np.array_equal(durable["w.source"], before["w.source"])
    assert same(durable | {"w.source": before["w.source"]}, before)  # all else is a copy, and small
    assert sum(array.nbytes for name, array in durable.items() if not name.startswith("w.")) < 1000


def test_a_whole_network_goes_on(examples: data.Dataset) -> None:
    """All processes die and go on from their journals: every stimulus of the run counts once, and it still learns."""
    plan = planned("source.epochs=6")
    first = Network(plan, examples, seed=1)
    first.run(confirmed=3000)
    second = Network(plan, examples, seed=2, incarnation=2)
    for name, machine in second.machines.items():
        machine.recover(kept(first.machines[name].durable()))
    second.run()
    total = 6 * len(examples.x_train)
    counted = second.counters(SOURCE)
    assert counted["confirmed"] == total
    (finished,) = (e for e in second.events if e.kind == "finished")
    assert finished.data["stimuli"] == total
    assert finished.data["test_accuracy"] > 0.9
    assert not any(e.kind == "diverged" for e in second.events)


def test_the_source_goes_on_from_an_old_journal(examples: data.Dataset) -> None:
    """What it had presented since then is presented again as new: no peer takes it for what it has seen."""
    plan = planned()
    network = Network(plan, examples, seed=4)
    network.run(confirmed=800)
    old = kept(network.source.durable())
    network.run(confirmed=1400)
    network.journals[SOURCE] = old
    network.kill(SOURCE, down_s=0.1)
    network.run()
    assert network.source.incarnation == 2
    assert network.counters(SOURCE)["confirmed"] == 2 * len(examples.x_train)
    # Only what a lost frame has made the source present twice has been seen before.
    assert network.counters("out")["seen_again"] <= network.counters(SOURCE)["represented"] < 100


def ids(actions: Sequence[Action]) -> dict[bool, set[int]]:
    """The ids of the spikes in what a source wants sent, by whether they teach."""
    found: dict[bool, set[int]] = {True: set(), False: set()}
    for action in actions:
        assert isinstance(action, Send)
        message = wire.decode(action.frame)
        if isinstance(message, wire.Spikes):
            found[message.teach] |= set(message.ids.tolist())
    return found


def test_ids_of_incarnations(examples: data.Dataset) -> None:
    """Each incarnation of the source has ids of its own, for training and for evaluation, and all fit on the wire."""
    plan = planned("source.opening=0")
    seen: list[dict[bool, set[int]]] = []
    for incarnation in (1, 2, 3, 1000):
        source = SourceMachine(plan.source, examples, incarnation)
        source._evaluation.ask()
        seen.append(ids(source.handle(Start(), 0.0)))
    assert all(one[True] and one[False] for one in seen)
    for n, one in enumerate(seen):
        assert max(one[True]) < EVALUATION <= min(one[False])
        assert all(one[teach].isdisjoint(other[teach]) for other in seen[n + 1 :] for teach in (True, False))
    assert min(seen[0][True]) == 0
    assert min(seen[1][True]) == IDS


def test_the_watch_over_the_loss_goes_on(examples: data.Dataset) -> None:
    """The next readout measures the loss by what it was at the start of the run, not by what it is now."""
    plan = planned()
    network = Network(plan, examples)
    network.run(confirmed=2000)
    readout = network.groups["out"]
    first = readout.durable()["loss"][0]
    assert first > 1.5 > network.source.telemetry(0).gauges["loss"]
    after = GroupMachine(readout.plan, incarnation=2)
    assert np.isnan(after.durable()["loss"][0])
    after.recover(kept(readout.durable()))
    assert after.durable()["loss"][0] == first
    after.recover(kept(GroupMachine(readout.plan).durable()))  # of one that had not seen a loss yet
    assert after._readout is not None


@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
def test_the_window_opens_anew(examples: data.Dataset, name: str) -> None:
    """Who comes back may be far behind the others: few stimuli are under way until that has been learned again."""
    plan = planned("source.opening=800")
    network = Network(plan, examples)
    assert network.source.telemetry(0).gauges["window"] == plan.source.volley
    network.run(confirmed=1000)
    assert network.source.telemetry(0).gauges["window"] == plan.source.window
    network.journals[name] = kept(network.machines[name].durable())
    network.kill(name, down_s=0.1)
    while network.machines[name].incarnation == 1:
        network.run(confirmed=network.counters(SOURCE)["confirmed"] + 1)
    begun = network.counters(SOURCE)["confirmed"]
    assert network.source.telemetry(0).gauges["window"] < plan.source.window / 2
    network.run(confirmed=begun + 800)
    assert network.source.telemetry(0).gauges["window"] == plan.source.window


@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
def test_of_another_plan(examples: data.Dataset, name: str) -> None:
    """What does not fit is refused with ValueError, and nothing of it is taken up."""
    plan = planned()
    network = Network(plan, examples)
    network.run(confirmed=300)
    machine = network.machines[name]
    durable = kept(machine.durable())
    foreign: list[dict[str, Any]] = [{"counters": np.zeros(3, np.int64)}]
    if name == SOURCE:
        foreign.append({"again": np.array([len(examples.x_train)])})
    else:
        weights = [k for k in durable if k.startswith("w.")][-1]
        foreign += [{weights: np.zeros((3, 3), np.float32)}, {weights: durable[weights].astype(np.float64)}]
        foreign += [{"count": np.zeros(2, np.int64)}]
    for change in foreign:
        with pytest.raises(ValueError, match=r"another version|other data|is \("):
            machine.recover({k: np.ones_like(v) for k, v in durable.items()} | change)
        assert same(machine.durable(), durable)
