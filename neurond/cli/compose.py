"""The verb compose: a topology as containers."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli.output import out, say, suggest
from neurond.cli.topologies import File, Set
from neurond.errors import WrongUse

if TYPE_CHECKING:
    from neurond.cli.containers import Place
    from topology.spec import Topology

SIGNED = "written by `neurond compose`"
HEAD = (
    f"The network {{name}} as containers, {SIGNED}: change the topology, not this file.",
    "`docker-compose up` trains it to its end, prints the result and exits.",
    "`docker-compose run --rm monitor top` shows it live; with `--profile metrics` Grafana does, at 127.0.0.1:3000.",
)
HEAD_SWARM = (
    f"The network {{name}} as a stack of a swarm, {SIGNED}: change the topology, not this file.",
    "`docker stack deploy --compose-file FILE STACK` trains it to its end, `docker service logs STACK_broker` has",
    "the result, and `docker stack rm STACK` removes it. Each machine needs the image.",
)
DATA_THERE = "Broker and source read the data at the path below: it must be there on the machines that they run on."


def compose(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Write it there; paths in it are seen from there."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use this image; else it is built from the file's own folder.")
    ] = None,
    swarm: Annotated[
        bool, typer.Option("--swarm", help="For several machines: a stack file for `docker stack deploy`.")
    ] = False,
    set_: Set = None,
) -> None:
    """Write the docker-compose.yml that runs a topology as containers."""
    from neurond import launch
    from neurond.cli import containers
    from neurond.cli.composefile import written
    from neurond.cli.onemachine import compose_file
    from neurond.cli.swarm import swarm_file
    from neurond.data.embedded import EMBEDDED
    from topology.files import write_whole
    from topology.graph import process_names
    from topology.load import load, zoo

    overrides = set_ or []
    topology = load(file, overrides, os.environ)
    kind, _, path = topology.source.data.partition(":")
    fetched = not path and kind not in EMBEDDED
    if not fetched:  # data that is to be fetched need not be here
        launch.planned(topology, None)
    _check_names(process_names(topology))
    folder = Path.cwd() if output is None else output.absolute().parent
    ready = file in zoo()
    named = file if ready else f"{containers.HOME}/{Path(file).name}"
    stack = containers.Stack(
        topology,
        named,
        None if ready else _place(file, named, folder),
        _place(path, containers.in_container(path), folder) if path else None,
        fetched,
        overrides,
        image,
        **({} if image is None else {"deploy": str(_deploy())}),
    )
    if swarm:
        digest = "" if ready else hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
        head = [*HEAD_SWARM, *([DATA_THERE] if path or fetched else [])]
        document = swarm_file(stack, digest)
    else:
        _say_one_machine(topology)
        head = [*HEAD]
        document = compose_file(stack)
    text = written(document, [line.format(name=topology.name) for line in head])
    if output is None:
        out(text)
        return
    _check_ours(output)
    write_whole(output, text.encode())
    say(f"wrote {output}")
    if swarm:
        suggest(f"docker stack deploy --compose-file {output} {topology.name}")
    elif image is None and not (output.parent / "Dockerfile").exists():
        say(
            f"warning: there is no Dockerfile in {output.parent.absolute()} to build the image from; use --image NAME"
        )
    else:
        suggest(f"docker-compose --file {output} up")


def _deploy() -> Path:
    """The configuration of Prometheus and Grafana as it is installed."""
    from importlib.resources import files

    return Path(str(files("monitor"))) / "deploy"


def _say_one_machine(topology: Topology) -> None:
    if topology.place:
        message = "docker-compose starts every process on one machine"
        say(f"warning: {topology.problem(('place',), message, '--swarm places them')}")


def _check_ours(output: Path) -> None:
    """A compose file that somebody else wrote is not overwritten."""
    if output.exists() and SIGNED not in output.read_text(encoding="utf-8", errors="replace")[:200]:
        raise WrongUse(f"{output} is there already, and not written by neurond compose; choose another --output")


def _check_names(processes: list[str]) -> None:
    """Containers find each other by name, and names of hosts know no capitals."""
    from neurond.cli.watchers import NAMES

    seen: dict[str, str] = {}
    for name in processes:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise WrongUse(f"groups {other!r} and {name!r} would be one host: rename one of them")
        if name.lower() in NAMES:
            raise WrongUse(f"group {name!r} has the name of a container that watches: rename it")


def _place(path: str, there: str, folder: Path) -> Place:
    """A file of this machine as the compose file in `folder` names it."""
    from neurond.cli.containers import Place

    here = Path(path).expanduser()
    if here.is_absolute():
        return Place(str(here), there)
    return Place("./" + Path(os.path.relpath(here.absolute(), folder)).as_posix(), there)
