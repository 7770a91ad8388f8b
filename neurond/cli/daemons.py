"""The verbs broker, source and group: one process each, configured by flags or by `NEUROND_*`, as containers like it.

`status` is with them, for a container's health is asked for every few seconds. All are parsed here with argparse, and
the daemons handed to the same light entry points that the supervisor starts, so a group's process carries no
command-line framework.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NoReturn

from neurond.cli.attached import checked, find, keys_for
from neurond.cli.output import out, out_json, say
from neurond.errors import WrongUse
from topology import address, exits
from topology.plan import BROKER

if TYPE_CHECKING:
    import typer

    from monitor.exporter import Exporter
    from neurond import launch, runs
    from topology.spec import Topology

NAME_HELP = "process name in the topology: h1, or h2.0 (NEUROND_NAME)"
FILE_HELP = "topology file, or the name of a ready network (NEUROND_TOPOLOGY)"
ADDRESS_HELP = "where to listen: tcp://HOST:PORT, three ports in a row, or ipc:///FOLDER/ (NEUROND_BIND)"
RUN_HELP = "run folder; a new one under runs/ if not given (NEUROND_RUN)"
RESUME_HELP = "go on from the last checkpoint of this run folder, in it (NEUROND_RESUME)"
AGAIN_HELP = "go on where a broker of this very network died or was stopped, if one did (NEUROND_AGAIN=1)"
SET_HELP = "override any value of the topology, such as source.epochs=5"
BROKER_HELP = "address of the broker, such as tcp://10.0.0.2:5570 (NEUROND_BROKER)"
WHICH_HELP = "the broker's address; the one run that is alive here if neither is given (NEUROND_BROKER)"
RUNNING_HELP = "a run that is alive on this machine, as ps has it: its folder, or the name of that"
BIND_HELP = "endpoint of this process' inbox, such as tcp://0.0.0.0:5600 (NEUROND_BIND)"
ADVERTISE_HELP = "host under which peers reach the inbox, where it is not the bound one (NEUROND_ADVERTISE)"
NAMED_HELP = "a process that must be alive (NEUROND_NAME)"
DATA_HELP = "where mnist and fashion-mnist lie (NEUROND_DATA)"
KEYS_HELP = "folder of the keys, which tcp needs; ./keys if not given (NEUROND_KEYS)"
METRICS_HELP = "serve the run's figures to Prometheus at [HOST:]PORT; 9464 is this machine's (NEUROND_METRICS)"
MAKE_KEYS_HELP = "first make the keys that are missing, as `neurond keys init` does (NEUROND_MAKE_KEYS=1)"
INSECURE_HELP = "tcp without keys, on a network where everybody is trusted (NEUROND_INSECURE=1)"
STATUS_S = 3.0  # for the broker to answer


class _Parser(argparse.ArgumentParser):
    """Argparse with flags that fall back to the environment, and errors of one line."""

    def error(self, message: str) -> NoReturn:
        """Raise what `main` says to the user."""
        raise WrongUse(f"{message}. Try '{self.prog} --help'.")

    def setting(self, flag: str, variable: str, **keywords: Any) -> None:
        """A flag whose value comes from the environment where it is not given; empty counts as not given."""
        fallback = keywords.pop("default", None)
        self.add_argument(flag, default=os.environ.get(variable) or fallback, **keywords)

    def keys(self) -> None:
        """The flags of whatever speaks tcp."""
        self.setting("--keys", "NEUROND_KEYS", metavar="DIR", help=KEYS_HELP)
        self.switch("--insecure", "NEUROND_INSECURE", help=INSECURE_HELP)

    def switch(self, flag: str, variable: str, **keywords: Any) -> None:
        """A flag without a value, which the environment may set instead."""
        said = os.environ.get(variable, "") not in ("", "0")
        self.add_argument(flag, action="store_true", default=said, **keywords)

    def positional(self, name: str, variable: str, **keywords: Any) -> None:
        """An argument that may come from the environment instead."""
        default = os.environ.get(variable) or None
        self.add_argument(name, nargs=None if default is None else "?", default=default, **keywords)


def _parser(verb: str, what: str, example: str) -> _Parser:
    return _Parser(prog=f"neurond {verb}", description=what, epilog=f"Example: {example}")


def source(arguments: Sequence[str]) -> int:
    """Run the process that feeds stimuli."""
    parser = _parser("source", source.__doc__ or "", "neurond source --broker tcp://127.0.0.1:5570")
    _inbox(parser)
    parser.setting("--data-dir", "NEUROND_DATA", metavar="DIR", help=DATA_HELP)
    return _serve("source", parser.parse_args(arguments))


def group(arguments: Sequence[str]) -> int:
    """Run one group of neurons."""
    parser = _parser("group", group.__doc__ or "", "neurond group h1 --broker tcp://127.0.0.1:5570")
    parser.positional("name", "NEUROND_NAME", help=NAME_HELP)
    _inbox(parser)
    options = parser.parse_args(arguments)
    if options.name == "source":
        parser.error("the source is a verb of its own: neurond source")
    return _serve(options.name, options)


def broker(arguments: Sequence[str]) -> int:
    """Run the broker of one network: it hands out the plan, watches the processes and keeps the checkpoints."""
    parser = _parser("broker", broker.__doc__ or "", "neurond broker digits --address tcp://127.0.0.1:5570")
    parser.add_argument("file", nargs="?", default=os.environ.get("NEUROND_TOPOLOGY") or None, help=FILE_HELP)
    parser.setting("--address", "NEUROND_BIND", default=address.DEFAULT, help=ADDRESS_HELP)
    parser.setting("--run", "NEUROND_RUN", metavar="DIR", help=RUN_HELP)
    parser.setting("--data-dir", "NEUROND_DATA", metavar="DIR", help=DATA_HELP)
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE", help=SET_HELP)
    parser.setting("--resume", "NEUROND_RESUME", metavar="RUN", help=RESUME_HELP)
    parser.switch("--again", "NEUROND_AGAIN", help=AGAIN_HELP)
    parser.keys()
    parser.setting("--metrics", "NEUROND_METRICS", metavar="[HOST:]PORT", help=METRICS_HELP)
    parser.switch("--make-keys", "NEUROND_MAKE_KEYS", help=MAKE_KEYS_HELP)
    options = parser.parse_args(arguments)
    if options.file is None and options.resume is None:
        parser.error("the following arguments are required: file, or --resume RUN")
    return _conduct(options)


def _inbox(parser: _Parser) -> None:
    parser.setting("--broker", "NEUROND_BROKER", default=address.DEFAULT, metavar="ADDRESS", help=BROKER_HELP)
    parser.setting("--bind", "NEUROND_BIND", metavar="ENDPOINT", help=BIND_HELP)
    parser.setting("--advertise", "NEUROND_ADVERTISE", metavar="HOST", help=ADVERTISE_HELP)
    parser.keys()


def _serve(name: str, options: argparse.Namespace) -> int:
    address.control(options.broker)  # raises what `main` explains if it is no address
    from neurond.daemon import Settings, serve

    o, data_dir = options, getattr(options, "data_dir", None)
    return serve(Settings(name, o.broker, o.bind, o.advertise, data_dir, o.keys, o.insecure))


def _conduct(options: argparse.Namespace) -> int:
    from broker.__main__ import serve
    from broker.sockets import bound
    from neurond import launch, runs
    from neurond.api import topology_of
    from neurond.cli.witness import Witness, from_here
    from neurond.living import announced
    from topology.graph import process_names
    from topology.issue import issue
    from topology.keys import folder_of, names_of, of_process

    address.control(options.address)  # refused before its keys are looked for
    wanted = topology_of(options.file, options.overrides, options.resume)
    if options.make_keys and wanted is not None:
        issue(folder_of(options.keys), names_of(process_names(wanted)))
    keys = of_process(BROKER, [options.address], options.keys, options.insecure)
    serving = nullcontext() if options.metrics is None else _exporter(options.metrics)
    transport: launch.Transport = "ipc" if address.folder(options.address) else "tcp"
    # First of all: a broker that cannot serve makes no run folder.
    with bound(options.address, keys) as sockets, serving as exporter:
        left = _left(options, wanted, transport) if options.again else None
        if left is None:
            run, topology = launch.prepare(wanted, options.run, options.resume, options.data_dir, transport)
        else:
            run = left
            say(f"neurond: the broker of {run.path} is gone; taking its place")
        with runs.held(run.path):
            if left is None:
                runs.write_plan(run.path, run.plan)
                launch.write_origin(run, topology)
            watched = Witness(run, options.address, keys, exporter, again=left is not None)
            with watched as witness, announced(run.path, from_here(options.address)):
                resume = options.resume is not None
                status = serve(run.plan, sockets, run.path.absolute(), resume=resume, again=left is not None)
            return witness.conclude(status)


def _exporter(place: str) -> Exporter:
    """What serves the run's figures at a place of the user's, bound already."""
    from neurond.cli.metrics import exporter

    serving = exporter(place)
    say(f"neurond: metrics at {serving.place}")
    return serving


def _left(options: argparse.Namespace, wanted: Topology | None, transport: launch.Transport) -> runs.Run | None:
    """The run that a broker like this one has left, if there is one."""
    from neurond import launch
    from neurond.abandoned import abandoned

    if wanted is None or options.resume is not None:
        raise WrongUse("--again goes on where a broker died, and --resume from a checkpoint: leave one of them out")
    _, plan, _ = launch.planned(wanted, launch.path_text(options.data_dir), transport)
    return abandoned(plan, options.run)


def status(arguments: Sequence[str]) -> int:
    """Ask a broker how its run stands; exits with 4 if none answers, with 5 if the process named is not alive."""
    parser = _parser("status", status.__doc__ or "", "neurond status --broker tcp://127.0.0.1:5570")
    parser.add_argument("name", nargs="?", default=os.environ.get("NEUROND_NAME") or None, help=NAMED_HELP)
    parser.add_argument("--broker", metavar="ADDRESS", help=WHICH_HELP)
    parser.add_argument("--run", metavar="RUN", help=RUNNING_HELP)
    parser.keys()
    parser.add_argument("--json", action="store_true", help="all that the broker tells, as one JSON object")
    options = parser.parse_args(arguments)
    return _ask(options, find(options.broker, options.run, options.keys, options.insecure))


def _ask(options: argparse.Namespace, broker: str) -> int:
    import asyncio

    from monitor.client import Client

    async def asked() -> dict[str, Any]:
        async with Client(broker, keys) as client:
            return (await client.command("status", timeout_s=STATUS_S)).data

    keys = keys_for(broker, options.keys, options.insecure)
    told = asyncio.run(asked())
    processes: dict[str, dict[str, Any]] = told["processes"]
    if options.name is not None:
        checked(options.name, processes, "process")
    dead = [name for name in processes if not processes[name]["alive"]]
    if options.json:
        out_json(told)
    else:
        missing = f"; not there: {', '.join(dead)}" if dead else ""
        alive = f"{len(processes) - len(dead)} of {len(processes)} processes"
        kept_out = f", {told['denied']} denied" if told["denied"] else ""
        kept_out += f", {told['impostors']} impostor{'s' * (told['impostors'] != 1)}" if told["impostors"] else ""
        played = "" if told.get("replay") is None else f", in a recording at {told['replay']['speed']:g}x"
        out(f"{told['run']} is {told['state']}{played}, {alive}, checkpoint {told['generation']}{missing}{kept_out}")
    return exits.LOST if options.name in dead else exits.OK


VERBS: dict[str, Callable[[Sequence[str]], int]] = {
    "broker": broker,
    "source": source,
    "group": group,
    "status": status,
}


def daemon(verb: str, arguments: Sequence[str]) -> int:
    """Run one daemon to its end; returns the exit code."""
    return VERBS[verb](arguments)


def add(top: typer.Typer, panel: str) -> None:
    """List the daemons in `neurond --help`; `main` takes them away before typer sees their arguments."""
    for verb, run in VERBS.items():
        top.command(verb, help=run.__doc__, rich_help_panel=panel)(_listed)


def _listed() -> None:
    """Nothing: never called."""
