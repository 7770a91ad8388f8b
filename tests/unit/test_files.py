from __future__ import annotations

import os
from pathlib import Path

import pytest

from topology.files import write_whole


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A file is written or overwritten, and nothing but the file is in its folder then."""
    for content in (b"one", b"\x00\n\r\n"):
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == content
        assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """When the disk is full the file stays what it was, and no half of the new one is left."""
    write_whole(tmp_path / "file", b"old")
    (tmp_path / "file.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """A folder in the place of the file is an error, and nothing is left beside it."""
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "file", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    """A pipe or a device is not replaced by a file, be it named itself or by a link."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OSError, match="not a regular file"):
            write_whole(tmp_path / name, b"new")
    assert (tmp_path / "pipe").is_fifo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]


def test_no_folder(tmp_path: Path) -> None:
    """A folder that is missing is an error, and is not made."""
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "file", b"new")
    assert list(tmp_path.iterdir()) == []
