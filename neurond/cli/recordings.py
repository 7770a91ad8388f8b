"""The verbs record and replay: what a run told, kept in a file, and told again."""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli import which
from neurond.cli.attached import find, hear_interrupts, keys_to_watch
from neurond.cli.output import out, say, suggest
from neurond.errors import RunError, WrongUse
from topology import address

if TYPE_CHECKING:
    from monitor.recording import Recorder, Recording
    from topology.keys import Keyring

MB = 1e6  # bytes
SHORT = "the recording ends here, before the run did, and stands still; Ctrl-C leaves"


def record(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; must not be there yet.")],
    broker: which.Broker = None,
    run: which.Run = None,
    keys: which.Keys = None,
    insecure: which.Insecure = False,
    most: Annotated[
        float | None,
        typer.Option("--most", metavar="MB", help="Stop when the file has so many times 10^6 bytes."),
    ] = None,
) -> None:
    """Record what the processes of a run tell, to its end, to be looked at again with replay. Prints the file.

    It waits for a broker that is not there. Ctrl-C ends the recording; the run goes on.
    """
    if most is not None and not 0 < most < float("inf"):
        raise WrongUse(f"--most {most:g}: a finite size above zero is expected")
    hear_interrupts()
    at = find(broker, run, keys, insecure, waits=True)
    ring = keys_to_watch(at, keys, insecure)
    from monitor.recording import Recorder

    whole = False
    with Recorder(file, float("inf") if most is None else most * MB) as into:
        try:
            whole = asyncio.run(_record(at, ring, into))
        except KeyboardInterrupt:
            say("neurond: left; the run goes on")
        else:
            if not whole:
                say(f"neurond: {file} has its {most:g} MB; the run goes on")
    say(f"{into.messages:,} messages, {into.size / MB:.2f} MB")
    out(str(file))
    suggest(f"neurond replay {shlex.quote(str(file))}")


async def _record(broker: str, keys: Keyring | None, into: Recorder) -> bool:
    from monitor.client import Client
    from monitor.record import record as recorded

    async with Client(broker, keys) as client:
        try:
            return await recorded(client, into, time.monotonic, say)
        finally:
            if client.drops or client.wire_errors:
                lost = f"{client.drops:,} messages came faster than they could be written"
                say(f"neurond: {lost}, and {client.wire_errors:,} could not be read: they are not in it")


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording.")],
    speed: Annotated[float, typer.Option(metavar="N", help="How many times as fast as it was.")] = 1.0,
    at: Annotated[
        str | None,
        typer.Option("--address", metavar="ADDRESS", help="Where to play it; an ipc folder of its own if not given."),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="An address that is tcp; there are no keys.")] = False,
) -> None:
    """Play a recording where monitor, top, metrics and status find it as if the run went on. Prints the address.

    It begins when somebody watches, and leaves with the end of the run. Nothing in it can be changed.
    """
    if not 0 < speed < float("inf"):
        raise WrongUse(f"--speed {speed:g}: a number above zero is expected")
    if at is not None:
        address.control(at)  # raises what `main` explains if it is no address
        if address.folder(at) is None and not insecure:
            raise WrongUse("a replay on tcp has no keys, so anybody there could watch: say --insecure, or use ipc")
    hear_interrupts()
    from monitor.recording import Recording

    with Recording(file) as recording, _place(at) as where:
        played = True
        try:
            played = asyncio.run(_replay(recording, speed, where, insecure))
        except KeyboardInterrupt:
            say("neurond: left")
        if recording.torn:
            say(f"neurond: {file} is {recording.torn}")
        if not played:
            raise RunError(f"there is nothing in {file} that could be played")


@contextmanager
def _place(given: str | None) -> Iterator[str]:
    """The address that was given, or one in a folder that is removed again."""
    if given is not None:
        yield given
        return
    from neurond.launch import socket_folder

    folder, word = socket_folder()
    if word:
        say(word)
    try:
        yield address.of_folder(folder)
    finally:
        address.remove_folder(folder)


async def _replay(recording: Recording, speed: float, where: str, insecure: bool) -> bool:
    """Play it; false if there is nothing to be played."""
    from monitor.replay import Replay
    from monitor.stage import Stage

    played = Replay(recording, speed, secrets.randbits(64), os.getpid())
    if played.due is None:
        return False
    with closing(Stage(where)) as stage:
        out(where)
        suggest(f"neurond monitor --broker {where}{' --insecure' if insecure else ''}")
        await stage.play(played, speed, time.monotonic, lambda: say(f"neurond: {SHORT}"))
    return True
