"""The verb monitor: a run that goes on elsewhere, shown here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli import which
from neurond.cli.attached import find, hear_interrupts, keys_to_watch
from neurond.cli.output import out_json, words
from neurond.errors import Interrupted
from topology.plan import REPORT_S

if TYPE_CHECKING:
    from monitor.progress import Progress
    from monitor.view import View
    from topology.keys import Keyring


def monitor(
    meant: which.Meant = None,
    broker: which.Broker = None,
    run: which.Run = None,
    keys: which.Keys = None,
    insecure: which.Insecure = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a row of figures every half second, as one JSON object a line.")
    ] = False,
) -> None:
    """Show a run that goes on elsewhere, until it ends.

    It waits for a broker that is not there. Ctrl-C leaves; the run goes on.
    """
    hear_interrupts()
    run = which.either(meant, broker, run)
    at = find(broker, run, keys, insecure, waits=True)
    ring = keys_to_watch(at, keys, insecure)
    from monitor.progress import progress

    console = words()

    def say(line: str) -> None:
        console.print(line, soft_wrap=True, markup=False)

    with progress(console, time.monotonic, quiet=as_json) as shown:
        try:
            view = asyncio.run(_watch(at, ring, shown, say, as_json))
        except KeyboardInterrupt:
            raise Interrupted("left; the run goes on") from None
    shown.finish(view.summary())


async def _watch(
    broker: str, keys: Keyring | None, shown: Progress, say: Callable[[str], None], as_json: bool
) -> View:
    """Show what happens until the run has ended; what was known of it then."""
    from monitor.client import Client
    from monitor.follow import Follower

    row_due = 0.0
    async with Client(broker, keys) as client, aclosing(Follower(client, time.monotonic, say).changes()) as changes:
        async for view in changes:
            shown(view)
            if as_json and view.stimuli is not None and (view.ended or time.monotonic() >= row_due):
                row_due = time.monotonic() + REPORT_S
                out_json(view.row())
            if view.ended:
                break
    return view
