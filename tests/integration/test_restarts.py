"""Whole runs whose processes are killed, stopped and broken: what died is started anew, until it dies too often."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

import neurond
from monitor.view import View
from neurond import data, keep
from neurond.errors import ProcessLost
from tests.endless import SETTINGS
from tests.fault.faults import Fault, Place, injects
from tests.supervised import Watch, child
from tests.training import asked, sockets, training
from tests.waiting import DEADLINE_S, comes, gone
from topology.files import INCARNATIONS

ROOT = Path(__file__).parents[2]


@injects(Place.PROCESSES, Fault.KILL_FLOOD, Fault.BROKER_KILLED)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("name", ["hidden", "out", "source", "broker"])
async def test_what_dies_is_started_anew(tmp_path: Path, name: str, number: signal.Signals) -> None:
    """Whichever process dies, however it dies, is started anew, training goes on, and the run says so."""
    async with training(tmp_path) as run:
        victim = child(name)
        victim.send_signal(number)
        how = f"{name} died, " + ("killed by SIGKILL" if number == signal.SIGKILL else "exit code 0")
        await run.comes(lambda: run.noted(f"^{how}; it is started anew$"), "the death is told")
        await run.comes(lambda: run.view and run.view.restarts == 1, "another takes its place")
        assert child(name).pid != victim.pid
        await run.goes_on()
        ended = await run.end()
    assert ended.summary["restarts"] == 1
    assert ended.summary["unheard"] == []


async def test_a_run_that_lost_every_process_once_ends_by_itself(tmp_path: Path) -> None:
    """A run of so many epochs presents each stimulus of them although every one of its processes was killed."""
    names = ["hidden", "broker", "out"]
    epochs = 15

    def on_view(view: View) -> None:
        if names and view.stimuli and view.restarts == 3 - len(names):
            child(names.pop()).kill()

    run = await neurond.run_async("xor", {"source.epochs": epochs}, run_dir=tmp_path, on_view=on_view)
    assert run.summary["stimuli"] == epochs * data.describe("xor").train
    assert run.summary["why"] == "finished"
    assert run.summary["restarts"] == 3


@pytest.mark.parametrize("name", ["hidden", "source"])
async def test_what_hangs_is_killed_and_started_anew(tmp_path: Path, name: str) -> None:
    """A process that stands still is found by its beat, killed, and started anew."""
    async with training(tmp_path) as run:
        victim = child(name)
        victim.suspend()
        note = f"^{name} was killed, no beat for 3 s; it is started anew$"
        await run.comes(lambda: run.noted(note), "it is killed")
        assert gone(victim)
        await run.goes_on()
        assert (await run.end()).summary["restarts"] == 1


async def test_a_broker_that_hangs_is_killed_and_started_anew(tmp_path: Path) -> None:
    """A broker that says nothing for long is killed and started anew, and nobody else is."""
    async with training(tmp_path) as run:
        victim, others = child("broker"), {child(name).pid for name in ("hidden", "out", "source")}
        victim.suspend()
        note = "^broker was killed, it hangs: not a word from it for 5 s; it is started anew$"
        await run.comes(lambda: run.noted(note), "it is killed")
        assert gone(victim)
        await run.goes_on()
        assert {child(name).pid for name in ("hidden", "out", "source")} == others
        assert (await run.end()).summary["restarts"] == 1


async def test_who_is_back_in_time_is_left_alone(tmp_path: Path) -> None:
    """A process that was silent, and beats again before it is killed, is neither killed nor started anew."""
    async with training(tmp_path) as run:
        victim = child("hidden")
        victim.suspend()
        await run.comes(lambda: run.noted("^hidden lost: no beat for 3 s$"), "it is missed")
        victim.resume()
        await run.goes_on()
        assert child("hidden").pid == victim.pid
        assert (await run.end()).summary["restarts"] == 0


async def test_a_time_limit_outlives_a_broker(tmp_path: Path) -> None:
    """The time of a run is counted from its beginning, whatever becomes of its broker meanwhile."""
    watch = Watch(lambda: child("broker").kill())
    run = await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, for_s=3.0, on_view=watch)
    assert watch.acted_at is not None
    assert time.monotonic() - watch.acted_at < 8.0
    assert run.summary["why"] == "stopped"
    assert run.summary["restarts"] == 1


async def test_a_stop_outlives_a_broker(tmp_path: Path) -> None:
    """A stop that was asked of a broker that dies is asked again of the next, and all of it is saved."""
    async with training(tmp_path) as run:
        source = child("source")
        source.suspend()  # so that the draining is not over at once
        run.stop.set()
        log = tmp_path / "logs" / "broker.log"
        await run.comes(lambda: "asked to stop" in log.read_text(), "the broker has been asked")
        child("broker").kill()
        await run.comes(lambda: log.read_text().count("waiting for") == 2, "another broker")
        source.resume()
        ended = await run.end()
    assert ended.summary["restarts"] == 1
    assert ended.summary["generation"] == 1


@pytest.mark.parametrize("name", ["hidden", "source"])
async def test_a_death_while_it_drains(tmp_path: Path, name: str) -> None:
    """A process that dies while the run is drained and saved is started anew for that, and all of it is saved."""
    async with training(tmp_path) as run:
        victim = child(name)
        victim.suspend()
        run.stop.set()
        log = tmp_path / "logs" / "broker.log"
        await run.comes(lambda: "asked to stop" in log.read_text(), "the broker has been asked")
        victim.kill()
        ended = await run.end()
    assert ended.summary["restarts"] == 1
    assert ended.summary["generation"] > 0
    assert ended.weights


async def test_a_goal_is_checked_again(tmp_path: Path) -> None:
    """A goal that is being checked when the source dies is checked again by the next source."""
    killed: list[psutil.Process] = []

    def on_view(view: View) -> None:
        if not killed and any(line.state == "paused" for line in view.lines()):
            killed.append(child("source"))
            killed[0].kill()

    run = await neurond.run_async("xor", SETTINGS, run_dir=tmp_path, until="loss<=0.5", on_view=on_view)
    assert run.summary["reached"] is True


@injects(Place.PROCESSES, Fault.CRASH_LOOP, Fault.BAD_CHECKPOINT)
async def test_who_dies_at_each_start_is_given_up(tmp_path: Path) -> None:
    """A process that can never bind its inbox again ends the run, after its restarts, with 5 and its reason."""
    async with training(tmp_path, restarts=3) as run:
        lock = sockets() / "hidden.lock"
        lock.unlink()
        lock.mkdir()  # whoever opens it next cannot
        child("hidden").kill()
        with pytest.raises(ProcessLost, match=r"process 'hidden' was lost: exit code 2, cannot use .*") as error:
            await run.comes(lambda: False, "the end")
    assert error.value.exit_code == 5
    assert any("Is a directory" in line for line in error.value.lines)
    anew = [re.search("it is started anew(.*)", note) for note in run.notes]
    assert [match[1] for match in anew if match] == ["", " in 0.25 s", " in 0.5 s"]
    assert psutil.Process().children() == []


STOPS_ITSELF = """
import os, pathlib, signal, sys
times = pathlib.Path(__file__).with_name("times")
if "hidden" in sys.orig_argv and times.exists():
    left = int(times.read_text()) - 1
    times.write_text(str(left)) if left else times.unlink()
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.parametrize("times", [1, 2])
async def test_who_hangs_while_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """A process that was started anew and does not register gets one more start, and is given up the second time."""
    hook = tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(STOPS_ITSELF)
    monkeypatch.setenv("PYTHONPATH", str(hook))
    async with training(tmp_path / "run") as run:
        monkeypatch.setattr(keep, "START_S", 2.0)
        (hook / "times").write_text(str(times))
        child("hidden").kill()
        note = "^hidden was killed, it did not register within 2 s; it is started anew in 0.25 s$"
        await run.comes(lambda: run.noted(note), "it is killed")
        if times == 1:
            await run.goes_on()
            assert (await run.end()).summary["restarts"] == 1
        else:
            with pytest.raises(ProcessLost, match="process 'hidden' was lost: it did not register within 2 s"):
                await run.comes(lambda: False, "the end")
    assert psutil.Process().children() == []


@injects(Place.PROCESSES, Fault.CRASH_LOOP)
async def test_a_broker_that_dies_at_each_start_is_given_up(tmp_path: Path) -> None:
    """A broker that always finds its manifest damaged ends the run, after its restarts, with 5 and its reason."""
    async with training(tmp_path, restarts=2) as run:
        await asked("save")
        (tmp_path / "checkpoints" / "manifest.json").write_text("{")
        child("broker").kill()
        with pytest.raises(ProcessLost, match=r"(?s)process 'broker' was lost: exit code 1.*manifest.json") as error:
            await run.comes(lambda: False, "the end")
    assert error.value.exit_code == 5
    assert psutil.Process().children() == []


SUPERVISOR = """
import neurond, sys
neurond.run("xor", {"source.epochs": 100000}, run_dir=sys.argv[1], on_view=lambda v: v.stimuli and print(flush=True))
"""


@injects(Place.PROCESSES, Fault.SUPERVISOR_KILLED, Fault.STOP)
async def test_what_is_stopped_does_not_outlive_its_supervisor(tmp_path: Path, scratch: Path) -> None:
    """After kill -9 of the supervisor a group that is stopped is gone within two seconds, and so is every socket."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SUPERVISOR, str(tmp_path),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(DEADLINE_S):
        assert await process.stdout.readline() == b"\n"
    children = psutil.Process(process.pid).children()
    assert len(children) == 4
    (stopped,) = (c for c in children if "hidden" in c.cmdline())
    stopped.suspend()
    await comes(lambda: stopped.status() == psutil.STATUS_STOPPED, "it is stopped")
    killed_at = time.monotonic()
    process.kill()
    await comes(lambda: all(gone(c) for c in children), "all are gone")
    assert time.monotonic() - killed_at < 2.0
    await process.communicate()
    assert list(scratch.rglob("*")) == []


@injects(Place.PROCESSES, Fault.KILL_SAVING)
@pytest.mark.parametrize("name", ["source", "broker"])
async def test_who_dies_when_all_is_saved_costs_no_figure(tmp_path: Path, name: str) -> None:
    """A run whose source or broker is killed while it leaves has the figures of its last checkpoint, all of them."""
    log, killed = tmp_path / "logs" / "broker.log", threading.Event()

    def kill_it() -> None:
        """As soon as the broker has told everybody to leave: beside the run, which is busy hearing of it."""
        while "broker: leaving" not in (log.read_text() if log.exists() else ""):
            time.sleep(0.0005)
        with contextlib.suppress(AssertionError, psutil.NoSuchProcess):  # it was faster
            child(name).kill()
        killed.set()

    watching = asyncio.create_task(asyncio.to_thread(kill_it))
    run = await neurond.run_async("xor", {"source.epochs": 6}, run_dir=tmp_path)
    await watching
    assert killed.is_set()
    assert (run.summary["why"], run.summary["stimuli"]) == ("finished", 6 * data.describe("xor").train)
    assert not (tmp_path / INCARNATIONS).exists()
