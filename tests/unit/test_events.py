"""What a run folder keeps of what happened, and of what went over each link."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.traffic import staleness_counts, traffic
from monitor.view import View
from neurond.events import Events
from topology.wire import Event, Telemetry


def lines(folder: Path) -> list[Any]:
    """The lines of events.jsonl."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_an_event_a_line(tmp_path: Path) -> None:
    """Each line says when, about whom, what and the rest; the telemetry of the last event is left out."""
    events = Events(tmp_path)
    events.append(Event("broker", "joined", {"process": "h1", "pid": 7}), 0.12345)
    events.append(Event("broker", "ended", {"why": "finished", "telemetry": [{}]}), 2.0)
    events.close()
    assert lines(tmp_path) == [
        {"t_s": 0.123, "process": "h1", "kind": "joined", "data": {"pid": 7}},
        {"t_s": 2.0, "process": "broker", "kind": "ended", "data": {"why": "finished"}},
    ]


def test_one_too_many_is_counted(tmp_path: Path) -> None:
    """The file is bounded, and its last line says how many events are not in it."""
    events = Events(tmp_path, most=2)
    for n in range(5):
        events.append(Event("source", "epoch", {"epoch": n}), float(n))
    events.close()
    assert [line["kind"] for line in lines(tmp_path)] == ["epoch", "epoch", "unwritten"]
    assert lines(tmp_path)[-1] == {"t_s": 4.0, "kind": "unwritten", "data": {"events": 3}}


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """Events that cannot be written are no reason to stop, and are counted once the disk takes something again."""
    folder = tmp_path / "gone"
    events = Events(folder)
    for n in range(2):
        events.append(Event("source", "epoch", {"epoch": n}), float(n))
    folder.mkdir()
    events.append(Event("source", "epoch", {"epoch": 2}), 2.0)
    events.close()
    kinds = [(line["kind"], line["data"]) for line in lines(folder)]
    assert kinds == [("epoch", {"epoch": 2}), ("unwritten", {"events": 2})]


def telemetry(name: str, counters: dict[str, int], links: dict[str, dict[str, int]]) -> Telemetry:
    """Telemetry of a group."""
    return Telemetry(name, "group", 1, 1, counters, {}, links)


def test_each_end_of_a_link_counts_what_it_sent() -> None:
    """The pre process counts the way forward, the post process the way back; what is missed, the other end sent."""
    view = View(("h1", "h2"))
    forward = {"sent": 5, "bytes": 500, "gaps": 1, "values": 40, "dense": 80, "dense_bytes": 320}
    view.update(telemetry("h1", {}, {"h1 -> h2": forward}), 0.0)
    view.update(telemetry("h2", {}, {"h1 -> h2": {"sent": 3, "bytes": 30, "gaps": 2}}), 0.0)
    carried = {"frames": 5, "bytes": 500, "values": 40, "dense": 80, "dense_bytes": 320}
    back = {"back_frames": 3, "back_bytes": 30}
    assert view.row()["links"] == {"h1 -> h2": {**carried, **back}}
    assert traffic(view.processes) == {"h1 -> h2": {**carried, **back, "gaps": 2, "back_gaps": 1}}
    assert view.summary()["links"] == traffic(view.processes)


def test_the_histogram_of_staleness_is_summed() -> None:
    """Buckets of all processes are added, in the order of their staleness."""
    view = View(("h1", "h2"))
    view.update(telemetry("h1", {"staleness_16": 1, "staleness_2": 3, "staleness_sum": 99}, {}), 0.0)
    view.update(telemetry("h2", {"staleness_2": 4, "staleness_0": 2}, {}), 0.0)
    assert staleness_counts(view.processes) == {0: 2, 2: 7, 16: 1}
    assert view.row()["staleness_counts"] == {"0": 2, "2": 7, "16": 1}
