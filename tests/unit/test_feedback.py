"""Feedback alignment: errors go back through a fixed random matrix, and no weight is read backward."""

from __future__ import annotations

import numpy as np
import pytest

from neurond import data
from neurond.dendrites import Dendrites
from neurond.weights import feedback_weights, link_weights
from tests.plans import group_plan
from tests.simulated import Network
from topology.load import load
from topology.plan import DataShape, GroupPlan, LinkPlan
from topology.resolve import resolve

PRE, SIZE = 6, 4


def plan(part: tuple[int, int, int] = (0, SIZE, SIZE), feedback: str = "random") -> GroupPlan:
    """A group, or a shard of it, fed by two others."""
    links = tuple(LinkPlan(k, name, "g", PRE, name, 0, PRE, feedback=feedback) for k, name in enumerate("pq"))
    return group_plan("g", part, "relu", links)


@pytest.mark.parametrize("active", [None, np.array([0, 2])], ids=["all", "few"])
@pytest.mark.parametrize("link", [0, 1])
def test_no_weight_is_read_backward(link: int, active: np.ndarray | None) -> None:
    """With weights that are not numbers the error is B^T d all the same; without random feedback it is none."""
    d = np.zeros((3, SIZE), np.float32)
    d[:, [0, 2]] = np.random.default_rng(0).normal(size=(3, 2))
    for feedback in ("random", "weights"):
        of = plan(feedback=feedback)
        dendrites = Dendrites(of)
        for synapses in dendrites._links:
            synapses.w[:] = np.nan
        g = dendrites.back(link, d, active)
        assert g.shape == (3, PRE)
        if feedback == "weights":
            assert np.isnan(g).all()
            continue
        b = feedback_weights(of, of.links_in[link])
        np.testing.assert_allclose(g, d @ b, rtol=1e-6)


def test_feedback_is_fixed_by_the_seed() -> None:
    """It is like the initial weights and independent of them, the same in shards, and in no checkpoint."""
    whole = plan()
    b = feedback_weights(whole, whole.links_in[0])
    w = link_weights(whole, whole.links_in[0])
    assert abs(np.corrcoef(b.ravel(), w.ravel())[0, 1]) < 0.5
    assert 0.5 < b.std() / w.std() < 2
    shard = plan((1, 2, SIZE))
    np.testing.assert_array_equal(feedback_weights(shard, shard.links_in[0]), b[1:3])
    assert Dendrites(whole).state().keys() == Dendrites(plan(feedback="weights")).state().keys()


def test_digits_are_learned_with_random_feedback() -> None:
    """A network that never reads a weight backward learns digits; the errors that it sends are not those of w^T."""
    examples = data.load("digits")
    topology = load("digits", ["defaults.link.feedback=random", "source.epochs=15"])
    shape = DataShape(64, 10, 1, len(examples.x_train), len(examples.x_test))
    network = Network(resolve(topology, shape), examples, seed=2)
    network.run()
    (accuracy,) = [e.data["test_accuracy"] for e in network.events if e.kind == "finished"]
    assert accuracy > 0.93
    assert not [e for e in network.events if e.kind == "diverged"]
    for machine in network.groups.values():
        for link in machine.plan.links_in:
            assert link.feedback == "random"
            assert np.isfinite(machine.state()[f"w.{link.pre}"]).all()
