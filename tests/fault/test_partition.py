"""A network that is cut and healed: a link over tcp with keys is back within two seconds, without anybody's help."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import zmq

from tests.waiting import comes
from topology import sockets
from topology.gate import Gate
from topology.issue import issue
from topology.keys import Keyring

CUT_S = 10.0
BACK_S = 2.0


class Cable:
    """A tcp proxy that can be cut: then what is on it gets no further, and whoever connects is not answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = asyncio.Event()
        self._whole.set()
        self._ends: list[asyncio.Task[None]] = []
        self.connections = 0

    def cut(self) -> None:
        """Nothing goes through any more."""
        self._whole.clear()

    def heal(self) -> None:
        """All goes through again, what was held up as well."""
        self._whole.set()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        """The port of its near end."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for end in self._ends:
                end.cancel()
            await asyncio.gather(*self._ends, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._whole.wait()
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        ways = ((reader, back), (there, writer))
        self._ends += [asyncio.create_task(self._carry(*way)) for way in ways]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._whole.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass  # the other side has closed it
        finally:
            writer.close()


@pytest.mark.timeout(120)
async def test_a_link_is_back_after_a_partition(tmp_path: Path) -> None:
    """After ten seconds without a network the first new message arrives within two, and the dead link was noticed."""
    issue(tmp_path / "keys", ["source", "hidden"])
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    gate = Gate(context, Keyring(tmp_path / "keys", "hidden"))
    inbox = sockets.bind(context, sockets.INBOX, "tcp://127.0.0.1:*", gate)
    gate.open()
    cable = Cable(int(inbox.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2]))
    loop = asyncio.get_running_loop()
    async with cable.laid() as port:
        keys = Keyring(tmp_path / "keys", "source")
        outbox, _ = sockets.connect(context, sockets.OUTBOX, f"tcp://127.0.0.1:{port}", keys, "hidden")
        outbox.send(b"before")
        await comes(lambda: inbox.poll(0), "a message before")
        assert inbox.recv() == b"before"
        cable.cut()
        connections, cut_at = cable.connections, loop.time()
        await comes(lambda: cable.connections > connections, "the dead link is noticed, and another tried")
        await comes(lambda: loop.time() > cut_at + CUT_S, "ten seconds have passed")
        outbox.send(b"after")
        assert not inbox.poll(0)
        cable.heal()
        healed_at = loop.time()
        await comes(lambda: inbox.poll(0), "a message after")
        assert inbox.recv() == b"after"
        assert loop.time() - healed_at < BACK_S

        gate.close()
        for socket in (outbox, inbox):
            socket.close(0)
        context.term()
