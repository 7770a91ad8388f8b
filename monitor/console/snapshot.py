"""All that the views show, as one object for `--once --json`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from monitor.console.details import staleness
from monitor.console.groups import state
from monitor.console.links import Way, all_links
from monitor.happened import words
from monitor.process import LOST, Process, rounded
from monitor.view import View


def snapshot(view: View, now: float, status: Mapping[str, Any]) -> dict[str, Any]:
    """The run, its processes, links, spikes, curves and events; None is what nobody has measured.

    Args:
        view: of the run.
        now: s, on the clock of the view.
        status: the broker's last answer.

    """
    found = all_links(view, now)
    return {
        "name": view.name,
        "run": view.run,
        "state": view.standing(status),
        "replay": status.get("replay"),
        "t_s": rounded(view.elapsed_s, 3),  # since it is looked at
        "train_s": rounded(view.gauge("train_s"), 3),
        "total": view.gauge("total"),
        **{k: v for k, v in view.row().items() if k not in ("processes", "links", "t_s")},
        "groups": [_process(process, now) for process in view.processes],
        "links": [
            {"link": link.name, "pre": link.pre, "post": link.post}
            | {way: _way(getattr(link, way)) for way in ("forward", "backward")}
            for link in found
        ],
        "raster": {
            process.name: {"neurons": process.neurons, "looks": [None if n == LOST else n for n in process.looks]}
            for process in view.processes
            if process.looks
        },
        "curves": {
            "loss": view.losses,
            "accuracy": view.accuracies,
            "test": view.tests,
            "accuracy_per_MB": view.costs,
        },
        "events": [
            {
                "t_s": rounded(at, 3),
                "process": event.data.get("process", event.name),
                "kind": event.kind,
                "words": words(event.kind, event.data),
            }
            for at, event in view.log
        ],
    }


def _process(process: Process, now: float) -> dict[str, Any]:
    line = process.line()
    return {
        "name": process.name,
        "role": process.role or None,
        "state": state(process, now),
        "pid": process.pid,
        "incarnation": process.incarnation or None,
        "restarts": process.restarts,
        "age_s": None if process.heard is None else rounded(max(0.0, now - process.heard), 3),
        "stimuli_per_s": rounded(line.stimuli_per_s, 1),
        "notifications_per_s": rounded(process.rate("notifications"), 1),
        "updates_per_s": rounded(process.rate("updates"), 1),
        "spike_share": rounded(process.recent("spikes", "spikes_dense"), 4),
        "staleness": rounded(process.recent("staleness_sum", "staleness_count"), 3),
        "staleness_histogram": dict(staleness(process)) or None,
        "queue": line.queue,
        "cpu": rounded(line.cpu, 3),
        "rss_mib": rounded(line.rss_mib, 1),
        "gauges": process.gauges,
    }


def _way(way: Way) -> dict[str, Any]:
    return {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(way).items()}
