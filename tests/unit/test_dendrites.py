"""How the weights of a group learn from what its memory holds: at once, or from gradients gathered."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurond.dendrites import Dendrites
from neurond.memory import Memory
from tests.plans import group_plan
from topology.plan import GroupPlan, LinkPlan, OptimizerPlan, UpdatePlan

SIZE, PRE, UNIT = 3, 5, 32
ALWAYS = UpdatePlan(rule="always")
THRESHOLD = UpdatePlan(rule="threshold", threshold=1e-3)


def plan(update: UpdatePlan, **changes: Any) -> GroupPlan:
    """A group of one link in."""
    link = LinkPlan(0, "p", "g", PRE, "p", 0, PRE)
    optimizer = OptimizerPlan(lr_unit=UNIT, lr=0.4)
    return group_plan("g", (0, SIZE, SIZE), "relu", (link,), update=update, optimizer=optimizer, **changes)


class Taught:
    """Weights, the memory they learn from, and the sum of the steps that they should have made."""

    def __init__(self, plan: GroupPlan) -> None:
        self.dendrites = Dendrites(plan)
        self.memory = Memory(64, SIZE, [PRE], posts=1)
        self.first = self.w()
        self.steps = np.zeros((SIZE, PRE + 1))
        self._rng = np.random.default_rng(0)
        self._next = 0

    def w(self) -> np.ndarray:
        """The weights and the bias as they act on the next volley: one input at a time."""
        z = np.empty((PRE + 1, SIZE), np.float32)
        self.dendrites.sum([np.eye(PRE + 1, dtype=np.float32)], z)
        return z.T

    def teach(self, n: int, scale: float = 1.0) -> None:
        """A volley of n stimuli, all with a gradient, closed at once."""
        ids = np.arange(self._next, self._next + n)
        self._next += n
        x = self._rng.random((n, PRE), np.float32)
        d = self._rng.normal(size=(n, SIZE)).astype(np.float32)
        slots, _ = self.memory.arrive(0, ids, 1, x)
        self.dendrites.learn(self.memory, slots, d, n)
        self.memory.forget(slots)
        self.steps -= scale * 0.4 * d.T.astype(float) @ np.hstack([x, np.ones((n, 1))]) / UNIT


def test_part_of_a_mini_batch_of_gradients_is_gathered() -> None:
    """Fewer gradients than lr_unit / 4 leave the weights alone; then all enter them, each with its input of then."""
    taught = Taught(plan(THRESHOLD))
    for _ in range(3):
        taught.teach(2)
        np.testing.assert_array_equal(taught.w(), taught.first)
    taught.teach(2)
    np.testing.assert_allclose(taught.w(), taught.first + taught.steps, atol=THRESHOLD.threshold)
    assert taught.dendrites.version == 1


def test_settling_lets_what_was_gathered_in() -> None:
    """Whoever looks at the weights, as a checkpoint does, sees all that was taught, within the threshold."""
    taught = Taught(plan(THRESHOLD))
    taught.teach(3)
    state = taught.dendrites.state()
    np.testing.assert_allclose(taught.w(), taught.first + taught.steps, atol=THRESHOLD.threshold)
    np.testing.assert_array_equal(taught.w(), np.hstack([state["w.p"], state["b"]]))


@pytest.mark.parametrize(
    "update", [UpdatePlan(rule="always"), UpdatePlan(rule="every", every=2)], ids=["always", "every"]
)
def test_the_other_rules_gather_nothing(update: UpdatePlan) -> None:
    """Under `always` and `every` a volley's gradients enter the weights with the volley."""
    taught = Taught(plan(update))
    for _ in range(3):
        taught.teach(2)
        np.testing.assert_allclose(taught.w(), taught.first + taught.steps, atol=1e-6)


def test_a_step_of_every_n_is_made_by_a_stimulus_without_a_gradient() -> None:
    """Under `every` n the n-th stimulus to close makes the step, though nothing was sent for it."""
    taught = Taught(plan(UpdatePlan(rule="every", every=3)))
    taught.teach(2)
    np.testing.assert_array_equal(taught.w(), taught.first)
    slots, _ = taught.memory.arrive(0, np.array([100]), 1, np.zeros((1, PRE), np.float32))
    taught.dendrites.learn(taught.memory, slots, None, 1)
    np.testing.assert_allclose(taught.w(), taught.first + taught.steps, atol=1e-6)


@pytest.mark.parametrize("update", [ALWAYS, THRESHOLD], ids=["always", "threshold"])
def test_a_stale_gradient_counts_for_less(update: UpdatePlan) -> None:
    """A gradient that the group's own updates have overtaken s times is divided by 1 + staleness_decay * s."""
    taught = Taught(plan(update, staleness_decay=0.5))
    taught.dendrites.version = 4
    taught.teach(UNIT, scale=1 / 3)
    np.testing.assert_allclose(taught.w(), taught.first + taught.steps, atol=update.threshold + 1e-6)
