"""Where the checkpoints of a run folder are, and what its manifest says of the last good one.

    checkpoints/manifest.json             {"version": 1, "run": name, "generation": 3,
                                           "files": {"h1": {"file": "3/h1.safetensors", "sha256": ..., "bytes": ...}}}
    checkpoints/3/h1.safetensors          what the process `h1` saved as generation 3

Files are named relative to the checkpoints folder. `broker.manifest` writes the manifest, `neurond.checkpoint`
the files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from topology import exits

VERSION = 1


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message is one line that says which file and why."""

    exit_code = exits.FAILED


class NoCheckpointError(CheckpointError):
    """The run has not saved any."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One process' part: its file, relative to the checkpoints folder, and the SHA-256 of that (hex)."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The last good checkpoint: a number from 1 that grows with each, and the part of every process by name."""

    generation: int
    files: Mapping[str, Saved]


def folder(run_dir: Path) -> Path:
    """Where the checkpoints of a run are."""
    return run_dir / "checkpoints"


def manifest_path(run_dir: Path) -> Path:
    """The file that names the last good checkpoint."""
    return folder(run_dir) / "manifest.json"


def file_name(generation_folder: str, process: str) -> str:
    """The file of one process, relative to the checkpoints folder."""
    return f"{generation_folder}/{process}.safetensors"


def read_manifest(run_dir: Path) -> Manifest:
    """What the manifest says; NoCheckpointError if there is none, CheckpointError if it cannot be used."""
    path = manifest_path(run_dir)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        what = f"{run_dir} has no checkpoint; a run saves one while it trains and at its end"
        raise NoCheckpointError(what) from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    try:
        found = json.loads(content)
        version, generation = found["version"], found["generation"]
        files = {name: Saved(str(f["file"]), str(f["sha256"])) for name, f in found["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else error
        raise CheckpointError(f"{path} is damaged: {why}") from error
    if version != VERSION:
        raise CheckpointError(f"{path} is of version {version!r}, not {VERSION}")
    if not isinstance(generation, int) or generation < 1:
        raise CheckpointError(f"{path} is damaged: generation {generation!r} is no number from 1")
    return Manifest(generation, files)


def read_part(run_dir: Path, manifest: Manifest, process: str) -> bytes:
    """The file of one process, as it was saved; CheckpointError if it is missing or another."""
    saved = manifest.files.get(process)
    if saved is None:
        raise CheckpointError(f"{manifest_path(run_dir)} is damaged: it names no file of {process!r}")
    path = folder(run_dir) / saved.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != saved.sha256:
        raise CheckpointError(f"{path} is damaged: it is not the file that was saved (SHA-256 differs)")
    return content
