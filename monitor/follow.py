"""A run that goes on elsewhere, followed through its broker: the view of it, whenever that has changed.

Nothing here ends a run or ends because of one: a broker that is not there is waited for, one that was started anew is
followed on, and when the next run begins at the same address, that one is followed with a new view.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

from monitor.client import Client
from monitor.view import View
from topology import wire
from topology.address import BrokerUnreachable

ASK_EVERY_S = 1.0  # between two questions to the broker how its run stands
SILENCE_S = 3.0  # without an answer, before a word is said about it
OVER = ("leaving", "ended")  # states of a run that does not go on


class Follower:
    """What is known of the run at one broker. `changes` keeps it up to date.

    Args:
        client: connected to the broker; stays the caller's to close.
        clock: seconds, monotonic.
        say: takes a line of words, when the broker is waited for and when it is back.
        heard: takes each message as it comes, before the view has it; the broker's answers as replies without an id.

    """

    def __init__(
        self,
        client: Client,
        clock: Callable[[], float],
        say: Callable[[str], None],
        heard: Callable[[wire.Telemetry | wire.Event | wire.Reply], None] | None = None,
    ) -> None:
        self.client = client
        self.view = View(())
        self.status: dict[str, Any] = {}  # the broker's last answer; empty until there is one
        self.answers = False  # it has answered lately
        self._clock = clock
        self._seen = self._time = clock()
        self._say = say
        self._heard = heard
        self._told = False  # that it does not answer
        self._dropped = 0  # by the client, before this run
        self._asked_since = False  # the last question was asked when the end had been heard of

    async def changes(self) -> AsyncGenerator[View]:
        """The view, each time that something has come, and about once a second all the same; without end.

        Raises BrokerUnreachable where waiting is of no use: the broker refuses our key.
        """
        self.client.subscribe()  # before the first question: what happens meanwhile waits
        while not self.status:
            self._answered(await self._ask())
        yield self.view
        stream = self.client.stream()
        hearing = asyncio.ensure_future(anext(stream))
        asking = asyncio.create_task(self._ask(ASK_EVERY_S))
        try:
            while True:
                done, _ = await asyncio.wait((hearing, asking), return_when=asyncio.FIRST_COMPLETED)
                if asking in done:
                    self._answered(asking.result())
                    asking = asyncio.create_task(self._ask(ASK_EVERY_S))
                if hearing in done:
                    item = hearing.result()
                    self._tell(item)
                    self.view.feed_drops = self.client.drops - self._dropped
                    self.view.update(item, self.now())
                    hearing = asyncio.ensure_future(anext(stream))
                yield self.view
        finally:
            for task in (hearing, asking):
                task.cancel()
            await asyncio.gather(hearing, asking, return_exceptions=True)

    async def _ask(self, after_s: float = 0.0) -> dict[str, Any] | None:
        await asyncio.sleep(after_s)
        self._asked_since = self.view.ended
        try:
            reply = await self.client.command("status", timeout_s=SILENCE_S)
        except BrokerUnreachable:
            if self.client.refused:
                raise
            return None
        if not reply.ok:
            raise BrokerUnreachable(f"the broker at {self.client.address} refuses us: {reply.error}")
        return reply.data

    def _tell(self, message: wire.Telemetry | wire.Event | wire.Reply) -> None:
        if self._heard is not None:
            self._heard(message)

    def now(self) -> float:
        """The time of the view: our clock's; that of a replay goes as fast as it is played, so that rates stay.

        Where a recording stands still at its end, so does its time.
        """
        replay = self.status.get("replay", {})
        now, speed = self._clock(), 0.0 if replay.get("ended") else replay.get("speed", 1.0)
        self._time += (now - self._seen) * speed
        self._seen = now
        return self._time

    def _silence(self) -> str:
        """Why nobody answers, as far as it is known."""
        at, replay = self.client.address, self.status.get("replay")
        if replay is not None:
            over = self.view.ended or replay.get("ended")
            return f"the recording {'is over' if over else 'is not played any more'}; waiting for another at {at}"
        if self.view.ended:
            return f"the run is over, and its broker has left; waiting for the next at {at}"
        return f"no word from the broker at {at}; waiting for it"

    def _answered(self, status: dict[str, Any] | None) -> None:
        self.answers = status is not None
        if status is None:
            if not self._told:
                self._say(self._silence())
            self._told = True
            return
        if self._told:
            self._say(f"the broker at {self.client.address} answers")
            self._told = False
        if self.view.ended and not self._asked_since:
            return  # it may be from before the end, and would begin a view of a run that is over
        self._tell(wire.Reply("", True, status))
        another = status["run_dir"] != self.status.get("run_dir")
        if another or (self.view.ended and status["state"] not in OVER):  # the same run, resumed, begins a new view
            speed = status.get("replay", {}).get("speed", 1.0)
            run = str(status["run"]), str(status["run_dir"])
            self.view = View(tuple(status["processes"]), *run, late=True, speed=speed)
            self._dropped = self.client.drops
        self.status = status
