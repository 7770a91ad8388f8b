"""Real child processes: started, watched, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from broker.spawn import Exit, Spawner, SpawnError
from tests.waiting import DEADLINE_S, comes, gone

SLEEPS = "import sys; print('up', flush=True); sys.stdin.read()"
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = (
    "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(c.pid, flush=True); sys.stdin.read()"
)


def python(code: str) -> list[str]:
    """A child that runs this."""
    return [sys.executable, "-c", code]


async def says(spawner: Spawner, name: str) -> list[str]:
    """The log of a child, once there is something in it."""
    lines: list[str] = await comes(lambda: spawner.last_lines(name), f"the first words of {name}")
    return lines


async def next_exit(spawner: Spawner) -> Exit:
    """The next process that ends."""
    async with asyncio.timeout(DEADLINE_S):
        return await spawner.exits.get()


async def test_an_exit_is_noticed(tmp_path: Path) -> None:
    """An exit is reported with its code or signal, and the last lines of the log are there."""
    spawner = Spawner(tmp_path / "logs")
    await spawner.start(
        {
            "fails": python("import sys; print('one'); print('two', file=sys.stderr); sys.exit(3)"),
            "lives": python(SLEEPS),
        }
    )
    assert await next_exit(spawner) == Exit("fails", 3)
    assert sorted(spawner.last_lines("fails")) == ["one", "two"]
    assert len(spawner.last_lines("fails", 1)) == 1
    assert spawner.running == ("lives",)
    os.kill(spawner.pid("lives"), signal.SIGKILL)
    killed = await next_exit(spawner)
    assert killed == Exit("lives", -9)
    assert killed.how == "killed by SIGKILL"


async def test_stop_is_in_order_and_bounded(tmp_path: Path) -> None:
    """A child that heeds SIGTERM goes by it, one that does not goes by SIGKILL after the grace."""
    spawner = Spawner(tmp_path)
    await spawner.start({"stubborn": python(STUBBORN), "good": python(SLEEPS)})
    for name in ("stubborn", "good"):
        assert await says(spawner, name) == ["up"]
    await spawner.stop(grace_s=0.2)
    assert spawner.running == ()
    assert {e.name: e.code for e in (await next_exit(spawner), await next_exit(spawner))} == {
        "good": -signal.SIGTERM,
        "stubborn": -signal.SIGKILL,
    }
    await spawner.stop()  # nothing left to stop


async def test_a_name_is_started_again(tmp_path: Path) -> None:
    """A child that is stopped can be killed, and then another be started under its name, with the same log."""
    spawner = Spawner(tmp_path)
    await spawner.start({"child": python(STUBBORN)})
    first = spawner.pid("child")
    await says(spawner, "child")
    os.kill(first, signal.SIGSTOP)
    spawner.kill("child")
    assert await next_exit(spawner) == Exit("child", -signal.SIGKILL)
    assert spawner.running == ()
    spawner.kill("child")  # nobody is there any more
    await spawner.start({"child": python(STUBBORN)})
    assert spawner.running == ("child",)
    assert spawner.pid("child") != first
    await comes(lambda: spawner.last_lines("child") == ["up", "up"], "its words")
    await spawner.stop(grace_s=0.0)
    assert await next_exit(spawner) == Exit("child", -signal.SIGKILL)


async def test_stop_reaches_what_a_child_started(tmp_path: Path) -> None:
    """A child's own children are stopped with it."""
    spawner = Spawner(tmp_path)
    await spawner.start({"parent": python(PARENT)})
    grandchild = psutil.Process(int((await says(spawner, "parent"))[0]))
    assert not gone(grandchild)
    await spawner.stop()
    assert spawner.running == ()
    assert await comes(lambda: gone(grandchild), "the grandchild is gone")


async def test_the_tether_ends_with_the_spawner(tmp_path: Path) -> None:
    """A child whose spawning process is killed finds its standard input ended, although nobody told it to go."""
    code = f"""
import asyncio, pathlib, sys, time
from broker.spawn import Spawner
async def main():
    spawner = Spawner(pathlib.Path({str(tmp_path)!r}))
    await spawner.start({{"a": {python(SLEEPS)!r}, "b": {python(SLEEPS)!r}}})
    print(spawner.pid("a"), spawner.pid("b"), flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    root = str(Path(__file__).parents[2])
    outer = await asyncio.create_subprocess_exec(
        *python(code), stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}
    )
    assert outer.stdout is not None
    children = [psutil.Process(int(pid)) for pid in (await outer.stdout.readline()).split()]
    assert len(children) == 2
    outer.kill()
    await outer.wait()
    await comes(lambda: all(gone(c) for c in children), "the children are gone")


async def test_surroundings_of_a_child(tmp_path: Path) -> None:
    """A child has the environment that it was given, a session of its own, and no terminal to be interrupted by."""
    spawner = Spawner(tmp_path, {"PATH": os.environ["PATH"], "MINE": "yes"})
    code = "import os; print(os.environ['MINE'], 'HOME' in os.environ, os.getsid(0) == os.getpid())"
    await spawner.start({"child": python(code)})
    await next_exit(spawner)
    assert spawner.last_lines("child") == ["yes False True"]


async def test_what_cannot_be_started(tmp_path: Path) -> None:
    """A program that is not there is one clear line; what was started beside it can be stopped."""
    spawner = Spawner(tmp_path)
    with pytest.raises(SpawnError, match="cannot start ghost: No such file or directory"):
        await spawner.start({"good": python(SLEEPS), "ghost": ["/no/such/program"]})
    assert spawner.running == ("good",)
    await spawner.stop()
    assert spawner.running == ()


async def test_logs_that_cannot_be_written(tmp_path: Path) -> None:
    """A log folder that cannot be made is one clear line."""
    (tmp_path / "file").touch()
    with pytest.raises(SpawnError, match="cannot start child: Not a directory"):
        await Spawner(tmp_path / "file" / "logs").start({"child": python(SLEEPS)})


async def test_last_lines_of_a_long_log(tmp_path: Path) -> None:
    """Only the end of a log is read, blank lines and broken text are no trouble, and no log is no lines."""
    spawner = Spawner(tmp_path)
    spawner.log("x").write_bytes(b"line\n" * 100_000 + b"\n\xff\xfe\nlast\n\n")
    assert spawner.last_lines("x", 2) == ["\ufffd\ufffd", "last"]
    assert spawner.last_lines("nobody") == []
