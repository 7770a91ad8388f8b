"""What keys cost: a network over tcp with CURVE and ZAP against the same without; and what strangers cost it."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from tests.bench.live import DEADLINE_S, scratch
from tests.bench.report import Row, Settings, say, spread
from tests.hammer import doors, hammering
from tests.keyed import network
from tests.ports import free_ports

GOAL = 0.75  # of the throughput without keys
UNDISTURBED = 0.9  # of the throughput without strangers
STRANGERS = 3
NETWORK = "digits"
VOLLEY = "source.volley=32"

Run = tuple[float, float]  # stimuli a second, and seconds of processor time of all its processes


def curve(settings: Settings) -> list[Row]:
    """Whole runs with keys and without, and with strangers at every door and without, in turns.

    Processor time is measured too: other work on the machine changes it less.
    """
    epochs = 5 if settings.quick else 60
    pairs = 1 if settings.quick else settings.pairs
    how = f"{NETWORK} --set {VOLLEY} --set source.epochs={epochs}"
    keys = _pairs("with keys", "without", pairs, lambda: _run(epochs), lambda: _run(epochs, insecure=True))
    strangers = _pairs("disturbed", "alone", pairs, lambda: _run(epochs, strangers=STRANGERS), lambda: _run(epochs))
    return [
        _row("curve", GOAL, "of tcp without keys", keys, f"processes by hand over tcp, --insecure or not: {how}"),
        _row(
            "strangers",
            UNDISTURBED,
            f"of a run without {STRANGERS} strangers",
            strangers,
            f"the same with keys, and `python -m tests.hammer` at every socket or not: {how}",
        ),
    ]


def _pairs(one: str, other: str, pairs: int, first: Callable[[], Run], second: Callable[[], Run]) -> list[list[Run]]:
    found: list[list[Run]] = []
    for pair in range(pairs):
        if pair % 2:  # whoever comes second finds a warmer machine
            b, a = second(), first()
        else:
            a, b = first(), second()
        found.append([a, b])
        say(f"pair {pair + 1}: {one} {a[0]:,.0f}/s, {other} {b[0]:,.0f}/s")
    return found


def _row(name: str, goal: float, than: str, pairs: Sequence[Sequence[Run]], command: str) -> Row:
    ratios = [a[0] / b[0] for a, b in pairs]
    costs = [a[1] / b[1] for a, b in pairs]
    return Row(
        name,
        f">= {goal}x {than}",
        f"{spread(ratios, '{:.2f}x')}; processor time {spread(costs, '{:.2f}x')}",
        statistics.median(ratios) >= goal,
        command,
        [
            f"pair {k}: {a[0]:,.0f}/s, {a[1]:.1f} s of processor, against {b[0]:,.0f}/s, {b[1]:.1f} s"
            for k, (a, b) in enumerate(pairs, 1)
        ],
        {"runs": pairs, "ratios": ratios, "costs": costs},
    )


def _run(epochs: float, *, insecure: bool = False, strangers: int = 0) -> Run:
    sets = (VOLLEY, f"source.epochs={epochs}", f"source.eval_every={10**9}")
    before = os.times()
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        whole = stack.enter_context(network(folder, free_ports(), *sets, topology=NETWORK, insecure=insecure))
        if strangers:
            stack.enter_context(hammering(asyncio.run(doors(whole)), strangers))
        whole.left(within_s=10 * DEADLINE_S)
        after = os.times()  # before the strangers are waited for: theirs is not counted
        per_s: float = json.loads((folder / "run" / "summary.json").read_text())["stimuli_per_s"]
    return per_s, after.children_user + after.children_system - before.children_user - before.children_system
