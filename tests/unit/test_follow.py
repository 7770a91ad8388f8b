"""A run that is followed through its broker: what is made of answers that are older, and of none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

import pytest

from monitor import follow
from monitor.client import Client
from monitor.console.head import quality
from monitor.console.page import Glyphs, text_of
from monitor.dense import losses
from monitor.follow import Follower
from topology import wire
from topology.address import BrokerUnreachable

RUNNING = {"run": "digits", "run_dir": "/runs/x", "state": "running", "processes": {"source": {}}}


class Broker:
    """A client of a broker whose answers are held back until the test lets them go."""

    address = "here"
    refused = False
    drops = 0

    def __init__(self) -> None:
        self.asked = asyncio.Semaphore(0)
        self.answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self.said: asyncio.Queue[wire.Event] = asyncio.Queue()

    def subscribe(self) -> None:
        """As `Client.subscribe`."""

    async def stream(self) -> AsyncGenerator[wire.Event]:
        """As `Client.stream`."""
        while True:
            yield await self.said.get()

    async def command(self, verb: str, timeout_s: float) -> wire.Reply:
        """As `Client.command`."""
        self.asked.release()
        answer = await self.answers.get()
        if answer is None:
            raise BrokerUnreachable("no broker answers")
        return wire.Reply("1", True, answer)


async def test_an_answer_that_is_older_than_the_end(monkeypatch: Any) -> None:
    """What was asked before the end was heard begins no new view; what is asked since does, if the run goes on."""
    monkeypatch.setattr(follow, "ASK_EVERY_S", 0.0)
    broker = Broker()
    broker.answers.put_nowait(RUNNING)
    follower = Follower(cast(Client, broker), lambda: 0.0, lambda _: None)
    async with aclosing(follower.changes()) as changes:
        view = await anext(changes)
        await broker.asked.acquire()
        going = asyncio.ensure_future(anext(changes))
        await broker.asked.acquire()  # the second question, whose answer is under way
        broker.said.put_nowait(wire.Event("broker", "ended", {}))
        assert (await going) is view
        assert view.ended
        broker.answers.put_nowait(RUNNING)
        assert (await anext(changes)) is view
        broker.answers.put_nowait(RUNNING)  # to a question of after the end: the run was resumed
        async for another in changes:
            if another is not view:
                assert not another.ended
                break


async def test_what_is_lost_on_the_way_to_the_view_is_told(monkeypatch: Any) -> None:
    """The view tells what its client has dropped of this run; what was dropped of the one before is none of it."""
    monkeypatch.setattr(follow, "ASK_EVERY_S", 60.0)
    broker = Broker()
    broker.drops = 5
    broker.answers.put_nowait(RUNNING)
    follower = Follower(cast(Client, broker), lambda: 0.0, lambda _: None)
    async with aclosing(follower.changes()) as changes:
        await anext(changes)
        broker.drops = 7
        broker.said.put_nowait(wire.Event("broker", "running", {}))
        view = await anext(changes)
    assert view.summary()["feed_drops"] == 2
    assert losses(view.summary()).startswith("counted on the way: 2 feed drops")
    assert "2 feed drops" in text_of(quality(view, 120, Glyphs(True)))


@pytest.mark.parametrize(
    ("replay", "ended", "words"),
    [
        (None, False, "no word from the broker at here; waiting for it"),
        (None, True, "the run is over, and its broker has left; waiting for the next at here"),
        ({"speed": 4.0, "ended": False}, False, "the recording is not played any more; waiting for another at here"),
        ({"speed": 4.0, "ended": True}, False, "the recording is over; waiting for another at here"),
        ({"speed": 4.0, "ended": False}, True, "the recording is over; waiting for another at here"),
    ],
)
async def test_why_nobody_answers(monkeypatch: Any, replay: Any, ended: bool, words: str) -> None:
    """A broker that is silent is waited for; one whose run, or recording, is over is not missed."""
    monkeypatch.setattr(follow, "ASK_EVERY_S", 0.0)
    broker, said = Broker(), asyncio.Queue[str]()
    broker.answers.put_nowait(RUNNING | ({} if replay is None else {"replay": replay}))
    follower = Follower(cast(Client, broker), lambda: 0.0, said.put_nowait)
    async with aclosing(follower.changes()) as changes:
        await anext(changes)
        if ended:
            broker.said.put_nowait(wire.Event("broker", "ended", {}))
            await anext(changes)
        broker.answers.put_nowait(None)
        while said.empty():
            await anext(changes)
        assert said.get_nowait() == words
