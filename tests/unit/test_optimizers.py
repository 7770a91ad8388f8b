"""Optimizers and update rules: against the papers' formulas in float64, and against conservation laws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.optimizers import OPTIMIZERS, learning_rate
from neurond.synapses import Synapses
from topology.plan import OptimizerPlan, UpdatePlan

Array = NDArray[Any]
Floats = NDArray[np.float32]

N_POST, N_PRE = 12, 7
ALWAYS = UpdatePlan(rule="always")


def initial() -> Floats:
    """Initial weights, the same at every call."""
    return np.random.default_rng(2).normal(0, 0.3, (N_POST, N_PRE)).astype(np.float32)


def volleys(count: int, seed: int = 4) -> Iterator[tuple[Floats, Floats]]:
    """(d, x) of 1 to 5 stimuli; like real ones, d is zero for most neurons, and sometimes for few or none."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k = int(rng.integers(1, 6))
        reached = rng.random(N_POST) < rng.choice([0.0, 0.2, 0.9])
        yield (rng.normal(size=(k, N_POST)) * reached).astype(np.float32), rng.random((k, N_PRE), np.float32)


class Paper:
    """The optimizers as their papers write them, dense, in float64."""

    def __init__(self, plan: OptimizerPlan, shape: tuple[int, ...] = (N_POST, N_PRE)) -> None:
        self.plan = plan
        self.t = 0
        self.m = np.zeros(shape)
        self.v = np.zeros(shape)

    def step(self, g: Array, lr: float) -> Array:
        """The step for a gradient."""
        p = self.plan
        self.t += 1
        if p.kind == "sgd":
            return -lr * g
        if p.kind == "momentum":
            self.m = p.momentum * self.m + g
            return -lr * self.m
        if p.kind == "adagrad":
            self.v = self.v + g**2
            return -lr * g / (np.sqrt(self.v) + p.epsilon)
        if p.kind == "rmsprop":
            self.v = p.decay * self.v + (1 - p.decay) * g**2
            return -lr * g / (np.sqrt(self.v) + p.epsilon)
        assert p.kind == "adam"
        self.m = p.beta1 * self.m + (1 - p.beta1) * g
        self.v = p.beta2 * self.v + (1 - p.beta2) * g**2
        m_hat, v_hat = self.m / (1 - p.beta1**self.t), self.v / (1 - p.beta2**self.t)
        return -lr * m_hat / (np.sqrt(v_hat) + p.epsilon)


def gradient(d: Array, x: Array, scale: Any = 1.0) -> Array:
    """The gradient as a sum over stimuli of outer products, in float64."""
    scales = np.broadcast_to(scale, len(d))
    return sum(
        (s * np.outer(a.astype(np.float64), b) for s, a, b in zip(scales, d, x, strict=True)),
        np.zeros((d.shape[1], x.shape[1])),
    )


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["always", "threshold"])
def test_the_papers_formula(kind: str, rule: str) -> None:
    """After 400 volleys, most of them sparse, w (with what is held back) is that of the dense formula."""
    plan = OptimizerPlan(kind=kind, lr_unit=4, epsilon=1e-4)
    synapses, paper, expected = Synapses(initial(), plan, UpdatePlan(rule=rule)), Paper(plan), initial().astype(float)
    for n, (d, x) in enumerate(volleys(400)):
        lr = 0.02 / (1 + n / 100)
        synapses.learn(d, x, lr=lr)
        expected += paper.step(gradient(d, x) / 4, lr)
    held = synapses.state().get("w/held", 0.0)
    np.testing.assert_allclose(synapses.w + held, expected, atol=2e-5)
    assert np.abs(expected - initial()).max() > 0.02  # a thousand times the tolerance: it went somewhere
    assert synapses.finite


@pytest.mark.parametrize("kind", ["sgd", "adagrad"])
@pytest.mark.parametrize("rule", ["always", "threshold"])
def test_sparse_rows_equal_dense(kind: str, rule: str) -> None:
    """Touching only the rows that d reaches gives what going through all rows gives, weights, sums and counts."""
    plan, update = OptimizerPlan(kind=kind), UpdatePlan(rule=rule, threshold=0.02)
    sparse, dense = Synapses(initial(), plan, update), Synapses(initial(), plan, update)
    assert sparse._optimizer.sparse
    dense._optimizer.sparse = False  # the path that the other optimizers take
    for d, x in volleys(300):
        assert sparse.learn(d, x, lr=0.05) == dense.learn(d, x, lr=0.05)
    ours, theirs = sparse.state(), dense.state()
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("release", ["value", "quantum"])
def test_threshold_conserves_steps(release: str) -> None:
    """The change of w and what is held are the sum of all steps; never is more than T held; few weights change."""
    threshold = 0.05
    plan = OptimizerPlan()
    synapses = Synapses(initial(), plan, UpdatePlan(threshold=threshold, release=release))
    steps, changed, touched = np.zeros((N_POST, N_PRE)), 0, 0
    for d, x in volleys(500):
        before = synapses.w.copy()
        count = synapses.learn(d, x, lr=0.01)
        moved = synapses.w - before
        assert count == np.count_nonzero(moved)
        assert (np.abs(moved[moved != 0]) > threshold * 0.999).all()
        step = -0.01 * gradient(d, x)
        steps += step
        assert (np.abs(moved) <= np.abs(initial() + steps - before) + 1e-5).all()  # never more than was there
        if release == "quantum":
            multiples = moved / threshold
            np.testing.assert_allclose(multiples, np.round(multiples), atol=1e-3)
        changed, touched = changed + count, touched + np.count_nonzero(step)
    held = synapses.state()["w/held"]
    np.testing.assert_allclose(synapses.w - initial() + held, steps, atol=1e-5)
    assert np.abs(held).max() <= threshold * 1.001
    assert 0 < changed < touched / 2


@pytest.mark.parametrize("release", ["value", "quantum"])
def test_a_share_of_the_threshold(release: str) -> None:
    """With half of the threshold left a connection does what one with half the threshold does."""
    cooled, plain = (
        Synapses(initial(), OptimizerPlan(), UpdatePlan(threshold=threshold, release=release))
        for threshold in (0.04, 0.02)
    )
    for d, x in volleys(50):
        assert cooled.learn(d, x, lr=0.01, share=0.5) == plain.learn(d, x, lr=0.01)
    np.testing.assert_array_equal(cooled.w, plain.w)
    assert (cooled.w != initial()).any()


@pytest.mark.parametrize("release", ["value", "quantum"])
def test_threshold_of_zero_is_always(release: str) -> None:
    """With T = 0 weights and counts are those of `always`."""
    held = Synapses(initial(), OptimizerPlan(), UpdatePlan(threshold=0.0, release=release))
    always = Synapses(initial(), OptimizerPlan(), ALWAYS)
    for d, x in volleys(50):
        assert held.learn(d, x, lr=0.05) == always.learn(d, x, lr=0.05)
    np.testing.assert_array_equal(held.w, always.w)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_every_n_is_a_mini_batch(kind: str) -> None:
    """With lr_unit 1, `every` n takes one step of the gradient summed over a mini-batch of n, and none between."""
    plan = OptimizerPlan(kind=kind, epsilon=1e-4)
    synapses, paper, expected = (
        Synapses(initial(), plan, UpdatePlan(rule="every", every=6)),
        Paper(plan),
        initial().astype(float),
    )
    rng = np.random.default_rng(9)
    for _ in range(100):
        d = (rng.normal(size=(6, N_POST)) * (rng.random((6, N_POST)) < 0.2)).astype(np.float32)
        x = rng.random((6, N_PRE), np.float32)
        before = synapses.w.copy()
        assert synapses.learn(d[:2], x[:2], lr=0.01, stimuli=2) == 0
        assert synapses.learn(d[2:5], x[2:5], lr=0.01, stimuli=0) == 0  # some of these close later
        assert synapses.learn(d[:0], x[:0], lr=0.01, stimuli=3) == 0
        np.testing.assert_array_equal(synapses.w, before)
        assert synapses.learn(d[5:], x[5:], lr=0.01, stimuli=1) == np.count_nonzero(synapses.w != before)
        expected += paper.step(gradient(d, x), 0.01)
    np.testing.assert_allclose(synapses.w, expected, atol=2e-5)
    assert np.abs(expected - initial()).max() > 0.02


def test_every_n_of_a_large_volley() -> None:
    """A volley that closes more than n stimuli is one step, and the count begins anew."""
    synapses = Synapses(initial(), OptimizerPlan(), UpdatePlan(rule="every", every=4))
    d, x = np.ones((6, N_POST), np.float32), np.ones((6, N_PRE), np.float32)
    assert synapses.learn(d, x, lr=0.01, stimuli=6) == N_POST * N_PRE
    np.testing.assert_allclose(synapses.w, initial() - 0.06, atol=1e-6)
    assert synapses.learn(d[:3], x[:3], lr=0.01, stimuli=3) == 0
    assert synapses.learn(d[:0], x[:0], lr=0.01, stimuli=1) == N_POST * N_PRE
    np.testing.assert_allclose(synapses.w, initial() - 0.09, atol=1e-6)


@pytest.mark.parametrize("rule", ["always", "every", "threshold"])
def test_the_unit_of_the_learning_rate_divides_the_gradient(rule: str) -> None:
    """A step is that of the gradients' sum over `lr_unit`, and what is given is left as it is."""
    plan = OptimizerPlan(lr_unit=8)
    synapses = Synapses(initial(), plan, UpdatePlan(rule=rule, every=3, threshold=1e-6))
    rng = np.random.default_rng(0)
    d, x = rng.normal(size=(3, N_POST)).astype(np.float32), rng.random((3, N_PRE), np.float32)
    kept = d.copy(), x.copy()
    synapses.learn(d, x, lr=0.4, stimuli=3)
    np.testing.assert_allclose(synapses.w, initial() - 0.4 * gradient(d, x) / 8, atol=3e-6)
    np.testing.assert_array_equal(d, kept[0])
    np.testing.assert_array_equal(x, kept[1])


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("rule", ["always", "threshold"])
def test_no_stimuli_is_no_step(kind: str, rule: str) -> None:
    """A call without stimuli changes nothing, also where state would decay."""
    synapses = Synapses(initial(), OptimizerPlan(kind=kind), UpdatePlan(rule=rule))
    d, x = next(volleys(1, seed=5))
    synapses.learn(d, x, lr=0.1)
    before = synapses.state()
    assert synapses.learn(d[:0], x[:0], lr=0.1, stimuli=3) == 0
    after = synapses.state()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_zero_gradients_change_nothing() -> None:
    """Stimuli whose gradient is zero change no weight of plain gradient descent."""
    for update in (ALWAYS, UpdatePlan()):
        synapses = Synapses(initial(), OptimizerPlan(), update)
        assert synapses.learn(np.zeros((3, N_POST), np.float32), np.ones((3, N_PRE), np.float32), lr=1.0) == 0
        np.testing.assert_array_equal(synapses.w, initial())


def test_bias() -> None:
    """A bias is a matrix of one column that is fed with ones."""
    bias = Synapses(np.zeros((N_POST, 1), np.float32), OptimizerPlan(), ALWAYS)
    expected = np.zeros(N_POST)
    for d, _ in volleys(100):
        bias.learn(d, np.ones((len(d), 1), np.float32), lr=0.01)
        expected -= 0.01 * d.sum(0, dtype=np.float64)
    np.testing.assert_allclose(bias.w[:, 0], expected, atol=1e-5)


@pytest.mark.parametrize("rule", ["always", "every", "threshold"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e30])
def test_divergence_is_seen(rule: str, kind: str, bad: float) -> None:
    """A gradient that is not finite, or a weight beyond all measure, turns `finite` off for good, with no warning."""
    synapses = Synapses(initial(), OptimizerPlan(kind=kind), UpdatePlan(rule=rule))
    d, x = np.zeros((1, N_POST), np.float32), np.ones((1, N_PRE), np.float32)
    d[0, 3] = 1.0
    synapses.learn(d, x, lr=0.01, stimuli=1)
    assert synapses.finite
    d[0, 3] = bad
    lr = 1e8 if bad == 1e30 else 0.01  # the adaptive optimizers would make an ordinary step of any finite gradient
    synapses.learn(d, x, lr=lr, stimuli=1)
    if bad != 1e30 or kind in ("sgd", "momentum"):
        assert not synapses.finite
        d[0, 3] = 0.0
        synapses.learn(d, x, lr=0.01, stimuli=1)
        assert not synapses.finite


@pytest.mark.parametrize("rule", ["always", "every", "threshold"])
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_restored_goes_on_where_it_was(rule: str, kind: str) -> None:
    """What is restored learns on exactly as what was saved, under a name of its own beside others."""
    plan, update = OptimizerPlan(kind=kind), UpdatePlan(rule=rule, every=4)
    first = Synapses(initial(), plan, update)
    for d, x in volleys(31):
        first.learn(d, x, lr=0.01, stimuli=1)
    state = first.state("w.h1") | {"b": np.zeros(3)}
    second = Synapses(np.zeros((N_POST, N_PRE), np.float32), plan, update)
    second.restore(state, "w.h1")
    for d, x in volleys(30, seed=6):
        assert first.learn(d, x, lr=0.01, stimuli=1) == second.learn(d, x, lr=0.01, stimuli=1)
    ours, theirs = first.state(), second.state()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not any(np.shares_memory(array, first.w) for array in ours.values())
    assert all(array.ndim > 0 for array in ours.values())  # files of tensors do not keep a shape of none


def test_restore_refuses_another_plan() -> None:
    """A state that lacks an array, or has one of another shape, is refused before anything is changed."""
    synapses = Synapses(initial(), OptimizerPlan(kind="adam"), ALWAYS)
    state = synapses.state()
    with pytest.raises(ValueError, match="no 'w/squares'"):
        synapses.restore({name: array + 1 for name, array in state.items() if name != "w/squares"})
    with pytest.raises(ValueError, match=r"'w/squares' has shape \(2, 2\)"):
        synapses.restore({name: array + 1 for name, array in state.items()} | {"w/squares": np.zeros((2, 2))})
    np.testing.assert_array_equal(synapses.w, initial())


def test_restoring_sees_divergence() -> None:
    """Weights that had diverged when they were saved are seen to have, and sound ones clear the flag."""
    synapses = Synapses(initial(), OptimizerPlan(), ALWAYS)
    sound = synapses.state()
    synapses.restore({**sound, "w": np.full_like(synapses.w, np.nan)})
    assert not synapses.finite
    synapses.restore(sound)
    assert synapses.finite


@pytest.mark.parametrize(
    ("plan", "update", "words"),
    [
        (OptimizerPlan(kind="adams"), ALWAYS, "unknown optimizer 'adams'"),
        (OptimizerPlan(), UpdatePlan(rule="never"), "unknown update rule 'never'"),
        (OptimizerPlan(), UpdatePlan(release="half"), "unknown release 'half'"),
    ],
)
def test_refusals(plan: OptimizerPlan, update: UpdatePlan, words: str) -> None:
    """An unknown word in a plan is refused by name."""
    with pytest.raises(ValueError, match=words):
        Synapses(initial(), plan, update)


def test_weights_of_another_kind() -> None:
    """Weights that could not be changed in place as they are, are refused."""
    for w in (initial().astype(np.float64), initial().T, initial()[0]):
        with pytest.raises(ValueError, match="C-contiguous float32 matrix"):
            Synapses(w, OptimizerPlan(), ALWAYS)


def test_schedules() -> None:
    """A learning rate falls to zero over the horizon as its name says, and stays there."""
    points = [0, 25, 50, 100, 1000]
    expected = {
        "constant": [0.1, 0.1, 0.1, 0.1, 0.1],
        "linear": [0.1, 0.075, 0.05, 0.0, 0.0],
        "cosine": [0.1, 0.05 * (1 + np.sqrt(0.5)), 0.05, 0.0, 0.0],
    }
    for schedule, rates in expected.items():
        plan = OptimizerPlan(lr=0.1, schedule=schedule, horizon=100)
        np.testing.assert_allclose([learning_rate(plan, n) for n in points], rates, atol=1e-12)
        assert learning_rate(OptimizerPlan(lr=0.1, schedule=schedule, horizon=0), 1000) == 0.1
    warm = OptimizerPlan(lr=0.1, schedule="linear", horizon=100, warmup=50)
    np.testing.assert_allclose([learning_rate(warm, n) for n in points], [0.0, 0.0375, 0.05, 0.0, 0.0], atol=1e-12)
    with pytest.raises(ValueError, match="unknown schedule 'steps'"):
        learning_rate(OptimizerPlan(schedule="steps"), 0)


def test_a_learning_rate_in_steps() -> None:
    """`step` multiplies by the factor from each share of the run on, after the warm-up as ever, and never ends."""
    plan = OptimizerPlan(lr=0.8, schedule="step", horizon=200, steps=(0.5, 0.75), factor=0.1)
    points = [0, 99, 100, 149, 150, 200, 10_000]
    expected = [0.8, 0.8, 0.08, 0.08, 0.008, 0.008, 0.008]
    np.testing.assert_allclose([learning_rate(plan, n) for n in points], expected, rtol=1e-12)
    warm = replace(plan, warmup=120)
    np.testing.assert_allclose([learning_rate(warm, n) for n in (0, 60, 110)], [0.0, 0.4, 0.08 * 110 / 120])
    assert learning_rate(replace(plan, horizon=0), 1000) == 0.8


REPAIRED = UpdatePlan(threshold=0.05)


@pytest.mark.parametrize("release", ["value", "quantum"])
@pytest.mark.parametrize("adapt", ["link", "neuron"])
def test_the_wanted_share_of_weights_changes(release: str, adapt: str) -> None:
    """From a threshold that is far too high, T is steered to where `target` of the weights change in `lr_unit`."""
    unit, target = 4, 0.02
    update = UpdatePlan(threshold=0.3, release=release, adapt=adapt, target=target)
    synapses = Synapses(initial(), OptimizerPlan(lr_unit=unit), update)
    rng, changed, stimuli = np.random.default_rng(1), np.zeros(N_POST), 0
    for volley in range(12_000):
        d, x = rng.normal(size=(2, N_POST)).astype(np.float32), rng.normal(size=(2, N_PRE)).astype(np.float32)
        before = synapses.w.copy()
        n = synapses.learn(d, x, lr=0.004)
        assert n == np.count_nonzero(synapses.w != before)
        if volley >= 6000:
            changed += np.count_nonzero(synapses.w != before, axis=1)
            stimuli += 2
    share = changed / (N_PRE * stimuli / unit)
    assert abs(share.mean() / target - 1) < 0.05
    if adapt == "neuron":
        assert np.abs(share / target - 1).max() < 0.25
    assert synapses.held is not None
    assert synapses.held.thresholds.shape == ((1,) if adapt == "link" else (N_POST,))
    assert (synapses.held.thresholds < 0.15).all()


@pytest.mark.parametrize("release", ["value", "quantum"])
@pytest.mark.parametrize(
    "repair",
    [{"residual_clip": 1.5}, {"flush": 40}, {"adapt": "link"}, {"residual_clip": 2.0, "flush": 7, "adapt": "neuron"}],
    ids=lambda repair: "-".join(repair),
)
def test_steps_are_conserved_with_all_repairs(release: str, repair: dict[str, Any]) -> None:
    """The change of w, what is held and what the clip removed are the sum of all steps, while T moves."""
    update = replace(REPAIRED, release=release, target=0.01, **repair)
    synapses, steps = Synapses(initial(), OptimizerPlan(), update), np.zeros((N_POST, N_PRE))
    for d, x in volleys(500):
        assert synapses.held is not None
        most, clipped = synapses.held.thresholds.max() * update.residual_clip, synapses.held.clipped
        before = synapses.w.copy()
        changed = synapses.learn(d, x, lr=0.03)
        moved = synapses.w - before
        assert np.count_nonzero(moved) <= changed  # where the turn of a row comes, twice in one call
        assert not update.residual_clip or np.abs(moved).max() <= most * 1.001 * (1 + (update.flush > 0))
        assert synapses.held.clipped >= clipped
        steps += -0.03 * gradient(d, x)
    state = synapses.state()
    whole = (synapses.w - initial() + state["w/held"]).sum() + state.get("w/removed", np.zeros(1))[0]
    np.testing.assert_allclose(whole, steps.sum(), atol=1e-3)
    if update.residual_clip:
        assert synapses.held is not None
        assert synapses.held.clipped > 0
    else:
        np.testing.assert_allclose(synapses.w - initial() + state["w/held"], steps, atol=1e-4)


def test_no_step_waits_longer_than_a_flush() -> None:
    """Once in `flush` stimuli with a gradient each connection is rid of all that it held."""
    synapses = Synapses(initial(), OptimizerPlan(), UpdatePlan(threshold=1e3, flush=30))
    x, moved, steps = np.ones((3, N_PRE), np.float32), 0, np.zeros((N_POST, N_PRE))
    for n in range(10):
        d = np.full((3, N_POST), float(n == 0), np.float32)
        before = synapses.w.copy()
        changed = synapses.learn(d, x, lr=0.01)
        assert changed == np.count_nonzero(synapses.w != before) <= 2 * N_PRE
        moved += changed
        steps -= 0.01 * gradient(d, x)
    assert moved == N_POST * N_PRE
    np.testing.assert_allclose(synapses.w, initial() + steps, atol=1e-6)
    d, x = np.ones((100, N_POST), np.float32), np.ones((100, N_PRE), np.float32)
    assert synapses.learn(d, x, lr=0.01) == N_POST * N_PRE  # more than a round at once
    assert not synapses.state()["w/held"].any()


@pytest.mark.parametrize("adapt", ["link", "neuron"])
def test_a_steered_update_rule_goes_on_where_it_was(adapt: str) -> None:
    """What is restored has the thresholds, the turn and the counts of what was saved, and learns on alike."""
    update = replace(REPAIRED, adapt=adapt, target=0.05, residual_clip=1.5, flush=50)
    first = Synapses(initial(), OptimizerPlan(), update)
    for d, x in volleys(200):
        first.learn(d, x, lr=0.03)
    second = Synapses(initial(), OptimizerPlan(), update)
    second.restore({name: array.copy() for name, array in first.state().items()})
    for d, x in volleys(100, seed=6):
        assert first.learn(d, x, lr=0.03) == second.learn(d, x, lr=0.03)
    ours, theirs = first.state(), second.state()
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-5, atol=1e-7)
    assert ours["w/counts"][0] > 0


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_weights_are_foreseen_by_their_velocity(kind: str) -> None:
    """`ahead` is w plus so many of the steps that the paper's velocity would make now; w where there is none."""
    plan = OptimizerPlan(kind=kind, epsilon=1e-4)
    synapses, paper = Synapses(initial(), plan, ALWAYS), Paper(plan)
    np.testing.assert_array_equal(synapses.ahead(3.0, 0.01), initial())
    for d, x in volleys(40):
        synapses.learn(d, x, lr=0.01)
        paper.step(gradient(d, x), 0.01)
    before, state = synapses.w.copy(), synapses.state()
    expected = before.astype(float)
    if kind == "momentum":
        expected -= 3.0 * 0.01 * paper.m
    elif kind == "adam":
        m_hat, v_hat = paper.m / (1 - plan.beta1**paper.t), paper.v / (1 - plan.beta2**paper.t)
        expected -= 3.0 * 0.01 * m_hat / (np.sqrt(v_hat) + plan.epsilon)
    np.testing.assert_allclose(synapses.ahead(3.0, 0.01), expected, atol=1e-5)
    assert (kind in ("momentum", "adam")) == bool(np.abs(expected - before).max() > 1e-3)
    after = synapses.state()
    assert all(np.array_equal(state[name], after[name]) for name in state)  # it is a look, and no step
