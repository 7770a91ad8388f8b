"""What a checkpoint holds, looked at before it is taken up: its checksum may be right, and yet it is none of ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def refuse_damaged(name: str, values: NDArray[Any]) -> None:
    """ValueError for what no process writes, whatever its checksum says: floats not finite, whole numbers below 0."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} in the checkpoint is not a finite number")
    if values.dtype.kind == "i" and (values < 0).any():
        raise ValueError(f"{name} in the checkpoint is below 0")
