"""Initial weights: their spread, and that shards are parts of the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from neurond.weights import initial_bias, initial_weights, link_weights
from tests.plans import group_plan
from topology.plan import GroupPlan, LinkPlan

PRE, POST, FAN_IN = 400, 300, 600


def weights(**changes: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Initial weights between two groups, with some arguments changed."""
    whole: dict[str, Any] = {
        "seed": 7,
        "pre_group": "h1",
        "post_group": "h2",
        "pre_size": PRE,
        "post_size": POST,
        "fan_in": FAN_IN,
        "neuron": "relu",
    }
    return initial_weights(**{**whole, **changes})


def link(pre: str, start: int, n_pre: int) -> LinkPlan:
    """A link from neurons start..start+n_pre of group h1."""
    return LinkPlan(index=0, pre=pre, post="h2", n_pre=n_pre, pre_group="h1", pre_start=start, pre_size=PRE)


def group(name: str, start: int, size: int) -> GroupPlan:
    """A process with neurons start..start+size of group h2."""
    return group_plan(name, (start, size, POST), "relu", fan_in=FAN_IN, seed=7)


@pytest.mark.parametrize(
    ("neuron", "init", "slope", "variance"),
    [
        ("relu", "auto", 0.0, 2 / FAN_IN),
        ("relu", "auto", 0.5, 2 / FAN_IN),  # the slope belongs to leaky_relu only
        ("leaky_relu", "auto", 0.5, 2 / 1.25 / FAN_IN),
        ("tanh", "he", 0.0, 2 / FAN_IN),
        ("tanh", "auto", 0.0, 2 / (FAN_IN + POST)),
        ("linear", "auto", 0.0, 2 / (FAN_IN + POST)),
        ("relu", "glorot", 0.0, 2 / (FAN_IN + POST)),
    ],
)
def test_spread(neuron: str, init: str, slope: float, variance: float) -> None:
    """Mean and variance are those of He's and Glorot's papers; a uniform spread is bounded, a normal one is not."""
    w = weights(neuron=neuron, init=init, slope=slope)
    assert w.shape == (POST, PRE)
    assert w.dtype == np.float32
    # 120,000 weights: the standard error of the variance is at most 0.41 % of it, of the mean 0.29 % of sigma
    assert abs(w.var() / variance - 1) < 5 * 0.0041
    assert abs(w.mean()) < 5 * 0.0029 * np.sqrt(variance)
    uniform = init == "glorot" or (init == "auto" and neuron not in ("relu", "leaky_relu"))
    assert (np.abs(w).max() <= np.sqrt(3 * variance) * 1.0001) == uniform


def test_seed_and_names_decide() -> None:
    """The same seed and names give the same weights; another seed or name, however alike, gives others."""
    w = weights()
    np.testing.assert_array_equal(weights(), w)
    for other in ({"seed": 8}, {"pre_group": "h3"}, {"post_group": "h3"}, {"pre_group": "h1h", "post_group": "2"}):
        assert np.abs(np.corrcoef(weights(**other).ravel(), w.ravel())[0, 1]) < 0.02


def test_same_in_another_process() -> None:
    """Another interpreter with another hash seed starts from the same weights."""
    program = (
        "from neurond.weights import initial_weights as w;"
        "import sys; sys.stdout.buffer.write(w(7, 'h1', 'h2', 5, 4, 5, 'relu').tobytes())"
    )
    for hash_seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == initial_weights(7, "h1", "h2", 5, 4, 5, "relu").tobytes()


def test_shards_are_parts_of_the_whole() -> None:
    """Shards on both ends of a link, put together, hold exactly the weights of the link without shards."""
    whole = link_weights(group("h2", 0, POST), link("h1", 0, PRE))
    np.testing.assert_array_equal(whole, weights(slope=0.01))
    parts = [
        [link_weights(group(f"h2.{i}", i * 150, 150), link(f"h1.{j}", j * 100, 100)) for j in range(4)]
        for i in range(2)
    ]
    np.testing.assert_array_equal(np.block(parts), whole)
    assert all(part.flags.c_contiguous and part.flags.owndata for row in parts for part in row)


def test_bias_starts_at_zero() -> None:
    """Biases start at zero, one column for the process' own neurons."""
    np.testing.assert_array_equal(initial_bias(group("h2.1", 150, 150)), np.zeros((150, 1), np.float32))


def test_unknown_init() -> None:
    """An unknown init is refused by name."""
    with pytest.raises(ValueError, match="unknown init 'xavier'"):
        weights(init="xavier")
