"""Which checkpoint is the last good one: writes the manifest that `topology.checkpoints` describes.

It is replaced as a whole, after every file that it names is on disk, so what it names is complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from topology import checkpoints
from topology.files import write_whole

KEPT = 2
"""Generations kept: the one in the manifest, and the one before, for whoever is reading it."""


def generation(run_dir: Path) -> int:
    """The last good generation, 0 if there is none; CheckpointError if the manifest cannot be used."""
    try:
        return checkpoints.read_manifest(run_dir).generation
    except checkpoints.NoCheckpointError:
        return 0


def write(run_dir: Path, run: str, number: int, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Make generation `number` the last good one, on disk when this returns, and forget the oldest.

    Raises OSError, and then the manifest is what it was.
    """
    place = checkpoints.folder(run_dir)
    place.mkdir(parents=True, exist_ok=True)
    manifest = {"version": checkpoints.VERSION, "run": run, "generation": number, "files": files}
    write_whole(checkpoints.manifest_path(run_dir), json.dumps(manifest, indent=2).encode())
    for old in place.iterdir():
        if old.name.isdecimal() and int(old.name) <= number - KEPT:
            shutil.rmtree(old, ignore_errors=True)


def discard(run_dir: Path, number: int) -> None:
    """Remove what was written of a generation that is no checkpoint; one that the manifest names is left alone."""
    with suppress(checkpoints.CheckpointError):  # a manifest that cannot be read is nothing to act on
        if generation(run_dir) != number:
            shutil.rmtree(checkpoints.folder(run_dir) / str(number), ignore_errors=True)
