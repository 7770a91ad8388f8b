"""A run in one process, whose steps are counted: it trains as the twin does, and its sums add up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from neurond import data
from neurond.api import topology_of
from neurond.experiments.alone import measured
from neurond.experiments.arms import EXACT, notify
from neurond.experiments.study import Arm, Study
from neurond.launch import planned
from neurond.optimizers import learning_rate
from tests.studies import SMALL
from tests.twin import Twin


async def run(settings: dict[str, object], study: Study = SMALL) -> dict[str, float]:
    """The figures of one run."""
    return await measured(study, Arm("one", settings), 3, False, None, asyncio.Event())


async def test_without_thresholds_it_is_the_twin() -> None:
    """The same first weights, order, gradients and learning rates as the synchronous twin's: the same network."""
    study = replace(SMALL, settings={"source.epochs": 3})
    topology = topology_of("digits", {**study.settings, **EXACT, "seed": 3}, None)
    assert topology is not None
    _, plan, _ = planned(topology, None)
    examples = data.load("digits")
    twin = Twin(plan, np.float64)
    optimizer = plan.groups[0].optimizer
    twin.train(examples, plan.source.volley, 3 * len(examples.x_train), partial(learning_rate, optimizer))
    found = await run(dict(EXACT), study)
    assert found["test_accuracy"] == pytest.approx(twin.accuracy(examples), abs=0.004)  # one stimulus in float32
    assert found["test_accuracy"] > 0.8


async def test_what_is_sent_at_once_is_neither_held_back_nor_lost() -> None:
    """With no threshold every step moves its weight, and every gradient is sent."""
    found = await run(dict(EXACT))
    assert found["updated"] == pytest.approx(found["way"], rel=1e-3)
    assert found["kept_back"] == pytest.approx(0, abs=1e-3)
    assert found["gradient_sent"] == pytest.approx(1)
    assert found["moved"] <= found["way"]
    assert 0 < found["cancelled"] < 1


async def test_a_threshold_spares_a_part_of_the_way() -> None:
    """A larger one spares more, and what it moves is never more than the steps make; fewer weights are touched."""
    ways = []
    for t in (0.003, 0.03):
        update = {"rule": "threshold", "threshold": t}
        ways.append(await run({**notify("exact"), "defaults.group.update": update}))
    small, large = ways
    assert 0 < small["kept_back"] < large["kept_back"] < 1
    assert large["updates"] < small["updates"]


async def test_a_skip_link_is_counted_too() -> None:
    """Errors of several post groups meet in one pre group, and the network learns."""
    study = replace(SMALL, network="skip", settings={"source.epochs": 3})
    found = await run(dict(EXACT), study)
    assert found["test_accuracy"] > 0.8
