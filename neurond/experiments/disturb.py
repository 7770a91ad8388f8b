"""What is done to a network while it trains: late frames, and processes that are stopped and let go on.

Everything is real: frames wait in the process that sends them (`injected.py`), and a process that is stopped is
stopped by the system, so that it neither computes nor reads.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from neurond.errors import BrokerUnreachable, NeurondError
from neurond.experiments.study import Disturbance, Late, Paused, Slowed

if TYPE_CHECKING:
    from monitor.client import Client

ASK_S = 6.0
STOP_S = 45.0  # as long as a stop may take
LOOK_S = 0.02


async def accompany(
    during: Disturbance | None, for_s: float | None, client: Client, groups: list[str], seed: int
) -> None:
    """Disturb a run from its beginning on, and stop it after so many seconds, if any; until this is cancelled.

    Training waits until late links are late, so that nothing is learned without them, and the time begins then. The
    run is stopped without an evaluation, which may take long where everything is slow.

    Args:
        during: what is done.
        for_s: after which the run is stopped.
        client: of the run's broker.
        groups: the processes that a pause may meet.
        seed: of what is left to chance.

    Raises:
        NeurondError: the network cannot be disturbed so.

    """
    pids = await _running(client)
    pulses: asyncio.Task[None] | None = None
    match during:
        case Late():
            await _told(client, "pause")
            await _late(client, during.delay_s)
            await _told(client, "resume")
        case Slowed():
            pulses = asyncio.create_task(_slowed(pids[during.process], during))
        case Paused():
            pulses = asyncio.create_task(_paused({name: pids[name] for name in groups}, during, seed))
    try:
        if for_s is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(for_s)
    finally:  # before any process leaves, and its number may become another's
        if pulses is not None:
            pulses.cancel()
            await asyncio.gather(pulses, return_exceptions=True)
    await _told(client, "stop", timeout_s=STOP_S, evaluate=False)
    await asyncio.Event().wait()


async def _running(client: Client) -> dict[str, int]:
    """The process ids of a network, once it trains; it is waited for in vain where the run ends before that."""
    while True:
        told = await _told(client, "status")
        pids = {name: process["pid"] for name, process in told["processes"].items() if process["alive"]}
        if told["state"] == "running" and len(pids) == len(told["processes"]):
            return pids
        await asyncio.sleep(LOOK_S)


async def _late(client: Client, delay_s: float) -> None:
    for process, settings in (await _told(client, "get")).items():
        delays = {key: delay_s for key in settings if key.startswith("delay.")}
        if delays:
            await _told(client, "set", process, settings=delays)


async def _slowed(pid: int, what: Slowed) -> None:
    while True:
        await asyncio.sleep(what.on_s)
        with _stopped(pid):
            await asyncio.sleep(what.off_s)


async def _paused(pids: dict[str, int], what: Paused, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(chance.expovariate(1 / what.every_s))
        with _stopped(pids[chance.choice(sorted(pids))]):
            await asyncio.sleep(what.lasts_s)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """A process stands still; it goes on afterwards, whatever happens. One that is gone is nobody's concern."""
    if pid <= 0:  # to the system that is a whole process group, our own for one
        raise ValueError(f"no process has the number {pid}")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def _told(client: Client, verb: str, target: str = "", timeout_s: float = ASK_S, **args: Any) -> dict[str, Any]:
    try:
        reply = await client.command(verb, target, timeout_s=timeout_s, **args)
    except BrokerUnreachable as error:
        raise NeurondError(f"the network cannot be disturbed: {verb}: {error}") from error
    if not reply.ok:
        raise NeurondError(f"the network cannot be disturbed: {verb}: {reply.error}")
    return dict(reply.data)
