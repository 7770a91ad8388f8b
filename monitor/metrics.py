"""A view as the metrics of Prometheus. Pure; `python -m monitor.metrics` prints the page that lists them.

Counters are summed over the incarnations of a process, so they never fall while the run lasts. What a process counts
or measures and no table here knows is served all the same, under the name that it has there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from monitor.process import ALIVE, Process
from monitor.traffic import CARRIED, SUMMED, bucket, ends, staleness_counts
from monitor.view import View

PREFIX = "neurond_"
PROCESS = ("run", "group", "process")  # labels of what a process counts; `group` is that of the topology
LINK = (*PROCESS, "link", "way")  # `way`: what is counted went forward or back
PEER = (*PROCESS, "peer")


class Kind(NamedTuple):
    """How one counter or gauge of telemetry is served."""

    name: str  # without PREFIX, and for a counter without _total
    words: str
    factor: float = 1.0  # of a gauge, to the base unit


COUNTERS = {
    "stimuli": Kind("stimuli", "Training stimuli that the group has fired for."),
    "eval_stimuli": Kind("eval_stimuli", "Stimuli of evaluations."),
    "presented": Kind("presented", "Training stimuli that the source has presented."),
    "confirmed": Kind("confirmed", "Training stimuli that the readout has confirmed, each once: the run's progress."),
    "represented": Kind("represented", "Stimuli presented again, because no confirmation came."),
    "unclosed": Kind("unclosed", "Stimuli given up that were confirmed, but never closed."),
    "volleys": Kind("volleys", "Volleys that the group has fired."),
    "spikes": Kind("spikes", "Spikes sent: activations that are not zero."),
    "spikes_dense": Kind("spikes_dense", "Spikes that a dense forward pass would have sent."),
    "notifications": Kind("notifications", "Notifications sent: gradients that passed their threshold."),
    "notifications_dense": Kind("notifications_dense", "Notifications that a dense backward pass would have sent."),
    "updates": Kind("updates", "Updates: changes of one weight."),
    "updates_dense": Kind("updates_dense", "Updates that dense training would have made."),
    "bytes": Kind("sent_bytes", "Bytes sent for the training, over all links."),
    "bytes_dense": Kind("sent_dense_bytes", "Bytes that every activation and gradient would be as float32."),
    "eval_bytes": Kind("sent_eval_bytes", "Bytes sent for evaluations."),
    "frames_in": Kind("received_frames", "Frames of the data plane taken in."),
    "frames_out": Kind("sent_frames", "Frames of the data plane sent."),
    "closes": Kind("closes", "Stimuli closed towards the pre groups."),
    "skipped": Kind("skipped", "Stimuli that needed no backward pass; the readout counts them."),
    "seen_again": Kind("seen_again", "Stimuli that came once more and were dropped."),
    "mixed": Kind("mixed", "Stimuli that fired with inputs of others (join latest or sum)."),
    "unsent": Kind("unsent", "Gradients of inputs of others that were closed by then, not sent."),
    "expired": Kind("expired", "Stimuli forgotten before they were closed."),
    "late": Kind("late", "Notifications for stimuli that were forgotten already."),
    "gaps": Kind("gaps", "Frames that are missing in the numbering of a link."),
    "duplicates": Kind("duplicates", "Frames that came twice and were dropped."),
    "fenced": Kind("fenced", "Frames of an incarnation that is over, dropped."),
    "drops": Kind("drops", "Frames that a peer did not take, dropped."),
    "injected": Kind("injected_losses", "Frames dropped on purpose, because it was asked for."),
    "control_drops": Kind("control_drops", "Messages to the broker that it did not take, dropped."),
    "wire_errors": Kind("wire_errors", "Frames and messages that were none of ours, dropped."),
    "denied": Kind("denied", "Connections that the gate has turned away."),
    "impostors": Kind("impostors", "Frames and messages whose key may not send them, dropped."),
    "nonfinite": Kind("nonfinite", "Times that a number was not finite."),
    "residual_clipped": Kind("residual_clipped", "Sums of neurons and connections that a residual clip has cut."),
    "journal_bytes": Kind("journal_bytes", "Bytes written to the journal of the process."),
    "journal_skipped": Kind("journal_skipped", "Intervals that the journal left out, for the disk was slower."),
    "journal_failed": Kind("journal_failed", "Times that the journal could not be written."),
}

GAUGES = {
    "loss": Kind("loss", "Running mean of the training loss."),
    "train_accuracy": Kind("train_accuracy_ratio", "Running mean of the training accuracy."),
    "test_loss": Kind("test_loss", "Loss of the last evaluation."),
    "test_accuracy": Kind("test_accuracy_ratio", "Accuracy of the last evaluation."),
    "epoch": Kind("epoch", "Epochs that have been confirmed, parts included."),
    "epochs": Kind("wanted_epochs", "Epochs of the whole run."),
    "total": Kind("wanted_stimuli", "Training stimuli of the whole run."),
    "in_flight": Kind("in_flight_stimuli", "Stimuli in flight."),
    "window": Kind("window_stimuli", "Stimuli that may be in flight now."),
    "train_s": Kind("train_seconds", "Time from the first training stimulus to the last one so far."),
    "paused": Kind("paused", "1 while the training is paused."),
    "neurons": Kind("neurons", "Neurons of the process."),
    "staleness_max": Kind("staleness_max", "Largest staleness of a gradient so far, in updates of the group's own."),
    "remembered": Kind("remembered_stimuli", "Stimuli that the group remembers."),
    "lr": Kind("learning_rate", "Learning rate now."),
    "weight_norm": Kind("weight_norm", "Euclidean norm of the weights."),
    "restored": Kind("restored", "1 if the process took up what an earlier one had saved."),
    "gradient_norm": Kind("gradient_norm", "Euclidean norm of the gradient that the group learned from last."),
    "beat": Kind("beat", "Work that the process has done, by its own count: stands still when it does nothing."),
    "queue": Kind("queue_frames", "Frames that wait in the process."),
    "outbox": Kind("outbox_frames", "Frames that wait for the peer that is furthest behind."),
    "rss_mib": Kind("resident_memory_bytes", "Resident memory of the process.", 2**20),
}
LEFT_OUT = ("cpu_s", "stimuli_per_s")  # served as a counter; what Prometheus derives itself

LINKS = {
    "sent": Kind("link_sent_frames", "Frames sent from this end of a link."),
    "bytes": Kind("link_sent_bytes", "Bytes sent from this end of a link."),
    "values": Kind("link_sent_values", "Spikes, or notifications, sent from this end of a link."),
    "dense": Kind("link_sent_dense_values", "Values that a dense pass would have sent from this end of a link."),
    "dense_bytes": Kind("link_sent_dense_bytes", "Bytes of those as float32."),
    "received": Kind("link_received_frames", "Frames taken in at this end of a link."),
    "gaps": Kind("link_gaps", "Frames that are missing at this end of a link."),
    "duplicates": Kind("link_duplicates", "Frames that came twice at this end of a link, dropped."),
    "fenced": Kind("link_fenced", "Frames of an incarnation that is over, dropped at this end of a link."),
    "over": Kind("link_over_frames", "Frames, received or missing, of the senders before the present one of a link."),
}

PAIR = ("to", "seq", "from", "expected")  # of a link: which incarnations it joins at present, and their own numbers

OWN = {  # what no telemetry holds under one name: metric -> its labels and meaning
    "broker_up": ((), "1 if the broker has answered lately."),
    "run_info": (("run", "name", "state"), "The run: the name of its network and where it stands; always 1."),
    "checkpoint_generation": (("run",), "Generation of the last good checkpoint."),
    "broker_wire_errors_total": (("run",), "Messages that the broker could not read, dropped."),
    "broker_denied_total": (("run",), "Connections that the broker's gate has turned away."),
    "broker_impostors_total": (("run",), "Messages to the broker whose key may not send them, dropped."),
    "broker_drops_total": (("run", "reason"), "Messages that the broker dropped."),
    "feed_drops_total": ((), "Telemetry and events that came faster than they could be taken in here, dropped."),
    "feed_wire_errors_total": ((), "Telemetry and events that could not be read here, dropped."),
    "process_up": (PROCESS, "1 while the process takes part."),
    "process_state": ((*PROCESS, "state"), "The state of the process, as a label; always 1."),
    "restarts_total": (PROCESS, "Times that the process was started anew and took its place again."),
    "cpu_seconds_total": (PROCESS, "CPU time of the process, user and system."),
    "staleness": (PROCESS, "Histogram: the group's own updates between a gradient's forward and backward pass."),
    "injected_delay_seconds": (
        PEER,
        "Latency that is injected now into all that goes from the process to this peer.",
    ),
    "injected_loss_ratio": (
        PEER,
        "Share of the frames from the process to this peer that is dropped on purpose now.",
    ),
}

BROKER = {  # what the broker answers of itself
    "generation": "checkpoint_generation",
    "wire_errors": "broker_wire_errors_total",
    "denied": "broker_denied_total",
    "impostors": "broker_impostors_total",
}
INJECTED = {"delay_s": "injected_delay_seconds", "loss": "injected_loss_ratio"}  # gauges `<word>.<peer>`

_NAME = re.compile(r"[a-z][a-z0-9_]*(?<!_total)")


def metrics(view: View, status: Mapping[str, Any], up: bool, drops: int, wire_errors: int) -> list[Metric]:
    """Everything that is known of a run, as families of metrics.

    Args:
        view: of the run.
        status: the broker's last answer; empty if there was none. What it does not say is left out.
        up: whether it has answered lately.
        drops: items of the feed that were lost here.
        wire_errors: items of the feed that could not be read here.

    """
    families = _Families(view.run.rpartition("/")[2])
    families.own("broker_up", float(up))
    families.own("feed_drops_total", drops)
    families.own("feed_wire_errors_total", wire_errors)
    if status:
        families.own("run_info", 1.0, view.name, status["state"])
        for key, name in BROKER.items():
            if _counted(status.get(key)):  # a recording may be of a broker that said less
                families.own(name, status[key])
        told = status.get("drops")
        dropped: dict[str, Any] = told if isinstance(told, dict) else {}
        for reason, counted in dropped.items():
            if _counted(counted):
                families.own("broker_drops_total", counted, reason)
    for process in view.processes:
        _process(families, process, view.stimuli)
    return list(families)


def _counted(n: object) -> bool:
    return isinstance(n, int | float)


def _process(families: _Families, process: Process, stimuli: int | None) -> None:
    labels = (process.name.partition(".")[0], process.name)
    families.own("process_up", float(process.state in ALIVE - {"waiting"}), *labels)
    families.own("process_state", 1.0, *labels, process.state)
    if process.heard is None:
        return
    families.own("restarts_total", process.restarts, *labels)
    families.own("cpu_seconds_total", process.cpu_s(), *labels)
    total, n = (process.count(key) for key in SUMMED)
    if total is not None and n is not None:
        families.histogram("staleness", _buckets(process), n, total, *labels)
    for key in sorted({*process.counters, *process.before} - {*SUMMED}):
        if bucket(key) is not None:
            continue
        # A source that was started anew counts some once more, which the view knows.
        n = stimuli if key == "confirmed" else process.count(key)
        families.counter(COUNTERS, key, n or 0, PROCESS, *labels)
    for key, value in process.gauges.items():
        word, _, peer = key.partition(".")
        if peer and word in INJECTED:
            families.own(INJECTED[word], value, *labels, peer)
        elif key not in LEFT_OUT:
            families.gauge(key, value, *labels)
    for link, counts in process.link_counts().items():
        forward = ends(link)[0] == process.name  # is the way of what this end sends
        for key in sorted(counts.keys() - {*PAIR}):
            way = "forward" if forward == (key in CARRIED) else "back"
            families.counter(LINKS, key, counts[key], LINK, *labels, link, way)


def _buckets(process: Process) -> list[tuple[str, float]]:
    """The buckets of staleness as Prometheus has them: the most that one holds, and how many there are up to that."""
    counts = staleness_counts([process])
    mosts = [str(least - 1) for least in [*counts][1:]]
    return list(zip(mosts, map(float, accumulate(counts.values())), strict=False))


class _Families:
    """Families of metrics by name, in the order in which they came up; every one with a run has that label first."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._families: dict[str, Metric] = {}

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())

    def own(self, name: str, value: float, *labels: str) -> None:
        """One of `OWN`, but for the histogram."""
        keys, words = OWN[name]
        if name.endswith("_total"):
            self._counter(name.removesuffix("_total"), words, keys, value, labels)
        else:
            self._gauge(name, words, keys, value, labels)

    def counter(self, table: Mapping[str, Kind], key: str, n: float, keys: Iterable[str], *labels: str) -> None:
        """A counter of telemetry."""
        prefix = "link_" if table is LINKS else ""
        kind = table.get(key) or Kind(prefix + key, f"Counted by the process as `{key}`.")
        if _NAME.fullmatch(key):
            self._counter(kind.name, kind.words, keys, n, labels)

    def gauge(self, key: str, value: float, *labels: str) -> None:
        """A gauge of telemetry."""
        kind = GAUGES.get(key) or Kind(key, f"Measured by the process as `{key}`.")
        if _NAME.fullmatch(key):
            self._gauge(kind.name, kind.words, PROCESS, value * kind.factor, labels)

    def histogram(self, name: str, buckets: list[tuple[str, float]], n: int, total: int, *labels: str) -> None:
        """How often and the sum of what was found, and how often up to what."""
        keys, words = OWN[name]
        family = self._families.setdefault(name, HistogramMetricFamily(PREFIX + name, words, labels=keys))
        assert isinstance(family, HistogramMetricFamily)
        family.add_metric(self._values(keys, labels), [*buckets, ("+Inf", float(n))], sum_value=total)

    def _counter(self, name: str, words: str, keys: Iterable[str], n: float, labels: tuple[str, ...]) -> None:
        keys = tuple(keys)
        family = self._families.setdefault(f"{name}_total", CounterMetricFamily(PREFIX + name, words, labels=keys))
        assert isinstance(family, CounterMetricFamily)
        family.add_metric(self._values(keys, labels), n)

    def _gauge(self, name: str, words: str, keys: Iterable[str], value: float, labels: tuple[str, ...]) -> None:
        keys = tuple(keys)
        family = self._families.setdefault(name, GaugeMetricFamily(PREFIX + name, words, labels=keys))
        assert isinstance(family, GaugeMetricFamily)
        family.add_metric(self._values(keys, labels), value)

    def _values(self, keys: tuple[str, ...], labels: tuple[str, ...]) -> list[str]:
        return [self._run, *labels] if "run" in keys else [*labels]


_INTRODUCTION = """\
# Metrics

Written by `python -m monitor.metrics`; edit `monitor/metrics.py`, not this page.

`neurond metrics` serves these to Prometheus, and so does a run that is started with `--metrics`. Labels: `run` is the
name of the run's folder, `process` that of the process, `group` its group in the topology, `link` a link as it is
written there, and `way` which way on it went what is counted: `forward`, as spikes do, or `back`, as notifications do
(each end counts for itself: what it sent, and what it took in or missed). `peer` is another process. A counter is
summed over the incarnations of its process, so it does not fall when that is started anew. What a newer process
counts and this page does not list is served under the name that it has there.
"""


def page() -> str:
    """The list of all metrics, in Markdown."""
    rows = [(name, labels, words) for name, (labels, words) in OWN.items()]
    rows += [(f"{kind.name}_total", PROCESS, kind.words) for kind in COUNTERS.values()]
    rows += [(kind.name, PROCESS, kind.words) for kind in GAUGES.values()]
    rows += [(f"{kind.name}_total", LINK, kind.words) for kind in LINKS.values()]
    lines = [f"| `{PREFIX}{name}` | {', '.join(labels)} | {words} |" for name, labels, words in rows]
    return "\n".join([_INTRODUCTION, "| Metric | Labels | Meaning |\n|---|---|---|", *lines, ""])


if __name__ == "__main__":
    print(page(), end="")
