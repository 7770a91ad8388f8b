"""What a group with several links in remembers when it does not wait for each stimulus alone: `latest` and `sum`.

The note that all this comes from asks: "what if one of your inputs fires twice while you're waiting?" Each policy is
an answer. They differ in when a stimulus s fires and with which inputs x_p; in all of them a stimulus fires once in
each group (in each presentation), and the firing bears its id, on the wire and in every ledger.

match   s fires when the inputs of s have come on all links, with these: x_p = x_p(s). What else comes is another's.
        (`memory.py` alone; nothing here is used.)
latest  s fires with its first input, wherever that comes from. From each link that has not spoken of s by then, it
        takes what came there last, whatever stimulus that was of: x_p = x_p(j). A link that has never spoken gives
        zeros. When the group's other inputs of s come, s has fired: they are what later stimuli take. s does not
        fire again, for a second spike of s would mean nothing to those who have joined the first.
sum     s waits for the inputs of s on all links, as with match. What a link that has spoken of s brings until s
        fires is added: x_p = x_p(s) + sum of x_p(j) over the j that came on p after s. The link that spoke last of
        s adds nothing to its own. A volley comes at one moment, so that its stimuli are not added to each other.
        The j wait for their own other inputs beside that, and fire in their turn.

**Which gradient that is.** z(s) = sum_p w_p x_p + b holds for the x_p that s fired with. So with the targets of s,
and d(s) = dLoss(s)/dz(s) as in `group.py`, the gradient of the weights is that of the mixed input, exactly: G_p =
d(s) x_p^T. And dLoss(s)/dx_p(j) = w_p^T d(s) for *each* j in x_p, so that is what is notified, as part of the error
of stimulus j, in the presentation in which j came: a neuron of p that fired for j hears of every loss that it had a
hand in. With one stimulus under way and all inputs in order, `sum` is `match`; `latest` is not.

It is not the gradient of what an evaluation measures. Evaluation stimuli are joined by `match`, whatever the policy
(and are neither taken as the last nor added): what a network answers must not depend on who else is asking. So under
`latest` a slow link brings a stranger's features while the network trains and its own when it is asked, and under
`sum` a fast link brings as many stimuli at once as its lead is long. Where stimuli follow one another at random,
both are noise that the weights learn to do without, as far as they can. Digits after five epochs (test
accuracy, mean of three seeds, in simulated networks; one group takes eight times as long as the others):

    zoo `skip`, volleys of 16, a window of 64        match 95.0 %   latest 93.9 %   sum 24.9 % (a tenth of the rate)
    two hidden groups beside each other, the same    match 93.7 %   latest 92.6 %   sum 32.5 % (a tenth of the rate)
    `skip`, one by one, four under way (3 epochs, 2 seeds)    94.6 %          93.5 %       94.7 %

97 % of the stimuli of the first line fired with another's input under `latest`, and 36 % under `sum`: few, but each
of these holds whole volleys, so that it is larger by far than any input that is evaluated.

**Who closes what.** An input j of link p is closed to p once nothing is open here that holds it or may still take
it: stimuli that wait or have fired with it, and, with `latest`, the last of each link until the next one comes. But
a window may be full of stimuli that wait for that: so when nothing is open here, the last of a link is let go too as
soon as the inbox is empty, unless newer stimuli have been heard of on another link (which will come on this one
too); in any case at the next tick, for they may have been lost. What fires with it later sends it nothing: counted,
`unsent`. Closes are always awaited, since one input may hold back another's: their stimuli need not have had an
error. A stimulus whose inputs never complete expires as in `memory.py`, and what it had taken is then closed. An
input that is lost on its way to a group that fired without it is never closed to its sender, where it expires, and
at the source its place is given back in the end, and counted.

**One spike and one notification.** h2 is slow; `out` hears h1 and h2, and joins by `latest`. h1's spikes of 7 come;
h2's last were of 4. 7 fires with x_h1(7) and x_h2(4), is judged by the target of 7, and its error d goes at once as
w_h1^T d to h1 for 7, and as w_h2^T d to h2 for 4. 7 is done; h1 is told its close when x_h1(8) has come. So is h2 of
that of 4 once 5 has come and all that fired with 4 is done. With `sum`, 7 waits for h2; h1's 8 and 9 come and are
added; h2's 7 comes, and 7 fires with x_h1(7) + x_h1(8) + x_h1(9) and x_h2(7). w_h1^T d goes to h1 for each of 7, 8
and 9, and w_h2^T d to h2 for 7. h1's 8 is closed when both 7 and 8 are done here.

A stimulus that is presented again begins anew here, in each policy: its spikes come twice because some were lost,
not because anybody fired twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from neurond.memory import Flags, Floats, Ids, Memory, Slots
from neurond.ring import Ring, numbers

Numbers = NDArray[np.int64]

NEVER = np.iinfo(np.int64).max
NONE = -1


class Arrivals:
    """What has come on one link, numbered in the order of coming, until the ring comes round to it.

    `number` (capacity,) is each one's, -1 where there is none; `open`, whether it is still to be closed; `spiked`
    (capacity, n_pre), which neurons had fired. `last` is what came last, zeros before anything has, and `next` the
    number of what comes next.
    """

    def __init__(self, capacity: int, width: int) -> None:
        self.ring = Ring(capacity)
        self.number: Numbers = np.full(capacity, NONE, np.int64)
        self.presentation: NDArray[np.int32] = np.zeros(capacity, np.int32)
        self.open: Flags = np.zeros(capacity, np.bool_)
        self.spiked: Flags = np.zeros((capacity, width), np.bool_)
        self.last: Floats = np.zeros(width, np.float32)
        self.newest = -1  # its id
        self.next = 0

    def has(self, ids: Ids, presentation: int) -> Flags:
        """Which of these have come, in this presentation or a later one."""
        slots, known = self.ring.find(ids)
        come = np.ones(len(ids), np.bool_) if known is None else known.copy()
        come[come] = self.presentation[slots] >= presentation
        return come

    def take(self, ids: Ids, presentation: int, values: Floats) -> tuple[Numbers, int]:
        """Number these, of which none `has` come; returns how many open ones were forgotten for lack of room too.

        What had come of them in an earlier presentation is forgotten: its sender has begun them anew.
        """
        old, _ = self.ring.find(ids)
        old = numbers(old)
        self.open[old] = False
        self.ring.forget(old)
        slots, _ = self.ring.begin(ids)
        forgotten = int(np.count_nonzero(self.open[slots]))
        self.number[slots] = own = np.arange(self.next, self.next + len(ids))
        self.presentation[slots] = presentation
        self.open[slots] = True
        self.spiked[slots] = values != 0.0
        self.last[:] = values[-1]
        self.newest = int(ids[-1])
        self.next += len(ids)
        return own, forgotten


class MixedMemory(Memory):
    """The memory of a group that joins by `latest` or `sum`: see the module.

    `inputs` holds the mixed inputs with which each stimulus has fired, so that all that follows is as with `match`.

    Args:
        join: latest or sum; ValueError if it is neither.
        links: links in; the other widths are a target's, which is always that of the stimulus itself.
        capacity, size, widths, posts: as for `Memory`. So many inputs of each link are remembered too.

    """

    def __init__(
        self,
        join: str,
        links: int,
        capacity: int,
        size: int,
        widths: Sequence[int],
        posts: int,
        product: Callable[..., Floats] = np.matmul,
    ) -> None:
        if join not in ("latest", "sum"):
            raise ValueError(f"unknown join {join!r}: one of match, latest, sum")
        super().__init__(capacity, size, widths, posts)
        self._latest = join == "latest"
        self._product = product
        self._arrivals = [Arrivals(capacity, width) for width in widths[:links]]
        self._newest = -1  # the highest id that has come
        self._mixes: Flags = np.zeros(capacity, np.bool_)  # stimuli that teach
        self._due: Flags = np.zeros(capacity, np.bool_)  # those that were said to be ready
        # Of each link and stimulus: the arrival that it holds, and with `sum` those that it holds beside, as the
        # first number and the one after the last.
        self._own: Numbers = np.full((links, capacity), NONE, np.int64)
        self._since: Numbers = np.full((links, capacity), NEVER, np.int64)
        self._until: Numbers = np.full((links, capacity), NEVER, np.int64)

    def mix(self, source: int, ids: Ids, presentation: int, values: Floats) -> tuple[Slots, Ids]:
        """Take in one input of some stimuli that teach: as `arrive`, which joins those that are only evaluated."""
        own: Numbers | None = None
        if source < len(self._arrivals):
            arrivals = self._arrivals[source]
            again = arrivals.has(ids, presentation)
            if np.count_nonzero(again):
                self.late += int(np.count_nonzero(again))
                ids, values = ids[~again], values[~again]
                if not len(ids):
                    return slice(0, 0), ids
            if not self._latest:
                self._add_to_waiting(source, values)
            self._newest = max(self._newest, int(ids[-1]))
            own, forgotten = arrivals.take(ids, presentation, values)
            self.expired += forgotten
            if self._latest:
                passed = self._has_passed(source, ids, presentation)
                ids, values, own = ids[~passed], values[~passed], own[~passed]
        if not len(ids):
            return slice(0, 0), ids
        self.arrive(source, ids, presentation, values)
        slots, known = self._ring.find(ids)
        taken = np.ones(len(ids), np.bool_) if known is None else known.copy()
        fit = self._presentation[slots] == presentation  # the others are known in a later one
        taken[taken] = fit
        slots, ids = self.pick(slots, fit), ids[taken]
        self._mixes[slots] = True
        if own is not None:
            self._own[source, slots] = own[taken]
            if not self._latest:
                self._since[source, slots] = self._arrivals[source].next
        return self._now_ready(slots, ids, presentation)

    def _now_ready(self, slots: Slots, ids: Ids, presentation: int) -> tuple[Slots, Ids]:
        """Those of some stimuli that are to fire because of what has just come."""
        links, arrived = len(self._arrivals), self._arrived[:, slots]
        enough = np.logical_or if self._latest else np.logical_and
        ready: Flags = enough.reduce(arrived[:links], axis=0) & np.logical_and.reduce(arrived[links:], axis=0)
        ready &= ~self._due[slots]
        slots, ids = self.pick(slots, ready), ids[ready]
        self._due[slots] = True
        self._whole[slots] = presentation
        if not self._latest:
            self._until[:, slots] = [[arrivals.next] for arrivals in self._arrivals]
        return slots, ids

    def fill(self, slots: Slots) -> int:
        """These are about to fire: give them what they fire with; returns how many hold another's input.

        From now on they are whole, so that what still comes of them changes them no more.
        """
        slots = numbers(slots)
        mixed: Flags = np.zeros(len(slots), np.bool_)
        for link, arrivals in enumerate(self._arrivals):
            if not self._latest:
                mixed |= self._until[link, slots] > self._since[link, slots]
                continue
            lacks = ~self._arrived[link, slots]
            at = slots[lacks]
            self._spikes[link][at] = arrivals.last
            self._own[link, at] = arrivals.next - 1
            self._arrived[link, at] = True
            mixed |= lacks & (arrivals.next > 0)
        return int(np.count_nonzero(mixed))

    def route(self, link: int, slots: Slots, g: Floats, gated: bool) -> tuple[Ids, NDArray[np.int32], Floats, int]:
        """Whom the gradient of some stimuli's mixed inputs belongs to.

        Args:
            link: position of the link.
            slots: stimuli that have fired.
            g: their w^T d, float32 (n, n_pre).
            gated: neurons that did not fire need none.

        Returns:
            ids, ascending (m,); presentations (m,); gradients, float32 (m, n_pre), each the sum over all stimuli that
            hold that input; and how many parts belong to inputs that are closed already.

        """
        arrivals, slots = self._arrivals[link], numbers(slots)
        at = arrivals.open.nonzero()[0]
        at = at[np.argsort(arrivals.ring.owner[at])]
        number = arrivals.number[at]
        own, since, until = (array[link, slots][:, None] for array in (self._own, self._since, self._until))
        holds = (number == own) | ((number >= since) & (number < until))
        held = np.logical_or.reduce(holds, axis=0)
        at, holds = at[held], holds[:, held]
        rows = self._product(holds.T.astype(np.float32), g)
        if gated:
            rows *= arrivals.spiked[at]
        some = np.logical_or.reduce(g != 0.0, axis=1)
        parts = (own != NONE)[:, 0] + np.maximum(until - since, 0)[:, 0]
        unsent = int((parts - np.count_nonzero(holds, axis=1))[some].sum())
        return arrivals.ring.owner[at], arrivals.presentation[at], rows, unsent

    def release(self, idle: bool = False, tick: bool = False) -> Iterator[tuple[int, int, Ids]]:
        """Inputs that nothing holds any more, as (position of the link, presentation, ids in order); once each.

        `idle`: nothing waits in the inbox; `tick`: some time has passed.
        """
        held = (self._mixes & (self._ring.owner >= 0)).nonzero()[0]
        for link, arrivals in enumerate(self._arrivals):
            at = arrivals.open.nonzero()[0]
            if not len(at):
                continue
            number = arrivals.number[at]
            needed = np.isin(number, self._own[link, held])
            if self._latest:
                last = number == arrivals.next - 1
                if len(held) or not (tick or (idle and arrivals.newest >= self._newest)):
                    needed |= last
            else:
                needed |= _within(number, self._since[link, held], self._until[link, held])
            at = at[~needed]
            arrivals.open[at] = False
            for presentation in np.unique(arrivals.presentation[at]).tolist():
                yield link, presentation, np.sort(arrivals.ring.owner[at[arrivals.presentation[at] == presentation]])

    def _add_to_waiting(self, source: int, values: Floats) -> None:
        waiting = self._mixes & (self._ring.owner >= 0) & self._arrived[source] & ~self._due
        slots = waiting.nonzero()[0]
        if len(slots):
            self._spikes[source][slots] += np.add.reduce(values, axis=0)

    def _has_passed(self, source: int, ids: Ids, presentation: int) -> Flags:
        """Which of these have fired already, and may even be forgotten."""
        slots, known = self._ring.find(ids)
        passed = np.ones(len(ids), np.bool_) if known is None else known.copy()
        gone = ~passed
        passed[passed] = self._arrived[source, slots] & (self._presentation[slots] == presentation)
        if np.count_nonzero(gone):
            for link, arrivals in enumerate(self._arrivals):
                if link != source:
                    passed[gone] |= arrivals.has(ids[gone], presentation)
        return passed

    def _reset(self, slots: Slots, presentation: int) -> None:
        super()._reset(slots, presentation)
        self._mixes[slots] = self._due[slots] = False
        self._own[:, slots] = NONE
        self._since[:, slots] = self._until[:, slots] = NEVER


def _within(number: Numbers, since: Numbers, until: Numbers) -> Flags:
    """Which numbers, in any order, lie in one of the ranges at least."""
    order = np.argsort(number)
    edges = np.zeros(len(number) + 1, np.int64)
    np.add.at(edges, np.searchsorted(number[order], since), 1)
    np.add.at(edges, np.searchsorted(number[order], np.maximum(since, until)), -1)
    inside: Flags = np.empty(len(number), np.bool_)
    inside[order] = np.cumsum(edges[:-1]) > 0
    return inside
