"""The last incarnation that each name of a run was given, so that a broker after this one gives a higher one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from topology import exits
from topology.files import INCARNATIONS, write_whole

MOST = 2**16 - 1
"""The highest that a frame has room for."""


class IncarnationsError(ValueError):
    """What the broker before this one has put down cannot be used; the message is one line that says why."""

    exit_code = exits.FAILED


def read(run_dir: Path) -> dict[str, int]:
    """Name -> incarnation; empty where none was given yet. IncarnationsError if the file cannot be used."""
    path = run_dir / INCARNATIONS
    try:
        found = {str(name): int(incarnation) for name, incarnation in json.loads(path.read_bytes()).items()}
        if not all(0 < incarnation <= MOST for incarnation in found.values()):
            raise ValueError(f"an incarnation is a number from 1 to {MOST}")
        return found
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise IncarnationsError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        what = f"{path} is damaged: {error}; go on from the last checkpoint with --resume"
        raise IncarnationsError(what) from error


def write(run_dir: Path, incarnations: Mapping[str, int]) -> None:
    """Put them down as a whole, on disk when this returns; OSError, and then the file is what it was."""
    write_whole(run_dir / INCARNATIONS, json.dumps(incarnations).encode())


def forget(run_dir: Path) -> None:
    """A run that begins, or has ended in good order, has none; as far as that can be done."""
    with contextlib.suppress(OSError):
        (run_dir / INCARNATIONS).unlink(missing_ok=True)
