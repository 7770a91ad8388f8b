"""Serves what is known of a run to Prometheus over HTTP: beside a run, or for one that goes on elsewhere.

Whoever asks is given `ANSWER_S` to ask and be answered, and at most `AT_ONCE` are served at the same time: others are
turned away, so that half-open connections cost nobody anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from socketserver import ThreadingMixIn
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Metric, make_wsgi_app

from monitor.client import Client
from monitor.follow import Follower
from monitor.metrics import metrics
from monitor.view import View
from topology.keys import Keyring

SCRAPE_S = 5.0  # for the loop of the follower to answer
ANSWER_S = 10.0  # from the connection to the last byte of the answer
AT_ONCE = 16  # connections


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
            try:
                await self.follow(broker, keys, clock, lambda _: None)
            except Exception as error:
                say(f"metrics are not served any more: {error}")

        task = asyncio.create_task(followed(), name="metrics")
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _now(self) -> Iterable[Metric]:
        f = self._follower
        assert f is not None
        return metrics(f.view, f.status, f.answers, f.client.drops, f.client.wire_errors)


class _Handler(WSGIRequestHandler):
    timeout = ANSWER_S  # of a single read or write

    def get_stderr(self) -> Any:
        """Nowhere: an answer that fails is one that says so to whoever asked."""
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape every few seconds is no news."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 4 * AT_ONCE  # so that those who are too many are turned away, and not kept waiting

    def __init__(self, *args: Any, **keywords: Any) -> None:
        self._room = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(*args, **keywords)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, if there is room for one more."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and cut the connection where that takes too long, however often a byte still comes."""
        patience = threading.Timer(ANSWER_S, _cut, [request])
        patience.daemon = True
        patience.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            patience.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked has gone, or was too slow."""


def _cut(request: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has been answered just now
        request.shutdown(socket.SHUT_RDWR)
