"""A look at the frames of a link."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from monitor.tapped import tapped
from neurond.cli.tap import lines_of, rates
from neurond.tap import TapError, numbers, open_tap
from tests.fault.networks import build
from tests.simulated import Faults
from topology import wire
from topology.plan import GroupPlan, SourcePlan

PLAN = build(0, Faults()).plan
B = PLAN.group("b")
LINK = numbers(B)["a.0 -> b"]


def notifications(link: int = LINK) -> bytes:
    """Two stimuli, three values that are not zero."""
    values = np.array([[0, 1, 2], [0, 0, -3]], np.float32)
    return wire.encode(wire.Notifications(link, 1, 1, 5, 2, np.array([40, 42]), np.array([True, False]), values))


def test_links_are_named_as_telemetry_names_them() -> None:
    """A process shows the links on which it sends, in whatever direction, and no others."""
    plans: tuple[GroupPlan | SourcePlan, ...] = (PLAN.source, *PLAN.groups)
    machines = build(0, Faults()).machines
    for plan in plans:
        name = "source" if isinstance(plan, SourcePlan) else plan.name
        assert numbers(plan).keys() == machines[name].telemetry(0.0).links.keys()


def test_the_header_of_each_frame_is_shown() -> None:
    """What it is, its size and stimuli, and how many values are not zero; none of the values."""
    tap = open_tap("q", {"link": "a.0 -> b", "n": 2}, B)
    assert not tap.take(notifications(LINK + 1))
    assert not tap.take(frame := notifications())
    assert tap.take(wire.encode(wire.Closes(LINK, 1, 1, 6, 1, np.array([7, 8, 9]))))
    notified, closed = tap.reply().data["frames"]
    assert notified == {
        "kind": "notifications",
        "bytes": len(frame),
        "stimuli": 2,
        "values": 3,
        "first_id": 40,
        "presentation": 2,
    }
    assert (closed["kind"], closed["stimuli"], closed["values"]) == ("closes", 3, 0)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ({"link": "a.0 -> c"}, "no link 'a.0 -> c'; did you mean 'a.0 -> b'?"),
        ({}, "no link without a name; known: b -> out, a.0 -> b, a.1 -> b"),
        ({"link": "b -> out", "n": 0}, "n: a whole number from 1 to 100 is expected, not 0"),
        ({"link": "b -> out", "n": 101}, "n: a whole number from 1 to 100 is expected, not 101"),
        ({"link": "b -> out", "n": True}, "n: a whole number from 1 to 100 is expected, not True"),
    ],
)
def test_what_cannot_be_looked_at_is_refused(args: dict[str, Any], error: str) -> None:
    """A link that the process does not send on is guessed at, a number of frames is bounded."""
    with pytest.raises(TapError) as raised:
        open_tap("q", args, B)
    assert str(raised.value) == error


def test_a_stimulus_is_told_by_its_incarnation_and_number() -> None:
    """A source that was started anew numbers its stimuli from zero again, those of evaluations too."""
    frame = {"kind": "spikes", "stimuli": 2, "values": 3, "bytes": 80, "presentation": 1}
    ids = {
        80_400: "80,400",
        wire.IDS + 80_400: "2:80,400",
        wire.EVALUATION + 7: "evaluation 7",
        wire.EVALUATION + 2 * wire.IDS: "evaluation 3:0",
    }
    for first_id, said in ids.items():
        assert tapped([frame | {"first_id": first_id}])[0].endswith(f"from {said}")


def counted(**link: int) -> dict[str, Any]:
    """A report of a process with these counters of one end of a link."""
    return {"incarnation": 1, "links": {"h1 -> h2": dict.fromkeys(("gaps", "duplicates", "fenced"), 0) | link}}


def test_what_is_measured_is_laid_beside_dense() -> None:
    """Shares of the values and of the bytes of a dense pass; no word of them where there is nothing dense."""
    none, sent = dict.fromkeys(("sent", "bytes", "values", "dense", "dense_bytes"), 0), {"sent": 4, "bytes": 808}
    dense = {"values": 50, "dense": 200, "dense_bytes": 800}
    assert lines_of(rates("h1 -> h2", counted(**none), counted(**sent, **dense), 2.0)) == [
        "2 frames/s, 404 bytes/s, 25 values/s, 25.0 % of dense values, 101.0 % of dense bytes; "
        "0 gaps, 0 duplicates, 0 fenced"
    ]
    (line,) = lines_of(rates("h1 -> h2", counted(**none), counted(**none | sent), 2.0))
    assert "dense" not in line
