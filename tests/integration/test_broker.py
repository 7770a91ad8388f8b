"""The life of a run at the broker, over real sockets, with peers that speak the real protocol."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path

import pytest

from broker.server import LAST_WORDS_S
from monitor.client import Client
from tests.peers import broker, listening, network, peers
from tests.waiting import DEADLINE_S, comes
from topology import wire
from topology.address import BrokerUnreachable
from topology.plan import Plan


async def test_life_of_a_run(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A run is registered, heard, saved and stopped over real sockets, and leaves exit code 0 and a manifest."""
    with broker(run_dir, sockets) as child:
        async with listening(sockets) as (client, heard), network(sockets, plan) as everyone:
            source = everyone["source"]
            (welcome,) = source.of(wire.Welcome)
            assert (welcome.incarnation, welcome.run_dir, welcome.resume) == (1, str(run_dir), False)
            assert welcome.plan["readout"] == "out"
            (roster,) = source.of(wire.Roster)
            assert roster.complete
            assert roster.peers == {n: (f"ipc:///nowhere/{n}", 1) for n in plan.processes}

            await source.report(source.telemetry(seq=1, confirmed=12))
            await comes(lambda: heard.telemetry("source"), "telemetry of the source")
            assert heard.telemetry("source")[0].counters == {"confirmed": 12}

            saved = await client.command("save")
            assert saved.ok
            assert saved.data["generation"] == 1
            manifest = json.loads((run_dir / "checkpoints" / "manifest.json").read_text())
            assert manifest["generation"] == 1
            assert manifest["files"]["out"] == {"file": "1/out.safetensors", "sha256": "0"}

            assert (await client.command("stop")).ok
            await comes(lambda: heard.events("ended"), "the end of the run")
            (ended,) = heard.events("ended")
            assert ended.data["why"] == "stopped"
            assert ended.data["generation"] == 2
            assert sorted(t["name"] for t in ended.data["telemetry"]) == sorted(plan.processes)
            assert source.told() == ["save", "drain", "save", "exit"]
            assert await child.code() == 0


async def test_what_nobody_takes_of_the_feed_is_counted(
    run_dir: Path, sockets: str, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client keeps the latest of what its user does not take; what went is counted, and nothing else is."""
    monkeypatch.setattr("monitor.client.QUEUE", 2)
    async with Client(sockets) as client:
        client.subscribe()
        with pytest.raises(BrokerUnreachable):
            await client.command("status", timeout_s=0.2)  # there is no broker yet: the question is none of the feed
        assert client.drops == 0
        with broker(run_dir, sockets):
            async with network(sockets, plan):
                await comes(lambda: client.drops > 0, "more than two events")


async def test_a_save_that_one_refuses(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A save counts only when every process saved; the manifest before stays as it is."""
    with broker(run_dir, sockets):
        async with Client(sockets) as client, network(sockets, plan) as everyone:
            assert (await client.command("save")).ok
            before = (run_dir / "checkpoints" / "manifest.json").read_bytes()
            everyone["out"].refuse["save"] = "no space left"
            reply = await client.command("save")
            assert not reply.ok
            assert reply.error == "out: no space left"
            assert (run_dir / "checkpoints" / "manifest.json").read_bytes() == before


async def test_latecomers_are_brought_up_to_date(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A new subscriber gets the past events once each and the last telemetry; the first one no event twice."""
    with broker(run_dir, sockets):
        async with listening(sockets) as (_, first), network(sockets, plan) as everyone:
            peer = everyone["source"]
            for seq in range(3):
                await peer.report(peer.telemetry(seq=seq))
            await comes(lambda: [t.seq for t in first.telemetry("source")[-1:]] == [2], "the last telemetry")
            async with listening(sockets) as (_, late):
                await peer.send(wire.Event("source", "evaluated", {"test_accuracy": 1.0}))
                await comes(lambda: late.events("evaluated") and first.events("evaluated"), "the evaluation, at both")
                for heard in (first, late):
                    assert len(heard.events("joined")) == len(plan.processes)
                    assert len(heard.events("running")) == 1
                    assert len(heard.events("evaluated")) == 1
                assert [t.seq for t in late.telemetry("source")] == [2]


async def test_a_run_that_ended_before_anybody_listened(run_dir: Path, sockets: str, plan: Plan) -> None:
    """Whoever comes just after the end still hears how it ended, and the broker leaves all the same."""
    with broker(run_dir, sockets) as child:
        async with network(sockets, plan) as everyone:
            await everyone["out"].send(wire.Event("out", "diverged", {"what": "x", "hint": "y"}))
            await comes(lambda: all("exit" in p.told() for p in everyone.values()), "everybody is told to exit")
            with pytest.raises(subprocess.TimeoutExpired):  # once everybody has heard it would not stay so long
                await asyncio.to_thread(child.process.wait, 2 * LAST_WORDS_S)
            async with listening(sockets) as (_, heard):
                await comes(lambda: heard.events("ended"), "the end of the run")
            assert await child.code() == 0


async def test_garbage_is_counted_and_harmless(run_dir: Path, sockets: str, plan: Plan) -> None:
    """Bytes that are no message, on any socket, are counted; the network and its commands go on."""
    with broker(run_dir, sockets):
        async with Client(sockets) as client, network(sockets, plan) as everyone:
            peer = everyone["out"]
            for junk in (b"", b"\xc1", b"\x00" * 1000, os.urandom(100)):
                await peer.dealer.send(junk)
                await peer.push.send(junk)
            await peer.dealer.send_multipart([b"two", b"frames"])
            await peer.push.send_multipart([b"two", b"frames"])
            await peer.send(wire.Refused("brokers are not told this"))
            await peer.send(wire.Event("hidden", "diverged"))  # in another's name
            await peer.push.send(wire.pack(wire.Beat(1)))

            async def errors() -> int:
                return int((await client.command("status")).data["wire_errors"])

            async def all_counted() -> bool:
                return await errors() >= 13

            await comes(all_counted, "every piece of garbage is counted")
            assert await errors() == 13
            assert (await client.command("pause")).ok


async def test_a_name_is_held_once(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A second live process under a name is refused with the pid of the first, who was asked, and goes on."""
    with broker(run_dir, sockets):
        async with network(sockets, plan) as everyone, peers(sockets) as make, Client(sockets) as client:
            second = make("hidden")
            await second.hello(pid=4711)
            await comes(lambda: second.of(wire.Refused), "a refusal")
            assert second.of(wire.Refused)[0].why.startswith("name 'hidden' is taken by pid 2")
            stranger = make("h9")
            await stranger.hello()
            await comes(lambda: stranger.of(wire.Refused), "a refusal")
            assert "no process 'h9'" in stranger.of(wire.Refused)[0].why
            assert (await client.command("status", "hidden")).ok
            assert everyone["hidden"].told() == ["status", "status"]  # the broker's question, and the client's


async def test_a_silent_process_is_lost_and_comes_back(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A process without a beat is announced as lost; when it beats again it is in the roster again."""
    with broker(run_dir, sockets, "--beat-timeout", "0.4"):
        async with listening(sockets) as (_, heard), network(sockets, plan) as everyone:
            peer = everyone["hidden"]
            await comes(lambda: heard.events("running") and peer.beaten, "a running network and a beat")
            peer.beats = False
            await comes(lambda: heard.events("lost"), "the loss of a process")
            assert heard.events("lost")[0].data == {"process": "hidden", "why": "no beat for 0.4 s"}
            rosters = len(peer.of(wire.Roster))
            peer.beats = True
            await comes(lambda: len(peer.of(wire.Roster)) > rosters, "a new roster")
            assert peer.of(wire.Roster)[-1].peers["hidden"] == ("ipc:///nowhere/hidden", 1)


async def test_a_successor_resumes_from_the_checkpoint(run_dir: Path, sockets: str, plan: Plan) -> None:
    """A process that takes a lost one's place has the next incarnation and is told to load the checkpoint."""
    with broker(run_dir, sockets, "--beat-timeout", "0.4"):
        async with network(sockets, plan) as everyone, peers(sockets) as make, listening(sockets) as (c, heard):
            assert (await c.command("save")).ok
            await comes(lambda: everyone["hidden"].beaten, "a beat")
            everyone["hidden"].beats = False
            await comes(lambda: heard.events("lost"), "the loss of a process")
            successor = make("hidden")
            await successor.hello(pid=4711)
            await comes(lambda: successor.of(wire.Roster), "the successor's roster")
            (welcome,) = successor.of(wire.Welcome)
            assert (welcome.incarnation, welcome.resume) == (2, True)
            old = everyone["hidden"]
            await successor.report(old.telemetry(incarnation=1, seq=50))
            await successor.report(successor.telemetry(seq=1))
            await comes(lambda: heard.telemetry("hidden"), "telemetry of the successor")
            assert [t.incarnation for t in heard.telemetry("hidden")] == [2]


async def test_a_retry_is_done_once(run_dir: Path, sockets: str, plan: Plan) -> None:
    """The same command id gets the same answer, and the command is carried out once."""
    with broker(run_dir, sockets):
        async with network(sockets, plan) as everyone, peers(sockets) as make:
            client = make("a client")
            for _ in range(3):
                await client.send(wire.Command("x1", "save"))
            await comes(lambda: client.of(wire.Reply), "the first answer")
            await client.send(wire.Command("x1", "save"))
            await comes(lambda: len(client.of(wire.Reply)) == 2, "the second answer")
            assert client.of(wire.Reply)[0] == client.of(wire.Reply)[1]
            assert everyone["hidden"].told() == ["save"]


async def test_a_broker_started_anew(run_dir: Path, sockets: str, plan: Plan) -> None:
    """After kill -9 a new broker takes the stale files over; who lived on keeps its incarnation, clients too."""
    with broker(run_dir, sockets) as first:
        async with listening(sockets) as (client, heard), network(sockets, plan) as everyone:
            assert (await client.command("status")).data["state"] == "running"
            await comes(lambda: heard.events("running"), "a running network")
            first.process.kill()
            await first.code()
            with broker(run_dir, sockets):
                for peer in everyone.values():
                    peer.got.clear()

                async def registered() -> bool:
                    for pid, peer in enumerate(everyone.values(), 1):
                        await peer.hello(pid, incarnation=5)  # again: one may have gone to the dead one
                    return all(p.of(wire.Roster) for p in everyone.values())

                await comes(registered, "everybody is registered anew")
                assert {p.incarnation for p in everyone.values()} == {5}
                status = (await client.command("status", timeout_s=DEADLINE_S)).data
                assert status["state"] == "running"
                await comes(lambda: len(heard.events("running")) == 2, "a running network again")
                await everyone["source"].send(wire.Event("source", "diverged", {"what": "x", "hint": "y"}))
                await comes(lambda: heard.events("ended"), "the end of the run")
                assert heard.events("ended")[0].data["message"] == "x"
