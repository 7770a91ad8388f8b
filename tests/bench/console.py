"""What the console costs: processor time beside 12 and 100 groups, and the time of one look.

The groups are reports as a chain of so many would send them, twice a second each, from a broker that only looks like
one: a hundred real groups would leave the console no processor to be measured on.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import zmq

from tests.bench.live import scratch
from tests.bench.report import Row, Settings, say, spread
from tests.command import NEUROND, environment
from tests.watched import chain, reports
from topology import address, feed, wire
from topology.plan import REPORT_S

SIZES = (12, 100)
ROWS, COLUMNS = 60, 200
GOAL_PERCENT = 20.0  # of a core, with 100 groups
SETTLE_S = 6.0
VIEWS = "123456"


def console(settings: Settings) -> list[Row]:
    """Processor time of `neurond top` on each view in turn, and how long one look takes."""
    seconds = 1.0 if settings.quick else 4.0
    rows = []
    for groups in SIZES:
        with scratch() as folder, _pretended(folder, groups) as at:
            used = _used(folder, at, seconds)
            looks = [_look(folder, at) for _ in range(1 if settings.quick else 5)]
        percents = [used[view] for view in VIEWS]
        say(f"console, {groups} groups: " + ", ".join(f"view {v} {used[v]:.1f} %" for v in VIEWS))
        rows.append(
            Row(
                f"console, {groups} groups",
                f"< {GOAL_PERCENT:g} % of a core on any view, {COLUMNS} x {ROWS}",
                spread(percents, "{:.1f}", "%"),
                max(percents) < GOAL_PERCENT,
                f"neurond top, {seconds:g} s on each of its views",
                [f"one look (neurond top --once): {spread(looks, unit='s')}"],
                {"percent": used, "look_s": looks},
            )
        )
    return rows


@contextlib.contextmanager
def _pretended(folder: Path, groups: int) -> Iterator[str]:
    """The address of a broker that publishes the reports of a chain of so many groups, and answers `status`."""
    at, names = f"ipc://{folder}/s", chain(groups)
    (folder / "s").mkdir(mode=0o700)
    ended = threading.Event()

    def serve() -> None:
        context = zmq.Context()
        router, publisher = context.socket(zmq.ROUTER), context.socket(zmq.PUB)
        router.bind(address.control(at))
        publisher.bind(address.telemetry_out(at))
        n, due = 0, time.monotonic()
        while not ended.is_set():
            if router.poll(max(0, int(1000 * (due - time.monotonic())))):
                route, asked = router.recv_multipart()
                command = wire.unpack(asked)
                assert isinstance(command, wire.Command)
                status = {
                    "run": "chain",
                    "run_dir": "runs/chain",
                    "state": "running",
                    "processes": dict.fromkeys(names),
                }
                router.send_multipart([route, wire.pack(wire.Reply(command.id, True, status))])
            if time.monotonic() >= due:
                n, due = n + 1, due + REPORT_S
                for report in reports(names, n):
                    publisher.send_multipart(feed.telemetry_frames(report.name, wire.pack(report)))
        router.close(0)
        publisher.close(0)
        context.term()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield at
    finally:
        ended.set()
        thread.join()


def _used(folder: Path, at: str, seconds: float) -> dict[str, float]:
    """View -> percent of a core of a console on a terminal that somebody reads."""
    used = {}
    with opened(folder, at) as (terminal, process):
        watched = psutil.Process(process.pid)
        time.sleep(SETTLE_S)
        for view in VIEWS:
            os.write(terminal, view.encode())
            time.sleep(1.0)
            before, began = sum(watched.cpu_times()[:2]), time.monotonic()
            time.sleep(seconds)
            used[view] = 100 * (sum(watched.cpu_times()[:2]) - before) / (time.monotonic() - began)
        os.write(terminal, b"q")
        process.wait(20)
    return used


@contextlib.contextmanager
def opened(folder: Path, at: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """`neurond top` on a terminal that somebody reads: where keys are written to, and its process."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    command = [*NEUROND, "top", "--broker", at]
    variables = environment() | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=its, stdout=its, stderr=its)
    reader = threading.Thread(target=_read, args=(ours,), daemon=True)
    reader.start()
    try:
        yield ours, process
    finally:
        process.kill()
        process.wait()
        os.close(its)
        reader.join()
        os.close(ours)


def _read(terminal: int) -> None:
    """Take what is drawn, until nobody draws any more."""
    with contextlib.suppress(OSError):
        while os.read(terminal, 1 << 16):
            pass


def _look(folder: Path, at: str) -> float:
    """Seconds of `neurond top --once`, from nothing to its end."""
    began = time.monotonic()
    subprocess.run(
        [*NEUROND, "top", "--broker", at, "--once"], cwd=folder, env=environment(), capture_output=True, check=True
    )
    return time.monotonic() - began
