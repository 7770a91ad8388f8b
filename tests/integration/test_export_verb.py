"""The verb export: event files of TensorBoard, read back record by record."""

from __future__ import annotations

import re
import shlex
import struct
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event

from neurond.runs import open_run
from tests.command import DEADLINE_S, NEUROND, environment, neurond


def masked(data: bytes) -> int:
    """The checksum of a record, as its format has it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def events(folder: Path) -> Iterator[Event]:
    """Every event of the one file in a folder; its records are length, checksum, bytes, checksum."""
    (file,) = folder.iterdir()
    data, at = file.read_bytes(), 0
    while at < len(data):
        size, head = struct.unpack_from("<QI", data, at)
        body = data[at + 12 : at + 12 + size]
        assert head == masked(data[at : at + 8])
        assert struct.unpack_from("<I", data, at + 12 + size) == (masked(body),)
        yield Event.FromString(body)
        at += size + 16


def test_tensorboard(digits_run: Path, tmp_path: Path) -> None:
    """Each figure of each row is in the event file under its stimuli, at its time, and the topology as text."""
    told = neurond(tmp_path, "export", str(digits_run), "--tensorboard", "tb")
    assert (told.returncode, told.stdout) == (0, "tb/digits\n"), told.stderr
    assert told.stderr.endswith("next: tensorboard --logdir tb\n")
    run = open_run(digits_run)
    found = {
        (value.tag, event.step): (event.wall_time, value.simple_value)
        for event in events(tmp_path / "tb" / "digits")
        for value in event.summary.value
    }
    began = datetime.fromisoformat(run.environment["started"]).timestamp()
    last = run.metrics[-1]
    step = last["stimuli"]
    assert found["accuracy/test", step][1] == pytest.approx(last["test_accuracy"])
    assert found["updates/h1", step][1] == last["processes"]["h1"]["updates"]
    assert found["of_dense/updates", step][1] == pytest.approx(last["updates"] / last["updates_dense"])
    link = last["links"]["h1 -> h2"]
    assert found["link_bytes/h1_to_h2", step][1] == link["bytes"] + link["back_bytes"]
    assert found["loss/train", step][0] == pytest.approx(began + last["t_s"], abs=0.01)
    assert {s for tag, s in found if tag == "loss/train"} == {r["stimuli"] for r in run.metrics if "loss" in r}
    assert any(tag.startswith("topology") for tag, _ in found)


def test_a_disk_that_is_full_leaves_nothing_behind(digits_run: Path, tmp_path: Path) -> None:
    """What the disk does not take is one line, and no half of it is there; the next try is whole."""
    command = shlex.join([*NEUROND, "export", str(digits_run), "--tensorboard", "tb"])
    limited = ["bash", "-c", f"ulimit -f 1; exec {command}"]
    told = subprocess.run(
        limited, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (told.returncode, told.stderr) == (1, "neurond: cannot write tb/digits: File too large\n")
    assert list((tmp_path / "tb").iterdir()) == []
    assert neurond(tmp_path, "export", str(digits_run), "--tensorboard", "tb").returncode == 0
    assert [path.name for path in (tmp_path / "tb").iterdir()] == ["digits"]


def test_what_cannot_be_exported(digits_run: Path, tmp_path: Path) -> None:
    """No format, a folder that has something in it, and a missing library are one line each."""
    told = neurond(tmp_path, "export", str(digits_run))
    assert (told.returncode, told.stderr) == (2, "neurond: export to what? Say --tensorboard DIR\n")
    (tmp_path / "tb" / "digits").mkdir(parents=True)
    (tmp_path / "tb" / "digits" / "mine").touch()
    told = neurond(tmp_path, "export", str(digits_run), "--tensorboard", "tb")
    said = "neurond: tb/digits is not empty; remove it, or choose another folder\n"
    assert (told.returncode, told.stderr) == (1, said)
    (tmp_path / "tensorboardX.py").write_text("raise ImportError('hidden by a test')\n")
    told = neurond(tmp_path, "export", str(digits_run), "--tensorboard", "other")
    assert told.returncode == 1
    assert re.fullmatch(r"neurond: tensorboardX is not installed: \S+ -m pip install tensorboardX\n", told.stderr)
