"""Whole runs whose processes are told, while they train, to do otherwise, to break and to be started anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import neurond
from monitor.client import Client
from monitor.process import Process
from tests.byhand import by_hand
from tests.endless import ENDLESS
from tests.supervised import child
from tests.training import Training, asked, sockets, training
from tests.waiting import comes
from topology import address
from topology.wire import Reply


def process(run: Training, name: str) -> Process:
    """What the run has heard of a process."""
    assert run.view is not None
    return next(p for p in run.view.processes if p.name == name)


def rows(folder: Path) -> list[dict[str, Any]]:
    """What is put down of settings that were changed."""
    return neurond.open_run(folder).changed_settings


async def refused(verb: str, **args: Any) -> str:
    """Why the broker's run would not do this."""
    async with Client(address.of_folder(sockets())) as client:
        reply: Reply = await client.command(verb, **args)
    assert not reply.ok
    return reply.error


async def change(name: str, key: str, value: float) -> None:
    """Set one setting of a process."""
    assert await asked("set", target=name, settings={key: value}) == {name: {key: value}}


async def test_a_setting_is_told_put_down_and_outlives_process_and_broker(tmp_path: Path) -> None:
    """It holds from then on, also for a successor, and for one that comes when the broker is another too."""
    async with training(tmp_path) as run:
        everybody = await asked("get")
        assert set(everybody) == {"source", "hidden", "out"}
        before = everybody["hidden"]["lr"]
        await change("hidden", "lr", 0.0125)
        await change("source", "window", 3)
        await run.comes(lambda: len(rows(tmp_path)) == 2, "both are put down")
        await run.comes(lambda: process(run, "source").gauges["window"] == 3, "the window is told")
        for victim in ("hidden", "broker", "hidden"):
            restarts = run.view.restarts if run.view else 0
            child(victim).kill()
            await run.comes(lambda n=restarts: run.view and run.view.restarts == n + 1, f"{victim} is replaced")
            await run.goes_on()
            kept = await asked("get", target="hidden")
            assert kept["hidden"]["lr"] == 0.0125
        assert (await asked("get", target="source"))["source"]["window"] == 3
        first, second = rows(tmp_path)
        assert first.pop("t_s") <= second.pop("t_s")
        assert first == {"process": "hidden", "key": "lr", "value": 0.0125, "before": before}
        assert (second["process"], second["key"], second["value"]) == ("source", "window", 3)
        await run.end()


async def test_latency_and_loss_are_injected_while_it_trains(tmp_path: Path) -> None:
    """Frames are late and lost as told, what is missing is counted, and every stimulus counts once all the same."""
    async with training(tmp_path, settings={"source.retry": "300ms"}) as run:
        await change("hidden", "loss.out", 0.05)
        await change("out", "delay.source", 0.02)
        await run.comes(lambda: (process(run, "hidden").count("injected") or 0) > 5, "frames are lost on purpose")
        await run.comes(lambda: process(run, "out").gauges.get("delay_s.source") == 0.02, "the latency is told")
        await run.comes(lambda: (process(run, "out").count("gaps") or 0) > 0, "they are missed")
        await run.comes(lambda: (process(run, "source").count("represented") or 0) > 0, "they are presented again")
        assert process(run, "hidden").gauges["loss.out"] == 0.05
        await change("hidden", "loss.out", 0.0)
        await change("out", "delay.source", 0.0)
        await run.goes_on()
        ended = await run.end()
        assert process(run, "source").count("confirmed") == ended.summary["stimuli"]
        assert ended.summary["restarts"] == 0


async def test_kill_and_restart_are_carried_out_after_the_answer(tmp_path: Path) -> None:
    """Who is told to kill itself is replaced; so is who is told to begin anew, and goes on from all that it knew."""
    async with training(tmp_path) as run:
        first = child("hidden").pid
        assert await asked("kill", target="hidden") == {"hidden": {}}
        await run.comes(lambda: run.noted("^hidden died, killed by SIGKILL"), "it has killed itself")
        await run.comes(lambda: run.view and run.view.restarts == 1, "another takes its place")
        assert child("hidden").pid != first
        await run.goes_on()
        counted = process(run, "out").counters["stimuli"]
        assert await asked("restart", target="out") == {"out": {}}
        await run.comes(lambda: run.view and run.view.restarts == 2, "it begins anew")
        await run.comes(lambda: run.noted("^out: goes on from the journal of incarnation 1$"), "from its journal")
        await run.comes(lambda: process(run, "out").incarnation == 2 and process(run, "out").counters, "it reports")
        assert process(run, "out").counters["stimuli"] >= counted
        await run.goes_on()
        await run.end()


async def test_what_cannot_be_asked_is_refused_in_one_line(tmp_path: Path) -> None:
    """Unknown keys, links and processes are guessed at; a tap of a link shows its next frames."""
    async with training(tmp_path) as run:
        assert await refused("set", target="hidden", settings={"lrr": 1}) == (
            "hidden: no setting 'lrr'; did you mean 'lr'?"
        )
        assert await refused("set", settings={"lr": 1}) == "set needs a process; there are source, hidden, out"
        assert await refused("kill", target="broker") == "no process 'broker'; there are source, hidden, out"
        assert (await refused("tap", target="out", link="hiden -> out")).startswith(
            "out: no link 'hiden -> out'; did"
        )
        tapped = await asked("tap", target="hidden", link="hidden -> out", n=3)
        frames = tapped["hidden"]["frames"]
        assert [frame["kind"] for frame in frames] == ["spikes"] * 3
        await run.end()


async def test_the_verb_broker_puts_it_down_too(tmp_path: Path) -> None:
    """Where processes are started by hand the broker's own witness writes what was changed."""
    with by_hand(tmp_path, ENDLESS) as network:
        network.start_broker()
        network.start_processes()
        async with Client(network.address) as client:
            reply = await client.command("set", "h1", settings={"notify.h1.clip": 0.25})
            assert reply.error.startswith("h1: no setting 'notify.h1.clip'; known: lr, threshold, delay.h2, ")
            reply = await client.command("set", "h2", settings={"notify.h1.clip": 0.25})
            assert reply.data == {"h2": {"notify.h1.clip": 0.25}}
            (row,) = await comes(lambda: rows(tmp_path / "run"), "it is put down")
            assert (row["process"], row["key"], row["value"]) == ("h2", "notify.h1.clip", 0.25)
            await client.command("stop", evaluate=False)
        network.wait()
