"""The verb ps: the runs that are alive here, or the processes of one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from neurond.cli.attached import BROKER_VARIABLE, Asked, everywhere, find, keys_for
from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.which import AsJson, Broker, Insecure, Keys, Meant, Run, either
from neurond.errors import BrokerUnreachable

if TYPE_CHECKING:
    from monitor.client import Client
    from monitor.view import View
    from topology.keys import Keyring

ASK_S = 3.0  # for the broker of a run to answer
HEAR_S = 0.7  # for the processes to have been heard: each reports every half second

Row = dict[str, Any]


def ps(
    meant: Meant = None,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """List your runs that are alive on this machine; with RUN, or --broker, the processes of one."""
    run = either(meant, broker, run)
    if broker or run or os.environ.get(BROKER_VARIABLE):
        at = find(broker, run, keys, insecure)
        told, view = asyncio.run(_look(at, keys_for(at, keys, insecure)))
        replay = told.get("replay") is not None
        rows = [_process(name, one, view, replay) for name, one in told["processes"].items()]
        _show(rows, ("process", "state", "pid", "incarnation", "stimuli", "staleness", "queue", "rss_mib"), as_json)
        if replay and not as_json:
            say(f"a recording, played at {told['replay']['speed']:g}x: these processes lived when it was made")
        return
    asked = everywhere(keys, insecure)
    rows = [row_of(one, view) for one, view in zip(asked, asyncio.run(_views(asked, keys, insecure)), strict=True)]
    _show(rows, ("run", "network", "state", "processes", "stimuli", "accuracy", "pid", "broker"), as_json)
    if as_json:
        return
    if not rows:
        say("no run of yours is alive on this machine")
    suggest(_next(asked, rows))


def _next(asked: Sequence[Asked], rows: Sequence[Row]) -> str:
    """What to look at next: the first of the runs, else a replay."""
    for one, row in zip(asked, rows, strict=True):
        if one.replay is None and row["pid"]:
            return f"neurond ps --run {row['run']}"
    played = next((one for one in asked if one.replay is not None), None)
    return "neurond run digits" if played is None else f"neurond top --broker {played.alive.broker}"


def row_of(asked: Asked, view: View | None) -> Row:
    """A run as a row; what its broker does not tell is None."""
    from neurond.living import running

    holder = asked.alive.running or (None if asked.folder is None else running(asked.folder))
    pid = None if holder is None else holder.pid
    processes: Mapping[str, Any] = {} if asked.status is None else asked.status["processes"]
    if asked.replay is not None:  # who trained then may live no more, or for another run
        pid, processes = asked.replay.get("pid"), {}
    living = {name: one["pid"] for name, one in processes.items() if one["alive"]}
    return {
        "run": asked.called,
        "network": None if asked.status is None else asked.status["run"],
        "state": _state(asked, view),
        "processes": f"{len(living)}/{len(processes)}" if processes else None,
        "stimuli": None if view is None else view.stimuli,
        "accuracy": None if view is None else view.gauge("test_accuracy"),
        "pid": pid,
        "pids": living,
        "broker": asked.alive.broker,
    }


def _state(asked: Asked, view: View | None) -> str:
    if asked.status is None:
        return "silent"
    if asked.replay is not None:
        return "replay"
    return str(asked.status["state"]) if view is None else view.standing(asked.status)


async def _views(asked: Sequence[Asked], keys: str | None, insecure: bool) -> list[View | None]:
    """What the processes of these runs have reported; None for a run whose broker does not answer."""

    async def view(one: Asked) -> View | None:
        if one.status is None:
            return None
        with contextlib.suppress(BrokerUnreachable):  # it ended just now
            return (await _look(one.alive.broker, keys_for(one.alive.broker, keys, insecure)))[1]
        return None

    return list(await asyncio.gather(*map(view, asked)))


def _process(name: str, told: Mapping[str, Any], view: View, replay: bool) -> Row:
    """A process as a row; those of a recording have no number and no place any more."""
    known = next(process for process in view.processes if process.name == name)
    line = known.line()
    return {
        "process": name,
        "role": told.get("role"),
        "state": line.state if told["alive"] else ("lost" if told["incarnation"] else "waiting"),
        "pid": None if replay else told["pid"] or None,
        "incarnation": told["incarnation"] or None,
        "stimuli": known.work(),
        "staleness": None if line.staleness is None else round(line.staleness, 3),
        "queue": None if line.queue is None else round(line.queue),
        "rss_mib": None if line.rss_mib is None else round(line.rss_mib, 1),
        "endpoint": None if replay else told["endpoint"] or None,
    }


async def _look(broker: str, keys: Keyring | None) -> tuple[Mapping[str, Any], View]:
    """What a broker says of its run, and what its processes have reported."""
    from monitor.client import Client

    async with Client(broker, keys) as client:
        return await hear(client)


async def hear(client: Client) -> tuple[Mapping[str, Any], View]:
    """What the broker says of its run, and what the processes that are alive have reported, or some of them."""
    from monitor.view import View

    client.subscribe()
    told: Mapping[str, Any] = (await client.command("status", timeout_s=ASK_S)).data
    view = View(list(told["processes"]), told["run"], told["run_dir"])
    unheard = {name for name, one in told["processes"].items() if one["alive"]}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HEAR_S):
            async for item in client.stream():
                view.update(item, time.monotonic())
                unheard -= {process.name for process in view.processes if process.heard is not None}
                if not unheard:
                    break
    return told, view


def _show(rows: Sequence[Row], columns: Sequence[str], as_json: bool) -> None:
    """The rows as JSON, or as a table of these columns."""
    if as_json:
        out_json(list(rows))
        return
    if not rows:
        return
    table = [["MiB" if column == "rss_mib" else column.upper() for column in columns]]
    table += [[_word(column, row[column]) for column in columns] for row in rows]
    wide = [max(len(line[at]) for line in table) for at in range(len(columns))]
    for line in table:
        out("  ".join(f"{word:<{width}}" for word, width in zip(line, wide, strict=True)).rstrip())


def _word(column: str, value: Any) -> str:
    from monitor.figures import percent

    if value is None:
        return "-"
    if column == "accuracy":
        return percent(value)
    return f"{value:,}" if column == "stimuli" else str(value)
