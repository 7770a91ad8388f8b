"""The stimuli that the tests of the wire format send, small enough to be read byte by byte."""

from __future__ import annotations

from typing import Any

import numpy as np

from topology.wire import Spikes

IDS = np.array([7, 8, 9])
VALUES = np.array([[0, 1.5], [0, 0], [-2, 0]], np.float32)


def spikes(values: Any, teach: bool = False) -> Spikes:
    """Spikes of as many stimuli as there are rows."""
    return Spikes(
        link=3, incarnation=2, to=1, seq=5, presentation=1, teach=teach, ids=IDS[: len(values)], values=values
    )
