"""A network over tcp whose processes are started one by one, and whose every connection passes through a proxy.

Everybody binds at 127.0.0.1 and is known to the others as `HOST`, where a proxy listens on the same port. Both are
the loopback: Linux needs no leave for that, other systems do.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from monitor.client import Client
from tests.command import NEUROND, environment
from tests.endless import ENDLESS
from tests.fault.history import History, Mark, check, recording
from tests.fault.proxy import DOWN, UP, Proxy
from tests.ports import free_ports
from tests.waiting import DEADLINE_S, comes
from topology.graph import process_names
from topology.issue import issue
from topology.keys import Keyring, names_of
from topology.load import load
from topology.plan import MONITOR, SOURCE, Plan, plan_from_dict

HOST = "127.0.0.2"
HOSTS = ("127.0.0.1", HOST)
BROKER = "broker"


class Network:
    """The processes of one run by hand, and the proxies between them."""

    def __init__(self, folder: Path, topology: str, settings: tuple[str, ...], stack: ExitStack) -> None:
        self.folder, self.run_dir = folder, folder / "run"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.proxies: dict[str, list[Proxy]] = {}  # process -> those in front of it
        self.history: History
        self.client: Client
        self._stack = stack
        self.keys = folder / "keys"
        """Of everybody: one folder is enough where all processes are the same user's."""
        self._port = free_ports(3, HOSTS)
        self.proxies[BROKER] = [self._proxy(self._port + plane) for plane in range(3)]
        issue(self.keys, names_of(process_names(load(topology, settings))))
        sets = [word for setting in settings for word in ("--set", setting)]
        command = [
            *NEUROND,
            "broker",
            topology,
            "--address",
            self.at("127.0.0.1"),
            "--run",
            "run",
            "--keys",
            str(self.keys),
            *sets,
        ]
        self._start(BROKER, command)

    def at(self, host: str) -> str:
        """The broker's address."""
        return f"tcp://{host}:{self._port}"

    @property
    def plan(self) -> Plan:
        """The whole plan."""
        return plan_from_dict(json.loads((self.run_dir / "plan.json").read_text()))

    def start(self, name: str, log: str = "") -> subprocess.Popen[bytes]:
        """Start a process behind a proxy of its own, at a port that is new each time."""
        port = free_ports(1, HOSTS)
        self.proxies[name] = [self._proxy(port)]
        role = [SOURCE] if name == SOURCE else ["group", name]
        own = ["--bind", f"tcp://127.0.0.1:{port}", "--advertise", HOST, "--keys", str(self.keys)]
        command = [sys.executable, "-m", "neurond.daemon", *role, "--broker", self.at(HOST), *own]
        return self._start(name, command, log)

    def said(self, name: str) -> str:
        """The log of a process."""
        return (self.folder / f"{name}.log").read_text()

    def around(self, name: str) -> list[tuple[Proxy, str]]:
        """Every proxy that a process' bytes pass, and whose connections there are its own ("": all)."""
        others = [(proxy, name) for other, proxies in self.proxies.items() if other != name for proxy in proxies]
        return [*((proxy, "") for proxy in self.proxies[name]), *others]

    def cut(self, name: str, *directions: str) -> None:
        """Carry nothing more of a process, in what it "hears" or "says", until `heal`; it arrives then."""
        for proxy, caller in self.around(name):
            # In front of it, UP is what it hears; where it has connected itself, UP is what it says.
            seen = {"hears": UP, "says": DOWN} if caller == "" else {"hears": DOWN, "says": UP}
            proxy.behave(*(seen[direction] for direction in directions), caller=caller, hold=True)

    def heal(self) -> None:
        """Nothing is wrong with any connection any more."""
        for proxies in self.proxies.values():
            for proxy in proxies:
                proxy.heal()

    @property
    def confirmed(self) -> int:
        """Training stimuli that count."""
        last = self.history.last()
        return last[SOURCE].counters["confirmed"] if SOURCE in last else 0

    async def goes_on(self, stimuli: int = 500) -> None:
        """Wait until so many more stimuli are confirmed."""
        goal = self.confirmed + stimuli
        await comes(lambda: self.confirmed >= goal, "training goes on")

    def over(self, what: str, within_s: float) -> None:
        """Note that a fault is over now, and that learning is to go on so soon."""
        self.history.marks.append(Mark(time.monotonic(), what, within_s))

    async def end(self, wire_errors: int = 0) -> dict[str, Any]:
        """Stop the run in good order and check all that was seen of it; the summary."""
        reply = await self.client.command("stop", timeout_s=DEADLINE_S)
        assert reply.ok, reply.error
        await comes(lambda: self.processes[BROKER].poll() is not None, "the end")
        await comes(lambda: self.history.events("ended"), "the broker's last word")
        check(self.history, wire_errors=wire_errors)
        for name, process in self.processes.items():
            assert process.wait(DEADLINE_S) == 0, f"{name}: {self.said(name)}"
        summary: dict[str, Any] = json.loads((self.run_dir / "summary.json").read_text())
        return summary

    def callers(self) -> dict[str, int]:
        """Who connects: name and pid."""
        return {name: process.pid for name, process in self.processes.items() if name != BROKER}

    def _proxy(self, port: int) -> Proxy:
        return self._stack.enter_context(Proxy(port, port, HOST, self.callers))

    def _start(self, name: str, command: list[str], log: str = "") -> subprocess.Popen[bytes]:
        with (self.folder / f"{log or name}.log").open("ab") as file:
            process = subprocess.Popen(command, cwd=self.folder, env=environment(), stdout=file, stderr=file)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        self.processes[log or name] = process
        return process


@asynccontextmanager
async def network(
    folder: Path, topology: str = "digits", *settings: str, order: tuple[str, ...] = ()
) -> AsyncIterator[Network]:
    """A network that trains, without end if the settings do not say otherwise; over at the end of the context."""
    chosen = (ENDLESS, *settings)
    with ExitStack() as stack:
        it = await asyncio.to_thread(Network, folder, topology, chosen, stack)
        await comes((it.run_dir / "plan.json").exists, "the plan")
        it.history = History(it.plan)
        async with recording(it.at("127.0.0.1"), it.history, Keyring(it.keys, MONITOR)) as it.client:
            for name in order or it.plan.processes:
                it.start(name)
            await it.goes_on(1)
            yield it
