"""With a window of one and no thresholds the network is stochastic gradient descent, whatever its wiring."""

from __future__ import annotations

import numpy as np
import pytest

from neurond import data
from neurond.group import GroupMachine
from tests.simulated import Network
from tests.twin import Twin
from topology.load import loads
from topology.plan import Plan
from topology.resolve import DataShape, resolve

STIMULI = 500
HEAD = """
neurond: 1
name: exact
seed: 5
source: {{data: digits, epochs: {epochs}, window: 1}}
loss: {{reads: out, kind: {loss}, notify: {{rule: exact}}}}
defaults:
  group: {{join: {join}, optimizer: {{kind: sgd, lr: 0.02}}, update: {{rule: always}}}}
  link: {{notify: {{rule: exact}}}}
"""
WIRINGS = {
    "chain": """
groups: {a: {size: 20, neuron: tanh}, b: {size: 15, neuron: relu}, out: {size: 10, neuron: linear}}
links: {source -> a: , a -> b: , b -> out: }
""",
    "diamond": """
groups:
  a: {size: 20, neuron: relu}
  b: {size: 12, neuron: sigmoid}
  c: {size: 9, neuron: leaky_relu}
  out: {size: 10, neuron: linear}
links: {source -> a: , a -> b: , a -> c: , b -> out: , c -> out: }
""",
    "skip": """
groups: {a: {size: 20, neuron: relu}, b: {size: 12, neuron: tanh}, out: {size: 10, neuron: linear}}
links: {source -> a: , a -> b: , b -> out: , a -> out: , source -> out: }
""",
    "shards": """
groups:
  a: {size: 20, neuron: tanh, shards: 3}
  b: {size: 15, neuron: relu, shards: 2}
  out: {size: 10, neuron: linear}
links: {source -> a: , a -> b: , b -> out: }
""",
}


def make(wiring: str, loss: str = "cross-entropy", join: str = "match") -> tuple[Plan, data.Dataset]:
    """The plan of one wiring with exact rules and plain gradient descent, and its data."""
    examples = data.load("digits")
    head = HEAD.format(epochs=STIMULI / len(examples.x_train), loss=loss, join=join)
    return resolve(
        loads(head + WIRINGS[wiring]), DataShape(64, 10, 1, len(examples.x_train), len(examples.x_test))
    ), examples


def whole_weights(groups: dict[str, GroupMachine], post: str, pre: str, twin: Twin) -> np.ndarray:
    """The matrix of one link between whole groups, put together from the shards."""
    whole = np.full_like(twin.w[post][pre], np.nan)
    for machine in groups.values():
        plan, state = machine.plan, machine.state()
        if plan.group == post:
            for link in plan.links_in:
                if link.pre_group == pre:
                    rows = slice(plan.start, plan.start + plan.size)
                    whole[rows, link.pre_start : link.pre_start + link.n_pre] = state[f"w.{link.pre}"]
    return whole


@pytest.mark.parametrize(
    ("wiring", "loss", "join"),
    [
        *((wiring, loss, "match") for wiring in WIRINGS for loss in ("cross-entropy", "mse")),
        *((wiring, "cross-entropy", "sum") for wiring in WIRINGS if wiring != "chain"),
    ],
)
def test_window_one_and_no_thresholds_are_gradient_descent(wiring: str, loss: str, join: str) -> None:
    """After 500 stimuli every weight is that of the NumPy reference to 1e-5; nothing is added under join: sum."""
    plan, examples = make(wiring, loss, join)
    network = Network(plan, examples, seed=3)
    network.run()
    twin = Twin(plan)
    twin.train(examples, batch=1, stimuli=STIMULI, lr=lambda _: 0.02)

    assert network.counters("source")["confirmed"] == STIMULI
    for post, links in twin.w.items():
        for pre, expected in links.items():
            got = whole_weights(network.groups, post, pre, twin)
            np.testing.assert_allclose(got, expected, atol=1e-5, rtol=0, err_msg=f"{pre} -> {post}")
        parts = [g.state()["b"] for g in network.groups.values() if g.plan.group == post]
        np.testing.assert_allclose(np.concatenate(parts)[:, 0], twin.b[post], atol=1e-5, rtol=0)
