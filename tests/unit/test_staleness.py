"""What a group does against staleness: it looks ahead when it fires, and corrects the gradients that come late."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.dendrites import Dendrites
from neurond.memory import Memory, Slots
from neurond.staleness import RECENT
from tests.plans import group_plan
from topology.plan import GroupPlan, LinkPlan, OptimizerPlan, UpdatePlan

Floats = NDArray[np.float32]
SIZE, PRE, OTHER = 3, 5, 4
MOMENTUM = OptimizerPlan(kind="momentum", momentum=0.8, lr=0.1)


def plan(optimizer: OptimizerPlan, **changes: Any) -> GroupPlan:
    """A group of two links in."""
    links = (LinkPlan(0, "p", "g", PRE, "p", 0, PRE), LinkPlan(1, "q", "g", OTHER, "q", 0, OTHER))
    update = UpdatePlan(rule="always")
    return group_plan("g", (0, SIZE, SIZE), "tanh", links, optimizer=optimizer, update=update, **changes)


class Late:
    """A group whose gradients come when the test says so."""

    def __init__(self, plan: GroupPlan) -> None:
        self.dendrites = Dendrites(plan)
        self.memory = Memory(64, SIZE, [PRE, OTHER], posts=1)
        self.rng = np.random.default_rng(0)
        self._next = 0

    def w(self) -> Floats:
        """All weights as one matrix (size, inputs): those of p, the bias, those of q."""
        return np.hstack([synapses.w for synapses in self.dendrites._links])

    def velocity(self) -> Floats:
        """The velocities of all, in the same order."""
        return np.hstack([synapses.state()["w/velocity"] for synapses in self.dendrites._links])

    def fire(self, x: Floats | None = None) -> tuple[Slots, Floats, Floats]:
        """A stimulus fires: its slot, its inputs in the order of the weights, and z."""
        x = self.rng.random((1, PRE + OTHER), np.float32) if x is None else x[None]
        ids = np.array([self._next])
        self._next += 1
        self.memory.arrive(0, ids, 1, x[:, :PRE])
        slots, _ = self.memory.arrive(1, ids, 1, x[:, PRE:])
        z = np.empty((1, SIZE), np.float32)
        inputs = [values[slots] for values in self.memory.inputs]
        self.dendrites.sum(inputs, z, slots)
        self.memory.version[slots] = self.dendrites.version
        return slots, np.hstack(inputs)[0], z[0]

    def learn(self, slots: Slots) -> Floats:
        """The gradient of a stimulus comes back."""
        d = self.rng.normal(size=(1, SIZE)).astype(np.float32)
        self.dendrites.learn(self.memory, slots, d, 1)
        self.memory.forget(slots)
        return d[0]


@pytest.mark.parametrize("far", [1.0, 0.5])
def test_neurons_fire_with_the_weights_of_the_time_when_the_gradient_comes(far: float) -> None:
    """With a staleness of 3, w x becomes (w - 3 lr v) x, times `look_ahead`, and w itself stays as it is."""
    late = Late(plan(MOMENTUM, look_ahead=far))
    under_way = [late.fire()[0] for _ in range(3)]
    for _ in range(2 * RECENT):  # of which the last thousand or so count
        under_way.append(late.fire()[0])
        late.learn(under_way.pop(0))
    assert late.dendrites.staleness.largest == 3
    w, ahead = late.w(), far * 3 * 0.1 * late.velocity()
    assert np.abs(ahead).max() > 0.01
    _, x, z = late.fire()
    np.testing.assert_allclose(z, (w - ahead) @ x, atol=2e-2 * np.abs(ahead).max() + 1e-6)
    np.testing.assert_array_equal(late.w(), w)
    still = np.empty((1, SIZE), np.float32)
    late.dendrites.sum([x[None, : PRE + 1], x[None, PRE + 1 :]], still)  # one that does not teach
    np.testing.assert_allclose(still[0], w @ x, atol=1e-5)


def test_without_staleness_nothing_is_foreseen() -> None:
    """Where every gradient comes before the next stimulus fires, the weights are those of plain momentum."""
    ahead, plain = Late(plan(MOMENTUM, look_ahead=1.0)), Late(plan(MOMENTUM))
    for _ in range(50):
        for late in (ahead, plain):
            late.learn(late.fire()[0])
    np.testing.assert_array_equal(ahead.w(), plain.w())


def test_late_gradients_are_compensated() -> None:
    """From copies of the weights: the step is that of g + lambda g g^T (w_now - w_then), within each neuron."""
    rate, strength = 0.1, 0.7
    late = Late(plan(OptimizerPlan(lr=rate), delay_compensation=strength))
    early, x, _ = late.fire()
    then = late.w().astype(float)
    for _ in range(6):
        late.learn(late.fire()[0])
    now = late.w().astype(float)
    assert np.abs(now - then).max() > 0.1
    g = np.outer(late.learn(early), x).astype(float)
    expected = g + strength * g * (g * (now - then)).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(late.w(), now - rate * expected, atol=1e-5)
    assert np.abs(rate * (expected - g)).max() > 1e-2  # a thousand times the tolerance


def test_compensation_is_the_papers_for_a_single_input() -> None:
    """With one input that is not zero, and the bias at rest, it is g + lambda g * g * (w_now - w_then)."""
    rate, strength = 0.1, 0.7
    late = Late(plan(OptimizerPlan(lr=rate), delay_compensation=strength))
    one = np.eye(PRE + OTHER, dtype=np.float32)[2]
    late.memory.inputs[0][:, -1] = 0.0  # the bias' own input
    early, x, _ = late.fire(one)
    then = late.w().astype(float)
    for _ in range(6):
        late.learn(late.fire()[0])
    now = late.w().astype(float)
    g = np.outer(late.learn(early), x).astype(float)
    expected = g + strength * g * g * (now - then)
    np.testing.assert_allclose(late.w(), now - rate * expected, atol=1e-5)
    assert np.abs(rate * (expected - g)).max() > 5e-3


def test_what_has_not_moved_is_not_compensated() -> None:
    """A gradient that comes before any update of the group's is left as it is."""
    with_, without = (Late(plan(OptimizerPlan(lr=0.1), delay_compensation=c)) for c in (5.0, 0.0))
    for _ in range(20):
        for late in (with_, without):
            late.learn(late.fire()[0])
    np.testing.assert_allclose(with_.w(), without.w(), atol=1e-5)
