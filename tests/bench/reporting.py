"""A daemon whose reports are left out, or timed: what a network is measured with to tell what telemetry costs.

Everything else is the daemon's own (``python -m tests.bench.reporting untold group h1 --broker ADDRESS``). Untold,
it beats but gathers, packs and sends nothing. Timed, it says at its end, in a line of JSON on standard output, how
many reports it made and the processor time of the loop's thread in them (s); libzmq's own thread is not in that.
"""

from __future__ import annotations

import json
import sys
import time

from neurond import daemon
from topology import wire

UNTOLD, TIMED = "untold", "timed"


def _beat(self: daemon.Daemon) -> None:
    """What `Daemon._report` does, but for the report."""
    assert self._machine is not None
    self._control.send(wire.Beat(self._machine.progress))


def main() -> int:
    """Run the daemon to its end; returns its exit status."""
    how, arguments = sys.argv[1], sys.argv[2:]
    report, spent = daemon.Daemon._report, [0, 0.0]

    def timed(self: daemon.Daemon) -> None:
        began = time.thread_time()
        report(self)
        spent[0] += 1
        spent[1] += time.thread_time() - began

    daemon.Daemon._report = timed if how == TIMED else _beat  # type: ignore[method-assign]
    status = daemon.main(arguments)
    print(json.dumps({"reports": spent[0], "cpu_s": spent[1]}))
    return status


if __name__ == "__main__":
    sys.exit(main())
