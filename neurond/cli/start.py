"""The options of whatever starts a run here, `run` and `up`, as typer takes them, and what follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurond.errors import WrongUse
from neurond.until import Target, parse_for, parse_target

Network = Annotated[
    str | None,
    typer.Argument(metavar="FILE", help="A topology file, or the name of a ready network, such as digits."),
]
Until = Annotated[str | None, typer.Option(metavar="GOAL", help="Stop once it is reached: acc>=0.97, loss<=0.1.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="Stop after this long: 60s, 5m.")]
Resume = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Go on from the last checkpoint of this run folder.")
]
RunDir = Annotated[
    Path | None,
    typer.Option("--run", metavar="DIR", help="The run's folder; a new one under runs/ if not given."),
]
Anew = Annotated[
    int, typer.Option(min=0, metavar="N", help="Start what dies anew so often in 30 s; 0: it ends the run.")
]
Seed = Annotated[int | None, typer.Option(help="The same as --set seed=N.")]
Metrics = Annotated[
    str | None,
    typer.Option(metavar="[HOST:]PORT", help="Serve its figures to Prometheus there; 9464 is this machine's."),
]
Record = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Record it, to be looked at again with neurond replay.")
]


def check_start(file: str | None, resume: Path | None) -> None:
    """Raise WrongUse if nothing was named that could be run."""
    if file is None and resume is None:
        from topology.load import zoo

        raise WrongUse(f"what should be run? Name a topology file, or one of {', '.join(zoo())}")


def with_seed(settings: list[str] | None, seed: int | None) -> list[str]:
    """What `--set` was given, and the seed after it."""
    return [*(settings or ()), *([] if seed is None else [f"seed={seed}"])]


def wanted(until: str | None, for_: str | None) -> tuple[Target | None, float | None]:
    """The goal and the seconds that were asked for; WrongUse for what is none."""
    try:
        return None if until is None else parse_target(until), None if for_ is None else parse_for(for_)
    except ValueError as error:
        raise WrongUse(str(error)) from None
