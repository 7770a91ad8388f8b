"""One process' part of a checkpoint: a safetensors file that is either whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write(path: Path, state: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Write `state` to `path`, which appears whole or not at all.

    Returns:
        what the manifest says of the file: ``file`` (its name), ``sha256`` and ``bytes``.

    Raises:
        OSError: the folder cannot be written or the disk is full; no part of the file is left behind.

    """
    from safetensors.numpy import save  # only a save needs it, and daemons start without it

    content = save({name: np.ascontiguousarray(array) for name, array in state.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return {"file": path.name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def read(path: Path) -> dict[str, NDArray[Any]]:
    """What `write` wrote; OSError if it cannot be read, ValueError if it is not such a file."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        state: dict[str, NDArray[Any]] = load(path.read_bytes())
    except SafetensorError as error:
        raise ValueError(f"{path} is not a checkpoint: {error}") from error
    return state
