"""What is known of a run: telemetry and events in, lines, totals and the summary out. Pure.

No socket, no clock, no terminal: the caller says what came and when (`now`, in seconds on its own clock).
Counters arrive cumulative, so a lost message costs nothing but freshness. A number that no process has
measured yet is None; nothing is guessed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from monitor.figures import ratio
from monitor.process import STATES, Line, Process, rounded, whole
from monitor.traffic import COUNTED, staleness_counts, traffic
from topology.wire import Event, Telemetry

X = TypeVar("X", int, float)

HISTORY = 512
"""Points of the loss curve at most; then every second one goes, so a long run keeps its whole shape."""

PAST_S = 0.3
"""Of our seconds, after the first message: a broker tells all of the past at once."""

LOG = 2000
"""Events that are kept at most, the latest."""

QUALITY = ("loss", "train_accuracy", "test_accuracy", "test_loss")
"""How well it has learned: gauges of the source."""


class View:
    """Everything that a display, `metrics.jsonl` and the summary need, kept up to date message by message.

    Args:
        plan_processes: names of the plan's processes in the order they are shown, source first.
        name: of the network, for the display.
        run: the run folder as the user should type it.
        late: it is followed from some time after its start, with what its broker has kept.
        speed: how many seconds of `now` go by in one of ours.
        counted: stimuli that whoever has told of the run before has seen counted.

    """

    def __init__(
        self,
        plan_processes: Sequence[str],
        name: str = "",
        run: str = "",
        *,
        late: bool = False,
        speed: float = 1.0,
        counted: int = 0,
    ) -> None:
        self.name = name
        self.late = late
        self._past_s = PAST_S * speed
        self.run = run
        self.now: float | None = None
        self.began: float | None = None
        self.ended = False
        self.notes: list[str] = []  # what went wrong, in words
        self.unsaved = ""  # the last of them that is about a save in mid-run
        self.brokers = 1  # one after the other
        self.feed_drops = 0  # telemetry and events that came faster than they were taken in here, as the caller says
        self.losses: list[tuple[int, float]] = []  # (stimuli, running mean of the loss)
        self.accuracies: list[tuple[int, float]] = []  # (stimuli, running training accuracy)
        self.tests: list[tuple[int, float]] = []  # (stimuli, accuracy of an evaluation)
        self.costs: list[tuple[float, float]] = []  # (MB sent by all for the training, running training accuracy)
        self.log: deque[tuple[float | None, Event]] = deque(maxlen=LOG)  # what happened, and when: `_train_s`
        self._processes = {p: Process(p, late) for p in plan_processes}
        self._counted = counted
        self._confirmed: int | None = None
        self._tested: dict[str, float] = {}  # from evaluations, until a gauge says the same

    def update(self, message: Telemetry | Event, now: float) -> None:
        """Take in one message. `now` in seconds, on any one clock, never going back."""
        self.began = now if self.began is None else self.began
        self.now = now if self.now is None else max(self.now, now)
        if isinstance(message, Telemetry):
            self._hear(message)
        else:
            self._happened(message)

    def _hear(self, t: Telemetry) -> None:
        process = self._processes.setdefault(t.name, Process(t.name, self.late))
        if self.now is None or not process.hear(t, self.now) or t.role != "source":
            return
        # A source that was started anew goes back to its last checkpoint; what it has confirmed, counts once.
        self._confirmed = stimuli = max(self._confirmed or self._counted, process.counters.get("confirmed", 0))
        for history, gauge in ((self.losses, "loss"), (self.accuracies, "train_accuracy")):
            value = process.gauges.get(gauge)
            if value is not None and (not history or history[-1][0] < stimuli):
                _keep(history, stimuli, value)
                if history is self.accuracies and (sent := self.total("bytes")):
                    _keep(self.costs, sent / 1e6, value)
        self._test(process.gauges)

    def _happened(self, e: Event) -> None:
        self.log.append((self._train_s(e), e))
        subject = str(e.data.get("process", e.name))
        process = self._processes.get(subject)
        known = process is not None and process.state == e.kind == "lost"  # `died` has said so
        if process is not None and e.kind in STATES:
            if isinstance(e.data.get("pid"), int):
                process.pid = e.data["pid"]
            if e.kind == "joined":
                process.join(e.data.get("incarnation"))
            else:
                process.state = e.kind
        if e.kind in ("lost", "failed", "diverged"):
            why = str(e.data.get("why") or e.data.get("message") or "")
            note = f"{subject} {e.kind}" + (f": {why}" if why else "")
            if note not in self.notes and not known:  # the broker tells a new listener what happened before
                self.notes.append(note)
                self.unsaved = note if e.data.get("what") == "save" else self.unsaved
        elif e.kind == "journal":  # what a process went on from, or that its journal cannot be kept, or can again
            self.notes.append(f"{subject}: {e.data.get('why', '')}")
        elif e.kind == "evaluated":
            at = e.data.get("stimuli")
            found = {k: float(v) for k, v in e.data.items() if k in ("test_accuracy", "test_loss")}
            self._test(found, at if isinstance(at, int) else None)
        elif e.kind == "ended":
            for last in e.data.get("telemetry") or ():
                self._hear(last if isinstance(last, Telemetry) else Telemetry(**last))
            self.ended = True
            if e.data.get("save_error"):
                self.unsaved = ""  # it was the save at the end, and is what the run ends with
            for process in self._processes.values():
                if process.state == "running":
                    process.state = "finished"

    def died(self, name: str, note: str) -> None:
        """A process of the run has died, as whoever started it knows at once; `note` says how, and what follows."""
        process = self._processes.get(name)
        if process is not None:
            process.state = "lost"
        self.notes.append(note)
        event = Event(name, "died", {"why": note})
        self.log.append((self._train_s(event), event))

    def _train_s(self, event: Event) -> float | None:
        """Seconds of training when it happened: as it says, or as the source said last; None where nobody knows.

        What is heard at once when one comes late is of the past, whatever the source says now.
        """
        told = event.data.get("train_s")
        if isinstance(told, int | float):
            return float(told)
        past = self.late and (self.began is None or self.now is None or self.now - self.began < self._past_s)
        return None if past else self.gauge("train_s")

    def _test(self, gauges: Mapping[str, float], at: int | None = None) -> None:
        """Remember the latest evaluation, `at` so many stimuli; a point of its curve when it changed."""
        found = {k: gauges[k] for k in ("test_accuracy", "test_loss") if math.isfinite(gauges.get(k, math.nan))}
        if found and any(self._tested.get(k) != v for k, v in found.items()):
            self._tested.update(found)
            if "test_accuracy" in found:
                _keep(self.tests, (self.stimuli or 0) if at is None else at, found["test_accuracy"])

    # --- questions ------------------------------------------------------------------------------------

    @property
    def processes(self) -> tuple[Process, ...]:
        """What is known of each process, in the order of the plan."""
        return tuple(self._processes.values())

    @property
    def source(self) -> Process | None:
        """The process that said it is the source."""
        return next((p for p in self._processes.values() if p.role == "source"), None)

    @property
    def stimuli(self) -> int | None:
        """Training stimuli confirmed by the readout."""
        return self._confirmed

    @property
    def restarts(self) -> int:
        """How often a process, or the broker, was started anew and took the place of the one before."""
        return self.brokers - 1 + sum(p.restarts for p in self._processes.values())

    @property
    def elapsed_s(self) -> float:
        """Seconds between the first and the last message."""
        return 0.0 if self.now is None or self.began is None else self.now - self.began

    @property
    def stimuli_per_s(self) -> float | None:
        """Training stimuli a second, lately."""
        return self.source.rate("confirmed") if self.source else None

    @property
    def eta_s(self) -> float | None:
        """Seconds to the last stimulus at the present rate."""
        total, done, rate = self.gauge("total"), self.stimuli, self.stimuli_per_s
        return max(0.0, total - done) / rate if total and done is not None and rate else None

    def gauge(self, key: str) -> float | None:
        """A gauge of the source; the latest evaluation for `test_accuracy` and `test_loss`."""
        if key in self._tested:
            return self._tested[key]
        return self.source.gauges.get(key) if self.source else None

    def total(self, counter: str) -> int | None:
        """A counter summed over all processes; None while no process has reported it."""
        counts = [n for p in self._processes.values() if (n := p.count(counter)) is not None]
        return sum(counts) if counts else None

    def saved(self, counter: str) -> float | None:
        """How many times fewer than dense: `<counter>_dense` over `<counter>`; inf where none was needed."""
        return ratio(self.total(counter), self.total(f"{counter}_dense"))

    @property
    def skipped_share(self) -> float | None:
        """Share of the readout's stimuli that needed no backward pass, 0 to 1.

        Both counts are the readout's own: the source of a resumed run goes on from its earlier counts.
        """
        if not self.total("skipped"):
            return None if self.total("skipped") is None or not self.total("stimuli") else 0.0
        # Every group has the counter; only the readout ever counts in it.
        readouts = [p for p in self._processes.values() if p.count("skipped")]
        skipped, stimuli = (sum(p.count(k) or 0 for p in readouts) for k in ("skipped", "stimuli"))
        return skipped / stimuli if stimuli else None

    @property
    def staleness_mean(self) -> float | None:
        """Mean over all gradients of the group's own updates between their forward and backward pass."""
        total, n = self.total("staleness_sum"), self.total("staleness_count")
        return total / n if total is not None and n else None

    @property
    def staleness_max(self) -> float | None:
        """Largest staleness that any group reports."""
        found = [p.gauges["staleness_max"] for p in self._processes.values() if "staleness_max" in p.gauges]
        return max(found, default=None)

    def standing(self, status: Mapping[str, Any]) -> str:
        """How the run stands, in a word: the broker's last answer, but that it is paused or has ended we know."""
        if self.ended:
            return "ended"
        if self.source is not None and self.source.state == "paused":
            return "paused"
        return str(status.get("state", "running"))

    def lines(self) -> list[Line]:
        """A line a process, in the order of the plan."""
        return [p.line() for p in self._processes.values()]

    def row(self) -> dict[str, Any]:
        """One row of `metrics.jsonl`: totals, and a short map a process. Absent means not measured."""
        row = {
            "t_s": round(self.elapsed_s, 3),
            "stimuli": self.stimuli,
            "epoch": rounded(self.gauge("epoch"), 4),
            "stimuli_per_s": whole(self.stimuli_per_s),
            **{k: rounded(self.gauge(k), 6) for k in QUALITY},
            "in_flight": whole(self.gauge("in_flight")),
            **{counter: self.total(counter) for counter in COUNTED},
            "restarts": self.restarts,
            "feed_drops": self.feed_drops,
            "staleness_mean": rounded(self.staleness_mean, 3),
            **self._in_parts(lost=False),
            "processes": {line.name: line.row() for line in self.lines()},
        }
        return {k: v for k, v in row.items() if v is not None}

    def _in_parts(self, lost: bool) -> dict[str, Any]:
        """By link, and by staleness: a bucket is named for the least in it, and ends where the next begins."""
        counts = staleness_counts(self._processes.values())
        return {
            "links": traffic(self._processes.values(), lost) or None,
            "staleness_counts": {str(least): n for least, n in counts.items()} or None,
        }

    def summary(self) -> dict[str, Any]:
        """The run in one object, training only unless the key says otherwise. None means not measured."""
        stimuli, train_s = self.stimuli, self.gauge("train_s")
        return {
            "name": self.name,
            "run": self.run,
            **{k: rounded(self.gauge(k), 6) for k in QUALITY},
            "epochs": rounded(self.gauge("epoch"), 4),
            "stimuli": stimuli,
            "train_s": rounded(train_s, 3),
            "stimuli_per_s": whole(stimuli / train_s) if stimuli is not None and train_s else None,
            **{counter: self.total(counter) for counter in COUNTED},
            "skipped_share": rounded(self.skipped_share, 4),
            "staleness_mean": rounded(self.staleness_mean, 3),
            "staleness_max": whole(self.staleness_max),
            **self._in_parts(lost=True),
            "restarts": self.restarts if self.began is not None else None,
            "feed_drops": self.feed_drops if self.began is not None else None,
            "unheard": [p.name for p in self._processes.values() if p.heard is None],
        }


def _keep(history: list[tuple[X, float]], at: X, value: float) -> None:
    """Append a point; thin the curve by half when it is full."""
    history.append((at, value))
    if len(history) > HISTORY:
        del history[1::2]
