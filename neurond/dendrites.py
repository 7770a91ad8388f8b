"""All the weights of a group: one matrix a link in, and how they learn from remembered stimuli.

The bias is one more column of the first matrix, fed by an input that is always 1: it costs no product and no update
of its own. Outside, in checkpoints, it is ``b``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.machine import State, counters_from
from neurond.memory import Floats, Memory, Slots
from neurond.optimizers import learning_rate, schedule
from neurond.ring import numbers
from neurond.staleness import BUCKETS, Staleness
from neurond.synapses import Synapses
from neurond.updates import Rows
from neurond.weights import feedback_weights, initial_bias, link_weights
from topology.plan import SOURCE, GroupPlan

_COUNTS = ("stimuli", "version", "updates", "staleness_sum", "staleness_count", "staleness_max", *map(str, BUCKETS))
"""What a checkpoint counts, in its order; behind the names the histogram of staleness."""


class Dendrites:
    """The weights of a group, and the count of its own updates by which staleness is measured.

    `version` grows by one with every step that changed a weight, of which `learn` makes one a call at most; `stimuli`
    is the group's own count of taught stimuli, first presentations only, by which the learning rate goes. `finite`
    turns false, and stays so, once weights are no numbers or enormous.
    """

    def __init__(self, plan: GroupPlan, arithmetic: Arithmetic = FAST) -> None:
        self.version = 0
        self.stimuli = 0
        self.staleness = Staleness()
        self.updates = 0
        self.finite = True
        # A count of stimuli, and what the schedule leaves then: asked for several times a volley.
        self._left = (0, 1.0)
        self._plan = plan
        self._last: Floats | None = None  # dLoss/dz of the volley that was learned from last
        self._nothing: Floats = np.zeros((0, plan.size), np.float32)
        self._gathers = plan.optimizer.kind == "sgd" and plan.update.rule == "threshold" and plan.update.threshold > 0
        self._gathered: list[tuple[Floats, list[Floats]]] = []  # d, times its learning rate, and all x
        self._enough = max(1, plan.optimizer.lr_unit // 4)  # gradients to be gathered
        self._room = self._enough
        matrices = [link_weights(plan, link, arithmetic.generator) for link in plan.links_in]
        matrices[0] = np.hstack([matrices[0], initial_bias(plan)])
        self._links = [Synapses(w, plan.optimizer, plan.update, arithmetic) for w in matrices]
        self.product = arithmetic.product
        self._weights = [synapses.w for synapses in self._links]
        self._feedback = [
            feedback_weights(plan, link, arithmetic.generator)
            if link.feedback == "random" and link.pre != SOURCE
            else None
            for link in plan.links_in
        ]
        self.size = sum(w.size for w in self._weights)
        self._foreseen: tuple[tuple[int, float, float], list[Floats]] | None = None  # of when, and the weights
        # Of each slot, z as it was when its stimulus fired; only where stale gradients are corrected.
        self._then: Floats | None = (
            np.zeros((plan.memory, plan.size), np.float32) if plan.delay_compensation else None
        )

    def sum(self, inputs: Sequence[Floats], z: Floats, slots: Slots | None = None) -> None:
        """Write sum_p w_p x_p + b into z, float32 (stimuli, size), from the inputs as `Memory` keeps them.

        `slots` are those of stimuli that teach: they may fire with the weights that are foreseen for the time when
        their gradients come, and z may be kept to correct these.
        """
        weights = self._weights if slots is None or not self._plan.look_ahead else self._ahead()
        self.product(inputs[0], weights[0].T, z)
        for x, w in zip(inputs[1:], weights[1:], strict=False):  # a readout's last input are its targets
            z += self.product(x, w.T)
        if slots is not None and self._then is not None:
            self._then[slots] = z

    def _ahead(self) -> list[Floats]:
        """The weights when a stimulus that fires now will have its gradient: `look_ahead` mean stalenesses from now.

        See `Synapses.ahead`. A step of the optimizer is taken for an update of the group. Costs a pass over the
        weights and the optimizer's sums for each volley at most, and room for a copy of them.
        """
        lr = self.learning_rate()
        when = (self.version, lr, self.staleness.of_late)
        if self._foreseen is None or self._foreseen[0] != when:
            steps = self._plan.look_ahead * self.staleness.of_late
            self._foreseen = when, [synapses.ahead(steps, lr) for synapses in self._links]
        return self._foreseen[1]

    def back(self, link: int, d: Floats, active: Rows) -> Floats:
        """w^T d for one link, float32 (n, n_pre); `active` are the columns of d (n, size) that hold something.

        Where the link's feedback is random it is B^T d, and no weight is read.
        """
        w, fixed = self._weights[link], self._feedback[link]
        if fixed is not None:
            w = fixed
        if active is not None:  # few neurons are notified: multiply only their rows
            w, d = w[active], d[:, active]
        return self.product(d, w[:, :-1] if link == 0 and fixed is None else w)

    def learn(self, memory: Memory, slots: Slots, last: Floats | None, closed: int) -> None:
        """These stimuli are closed: what was summed up for them enters the weights through the update rule.

        `last` is the gradient dLoss/dz (n, size) that came with their last close, if any; `closed` is how many
        they are.

        Each gradient may be scaled by 1 / (1 + staleness_decay * staleness), staleness being the group's own
        updates since the stimulus fired (Zhang et al. 2016, Staleness-aware async-SGD, arXiv:1511.05950,
        equation 6, with a slope).

        Each may be corrected for what the weights have become since its stimulus fired (Zheng et al. 2017,
        Asynchronous SGD with delay compensation, arXiv:1609.08326), with `delay_compensation` for the paper's lambda:

            g + lambda g g^T (w_now - w_then)

        where the outer product stands for the Hessian. The paper keeps its diagonal alone, g * g * (w_now - w_then),
        and copies of the weights. Here each g is that of one stimulus, d x^T, so all of the outer product within a
        neuron is to be had without old weights: it puts d + lambda d * d * (z_now - z_then) in the place of d, which
        is the paper's where a neuron has one input that is not zero. Costs the forward product once more for stimuli
        with a gradient, and room for z of each remembered stimulus. A rule that sends T for less (`stochastic`) makes
        d * d too large by T / |g| on average: that is for lambda to make up for.

        Where steps are summed up in any case (rule `threshold`) and each is that of its own gradient alone (`sgd`),
        gradients are gathered until there are a quarter of `lr_unit`, that is of a mini-batch, each with its own
        learning rate. The sum is the same, its threshold is looked at less often, and a pass over the whole matrix,
        which no cache holds, is made once for some volleys. To gather more was tried: staleness then spoils learning.
        """
        plan = self._plan
        told, d = memory.settle(slots, last)
        if d is None:
            if plan.update.rule != "every":
                return
            told, d = slice(0, 0), self._nothing
        scale: Floats | None = None
        if len(d):
            staleness = self.version - memory.version[told]
            self.staleness.note(staleness)
            self._last = d
            if plan.staleness_decay:
                scale = (1.0 / (1.0 + plan.staleness_decay * staleness[:, None])).astype(np.float32)
        rows, inputs = numbers(told), memory.inputs[: len(self._links)]  # a readout's last input are its targets
        x, lr = [values[rows] for values in inputs], self.learning_rate()  # copies: the slots are given back
        if self._then is not None and len(d):
            d = self._compensated(d, x, self._then[rows])
        if not self._gathers:
            self._step(d if scale is None else d * scale, x, lr, closed)
            return
        self._gathered.append((d * (np.float32(lr) if scale is None else np.float32(lr) * scale), x))
        self._room -= len(d)
        if self._room <= 0:
            self.settle()

    def move(self, d: Floats, x: Sequence[Floats]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """Let gradients d (k, size) of inputs x enter the weights at once, through the update rule.

        Returns for each link what its weights were before, and which of them have moved.
        """
        before = [synapses.w.copy() for synapses in self._links]
        self._step(d, x, self.learning_rate())
        return [(w, synapses.w != w) for w, synapses in zip(before, self._links, strict=True)]

    def _compensated(self, d: Floats, x: Sequence[Floats], then: Floats) -> Floats:
        """The gradients d (n, size), corrected for the weights having moved since z was `then`; see `learn`."""
        now = np.empty_like(then)
        self.sum(x, now)
        compensated: Floats = d + np.float32(self._plan.delay_compensation) * d * d * (now - then)
        return compensated

    def settle(self) -> None:
        """Let what was gathered enter the weights, as it must before they are shown or kept."""
        if self._gathered:
            gathered, self._gathered, self._room = self._gathered, [], self._enough
            d = np.concatenate([d for d, _ in gathered])
            self._step(d, [np.concatenate(parts) for parts in zip(*(x for _, x in gathered), strict=True)])

    def _step(self, d: Floats, x: Sequence[Floats], lr: float = 1.0, closed: int = 0) -> None:
        before, share = self.updates, self.share(self._plan.update.cool)
        for values, synapses in zip(x, self._links, strict=True):
            self.updates += synapses.learn(d, values, lr=lr, stimuli=closed, share=share)
            self.finite &= synapses.finite
        self.version += self.updates > before

    def learning_rate(self) -> float:
        """The learning rate as the schedule has it now."""
        return learning_rate(self._plan.optimizer, self.stimuli)

    @property
    def lr(self) -> float:
        """The optimizer's learning rate, before its schedule."""
        return self._plan.optimizer.lr

    def set_lr(self, lr: float) -> None:
        """Change it; what was gathered keeps the one of its time."""
        self._plan = replace(self._plan, optimizer=replace(self._plan.optimizer, lr=lr))

    @property
    def against_staleness(self) -> list[str]:
        """What the plan does against staleness, by the names of its values."""
        return [key for key in ("staleness_decay", "look_ahead", "delay_compensation") if getattr(self._plan, key)]

    def get(self, key: str) -> float:
        """One of `against_staleness`."""
        return float(getattr(self._plan, key))

    def set(self, key: str, value: float) -> None:
        """Change it."""
        self._plan = replace(self._plan, **{key: value})  # type: ignore[arg-type]
        self._foreseen = None

    @property
    def has_threshold(self) -> bool:
        """Whether the update rule is one with a threshold."""
        return self._plan.update.rule == "threshold"

    @property
    def in_thresholds(self) -> bool:
        """Whether it moves weights by whole multiples of that, or clips in units of it: it then cannot be zero."""
        return self._plan.update.release == "quantum" or self._plan.update.residual_clip > 0

    @property
    def threshold(self) -> float:
        """The threshold of updates, in units of the weight, before it cools; the geometric mean of several."""
        first, found = self._plan.update.threshold, [*self.thresholds().values()]
        return first * float(np.exp(np.mean(np.log(np.array(found) / first)))) if found else first

    @property
    def first_threshold(self) -> float:
        """The threshold that it was begun with, or last set to."""
        return self._plan.update.threshold

    def set_threshold(self, threshold: float) -> None:
        """Change it, where there is one; what connections hold back stays. One that is steered goes on from it."""
        self._adjust(threshold=threshold)

    def thresholds(self) -> dict[str, float]:
        """The steered thresholds of updates now, by pre process, before they cool; geometric means over neurons."""
        if not self.is_steered:
            return {}
        found = zip(self._plan.links_in, (synapses.held for synapses in self._links), strict=True)
        return {link.pre: held.threshold for link, held in found if held is not None}

    @property
    def is_steered(self) -> bool:
        """Whether the thresholds of updates are steered."""
        return self.has_threshold and self._plan.update.adapt != "off"

    @property
    def target(self) -> float:
        """The share of the weights that is to change in `lr_unit` stimuli, if the threshold is steered."""
        return self._plan.update.target

    def set_target(self, target: float) -> None:
        """Change it; the threshold is steered on from where it is."""
        self._adjust(target=target)

    @property
    def clipped(self) -> int:
        """Sums of connections that the residual clip has cut."""
        return sum(synapses.held.clipped for synapses in self._links if synapses.held is not None)

    def _adjust(self, **changes: float) -> None:
        self._plan = replace(self._plan, update=replace(self._plan.update, **changes))  # type: ignore[arg-type]
        for synapses in self._links:
            synapses.adjust(self._plan.update, "threshold" in changes)

    def share(self, cool: float) -> float:
        """What share of a threshold is left as the schedule has it now; `cool` at least."""
        if cool == 1.0:
            return 1.0
        if self._left[0] != self.stimuli:
            self._left = (self.stimuli, schedule(self._plan.optimizer, self.stimuli))
        return max(cool, self._left[1])

    def norm(self) -> float:
        """Euclidean norm of all weights."""
        return float(np.sqrt(sum(float(np.vdot(s.w, s.w)) for s in self._links)))

    def gradient_norm(self) -> float | None:
        """Euclidean norm of dLoss/dz of the volley that was learned from last; None before the first."""
        return None if self._last is None else float(np.sqrt(np.vdot(self._last, self._last)))

    def counters(self) -> dict[str, int]:
        """What telemetry tells of updates and staleness."""
        return {"updates": self.updates} | self.staleness.counters()

    def state(self) -> State:
        """Weights as ``w.<pre process>`` and ``b``; beside them what the update rules hold back."""
        self.settle()
        state: State = {"count": self._tally()}
        for name, synapses in self._named():
            state |= synapses.state(name)
        first = f"w.{self._plan.links_in[0].pre}"
        state[first], state["b"] = state[first][:, :-1], state[first][:, -1:]
        return state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError when it belongs to another network."""
        first = f"w.{self._plan.links_in[0].pre}"
        for name in ("count", "b", first):
            if name not in state:
                raise ValueError(f"the checkpoint has no {name!r}")
        whole = {**state, first: np.hstack([state[first], state["b"]])}
        for name, synapses in self._named():
            synapses.restore(whole, name)
        self._count_on(_tallied(state["count"]))

    def durable(self) -> State:
        """The weights themselves as ``w.<pre process>``, the biases in the last column of the first; the counts."""
        self.settle()
        state: State = {"count": self._tally()}
        for name, synapses in self._named():
            state[name] = synapses.w
            if synapses.held is not None:
                state |= {f"{name}/{key}": value for key, value in synapses.held.durable().items()}
        return state

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave; ValueError, and nothing is changed, when it belongs to another network.

        What the update rule held back and the optimizer's sums begin empty. A gradient changes them at every
        connection, so to keep them would cost as much as all the weights each time; and of what an older copy of
        them holds, some is in the newer weights already. The learning rate and the thresholds go by the counts,
        and so go on from where they were.
        """
        counts = _tallied(state["count"])
        for name, synapses in self._named():
            if state[name].shape != synapses.w.shape or state[name].dtype != synapses.w.dtype:
                raise ValueError(f"{name!r} is {state[name].shape}, not {synapses.w.shape}")
        for name, synapses in self._named():
            synapses.begin(state[name])
            if synapses.held is not None and f"{name}/thresholds" in state:
                synapses.held.recover({"thresholds": state[f"{name}/thresholds"]})
        self._count_on(counts)

    def _tally(self) -> NDArray[np.int64]:
        """All counts, as a checkpoint holds them: `_COUNTS`."""
        own, stale = (self.stimuli, self.version, self.updates), self.staleness
        return np.array([*own, stale.total, stale.count, stale.largest, *stale.histogram], np.int64)

    def _count_on(self, counts: list[int]) -> None:
        """Take up what was counted before, as `_tallied` gives it."""
        stale = self.staleness
        self.stimuli, self.version, self.updates, *of_staleness = counts
        stale.total, stale.count, stale.largest, *stale.histogram = of_staleness

    def _named(self) -> Iterator[tuple[str, Synapses]]:
        for link, synapses in zip(self._plan.links_in, self._links, strict=True):
            yield f"w.{link.pre}", synapses


def _tallied(tally: NDArray[Any]) -> list[int]:
    """The inverse of `Dendrites._tally`; ValueError if the checkpoint counted other things."""
    return list(counters_from(_COUNTS, tally).values())
