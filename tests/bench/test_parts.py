"""The small parts of a hop, each alone: what a volley of 32 of MNIST's middle group costs in one process.

    python -m pytest tests/bench --benchmark-enable        (`make parts`)

In the suite each is called once, so that it cannot fall behind the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neurond.group import GroupMachine
from neurond.machine import Answer, Frame, Idle, Peers, Send
from neurond.memory import Memory
from neurond.rules import make_rule
from neurond.updates import make_release
from topology import wire
from topology.load import load
from topology.plan import SOURCE, NotifyPlan, Plan, UpdatePlan
from topology.resolve import DataShape, resolve

VOLLEY, WIDTH, SIZE, OUT = 32, 300, 100, 10
ROUNDS = 500
Floats = NDArray[np.float32]
Volley = tuple[tuple[bytes, bytes], dict[str, Any]]  # its two frames, as arguments of what is timed


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(5)


def spikes_of(rng: np.random.Generator, width: int = WIDTH) -> Floats:
    """Activations of a ReLU group, a third of them above zero: float32 (VOLLEY, width)."""
    return np.maximum(rng.standard_normal((VOLLEY, width), np.float32) - 0.43, 0.0)


def notifications_of(rng: np.random.Generator, width: int, share: float = 0.03) -> Floats:
    """What passes a threshold of 0.35: mostly zeros, float32 (VOLLEY, width)."""
    fired = rng.random((VOLLEY, width)) < share
    return np.where(fired, np.float32(0.35), np.float32(0.0)) * rng.choice(np.array([-1, 1], np.float32), fired.shape)


@pytest.mark.parametrize(("coding", "values"), [("fast", "float32"), ("small", "float32"), ("small", "uint8")])
def test_spikes_to_bytes_and_back(benchmark: Any, rng: np.random.Generator, coding: str, values: str) -> None:
    """300 neurons of a ReLU group, in each layout that a link may ask for."""
    message = wire.Spikes(1, 1, 1, 0, 1, True, np.arange(VOLLEY), spikes_of(rng))
    back = benchmark(lambda: wire.decode(wire.encode(message, coding, values)))
    assert np.allclose(back.values, message.values, atol=message.values.max() / 255)


@pytest.mark.parametrize("coding", ["fast", "small"])
def test_notifications_to_bytes_and_back(benchmark: Any, rng: np.random.Generator, coding: str) -> None:
    """Few of 300 neurons are notified."""
    values = notifications_of(rng, WIDTH)
    message = wire.Notifications(1, 1, 1, 0, 1, np.arange(VOLLEY), np.ones(VOLLEY, np.bool_), values)
    assert (benchmark(lambda: wire.decode(wire.encode(message, coding))).values == values).all()


@pytest.mark.parametrize("rule", ["exact", "drop", "residual", "quantum", "stochastic"])
def test_a_notification_rule(benchmark: Any, rng: np.random.Generator, rule: str) -> None:
    """Gradients of 300 neurons, most of them far below the threshold."""
    apply = make_rule(NotifyPlan(rule, 0.35), WIDTH, rng)
    assert benchmark(apply, rng.standard_normal((VOLLEY, WIDTH), np.float32) * 0.05).shape == (VOLLEY, WIDTH)


@pytest.mark.parametrize("rows", [10, None], ids=["few rows", "all rows"])
def test_a_step_through_the_threshold_of_updates(benchmark: Any, rng: np.random.Generator, rows: int | None) -> None:
    """The sums of the connections that a step reaches: those of ten neurons, or of all."""
    release = make_release(UpdatePlan("threshold", threshold=0.032), (SIZE, WIDTH))
    w = np.zeros((SIZE, WIDTH), np.float32)
    which = None if rows is None else np.arange(0, SIZE, SIZE // rows)

    def step() -> tuple[tuple[Floats], dict[str, Any]]:
        return (rng.standard_normal((rows or SIZE, WIDTH), np.float32) * np.float32(0.01),), {}

    changed, sane = benchmark.pedantic(lambda taken: release.release(w, which, taken), setup=step, rounds=ROUNDS)
    assert changed == np.count_nonzero(w) > 0 or benchmark.enabled
    assert sane


def test_a_volley_is_remembered_and_forgotten(benchmark: Any, rng: np.random.Generator) -> None:
    """A volley takes its slots, is closed, and gives them back."""
    memory, values, ids = Memory(4096, SIZE, [WIDTH], 1), spikes_of(rng), np.arange(VOLLEY)

    def round_trip() -> None:
        slots, _ = memory.arrive(0, ids, 1, values)
        memory.close(0, slots)
        memory.forget(slots)

    benchmark(round_trip)
    assert len(memory) == 0


@pytest.mark.parametrize("errors", ["few", "none"])
def test_a_volley_through_a_group(benchmark: Any, rng: np.random.Generator, errors: str) -> None:
    """MNIST's h2, 300 to 100: spikes in and out, then what comes back of them in, and out where that is anything."""
    plan = resolve(load("mnist"), DataShape(784, OUT, 1, 60_000, 10_000))
    machine = GroupMachine(next(group for group in plan.groups if group.name == "h2"))
    machine.handle(Peers({SOURCE: 1} | {group.name: 1 for group in plan.groups}), 0.0)
    sent = benchmark.pedantic(_handled(machine), setup=_frames(plan, rng, errors == "few"), rounds=ROUNDS)
    kinds = [wire.kind_of(action.frame) for action in sent if isinstance(action, Send)]
    assert kinds[0] == wire.SPIKES
    assert not any(isinstance(action, Answer) for action in sent)
    counters = machine.telemetry(0.0).counters
    assert counters["stimuli"] == counters["closes"] > 0
    assert counters["wire_errors"] == counters["gaps"] == counters["late"] == 0
    assert (counters["notifications"] > 0) == (errors == "few")


def _handled(machine: GroupMachine) -> Callable[[bytes, bytes], list[Any]]:
    def handle(spikes: bytes, back: bytes) -> list[Any]:
        return [
            *machine.handle(Frame(spikes), 0.0),
            *machine.handle(Idle(), 0.0),
            *machine.handle(Frame(back), 0.0),
            *machine.handle(Idle(), 0.0),
        ]

    return handle


def _frames(plan: Plan, rng: np.random.Generator, errors: bool) -> Callable[[], Volley]:
    """What makes the next volley's frames: spikes from h1, then notifications or closes from out."""
    group = next(group for group in plan.groups if group.name == "h2")
    into, out = group.links_in[0].index, group.links_out[0].index
    seq = 0

    def make() -> Volley:
        nonlocal seq
        ids = np.arange(seq * VOLLEY, (seq + 1) * VOLLEY)
        spikes = wire.encode(wire.Spikes(into, 1, 1, seq, 1, True, ids, spikes_of(rng)))
        back: wire.DataMessage = wire.Closes(out, 1, 1, seq, 1, ids)
        if errors:
            closed = np.ones(VOLLEY, np.bool_)
            back = wire.Notifications(out, 1, 1, seq, 1, ids, closed, notifications_of(rng, SIZE, 0.1))
        seq += 1
        return (spikes, wire.encode(back)), {}

    return make
