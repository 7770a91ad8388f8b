"""Verdicts on made-up figures."""

from __future__ import annotations

import math

import pytest

from neurond.experiments.judge import FAILS, HOLDS, UNDECIDED, UNJUDGED, interval, judge, lost, times, value
from neurond.experiments.study import Alike, Claim, Quantity


def seeds(*accuracies: tuple[float, float]) -> list[Alike]:
    """Runs of two arms, seed by seed."""
    return [{"a": {"test_accuracy": a}, "b": {"test_accuracy": b}} for a, b in accuracies]


def test_the_interval_is_students() -> None:
    """Five numbers of which the interval is known: 3 +- 2.776 s / sqrt(5), and that of ratios by logarithms."""
    mean, low, high = interval([1, 2, 3, 4, 5])
    assert (mean, low, high) == pytest.approx((3, 1.0368, 4.9632), abs=5e-4)
    ratio = interval([math.exp(x) for x in (1, 2, 3, 4, 5)], ratio=True)
    assert ratio == pytest.approx([math.exp(x) for x in (mean, low, high)])
    assert interval([2.0]) == (2.0, -math.inf, math.inf)
    assert interval([2.0, 2.0]) == (2.0, 2.0, 2.0)
    low, high = interval(list(range(100)))[1:]
    assert low < 49.5 - 1.984 * 29.01 / 10  # not narrower than Student's, of many
    with pytest.raises(ValueError, match="no values"):
        interval([])


@pytest.mark.parametrize(
    ("losses", "outcome"),
    [
        ((0.1, 0.2, 0.1, 0.2, 0.1), HOLDS),
        ((0.9, 0.8, 0.9, 0.8, 0.9), FAILS),
        ((0.1, 0.9, 0.2, 0.8, 0.5), UNDECIDED),
        ((-3.0, -3.1, -2.9, -3.0, -3.0), HOLDS),
        ((0.1,), UNDECIDED),
    ],
)
def test_a_claim_that_something_is_at_most(losses: tuple[float, ...], outcome: str) -> None:
    """It holds, fails or is not decided as its whole interval lies; one seed decides nothing."""
    claim = Claim("It costs little", lost("a", "b"), most=0.5)
    verdict = judge(claim, seeds(*((0.9 - points / 100, 0.9) for points in losses)))
    assert verdict.outcome == outcome
    assert verdict.values == pytest.approx(losses)
    assert verdict.sentence.startswith(f"{outcome}: the accuracy that a loses against b is ")
    assert verdict.sentence.endswith("; claimed is at most 0.50 points")


@pytest.mark.parametrize(("factor", "outcome"), [(12, HOLDS), (8, FAILS), (10, UNDECIDED)])
def test_a_claim_that_something_is_at_least(factor: float, outcome: str) -> None:
    """The same from the other side, for a ratio."""
    claim = Claim("It saves much", times("n", "b", "a", "n of b in that of a"), least=10)
    runs = [{"a": {"n": 1.0}, "b": {"n": factor * x}} for x in (0.99, 1.0, 1.01)]
    verdict = judge(claim, runs)
    assert verdict.outcome == outcome
    assert verdict.sentence.endswith("claimed is at least 10x")


def test_seeds_are_compared_with_themselves() -> None:
    """What differs from seed to seed alike in both arms does not widen the interval."""
    claim = Claim("It costs little", lost("a", "b"), most=0.5)
    wide = seeds(*((b - 0.004, b) for b in (0.80, 0.85, 0.90, 0.95, 0.99)))
    assert judge(claim, wide).outcome == HOLDS


def test_nothing_is_judged_without_measurements() -> None:
    """No runs, runs of one arm alone, and quick runs judge nothing; a missing run costs its seed alone."""
    claim = Claim("It costs little", lost("a", "b"), most=0.5)
    assert judge(claim, []).outcome == UNJUDGED
    assert judge(claim, [{"a": {"test_accuracy": 0.9}}]).outcome == UNJUDGED
    assert judge(claim, seeds((0.9, 0.9), (0.9, 0.9)), quick=True).outcome == UNJUDGED
    some = [*seeds((0.9, 0.9), (0.9, 0.9)), {"a": {"test_accuracy": 0.1}}]
    assert judge(claim, some).values == (0, 0)


def test_what_is_no_number_is_no_value() -> None:
    """An infinite quantity is left out, and does not make a claim hold."""
    claim = Claim("x is large", value("x", "a", "x of a"), least=1)
    assert judge(claim, [{"a": {"x": math.inf}}]).outcome == UNJUDGED


def test_a_ratio_of_nothing_is_no_value() -> None:
    """It has no logarithm; the seeds that have one count."""
    claim = Claim("b is ten times a", times("test_accuracy", "b", "a", "b in a"), least=10)
    assert judge(claim, seeds((0.01, 0.0), (0.01, 0.2), (0.01, 0.2))).values == pytest.approx((20, 20))
    nothing = Claim("", Quantity("a in b", lambda alike: alike["a"]["test_accuracy"] / alike["b"]["test_accuracy"]))
    assert judge(nothing, seeds((0.1, 0.0))).outcome == UNJUDGED
