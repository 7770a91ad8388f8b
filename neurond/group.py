"""The machine of a group of neurons: joins spikes, fires, and learns from whatever notifications come back.

For a stimulus s with inputs x_p from groups p (design: z = sum_p w_p x_p + b, a = f(z)) the group keeps x_p and a.
When notifications e of any one post group arrive it acts at once, for all that follows is linear in e:
d = f'(z) * e goes on to each pre group as w_p^T d, through the link's rule, and is summed up. When every post
group has closed s, the sum enters the weights through the update rule and s is forgotten. The readout does the
same, with the loss in the place of its post group.

With several links in, which inputs fire together is a matter of the group's join: see `joins.py`. What is counted is
in `ledger.py`, and what outlives the process in `lasting.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.arithmetic import FAST, Arithmetic
from neurond.dendrites import Dendrites
from neurond.joins import MixedMemory
from neurond.lasting import Lasting
from neurond.ledger import Ledger
from neurond.links import Closing, Early, Outbound
from neurond.literal import Literal, gathering
from neurond.machine import (
    Action,
    Answer,
    Frame,
    Idle,
    MachineEvent,
    Peers,
    Request,
    State,
    Tell,
    Tick,
    seed_of,
)
from neurond.memory import Flags, Floats, Ids, Memory, Slots
from neurond.neurons import make_neuron
from neurond.notifier import Notifier
from neurond.raster import Raster
from neurond.readout import Readout
from neurond.ready import Ready
from neurond.settings import VERBS, Settings, of_group
from neurond.updates import few
from neurond.wiring import Wiring
from topology import wire
from topology.plan import SOURCE, GroupPlan

HINT = "lower the learning rate (optimizer.lr) or the window (source.window), and give inputs that are about one"


class GroupMachine:
    """One group (or one shard of it) as a pure machine; the readout when its plan has a loss.

    Args:
        plan: what the group is and how it is wired.
        incarnation: marks every frame; peers hear only the one that the roster names.
        arithmetic: how it computes.

    Verbs: ``get`` and ``set`` of what may be changed while it runs (`settings.py`).

    Invariants: a frame changes the machine only after it was decoded, accepted by its link and found to fit;
    a stimulus is taught at most once; the weights that send an error back are those before the update that the
    same error brings.

    """

    role = "group"

    def __init__(self, plan: GroupPlan, incarnation: int = 1, arithmetic: Arithmetic = FAST) -> None:
        self.plan = plan
        self.name = plan.name
        self.incarnation = incarnation
        self.progress = 0
        rng = arithmetic.generator(seed_of(plan.seed, plan.name, incarnation))
        self._neuron = make_neuron(plan.neuron, plan.slope, arithmetic)
        literal = plan.update.rule == "literal"
        self._literal = Literal(plan, self._neuron) if literal else None
        self._notifiers = [
            None if link.pre == SOURCE or literal else Notifier(link.notify, link.n_pre, rng, arithmetic)
            for link in plan.links_in
        ]
        self._readout = None if plan.loss is None else Readout(plan.loss, plan.size, rng, arithmetic)
        self.dendrites = Dendrites(gathering(plan) if literal else plan, arithmetic)
        widths = [link.n_pre for link in plan.links_in]
        posts = len(plan.links_out)
        if plan.loss is not None:
            widths.append(plan.loss.targets)
            posts = 1  # the loss
        self._mixed: MixedMemory | None = None
        if plan.join == "match" or len(plan.links_in) == 1:
            self.memory = Memory(plan.memory, plan.size, widths, posts)
        else:
            self._mixed = MixedMemory(
                plan.join, len(plan.links_in), plan.memory, plan.size, widths, posts, arithmetic.product
            )
            self.memory = self._mixed
        self._plain = self._mixed is None and self._literal is None
        self._wiring = wiring = Wiring(plan, self._readout)
        self._ends = wiring.ends
        self._ready: Ready | None = None
        self._closing = Closing(len(plan.links_in), plan.hold)
        self.rules = {
            link.pre: rule for link, rule in zip(plan.links_in, self._notifiers, strict=True) if rule is not None
        }
        """By pre process, and ``loss`` for that of the loss."""
        if self._readout is not None:
            self.rules["loss"] = self._readout.rule
        self.settings = Settings(plan.name)
        self.settings.add(of_group(self.dendrites, self.rules))
        self._ledger = Ledger(plan, wiring, self.dendrites, self.memory, self.rules)
        self._count = self._ledger.count
        self._lasting = Lasting(self.dendrites, self._count, self.memory, self.rules, self._readout, self._literal)
        self._raster = Raster(plan.size)
        self._now = 0.0
        self._diverged = False
        self._seq = 0
        self._out: list[Action] = []

    # --- events -----------------------------------------------------------------------------------------

    # What overflows is found where it matters, and told as divergence; a warning in the log would say no more.
    @np.errstate(over="ignore", invalid="ignore")
    def handle(self, event: MachineEvent, now: float) -> Sequence[Action]:
        """Take one event in and say what is to be done about it. Only the raster needs the time."""
        out = self._out = []
        self._now = now
        if isinstance(event, Frame):
            self._count["frames_in"] += 1
            self._frame(event.data)
            if self._ready is not None and not event.more:
                self._fire()
        elif isinstance(event, Idle):
            if self._mixed is not None:
                self._release(self._mixed, idle=True)
            if self._closing.due:
                self._send_closes()
        elif isinstance(event, Tick):
            if self._mixed is not None:
                self._release(self._mixed, tick=True)
            self._send_closes()
            self._settle()
        elif isinstance(event, Peers):
            for data in self._ends.meet(event.incarnations):
                self._frame(data)
            if self._ready is not None:
                self._fire()
        elif isinstance(event, Request) and event.verb in VERBS:
            out += self.settings.answer(event)
        elif isinstance(event, Request):
            out.append(Answer(wire.Reply(event.id, False, error=f"a group cannot {event.verb}")))
        return out

    def _frame(self, data: bytes) -> None:
        try:
            message = wire.decode(data)
            if not self._ends.is_mine(message.to, self.incarnation):
                return
            if isinstance(message, wire.Spikes):
                self._spikes(message)
            elif isinstance(message, wire.Notifications | wire.Closes):
                self._errors(message)
            elif isinstance(message, wire.Targets):
                self._targets(message)
            else:
                raise wire.WireError("a confirmation is not for a group")
        except wire.WireError:
            self._count["wire_errors"] += 1
            return
        except Early:
            self._ends.keep(data)
            return
        self.progress += len(message.ids)

    def _spikes(self, message: wire.Spikes) -> None:
        position = self._wiring.position_in.get(message.link, -1)
        if position < 0:
            raise wire.WireError(f"no link {message.link} comes in here")
        self._check(message.ids, message.values, self.plan.links_in[position].n_pre)
        if self._wiring.spikes_in[position].accept(message.incarnation, message.seq):
            self._join(position, message)

    def _targets(self, message: wire.Targets) -> None:
        readout = self._readout
        if readout is None or message.link != readout.plan.confirms:
            raise wire.WireError("targets are for the readout")
        self._check(message.ids, message.values, readout.plan.targets)
        if not readout.fits(message.values):
            raise wire.WireError("a class that the readout does not have")
        if readout.targets_in.accept(message.incarnation, message.seq):
            self._join(len(self.plan.links_in), message)

    def _errors(self, message: wire.Notifications | wire.Closes) -> None:
        position = self._wiring.position_out.get(message.link, -1)
        if position < 0:
            raise wire.WireError(f"no link {message.link} goes out here")
        values = message.values if isinstance(message, wire.Notifications) else None
        self._check(message.ids, values, self.plan.size)
        if not self._wiring.errors_in[position].accept(message.incarnation, message.seq):
            return
        slots, known = self.memory.find(message.ids, message.presentation)
        ids = message.ids if known is None else message.ids[known]
        if not len(ids):
            return
        if not isinstance(message, wire.Notifications):
            done = self.memory.close(position, slots)
            if np.count_nonzero(done) < len(ids):
                slots, ids = self.memory.pick(slots, done), ids[done]
            self._finish(slots, ids, message.presentation, awaited=message.awaited)
            return
        e, closed = message.values, message.closed
        if known is not None:
            e, closed = e[known], closed[known]
        self._backward(position, slots, ids, message.presentation, e, closed)

    def _check(self, ids: Ids, values: Floats | None, width: int) -> None:
        if values is not None and values.shape[1] != width:
            raise wire.WireError(f"{values.shape[1]} values a stimulus on a link of {width}")
        n = len(ids)
        if n > self.memory.capacity // 2 or np.count_nonzero(ids[1:] > ids[:-1]) < n - 1:
            raise wire.WireError("stimuli out of order, or more than fit")

    # --- forward ----------------------------------------------------------------------------------------

    def _join(self, position: int, message: wire.Spikes | wire.Targets) -> None:
        if self._ready is not None and not self._ready.takes(message):
            self._fire()  # first, for what has come may begin the same stimuli anew
        mixed = self._mixed
        arrive = self.memory.arrive if mixed is None or not message.teach else mixed.mix
        slots, ids = arrive(position, message.ids, message.presentation, message.values)
        if mixed is not None:
            self._release(mixed)
        if not len(ids):
            return
        ready = self._ready
        if ready is None:
            self._ready = Ready(message.presentation, message.teach, [slots], [ids], len(ids))
        else:
            ready.add(slots, ids)

    def _fire(self) -> None:
        """Fire for every stimulus that is ready: volleys that waited together go as one."""
        assert self._ready is not None
        ready, self._ready = self._ready, None
        if self._closing.due:
            self._send_closes()  # before the product, which takes a while
        memory = self.memory
        slots, ids = ready.joined()
        held = memory.holds(slots, ids, ready.presentation)
        if np.count_nonzero(held) < len(ids):  # the ring came round to those that waited; they are counted as expired
            slots, ids = memory.pick(slots, held), ids[held]
            if not len(ids):
                return
        if not ready.teach:
            self._settle()  # all that was taught before it is asked
        if self._mixed is not None and ready.teach:
            self._count["mixed"] += self._mixed.fill(slots)
        a = memory.activation[slots]  # in place where they lie side by side
        self.dendrites.sum([x[slots] for x in memory.inputs], a, slots if ready.teach else None)
        a = self._neuron.fire(a)
        flat = a.ravel()
        if not isfinite(flat @ flat):  # one pass in BLAS
            self._diverge("its activations are no longer finite numbers")
            memory.forget(slots)
            return
        presentation, teach = ready.presentation, ready.teach
        if teach:
            if not isinstance(slots, slice):
                memory.activation[slots] = a
            if self._literal is not None:
                self._literal.fire(memory, slots)
            memory.version[slots] = self.dendrites.version
            self.dendrites.stimuli += len(ids) if presentation == 1 else 0
            if self._now >= self._raster.due:
                self._raster.look(a[0], self._now)
        else:
            self._count["eval_stimuli"] += len(ids)
        spiked = int(np.count_nonzero(a != 0.0)) if self._wiring.spikes_out else 0
        if teach:
            self._ledger.note_volley(a, spiked)
        for link, outbound in zip(self.plan.links_out, self._wiring.spikes_out, strict=True):
            outbound.carried(spiked, a.size)
            head = (link.index, self.incarnation, outbound.incarnation, outbound.seq)
            spikes = wire.Spikes(*head, presentation, teach, ids, a)
            self._send(outbound, wire.encode(spikes, link.coding, link.values), teach)
        if self._readout is not None:
            self._judge(self._readout, slots, ids, presentation, teach, a)
        elif not teach:
            self._forget_evaluation(slots)

    def _forget_evaluation(self, slots: Slots) -> None:
        self.memory.forget(slots)
        self._send_closes()  # or a long evaluation would pass by stimuli that only wait for a full frame

    def _judge(self, readout: Readout, slots: Slots, ids: Ids, presentation: int, teach: bool, a: Floats) -> None:
        """The readout's turn: compare with the targets, confirm, and start the errors on their way back."""
        share = self.dendrites.share(readout.plan.notify.cool)
        loss, hit, e, pending, again = readout.judge(a, self.memory.inputs[-1][slots], ids, teach, share)
        if teach:
            count = self._count
            count["seen_again"] += again
            count["skipped"] += len(ids) - int(np.count_nonzero(pending)) - again
            count["notifications"] += int(np.count_nonzero(e))
            count["notifications_dense"] += e.size
            trouble = readout.watch(loss)
            if trouble is not None:
                self._diverge(trouble)
                return
        link, outbound = readout.plan.confirms, readout.confirms_out
        head = (link, self.incarnation, outbound.incarnation, outbound.seq, presentation, teach, ids)
        self._send(outbound, wire.encode(wire.Confirms(*head, loss, hit, pending)), teach)
        if not teach:
            self._forget_evaluation(slots)
            return
        if np.count_nonzero(pending):
            told = ids[pending]
            closed = np.ones(len(told), np.bool_)
            self._backward(0, self.memory.pick(slots, pending), told, presentation, e[pending], closed)
            slots, ids = self.memory.pick(slots, ~pending), ids[~pending]
        if len(ids):
            self.memory.close(0, slots)
            self._finish(slots, ids, presentation, awaited=False)

    # --- backward ---------------------------------------------------------------------------------------

    def _backward(self, post: int, slots: Slots, ids: Ids, presentation: int, e: Floats, closed: Flags) -> None:
        """Errors e (n, size) of some stimuli have come from one post group, for the last time where `closed`."""
        if not self._plain:
            self._backward_otherwise(post, slots, ids, presentation, e, closed)
            return
        memory = self.memory
        slope = self._neuron.slope(memory.activation[slots])
        d = e if slope is None else e * slope
        n = len(ids)
        if np.count_nonzero(closed) == n:
            done = memory.close(post, slots)
        else:
            done = np.zeros(n, np.bool_)
            done[closed] = memory.close(post, memory.pick(slots, closed))
        whole = np.count_nonzero(done) == n  # the usual case: nothing is to be picked out
        told: set[int] = set()  # links whose notifications carry the closes
        active = few(np.logical_or.reduce(d, axis=0))
        for k, (rule, link) in enumerate(zip(self._notifiers, self.plan.links_in, strict=True)):
            if rule is None:
                continue
            g = self.dendrites.back(k, d, active)
            if link.gated:
                g *= memory.inputs[k][slots, : link.n_pre] != 0.0
            g = rule(g, self.dendrites.share(link.notify.cool))
            fired = g != 0.0
            notified = int(np.count_nonzero(fired))
            if not notified:
                continue
            told.add(k)
            self._count["notifications"] += notified
            self._wiring.errors_out[k].values += notified
            if whole:
                self._notify(k, ids, presentation, done, g)
            else:
                rows = done | np.logical_or.reduce(fired, axis=1)
                self._notify(k, ids[rows], presentation, done[rows], g[rows])
        if not whole:
            memory.add(memory.pick(slots, ~done), d[~done])
            slots, ids, d = memory.pick(slots, done), ids[done], d[done]
        self._finish(slots, ids, presentation, awaited=True, told=told, last=d)

    def _backward_otherwise(
        self, post: int, slots: Slots, ids: Ids, presentation: int, e: Floats, closed: Flags
    ) -> None:
        """The same where inputs of other stimuli were mixed in, or traces stand in for them; closes go apart."""
        memory, last = self.memory, None
        done = np.zeros(len(ids), np.bool_)
        done[closed] = memory.close(post, memory.pick(slots, closed))
        if self._mixed is not None:
            slope = self._neuron.slope(memory.activation[slots])
            d = e if slope is None else e * slope
            self._send_back_mixed(self._mixed, slots, d)
            memory.add(memory.pick(slots, ~done), d[~done])
            last = d[done]
        elif self._literal is not None:
            self._tell_literally(self._literal, slots, ids, presentation, e)
        self._finish(memory.pick(slots, done), ids[done], presentation, awaited=True, last=last)

    def _send_back_mixed(self, mixed: MixedMemory, slots: Slots, d: Floats) -> None:
        """Notify the pre groups of d (n, size): for each stimulus of which an input was mixed in, its part."""
        active = few(np.logical_or.reduce(d, axis=0))
        for k, (rule, link) in enumerate(zip(self._notifiers, self.plan.links_in, strict=True)):
            if rule is None:
                continue
            ids, shown, g, unsent = mixed.route(k, slots, self.dendrites.back(k, d, active), link.gated)
            self._count["unsent"] += unsent
            if not len(ids):
                continue
            fired = (g := rule(g, self.dendrites.share(link.notify.cool))) != 0.0
            self._count["notifications"] += int(np.count_nonzero(fired))
            self._wiring.errors_out[k].values += int(np.count_nonzero(fired))
            some = np.logical_or.reduce(fired, axis=1)
            for presentation in np.unique(shown[some]).tolist():
                rows = some & (shown == presentation)
                self._notify(k, ids[rows], presentation, np.zeros(np.count_nonzero(rows), np.bool_), g[rows])

    def _tell_literally(self, literal: Literal, slots: Slots, ids: Ids, presentation: int, e: Floats) -> None:
        """Learn from errors as the note has it: who is notified, and of what, is up to the connections."""
        if self._readout is not None:
            told = literal.learn_at_once(self.dendrites, e, self.memory, slots)
        else:
            told = literal.learn(self.dendrites, e)
        self._watch()
        for k, (g, link) in enumerate(zip(told, self.plan.links_in, strict=True)):
            notified = int(np.count_nonzero(g))
            if link.pre != SOURCE and notified:
                self._count["notifications"] += notified
                self._wiring.errors_out[k].values += notified
                self._notify(k, ids[-1:], presentation, np.zeros(1, np.bool_), g[None])

    def _release(self, mixed: MixedMemory, idle: bool = False, tick: bool = False) -> None:
        """Close to the pre groups what nothing holds any more."""
        for link, presentation, ids in mixed.release(idle, tick):
            self._closing.add(link, presentation, ids, awaited=True)

    def _notify(self, position: int, ids: Ids, presentation: int, closed: Flags, g: Floats) -> None:
        link, outbound = self.plan.links_in[position], self._wiring.errors_out[position]
        head = (link.index, self.incarnation, outbound.incarnation, outbound.seq)
        message = wire.Notifications(*head, presentation, ids, closed, g)
        self._send(outbound, wire.encode(message, link.coding, link.values), True)

    def _finish(
        self,
        slots: Slots,
        ids: Ids,
        presentation: int,
        awaited: bool,
        told: Collection[int] = (),
        last: Floats | None = None,
    ) -> None:
        """Every post group has closed these: learn from them, pass the close on, and forget them.

        `awaited`: a gradient may have come back, so the source waits for the close. `told` are the links on
        which the close has just gone out with a notification. `last` is the gradient that came with the close.
        """
        if not len(ids):
            return
        self.dendrites.learn(self.memory, slots, last, len(ids))
        self._watch()
        for k, link in enumerate(self.plan.links_in if self._mixed is None else ()):
            if k not in told and (awaited or link.pre != SOURCE):  # the source waits for no other closes
                self._closing.add(k, presentation, ids, awaited)
        self._count["closes"] += len(ids)
        self.memory.forget(slots)
        if self._mixed is not None:
            self._release(self._mixed)
        if self._closing.finished(len(ids)):
            self._send_closes()

    def _settle(self) -> None:
        """What the weights have gathered enters them now."""
        self.dendrites.settle()
        self._watch()

    def _watch(self) -> None:
        if not self.dendrites.finite:
            self._diverge("its weights have grown without bound")

    def _send_closes(self) -> None:
        for k, presentation, awaited, ids in self._closing.take():
            link, outbound = self.plan.links_in[k].index, self._wiring.errors_out[k]
            head = (link, self.incarnation, outbound.incarnation, outbound.seq)
            closes = wire.Closes(*head, presentation, ids, awaited)
            self._send(outbound, wire.encode(closes), True)

    # --- what is seen from outside ----------------------------------------------------------------------

    def _send(self, outbound: Outbound, frame: bytes, teach: bool) -> None:
        self._out.append(outbound.send(frame))
        self._count["frames_out"] += 1
        self._count["bytes" if teach else "eval_bytes"] += len(frame)

    def _diverge(self, what: str) -> None:
        self._count["nonfinite"] += 1
        if not self._diverged:
            self._diverged = True
            self._out.append(Tell(wire.Event(self.name, "diverged", {"what": what, "hint": HINT})))

    def telemetry(self, now: float) -> wire.Telemetry:
        """Cumulative counters and gauges as they are now."""
        self._seq += 1
        ledger, raster = self._ledger, self._raster.of_late(now)
        told = ledger.counters(), ledger.gauges(), ledger.links(), raster
        return wire.Telemetry(self.name, self.role, self.incarnation, self._seq, *told)

    def state(self) -> State:
        """What a checkpoint holds: see `Lasting.state`."""
        return self._lasting.state()

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError when it belongs to another network."""
        self._lasting.restore(state)

    def durable(self) -> State:
        """What a journal holds: see `Lasting.durable`."""
        return self._lasting.durable()

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave; ValueError, and nothing is changed, when it belongs to another network."""
        self._lasting.recover(state)
