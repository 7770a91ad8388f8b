"""The note's own rule: what connections gather and tell, and that the network's promises hold with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from neurond import data
from neurond.dendrites import Dendrites
from neurond.literal import Literal, gathering
from neurond.memory import Memory
from neurond.neurons import make_neuron
from tests.fault.history import check
from tests.fault.networks import build, check_books, draw_faults
from tests.plans import group_plan
from tests.simulated import Faults, Network
from tests.twin import Twin
from tests.unit.test_exact import STIMULI, make, whole_weights
from tests.zoo import plan_of
from topology.plan import SOURCE, GroupPlan, LinkPlan, OptimizerPlan, UpdatePlan

SIZE, PRE, LR = 5, 7, 0.1


def plan(threshold: float, trace: float = 0.0) -> GroupPlan:
    """A group of linear neurons with one link in."""
    link = LinkPlan(0, "p", "g", PRE, "p", 0, PRE)
    update = UpdatePlan("literal", threshold=threshold, trace=trace)
    optimizer = OptimizerPlan("sgd", LR, 1)
    return group_plan("g", (0, SIZE, SIZE), "linear", (link,), update=update, optimizer=optimizer)


def fire(literal: Literal, memory: Memory, first: int, x: np.ndarray) -> slice:
    """Some stimuli come and fire; returns their slots."""
    slots, _ = memory.arrive(0, np.arange(first, first + len(x)), 1, x.astype(np.float32))
    assert isinstance(slots, slice)
    literal.fire(memory, slots)
    return slots


@pytest.mark.parametrize("threshold", [0.05, 0.5])
def test_every_error_is_told_once_through_every_connection(threshold: float) -> None:
    """Told = weight x what was taken in since the connection last moved; the rest is held. By hand, one by one."""
    rng = np.random.default_rng(0)
    p = plan(threshold)
    dendrites, literal = Dendrites(gathering(p)), Literal(p, make_neuron("linear"))
    memory = Memory(64, SIZE, [PRE], 1)
    w = dendrites.state()["w.p"].astype(np.float64)
    gathered, held = np.zeros((SIZE, PRE)), np.zeros((SIZE, PRE))
    moves = 0
    for n in range(200):
        x = np.where(rng.random(PRE) < 0.4, 0, rng.normal(size=PRE)).astype(np.float32)
        memory.forget(fire(literal, memory, n, x[None]))
        e = rng.normal(size=(3, SIZE)).astype(np.float32)  # of stimuli that fired before; only their sum matters
        (told,) = literal.learn(dendrites, e)
        d = e.sum(axis=0)
        gathered -= LR * np.outer(d, x)
        held += np.outer(d, x != 0)
        moved = np.abs(gathered) > threshold
        np.testing.assert_allclose(told, (w * held * moved).sum(axis=0), atol=1e-3)
        w += gathered * moved
        gathered[moved] = held[moved] = 0
        moves += int(moved.sum())
        np.testing.assert_allclose(literal.held[0], held, atol=1e-3)
        np.testing.assert_allclose(dendrites.state()["w.p"], w, atol=1e-4)
    assert 0 < moves < 200 * SIZE * PRE / 2


def test_a_trace_keeps_its_share_with_every_stimulus() -> None:
    """T <- trace t + (1 - trace) x, stimulus by stimulus, whatever volleys they come in; errors meet the last."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(9, PRE))
    ends = []
    for parts in ([9], [1] * 9, [4, 5]):
        p = plan(0.0, trace=0.75)
        dendrites, literal, memory = (
            Dendrites(gathering(p)),
            Literal(p, make_neuron("linear")),
            Memory(32, SIZE, [PRE], 1),
        )
        at = 0
        for n in parts:
            fire(literal, memory, at, x[at : at + n])
            at += n
        before = dendrites.state()
        literal.learn(dendrites, np.eye(SIZE, dtype=np.float32)[:1])
        after = dendrites.state()
        ends.append((before["w.p"] - after["w.p"])[0] / LR)
        np.testing.assert_allclose(before["b"] - after["b"], LR * np.eye(SIZE)[:, :1], atol=1e-6)
    trace = np.zeros(PRE)
    for row in x:
        trace = 0.75 * trace + 0.25 * row
    np.testing.assert_allclose(ends, [trace] * 3, atol=1e-5)


def test_with_one_stimulus_under_way_and_no_threshold_a_chain_is_gradient_descent() -> None:
    """After 500 stimuli every weight is that of the NumPy reference to 1e-5."""
    made, examples = make("chain")
    rule = UpdatePlan("literal", threshold=0.0)
    made = replace(made, groups=tuple(replace(group, update=rule) for group in made.groups))
    network = Network(made, examples, seed=3)
    network.run()
    twin = Twin(made)
    twin.train(examples, batch=1, stimuli=STIMULI, lr=lambda _: 0.02)
    for post, links in twin.w.items():
        for pre, expected in links.items():
            got = whole_weights(network.groups, post, pre, twin)
            np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0, err_msg=f"{pre} -> {post}")


def test_what_nothing_crosses_is_not_told_and_yet_closed() -> None:
    """With T out of reach no weight moves and nobody is notified, and every stimulus is closed by everybody."""
    settings = ("defaults.group.update.rule=literal", "defaults.group.update.threshold=1000", "source.epochs=0.2")
    network = Network(plan_of("digits", *settings), data.load("digits"), 1)
    before = network.weights()
    network.run()
    for name, weights in network.weights().items():
        for key, w in weights.items():
            np.testing.assert_array_equal(w, before[name][key])
        counters = network.counters(name)
        assert counters["updates"] == counters["late"] == counters["expired"] == len(network.groups[name].memory) == 0
    assert network.counters("h2")["notifications"] == 0
    assert network.counters(SOURCE)["represented"] == network.counters(SOURCE)["unclosed"] == 0


def test_digits_are_learned_with_one_stimulus_under_way() -> None:
    """Three epochs with T = 0.001, one stimulus at a time, and far fewer updates than stimuli times weights."""
    rule = ("defaults.group.update.rule=literal", "defaults.group.update.threshold=0.001", "loss.notify.rule=exact")
    alone = ("source.window=1", "source.volley=1", "defaults.group.optimizer.lr=0.01", "source.epochs=3")
    network = Network(plan_of("digits", *rule, *alone), data.load("digits"), 1)
    network.run()
    assert next(e for e in network.events if e.kind == "finished").data["test_accuracy"] > 0.9
    counters = network.counters("h1")
    assert counters["updates"] < 0.1 * counters["updates_dense"]


@pytest.mark.parametrize("block", range(2))
def test_no_fault_of_the_messenger_hangs_or_miscounts(block: int) -> None:
    """Of any seed of drops, delays, reordering and duplicates each stimulus counts once, and the books are right."""
    examples = data.load("digits", test=0.05)
    for seed in range(10 * block, 10 * block + 10):
        network = build(seed, draw_faults(seed), update="literal", lr=0.01)
        total = round(network.plan.source.epochs * len(examples.x_train))
        try:
            network.run(limit_s=20_000)
            assert network.counters(SOURCE)["confirmed"] == network.counters(SOURCE)["presented"] == total
            check_books(network)
            network.history.clean = network.faults.drop == 0
            check(network.history, total)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, {network.faults}: {error}") from error


def test_what_is_held_is_saved() -> None:
    """A checkpoint has what connections have yet to tell; one of another shape is refused."""
    settings = ("defaults.group.update.rule=literal", "source.epochs=0.2")
    network = Network(plan_of("digits", *settings), data.load("digits"), 1, Faults())
    network.run()
    first = network.groups["h2"]
    state = first.state()
    assert np.count_nonzero(state["literal.h1"])
    other = Network(network.plan, data.load("digits"), 2, Faults()).groups["h2"]
    other.restore(state)
    np.testing.assert_array_equal(other.state()["literal.h1"], state["literal.h1"])
    with pytest.raises(ValueError, match=r"the checkpoint has no 'literal\.h1' of"):
        other.restore({**state, "literal.h1": np.zeros((2, 2), np.float32)})
