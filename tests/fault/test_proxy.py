"""The proxy of the tests does to connections what it says."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.fault.proxy import DOWN, UP, Proxy
from tests.waiting import until


def echo(connection: socket.socket) -> None:
    """Sends back what comes, until the connection ends."""
    with connection, contextlib.suppress(OSError):
        while data := connection.recv(65536):
            connection.sendall(data)


@pytest.fixture
def server() -> Iterator[int]:
    """The port of a server that sends everything back."""
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    """A proxy of that server."""
    with Proxy(server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[socket.socket]:
    """A connection through the proxy, which works."""
    with connected(proxy) as client:
        yield client


def connected(proxy: Proxy) -> socket.socket:
    """A connection through the proxy."""
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=10.0)
    try:
        round_trip(client)
    except OSError:
        client.close()
        raise
    return client


def echoed(client: socket.socket, sent: bytes) -> bytes:
    """As many bytes as were sent, as they come back."""

    def send() -> None:
        with contextlib.suppress(OSError):  # the receiver will see it too
            client.sendall(sent)

    sender = threading.Thread(target=send)
    sender.start()
    got = bytearray()
    while len(got) < len(sent):
        data = client.recv(65536)
        if not data:
            raise ConnectionResetError("ended")
        got += data
    sender.join()
    return bytes(got)


def round_trip(client: socket.socket, size: int = 10) -> float:
    """Seconds that so many bytes take there and back."""
    began = time.monotonic()
    echoed(client, bytes(size))
    return time.monotonic() - began


def nothing_comes(client: socket.socket, wait_s: float = 0.3) -> None:
    """Nothing is received for a while, and the connection does not end either."""
    client.settimeout(wait_s)
    with pytest.raises(TimeoutError):
        client.recv(1)
    client.settimeout(10.0)


def test_it_passes_everything_on(client: socket.socket) -> None:
    """Megabytes come through whole, in their order."""
    sent = random.Random(1).randbytes(3_000_000)
    assert echoed(client, sent) == sent


def test_delay(proxy: Proxy, client: socket.socket) -> None:
    """Each direction is as late as it is told to be, and on time again when it is healed."""
    proxy.behave(UP, delay_s=0.2)
    proxy.behave(DOWN, delay_s=0.1)
    assert round_trip(client) >= 0.3
    proxy.heal()
    assert min(round_trip(client) for _ in range(5)) < 0.1


def test_bandwidth(proxy: Proxy, client: socket.socket) -> None:
    """So many bytes a second pass, and no more."""
    proxy.behave(UP, bytes_per_s=1e6)
    assert round_trip(client, 500_000) >= 0.4


def test_reset(proxy: Proxy, client: socket.socket) -> None:
    """Connections are reset, and the next one works."""
    proxy.reset()
    with pytest.raises(ConnectionError):
        round_trip(client)
    connected(proxy).close()


def test_refuse(proxy: Proxy, client: socket.socket) -> None:
    """Every connection is reset until it heals."""
    proxy.refuse()
    with pytest.raises(ConnectionError):
        round_trip(client)
    with pytest.raises(ConnectionError):
        connected(proxy)
    proxy.heal()
    connected(proxy).close()


def test_black_hole(proxy: Proxy, client: socket.socket) -> None:
    """What is sent is taken and never arrives; when it heals, the connection has ended and the next one works."""
    proxy.behave(UP, swallow=True)
    client.sendall(b"lost")
    until(lambda: proxy.swallowed == 4, "it is swallowed")
    nothing_comes(client)
    proxy.heal()
    with pytest.raises(ConnectionError):
        round_trip(client)
    connected(proxy).close()


def test_half_open(proxy: Proxy, client: socket.socket) -> None:
    """One direction stands still without a word, the other goes on; what was held arrives when it heals."""
    proxy.behave(DOWN, hold=True)
    client.sendall(b"held")
    nothing_comes(client)
    proxy.heal()
    assert client.recv(4) == b"held"


def test_move(proxy: Proxy, client: socket.socket) -> None:
    """The server behind may be another, or none at all."""
    proxy.move(1)  # nobody listens there
    with pytest.raises(ConnectionError):
        round_trip(client)
    with pytest.raises(ConnectionError):
        connected(proxy)


def test_nothing_is_left(server: int) -> None:
    """A closed proxy has no thread and no port, whatever was under way."""
    threads = threading.active_count()
    with Proxy(server) as proxy:
        client = connected(proxy)
        proxy.behave(hold=True)
        client.sendall(b"held")
    with pytest.raises(ConnectionError), client:
        round_trip(client)
    with pytest.raises(ConnectionRefusedError):
        connected(proxy)
    until(lambda: threading.active_count() <= threads, "its threads are gone")
