"""Runs whose broker is gone without having ended them, to be gone on with where they were."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from neurond import runs
from neurond.errors import RunError
from topology.files import INCARNATIONS
from topology.plan import Plan


def abandoned(plan: Plan, run_dir: str | os.PathLike[str] | None = None) -> runs.Run | None:
    """The newest run of a plan whose broker is gone; None if there is none.

    Args:
        plan: the very one that the run must be of: processes that live on go by theirs.
        run_dir: look into this folder, and no other.

    """
    for path in [Path(run_dir)] if run_dir is not None else _newest_first():
        with suppress(RunError):
            if (
                (path / INCARNATIONS).is_file()
                and (run := runs.open_run(path)).plan == plan
                and not runs.is_held(path)
            ):
                return run
    return None


def _newest_first() -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(runs.parent().iterdir(), reverse=True)  # their names begin with the time
