"""The machine of the source: orders stimuli, keeps the window, presents again what was lost, and keeps score.

The source owns every stimulus until the readout has confirmed it (the end-to-end argument): links may lose
frames, the source presents the stimulus again with the next presentation number. A stimulus takes a place in
the window until it is confirmed and, if its loss sent an error back, until every group that the source feeds has
closed it; with a window of one this is plain stochastic gradient descent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurond.data import Dataset
from neurond.ends import Ends
from neurond.flight import Flight
from neurond.links import FLOAT_BYTES, Early, Inbound, Outbound, link_counters
from neurond.machine import (
    Action,
    Answer,
    Frame,
    MachineEvent,
    Peers,
    Request,
    Start,
    State,
    Tell,
    Tick,
    counters_array,
    counters_from,
)
from neurond.order import Order
from neurond.restored import refuse_damaged
from neurond.score import Evaluation, Trend
from neurond.settings import VERBS, Setting, Settings
from neurond.window import Window
from topology import wire
from topology.plan import LOSS_LINK, SOURCE, SourcePlan

COUNTERS = (
    "presented",
    "confirmed",
    "represented",
    "unclosed",
    "eval_stimuli",
    "bytes",
    "bytes_dense",
    "eval_bytes",
    "frames_in",
    "frames_out",
    "wire_errors",
)

WIDER = 16
"""The window may be made so many times wider than the plan's, while the network runs."""


class SourceMachine:
    """The source as a pure machine.

    Args:
        plan: what to present, and to whom.
        data: the stimuli; training and test part.
        incarnation: marks every frame; peers hear only the one that the roster names.

    Verbs: ``pause`` and ``resume`` (of the training), ``eval`` (an evaluation pass now, beside the training),
    ``drain`` (present nothing new; what is under way comes home, then a last evaluation unless ``evaluate`` is
    false), ``get`` and ``set`` (of what may be changed while it runs: `settings.py`).

    Invariants: at most `window` stimuli are under way; each training stimulus is counted once, however often it
    was presented.

    """

    role = "source"
    name = SOURCE

    def __init__(self, plan: SourcePlan, data: Dataset, incarnation: int = 1) -> None:
        self.plan = plan
        self.incarnation = incarnation
        self.progress = 0
        self._data = data
        self._train = len(data.x_train)
        self._test = len(data.x_test)
        self._order = Order(self._train, round(plan.epochs * self._train), plan.seed)
        self._spikes_out = [Outbound(link.post) for link in plan.links_out]
        self._closes_in = [Inbound() for _ in plan.links_out]
        self._position = {link.index: k for k, link in enumerate(plan.links_out)}
        self._targets_out = Outbound(plan.readout)
        self._confirms_in = Inbound()
        self._ends = Ends(self._hears(), [*self._spikes_out, self._targets_out])
        self._changes: int | None = None  # of the last complete roster
        # Ids of each incarnation are its own: the readout has seen those of the ones before.
        self._first_id = (incarnation - 1) * wire.IDS
        self._flight = Flight(len(plan.links_out), plan.retry_s)
        self._window = Window(plan, self._flight)
        self.settings = Settings(SOURCE)
        self.settings.add(self._adjustable())
        self._one_hot = np.eye(plan.classes, dtype=np.float32)
        self._started = self._paused = self._draining = self._finished = False
        self._last_evaluation = True  # whether one is still to be made when the training is over
        self._evaluation = Evaluation(self._test, wire.EVALUATION + self._first_id)
        self._evaluation_turn = False  # volleys of training and evaluation take turns
        self._trend = Trend()
        self._span: tuple[float, float] | None = None  # `now` of the first and the last training event
        self._before_s = 0.0  # seconds of training before this start
        self._seq = 0
        self._count = dict.fromkeys(COUNTERS, 0)
        self._out: list[Action] = []

    # --- events -----------------------------------------------------------------------------------------

    def handle(self, event: MachineEvent, now: float) -> Sequence[Action]:
        """Take one event in and say what is to be done about it."""
        out = self._out = []
        if isinstance(event, Frame):
            self._count["frames_in"] += 1
            self._frame(event.data, now)
        elif isinstance(event, Tick):
            self._retry(now)
        elif isinstance(event, Peers):
            self._meet(event, now)
        elif isinstance(event, Start):
            self._started = True
        elif isinstance(event, Request):
            self._request(event)
        self._advance(now)
        return out

    def _meet(self, peers: Peers, now: float) -> None:
        """Take in the roster. When all are back that had gone, what was under way may be lost: present it again."""
        for data in self._ends.meet(peers.incarnations):
            self._frame(data, now)
        if peers.complete:
            if self._changes not in (None, peers.changes):
                self._flight.expedite(now)
                self._retry(now)
                self._window.open_anew(self._count["confirmed"])
            self._changes = peers.changes

    def _frame(self, data: bytes, now: float) -> None:
        try:
            message = wire.decode(data)
            if not self._ends.is_mine(message.to, self.incarnation):
                return
            if isinstance(message, wire.Confirms) and message.link == self.plan.confirms:
                if self._confirms_in.accept(message.incarnation, message.seq):
                    self._confirmed(message, now)
            elif isinstance(message, wire.Closes) and message.link in self._position:
                position = self._position[message.link]
                if self._closes_in[position].accept(message.incarnation, message.seq):
                    self._flight.close(message.ids, position)
            else:
                raise wire.WireError("neither a confirmation nor a close of a link of the source")
        except wire.WireError:
            self._count["wire_errors"] += 1
        except Early:
            self._ends.keep(data)

    def _hears(self) -> Iterator[tuple[str, Inbound]]:
        """Every process that sends to this one, with the end that receives it."""
        for link, inbound in zip(self.plan.links_out, self._closes_in, strict=True):
            yield link.post, inbound
        yield self.plan.readout, self._confirms_in

    def _confirmed(self, message: wire.Confirms, now: float) -> None:
        counts = self._flight.confirm(message.ids, message.pending)
        loss, hit = message.loss[counts], message.hit[counts]
        if not len(loss):
            return
        self.progress += len(loss)
        if not message.teach:
            self._count["eval_stimuli"] += len(loss)
            self._evaluation.add(loss, hit)
            return
        before = self._count["confirmed"]
        self._count["confirmed"] = after = before + len(loss)
        self._trend.add(loss, hit)
        self._span = (self._span[0] if self._span else now, now)
        if after // self._train > before // self._train:
            self._tell("epoch", epoch=after // self._train, stimuli=after)
        every = self.plan.eval_every or self._train
        if after // every > before // every and after < self._order.total:
            self._evaluation.ask()

    def _request(self, request: Request) -> None:
        if request.verb in ("pause", "resume"):
            pause = request.verb == "pause"
            if pause != self._paused:
                self._paused = pause
                self._tell("paused" if pause else "resumed", stimuli=self._count["confirmed"])
        elif request.verb == "eval":
            self._evaluation.ask()
        elif request.verb in VERBS:
            self._out += self.settings.answer(request)
            return
        elif request.verb == "drain":
            self._draining, self._paused = True, False
            self._last_evaluation = bool(request.args.get("evaluate", True))
            self._evaluation.cancel()
        else:
            self._out.append(Answer(wire.Reply(request.id, False, error=f"the source cannot {request.verb}")))
            return
        self._out.append(Answer(wire.Reply(request.id, True)))

    # --- presenting -------------------------------------------------------------------------------------

    def _advance(self, now: float) -> None:
        """Fill the window, and notice when an evaluation or the whole run has come to its end."""
        if not self._started or self._finished:
            return
        self._note_evaluation()
        while self._present(now):
            pass
        if self._exhausted() and not len(self._flight):
            confirmed = self._count["confirmed"]
            if self._last_evaluation and self._test and self._evaluation.stimuli != confirmed:
                self._evaluation.begin(confirmed, still=True)
                self._present(now)
            else:
                self._finished = True
                self._tell("finished", stimuli=confirmed, train_s=self._train_s(), **self._outcome())

    def _note_evaluation(self) -> None:
        if self._evaluation.complete():
            e = self._evaluation
            self._tell("evaluated", stimuli=e.stimuli, still=e.still, **self._outcome())

    def _outcome(self) -> dict[str, float]:
        """Figures of the last whole evaluation; of a regression there is a loss, and no accuracy."""
        if self._evaluation.result is None:
            return {}
        accuracy, loss = self._evaluation.result
        return {"test_accuracy": accuracy, "test_loss": loss} if self.plan.classes else {"test_loss": loss}

    def _exhausted(self) -> bool:
        return self._draining or self._order.exhausted

    def _present(self, now: float) -> bool:
        """Send one volley, of training or evaluation stimuli, if there is one and the window has room."""
        evaluation = self._evaluation
        if evaluation.due and not self._draining and (not self._paused or not len(self._flight)):
            evaluation.begin(self._count["confirmed"], still=self._paused)
        training = not self._paused and not self._exhausted()
        evaluating = evaluation.left > 0 and (self._evaluation_turn or not training)
        if not evaluating and not training:
            return False
        left = evaluation.left if evaluating else self._order.left
        n = min(self._window.volley, left)
        if not self._window.has_room(n, self._count["confirmed"]):
            return False
        self._evaluation_turn = not evaluating
        if evaluating:
            first, rows = evaluation.take(n)
        else:
            rows = self._order.take(n)
            n = len(rows)  # fewer where a resumed run's own leftovers end
            first = self._first_id + self._count["presented"]
            self._count["presented"] += n
            self._span = self._span or (now, now)
        ids = np.arange(first, first + n)
        self._flight.launch(first, rows, now)
        self._send(ids, rows, 1, teach=not evaluating)
        return True

    def _send(self, ids: NDArray[np.int64], rows: NDArray[np.int64], presentation: int, teach: bool) -> None:
        data, count = self._data, self._count
        x = (data.x_train if teach else data.x_test)[rows]
        y = (data.y_train if teach else data.y_test)[rows]
        frames, spiked = [], int(np.count_nonzero(x))
        for link, outbound in zip(self.plan.links_out, self._spikes_out, strict=True):
            outbound.carried(spiked, x.size)
            head = (link.index, self.incarnation, outbound.incarnation, outbound.seq, presentation, teach, ids)
            if x.dtype == np.uint8:  # exact, and a quarter of the bytes, whatever `values` the link asks for
                frame = wire.encode_spikes_u8(*head, x.view(np.uint8), data.scale, link.coding)
            else:
                frame = wire.encode(wire.Spikes(*head, x.view(np.float32)), link.coding, link.values)
            frames.append(outbound.send(frame))
        out = self._targets_out
        head = (self.plan.confirms, self.incarnation, out.incarnation, out.seq, presentation, teach, ids)
        targets = wire.Targets(*head, self._as_targets(y))
        frames.append(out.send(wire.encode(targets)))
        self._out += frames
        count["frames_out"] += len(frames)
        count["bytes" if teach else "eval_bytes"] += sum(len(f.frame) for f in frames)
        if teach:
            count["bytes_dense"] += FLOAT_BYTES * x.size * len(self.plan.links_out)

    def _as_targets(self, y: NDArray[Any]) -> NDArray[np.float32]:
        if self.plan.one_hot:
            rows: NDArray[np.float32] = self._one_hot[y]
            return rows
        return y.astype(np.float32, copy=False).reshape(len(y), self.plan.targets)

    def _retry(self, now: float) -> None:
        again, unclosed = self._flight.overdue(now)
        self._count["unclosed"] += unclosed
        for presentation, stimuli in again.items():
            for teach in (True, False):
                ids = sorted(s for s in stimuli if (s < wire.EVALUATION) == teach)
                for at in range(0, len(ids), self._window.volley):
                    part = ids[at : at + self._window.volley]
                    rows = np.array([stimuli[s] for s in part], np.int64)
                    self._count["represented"] += len(part)
                    self._send(np.array(part, np.int64), rows, presentation, teach)

    def _adjustable(self) -> dict[str, Setting]:
        """What may be changed while it runs. The groups' memory is made for a window of about the plan's."""
        flight, window = self._flight, self._window

        def set_retry(seconds: float) -> None:
            flight.retry_s = seconds

        most = WIDER * self.plan.window
        return {
            "window": Setting(lambda: window.widest, window.widen, least=1, most=most, whole=True),
            "retry_s": Setting(lambda: flight.retry_s, set_retry, above=True, most=3600.0),
        }

    # --- what is seen from outside ----------------------------------------------------------------------

    def _tell(self, kind: str, **data: Any) -> None:
        self._out.append(Tell(wire.Event(self.name, kind, data)))

    def _train_s(self) -> float:
        return self._before_s + (self._span[1] - self._span[0] if self._span else 0.0)

    def telemetry(self, now: float) -> wire.Telemetry:  # noqa: ARG002 - durations are taken from the events
        """Cumulative counters and gauges as they are now."""
        inbound = [*self._closes_in, self._confirms_in]
        confirmed, train_s = self._count["confirmed"], self._train_s()
        gauges: dict[str, float] = {
            "in_flight": len(self._flight),
            "window": self._window.width(confirmed),
            "epoch": confirmed / self._train,
            "epochs": self.plan.epochs,
            "total": self._order.total,
            "train_s": train_s,
            "paused": float(self._paused),
        }
        if self._trend.stimuli:
            gauges["loss"] = self._trend.loss
            if self.plan.classes:
                gauges["train_accuracy"] = self._trend.accuracy
        gauges |= self._outcome()
        if train_s:
            gauges["stimuli_per_s"] = confirmed / train_s
        links = {
            link.name: link_counters(received, sent)
            for link, received, sent in zip(self.plan.links_out, self._closes_in, self._spikes_out, strict=True)
        }
        links[LOSS_LINK] = link_counters(self._confirms_in, self._targets_out)
        self._seq += 1
        return wire.Telemetry(
            self.name,
            self.role,
            self.incarnation,
            self._seq,
            self._count
            | {
                "gaps": sum(i.gaps for i in inbound),
                "duplicates": sum(i.duplicates for i in inbound),
                "fenced": self._ends.fenced,
            },
            gauges,
            links,
        )

    def state(self) -> State:
        """Where in the run the source stands: enough to go on with every stimulus counted once."""
        return {
            "next": np.array([self._order.taken], np.int64),
            "counters": counters_array(self._count),
            "again": np.array([*self._flight.unconfirmed(), *self._order.again], np.int64),
            "train_s": np.array([self._train_s()]),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `state` gave; ValueError, and nothing is changed, when it belongs to other data."""
        count = counters_from(COUNTERS, state["counters"])  # a run's figures go on
        for name in ("next", "again", "train_s"):
            refuse_damaged(repr(name), state[name])
        self._order.go_on(int(state["next"][0]), (int(row) for row in state["again"]))
        self._count, self._before_s = count, float(state["train_s"][0])

    durable = state  # it is small, and tells of every stimulus whether it counts yet

    def recover(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Take up what `durable` gave, as `restore` does; groups may have lost more than the source, or less."""
        self.restore(state)
        self._window.open_anew(self._count["confirmed"])
