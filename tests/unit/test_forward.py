"""The forward pass from weights, against one written out by hand."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neurond.forward
from neurond.forward import forward
from tests.plans import group_plan
from topology.plan import (
    SOURCE,
    LinkPlan,
    LossPlan,
    Plan,
    SourcePlan,
)

FEATURES = 5


def link(index: int, pre: str, post: str, n_pre: int, group: str, start: int = 0, size: int = 0) -> LinkPlan:
    """A link from part of a group."""
    return LinkPlan(index, pre, post, n_pre, group, start, size or n_pre)


def network() -> Plan:
    """A network source -> h (two shards of 3 and 4) -> mid -> out, with the skip links source -> out and h -> out."""
    h = [(0, 3, 7), (3, 4, 7)]

    def from_h(post: str, index: int) -> tuple[LinkPlan, ...]:
        return tuple(link(index + i, f"h.{i}", post, n, "h", start, 7) for i, (start, n, _) in enumerate(h))

    groups = [
        group_plan(f"h.{i}", part, "tanh", (link(i, SOURCE, f"h.{i}", FEATURES, SOURCE),)) for i, part in enumerate(h)
    ]
    groups.append(group_plan("mid", (0, 6, 6), "leaky_relu", from_h("mid", 10)))
    into_out = (link(20, "mid", "out", 6, "mid"), link(21, SOURCE, "out", FEATURES, SOURCE), *from_h("out", 22))
    groups.append(group_plan("out", (0, 2, 2), "sigmoid", into_out, loss=LossPlan()))
    source = SourcePlan(
        data="xor",
        data_dir=None,
        label=None,
        test=None,
        features=FEATURES,
        classes=2,
        targets=1,
        one_hot=False,
        epochs=1.0,
        window=1,
        volley=1,
        opening=0,
        retry_s=1.0,
        eval_every=0,
        seed=1,
        links_out=(),
        readout="out",
        confirms=99,
    )
    return Plan(version=1, name="tiny", seed=1, source=source, groups=tuple(groups))


def some_weights(plan: Plan) -> dict[str, dict[str, NDArray[Any]]]:
    """Random weights in the layout of a checkpoint, with something beside them that forward must not look at."""
    rng = np.random.default_rng(3)
    return {
        g.name: {
            **{f"w.{x.pre}": rng.normal(size=(g.size, x.n_pre)).astype(np.float32) for x in g.links_in},
            "b": rng.normal(size=(g.size, 1)).astype(np.float32),
            "b/held": np.zeros((g.size, 1), np.float32),
        }
        for g in plan.groups
    }


def by_hand(w: dict[str, dict[str, NDArray[Any]]], x: NDArray[Any]) -> NDArray[Any]:
    """The network of `network`, written out for one stimulus after the other in float64."""
    rows = []
    for row in x.astype(np.float64):
        h0 = np.tanh(w["h.0"]["w.source"] @ row + w["h.0"]["b"][:, 0])
        h1 = np.tanh(w["h.1"]["w.source"] @ row + w["h.1"]["b"][:, 0])
        z = w["mid"]["w.h.0"] @ h0 + w["mid"]["w.h.1"] @ h1 + w["mid"]["b"][:, 0]
        mid = np.where(z > 0, z, 0.1 * z)
        out = w["out"]
        z = out["w.mid"] @ mid + out["w.source"] @ row + out["w.h.0"] @ h0 + out["w.h.1"] @ h1 + out["b"][:, 0]
        rows.append(1 / (1 + np.exp(-z)))
    return np.array(rows)


def test_shards_and_skip_links() -> None:
    """A network with shards and skip links gives what its equations give, for float32 and other features."""
    plan = network()
    weights = some_weights(plan)
    x = np.random.default_rng(4).normal(size=(20, FEATURES))
    y = forward(plan, weights, x.astype(np.float32))
    assert y.dtype == np.float32
    assert y.shape == (20, 2)
    np.testing.assert_allclose(y, by_hand(weights, x), atol=1e-5)
    np.testing.assert_array_equal(forward(plan, weights, x), y)
    np.testing.assert_array_equal(forward(plan, weights, x.tolist()), y)
    flat = {name: {**own, "b": own["b"][:, 0]} for name, own in weights.items()}
    np.testing.assert_array_equal(forward(plan, flat, x), y)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same comes out when stimuli are taken in chunks of three, with a rest, and for none at all."""
    plan = network()
    weights = some_weights(plan)
    x = np.random.default_rng(4).normal(size=(20, FEATURES)).astype(np.float32)
    whole = forward(plan, weights, x)
    neurons = FEATURES + sum(g.size for g in plan.groups)
    monkeypatch.setattr(neurond.forward, "_BYTES", 3 * 4 * neurons)
    np.testing.assert_allclose(forward(plan, weights, x), whole, atol=1e-6)
    assert forward(plan, weights, x[:0]).shape == (0, 2)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what comes in and goes out, memory does not grow with the number of stimuli."""
    plan = network()
    weights = some_weights(plan)
    monkeypatch.setattr(neurond.forward, "_BYTES", 2**16)
    peaks = []
    for n in (2_000, 40_000):
        x = np.zeros((n, FEATURES), np.float32)
        tracemalloc.start()
        y = forward(plan, weights, x)
        peaks.append(tracemalloc.get_traced_memory()[1] - y.nbytes)
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] < 2**19


def test_input_is_left_alone() -> None:
    """Features and weights are the same after a forward pass as before."""
    plan = network()
    weights = some_weights(plan)
    x = np.ones((3, FEATURES), np.float32)
    forward(plan, weights, x)
    np.testing.assert_array_equal(x, np.ones((3, FEATURES)))
    fresh = some_weights(plan)
    assert all(np.array_equal(weights[p][k], fresh[p][k]) for p in weights for k in weights[p])


def test_refusals() -> None:
    """What does not fit is named: the features, a process, an array, a shape."""
    plan = network()
    x = np.zeros((1, FEATURES), np.float32)
    with pytest.raises(ValueError, match="stimuli of 5 features"):
        forward(plan, some_weights(plan), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="stimuli of 5 features"):
        forward(plan, some_weights(plan), np.zeros(5))
    weights = some_weights(plan)
    del weights["mid"]
    with pytest.raises(ValueError, match="weights of 'mid'"):
        forward(plan, weights, x)
    weights = some_weights(plan)
    del weights["out"]["w.h.1"]
    with pytest.raises(ValueError, match=r"weights of 'out' have no 'w\.h\.1'"):
        forward(plan, weights, x)
    weights = some_weights(plan)
    weights["h.0"]["b"] = np.zeros(9)
    with pytest.raises(ValueError, match=r"'b' of 'h.0' has shape \(9,\), not \(3, 1\)"):
        forward(plan, weights, x)
