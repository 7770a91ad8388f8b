"""The note's own rule, word for word: a connection that has gathered enough moves its weight, and only then notifies.

"Accumulate gradients from output neurons. When it notifies us of a gradient update, we accumulate gradient equal to
the weight of our connection. If the accumulated gradient for a given connection is above a certain threshold T,
update that weight, then notify all input neurons." (Backprop without synchronization, 2016.)

What that leaves open, and how it is read here:

- **What is accumulated?** With e from an output neuron, d_j = f' e_j is the gradient of neuron j, as everywhere. The
  connection i -> j gathers d_j x_i, of which the optimizer makes steps; T is in units of the weight, as for the rule
  `threshold`, which is the same but for what follows.
- **x_i of which stimulus?** In the note there are no stimuli: "it's not obvious how to get a gradient value". So a
  neuron has a trace of each input, t <- trace * t + (1 - trace) * x with every stimulus that it fires for (0: the
  last one alone), and one of its own activation, which f' is taken of. They are what they are when the error comes,
  not what they were when its stimulus fired. Only at the loss are both the same: the error comes at once.
- **What does a notification say?** When the connection moves, input neuron i hears w_ji times all d_j that the
  connection has taken in since it last moved, and so of every loss once, if late: "gradient equal to the weight of
  our connection", times the value that the note misses. Where t_i was zero the connection took nothing in, neither
  for its weight nor for i. What several connections of i have to say at one moment is summed.
- **About which stimulus?** About none. It bears the id of the newest stimulus of the errors that made it, so that
  whoever hears it knows that one still. That is bookkeeping: closes, windows and confirms go on as ever, whatever is
  gathered, and so every stimulus is closed though the most of its gradient may be told later, in the name of
  another.

With T = 0, `trace` 0 and one stimulus under way this is gradient descent, in a chain. What each reading costs shows
in the cosine between the sum of what a group takes for its gradient, over 256 stimuli, and that of backpropagation
with the same weights (zoo `digits`, first layer, second layer, readout; accuracy after 3 epochs):

    one stimulus under way, T = 0                    1.00  1.00  1.00   95.0 %
    the same, T = 0.001                              0.62  0.81  1.00   94.2 %
    the same, T = 0.01                               0.18  0.36  1.00   86.4 %
    four stimuli under way, T = 0                    0.46  0.72  1.00   91.1 %
    sixteen                                          0.21  0.40  1.00   76.6 %
    volleys of 16, a window of 64, T = 0             0.12  0.27  1.00   68.5 %
    one stimulus under way, T = 0, `trace` 0.9       0.20  0.14  0.17   17.5 %

So the readout learns as ever, and each hop back from it loses: to the stimuli that have come between (d meets another
one's x), and to T (what is told of many at once meets the f' of one). An average of many inputs says nothing of any.
It is what causal tags are there for.

One spike and one notification: h fires for 7 and later for 8, and its traces are those of 8. The error of 7 comes. h
gathers d = f'(trace) e, and for each connection d_j t_i. That of i = 3 and j = 5 crosses T, for the fourth time the
sum grew; the weight moves, and the pre group is told: neuron 3, stimulus 7, w_53 times the four d_5. Then 7 is
closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.dendrites import Dendrites
from neurond.memory import Floats, Memory, Slots
from neurond.neurons import Neuron
from topology.plan import GroupPlan


def gathering(plan: GroupPlan) -> GroupPlan:
    """The plan for the `Dendrites` of a group that learns so: connections gather steps, and move beyond T."""
    return replace(plan, update=replace(plan.update, rule="threshold"))


class Literal:
    """Traces of what a group has fired with, and what its connections have yet to tell.

    `held` has, for each link, the sum of d that a connection has taken in since it last moved, float32 (size, n_pre).
    """

    def __init__(self, plan: GroupPlan, neuron: Neuron) -> None:
        self.held: list[Floats] = [np.zeros((plan.size, link.n_pre), np.float32) for link in plan.links_in]
        self._pres = [link.pre for link in plan.links_in]
        self._neuron = neuron
        self._keep = np.float32(plan.update.trace)
        self._inputs = [
            np.zeros(n + (k == 0), np.float32) for k, n in enumerate(link.n_pre for link in plan.links_in)
        ]
        self._inputs[0][-1] = 1.0  # the bias is never silent
        self._own: Floats = np.zeros(plan.size, np.float32)

    def fire(self, memory: Memory, slots: Slots) -> None:
        """These have fired, in order: the traces follow. The memory keeps of each what they were then."""
        traces = [*self._inputs, self._own]
        for trace, array in zip(traces, [*memory.inputs[: len(self._inputs)], memory.activation], strict=True):
            rows = array[slots]
            if self._keep:
                before = trace
                for row in rows:
                    row *= 1 - self._keep
                    row += self._keep * before
                    before = row
                array[slots] = rows
            trace[:] = rows[-1]

    def learn(self, dendrites: Dendrites, e: Floats) -> list[Floats]:
        """Errors e (n, size) have come from a post group; what each link's neurons are told, float32 (n_pre,)."""
        whole = np.add.reduce(e, axis=0)[None]  # all meet the same traces
        return self._learn(dendrites, whole, self._own[None], [trace[None] for trace in self._inputs])

    def learn_at_once(self, dendrites: Dendrites, e: Floats, memory: Memory, slots: Slots) -> list[Floats]:
        """The same for the errors of the loss, which come at once: each meets the traces of its own stimulus."""
        inputs = [x[slots] for x in memory.inputs[: len(self._inputs)]]
        return self._learn(dendrites, e, memory.activation[slots], inputs)

    def _learn(self, dendrites: Dendrites, e: Floats, own: Floats, inputs: list[Floats]) -> list[Floats]:
        slope = self._neuron.slope(own)
        d = e if slope is None else e * slope
        told = []
        for held, x, (w, moved) in zip(self.held, inputs, dendrites.move(d, inputs), strict=True):
            n = held.shape[1]  # without the bias
            held += dendrites.product(d.T, (x[:, :n] != 0.0).astype(np.float32))
            told.append(np.add.reduce(w[:, :n] * held, axis=0, where=moved[:, :n]))
            held[moved[:, :n]] = 0.0
        return told

    def state(self) -> dict[str, NDArray[Any]]:
        """What connections have yet to tell, copied, as ``literal.<pre>``."""
        return {f"literal.{pre}": held.copy() for pre, held in zip(self._pres, self.held, strict=True)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError, and nothing is changed, where it is missing or of another shape."""
        for name, held in self.state().items():
            if name not in state or state[name].shape != held.shape:
                raise ValueError(f"the checkpoint has no {name!r} of {held.shape}")
        for pre, held in zip(self._pres, self.held, strict=True):
            held[:] = state[f"literal.{pre}"]
