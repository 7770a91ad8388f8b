"""The source's window: what is under way, when it is presented again, when its place is free."""

from __future__ import annotations

import numpy as np

from neurond.flight import EVALUATION, Flight, Score, Trend


def flight(posts: int = 1) -> Flight:
    """Three stimuli under way since t = 0, to be retried after one second."""
    f = Flight(posts, retry_s=1.0)
    f.launch([10, 11, 12], [0, 1, 2], now=0.0)
    return f


def test_a_stimulus_without_a_gradient_is_free_when_confirmed() -> None:
    """A confirmation that announces no closes gives the place back, and counts once."""
    f = flight()
    assert f.confirm([10, 11], [False, False]) == [True, True]
    assert len(f) == 1
    assert f.confirm([10, 12], [False, False]) == [False, True]
    assert len(f) == 0


def test_a_stimulus_with_a_gradient_waits_for_every_close() -> None:
    """Closes and the confirmation may come in any order; the place is free when all are there."""
    f = flight(posts=2)
    f.close([10], 0)
    assert f.confirm([10, 11], [True, True]) == [True, True]
    assert len(f) == 3
    f.close([10, 11], 1)
    assert len(f) == 2
    f.close([11, 99], 0)
    assert len(f) == 1


def test_what_is_not_confirmed_is_presented_again_with_growing_pauses() -> None:
    """After 1 s, then 2 s more, then 4: the same stimulus, the next presentation number, its own row."""
    f = flight()
    f.confirm([10], [False])
    assert f.overdue(0.9) == ({}, 0)
    assert f.overdue(1.0) == ({2: {11: 1, 12: 2}}, 0)
    assert f.overdue(2.9) == ({}, 0)
    f.confirm([12], [False])
    assert f.overdue(3.0) == ({3: {11: 1}}, 0)
    assert f.overdue(6.9) == ({}, 0)
    assert f.overdue(7.0) == ({4: {11: 1}}, 0)


def test_a_close_that_never_comes_does_not_hold_the_place() -> None:
    """A confirmed stimulus whose closes are lost gives its place back in time, and is counted."""
    f = flight()
    assert f.confirm([10, 11, 12], [True, False, False]) == [True, True, True]
    assert f.overdue(1.0) == ({}, 1)
    assert len(f) == 0


def test_unconfirmed_are_the_training_rows_that_a_checkpoint_must_repeat() -> None:
    """Confirmed stimuli and evaluation stimuli are not among them."""
    f = flight()
    f.launch([EVALUATION], [7], now=0.0)
    f.confirm([10], [True])
    assert sorted(f.unconfirmed()) == [1, 2]


def test_score_and_trend_are_the_means_of_what_came() -> None:
    """The score is exact; the trend over fewer stimuli than its span is their plain mean."""
    rng = np.random.default_rng(0)
    score, trend, losses, hits = Score(), Trend(), [], []
    for n in (3, 10, 64, 7):
        loss, hit = rng.random(n).astype(np.float32), rng.random(n) < 0.5
        score.add(loss, hit)
        trend.add(loss, hit)
        losses.append(loss)
        hits.append(hit)
    loss, hit = np.concatenate(losses), np.concatenate(hits)
    assert (score.stimuli, score.hits) == (84, int(hit.sum()))
    assert abs(score.loss - loss.sum()) < 1e-4
    assert abs(trend.loss - loss.mean()) < 1e-6
    assert abs(trend.accuracy - hit.mean()) < 1e-9
