"""A window that counts the gradients that are to be expected, in a whole network."""

from __future__ import annotations

import pytest

from neurond import data
from tests.fault.networks import check_books
from tests.simulated import Faults, Network
from topology.load import load
from topology.plan import DataShape
from topology.resolve import resolve

WINDOW = 32


def network(faults: Faults | None = None, seed: int = 3, **settings: str) -> Network:
    """Digits, with errors that soon become few, over a slow network."""
    examples = data.load("digits")
    changes = {
        "source.epochs": "4",
        "source.window": f"{WINDOW}",
        "source.opening": "0",
        "loss.notify.threshold": "0.9",
    }
    topology = load("digits", [f"{key}={value}" for key, value in (changes | settings).items()])
    shape = DataShape(64, 10, 1, len(examples.x_train), len(examples.x_test))
    return Network(resolve(topology, shape), examples, seed, faults=faults or Faults(delay_s=0.01))


def most_in_flight(it: Network) -> tuple[int, float]:
    """The most stimuli and gradients in flight, of what the source said whenever it did something."""
    most = [0, 0.0]
    source = it.source
    present = source._present

    def looked(now: float) -> bool:
        done = present(now)
        flight = source._flight
        most[:] = max(most[0], len(flight)), max(most[1], flight.gradients)
        return done

    source._present = looked  # type: ignore[method-assign]
    it.run()
    return int(most[0]), most[1]


def test_a_window_of_gradients_lets_more_stimuli_fly() -> None:
    """More stimuli are in flight than the window is wide, but not more gradients; the run is over sooner."""
    plain, counted = network(), network(**{"source.window_by": "gradients"})
    assert most_in_flight(plain)[0] == WINDOW
    stimuli, gradients = most_in_flight(counted)
    assert 2 * WINDOW < stimuli <= counted.plan.source.places == 4 * WINDOW
    assert gradients <= 1.25 * WINDOW  # some more turned out to have one than were expected to
    assert counted.now < 0.8 * plain.now
    for it in (plain, counted):
        assert it.counters("source")["confirmed"] == it.source.telemetry(0.0).gauges["total"]
        (accuracy,) = [e.data["test_accuracy"] for e in it.events if e.kind == "finished"]
        assert accuracy > 0.85
        assert sum(it.counters(name)["expired"] for name in it.groups) == 0


def test_the_memory_is_the_end_of_a_window_of_gradients() -> None:
    """However few gradients there are, no more stimuli are in flight than a quarter of the smallest memory holds."""
    it = network(**{"source.window_by": "gradients", "groups.h2.memory": "256"})
    assert it.plan.source.places == 64
    assert most_in_flight(it)[0] == 64
    assert sum(it.counters(name)["expired"] for name in it.groups) == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_window_of_gradients_survives_a_bad_network(seed: int) -> None:
    """Frames that are lost, doubled and late: every stimulus counts once, and the books are right."""
    faults = Faults(drop=0.02, double=0.02, reorder=0.1, delay_s=0.01)
    it = network(faults, seed, **{"source.window_by": "gradients", "source.epochs": "1", "source.retry": "500ms"})
    it.run()
    assert it.counters("source")["confirmed"] == it.source.telemetry(0.0).gauges["total"]
    check_books(it)
    assert abs(it.source._flight.gradients) < 1e-9
