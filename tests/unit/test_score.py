"""The source's score: passes over the test part, and the trend of the training."""

from __future__ import annotations

import numpy as np

from neurond.score import Evaluation, Trend
from topology.wire import EVALUATION


def test_an_evaluation_covers_each_row_once_and_tells_the_means() -> None:
    """A pass presents every row once under new ids; its result is exact and comes with the last row."""
    rng = np.random.default_rng(0)
    evaluation = Evaluation(100)
    assert not evaluation.due
    evaluation.ask()
    assert evaluation.due
    evaluation.begin(stimuli=42)
    assert not evaluation.due
    loss, hit = rng.random(100).astype(np.float32), rng.random(100) < 0.5
    seen = []
    while evaluation.left:
        assert not evaluation.complete()
        first, rows = evaluation.take(min(33, evaluation.left))
        assert first == EVALUATION + rows[0]
        evaluation.add(loss[rows], hit[rows])
        seen += rows.tolist()
    assert seen == list(range(100))
    assert evaluation.complete()
    assert not evaluation.complete()
    assert evaluation.result is not None
    np.testing.assert_allclose(evaluation.result, (hit.mean(), loss.mean()), rtol=1e-6)
    assert evaluation.stimuli == 42


def test_a_cancelled_evaluation_presents_nothing_more_and_has_no_result() -> None:
    """What was asked for is forgotten, and half a pass is no result."""
    evaluation = Evaluation(100)
    evaluation.begin(0)
    evaluation.take(10)
    evaluation.ask()
    evaluation.cancel()
    assert (evaluation.left, evaluation.due, evaluation.complete(), evaluation.result) == (0, False, False, None)


def test_a_trend_over_fewer_stimuli_than_its_span_is_their_mean() -> None:
    """However the stimuli are cut into volleys, the trend begins as a plain mean."""
    rng = np.random.default_rng(0)
    trend, losses, hits = Trend(), [], []
    for n in (3, 10, 64, 7):
        losses.append(rng.random(n).astype(np.float32))
        hits.append(rng.random(n) < 0.5)
        trend.add(losses[-1], hits[-1])
    assert abs(trend.loss - np.concatenate(losses).mean()) < 1e-6
    assert abs(trend.accuracy - np.concatenate(hits).mean()) < 1e-9
