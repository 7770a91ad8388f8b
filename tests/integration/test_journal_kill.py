"""Processes that are killed with signal 9 while a real network trains, and started again by hand."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.client import Client
from neurond import checkpoint, journal
from neurond.changes import contents, fingerprint
from neurond.group import GroupMachine
from tests.command import NEUROND, environment
from tests.endless import ENDLESS
from tests.waiting import DEADLINE_S, comes
from topology import address, checkpoints, wire
from topology.plan import SOURCE, Plan, plan_from_dict

TRAIN = 1438  # training stimuli of digits


class ByHand:
    """A network of digits whose processes are started one by one."""

    def __init__(self, folder: Path, settings: tuple[str, ...], resume: bool) -> None:
        self.folder, self.run_dir = folder, folder / "run"
        self.at = address.of_folder(address.make_folder())
        self.started: list[subprocess.Popen[str]] = []
        self.processes: dict[str, subprocess.Popen[str]] = {}  # the last of each name
        self.events: list[wire.Event] = []
        self.telemetry: dict[str, wire.Telemetry] = {}
        sets = [word for setting in settings for word in ("--set", setting)]
        what = ["--resume", "run"] if resume else ["digits", "--run", "run"]
        self.start("broker", [*NEUROND, "broker", *what, "--address", self.at, *sets])

    def start(self, name: str, command: list[str] | None = None) -> subprocess.Popen[str]:
        """Start a process, or start it again."""
        if command is None:
            role = [SOURCE] if name == SOURCE else ["group", name]
            command = [sys.executable, "-m", "neurond.daemon", *role, "--broker", self.at]
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdout=log, stderr=log, text=True
            )
        self.started.append(self.processes[name])
        return self.processes[name]

    def kill(self, name: str) -> None:
        """Kill a process as nothing can be done about."""
        self.processes[name].kill()
        self.processes[name].wait()

    @property
    def plan(self) -> Plan:
        """The whole plan."""
        return plan_from_dict(json.loads((self.run_dir / "plan.json").read_text()))

    def said(self, name: str) -> str:
        """The log of a process."""
        return (self.folder / f"{name}.log").read_text()

    def of_journal(self, name: str) -> list[dict[str, Any]]:
        """What a process has told of its journal."""
        return [e.data for e in self.events if e.kind == "journal" and e.name == name]

    def confirmed(self) -> int:
        """Training stimuli that count."""
        return self.telemetry[SOURCE].counters["confirmed"] if SOURCE in self.telemetry else 0

    async def listen(self, client: Client) -> None:
        """Keep what is heard."""
        async for item in client.stream():
            if isinstance(item, wire.Event):
                self.events.append(item)
            else:
                self.telemetry[item.name] = item


@asynccontextmanager
async def network(folder: Path, *settings: str, resume: bool = False) -> AsyncIterator[tuple[ByHand, Client]]:
    """A network that trains, and a client of its broker; whatever is left of it at the end is killed."""
    by_hand = ByHand(folder, settings, resume)
    try:
        async with Client(by_hand.at) as client:
            listener = asyncio.create_task(by_hand.listen(client))
            try:
                await comes((by_hand.run_dir / "plan.json").exists, "the plan")
                for name in by_hand.plan.processes:
                    by_hand.start(name)
                await comes(lambda: by_hand.confirmed() > 0, "the first stimuli")
                yield by_hand, client
            finally:
                listener.cancel()
                await asyncio.gather(listener, return_exceptions=True)
    finally:
        for process in by_hand.started:
            process.kill()
            process.wait()
        shutil.rmtree(by_hand.at.removeprefix("ipc://"), ignore_errors=True)


def held(plan: Plan, run_dir: Path, name: str) -> dict[str, np.ndarray]:
    """What the journal of the first incarnation of a group holds."""
    own = fingerprint(name, GroupMachine(plan.group(name)).durable())
    found = journal.recover(run_dir, name, 1, own)
    assert found.arrays is not None
    return found.arrays


async def test_killed_at_rest(tmp_path: Path) -> None:
    """A group comes back from kill -9 with the very weights that it had learned, to the bit."""
    async with network(tmp_path, ENDLESS, "journal=20ms") as (by_hand, client):
        await comes(lambda: by_hand.confirmed() > 3000, "some learning")
        assert (await client.command("pause", timeout_s=DEADLINE_S)).ok
        await comes(lambda: by_hand.telemetry[SOURCE].gauges["in_flight"] == 0, "rest")
        first = (await client.command("save", timeout_s=DEADLINE_S)).data["generation"]
        learned = weights(by_hand.run_dir, "h1")
        plan = by_hand.plan
        await comes(
            lambda: np.array_equal(held(plan, by_hand.run_dir, "h1")["w.source"][:, :-1], learned), "the last write"
        )

        by_hand.kill("h1")
        by_hand.start("h1")
        await comes(lambda: by_hand.of_journal("h1"), "a word of the journal")
        assert by_hand.of_journal("h1")[0]["why"] == "goes on from the journal of incarnation 1"
        assert "h1: goes on from the journal of incarnation 1" in by_hand.said("h1")
        await comes(lambda: _saved(client, first), "a checkpoint of all")
        assert np.array_equal(weights(by_hand.run_dir, "h1"), learned)
        fresh = GroupMachine(by_hand.plan.group("h1")).durable()["w.source"]
        assert not np.array_equal(learned, fresh[:, :-1])

        before = by_hand.confirmed()
        assert (await client.command("resume", timeout_s=DEADLINE_S)).ok
        await comes(lambda: by_hand.confirmed() > before + 1000, "more learning")


async def _saved(client: Client, after: int) -> bool:
    reply = await client.command("save", timeout_s=DEADLINE_S)
    return reply.ok and reply.data["generation"] > after


def weights(run_dir: Path, name: str) -> np.ndarray:
    """The weights that the last checkpoint has of a group that the source feeds."""
    return checkpoint.read(run_dir, checkpoints.read_manifest(run_dir), name)["w.source"]


@pytest.mark.parametrize("name", ["h1", "out", SOURCE])
async def test_killed_in_mid_run(tmp_path: Path, name: str) -> None:
    """The next process begins with what the journal held; the run ends well, and every stimulus counts once."""
    async with network(tmp_path, "source.epochs=25", "journal=50ms") as (by_hand, _):
        await comes(lambda: by_hand.confirmed() > 6000, "some learning")
        by_hand.kill(name)
        folder = journal.folder(by_hand.run_dir)
        kept = shutil.copytree(folder, tmp_path / "kept" / "journal")
        assert [path.name for path in kept.glob(f"{name}.*")]
        by_hand.start(name)
        await comes(lambda: by_hand.of_journal(name), "a word of the journal")
        assert by_hand.of_journal(name)[0]["why"] == "goes on from the journal of incarnation 1"
        if name != SOURCE:
            before = held(by_hand.plan, kept.parent, name)
            begun = await comes(lambda: _first(folder / f"{name}.2.1.journal"), "the next journal")
            assert {k: a.tobytes() for k, a in begun.items()} == {k: a.tobytes() for k, a in before.items()}
        await comes(lambda: by_hand.processes["broker"].poll() is not None, "the end")
        assert by_hand.processes["broker"].returncode == 0, by_hand.said("broker")
        summary = json.loads((by_hand.run_dir / "summary.json").read_text())
        ended = await comes(lambda: [e for e in by_hand.events if e.kind == "ended"], "its last word")
        (source,) = (t for t in ended[0].data["telemetry"] if t["name"] == SOURCE)
        assert source["counters"]["confirmed"] == 25 * TRAIN
        assert summary["stimuli"] == 25 * TRAIN
        assert summary["test_accuracy"] > 0.93
        for process in by_hand.processes.values():
            assert process.wait(DEADLINE_S) == 0
        assert not folder.exists()


async def test_resumed(tmp_path: Path) -> None:
    """A run of which everything was killed is resumed from its checkpoint, whatever the journals held later."""
    async with network(tmp_path, "source.epochs=1000", "journal=20ms") as (by_hand, client):
        await comes(lambda: by_hand.confirmed() > 2000, "some learning")
        assert (await client.command("save", timeout_s=DEADLINE_S)).ok
        before = by_hand.confirmed()
        await comes(lambda: by_hand.confirmed() > before + 4000, "more learning")
        plan, run_dir = by_hand.plan, by_hand.run_dir
    saved = weights(run_dir, "h1")
    assert not np.array_equal(held(plan, run_dir, "h1")["w.source"][:, :-1], saved)
    async with network(tmp_path, resume=True) as (by_hand, _):
        path = journal.folder(run_dir) / "h1.1.1.journal"
        await comes(
            lambda: (first := _first(path)) and np.array_equal(first["w.source"][:, :-1], saved), "a new journal"
        )
        assert [e for e in by_hand.events if e.kind == "journal"] == []


async def test_taken_for_dead(tmp_path: Path) -> None:
    """A group that stood still and was replaced wakes up, has no say any more, and leaves the new journal alone."""
    async with network(tmp_path, "source.epochs=25", "journal=20ms") as (by_hand, _):
        await comes(lambda: by_hand.confirmed() > 6000, "some learning")
        old = by_hand.processes["h1"]
        old.send_signal(signal.SIGSTOP)
        command = [sys.executable, "-m", "neurond.daemon", "group", "h1", "--broker", by_hand.at]
        by_hand.start("h1", [*command, "--bind", f"{by_hand.at}again"])  # the old one holds the usual place
        await comes(lambda: by_hand.of_journal("h1"), "a word of the journal")
        assert by_hand.of_journal("h1")[0]["why"] == "goes on from the journal of incarnation 1"
        before = by_hand.confirmed()
        await comes(lambda: by_hand.confirmed() > before, "learning goes on")
        old.send_signal(signal.SIGCONT)
        await comes(lambda: old.poll() is not None, "the end of the old one")
        assert old.returncode == 1
        assert "Traceback" not in by_hand.said("h1")
        names = [path.name for path in journal.folder(by_hand.run_dir).glob("h1.*")]
        assert names
        assert all(name.startswith("h1.2.") for name in names)
        await comes(lambda: by_hand.processes["broker"].poll() is not None, "the end")
        assert by_hand.processes["broker"].returncode == 0, by_hand.said("broker")
        assert by_hand.processes["h1"].wait(DEADLINE_S) == 0


def _first(path: Path) -> dict[str, np.ndarray] | None:
    """The whole state that a file begins with, once it is there."""
    try:
        first = contents(path.read_bytes()).first
    except FileNotFoundError:
        return None
    assert first is not None
    return {change.name: change.values for change in first[1]}
