"""Notification rules: each against what its paper says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.rules import KINDS, WIDE, make_rule
from topology.plan import NotifyPlan

Floats = NDArray[np.float32]


def gradients(n: int, width: int, seed: int = 3) -> Floats:
    """Gradients of the size that a loss gives, with some exact zeros."""
    rng = np.random.default_rng(seed)
    g = rng.normal(0, 0.2, (n, width)).astype(np.float32)
    g[rng.random(g.shape) < 0.1] = 0.0
    return g


def plan(rule: str, threshold: float = 0.3, **more: float) -> NotifyPlan:
    """A plan with a usable k."""
    return replace(NotifyPlan(rule=rule, threshold=threshold, k=3), **more)


def generator() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(11)


@pytest.mark.parametrize("rule", ["exact", "drop", "residual", "quantum", "stochastic", "sampled"])
def test_threshold_of_zero_is_exact(rule: str) -> None:
    """With T = 0 everything is sent as it is, whatever the rule."""
    g = gradients(20, 8)
    np.testing.assert_array_equal(make_rule(plan(rule, 0.0), 8, generator())(g), g)


@pytest.mark.parametrize("rule", KINDS)
def test_input_is_left_alone(rule: str) -> None:
    """A rule keeps float32 and the shape, does not change what it is given, and takes no stimuli for none."""
    g = gradients(20, 8)
    before = g.copy()
    act = make_rule(plan(rule, clip=0.25, noise=0.01), 8, generator())
    sent = act(g)
    np.testing.assert_array_equal(g, before)
    assert sent.dtype == np.float32
    assert sent.shape == g.shape
    assert act(g[:0]).shape == (0, 8)


@pytest.mark.parametrize("rule", KINDS)
def test_order_in_memory_does_not_matter(rule: str) -> None:
    """A transposed view gives what its copy gives."""
    g = gradients(20, 8)
    view = np.ascontiguousarray(g.T).T
    np.testing.assert_array_equal(
        make_rule(plan(rule), 8, generator())(view), make_rule(plan(rule), 8, generator())(g)
    )


@pytest.mark.parametrize("rule", KINDS)
def test_nan_is_not_hidden(rule: str) -> None:
    """A gradient that is not a number is sent on, so that divergence is seen and not swallowed."""
    g = gradients(4, 8)
    g[2, 5] = np.nan
    sent = make_rule(plan(rule), 8, generator())(g)
    assert np.isnan(sent[2, 5])
    assert np.isfinite(np.delete(sent, 5, axis=1)).all()


@pytest.mark.parametrize("rule", KINDS)
def test_infinity_does_not_warn(rule: str) -> None:
    """An infinite gradient passes every rule without a warning."""
    g = gradients(4, 8)
    g[1, 2] = np.inf
    assert not np.isfinite(make_rule(plan(rule), 8, generator())(g)[1, 2])


def test_drop() -> None:
    """`drop` sends exactly what exceeds T, and not T itself."""
    g = np.array([[0.25, -0.25, 0.26, -0.26, 0.0, 1.0]], np.float32)
    sent = make_rule(plan("drop", 0.25), 6, generator())(g)
    np.testing.assert_array_equal(sent, np.array([[0, 0, 0.26, -0.26, 0, 1]], np.float32))


@pytest.mark.parametrize("k", [1, 3, 7, 8, 20])
def test_top_k_is_the_end_of_a_sort(k: int) -> None:
    """`top_k` sends the k largest of a full sort by size, for each stimulus of its own."""
    g = np.random.default_rng(5).normal(size=(50, 8)).astype(np.float32)
    expected = np.zeros_like(g)
    for row, out in zip(g, expected, strict=True):
        largest = np.argsort(-np.abs(row))[:k]
        out[largest] = row[largest]
    np.testing.assert_array_equal(make_rule(plan("top_k", k=k), 8, generator())(g), expected)


def test_residual_accumulates_and_fires() -> None:
    """`residual` keeps what is too small, fires all of it once it exceeds T, and starts again from zero."""
    g = np.array([[0.2], [0.2], [0.2], [-0.7], [0.1]], np.float32)
    act = make_rule(plan("residual", 0.5), 1, generator())
    np.testing.assert_allclose(act(g)[:, 0], [0, 0, 0.6, -0.7, 0], rtol=1e-6)
    np.testing.assert_allclose(act.state()["residual"], [0.1], rtol=1e-6)


def test_quantum_fires_whole_multiples() -> None:
    """`quantum` fires whole multiples of T and keeps the remainder with its sign."""
    g = np.array([[0.375], [0.375], [1.25], [-2.5]], np.float32)  # exact in float32
    act = make_rule(plan("quantum", 0.5), 1, generator())
    np.testing.assert_array_equal(act(g)[:, 0], [0, 0.5, 1.5, -2.5])
    np.testing.assert_array_equal(act.state()["residual"], [0.0])


@pytest.mark.parametrize("rule", ["residual", "quantum"])
def test_conservation(rule: str) -> None:
    """Over thousands of stimuli, what was sent and what is kept add up to what came in."""
    g = gradients(4000, 16)
    act = make_rule(plan(rule), 16, generator())
    sent = np.concatenate([act(part) for part in np.array_split(g, 300)])
    total = sent.sum(0, dtype=np.float64) + act.state()["residual"]
    np.testing.assert_allclose(total, g.sum(0, dtype=np.float64), atol=1e-3)
    assert 0 < np.count_nonzero(sent) < np.count_nonzero(g)


@pytest.mark.parametrize(("rule", "largest"), [("stochastic", 0.6), ("sampled", 0.6), ("sampled", 0.4)])
def test_what_is_drawn_is_unbiased(rule: str, largest: float) -> None:
    """The mean of many draws is g, within five standard errors of the variance |g| (T - |g|), wherever in a call.

    Five standard errors in 8 stimuli of 33 neurons are exceeded by chance less than once in 5,000 seeds.
    """
    threshold, draws = 0.5, 30_000
    line = np.linspace(-largest, largest, 33, dtype=np.float32)
    g = np.stack([np.roll(line, 4 * k) for k in range(8)])
    act = make_rule(plan(rule, threshold), 33, generator())
    total = np.zeros(g.shape)
    for _ in range(draws):
        total += act(g)
    variance = np.maximum(np.abs(g) * (threshold - np.abs(g)), 0.0)
    error = np.abs(total / draws - g)
    assert (error <= 5 * np.sqrt(variance / draws) + 1e-6).all(), error
    assert variance.max() > 0.06  # the bound is that of a rule that really draws


def test_stochastic_sends_g_or_t() -> None:
    """Below T what is sent is sign(g) T or nothing; from T on it is g itself; zero is never sent."""
    g = np.tile(np.linspace(-1, 1, 41, dtype=np.float32), (500, 1))
    sent = make_rule(plan("stochastic", 0.5), 41, generator())(g)
    large = np.abs(g) >= 0.5
    np.testing.assert_array_equal(sent[large], g[large])
    assert np.isin(sent[~large] * np.sign(g[~large]), [0.0, 0.5]).all()
    assert not sent[g == 0].any()
    assert 0 < np.count_nonzero(sent[~large]) < np.count_nonzero(g[~large])


def test_stochastic_draws_for_each_neuron_of_its_own() -> None:
    """Two neurons with the same gradient fire independently: both at once in a quarter of the draws."""
    act, g = make_rule(plan("stochastic", 0.5), 2, generator()), np.full((1, 2), 0.25, np.float32)
    both = np.mean([(act(g) != 0).all() for _ in range(40_000)])
    assert abs(both - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 40_000)


@pytest.mark.parametrize("width", [WIDE - 1, WIDE])
def test_stochastic_adds_up_in_the_same_order_however_wide(width: int) -> None:
    """Row by row or by NumPy's own accumulation, to the last bit: what is sent does not depend on the width."""
    g = gradients(50, width)
    sent = make_rule(plan("stochastic", 0.3), width, generator())(g)
    die = generator().random(width, np.float32)
    large = np.abs(g) >= np.float32(0.3)
    level = np.vstack([die[None], np.where(large, np.float32(0), g / np.float32(0.3))])
    fired = np.diff(np.floor(np.add.accumulate(level, axis=0)), axis=0) * np.float32(0.3)
    np.testing.assert_array_equal(sent, np.where(large, g, fired))


def test_stochastic_shares_one_die_in_a_call() -> None:
    """Of stimuli with a quarter of T each, one in four fires, to the stimulus, wherever the first one is."""
    act = make_rule(plan("stochastic", 0.5), 64, generator())
    fired = act(np.full((40, 64), 0.125, np.float32)) != 0
    assert (fired.sum(axis=0) == 10).all()
    assert {int(first) for first in fired.argmax(axis=0)} == {0, 1, 2, 3}


def test_sampled_sends_what_stochastic_would_in_fewer_stimuli() -> None:
    """As many notifications, of T or g as there; of stimuli as many as the largest gradient of each says."""
    g = gradients(64, 10)
    (g := np.clip(g, -0.4, 0.4))[::8] *= 2
    sent = {}
    for rule in ("stochastic", "sampled"):
        act = make_rule(plan(rule, 0.5), 10, generator())
        sent[rule] = np.concatenate([act(g) for _ in range(500)])
    large = np.tile(np.abs(g) >= 0.5, (500, 1))
    np.testing.assert_array_equal(sent["sampled"][large], sent["stochastic"][large])
    rest = np.abs(sent["sampled"][~large])
    np.testing.assert_allclose(rest[rest > 0], 0.5, rtol=1e-6)
    notifications = {rule: np.count_nonzero(s) for rule, s in sent.items()}
    assert abs(notifications["sampled"] / notifications["stochastic"] - 1) < 0.02
    stimuli = {rule: np.count_nonzero(s.any(axis=1)) / 500 for rule, s in sent.items()}
    assert abs(stimuli["sampled"] - np.minimum(np.abs(g).max(axis=1) / 0.5, 1).sum()) < 1
    assert stimuli["sampled"] < 0.8 * stimuli["stochastic"]


def test_sampled_shares_one_die_in_a_call() -> None:
    """Of stimuli whose largest gradient is a quarter of T one in four is sent, to the stimulus, with all of it."""
    act = make_rule(plan("sampled", 0.5), 3, generator())
    sent = act(np.tile(np.array([0.125, -0.125, 0.0], np.float32), (40, 1)))
    assert np.count_nonzero(sent.any(axis=1)) == 10
    np.testing.assert_array_equal(sent[sent.any(axis=1)], np.tile(np.array([0.5, -0.5, 0], np.float32), (10, 1)))


def test_clip_comes_before_the_rule() -> None:
    """What is clipped below T is not sent any more."""
    g = np.array([[0.9, -0.9, 0.1]], np.float32)
    np.testing.assert_array_equal(make_rule(plan("drop", 0.5, clip=0.4), 3, generator())(g), [[0, 0, 0]])
    clipped = make_rule(plan("exact", clip=0.4), 3, generator())(g)
    np.testing.assert_array_equal(clipped, np.array([[0.4, -0.4, 0.1]], np.float32))


def test_noise_comes_after_the_clip_and_reaches_zeros() -> None:
    """Noise has the standard deviation that was asked for, on zeros too, and is not clipped."""
    sent = make_rule(plan("exact", clip=0.1, noise=0.5), 10, generator())(np.zeros((20_000, 10), np.float32))
    assert abs(sent.std() - 0.5) < 0.005
    assert abs(sent.mean()) < 0.005
    assert np.abs(sent).max() > 1.0


@pytest.mark.parametrize("rule", KINDS)
def test_state_goes_on_where_it_was(rule: str) -> None:
    """A rule that was restored sends what the one that was saved sends, and the saved state is a copy."""
    g = gradients(60, 8)
    first = make_rule(plan(rule, clip=0.4), 8, generator())
    first(g[:30])
    state = first.state()
    saved = {name: array.copy() for name, array in state.items()}
    expected = first(g[30:])
    assert all(np.array_equal(state[name], saved[name]) for name in saved)
    rng = generator()
    second = make_rule(plan(rule, clip=0.4), 8, rng)
    second(g[:30])  # brings the generator to the same place
    second.restore(state)
    np.testing.assert_array_equal(second(g[30:]), expected)
    assert set(state) == ({"residual"} if rule in ("residual", "quantum") else set())


def test_restore_refuses_what_is_not_its_own() -> None:
    """A state of another width, or of another rule, is refused."""
    kept = make_rule(plan("residual"), 8, generator()).state()
    with pytest.raises(ValueError, match="9 neurons"):
        make_rule(plan("residual"), 9, generator()).restore(kept)
    with pytest.raises(ValueError, match="residual"):
        make_rule(plan("residual"), 8, generator()).restore({})
    with pytest.raises(ValueError, match="without memory"):
        make_rule(plan("drop"), 8, generator()).restore(kept)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (plan("sometimes"), "unknown notification rule 'sometimes'"),
        (plan("drop", -0.1), "notify.threshold must be 0 or more"),
        (plan("drop", float("nan")), "notify.threshold must be 0 or more"),
        (plan("drop", clip=-1.0), "notify.clip must be 0 or more"),
        (plan("drop", noise=float("inf")), "notify.noise must be 0 or more"),
        (plan("top_k", k=0), "top_k needs k of 1 or more"),
    ],
)
def test_refusals(bad: NotifyPlan, words: str) -> None:
    """A plan that makes no sense is refused in words."""
    with pytest.raises(ValueError, match=words):
        make_rule(bad, 8, generator())
