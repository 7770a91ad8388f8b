"""A client of the broker: commands and their replies, and the stream of what happens in a run.

    async with Client("ipc:///tmp/neurond-4f2a/") as client:
        print(await client.command("status"))
        async for item in client.stream():
            view.update(item, now)

The sockets reconnect by themselves, also to a broker that was started anew: a command is sent again under its
id, which is carried out once, and the stream starts with what the broker still knows, less what was heard.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any, Self

import zmq
import zmq.asyncio

from topology import address, feed, greeting, sockets, wire
from topology.address import BrokerUnreachable
from topology.keys import Keyring
from topology.plan import BROKER

AGAIN_S = 0.5  # pause before the same command is sent again
QUEUE = 10_000  # items that wait for a slow consumer; then the oldest is dropped and counted


class Client:
    """A connection to one broker; close it, or use it as an async context.

    Args:
        broker_address: as in `topology.address`; AddressError if it is none.
        keys: of `monitor`, where the broker is on tcp and has keys; KeysError if the broker's is not among them.

    """

    def __init__(self, broker_address: str, keys: Keyring | None = None) -> None:
        self.address = broker_address
        self.wire_errors = 0
        self.drops = 0  # items of the feed that came faster than they were taken
        control = address.control(broker_address)
        self._feed_endpoint = address.telemetry_out(broker_address)
        self._context = zmq.asyncio.Context()
        self._keys = keys
        identity = f"client-{secrets.token_hex(8)}".encode()
        self._dealer, connection = sockets.connect(
            self._context, sockets.COMMAND_LINE, control, keys, BROKER, identity
        )
        self._connections = [connection]
        self._monitor = sockets.monitor(self._context, self._dealer, sockets.FAILURES)
        self._trouble, self._refused = address.unanswered(broker_address), False
        self._subscriber: zmq.asyncio.Socket | None = None
        self._replies: dict[str, asyncio.Future[wire.Reply]] = {}
        self._items: asyncio.Queue[wire.Telemetry | wire.Event] = asyncio.Queue(QUEUE)
        self._heard = feed.Heard()
        self._readers: list[asyncio.Task[None]] = []

    @property
    def refused(self) -> bool:
        """Whether it is of no use to ask again: our key is not accepted, or whoever answers is no broker of ours."""
        return self._refused

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sockets; commands and streams that wait are cancelled."""
        for reader in self._readers:  # the only time that a receive is cancelled: nothing is wanted any more
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        for waiting in self._replies.values():
            waiting.cancel()
        for connection in self._connections:
            connection.close()
        self._dealer.monitor(None, 0)
        self._monitor.close(0)
        self._dealer.close(0)
        if self._subscriber is not None:
            self._subscriber.close(0)
        self._context.term()

    async def command(self, verb: str, target: str = "", timeout_s: float = 5.0, **args: Any) -> wire.Reply:
        """Ask the broker for something, as `wire.Command` says, and wait for its reply.

        Args:
            verb: pause | resume | stop | save | eval | status | get | set | kill | restart | tap.
            target: a process, or "" for those that the verb concerns.
            timeout_s: how long to go on asking.
            args: of the verb.

        Raises:
            BrokerUnreachable: no reply within `timeout_s`.

        """
        if not any(task.get_name() == "replies" for task in self._readers):
            self._readers.append(asyncio.create_task(self._read_replies(), name="replies"))
            self._readers.append(asyncio.create_task(self._read_failures(), name="failures"))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        command = wire.Command(secrets.token_hex(8), verb, target, {"timeout_s": timeout_s, **args})
        packed = wire.pack(command)
        reply: asyncio.Future[wire.Reply] = loop.create_future()
        self._replies[command.id] = reply
        try:
            while (left := deadline - loop.time()) > 0 and not self._refused:
                await self._send(packed)
                done, _ = await asyncio.wait([reply], timeout=min(AGAIN_S, left))
                if done:
                    return reply.result()
            raise BrokerUnreachable(self._trouble)
        finally:
            del self._replies[command.id]

    async def stream(self) -> AsyncIterator[wire.Telemetry | wire.Event]:
        """What happens in the run, first what the broker still knows of its past; without end.

        Waiting for the next item may be cancelled; nothing is lost by it. Events come once each, and in order
        but for one that happens at the very start, which may come before those of the past. Telemetry is
        lossy; its counters are cumulative. All streams of one client share what comes.
        """
        self.subscribe()
        while True:
            yield await self._items.get()

    def subscribe(self) -> None:
        """Start to listen now, for a `stream` that is read later. Idempotent."""
        if self._subscriber is None:
            self._subscriber, connection = sockets.connect(
                self._context, sockets.FEED_LINE, self._feed_endpoint, self._keys, BROKER
            )
            self._subscriber.setsockopt(zmq.SUBSCRIBE, b"")
            self._connections.append(connection)
            self._readers.append(asyncio.create_task(self._read_feed(self._subscriber), name="feed"))

    async def _send(self, packed: bytes) -> None:
        """Now or not at all: with NOBLOCK the future is done when it is returned. It is asked again."""
        with contextlib.suppress(zmq.Again):
            await self._dealer.send(packed, zmq.NOBLOCK)

    async def _read_replies(self) -> None:
        while True:
            frames = await self._dealer.recv_multipart()
            try:
                message = wire.unpack(b"".join(frames))
            except wire.WireError:
                self.wire_errors += 1
                continue
            if isinstance(message, wire.Reply):
                waiting = self._replies.get(message.id)
                if waiting is not None and not waiting.done():
                    waiting.set_result(message)

    async def _read_failures(self) -> None:
        while not self._refused:
            event, value = sockets.parse_event((await self._monitor.recv_multipart())[0])
            self._trouble, final = sockets.failure(event, value, self.address)
            if not final and await greeting.differs(self._connections[0].endpoint, keyed=self._keys is not None):
                self._trouble, final = sockets.mismatch(self.address), True
            self._refused = final

    async def _read_feed(self, subscriber: zmq.asyncio.Socket) -> None:
        while True:
            frames = await subscriber.recv_multipart()
            try:
                item = feed.parse(frames)
            except wire.WireError:
                self.wire_errors += 1
                continue
            if item.mark is not None and not self._heard.is_new(item.mark):
                continue
            if self._items.full():
                self._items.get_nowait()
                self.drops += 1
            self._items.put_nowait(item.message)
