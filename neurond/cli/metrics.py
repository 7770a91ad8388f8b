"""The verb metrics: what is known of a run, served to Prometheus."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli.monitor import Broker, Insecure, Keys, keys_of
from neurond.cli.output import say
from neurond.errors import RunError, WrongUse
from topology import address

if TYPE_CHECKING:
    from prometheus_client import Metric

    from monitor.follow import Follower
    from topology.keys import Keyring

LISTEN = "127.0.0.1:9464"
SCRAPE_S = 5.0  # for our own loop to answer

_PLACE = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):(?P<port>[0-9]{1,5})")


def metrics(
    broker: Broker = address.DEFAULT,
    keys: Keys = None,
    insecure: Insecure = False,
    listen: Annotated[
        str, typer.Option(envvar="NEUROND_LISTEN", metavar="HOST:PORT", help="Where to serve them; port 0 is any.")
    ] = LISTEN,
) -> None:
    """Serve the figures of a run that goes on elsewhere to Prometheus, until told to leave.

    It waits for a broker that is not there, and goes on with the next run at the same address.
    """
    address.control(broker)  # raises what `main` explains if it is no address
    ring = keys_of(broker, keys, insecure)
    host, port = place_of(listen)
    try:
        import prometheus_client  # noqa: F401 - an extra; its place is monitor.metrics
    except ImportError:
        raise RunError("prometheus-client is not installed: pip install 'neurond[metrics]'") from None
    try:
        asyncio.run(_serve(broker, ring, host, port))
    except KeyboardInterrupt:
        say("neurond: left; the run goes on")


def place_of(listen: str) -> tuple[str, int]:
    """Host and port of what the user wrote for --listen; WrongUse if it is no such place."""
    place = _PLACE.fullmatch(listen)
    if place is None or int(place["port"]) > 65535:
        raise WrongUse(f"{listen!r} is no HOST:PORT, such as {LISTEN}")
    return place["host"].strip("[]"), int(place["port"])


async def _serve(broker: str, keys: Keyring | None, host: str, port: int) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    from monitor.client import Client
    from monitor.follow import Follower

    async with Client(broker, keys) as client:
        follower = Follower(client, time.monotonic, say)
        registry = CollectorRegistry()
        registry.register(_Scraped(follower))
        try:
            server, _ = start_http_server(port, host, registry)
        except OSError as error:
            raise RunError(f"cannot serve at {host}:{port}: {error.strerror}") from error
        try:
            shown = f"[{host}]" if ":" in host else host
            say(f"metrics of {broker} at http://{shown}:{server.server_port}/metrics")
            async with aclosing(follower.changes()) as changes:
                async for _ in changes:
                    pass
        finally:
            server.shutdown()
            server.server_close()


class _Scraped:
    """What the registry asks at each scrape, in a thread of the server's: the answer is made in the loop."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._loop = asyncio.get_running_loop()

    def collect(self) -> Iterable[Metric]:
        """The families of metrics as they are now."""
        return asyncio.run_coroutine_threadsafe(self._now(), self._loop).result(SCRAPE_S)

    async def _now(self) -> Iterable[Metric]:
        from monitor.metrics import metrics

        f = self._follower
        return metrics(f.view, f.status, f.answers, f.client.drops, f.client.wire_errors)
