"""Which checkpoint is the last good one: ``checkpoints/manifest.json`` of a run folder.

    {"version": 1, "run": name, "generation": 3,
     "files": {"h1": {"file": "3/h1.safetensors", "sha256": ..., "bytes": ...}, ...}}

Paths are relative to the checkpoints folder. The manifest is replaced as a whole, after every file that it names
is on disk, so what it names is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

KEPT = 2
"""Generations kept: the one in the manifest, and the one before, for whoever is reading it."""


def folder(run_dir: Path) -> Path:
    """Where the checkpoints of a run are."""
    return run_dir / "checkpoints"


def generation(run_dir: Path) -> int:
    """The last good generation, 0 if there is none; ValueError if the manifest cannot be read."""
    path = folder(run_dir) / "manifest.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["generation"]
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"cannot read {path}: {error}") from error
    if not isinstance(found, int) or found < 1:
        raise ValueError(f"cannot read {path}: generation {found!r} is no number from 1")
    return found


def write(run_dir: Path, run: str, number: int, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Make generation `number` the last good one, on disk when this returns, and forget the oldest.

    Raises OSError, and then the manifest is what it was.
    """
    place = folder(run_dir)
    place.mkdir(parents=True, exist_ok=True)
    path = place / "manifest.json"
    partial = path.with_suffix(".part")
    manifest = {"version": 1, "run": run, "generation": number, "files": files}
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(manifest, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(place)
    for old in place.iterdir():
        if old.name.isdecimal() and int(old.name) <= number - KEPT:
            shutil.rmtree(old, ignore_errors=True)


def _sync_folder(path: Path) -> None:
    """Let the rename itself survive a loss of power, where folders can be synced."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
