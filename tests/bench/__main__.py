"""Measure every promised number with real processes, and print goal, figure and command of each.

The table goes to standard output, progress to standard error. It takes a quarter of an hour; leave the machine
alone meanwhile. A goal that is missed is no failure of the benchmark: only what could not be measured makes the
exit code 1 (PyTorch excepted, which is not needed for anything else).
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from neurond import NeurondError
from neurond.data import DataError
from neurond.environment import environment
from tests.bench import kept
from tests.bench.adam import adam
from tests.bench.console import console
from tests.bench.curve import curve
from tests.bench.frugal import frugal
from tests.bench.hop import hop
from tests.bench.journalling import journalling
from tests.bench.latency import latency
from tests.bench.learning import digits, exact, mnist
from tests.bench.onlooker import onlooker
from tests.bench.processes import idle, memory, start
from tests.bench.reaching import reaching
from tests.bench.report import MeasurementError, Row, Settings, say, text
from tests.bench.scaling import scaling
from tests.bench.telemetry import telemetry
from tests.bench.throughput import throughput

MEASUREMENTS: dict[str, Callable[[Settings], list[Row]]] = {
    "digits": digits,
    "mnist": mnist,
    "frugal": frugal,
    "adam": adam,
    "throughput": throughput,
    "reaching": reaching,
    "latency": latency,
    "hop": hop,
    "scaling": scaling,
    "journal": journalling,
    "curve": curve,
    "exact": exact,
    "start": start,
    "idle": idle,
    "memory": memory,
    "telemetry": telemetry,
    "console": console,
    "onlooker": onlooker,
}
BESIDE = Path(__file__).resolve().parents[3] / "shared" / "data"


def main() -> int:
    """Measure what was asked for and print it; returns the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwind as for Ctrl-C: no network is left running
    data_dir = Path(options.data_dir or os.environ.get("NEUROND_DATA") or BESIDE).absolute()
    torch_python = options.torch_python or os.environ.get("NEUROND_BENCH_TORCH") or None
    settings = Settings(data_dir, torch_python, options.seeds, options.pairs, options.quick)
    rows: list[Row] = []
    failed = False
    here = environment()
    found = kept.read(options.json) if options.json is not None else {}
    for name in options.only or MEASUREMENTS:
        say(f"measuring {name}")
        load = ", ".join(f"{n:.2f}" for n in os.getloadavg())
        began = time.monotonic()
        try:
            now = MEASUREMENTS[name](settings)
        except (MeasurementError, NeurondError, DataError, AssertionError, subprocess.SubprocessError) as error:
            why = str(error).partition("\n")[0]
            now = [Row(name, "-", why.partition(";")[0], None, "not measured", [why])]
            failed |= not why.startswith("PyTorch not installed")
        if options.quick:  # nothing is judged by a run that is not the promised one
            now = [replace(row, met=None) for row in now]
        say(f"measured {name} in {time.monotonic() - began:.0f} s")
        rows += now
        found[name] = kept.measured(now, here, load, quick=options.quick)
        if options.json is not None:
            kept.write(options.json, found)
    quick = "; --quick: NOT the promised conditions" if options.quick else ""
    print(text(rows, f"neurond, {os.cpu_count()} cores{quick}"))
    if options.page is not None:
        figures = "" if options.json is None else options.json.name
        command = shlex.join(["python", "-m", "tests.bench", *_written(options)])
        in_order = {name: found[name] for name in MEASUREMENTS if name in found}
        options.page.write_text(kept.page(in_order, figures, command))
    return int(failed)


def _written(options: argparse.Namespace) -> list[str]:
    """The options by which the page was written."""
    given = {"--json": options.json, "--page": options.page}
    return [part for name, path in given.items() if path is not None for part in (name, str(path))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only",
        action="append",
        choices=MEASUREMENTS,
        metavar="NAME",
        help=f"one of {', '.join(MEASUREMENTS)}; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="everything once and short, to see that it works")
    parser.add_argument("--seeds", type=_positive, default=3, metavar="N", help="seeds of the MNIST rows (3)")
    parser.add_argument("--pairs", type=_positive, default=5, metavar="N", help="pairs of the throughput (5)")
    parser.add_argument("--data-dir", metavar="DIR", help="folder that holds mnist/ (or NEUROND_DATA)")
    parser.add_argument("--torch-python", metavar="PATH", help="an interpreter with PyTorch (or NEUROND_BENCH_TORCH)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every single measurement in this file")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write all that is kept as a page")
    return parser.parse_args()


def _positive(text: str) -> int:
    n = int(text)
    if n < 1:
        raise ValueError(text)
    return n


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(130)
