"""MNIST's processes started one by one over ipc, so that a stopwatch can be put into some of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tests.bench.live import DEADLINE_S, overriding, scratch
from tests.bench.report import MeasurementError, Settings
from tests.command import NEUROND, environment
from topology import address

NETWORK = "mnist"
NAMES = ("source", "h1", "h2", "out")


def timed(settings: Settings, mode: str, *overrides: str) -> tuple[dict[str, Any], dict[str, dict[str, float]]]:
    """One run to its end, all processes but the broker under the stopwatch; its summary, and what each process found.

    `overrides` as `--set` takes them.
    """
    sets = overriding(*overrides)
    data = ("--data-dir", str(settings.data_dir))
    with scratch() as folder, _sockets() as at:
        broker = _start([*NEUROND, "broker", NETWORK, "--address", at, "--run", str(folder / "run"), *sets, *data])
        daemon = [sys.executable, "-m", "tests.bench.stopwatch", mode]
        which = {name: ["source", *data] if name == "source" else ["group", name] for name in NAMES}
        started = {name: _start([*daemon, *one, "--broker", at]) for name, one in which.items()}
        said = {name: process.communicate(timeout=10 * DEADLINE_S)[0] for name, process in started.items()}
        broker.communicate(timeout=DEADLINE_S)
        if any(process.returncode for process in (broker, *started.values())):
            raise MeasurementError(f"{NETWORK} by hand did not come to its end")
        summary = json.loads((folder / "run" / "summary.json").read_text())
    return summary, {name: json.loads(words) for name, words in said.items()}


@contextlib.contextmanager
def _sockets() -> Iterator[str]:
    """The address of a broker over ipc, gone afterwards."""
    folder = address.make_folder()
    try:
        yield address.of_folder(folder)
    finally:
        address.remove_folder(folder)


def _start(command: Sequence[str]) -> subprocess.Popen[str]:
    quiet = subprocess.DEVNULL
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(), stdin=quiet, stdout=pipe, stderr=quiet, text=True)
