"""Serves what is known of a run to Prometheus over HTTP: beside a run, or for one that goes on elsewhere.

Whoever asks is given `ANSWER_S` to ask and be answered, and at most `AT_ONCE` are served at the same time: others are
turned away, so that half-open connections cost nobody anything. No more than `MOST_ASKED` is read of what they ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from io import BufferedIOBase, StringIO
from socketserver import ThreadingMixIn
from typing import Any, Self, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app

from monitor.beside import beside
from monitor.client import Client
from monitor.follow import Follower
from monitor.metrics import metrics
from monitor.view import View
from topology.keys import Keyring

SCRAPE_S = 5.0  # for the loop of the follower to answer
ANSWER_S = 10.0  # from the connection to the last byte of the answer
AT_ONCE = 16  # connections
MOST_ASKED = 1 << 14  # bytes of a request


class Exporter:
    """A context that serves at ``http://HOST:PORT/metrics``: that there is no broker, until `follow` knows of one.

    Args:
        host: a name or an address of this machine.
        port: 0 is any that is free; `place` says which.

    Raises OSError if it cannot be served there.

    """

    def __init__(self, host: str, port: int) -> None:
        registry = CollectorRegistry()
        registry.register(self)
        self._follower: Follower | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        served = type("Served", (_Server,), {"address_family": family})
        self._server: WSGIServer = make_server(host, port, make_wsgi_app(registry), served, _Handler)
        shown = f"[{host}]" if ":" in host else host
        self.place = f"http://{shown}:{self._server.server_port}/metrics"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def collect(self) -> Iterable[Metric]:
        """The families of metrics as they are now; asked by the registry at each scrape, in a thread of its own."""
        loop = self._loop
        if loop is None:
            return metrics(View(()), {}, False, 0, 0)
        return asyncio.run_coroutine_threadsafe(self._now(), loop).result(SCRAPE_S)

    async def follow(
        self, broker: str, keys: Keyring | None, clock: Callable[[], float], say: Callable[[str], None]
    ) -> None:
        """Serve what is known of the runs at a broker, until cancelled.

        `clock` and `say` are those of `Follower`. Raises BrokerUnreachable as `Follower.changes` does.
        """
        async with Client(broker, keys) as client:
            self._follower = follower = Follower(client, clock, say)
            self._loop = asyncio.get_running_loop()
            try:
                async with aclosing(follower.changes()) as changes:
                    async for _ in changes:
                        pass
            finally:
                self._loop = None

    @asynccontextmanager
    async def following(
        self, broker: str, keys: Keyring | None, clock: Callable[[], float], say: Callable[[str], None]
    ) -> AsyncIterator[None]:
        """`follow`, for as long as the context lasts, beside something that does not end because of it."""

        async def followed() -> None:
            await self.follow(broker, keys, clock, lambda _: None)

        async with beside(followed, "metrics", lambda error: say(f"metrics are not served any more: {error}")):
            yield

    async def _now(self) -> Iterable[Metric]:
        f = self._follower
        assert f is not None
        return metrics(f.view, f.status, f.answers, f.client.drops, f.client.wire_errors)


class _Head:
    """What somebody asks, line by line, up to where it is too long: nobody's header fills our memory."""

    def __init__(self, file: BufferedIOBase) -> None:
        self._file = file
        self._left = MOST_ASKED
        self.close = file.close

    def readline(self, most: int) -> bytes:
        """The next line, at most so many bytes of it; empty at the end. Raises ValueError where that is too long."""
        line = self._file.readline(min(most, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise ValueError("this is no scrape")
        return line


class _Handler(WSGIRequestHandler):
    def setup(self) -> None:
        """Read no more than the head of a request: who gets metrics has nothing else to say."""
        super().setup()
        self.rfile = cast("Any", _Head(self.rfile))

    def get_stderr(self) -> Any:
        """Nowhere: an answer that fails is one that says so to whoever asked."""
        return StringIO()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 4 * AT_ONCE  # so that those who are too many are turned away, and not kept waiting

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._until: dict[socket.socket, float] = {}  # who is being answered -> when it is cut off
        super().__init__(*args, **keywords)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is room for one more."""
        if len(self._until) >= AT_ONCE:
            self.shutdown_request(request)
            return
        self._until[request] = time.monotonic() + ANSWER_S
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread is to be had
            del self._until[request]
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            del self._until[request]

    def service_actions(self) -> None:
        """Cut off whoever takes too long, however often a byte still comes; called a few times a second."""
        now = time.monotonic()
        for request, until in self._until.copy().items():
            if now > until:
                with contextlib.suppress(OSError):  # it has been answered just now
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked has gone, or was too slow."""
