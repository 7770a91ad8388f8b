"""A daemon under the stopwatch: everything is the daemon's own but for what is timed, or left out.

    python -m tests.bench.stopwatch MODE group h1 --broker ADDRESS

untold    it beats, but gathers, packs and sends no reports: what telemetry is compared with
reports   the processor time of the loop's thread in its reports; libzmq's own thread is not in that
hop       that of the whole process from the first frame on, and how much of it is in the products with the weights

At its end it says in one line of JSON on standard output what it found: `calls` and `cpu_s` of what is timed, and for
a hop also `process_s` of the whole and `learn_s` of the part of `cpu_s` in which weights learned.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from neurond import daemon
from neurond.dendrites import Dendrites
from neurond.group import GroupMachine
from topology import wire

UNTOLD, REPORTS, HOP = "untold", "reports", "hop"


class Watch:
    """Processor time of the thread in some methods."""

    def __init__(self) -> None:
        self.calls = 0
        self.cpu_s = 0.0

    def on(self, owner: type, name: str) -> None:
        """Time this method from now on."""
        method: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **keywords: Any) -> Any:
            began = time.thread_time()
            try:
                return method(*arguments, **keywords)
            finally:
                self.calls += 1
                self.cpu_s += time.thread_time() - began

        setattr(owner, name, timed)


def _beat(self: daemon.Daemon) -> None:
    """What `Daemon._report` does, but for the report."""
    assert self._machine is not None
    self._control.send(wire.Beat(self._machine.progress))


def main() -> int:
    """Run the daemon to its end; returns its exit status."""
    mode, arguments = sys.argv[1], sys.argv[2:]
    watch, learning = Watch(), Watch()
    began = [0.0]
    if mode == REPORTS:
        watch.on(daemon.Daemon, "_report")
    elif mode == UNTOLD:
        daemon.Daemon._report = _beat  # type: ignore[method-assign]
    else:
        for name in ("sum", "back"):
            watch.on(Dendrites, name)
        learning.on(Dendrites, "learn")
        handle = GroupMachine.handle

        def first(self: GroupMachine, *event: Any) -> Any:
            began[0] = time.process_time()
            GroupMachine.handle = handle  # type: ignore[method-assign]
            return handle(self, *event)

        GroupMachine.handle = first  # type: ignore[method-assign]
    status = daemon.main(arguments)
    found = {"calls": watch.calls, "cpu_s": watch.cpu_s + learning.cpu_s, "learn_s": learning.cpu_s}
    print(json.dumps(found | {"process_s": time.process_time() - began[0]}))
    return status


if __name__ == "__main__":
    sys.exit(main())
