from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from broker import manifest
from topology import checkpoints
from topology.checkpoints import CheckpointError, NoCheckpointError, Saved

PART = b"weights"
SHA256 = hashlib.sha256(PART).hexdigest()


def entry(number: int) -> dict[str, Any]:
    """What the process `h1` replies to a save."""
    return {"file": checkpoints.file_name(str(number), "h1"), "sha256": SHA256, "bytes": len(PART)}


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with generation 3 of one process."""
    save(tmp_path, 3)
    return tmp_path


def save(run_dir: Path, number: int) -> None:
    """A generation as the process and the broker leave it."""
    path = checkpoints.folder(run_dir) / checkpoints.file_name(str(number), "h1")
    path.parent.mkdir(parents=True)
    path.write_bytes(PART)
    manifest.write(run_dir, "digits", number, {"h1": entry(number)})


def test_what_is_written_is_read(run_dir: Path) -> None:
    """The broker's manifest names its generation and each process' file, and that is read as it was saved."""
    found = checkpoints.read_manifest(run_dir)
    assert (found.generation, found.files) == (3, {"h1": Saved("3/h1.safetensors", SHA256)})
    assert manifest.generation(run_dir) == 3
    assert checkpoints.read_part(run_dir, found, "h1") == PART


def test_old_generations_are_forgotten(run_dir: Path) -> None:
    """The generation before the last stays for whoever reads it; older ones go, and nothing else does."""
    (checkpoints.folder(run_dir) / "mine").mkdir()
    for number in (4, 5):
        save(run_dir, number)
    assert sorted(p.name for p in checkpoints.folder(run_dir).iterdir()) == ["4", "5", "manifest.json", "mine"]


def test_no_checkpoint(tmp_path: Path) -> None:
    """A run that has not saved is told from one whose manifest is damaged; to the broker it is generation 0."""
    with pytest.raises(NoCheckpointError, match="has no checkpoint; a run saves one"):
        checkpoints.read_manifest(tmp_path)
    assert manifest.generation(tmp_path) == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", r"manifest.json is damaged: Expecting"),
        ("[]", r"manifest.json is damaged: "),
        ("{}", r"manifest.json is damaged: it has no 'version'"),
        ('{"version": 1, "generation": 0, "files": {}}', r"is damaged: generation 0 is no number from 1"),
        ('{"version": 1, "generation": "3", "files": {}}', r"is damaged: generation '3' is no number from 1"),
        ('{"version": 1, "generation": 1, "files": {"h1": {"file": "x"}}}', r"is damaged: it has no 'sha256'"),
        ('{"version": 1, "generation": 1, "files": {"h1": 3}}', r"manifest.json is damaged: "),
        ('{"version": 2, "generation": 1, "files": {}}', r"manifest.json is of version 2, not 1"),
    ],
)
def test_a_damaged_manifest(run_dir: Path, content: str, expected: str) -> None:
    """A manifest that is none is one line that names it, for whoever reads it and for the broker."""
    checkpoints.manifest_path(run_dir).write_text(content)
    for read in (checkpoints.read_manifest, manifest.generation):
        with pytest.raises(CheckpointError, match=expected) as error:
            read(run_dir)
        assert not isinstance(error.value, NoCheckpointError)
        assert "\n" not in str(error.value)


def test_a_file_that_is_not_the_saved_one(run_dir: Path) -> None:
    """A file that is missing, changed or not named is refused."""
    found = checkpoints.read_manifest(run_dir)
    with pytest.raises(CheckpointError, match="it names no file of 'h2'"):
        checkpoints.read_part(run_dir, found, "h2")
    path = checkpoints.folder(run_dir) / "3" / "h1.safetensors"
    path.write_bytes(PART[::-1])
    with pytest.raises(CheckpointError, match=r"h1.safetensors is damaged: it is not the file that was saved"):
        checkpoints.read_part(run_dir, found, "h1")
    path.unlink()
    with pytest.raises(CheckpointError, match=r"cannot read .*h1.safetensors: No such file"):
        checkpoints.read_part(run_dir, found, "h1")


def test_a_full_disk_keeps_the_manifest(run_dir: Path) -> None:
    """A manifest that cannot be written leaves the one before, and its files."""
    (checkpoints.folder(run_dir) / "manifest.json.part").symlink_to("/dev/full")
    before = json.loads(checkpoints.manifest_path(run_dir).read_text())
    with pytest.raises(OSError, match="No space left"):
        manifest.write(run_dir, "digits", 9, {"h1": entry(9)})
    assert json.loads(checkpoints.manifest_path(run_dir).read_text()) == before
    assert manifest.generation(run_dir) == 3
    assert (checkpoints.folder(run_dir) / "3" / "h1.safetensors").is_file()


def test_a_half_generation_is_discarded(run_dir: Path) -> None:
    """What was written of a failed save is removed; the generation that the manifest names never is."""
    half = checkpoints.folder(run_dir) / "4"
    half.mkdir()
    (half / "h1.safetensors").write_bytes(PART)
    manifest.discard(run_dir, 4)
    assert not half.exists()
    manifest.discard(run_dir, 3)
    manifest.discard(run_dir, 99)
    assert (checkpoints.folder(run_dir) / "3" / "h1.safetensors").is_file()
