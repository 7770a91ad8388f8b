"""A small TCP proxy between two processes, whose behaviour is switched while it runs.

It runs in a thread with an event loop of its own, so that it is never held up by whoever tests. A direction is
`UP`, from whoever connected to the server behind, or `DOWN`, the other way. Where processes are named, each
connection is known by the process that made it, and can be treated apart from the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import psutil

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


@dataclass
class _Link:
    """One connection: the port it was made from, and by which process, where that matters."""

    port: int
    caller: str = ""


class Proxy:
    """Listens on a port of the loopback and passes everything on to another, until `close` or the end of a ``with``.

    Args:
        to: port of the server at 127.0.0.1. It may come later: a connection is refused until then.
        port: to listen on; 0: any that is free.
        host: to listen on; every address that begins with 127 is the loopback on Linux.
        callers: name and pid of the processes that may connect, looked at whenever one does.

    """

    def __init__(
        self, to: int, port: int = 0, host: str = "127.0.0.1", callers: Callable[[], Mapping[str, int]] = dict
    ) -> None:
        self.connections = 0
        """Connections that were accepted."""
        self.swallowed = 0
        """Bytes that were thrown away."""
        self._to = to
        self._callers = callers
        self._behaviour: dict[tuple[str, str], Behaviour] = {}  # (direction, caller); "" is everybody else
        self._refuse: set[str] = set()
        self._writers: dict[asyncio.StreamWriter, _Link] = {}
        self._apart = False  # whether a process is treated apart: finding out who connects takes a while
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._changed = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy of {to}")
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def behave(self, *directions: str, caller: str = "", **what: Any) -> None:
        """Let these directions (both, if none is named) behave so from now on, as `Behaviour` says.

        With `caller` only the connections of that process; without, those of all that are not treated apart.
        """

        def change() -> None:
            self._tell_apart(caller)
            for direction in directions or (UP, DOWN):
                self._behaviour[direction, caller] = Behaviour(**what)
            self._tell()

        self._call(change)

    def heal(self) -> None:
        """Pass everything on at once again. What was swallowed is gone, so such connections are reset."""

        def heal() -> None:
            spoilt = {caller for (_, caller), behaviour in self._behaviour.items() if behaviour.swallow}
            for caller in spoilt | self._refuse:
                self._reset(caller)
            self._behaviour.clear()
            self._refuse.clear()
            self._tell()

        self._call(heal)

    def reset(self, caller: str = "") -> None:
        """End every connection (of a process) with RST, in both directions; new ones are accepted."""
        self._call(partial(self._reset, caller))

    def refuse(self, caller: str = "") -> None:
        """End every connection (of a process) with RST, and every new one too, until `heal`."""

        def refuse() -> None:
            self._refuse.add(caller)
            self._reset(caller)  # which tells them apart

        self._call(refuse)

    def move(self, to: int) -> None:
        """Let the server be another one: connections that there are end."""

        def move() -> None:
            self._to = to
            self._reset("")

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
        self._reset("")
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        self._loop.run_until_complete(asyncio.sleep(0))  # transports close in the next turn
        self._loop.close()

    def _reset(self, caller: str) -> None:
        self._tell_apart(caller)
        for writer in [w for w, link in self._writers.items() if caller in ("", link.caller)]:
            with contextlib.suppress(OSError):
                # Linger of zero: closing sends RST, and what waits to be sent is forgotten.
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            self._end(writer)
        self._tell()

    def _tell(self) -> None:
        """Wake whatever is held, to look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _tell_apart(self, caller: str) -> None:
        """From the first time that a process is named, know whose each connection is."""
        if caller and not self._apart:
            self._apart = True
            for link in self._writers.values():
                link.caller = self._caller(link.port)

    def _caller(self, port: int) -> str:
        """Which process connects from a port; "" if it is none of those that are named."""
        for name, pid in self._callers().items():
            with contextlib.suppress(psutil.Error):
                if any(c.laddr and c.laddr.port == port for c in psutil.Process(pid).net_connections("tcp")):
                    return name
        return ""

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(writer.get_extra_info("peername")[1])
        if self._apart:
            link.caller = self._caller(link.port)
        self._writers[writer] = link
        if self._refuse & {"", link.caller}:
            self._reset(link.caller)
            return
        task = self._loop.create_task(self._join(link, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            self._end(writer)
            return
        self._writers[up_writer] = link
        flows = [
            asyncio.ensure_future(self._flow(UP, link, reader, up_writer)),
            asyncio.ensure_future(self._flow(DOWN, link, up_reader, writer)),
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
        self._writers.pop(writer, None)
        writer.transport.abort()

    def _now(self, direction: str, link: _Link) -> Behaviour:
        """How a direction of the connections of a process behaves at present."""
        own = self._behaviour.get((direction, link.caller))
        return own or self._behaviour.get((direction, "")) or Behaviour()

    async def _flow(
        self, direction: str, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One direction of one connection, to its end."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(FULL // CHUNK)

        async def take() -> None:
            while True:
                await self._while_held(direction, link)
                data = await reader.read(CHUNK)
                await self._while_held(direction, link)
                if data and self._now(direction, link).swallow:
                    self.swallowed += len(data)
                    continue
                await waiting.put((self._loop.time() + self._now(direction, link).delay_s, data))
                if not data:
                    return

        taking = asyncio.ensure_future(take())
        try:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                await self._while_held(direction, link)
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                rate = self._now(direction, link).bytes_per_s
                if rate:
                    await asyncio.sleep(len(data) / rate)
        except OSError:
            return
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _while_held(self, direction: str, link: _Link) -> None:
        while self._now(direction, link).hold:
            await self._changed.wait()
