"""One process' part of a checkpoint: a safetensors file that is either whole or not there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topology import checkpoints
from topology.files import write_whole


def write(
    run_dir: Path, generation_folder: str, process: str, state: Mapping[str, NDArray[Any]], lasting: bool = True
) -> dict[str, Any]:
    """Write the state of `process` into a folder of the run's checkpoints, whole or not at all (`write_whole`).

    Returns:
        what the manifest says of the file: ``file`` (relative to the checkpoints), ``sha256`` and ``bytes``.

    Raises:
        OSError: the folder cannot be written or the disk is full; no part of the file is left behind.

    """
    from safetensors.numpy import save  # only a save needs it, and daemons start without it

    content = save({name: np.ascontiguousarray(array) for name, array in state.items()})
    file = checkpoints.file_name(generation_folder, process)
    path = checkpoints.folder(run_dir) / file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, lasting)
    return {"file": file, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def read(run_dir: Path, manifest: checkpoints.Manifest, process: str) -> dict[str, NDArray[Any]]:
    """What `write` wrote, checked against the manifest; CheckpointError if it is not that."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = checkpoints.read_part(run_dir, manifest, process)
    try:
        state: dict[str, NDArray[Any]] = load(content)
    except SafetensorError as error:
        path = checkpoints.folder(run_dir) / manifest.files[process].file
        raise checkpoints.CheckpointError(f"{path} is damaged: {error}") from error
    return state
