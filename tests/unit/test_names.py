"""Peers are found by name without libzmq ever looking one up, and found again where they have moved."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from tests.waiting import comes
from topology import names
from topology.names import Connection


class Book:
    """The names that the system knows, in the place of `socket.getaddrinfo`."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.asked = 0
        self.held = threading.Event()
        self.held.set()

    def __call__(self, host: str, *_: object) -> list[tuple[object, ...]]:
        self.asked += 1
        self.held.wait(10)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (self.known[host], 0))]


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[Book]:
    """A book of names that is asked every few milliseconds."""
    made = Book()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    monkeypatch.setattr(names, "LOOK_UP_S", 0.02)
    yield made
    made.held.set()


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    """A ZeroMQ context that must not be left with open sockets."""
    with zmq.Context() as made:
        yield made


def bound(context: zmq.Context[zmq.Socket[bytes]], host: str, port: int = 0) -> tuple[zmq.Socket[bytes], int]:
    """A PULL socket on an address of the loopback, and its port."""
    pull = context.socket(zmq.PULL)
    pull.setsockopt(zmq.LINGER, 0)
    if port:
        pull.bind(f"tcp://{host}:{port}")
    else:
        port = pull.bind_to_random_port(f"tcp://{host}")
    return pull, port


async def test_a_peer_is_found_by_a_name_that_is_known_late(context, book: Book) -> None:
    """What is sent before anybody has the name waits; it arrives once the name is known."""
    pull, port = bound(context, "127.0.0.1")
    push = context.socket(zmq.PUSH)
    connection = Connection(push, f"tcp://peer:{port}")
    await comes(lambda: book.asked > 2, "the name is asked for again and again")
    with pytest.raises(zmq.Again):
        push.send(b"too early", zmq.NOBLOCK)
    book.known["peer"] = "127.0.0.1"
    await comes(lambda: push.poll(0, zmq.POLLOUT), "the peer is found")
    assert connection.endpoint == f"tcp://127.0.0.1:{port}"
    push.send(b"hello", zmq.NOBLOCK)
    await comes(lambda: pull.poll(0), "it arrives")
    assert pull.recv() == b"hello"
    connection.close()
    push.close(0)
    pull.close()


async def test_a_peer_that_moved_is_found_at_its_new_address(context, book: Book) -> None:
    """The same name at another address: what is sent from then on goes there."""
    first, port = bound(context, "127.0.0.1")
    second, _ = bound(context, "127.0.0.2", port)
    book.known["peer"] = "127.0.0.1"
    push = context.socket(zmq.PUSH)
    connection = Connection(push, f"tcp://peer:{port}")
    await comes(lambda: push.poll(0, zmq.POLLOUT), "the peer is found")
    push.send(b"one")
    await comes(lambda: first.poll(0), "it arrives at the first")
    book.known["peer"] = "127.0.0.2"

    def arrives() -> bool:
        if push.poll(0, zmq.POLLOUT):
            push.send(b"two", zmq.NOBLOCK)
        return bool(second.poll(0))

    await comes(arrives, "it arrives at the second")
    assert second.recv() == b"two"
    connection.close()
    for used in (push, first, second):
        used.close(0)


async def test_a_name_that_nobody_answers_holds_nothing_up(context, book: Book) -> None:
    """While the system still looks, frames to others flow, and the process can leave at once."""
    book.held.clear()
    began = time.monotonic()
    with zmq.Context() as own:
        pull, port = bound(own, "127.0.0.1")
        lost, found = own.socket(zmq.PUSH), own.socket(zmq.PUSH)
        connections = [Connection(lost, "tcp://gone:5600"), Connection(found, f"tcp://127.0.0.1:{port}")]
        found.send(b"on time")
        assert pull.recv() == b"on time"
        for connection in connections:
            connection.close()
        for used in (lost, found, pull):
            used.close(0)
    assert time.monotonic() - began < 2
    assert book.asked == 1


async def test_numbers_and_files_are_not_looked_up(context, book: Book) -> None:
    """Only names are: an address is connected to at once, and never asked about."""
    for endpoint in ("tcp://127.0.0.1:5600", "inproc://here"):
        push = context.socket(zmq.PUSH)
        connection = Connection(push, endpoint)
        assert push.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0") == endpoint
        connection.close()
        push.close(0)
    assert book.asked == 0
