"""The last incarnation that each name of a run was given, so that a broker after this one gives a higher one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from topology.files import INCARNATIONS


def read(run_dir: Path) -> dict[str, int]:
    """Name -> incarnation; empty where none was given yet. ValueError with one line if the file cannot be used."""
    path = run_dir / INCARNATIONS
    try:
        found = json.loads(path.read_bytes())
        return {str(name): int(incarnation) for name, incarnation in found.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}; go on from the last checkpoint with --resume") from error


def write(run_dir: Path, incarnations: Mapping[str, int]) -> None:
    """Put them down as a whole; OSError where that cannot be done. It outlives a process, not a loss of power."""
    partial = run_dir / f"{INCARNATIONS}.part"
    partial.write_text(json.dumps(incarnations), encoding="utf-8")
    partial.replace(run_dir / INCARNATIONS)


def forget(run_dir: Path) -> None:
    """A run that begins, or has ended in good order, has none."""
    (run_dir / INCARNATIONS).unlink(missing_ok=True)
