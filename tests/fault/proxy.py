"""A small TCP proxy between two processes, whose behaviour is switched while it runs.

It runs in a thread with an event loop of its own, so that it is never held up by whoever tests. A direction is
`UP`, from whoever connected to the server behind, or `DOWN`, the other way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

UP, DOWN = "up", "down"
CHUNK = 16_384
FULL = 64 * CHUNK  # bytes that one direction holds at most; then its sender has to wait, as on a full link


@dataclass(frozen=True)
class Behaviour:
    """What is done with the bytes of one direction."""

    delay_s: float = 0.0
    """Each byte arrives so much later."""
    bytes_per_s: float | None = None
    """No more than this; None: as fast as it goes."""
    swallow: bool = False
    """Bytes are taken and thrown away: a black hole. What TCP promised its sender is never kept."""
    hold: bool = False
    """Bytes are not taken any more: the other end is gone and never said so. They go on when this is over."""


class Proxy:
    """Listens on a port of the loopback and passes everything on to another, until `close` or the end of a ``with``.

    Args:
        to: port of the server on the loopback. It may come later: a connection is refused until then.
        port: to listen on; 0: any that is free.

    """

    def __init__(self, to: int, port: int = 0) -> None:
        self.connections = 0
        """Connections that were accepted."""
        self.swallowed = 0
        """Bytes that were thrown away."""
        self._to = to
        self._behaviour = {UP: Behaviour(), DOWN: Behaviour()}
        self._refuse = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy of {to}")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def behave(self, *directions: str, **what: Any) -> None:
        """Let these directions (both, if none is named) behave so from now on, as `Behaviour` says."""

        def change() -> None:
            for direction in directions or (UP, DOWN):
                self._behaviour[direction] = replace(Behaviour(), **what)
            self._changed.set()
            self._changed = asyncio.Event()

        self._call(change)

    def heal(self) -> None:
        """Pass everything on at once again. What was swallowed is gone, so such connections are reset."""

        def reset() -> None:
            if self._refuse or any(behaviour.swallow for behaviour in self._behaviour.values()):
                self._reset()
            self._refuse = False

        self._call(reset)
        self.behave()

    def reset(self) -> None:
        """End every connection with RST, in both directions; new ones are accepted."""
        self._call(self._reset)

    def refuse(self) -> None:
        """End every connection with RST, and every new one too, until `heal`."""

        def refuse() -> None:
            self._refuse = True
            self._reset()

        self._call(refuse)

    def move(self, to: int) -> None:
        """Let the server be another one: connections that there are end."""

        def move() -> None:
            self._to = to
            self._reset()

        self._call(move)

    def close(self) -> None:
        """Close every connection and the port; returns when that is done."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _call(self, change: Callable[[], None]) -> None:
        """Do something in the proxy's own thread, and wait until it is done."""
        done = threading.Event()

        def act() -> None:
            change()
            done.set()

        self._loop.call_soon_threadsafe(act)
        assert done.wait(10.0), "the proxy does not answer"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accepted, sock=self._listener))
        self._loop.run_forever()
        server.close()
        self._reset()
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
        self._loop.close()

    def _reset(self) -> None:
        for writer in self._writers:
            with contextlib.suppress(OSError):
                # Linger of zero: closing sends RST, and what waits to be sent is forgotten.
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            writer.transport.abort()
        self._writers.clear()
        self._changed.set()
        self._changed = asyncio.Event()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        if self._refuse:
            self._reset()
            return
        task = self._loop.create_task(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            self._end(writer)
            return
        self._writers.add(up_writer)
        flows = [
            asyncio.ensure_future(self._flow(UP, reader, up_writer)),
            asyncio.ensure_future(self._flow(DOWN, up_reader, writer)),
        ]
        try:
            await asyncio.wait(flows, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for flow in flows:
                flow.cancel()
            await asyncio.gather(*flows, return_exceptions=True)
            self._end(writer)
            self._end(up_writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._writers.discard(writer)
        writer.transport.abort()

    async def _flow(self, direction: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction of one connection, to its end."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(FULL // CHUNK)

        async def take() -> None:
            while True:
                await self._while_held(direction)
                data = await reader.read(CHUNK)
                await self._while_held(direction)
                if data and self._behaviour[direction].swallow:
                    self.swallowed += len(data)
                    continue
                await waiting.put((self._loop.time() + self._behaviour[direction].delay_s, data))
                if not data:
                    return

        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._while_held(direction)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                rate = self._behaviour[direction].bytes_per_s
                if rate:
                    await asyncio.sleep(len(data) / rate)
        except OSError:
            return
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _while_held(self, direction: str) -> None:
        while self._behaviour[direction].hold:
            await self._changed.wait()
