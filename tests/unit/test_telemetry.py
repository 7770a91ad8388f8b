"""What processes tell of themselves adds up, whatever was in the way."""

from __future__ import annotations

import numpy as np
import pytest

from neurond.dendrites import Dendrites
from neurond.links import FLOAT_BYTES
from neurond.raster import LOOKS
from neurond.staleness import BUCKETS
from tests.fault.networks import build
from tests.plans import group_plan
from tests.simulated import Faults, Network
from topology.plan import SOURCE, LinkPlan
from topology.wire import Telemetry


@pytest.fixture(scope="module")
def network() -> Network:
    """A small network with shards, a diamond and a skip link, at the end of its run over a bad line."""
    made = build(0, Faults(drop=0.02, delay_s=0.01))
    made.run()
    assert made.finished
    return made


def told(network: Network) -> dict[str, Telemetry]:
    """What each process tells at the end."""
    return {name: machine.telemetry(network.now) for name, machine in network.machines.items()}


def test_spikes_of_a_group_are_those_of_its_links(network: Network) -> None:
    """Values and dense of the links are the group's own totals, and the spikes of evaluations beside them."""
    reports = told(network)
    for group in network.plan.groups:
        counters, links = reports[group.name].counters, reports[group.name].links
        backward = [links[link.name] for link in group.links_in]
        dense = sum(end["dense"] for end in backward)
        values = sum(end["values"] for end in backward)
        if group.loss is None:  # the readout counts those of its loss too, which is no link
            assert counters["notifications"] == values
            assert counters["notifications_dense"] == dense
        forward = [links[link.name] for link in group.links_out]
        stimuli = counters["stimuli"] + counters["eval_stimuli"]
        assert sum(end["dense"] for end in forward) == stimuli * group.size * len(forward)
        assert sum(end["values"] for end in forward) >= counters["spikes"]
        assert all(end["values"] <= end["dense"] for end in (*forward, *backward))
        assert all(end["dense_bytes"] == FLOAT_BYTES * end["dense"] for end in links.values())


def test_the_source_counts_inputs_that_are_not_zero(network: Network) -> None:
    """A link from the source has sent what its rows of data hold, as often as they were presented."""
    source = told(network)[SOURCE]
    first, second = (source.links[f"source -> {name}"] for name in ("a.0", "out"))
    assert first["values"] == second["values"]
    share = first["values"] / first["dense"]
    examples = network.source._data
    assert share == pytest.approx(np.count_nonzero(examples.x_train) / examples.x_train.size, abs=0.05)
    assert source.links["source -> loss"]["dense"] == 0


def test_the_histogram_holds_every_gradient(network: Network) -> None:
    """The buckets of staleness add up to the number of gradients, and lie about their mean."""
    for name, report in told(network).items():
        if name == SOURCE:
            continue
        counters = report.counters
        buckets = {least: counters[f"staleness_{least}"] for least in BUCKETS}
        assert sum(buckets.values()) == counters["staleness_count"] > 0
        assert sum(least * n for least, n in buckets.items()) <= counters["staleness_sum"]
        assert max(least for least, n in buckets.items() if n) <= report.gauges["staleness_max"]


def test_norms_and_raster_are_told_once_there_are_any(network: Network) -> None:
    """A group that has not learned yet has no gradient to measure and nothing in its raster."""
    for name, report in told(network).items():
        assert len(report.raster) <= LOOKS
        if name != SOURCE:
            assert report.gauges["gradient_norm"] > 0
    fresh = build(0, Faults()).machines["b"].telemetry(0.0)
    assert "gradient_norm" not in fresh.gauges
    assert fresh.raster == []


@pytest.mark.parametrize(
    ("staleness", "expected"),
    [
        ([0, 0, 0], {0: 3}),
        ([3, 3], {2: 2}),
        ([0, 1, 2, 3, 4], {0: 1, 1: 1, 2: 2, 4: 1}),
        ([1023, 5000], {512: 1, 1024: 1}),
    ],
)
def test_each_staleness_has_its_bucket(staleness: list[int], expected: dict[int, int]) -> None:
    """A bucket holds what is at least its number and below the next one's, also where a volley is of one age."""
    own = Dendrites(group_plan("g", (0, 3, 3), "relu", (LinkPlan(0, "p", "g", 5, "p", 0, 5),)))
    own.staleness.note(np.array(staleness))
    assert {least: n for least, n in zip(BUCKETS, own.staleness.histogram, strict=True) if n} == expected
    again = Dendrites(group_plan("g", (0, 3, 3), "relu", (LinkPlan(0, "p", "g", 5, "p", 0, 5),)))
    again.recover(own.durable())
    assert again.counters() == own.counters()
