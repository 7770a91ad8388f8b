"""The sample of a group's spikes that goes with its telemetry."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from neurond.raster import LOOKS, NEURONS, Raster
from topology.plan import REPORT_S


def activations(size: int, *spiking: int) -> np.ndarray:
    """Activations of one stimulus, of which these neurons spike."""
    a = np.zeros(size, np.float32)
    a[list(spiking)] = 0.5
    return a


def test_bit_i_is_the_ith_neuron_of_the_sample() -> None:
    """Of a small group every neuron is in the sample, in order; of a large one they are evenly spaced."""
    small, large = Raster(10), Raster(300)
    small.look(activations(10, 0, 3, 9), 0.0)
    assert small.of_late(0.0) == [1 | 1 << 3 | 1 << 9]
    spaced = [i * 300 // NEURONS for i in range(NEURONS)]
    large.look(activations(300, spaced[1], spaced[31], spaced[1] + 1), 0.0)
    assert large.of_late(0.0) == [1 << 1 | 1 << 31]


@pytest.mark.parametrize("pause_s", [0.0001, 0.02, 0.2])
def test_looks_are_few_and_evenly_spaced(pause_s: float) -> None:
    """However often a group fires, two reports share no look, and each holds what is due of its own half second."""
    raster, now, taken, told = Raster(4), 0.0, 0, []
    for report in range(1, 5):
        while now < report * REPORT_S:
            if now >= raster.due:
                raster.look(activations(4, taken % 2), now)
                taken += 1
            now += pause_s
        told.append(raster.of_late(report * REPORT_S))
    assert all(0 < len(looks) <= LOOKS for looks in told)
    assert sum(map(len, told)) >= taken - len(told)
    assert taken <= 4 * LOOKS
    assert all(first != then for looks in told for first, then in pairwise(looks))


def test_a_group_that_stands_still_has_nothing_to_show() -> None:
    """What was seen longer ago than a report covers is not told as if it were new; asking twice tells it twice."""
    raster = Raster(4)
    raster.look(activations(4, 1), 10.0)
    assert raster.of_late(10.1) == raster.of_late(10.2) == [2]
    assert raster.of_late(10.0 + REPORT_S) == []
