"""Those who have no key, or too much to say, while a network trains: it comes to its end, and they are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.endless import ENDLESS
from tests.fault.faults import Fault, Place, injects
from tests.hammer import doors, hammering
from tests.keyed import Intruder, network, pair_of
from tests.ports import free_ports
from tests.waiting import DEADLINE_S, comes
from topology import address, sockets, wire
from topology.keys import Keyring
from topology.plan import BROKER, SOURCE

KNOCKS = 4  # of each process, that were in vain
HELLOS = 20_000
STIMULI = 15_000  # ten epochs


@injects(Place.PROCESSES, Fault.WRONG_KEYS)
@pytest.mark.timeout(180)
async def test_strangers_hammer_at_every_door(tmp_path: Path) -> None:
    """Three strangers that connect without end cost a run no stimulus and no process; each process counts its own."""
    with network(tmp_path, free_ports(), ENDLESS, topology="digits") as whole:
        at = await doors(whole)
        names = [name for name in whole.processes if name != BROKER]

        async def turned_away() -> bool:
            denied = [await whole.counter(name, "denied") for name in names]
            return min(denied) >= KNOCKS and (await whole.status())["denied"] >= KNOCKS

        async def has_learned() -> bool:
            return await whole.counter(SOURCE, "confirmed") >= STIMULI

        async def at_rest() -> bool:
            return await whole.gauge(SOURCE, "in_flight") == 0

        with hammering(at):
            await comes(turned_away, "each process has turned some away")
            await comes(has_learned, "it trains under their knocking")
            async with whole.client() as client:
                assert (await client.command("pause", timeout_s=DEADLINE_S)).ok
            await comes(at_rest, "everything under way arrives")
            confirmed = await whole.counter(SOURCE, "confirmed")
            assert confirmed == await whole.counter(SOURCE, "presented"), "each stimulus counts once"
            said = await whole.stopped()
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["why"] == "stopped"
    assert summary["stimuli"] == confirmed
    assert summary["denied"] >= KNOCKS * len(names)
    assert summary["impostors"] == summary["gaps"] == summary["wire_errors"] == 0
    assert all("connections denied so far" in words for words in said.values())
    assert summary["test_accuracy"] > 0.9


async def test_a_flood_of_hellos_from_one_key(tmp_path: Path) -> None:
    """A process that says hello without end is answered so often and no more; the beats of the others are heard."""
    with network(tmp_path, free_ports(), ENDLESS) as whole:
        await whole.runs()
        broker = Keyring(whole.keys, "broker").public
        hello = wire.pack(wire.Hello("source", "source", 1, "tcp://127.0.0.1:1"))
        with Intruder(sockets.CONTROL_LINE, address.control(whole.at), broker, pair_of(whole.keys, "out")) as out:
            for _ in range(HELLOS):
                out.socket.send(hello)  # waits where the broker takes no more for the moment

            async def counted() -> bool:
                return bool((await whole.status())["impostors"] >= HELLOS)

            await comes(counted, "all of them are counted")
            status = await whole.status()
            answers = 0
            while out.socket.poll(0):
                out.socket.recv()
                answers += 1
            assert 0 < answers < HELLOS / 10
        assert status["state"] == "running"
        assert all(process["alive"] for process in status["processes"].values())
        assert await whole.counter("hidden", "gaps") == 0
        await whole.stopped()
