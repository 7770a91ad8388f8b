"""How somebody wants to be talked to is heard before anything could be refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import zmq

from topology import greeting, sockets


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context that must not be left with open sockets."""
    with zmq.Context() as made:
        yield made


@pytest.fixture
async def babbler() -> AsyncIterator[str]:
    """Somebody at a port who says what is no greeting."""

    async def says(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n" + bytes(greeting.SIZE))
        writer.close()

    async with await asyncio.start_server(says, "127.0.0.1", 0) as server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("kind", [sockets.CONTROL, sockets.FEED, sockets.INBOX])
async def test_who_has_keys_says_so(context: zmq.Context[zmq.Socket[bytes]], kind: sockets.Kind) -> None:
    """A socket with keys differs from who has none, each time, and one without from who has some."""
    with context.socket(kind.type) as plain, context.socket(kind.type) as keyed:
        keyed.curve_secretkey, keyed.curve_server = zmq.curve_keypair()[1], True
        for socket, has in ((plain, False), (keyed, True)):
            endpoint = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
            for _ in range(20):
                assert await greeting.differs(endpoint, keyed=not has)
                assert not await greeting.differs(endpoint, keyed=has)


async def test_who_says_nothing_does_not_differ(babbler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody there, somebody who is mute, somebody who is no socket of ours: there is nothing to be told."""
    monkeypatch.setattr(greeting, "TIMEOUT_S", 0.1)
    left = asyncio.Semaphore(0)

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side has had enough
        writer.close()
        left.release()

    async with await asyncio.start_server(listens, "127.0.0.1", 0) as mute:
        silent = f"tcp://127.0.0.1:{mute.sockets[0].getsockname()[1]}"
        for endpoint in ("tcp://127.0.0.1:1", silent, babbler, "ipc:///tmp/nobody"):
            assert not await greeting.differs(endpoint, keyed=True)
            assert not await greeting.differs(endpoint, keyed=False)
        for _ in range(2):
            await left.acquire()
