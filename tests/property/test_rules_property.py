"""Notification rules, for gradients that nobody thought of."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from neurond.notifier import Notifier
from neurond.rules import KINDS, Rule, make_rule
from topology.plan import NotifyPlan

Floats = NDArray[np.float32]

# Multiples of 1/64 up to 16 and thresholds that are powers of two: every sum and product is exact in float32,
# so that equalities are equalities and not tolerances.
GRADIENTS = hnp.arrays(
    np.int64,
    st.tuples(st.integers(0, 12), st.integers(1, 9)),
    elements=st.integers(-1024, 1024),
).map(lambda a: (a / 64).astype(np.float32))
THRESHOLDS = st.sampled_from([0.0, 0.125, 0.5, 1.0, 4.0])
DRAWN = ("stochastic", "sampled")
WITH_MEMORY = st.sampled_from(["residual", "quantum"])


def make(rule: str, threshold: float, width: int, seed: int = 0, k: int = 2) -> Rule:
    """A rule with its own generator."""
    return make_rule(NotifyPlan(rule=rule, threshold=threshold, k=k), width, np.random.default_rng(seed))


@given(GRADIENTS, THRESHOLDS, WITH_MEMORY)
def test_conserved(g: Floats, threshold: float, rule: str) -> None:
    """What was sent and what is kept add up to what came in, and no more than T is kept."""
    act = make(rule, threshold, g.shape[1])
    sent = act(g)
    kept = act.state().get("residual", np.zeros(g.shape[1], np.float32))
    np.testing.assert_array_equal(sent.sum(0) + kept, g.sum(0))
    assert (np.abs(kept) <= threshold).all()


@given(GRADIENTS, THRESHOLDS, WITH_MEMORY, st.integers(0, 12))
def test_volleys_do_not_matter(g: Floats, threshold: float, rule: str, cut: int) -> None:
    """A rule with a memory sends the same however stimuli are gathered into volleys."""
    whole, parts, single = (make(rule, threshold, g.shape[1]) for _ in range(3))
    expected = whole(g)
    np.testing.assert_array_equal(np.concatenate([parts(g[:cut]), parts(g[cut:])]), expected)
    for row, sent in zip(g, expected, strict=True):
        np.testing.assert_array_equal(single(row[None])[0], sent)


@given(GRADIENTS, THRESHOLDS, st.sampled_from([k for k in KINDS if k not in DRAWN]), st.integers(0, 3))
def test_sign_symmetry(g: Floats, threshold: float, rule: str, seed: int) -> None:
    """What is sent for -g is the negative of what is sent for g; dice fall otherwise then."""
    forward, mirrored = (make(rule, threshold, g.shape[1], seed) for _ in range(2))
    np.testing.assert_array_equal(mirrored(-g), -forward(g))


@given(GRADIENTS, THRESHOLDS, st.sampled_from([k for k in KINDS if k != "top_k"]), st.integers(0, 3))
def test_scale_symmetry(g: Floats, threshold: float, rule: str, seed: int) -> None:
    """T is in units of the gradient: doubling both doubles what is sent."""
    single, double = (make(rule, t, g.shape[1], seed) for t in (threshold, 2 * threshold))
    np.testing.assert_array_equal(double(2 * g), 2 * single(g))


@given(GRADIENTS, THRESHOLDS, st.sampled_from(DRAWN), st.integers(0, 3))
def test_what_is_drawn_is_one_of_two(g: Floats, threshold: float, rule: str, seed: int) -> None:
    """Rules that draw send g from T on, and below it sign(g) T, to within a rounding, or nothing."""
    sent = make(rule, threshold, g.shape[1], seed)(g)
    large = np.abs(g) >= threshold
    np.testing.assert_array_equal(sent[large], g[large])
    low = sent[~large]
    assert ((low == 0) | np.isclose(low, np.sign(g[~large]) * threshold, rtol=1e-6, atol=0)).all()


@given(GRADIENTS, THRESHOLDS, st.integers(0, 3))
def test_stochastic_errors_do_not_add_up(g: Floats, threshold: float, seed: int) -> None:
    """However many stimuli of a call are summed, what was sent of them is less than T away from their gradients."""
    sent = make("stochastic", threshold, g.shape[1], seed)(g)
    error = np.abs(np.cumsum(sent - g, axis=0, dtype=np.float64))
    assert (error <= threshold * (1 + 1e-5)).all()


@given(GRADIENTS, THRESHOLDS, st.sampled_from(KINDS), st.sampled_from([0.25, 0.5]), st.integers(0, 3))
def test_a_share_of_the_threshold(g: Floats, threshold: float, rule: str, share: float, seed: int) -> None:
    """A rule of which a share of the threshold is left does what one of that threshold does."""
    cooled, plain = make(rule, threshold, g.shape[1], seed), make(rule, threshold * share, g.shape[1], seed)
    np.testing.assert_array_equal(cooled(g, share), plain(g))


@given(GRADIENTS, st.integers(1, 10))
def test_top_k_sends_the_largest(g: Floats, k: int) -> None:
    """`top_k` sends min(k, width) entries as they are, none of them smaller than one that it holds back."""
    sent = make("top_k", 0.0, g.shape[1], k=k)(g)
    chosen = sent != 0
    np.testing.assert_array_equal(sent[chosen], g[chosen])
    for row, mask in zip(np.abs(g), chosen, strict=True):
        assert mask.sum() == min(k, g.shape[1], np.count_nonzero(row))
        if mask.any() and not mask.all():
            assert row[mask].min() >= row[~mask].max()


@given(GRADIENTS, THRESHOLDS)
def test_drop_keeps_what_exceeds(g: Floats, threshold: float) -> None:
    """`drop` sends exactly the entries beyond T."""
    expected = np.where(np.abs(g) > threshold, g, np.float32(0))
    np.testing.assert_array_equal(make("drop", threshold, g.shape[1])(g), expected)


@given(
    GRADIENTS,
    st.sampled_from([0.125, 0.5, 1.0]),
    WITH_MEMORY,
    st.sampled_from([0.0, 1.5, 3.0]),
    st.integers(0, 5),
    st.sampled_from(["off", "link", "neuron"]),
)
def test_conserved_with_all_repairs(
    g: Floats, threshold: float, rule: str, clip: float, flush: int, adapt: str
) -> None:
    """What was sent, is kept and was removed add up to what came in, while T moves; nothing beyond the clip goes."""
    width = g.shape[1]
    plan = NotifyPlan(rule=rule, threshold=threshold, residual_clip=clip, flush=flush, adapt=adapt, target=0.1)
    act = Notifier(plan, width, np.random.default_rng(0))
    sent, clipped = [], 0
    for row in g:
        assert act.clipped >= clipped
        clipped = act.clipped
        now = np.broadcast_to(act._steering.thresholds(threshold) if act._steering else threshold, (width,))
        sent.append(act(row[None])[0])
        assert not clip or (np.abs(sent[-1]) <= np.float32(clip) * now * (1 + 1e-5)).all()
    state = act.state()
    total = np.sum(sent, axis=0, dtype=np.float64) + state["residual"] + state.get("removed", 0.0)
    np.testing.assert_allclose(total, g.sum(0, dtype=np.float64), atol=1e-4)
    assert act.clipped or not np.any(state.get("removed", 0.0))
    assert clip or not act.clipped


@given(GRADIENTS, WITH_MEMORY, st.integers(1, 12))
def test_nothing_waits_longer_than_a_flush(g: Floats, rule: str, flush: int) -> None:
    """Once in `flush` stimuli each neuron is rid of all that it kept, whatever T; volleys do not matter."""
    plan = NotifyPlan(rule=rule, threshold=1e6, flush=flush)
    whole, single = (make_rule(plan, g.shape[1], np.random.default_rng(0)) for _ in range(2))
    sent = whole(g)
    rows = [single(row[None])[0] for row in g]
    np.testing.assert_array_equal(np.reshape(rows, g.shape), sent)
    last = np.zeros(g.shape[1], int)  # stimuli that had come when a neuron was last rid of it
    waiting = np.zeros(g.shape[1])
    for n, (row, out) in enumerate(zip(g, sent, strict=True), 1):
        waiting += row
        turn = slice((n - 1) % flush * g.shape[1] // flush, ((n - 1) % flush + 1) * g.shape[1] // flush)
        np.testing.assert_array_equal(out[turn], waiting[turn])
        assert not np.delete(out, np.r_[turn]).any()
        waiting[turn] = 0.0
        last[turn] = n
        assert n < flush or (n - last < flush).all()
    np.testing.assert_array_equal(whole.state()["residual"], waiting)
