"""Notification rules: which gradients become notifications, and with what value.

A rule stands at the sending end of a link (and at the loss, which is treated as a link). It takes
g = dLoss/dActivation of the pre neurons, a row a stimulus, and returns an array of the same shape whose zeros
are not sent.

exact        all of it
drop         g where |g| > T (Aji and Heafield 2017, Lin et al. 2018; there the rest is kept)
top_k        the k largest |g| of each stimulus (the same)
residual     per neuron, the sum of what was not sent, once its |sum| exceeds T (Seide et al. 2014, Strom 2015)
quantum      per neuron, whole multiples of T of that sum; the remainder stays (Strom 2015)
stochastic   g where |g| >= T, else sign(g) T with probability |g| / T (as TernGrad and QSGD, 2017); the
             stimuli of a volley share one die a neuron, so that what is sent of them adds up well
sampled      of each stimulus all or nothing first: g / p with probability p = min(1, max |g| / T) (importance
             sampling, as Katharopoulos and Fleuret 2018), then `stochastic`. Each g has the same chance as there, but
             those of a stimulus are sent together, so fewer stimuli have any

The papers compress the gradients of weights between machines that wait for each other. Here the same rules
act on the gradients of activations, between groups that do not. So what `residual` and `quantum` keep from
one stimulus meets the activations of another; `stochastic` and `sampled` keep nothing and are right on average. Two
repairs bound that harm: `residual_clip` limits each sum to so many thresholds, so that none bursts out when T falls,
and what it removes is counted; `flush` sends each neuron's sum once in so many stimuli, whatever its size, so that
nothing older waits. Neurons take turns, so no stimulus carries all of it.

Clip and noise come before any rule, in this order, so that noise is not cut: each entry is limited to
[-clip, clip], then Gaussian noise is added to every entry, zeros included (Neelakantan et al. 2015; the order
of Abadi et al. 2016). With T = 0 every rule but `top_k` is `exact`. No rule hides a NaN: it is sent on.

Seide et al. 2014, 1-bit SGD, Interspeech. Strom 2015, Scalable distributed DNN training using commodity GPU
cloud computing, Interspeech. Aji and Heafield 2017, Sparse communication for distributed gradient descent,
arXiv:1704.05021. Lin et al. 2018, Deep gradient compression, arXiv:1712.01887. Wen et al. 2017, TernGrad,
arXiv:1705.07878. Alistarh et al. 2017, QSGD, arXiv:1610.02132. Madow and Madow 1944, On the theory of
systematic sampling, Annals of Mathematical Statistics 15(1). Neelakantan et al. 2015, Adding gradient noise
improves learning for very deep networks, arXiv:1511.06807. Abadi et al. 2016, Deep learning with differential
privacy, arXiv:1607.00133. Katharopoulos and Fleuret 2018, Not all samples are created equal: deep learning with
importance sampling, arXiv:1803.00942.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from topology.plan import NotifyPlan

Floats = NDArray[np.float32]
Share = float | Floats

WIDE = 128
"""Neurons from which on it is quicker to add up gradients row by row."""

KINDS = ("exact", "drop", "top_k", "residual", "quantum", "stochastic", "sampled")


class Rule(Protocol):
    """Gradients to notifications, for the neurons of one pre process."""

    @property
    def clipped(self) -> int:
        """Sums that `residual_clip` has cut."""
        ...

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        """What is sent of g.

        g is float32 (n, width), a row a stimulus, in units of dLoss/dActivation; it is left as it is. `share` of
        the threshold, above 0, is what it is now, of each neuron if it is float32 (width,). Returned is float32
        (n, width), which may be g itself; zeros are not sent. Rows are taken in order where the rule has a memory.
        """
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """What the rule keeps for later, copied, by name; empty where it has no memory."""
        ...

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError if it comes from another rule or width."""
        ...


def make_rule(plan: NotifyPlan, width: int, rng: np.random.Generator) -> Rule:
    """The rule of a link whose pre process has `width` neurons.

    `rng` drives `stochastic` and the noise, and is advanced by them. Raises ValueError for an unknown rule, a
    negative or non-finite threshold, clip or noise, and a `top_k` without k.
    """
    for name in ("threshold", "clip", "noise"):
        value = getattr(plan, name)
        if not 0 <= value < np.inf:
            raise ValueError(f"notify.{name} must be 0 or more, not {value}")
    rule = _bare_rule(plan, width, rng)
    if plan.clip or plan.noise:
        return _Shaped(rule, plan.clip, plan.noise, rng)
    return rule


def _bare_rule(plan: NotifyPlan, width: int, rng: np.random.Generator) -> Rule:
    if plan.rule not in KINDS:
        raise ValueError(f"unknown notification rule {plan.rule!r}: one of {', '.join(KINDS)}")
    if plan.rule == "top_k":
        if plan.k < 1:
            raise ValueError(f"top_k needs k of 1 or more, not {plan.k}")
        return _TopK(plan.k) if plan.k < width else _Exact()
    if plan.threshold == 0 and plan.rule != "residual":  # which sends what it kept from a higher threshold
        return _Exact()
    match plan.rule:
        case "drop":
            return _Drop(plan.threshold)
        case "residual":
            return _Remembering(plan, width, _fire_all)
        case "quantum":
            return _Remembering(plan, width, _fire_multiples)
        case "stochastic":
            return _Stochastic(plan.threshold, rng)
        case "sampled":
            return _Sampled(plan.threshold, rng)
    return _Exact()


class _Exact:
    """Everything is sent; also the base of the rules that keep nothing."""

    @property
    def clipped(self) -> int:
        return 0

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:  # noqa: ARG002 - there is no threshold
        return g

    def state(self) -> dict[str, NDArray[Any]]:
        return {}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if state:
            raise ValueError(f"a rule without memory was given {', '.join(state)}")


class _Drop(_Exact):
    def __init__(self, threshold: float) -> None:
        self._threshold = np.float32(threshold)

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        sent: Floats = g * (np.abs(g) > self._threshold * np.float32(share))
        return sent


class _TopK(_Exact):
    def __init__(self, k: int) -> None:
        self._k = k

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:  # noqa: ARG002 - there is no threshold
        largest = np.argpartition(np.abs(g), -self._k, axis=1)[:, -self._k :]
        sent = np.zeros_like(g)
        np.put_along_axis(sent, largest, np.take_along_axis(g, largest, axis=1), axis=1)
        return sent


class _Stochastic(_Exact):
    """No memory, no sum to go stale: each call throws one die a neuron, u in [0, 1).

    With C_k the sum of the first k gradients of a neuron, in units of T, row k fires where a whole number lies
    between u + C_(k-1) and u + C_k. Each row's chance is |g| / T, to within the grain of float32, as with a die of
    its own; but the rows of a call share the error, which is less than T for the sum of any rows in succession
    (systematic sampling, Madow and Madow 1944). Stimuli that follow one another have much in common, so this is the
    part of the noise that does most harm.
    """

    def __init__(self, threshold: float, rng: np.random.Generator) -> None:
        self._threshold = np.float32(threshold)
        self._rng = rng

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        threshold = self._threshold * np.float32(share)
        large = ~(np.abs(g) < threshold)  # NaN too: it is sent on
        level = np.empty((len(g) + 1, g.shape[1]), np.float32)
        self._rng.random(dtype=np.float32, out=level[0])
        np.divide(g, threshold, out=level[1:])
        level[1:][large] = 0.0
        _add_up(level)
        np.floor(level, out=level)
        sent: Floats = level[1:] - level[:-1]
        sent *= threshold
        np.copyto(sent, g, where=large)
        return sent


class _Sampled(_Exact):
    """Stimuli are drawn first, by one die a call as in `_Stochastic`; then neurons, of those that were drawn.

    The gradients of a loss belong together: what draws one output up draws others down. Sent apart, each goes all the
    way back alone, and much of what they bring there would have cancelled.
    """

    def __init__(self, threshold: float, rng: np.random.Generator) -> None:
        self._threshold = np.float32(threshold)
        self._rng = rng
        self._rest = _Stochastic(threshold, rng)

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        size = np.abs(g)
        size /= self._threshold * np.float32(share)
        chance = np.maximum.reduce(size, axis=1, initial=0.0)
        level = np.empty(len(g) + 1)
        level[0] = self._rng.random()
        level[1:] = chance
        sure = ~(chance < 1.0)  # NaN too: it is sent on
        level[1:][sure] = 0.0
        np.add.accumulate(level, out=level)
        np.floor(level, out=level)
        drawn = np.flatnonzero(sure | (level[1:] > level[:-1]))
        sent = np.zeros(g.shape, np.float32)
        if drawn.size:
            chance[sure] = 1.0
            sent[drawn] = self._rest(g[drawn] / chance[drawn, None], share)
        return sent


Fire = Callable[[Floats, np.float32, Floats], None]
"""Move what goes out of the sums of some neurons, given T, to an array of zeros; both are float32 (width,)."""


def _fire_all(kept: Floats, threshold: np.float32, out: Floats) -> None:
    """`residual`: the whole of each sum whose size is above T."""
    # "not at most T" and not "more than T", so that a NaN leaves and does not stay for ever
    fired = np.logical_not(np.abs(kept) <= threshold)
    np.copyto(out, kept, where=fired)
    np.copyto(kept, 0.0, where=fired)


def _fire_multiples(kept: Floats, threshold: np.float32, out: Floats) -> None:
    """`quantum`: the whole multiples of T in each sum."""
    np.divide(kept, threshold, out=out)
    np.trunc(out, out=out)
    out *= threshold
    kept -= out


def _add_up(level: Floats) -> None:
    """Put the sum of a row and of all before it in its place.

    NumPy's own way down the columns costs 3 ns an entry, as its sums wait for one another; row by row it is 0.5 us a
    row, and the same to the last bit.
    """
    if level.shape[1] < WIDE:
        np.add.accumulate(level, axis=0, out=level)
        return
    for before, row in pairwise(level):
        np.add(before, row, out=row)


class _Remembering:
    """The memory of `residual` and `quantum`: a float32 a neuron, what was not sent so far.

    They differ in what they `fire`. What came in is at all times what was sent, what is kept, and what was removed by
    the clip.
    """

    def __init__(self, plan: NotifyPlan, width: int, fire: Fire) -> None:
        self._fire = fire
        self._threshold = np.float32(plan.threshold)
        self._residual = np.zeros(width, np.float32)
        self._clip = np.float32(plan.residual_clip)
        self._flush = plan.flush
        self._removed = np.zeros(width)
        self._counts = np.zeros(2, np.int64)  # sums that were clipped; stimuli since the first neuron's turn

    @property
    def clipped(self) -> int:
        return int(self._counts[0])

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        kept, threshold = self._residual, self._threshold * np.float32(share)
        sent = np.zeros(g.shape, np.float32)
        with np.errstate(invalid="ignore", over="ignore"):  # infinite gradients: the group says it diverged
            for row, out in zip(g, sent, strict=True):
                kept += row
                if self._clip:
                    self._cut(kept, self._clip * threshold)
                self._fire(kept, threshold, out)
                if self._flush:
                    turn = self._turn()
                    out[turn] += kept[turn]
                    kept[turn] = 0.0
        return sent

    def _cut(self, kept: Floats, most: np.float32) -> None:
        over = np.abs(kept) > most
        if np.count_nonzero(over):
            before = kept.astype(np.float64)
            np.copyto(kept, np.copysign(most, kept), where=over)
            self._removed += before - kept
            self._counts[0] += np.count_nonzero(over)

    def _turn(self) -> slice:
        """The neurons whose turn it is; in `flush` stimuli it is each one's, once."""
        width, at = self._residual.size, int(self._counts[1])
        self._counts[1] = (at + 1) % self._flush
        return slice(at * width // self._flush, (at + 1) * width // self._flush)

    def state(self) -> dict[str, NDArray[Any]]:
        state: dict[str, NDArray[Any]] = {"residual": self._residual.copy()}
        if self._clip or self._flush:
            state |= {"removed": self._removed.copy(), "counts": self._counts.copy()}
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        if set(state) - {"removed", "counts"} != {"residual"} or state["residual"].shape != self._residual.shape:
            raise ValueError(f"expected one array 'residual' of {self._residual.size} neurons")
        self._residual[:] = state["residual"]
        self._removed[:] = state.get("removed", 0.0)
        self._counts[:] = state.get("counts", 0)
        self._counts[1] %= self._flush or 1


class _Shaped:
    """Clip, then noise, then another rule."""

    def __init__(self, rule: Rule, clip: float, noise: float, rng: np.random.Generator) -> None:
        self._rule = rule
        self._clip = np.float32(clip)
        self._noise = np.float32(noise)
        self._rng = rng
        self.state = rule.state
        self.restore = rule.restore

    @property
    def clipped(self) -> int:
        return self._rule.clipped

    def __call__(self, g: Floats, share: Share = 1.0) -> Floats:
        if self._clip:
            g = np.minimum(np.maximum(g, -self._clip), self._clip)
        if self._noise:
            g = g + self._noise * self._rng.standard_normal(g.shape, np.float32)
        return self._rule(g, share)
