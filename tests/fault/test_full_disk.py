"""A disk that is full while a run trains: told at once, nothing half-saved left, and the run goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

import neurond
from monitor.client import Client
from monitor.view import View
from neurond import journal
from neurond.changes import fingerprint
from neurond.group import GroupMachine
from tests.endless import SETTINGS
from tests.fault.faults import Fault, Place, injects
from tests.supervised import broker_address
from tests.waiting import DEADLINE_S, comes
from topology import checkpoints


@injects(Place.PROCESSES, Fault.FULL_DISK)
@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limit can be set for another process here")
async def test_a_save_that_fails_while_it_trains(tmp_path: Path) -> None:
    """It is among the notes of the view that every display shows; the next save works, from a clean folder."""
    seen: list[View] = []
    stop = asyncio.Event()
    run = asyncio.create_task(neurond.run_async("xor", SETTINGS, run_dir=tmp_path, on_view=seen.append, stop=stop))
    await comes(lambda: seen and seen[-1].stimuli, "the first stimuli")
    lines = {process: process.cmdline() for process in psutil.Process().children()}
    (broker,) = (line for line in lines.values() if "broker" in line)
    (hidden,) = (process for process, line in lines.items() if "hidden" in line)
    async with Client(broker_address(broker)) as client:
        assert (await client.command("save", timeout_s=DEADLINE_S)).data["generation"] == 1
        before = hidden.rlimit(psutil.RLIMIT_FSIZE)
        hidden.rlimit(psutil.RLIMIT_FSIZE, (1, before[1]))  # as if the disk had no room for more
        reply = await client.command("save", timeout_s=DEADLINE_S)
        where = checkpoints.folder(tmp_path)
        assert reply.error == f"hidden: File too large ({where / '2'})"
        note = f"broker failed: generation 2 was not saved: {reply.error}"
        await comes(lambda: note in seen[-1].notes, "a note of it")
        await comes(lambda: not (where / "2").exists(), "the half generation is gone")
        hidden.rlimit(psutil.RLIMIT_FSIZE, before)
        assert (await client.command("save", timeout_s=DEADLINE_S)).data["generation"] == 3
    assert checkpoints.read_manifest(tmp_path).generation == 3
    stop.set()
    with pytest.raises(neurond.Interrupted):
        await run
    said = (tmp_path / "logs" / "broker.log").read_text().splitlines()
    assert "broker: saved generation 3" in said
    assert note.replace("broker failed:", "broker: failed") in said


@injects(Place.PROCESSES, Fault.FULL_DISK)
@pytest.mark.skipif(not hasattr(psutil.Process, "rlimit"), reason="no limit can be set for another process here")
async def test_a_journal_that_cannot_be_written(tmp_path: Path) -> None:
    """Training goes on without it, which is told once; when there is room it is whole again, and that is told."""
    seen: list[View] = []
    stop = asyncio.Event()
    settings = {**SETTINGS, "journal": "20ms"}
    run = asyncio.create_task(neurond.run_async("xor", settings, run_dir=tmp_path, on_view=seen.append, stop=stop))
    await comes(lambda: seen and seen[-1].stimuli, "the first stimuli")
    (hidden,) = (process for process in psutil.Process().children() if "hidden" in process.cmdline())
    before = hidden.rlimit(psutil.RLIMIT_FSIZE)
    hidden.rlimit(psutil.RLIMIT_FSIZE, (300, before[1]))  # enough for its log, and not for its state
    await comes(lambda: "hidden: no journal is kept: File too large" in seen[-1].notes, "a note of it")
    stimuli = seen[-1].stimuli
    await comes(lambda: seen[-1].stimuli > stimuli + 1000, "more training")
    assert len(seen[-1].notes) == 1
    hidden.rlimit(psutil.RLIMIT_FSIZE, before)
    await comes(lambda: "hidden: the journal goes on" in seen[-1].notes, "a note that it goes on")
    plan = neurond.open_run(tmp_path).plan.group("hidden")
    own = fingerprint("hidden", GroupMachine(plan).durable())

    def recovered() -> int:
        found = journal.recover(tmp_path, "hidden", 2, own)
        assert found.arrays is not None
        return int(found.arrays["count"][0])

    first = recovered()
    await comes(lambda: recovered() > first, "what it learned after that")
    stop.set()
    with pytest.raises(neurond.Interrupted):
        await run
    assert seen[-1].total("journal_failed") > 0
    said = (tmp_path / "logs" / "hidden.log").read_text()
    assert said.count("no journal is kept") == said.count("the journal goes on") == 1
    assert not journal.folder(tmp_path).exists()
