"""The verb top: the console of a run, in this terminal or in a browser."""

from __future__ import annotations

import asyncio
import locale
import os
import shlex
import shutil
import signal
import sys
import time
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli import which
from neurond.cli.attached import again, find, keys_to_watch
from neurond.cli.metrics import place_of
from neurond.cli.output import missing, out, out_json, say, suggest
from neurond.errors import Interrupted, RunError, WrongUse
from topology import address
from topology.address import BrokerUnreachable

if TYPE_CHECKING:
    from monitor.follow import Follower
    from topology.keys import Keyring

LISTEN = "127.0.0.1:5580"
ANSWER_S = 3.0  # for a broker to answer where one look is wanted
LOOK_S = 2.5  # for each process to report twice: rates need two reports
UNBOUND = 160  # characters of a line that no terminal bounds
IN_BROWSER = "TEXTUAL_DRIVER"  # set for the processes that the web server starts


def top(
    meant: which.Meant = None,
    broker: which.Broker = None,
    run: which.Run = None,
    keys: which.Keys = None,
    insecure: which.Insecure = False,
    readonly: Annotated[
        bool | None,
        typer.Option("--readonly/--commands", help="Only look, or command as well; in a browser one only looks."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print the groups and links once, and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As --once, all views as one JSON object.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the console to a browser.")] = False,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where --web serves it.")] = LISTEN,
    ascii_only: Annotated[
        bool, typer.Option("--ascii", help="Draw with ASCII alone, as where the locale is no UTF-8.")
    ] = False,
    light: Annotated[bool, typer.Option("--light", help="Dark letters on a light ground.")] = False,
) -> None:
    """Show a run in a console: groups, links, spikes, curves, events, graph.

    It waits for a broker that is not there. Press ? for the keys; q leaves, and the run goes on.
    """
    if (once or as_json) and web:
        raise WrongUse("--once prints here, --web serves a browser: choose one")
    ascii_only = ascii_only or not speaks_utf8()
    if not web and not (once or as_json):
        require_console()
    run = which.either(meant, broker, run)
    at = find(broker, run, keys, insecure, waits=not (once or as_json))
    if once or as_json:
        shown = asyncio.run(_once(at, keys_to_watch(at, keys, insecure), as_json, ascii_only))
        if as_json:
            out_json(shown)
        else:
            out(shown)
            suggest(again("top", broker, run))
        return
    if web:
        options = ["--commands" if readonly is False else "--readonly", *(["--light"] if light else [])]
        _serve(at, keys, insecure, listen, options)
        return
    came = asyncio.run(_console(at, keys_to_watch(at, keys, insecure), readonly is True, ascii_only, light))
    if came == "interrupted":
        raise Interrupted("left; the run goes on")


def speaks_utf8() -> bool:
    """Whether the user's locale, or the browser, shows more than ASCII."""
    return IN_BROWSER in os.environ or "utf" in locale.getpreferredencoding(False).lower()


def require_console() -> None:
    """Raise what keeps a console from being shown here: no terminal, or no Textual."""
    if IN_BROWSER not in os.environ and not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise WrongUse("a console needs a terminal; `neurond top --once` prints a look, `neurond monitor` lines")
    try:
        import textual  # noqa: F401 - an extra
    except ImportError:
        raise missing("textual") from None


async def _console(broker: str, ring: Keyring | None, readonly: bool, ascii_only: bool, light: bool) -> str | None:
    """The console until it is left, and its result."""
    from monitor.client import Client
    from monitor.console.app import Console
    from monitor.follow import Follower

    async with Client(broker, ring) as client:
        follower = Follower(client, time.monotonic, lambda words: console.say(words))
        console = Console(
            follower, follower.now, None if readonly else client.command, ascii_only=ascii_only, light=light
        )

        async def follow() -> None:
            async with aclosing(follower.changes()) as changes:
                async for _ in changes:
                    pass

        following = asyncio.create_task(follow())
        following.add_done_callback(lambda _: console.exit())
        try:
            came = await shown(console)
        finally:
            if following.done() and not following.cancelled():
                following.result()  # the broker refuses our key
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following
        if came is None:
            view = follower.view
            suggest(f"neurond eval {shlex.quote(view.run)}" if view.ended else "neurond ps")
        return came


async def shown(console: Any) -> str | None:
    """Run a console in this loop until it is left; signals leave it with the terminal as it was."""
    loop = asyncio.get_running_loop()
    numbers = [n for name in ("SIGINT", "SIGTERM", "SIGHUP") if (n := getattr(signal, name, None))]
    for number in numbers:
        loop.add_signal_handler(number, console.exit, "interrupted")
    try:
        came: str | None = await console.take_terminal()
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
    if console.return_code:
        raise RunError("the console has failed; the run goes on")
    return came


async def _once(broker: str, ring: Keyring | None, as_json: bool, ascii_only: bool) -> Any:
    """One look at a run: as soon as every process has reported twice, or after `LOOK_S`."""
    from monitor.client import Client
    from monitor.console.snapshot import snapshot
    from monitor.follow import Follower

    async with Client(broker, ring) as client:
        follower = Follower(client, time.monotonic, lambda _: None)
        answered = False
        try:
            async with asyncio.timeout(ANSWER_S) as patience, aclosing(follower.changes()) as changes:
                async for view in changes:
                    if not answered:
                        answered = True
                        patience.reschedule(asyncio.get_running_loop().time() + LOOK_S)
                    if view.ended or all(len(process.marks) > 1 for process in view.processes):
                        break
        except TimeoutError:
            if not follower.status:
                raise BrokerUnreachable(address.unanswered(broker)) from None
        now = follower.now()
        return snapshot(follower.view, now, follower.status) if as_json else _text(follower, now, ascii_only)


def _text(follower: Follower, now: float, ascii_only: bool) -> str:
    """The groups and the links, as wide as the terminal; where there is none, with all they have."""
    from monitor.console.head import progress, quality
    from monitor.console.page import Glyphs, Look, Spans, text_of
    from monitor.console.views import VIEWS

    width, height = shutil.get_terminal_size((UNBOUND, 24))
    glyphs, view = Glyphs(ascii_only), follower.view
    word = view.standing(follower.status)
    if (replay := follower.status.get("replay")) is not None:
        word += f", replay {replay['speed']:g}x"
    rows: list[Spans] = [progress(view, word, width, glyphs), quality(view, width, glyphs)]
    for name in ("groups", "links"):
        page = VIEWS[name](view, now, width, height, glyphs, Look())
        rows += [[], *page.heads, *page.rows]
    return "\n".join(text_of(row).rstrip() for row in rows)


def _serve(broker: str, keys: str | None, insecure: bool, listen: str, options: list[str]) -> None:
    """Serve the console to browsers, each with a process of its own, until told to leave."""
    host, port = place_of(listen)
    try:
        from monitor.console.web import serve
    except ImportError:
        raise missing("textual-serve") from None
    keys_to_watch(broker, keys, insecure)  # raises now what every browser would be told later
    words = [sys.executable, "-m", "neurond", "top", "--broker", broker, *options]
    words += ["--keys", str(Path(keys).absolute())] if keys is not None else []
    words += ["--insecure"] if insecure else []
    only = "" if "--commands" in options else ", read-only"
    try:
        serve(
            shlex.join(words), host, port, lambda url: say(f"the console of {broker} at {url}{only}; Ctrl-C ends it")
        )
    except OSError as error:
        raise RunError(f"cannot serve at {listen}: {os.strerror(error.errno or 0)}") from error
