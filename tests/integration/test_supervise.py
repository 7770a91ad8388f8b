"""Whole runs on this machine: real processes, real sockets, and what happens when they are disturbed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import neurond
from monitor.view import View
from neurond import data, keep
from neurond.errors import Diverged, Interrupted, ProcessLost, RunError, TargetNotReached
from tests.endless import SETTINGS
from tests.fault.faults import Fault, Place, injects
from tests.supervised import Watch, child
from tests.waiting import DEADLINE_S, comes, gone

ROOT = Path(__file__).parents[2]

WATCHER = """
import neurond, sys
said = False
def on_view(view):
    global said
    if not said and view.stimuli:
        said = True
        print("training", flush=True)
try:
    neurond.run("xor", {"source.epochs": 100000}, run_dir=sys.argv[1], on_view=on_view)
except neurond.NeurondError as error:
    print(error, flush=True)
    sys.exit(error.exit_code)
"""


async def test_a_run_to_its_end(tmp_path: Path) -> None:
    """A run that ends by itself learns, leaves a whole folder, and its weights predict what the network learned."""
    seen: list[int] = []
    run = await neurond.run_async(
        "xor", {"source.epochs": 6}, run_dir=tmp_path, on_view=lambda v: seen.append(v.stimuli or 0)
    )
    summary = run.summary
    train = data.describe("xor").train
    assert summary["stimuli"] == 6 * train
    assert summary["why"] == "finished"
    assert summary["unheard"] == []
    assert seen == sorted(seen)
    assert run.metrics[-1]["stimuli"] == summary["stimuli"]
    examples = data.load("xor")
    hits = run.predict(examples.x_test * examples.scale).argmax(1) == examples.y_test
    assert np.mean(hits) == pytest.approx(summary["test_accuracy"])
    assert {p.name for p in tmp_path.iterdir()} == {
        "checkpoints", "environment.json", "events.jsonl", "logs", "metrics.jsonl", "plan.json", "summary.json",
        "topology.yaml",
    }  # fmt: skip
    assert sorted(p.stem for p in (tmp_path / "logs").iterdir()) == ["broker", "hidden", "out", "source"]
    assert run.topology.source.epochs == 6


async def test_resume(tmp_path: Path) -> None:
    """A run that is gone on from counts on from where it was saved, in the same folder."""
    first = await neurond.run_async("xor", {"source.epochs": 2}, run_dir=tmp_path)
    before = first.summary
    again = await neurond.run_async(overrides={"source.epochs": 4}, resume=tmp_path)
    assert again.path == tmp_path
    assert again.summary["stimuli"] == 2 * before["stimuli"]
    assert again.summary["generation"] > before["generation"]


@injects(Place.PROCESSES, Fault.BAD_CHECKPOINT)
async def test_resume_from_a_damaged_file(tmp_path: Path) -> None:
    """A checkpoint that is not what was saved is found before anything is started, and nothing is written."""
    run = await neurond.run_async("xor", {"source.epochs": 1}, run_dir=tmp_path)
    file = tmp_path / "checkpoints" / str(run.summary["generation"]) / "hidden.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    logs = {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()}
    with pytest.raises(RunError, match=r"hidden.safetensors is damaged: it is not the file"):
        await neurond.run_async("xor", {"source.epochs": 2}, resume=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").iterdir()} == logs


async def test_a_target_ends_the_run(tmp_path: Path) -> None:
    """A target that is reached ends the run in good order, long before its epochs do."""
    run = await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, until="loss<=5")
    assert run.summary["reached"] is True
    assert run.summary["why"] == "stopped"
    assert run.summary["stimuli"] < 100_000


async def test_a_target_out_of_reach(tmp_path: Path) -> None:
    """A run whose target was not reached is complete, and says so with the figure that it came to."""
    with pytest.raises(TargetNotReached, match="loss<=0 was not reached: test_loss is ") as error:
        await neurond.run_async("xor", {"source.epochs": 1}, run_dir=tmp_path, until="loss<=0")
    assert error.value.exit_code == 6
    assert error.value.run.summary["generation"] > 0


async def test_time_is_up(tmp_path: Path) -> None:
    """A run with a time limit is drained and saved when it is over."""
    run = await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, for_s=0.3)
    assert run.summary["why"] == "stopped"
    assert run.weights


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["hidden", "source", "broker"])
async def test_a_process_dies(tmp_path: Path, name: str, number: signal.Signals) -> None:
    """Without restarts a process that dies is named, and everything else is gone within two seconds of it."""
    watch = Watch(lambda: child(name).send_signal(number))
    with pytest.raises(ProcessLost) as error:
        await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, restarts=0, on_view=watch)
    assert watch.acted_at is not None
    assert time.monotonic() - watch.acted_at < 2.0
    assert psutil.Process().children() == []
    assert error.value.process == name
    assert error.value.exit_code == 5
    assert str(tmp_path / "logs" / f"{name}.log") in str(error.value)
    assert len(error.value.lines) > 0


async def test_a_process_hangs(tmp_path: Path) -> None:
    """Without restarts a process that stands still is found by its beat, named, and ended with the others."""
    watch = Watch(lambda: child("hidden").send_signal(signal.SIGSTOP))
    with pytest.raises(ProcessLost, match="process 'hidden' was lost: no beat for 3 s"):
        await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, restarts=0, on_view=watch)
    assert psutil.Process().children() == []


async def test_standing_still_oneself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor that was itself stopped for long (Ctrl-Z) blames nobody for the silence meanwhile."""
    monkeypatch.setattr(keep, "SILENCE_S", 1.5)
    watch = Watch(lambda: time.sleep(3.0))
    run = await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, for_s=4.0, on_view=watch)
    assert watch.acted_at is not None
    assert run.summary["why"] == "stopped"


async def test_divergence(tmp_path: Path) -> None:
    """A run whose numbers grow without bound stops with a hint."""
    wild = {**SETTINGS, "defaults.group.optimizer.lr": 1e6, "defaults.group.update.rule": "always"}
    with pytest.raises(Diverged, match=r"diverged: .*; lower the learning rate") as error:
        await neurond.run_async("xor", wild, run_dir=tmp_path)
    assert error.value.exit_code == 1
    assert json.loads((tmp_path / "summary.json").read_text())["why"] == "diverged"


async def test_stop(tmp_path: Path) -> None:
    """A stop from outside drains and saves, and says how to go on."""
    stop = asyncio.Event()
    with pytest.raises(Interrupted, match=r"interrupted, saved; go on with --resume ") as error:
        await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, on_view=Watch(stop.set), stop=stop)
    assert error.value.saved
    assert error.value.run is not None
    assert error.value.run.summary["why"] == "interrupted"
    assert error.value.run.weights


async def test_stop_before_it_began(tmp_path: Path) -> None:
    """A stop while the processes are still starting ends the run, with nothing saved."""
    stop = asyncio.Event()
    stop.set()
    with pytest.raises(Interrupted) as error:
        await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, stop=stop)
    assert psutil.Process().children() == []
    assert error.value.exit_code == 130


async def test_cancelled(tmp_path: Path) -> None:
    """A cancelled run leaves no process behind."""
    began = asyncio.Event()
    task = asyncio.create_task(neurond.run_async("xor", SETTINGS, run_dir=tmp_path, on_view=Watch(began.set)))
    async with asyncio.timeout(DEADLINE_S):
        await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert psutil.Process().children() == []


async def test_inside_a_running_loop(tmp_path: Path) -> None:
    """`run` works where a loop is running already, as in a notebook, and errors come back as they are."""
    assert neurond.run("xor", ["source.epochs=1"], run_dir=tmp_path / "a").summary["why"] == "finished"
    with pytest.raises(neurond.TopologyError, match="did you mean"):
        neurond.run("xorr")


async def _script(*arguments: str) -> asyncio.subprocess.Process:
    """A script that trains, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHER, *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await process.stdout.readline() == b"training\n"
    return process


async def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C in a script that trains drains, saves and raises Interrupted."""
    process = await _script(str(tmp_path))
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert out.decode().startswith("interrupted, saved; go on with --resume")
    assert err == b""
    assert process.returncode == 130


@injects(Place.PROCESSES, Fault.SUPERVISOR_KILLED)
async def test_killed_supervisor(tmp_path: Path, scratch: Path) -> None:
    """After kill -9 of the supervisor every process leaves, and so does every socket and lock."""
    process = await _script(str(tmp_path))
    children = psutil.Process(process.pid).children()
    assert len(children) == 4
    process.kill()
    await process.communicate()
    await comes(lambda: all(gone(c) for c in children) and not list(scratch.rglob("*")), "all is gone")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resume": "nowhere"}, "nowhere is no folder"),
        ({"run_dir": "/dev/null/x"}, "cannot make a run folder: Not a directory"),
    ],
)
async def test_before_anything_is_started(options: dict[str, Any], expected: str) -> None:
    """What cannot be used is refused before a process is started."""
    with pytest.raises(RunError, match=expected):
        await neurond.run_async("xor", **options)


async def test_a_full_disk_costs_rows_and_not_the_run(tmp_path: Path) -> None:
    """Rows that cannot be written are told of once, training goes on, and so do the rows when there is room again."""
    metrics = tmp_path / "run" / "metrics.jsonl"
    stop, at, began = asyncio.Event(), 0, False

    def on_view(view: View) -> None:
        nonlocal at, began
        if not began:
            began = True
            metrics.unlink(missing_ok=True)
            metrics.symlink_to("/dev/full")
        full = sum("No space left on device" in note for note in view.notes)
        assert full <= 1
        if full and not at:
            at = view.stimuli or 1
        elif at and (view.stimuli or 0) > at + 1000 and metrics.is_symlink():
            metrics.unlink()
        elif "rows of figures are written again" in view.notes:
            stop.set()

    with pytest.raises(Interrupted, match="saved"):
        await neurond.run_async("xor", SETTINGS, run_dir=metrics.parent, on_view=on_view, stop=stop)
    assert neurond.open_run(metrics.parent).metrics
