"""The verb compose: a topology as containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli.output import out, say, suggest
from neurond.cli.topologies import File, Set
from neurond.errors import WrongUse

if TYPE_CHECKING:
    from neurond.cli.containers import Place

EMBEDDED = ("digits", "xor")
SIGNED = "written by `neurond compose`"
HEAD = (
    f"The network {{name}} as containers, {SIGNED}: change the topology, not this file.",
    "`docker-compose up` trains it to its end, prints the result and exits.",
)


def compose(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Write it there; paths in it are seen from there."),
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="NAME", help="Use this image; else it is built from the file's own folder.")
    ] = None,
    set_: Set = None,
) -> None:
    """Write the docker-compose.yml that runs a topology as containers."""
    from neurond import launch
    from neurond.cli import containers
    from topology.files import write_whole
    from topology.load import load, zoo

    overrides = set_ or []
    topology = load(file, overrides, os.environ)
    kind, _, path = topology.source.data.partition(":")
    fetched = not path and kind not in EMBEDDED
    if not fetched:  # data that is to be fetched need not be here
        launch.planned(topology, None)
    _check_names(containers.processes(topology))
    folder = Path.cwd() if output is None else output.absolute().parent
    named, files = file, []
    if file not in zoo():
        named = f"{containers.HOME}/{Path(file).name}"
        files.append(_place(file, named, folder))
    if path:
        files.append(_place(path, containers.in_container(path), folder))
    stack = containers.Stack(topology, named, files, fetched, overrides, image)
    text = containers.compose(stack, [line.format(name=topology.name) for line in HEAD])
    if output is None:
        out(text)
        return
    _check_ours(output)
    write_whole(output, text.encode())
    say(f"wrote {output}")
    suggest(f"docker-compose --file {output} up")


def _check_ours(output: Path) -> None:
    """A compose file that somebody else wrote is not overwritten."""
    if output.exists() and SIGNED not in output.read_text(encoding="utf-8", errors="replace")[:200]:
        raise WrongUse(f"{output} is there already, and not written by neurond compose; choose another --output")


def _check_names(processes: list[str]) -> None:
    """Containers find each other by name, and names of hosts know no capitals."""
    seen: dict[str, str] = {}
    for name in processes:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise WrongUse(f"groups {other!r} and {name!r} would be one host: rename one of them")


def _place(path: str, there: str, folder: Path) -> Place:
    """A file of this machine as the compose file in `folder` names it."""
    from neurond.cli.containers import Place

    here = Path(path).expanduser()
    if here.is_absolute():
        return Place(str(here), there)
    return Place("./" + Path(os.path.relpath(here.absolute(), folder)).as_posix(), there)
