"""Real processes over ipc, killed, stopped and starved while they train; each history is checked as a whole."""

from __future__ import annotations

import asyncio
import json
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest
import zmq

from neurond import journal
from tests.fault.faults import Fault, Place, injects
from tests.fault.running import running, train_size
from tests.supervised import broker_address, child
from topology import address, checkpoints, wire
from topology.plan import SOURCE
from topology.sockets import MAX_FRAME, MAX_MESSAGE

GROUPS = ["h1", "h2", "out"]
EVERYBODY = [SOURCE, *GROUPS, "broker"]
FULL = pytest.mark.faults
SOME = [pytest.param(name, marks=[] if name == "h1" else [FULL]) for name in EVERYBODY]
HUNG_S = 20.0
"""Seconds after which a process that hangs has been found, killed and replaced, on however busy a machine."""
pytestmark = pytest.mark.timeout(180)


@injects(Place.PROCESSES, Fault.KILL_FLOOD, Fault.BROKER_KILLED, Fault.STALE_SOCKET)
@pytest.mark.parametrize("name", SOME)
async def test_killed_in_full_flood(tmp_path: Path, name: str) -> None:
    """Whoever is killed, three times in full flood, is started anew, and the run counts each stimulus once."""
    epochs = 60
    async with running(tmp_path, epochs=epochs) as run:
        for _ in range(3):
            victim = child(name)
            await run.goes_on()
            victim.kill()
            run.over(f"kill -9 of {name}")
            await run.successor(name, victim.pid)
            await run.goes_on()
        ended = await run.to_its_end(epochs * train_size("digits"))
    assert ended.summary["restarts"] == 3
    assert ended.summary["test_accuracy"] > 0.93


@injects(Place.PROCESSES, Fault.KILL_IDLE)
@FULL
@pytest.mark.parametrize("name", EVERYBODY)
async def test_killed_at_rest(tmp_path: Path, name: str) -> None:
    """Whoever is killed while nothing is under way is started anew, and training goes on where it stood."""
    async with running(tmp_path) as run:
        await run.goes_on()
        await run.ask("pause")
        await run.comes(lambda: run.history.last()[SOURCE].gauges["in_flight"] == 0, "rest")
        victim = child(name)
        victim.kill()
        await run.successor(name, victim.pid)
        await run.ask("resume")
        run.over(f"kill -9 of {name} at rest")
        await run.goes_on()
        await run.end()


@injects(Place.PROCESSES, Fault.KILL_SAVING)
@FULL
@pytest.mark.parametrize("name", EVERYBODY)
async def test_killed_in_mid_checkpoint(tmp_path: Path, name: str) -> None:
    """A checkpoint during which somebody dies is whole or none; the one before it stays, and the next one works."""
    async with running(tmp_path) as run:
        first = (await run.ask("save")).data["generation"]
        for _ in range(3):
            victim = child(name)
            await run.goes_on()
            saving = asyncio.create_task(run.client.command("save", timeout_s=20.0))
            folder = checkpoints.folder(tmp_path) / str(first + 1)
            await run.comes(partial(_begun, folder, saving), "a save")
            victim.kill()
            run.over(f"kill -9 of {name} in a checkpoint")
            await run.successor(name, victim.pid)
            await asyncio.gather(saving, return_exceptions=True)
            manifest = checkpoints.read_manifest(tmp_path)
            assert manifest.generation >= first
            await run.goes_on()
            first = max(first, (await run.ask("save")).data["generation"])
        ended = await run.end()
    assert ended.weights


def _begun(folder: Path, saving: asyncio.Task[wire.Reply]) -> bool:
    return folder.exists() or saving.done()


@injects(Place.PROCESSES, Fault.STOP)
@FULL
@pytest.mark.parametrize("name", EVERYBODY)
async def test_stopped_for_too_long(tmp_path: Path, name: str) -> None:
    """Who is stopped for longer than it may be silent is killed and replaced; for less, it is as if nothing was."""
    async with running(tmp_path) as run:
        victim = child(name)
        victim.suspend()
        await asyncio.sleep(1.0)
        victim.resume()
        run.over(f"SIGSTOP of {name} for a second")
        await run.goes_on()
        assert child(name).pid == victim.pid
        victim.suspend()
        await run.successor(name, victim.pid)
        run.over(f"SIGSTOP of {name} for long")
        await run.goes_on()
        ended = await run.end()
    assert ended.summary["restarts"] == 1


SPINS = """
import signal
def spin(*_):
    while True:
        pass
signal.signal(signal.SIGUSR1, spin)
"""


@injects(Place.PROCESSES, Fault.BUSY_LOOP)
@FULL
@pytest.mark.parametrize("name", EVERYBODY)
async def test_a_loop_that_spins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A process that is busy and does nothing is found by its beat, though its sockets live, and is replaced."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SPINS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    async with running(tmp_path / "run") as run:
        await run.goes_on()
        victim = child(name)
        victim.send_signal(signal.SIGUSR1)
        run.over(f"a busy loop in {name}", HUNG_S)
        await run.successor(name, victim.pid)
        await run.goes_on()
        ended = await run.end()
    assert ended.summary["restarts"] == 1


@injects(Place.PROCESSES, Fault.OVERSIZED)
@FULL
async def test_frames_that_are_too_large(tmp_path: Path) -> None:
    """A frame larger than any may be ends its sender's connection before it takes memory, and nothing else."""
    async with running(tmp_path) as run:
        at = broker_address(child("broker").cmdline())
        folder = address.folder(at)
        assert folder is not None
        targets = {
            "h1": (zmq.PUSH, address.in_folder(folder, "h1"), MAX_FRAME + 1),
            "broker": (zmq.DEALER, address.control(at), MAX_MESSAGE + 1),
        }
        for name, (kind, endpoint, size) in targets.items():
            before = child(name).memory_info().rss
            with zmq.Context() as context, context.socket(kind) as stranger:
                stranger.setsockopt(zmq.LINGER, 0)
                with stranger.get_monitor_socket(zmq.EVENT_DISCONNECTED) as monitor:
                    stranger.connect(endpoint)
                    stranger.send(bytes(size))
                    assert await asyncio.to_thread(monitor.poll, 10_000), f"{name} ends the connection"
                    stranger.disable_monitor()
            assert child(name).memory_info().rss < before + (16 << 20)
        run.over("frames that are too large")
        await run.goes_on()
        assert (await run.end()).summary["restarts"] == 0


@injects(Place.PROCESSES, Fault.BAD_JOURNAL)
@FULL
@pytest.mark.parametrize("damage", ["cut", "turned", "emptied"])
async def test_a_journal_that_is_damaged(tmp_path: Path, damage: str) -> None:
    """A group whose journal was damaged when it died goes on from what is left of it, or from the checkpoint."""
    async with running(tmp_path) as run:
        await run.ask("save")
        await run.goes_on(3000)
        victim = child("h1")
        victim.suspend()  # so that nobody writes while we do
        for path in journal.folder(tmp_path).glob("h1.*"):
            content = bytearray(path.read_bytes())
            if damage == "cut":
                del content[len(content) * 2 // 3 :]
            elif damage == "turned":
                content[len(content) // 2] ^= 0xFF
            else:
                content.clear()
            path.write_bytes(content)
        victim.kill()
        run.over("a damaged journal")
        await run.successor("h1", victim.pid)
        await run.goes_on()
        assert run.history.events("journal"), "it is told"
        ended = await run.end()
    assert ended.summary["test_accuracy"] > 0.8


@injects(Place.PROCESSES, Fault.FEW_FILES)
@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limit can be set for another process here")
@FULL
@pytest.mark.parametrize("name", ["h1", "out", "broker"])
async def test_no_more_files_can_be_opened(tmp_path: Path, name: str) -> None:
    """A process that can open no more files when its peers come back may die of it; the run does not."""
    async with running(tmp_path) as run:
        starved = child(name)
        starved.rlimit(psutil.RLIMIT_NOFILE, (starved.num_fds(), starved.rlimit(psutil.RLIMIT_NOFILE)[1]))
        victim = child("h2")
        victim.kill()
        await run.successor("h2", victim.pid)
        await asyncio.sleep(2.0)  # of the fault: connections are tried again and again
        for process in psutil.Process().children():
            if process.pid == starved.pid:
                process.rlimit(psutil.RLIMIT_NOFILE, (1024, starved.rlimit(psutil.RLIMIT_NOFILE)[1]))
        run.over(f"a file limit at {name}")
        await run.goes_on()
        await run.end()


@injects(Place.PROCESSES, Fault.SLOW_MONITOR)
@FULL
async def test_a_monitor_that_does_not_read(tmp_path: Path) -> None:
    """A monitor that is connected and never reads costs itself its figures, and nobody else anything."""
    async with running(tmp_path) as run:
        command = child("broker").cmdline()
        with zmq.Context() as context, context.socket(zmq.SUB) as monitor:
            monitor.setsockopt(zmq.RCVHWM, 1)
            monitor.setsockopt(zmq.LINGER, 0)
            monitor.setsockopt(zmq.SUBSCRIBE, b"")
            monitor.connect(address.telemetry_out(broker_address(command)))
            before = child("broker").memory_info().rss
            await run.goes_on(20_000)
            run.over("a monitor that does not read")
            await run.goes_on(20_000)
            assert child("broker").memory_info().rss < before + (8 << 20)
        ended = await run.end()
    assert ended.summary["restarts"] == 0
    assert json.loads((tmp_path / "summary.json").read_text())["unheard"] == []
