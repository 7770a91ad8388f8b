"""A run as a row of `neurond ps`."""

from __future__ import annotations

from monitor.view import View
from neurond.cli.attached import Asked
from neurond.cli.processes import row_of
from neurond.living import Alive
from topology.wire import Event, Telemetry


def test_the_accuracy_is_that_of_an_evaluation() -> None:
    """A running mean over training stimuli is no test: there is none until the first evaluation."""
    view = View(["source"])
    asked = Asked(Alive("ipc:///nowhere/"), None)
    view.update(Telemetry("source", "source", 1, 1, {"confirmed": 5}, {"train_accuracy": 0.8}, {}), 0.0)
    assert row_of(asked, view)["accuracy"] is None
    view.update(Event("source", "evaluated", {"test_accuracy": 0.75, "stimuli": 5}), 1.0)
    assert row_of(asked, view)["accuracy"] == 0.75
