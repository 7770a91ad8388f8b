"""How much cancels, which no process tells: the numerics of all groups in this one process, called in turn.

The rules, the optimizer, the update rule, the first weights and the order of the stimuli are those of the real
processes (`rules.py`, `optimizers.py`, `weights.py`). There are no messages, so there is no staleness: each volley
goes forward and back before the next. Measured are, over the whole training and all links:

    way         sum of |step| of each weight: what a network that updates always would move it by
    updated     sum of |update|: what the weight was moved by in fact, once its steps had passed the threshold
    moved       |sum of steps|: how far it is from where it began
    gradient_*  the same of the gradients of each neuron that the rule of its link is given, and sends

So 1 - moved / way is the share of all steps that cancel sooner or later, and 1 - updated / way is the share that the
threshold has not carried out at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neurond.data import Dataset, load
from neurond.errors import Interrupted
from neurond.experiments.study import Arm, Study
from neurond.launch import planned
from neurond.losses import make_loss
from neurond.neurons import make_neuron
from neurond.optimizers import learning_rate, schedule
from neurond.rules import make_rule
from neurond.synapses import Synapses
from neurond.weights import initial_bias, link_weights
from topology.plan import SOURCE, GroupPlan, NotifyPlan, Plan

Floats = NDArray[np.float32]


async def measured(
    study: Study, arm: Arm, seed: int, quick: bool, data_dir: str | None, stop: asyncio.Event
) -> dict[str, float]:
    """Train an arm's network in this process; see `processes.measured`."""
    _, plan, _ = await asyncio.to_thread(planned, study.topology(arm, seed, quick=quick), data_dir)
    data = await asyncio.to_thread(load, plan.source.data, data_dir=data_dir, test=plan.source.test)
    return await asyncio.to_thread(_trained, plan, data, stop)


@dataclass
class _Sums:
    """Sums of sizes, and the sum itself, of what comes one after the other; shape of one of them."""

    shape: tuple[int, ...]
    sizes: float = 0.0
    passed: float = 0.0
    whole: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.whole = np.zeros(self.shape)

    @property
    def net(self) -> float:
        """Sum over all elements of |sum|."""
        return float(np.abs(self.whole).sum())


class _Group:
    """One group: its weights, and what is counted of them."""

    def __init__(self, plan: GroupPlan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.neuron = make_neuron(plan.neuron, plan.slope)
        weights = [link_weights(plan, link) for link in plan.links_in]
        weights[0] = np.hstack([weights[0], initial_bias(plan)])  # as in Dendrites
        self.links = [Synapses(w, plan.optimizer, plan.update) for w in weights]
        self.rules = [
            None if link.pre == SOURCE else _Counted(link.notify, link.n_pre, rng) for link in plan.links_in
        ]
        self.steps = [_Sums(w.shape) for w in weights]
        self.updates = 0
        self.stimuli = 0

    def share(self, cool: float) -> float:
        """What share of a threshold is left, as in `Dendrites`."""
        return 1.0 if cool == 1.0 else max(cool, schedule(self.plan.optimizer, self.stimuli))

    def learn(self, d: Floats, inputs: list[Floats]) -> None:
        """One step of each link, and its size before and after the update rule."""
        plan, self.stimuli = self.plan.optimizer, self.stimuli + len(d)
        lr = learning_rate(plan, self.stimuli)
        share = self.share(self.plan.update.cool)
        for synapses, x, sums in zip(self.links, inputs, self.steps, strict=True):
            before = synapses.w.copy()
            step = (d.T @ x) * np.float32(lr / plan.lr_unit)
            sums.sizes += float(np.abs(step).sum(dtype=np.float64))
            sums.whole += step
            self.updates += synapses.learn(d, x, lr=lr, stimuli=len(d), share=share)
            sums.passed += float(np.abs(synapses.w - before).sum(dtype=np.float64))


class _Counted:
    """A notification rule, and what is counted of it."""

    def __init__(self, plan: NotifyPlan, width: int, rng: np.random.Generator) -> None:
        self.plan = plan
        self._rule = make_rule(plan, width, rng)
        self.sums = _Sums((width,))
        self.notifications = 0

    def __call__(self, g: Floats, share: float) -> Floats:
        sent = self._rule(g, share)
        self.sums.sizes += float(np.abs(g).sum(dtype=np.float64))
        self.sums.passed += float(np.abs(sent).sum(dtype=np.float64))
        self.sums.whole += g.sum(axis=0, dtype=np.float64)
        self.notifications += int(np.count_nonzero(sent))
        return sent


def _trained(plan: Plan, data: Dataset, stop: asyncio.Event) -> dict[str, float]:
    rng = np.random.default_rng(plan.source.seed)
    groups = [_Group(group, rng) for group in plan.groups]
    readout = plan.group(plan.source.readout)
    assert readout.loss is not None
    loss, loss_rule = make_loss(readout.loss.kind), _Counted(readout.loss.notify, readout.size, rng)
    stimuli = volleys = 0
    for rows in _volleys(plan, len(data.x_train)):
        if stop.is_set():
            raise Interrupted("stopped")
        stimuli, volleys = stimuli + len(rows), volleys + 1
        inputs, a = _forward(groups, data.x_train[rows].astype(np.float32) * np.float32(data.scale))
        _, gradient, _ = loss(a[readout.name], data.y_train[rows].astype(np.float32)[:, None])
        error: dict[str, Floats] = {readout.name: loss_rule(gradient, groups[-1].share(loss_rule.plan.cool))}
        for group, x in zip(reversed(groups), reversed(inputs), strict=True):
            slope = group.neuron.slope(a[group.plan.name])
            e = error[group.plan.name]
            d: Floats = e if slope is None else e * slope
            for link, synapses, rule in zip(group.plan.links_in, group.links, group.rules, strict=True):
                if rule is not None:
                    sent = rule(d @ synapses.w[:, : link.n_pre], group.share(rule.plan.cool))
                    error[link.pre] = error[link.pre] + sent if link.pre in error else sent
            group.learn(d, x)
    _, a = _forward(groups, data.x_test.astype(np.float32) * np.float32(data.scale))
    accuracy = float((a[readout.name].argmax(axis=1) == data.y_test).mean())
    return {"test_accuracy": accuracy, "test_error": 1 - accuracy, "diverged": 0.0} | _figures(
        groups, loss_rule, stimuli, volleys
    )


def _forward(groups: list[_Group], x: Floats) -> tuple[list[list[Floats]], dict[str, Floats]]:
    """Inputs of each group, a column of ones behind those of its first link; activations by process."""
    a, inputs = {SOURCE: x}, []
    for group in groups:
        own = [a[link.pre] for link in group.plan.links_in]
        own[0] = np.hstack([own[0], np.ones((len(x), 1), np.float32)])
        z = np.zeros((len(x), group.plan.size), np.float32)
        for values, synapses in zip(own, group.links, strict=True):
            z += values @ synapses.w.T
        a[group.plan.name] = group.neuron.fire(z)
        inputs.append(own)
    return inputs, a


def _volleys(plan: Plan, n: int) -> Iterator[NDArray[np.int64]]:
    """The numbers of the training stimuli in the order of the source, a volley each."""
    source, presented, epoch = plan.source, 0, 0
    wanted = round(source.epochs * n)
    while presented < wanted:
        order = np.random.default_rng(np.random.SeedSequence([source.seed, epoch])).permutation(n)
        for at in range(0, n, source.volley):
            rows = order[at : at + source.volley][: wanted - presented]
            presented += len(rows)
            if len(rows):
                yield rows
        epoch += 1


def _figures(groups: list[_Group], loss_rule: _Counted, stimuli: int, volleys: int) -> dict[str, float]:
    steps = [sums for group in groups for sums in group.steps]
    rules = [loss_rule, *(rule for group in groups for rule in group.rules if rule is not None)]
    weights = sum(sums.whole.size for sums in steps)
    way, updated, moved = (sum(x) for x in zip(*((s.sizes, s.passed, s.net) for s in steps), strict=True))
    size, sent, net = (sum(x) for x in zip(*((r.sums.sizes, r.sums.passed, r.sums.net) for r in rules), strict=True))
    updates = sum(group.updates for group in groups)
    return {
        "way": way / weights,
        "updated": updated / weights,
        "moved": moved / weights,
        "cancelled": 1 - moved / way,
        "kept_back": 1 - updated / way,
        "gradient_sent": sent / size,
        "gradient_cancelled": 1 - net / size,
        "updates": updates / stimuli,
        "updates_saved": weights * volleys / max(1, updates),
        "notifications": sum(rule.notifications for rule in rules) / stimuli,
        "stimuli": float(stimuli),
    }
