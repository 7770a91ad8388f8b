"""What `neurond broker` writes of its own run: the rows, the summary and the result, as `neurond run` does.

The broker only passes on what the processes tell, so its witness listens as any monitor would, in a thread of
its own: the broker's loop never waits for the disk or for a slow terminal.
"""

from __future__ import annotations

import asyncio
import shlex
import signal
import threading
import time
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any, Self

from neurond import runs
from neurond.cli.output import say, suggest
from neurond.errors import Interrupted
from neurond.events import Events
from topology import exits
from topology.plan import BROKER, REPORT_S
from topology.wire import Event, Telemetry

if TYPE_CHECKING:
    from monitor.client import Client
    from monitor.exporter import Exporter
    from monitor.progress import PlainProgress
    from monitor.view import View
    from topology.keys import Keyring

LAST_WORDS_S = 2.0  # for the broker's last event to come, once it has left


class Witness:
    """A context around the serving of a broker.

    Args:
        run: what the broker serves.
        broker: the address that it is bound to.
        keys: the broker's own, where it has some.
        exporter: serves the figures of the run meanwhile, where they are asked for.
        again: its broker takes the place of one that is gone, and its rows follow those of that one's.

    """

    def __init__(
        self,
        run: runs.Run,
        broker: str,
        keys: Keyring | None = None,
        exporter: Exporter | None = None,
        *,
        again: bool = False,
    ) -> None:
        self._run, self._address, self._keys, self._exporter = run, from_here(broker), keys, exporter
        # What was counted is not counted back, though the source may have lost what its journal had yet to sync.
        self._counted = max((row.get("stimuli") or 0 for row in run.metrics), default=0) if again else 0
        self._ended: dict[str, Any] | None = None
        self._trouble: Exception | None = None
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="witness", daemon=True)

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        """The broker has left: hear its last words, if it says any."""
        self._left.set()
        self._thread.join()

    def conclude(self, status: int) -> int:
        """Write the summary and say the result; the exit status, given the broker's.

        Raises Diverged, Interrupted or RunError, as `neurond.conclusion` says.
        """
        from neurond.conclusion import conclude

        # Whoever stops the containers of a run once one of them has ended must not cost it its summary.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self._trouble is not None:
            raise self._trouble
        if self._ended is None:  # it was told to leave at once
            return status
        try:
            conclude(self._run, self._view, self._ended, None, status == exits.INTERRUPTED)
        except Interrupted:
            self._say_result()
            raise
        self._say_result()
        suggest(f"neurond eval {shlex.quote(str(self._run.path))}")
        return status

    def _say_result(self) -> None:
        from monitor.dense import plain_against_dense

        for line in plain_against_dense(self._run.summary):
            say(line)

    def _listen(self) -> None:
        from monitor.progress import PlainProgress  # late, while the processes start: they bring rich
        from monitor.view import View

        plan, path = self._run.plan, str(self._run.path)
        self._view: View = View(plan.processes, plan.name, path, counted=self._counted)
        metrics, self._events = runs.Rows(self._run.path), Events(self._run.path)
        try:
            with PlainProgress(say, time.monotonic) as progress:
                asyncio.run(self._watch(progress, metrics))
        except Exception as error:  # said when the broker is done: no reason to end the training
            self._trouble = error
        finally:
            metrics.close()
            self._events.close()

    async def _watch(self, progress: PlainProgress, metrics: runs.Rows) -> None:
        from monitor.client import Client

        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(Client(self._address, self._keys))
            if self._exporter is not None:
                serving = self._exporter.following(self._address, self._keys, time.monotonic, say)
                await stack.enter_async_context(serving)
            hearing = asyncio.create_task(self._hear(client, progress, metrics))
            leaving = asyncio.create_task(self._until_left())
            done, others = await asyncio.wait((hearing, leaving), return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            for task in done:
                await task

    async def _hear(self, client: Client, progress: PlainProgress, metrics: runs.Rows) -> None:
        due = 0.0
        async for item in client.stream():
            now = time.monotonic()
            self._view.feed_drops = client.drops
            self._view.update(item, now)
            if isinstance(item, Event):
                self._events.append(item, self._view.elapsed_s)
            progress(self._view)
            over = isinstance(item, Event) and (item.name, item.kind) == (BROKER, "ended")
            if self._view.stimuli is not None and (over or (now >= due and isinstance(item, Telemetry))):
                due = now + REPORT_S
                metrics.append(self._view.row())
            if over:
                self._ended = dict(item.data)  # type: ignore[union-attr]
                return

    async def _until_left(self) -> None:
        await asyncio.to_thread(self._left.wait)
        await asyncio.sleep(LAST_WORDS_S)


def from_here(broker: str) -> str:
    """The address at which a broker that is bound to `broker` is reached by its own machine."""
    for everywhere, here in (("tcp://0.0.0.0", "tcp://127.0.0.1"), ("tcp://*", "tcp://127.0.0.1")):
        if broker.startswith(everywhere):
            return here + broker.removeprefix(everywhere)
    return broker
