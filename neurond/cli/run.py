"""The verb run: train a network as processes on this machine, and show it."""

from __future__ import annotations

import asyncio
import shlex
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out_json, say, suggest, words
from neurond.cli.start import (
    Anew,
    For,
    Metrics,
    Network,
    Record,
    Resume,
    RunDir,
    Seed,
    Until,
    check_start,
    wanted,
    with_seed,
)
from neurond.cli.top import require_console
from neurond.cli.topologies import DataDir, Set
from neurond.errors import WrongUse
from neurond.until import RESTARTS

if TYPE_CHECKING:
    from rich.segment import Segments

    from monitor.progress import Progress
    from monitor.view import View
    from neurond.api import Work
    from neurond.cli.watch import Watching
    from neurond.runs import Run
    from neurond.supervise import Beside

PICTURE_EVERY_S = 0.5


def run(
    file: Network = None,
    until: Until = None,
    for_: For = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    resume: Resume = None,
    set_: Set = None,
    data_dir: DataDir = None,
    run_dir: RunDir = None,
    restarts: Anew = RESTARTS,
    seed: Seed = None,
    metrics: Metrics = None,
    record: Record = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it in the console, as `neurond top` does.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no summary.")] = False,
    svg: Annotated[Path | None, typer.Option(hidden=True, help="Write what was shown as a picture.")] = None,
) -> None:
    """Train a network as processes on this machine, and show it."""
    target, for_s = wanted(until, for_)
    check_start(file, resume)
    if watch:
        if quiet:
            raise WrongUse("--watch shows the run, --quiet shows nothing: choose one")
        require_console()
    display = _Display(quiet=quiet, picture=svg is not None, watch=watch)
    from neurond.api import run_async

    work = partial(
        run_async,
        file,
        with_seed(set_, seed),
        run_dir=run_dir,
        resume=resume,
        data_dir=data_dir,
        until=target,
        for_s=for_s,
        restarts=restarts,
        on_view=display,
    )

    def conclude(finished: Run) -> None:
        summary = finished.summary
        display.finish(summary)
        if svg is not None:
            svg.write_text(display.svg(summary, f"neurond run {file or finished.path}"), encoding="utf-8")
        if as_json:
            out_json(summary)

    finished = _trained(work, display, metrics, record, conclude)
    if not quiet:
        suggest(f"neurond report {shlex.quote(str(finished.path))}")
        suggest(f"neurond eval {shlex.quote(str(finished.path))}")


def _trained(
    work: Work, display: _Display, metrics: str | None, record: Path | None, conclude: Callable[[Run], None]
) -> Run:
    """The run at its end. One that did not end as it was meant to, and has a summary, is concluded all the same."""
    from neurond.errors import Interrupted, TargetNotReached

    try:
        with display, ExitStack() as stack:
            beside = _beside(stack, metrics, record, display.say)
            finished = asyncio.run(_stoppable(partial(work, beside=beside), display))
    except (Interrupted, TargetNotReached) as error:
        if error.run is not None:
            conclude(error.run)
        raise  # `main` says the rest
    conclude(finished)
    return finished


def _beside(stack: ExitStack, metrics: str | None, record: Path | None, say_so: Callable[[str], None]) -> Beside:
    """What goes on beside the run; where it cannot be, nothing is started yet. The stack ends it."""
    exporter = recorder = None
    if metrics is not None:
        from neurond.cli.metrics import exporter as made

        exporter = stack.enter_context(made(metrics))
        say_so(f"metrics at {exporter.place}")
    if record is not None:
        from monitor.recording import Recorder

        recorder = stack.enter_context(Recorder(record))

    @asynccontextmanager
    async def beside(broker: str) -> AsyncIterator[None]:
        async with AsyncExitStack() as together:
            if exporter is not None:
                await together.enter_async_context(exporter.following(broker, None, time.monotonic, say_so))
            if recorder is not None:
                from monitor.record import recording

                await together.enter_async_context(recording(broker, None, recorder, time.monotonic, say_so))
            yield

    return beside


async def _stoppable(work: Work, display: _Display) -> Run:
    """The run. The first Ctrl-C or SIGTERM stops it in good order, the second one at once.

    A terminal that is closed stops it in good order too, however often that is told.
    """
    from neurond.errors import Interrupted
    from neurond.signals import hangup, heard

    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if stop.is_set():
            task.cancel()
        else:
            stop.set()
            display.say("stopping and saving; Ctrl-C once more to leave at once")

    actions = {signal.SIGINT: interrupt, signal.SIGTERM: interrupt} | dict.fromkeys(hangup(), stop.set)
    try:
        with heard(actions):
            return await display.over(work, stop, interrupt)
    except asyncio.CancelledError:
        if stop.is_set():
            raise Interrupted("interrupted once more: left at once, and the run was not saved") from None
        raise KeyboardInterrupt from None


class _Display:
    """The progress display, made only when there is something to show: the processes start meanwhile."""

    def __init__(self, *, quiet: bool, picture: bool, watch: bool) -> None:
        self._quiet = quiet
        self._watch = watch
        self._watching: Watching | None = None
        self._picture = picture
        self._stack = ExitStack()
        self._progress: Progress | None = None
        self._say: Callable[[str], None] = say
        self._frame: Segments | None = None
        self._framed = 0.0

    def __enter__(self) -> _Display:
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.__exit__(*raised)

    def __call__(self, view: View) -> None:
        """Show the view, if it is time."""
        if self._watching is not None and self._watching(view):
            return
        if self._progress is None:
            from monitor.progress import progress

            console = words()
            self._progress = self._stack.enter_context(progress(console, time.monotonic, quiet=self._quiet))
            self._say = lambda line: console.print(line, soft_wrap=True, markup=False)
        self._progress(view)
        if self._picture:
            self._keep(view)

    def _keep(self, view: View) -> None:
        """Remember the last picture of the network at work."""
        from monitor.picture import frame

        now = time.monotonic()
        if now - self._framed >= PICTURE_EVERY_S and all(line.state == "running" for line in view.lines()):
            self._frame, self._framed = frame(view), now

    def say(self, line: str) -> None:
        """A line of words, above the live display if there is one, or in the console."""
        if self._watching is not None and self._watching.open:
            self._watching.say(line)
        else:
            self._say(line)

    async def over(self, work: Work, stop: asyncio.Event, interrupt: Callable[[], None]) -> Run:
        """The run, shown meanwhile. A console that the user closes leaves the rest to the live display."""
        if not self._watch:
            return await work(stop=stop)
        from neurond.cli.watch import Watching

        self._watching = Watching(lambda came: interrupt() if came == "interrupted" else None)
        return await self._watching.over(work, stop)

    def finish(self, summary: dict[str, Any]) -> None:
        """The summary."""
        if self._progress is None and self._watching is not None:  # the console was there to the end
            from monitor.progress import progress

            progress(words(), time.monotonic).finish(summary)
        elif self._progress is not None:
            self._progress.finish(summary)

    def svg(self, summary: dict[str, Any], command: str) -> str:
        """What was shown, as a picture."""
        from rich.text import Text

        from monitor.dense import AgainstDense
        from monitor.picture import svg

        frames = [] if self._frame is None else [self._frame]
        return svg([Text(f"$ {command}", style="bold"), *frames, AgainstDense(summary)], command)
