"""What the figures say of a claim, computed: it holds, it fails, or the seeds do not decide.

A quantity is computed seed by seed, so that what one seed has in common in all arms (the first weights, the order of
stimuli) does not count. Its mean has a 95 % confidence interval by Student's t distribution (Student 1908, The
probable error of a mean, Biometrika 6). A claim holds where the whole interval is on the right side of the bound, and
fails where the whole of it is on the wrong one. Pure.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from neurond.experiments.study import Alike, Claim, Quantity

_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""The 97.5 % quantile of Student's t for 1, 2, ... degrees of freedom."""
_T_MANY = 2.228  # for more of them: a little wide, and so on the safe side

HOLDS, FAILS, UNDECIDED, UNJUDGED = "holds", "fails", "not decided", "not judged"


class Interval(NamedTuple):
    """A mean and its 95 % confidence interval; the interval of one number is everything."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claim: one of the words above, the figures in words, and the quantity of each seed."""

    claim: Claim
    outcome: str
    told: str
    values: tuple[float, ...] = ()

    @property
    def sentence(self) -> str:
        """Outcome and figures."""
        return f"{self.outcome}: {self.told}"


def interval(values: Sequence[float], *, ratio: bool = False) -> Interval:
    """Mean and 95 % interval of the mean; of ratios, by their logarithms. ValueError if there are none."""
    if not values:
        raise ValueError("no values")
    if ratio:
        return Interval(*(math.exp(x) for x in interval([math.log(v) for v in values])))
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Interval(mean, -math.inf, math.inf)
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else _T_MANY
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def judge(claim: Claim, seeds: Sequence[Alike], *, quick: bool = False) -> Verdict:
    """What the runs of these seeds say of a claim; nothing is judged by `quick` ones."""
    values = tuple(_values(claim.quantity, seeds))
    if not values:
        return Verdict(claim, UNJUDGED, "there are no runs yet")
    found = interval(values, ratio=claim.quantity.ratio)
    told = _told(claim, found, len(values))
    if quick:
        return Verdict(claim, UNJUDGED, f"{told}; --quick is no measurement", values)
    return Verdict(claim, _outcome(claim, found), told, values)


def _values(quantity: Quantity, seeds: Sequence[Alike]) -> list[float]:
    found = []
    for alike in seeds:
        try:
            value = quantity.of(alike)
        except (KeyError, ZeroDivisionError):  # a run of this seed is missing, or counted nothing
            continue
        if math.isfinite(value) and (value > 0 or not quantity.ratio):  # nothing has no logarithm
            found.append(value)
    return found


def _outcome(claim: Claim, found: Interval) -> str:
    if claim.least is not None:
        right, wrong = found.low >= claim.least, found.high < claim.least
    else:
        assert claim.most is not None
        right, wrong = found.high <= claim.most, found.low > claim.most
    return HOLDS if right else FAILS if wrong else UNDECIDED


def _told(claim: Claim, found: Interval, n: int) -> str:
    unit = claim.quantity.unit
    behind = "x" if unit == "x" else f" {unit}" if unit else ""
    spread = f"95 % interval {_n(found.low)} to {_n(found.high)}, {n} seeds" if n > 1 else "1 seed"
    bound = f"at least {_n(claim.least)}" if claim.least is not None else f"at most {_n(claim.most or 0.0)}"
    return f"{claim.quantity.words} is {_n(found.mean)}{behind} ({spread}); claimed is {bound}{behind}"


def _n(value: float) -> str:
    if value and abs(value) < 0.01:
        return f"{value:.1g}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 10 else f"{value:.2f}"


# --- quantities that many studies need ----------------------------------------------------------------


def value(figure: str, arm: str, words: str, unit: str = "", scale: float = 1.0) -> Quantity:
    """A figure of one arm."""
    return Quantity(words, lambda alike: scale * alike[arm][figure], unit)


def lost(arm: str, than: str, words: str = "", figure: str = "test_accuracy") -> Quantity:
    """Points by which a share, such as the test accuracy, is smaller in `arm` than in `than`."""
    return Quantity(
        words or f"the accuracy that {arm} loses against {than}",
        lambda alike: 100 * (alike[than][figure] - alike[arm][figure]),
        "points",
    )


def less(figure: str, arm: str, than: str, words: str) -> Quantity:
    """By how much a figure, called so in words, is smaller in `arm` than in `than`."""
    return Quantity(f"{words} of {than} less that of {arm}", lambda alike: alike[than][figure] - alike[arm][figure])


def times(figure: str, arm: str, than: str, words: str) -> Quantity:
    """How many times as large a figure is in `arm` as it is in `than`."""
    return Quantity(words, lambda alike: alike[arm][figure] / max(alike[than][figure], 1e-12), "x", ratio=True)
