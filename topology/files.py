"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

INCARNATIONS = "incarnations.json"
"""In a run folder from the run's beginning to its end: what a broker must know that takes another's place."""


JOURNALS = "journal"
"""In a run folder: the journals of its processes, as long as it runs."""


def write_whole(path: Path, content: bytes, lasting: bool = True) -> None:
    """Write a file that is either the old one or all of the new one, also after a loss of power.

    It is written beside its place as ``<name>.part`` and renamed. Its folder must be there. What is not `lasting` may
    be missing or cut short after a loss of power, and is written many times faster.

    Raises OSError, also where `path` is a device or a pipe, which would be replaced; then `path` is what it was and
    nothing is left beside it.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    if lasting:
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Let what was named or renamed in a folder survive a loss of power, where folders can be synced."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
