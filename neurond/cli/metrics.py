"""The verb metrics, and the flag --metrics: what is known of a run, served to Prometheus."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli import which
from neurond.cli.attached import find, hear_interrupts, keys_to_watch
from neurond.cli.output import missing, say
from neurond.errors import RunError, WrongUse

if TYPE_CHECKING:
    from monitor.exporter import Exporter

HERE = "127.0.0.1"
LISTEN = f"{HERE}:9464"

_PLACE = re.compile(r"(?:(?P<host>\[[0-9a-fA-F:.]+\]|[^:\s]+):)?(?P<port>[0-9]{1,5})")


def metrics(
    meant: which.Meant = None,
    broker: which.Broker = None,
    run: which.Run = None,
    keys: which.Keys = None,
    insecure: which.Insecure = False,
    listen: Annotated[
        str, typer.Option(envvar="NEUROND_LISTEN", metavar="HOST:PORT", help="Where to serve them; port 0 is any.")
    ] = LISTEN,
) -> None:
    """Serve the figures of a run that goes on elsewhere to Prometheus, until told to leave.

    It waits for a broker that is not there, and goes on with the next run at the same address.
    """
    hear_interrupts()
    run = which.either(meant, broker, run)
    at = find(broker, run, keys, insecure, waits=True)
    ring = keys_to_watch(at, keys, insecure)
    with exporter(listen) as serving:
        say(f"metrics of {at} at {serving.place}")
        try:
            asyncio.run(serving.follow(at, ring, time.monotonic, say))
        except KeyboardInterrupt:
            say("neurond: left; the run goes on")


def place_of(listen: str) -> tuple[str, int]:
    """Host and port of what the user wrote, of this machine alone for a bare port; WrongUse if it is neither."""
    found = _PLACE.fullmatch(listen)
    if found is None or int(found["port"]) > 65535:
        raise WrongUse(f"{listen!r} is no HOST:PORT, such as {LISTEN}")
    return (found["host"] or HERE).strip("[]"), int(found["port"])


def exporter(place: str) -> Exporter:
    """What serves at ``HOST:PORT``, or at a port of this machine alone; bound already.

    Raises WrongUse, or RunError where it cannot be served there or the library for it is missing.
    """
    host, port = place_of(place)
    try:
        import prometheus_client  # noqa: F401 - an extra; its place is monitor.metrics
    except ImportError:
        raise missing("prometheus-client") from None
    from monitor.exporter import Exporter

    try:
        return Exporter(host, port)
    except OSError as error:
        raise RunError(f"cannot serve at {host}:{port}: {error.strerror}") from error
