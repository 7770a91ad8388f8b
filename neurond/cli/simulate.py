"""The verb simulate: train a network in virtual time, over links and with processes as bad as one likes."""

from __future__ import annotations

import os
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out_json, say, suggest, words
from neurond.cli.start import RunDir, Seed, Until, wanted, with_seed
from neurond.cli.topologies import DataDir, File, Set
from neurond.conditions import MULTIPLIES_PER_S, conditions_of
from neurond.errors import TargetNotReached, WrongUse
from topology.threads import blas_threads

if TYPE_CHECKING:
    from neurond.conditions import Conditions
    from neurond.runs import Run
    from topology.plan import Plan


def simulate(
    file: File,
    latency: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME", help="Of every link: 50ms±20ms (or +-), or of one: 'h1 -> h2=200ms'."),
    ] = None,
    loss: Annotated[str, typer.Option(metavar="SHARE", help="Of the frames, that are lost: 1%.")] = "",
    bandwidth: Annotated[str, typer.Option(metavar="BITS", help="Of a link, each way: 10Mbit.")] = "",
    slow: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TIMES", help="A straggler: h1=10 is ten times slower.")
    ] = None,
    churn: Annotated[str, typer.Option(metavar="TIME", help="A process lives so long on average: 10m.")] = "",
    down: Annotated[str, typer.Option(metavar="TIME", help="One that died is back after so long: 5s.")] = "",
    frame: Annotated[
        str, typer.Option(metavar="TIME", help="A process is busy so long with a frame, beside its products: 0.1ms.")
    ] = "",
    multiplies: Annotated[
        float, typer.Option(metavar="N", help="Multiply-adds a second of a process; 0: any number.")
    ] = MULTIPLIES_PER_S,
    seed: Seed = None,
    until: Until = None,
    for_: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop after so long, in virtual time: 60s.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="The same as --set source.epochs=N.")] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="Compute as real processes do: the digest is then this machine's alone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    set_: Set = None,
    data_dir: DataDir = None,
    run_dir: RunDir = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress and no summary.")] = False,
) -> None:
    """Train a network in virtual time: the same seed gives the same run, on any machine."""
    target, for_s = wanted(until, for_)
    os.environ |= blas_threads(os.environ)  # before NumPy loads: one core is what it is about

    def conditions(plan: Plan) -> Conditions:
        try:
            return conditions_of(plan, latency or (), loss, bandwidth, slow or (), churn, down, frame, multiplies)
        except ValueError as error:
            raise WrongUse(str(error)) from None

    from monitor.progress import progress
    from neurond.simulate import simulate as run_it
    from topology.load import load

    settings = with_seed(set_, seed)
    settings += [] if epochs is None else [f"source.epochs={epochs:g}"]
    topology = load(file, settings, os.environ)
    shown = progress(words(), time.monotonic, quiet=quiet)
    finished: Run | None = None
    try:
        with shown:
            finished = run_it(
                topology,
                conditions,
                run_dir=run_dir,
                data_dir=data_dir,
                until=target,
                for_s=for_s,
                fast=fast,
                on_view=shown,
            )
    except TargetNotReached as error:
        finished = error.run  # there is a summary all the same; `main` says the rest
        raise
    finally:
        if finished is not None:
            summary = finished.summary
            shown.finish(summary)
            if not quiet:
                say(_outcome(summary))
            if as_json:
                out_json(summary)
    if not quiet:
        suggest(f"neurond report {shlex.quote(str(finished.path))}")


def _outcome(summary: dict[str, Any]) -> str:
    of = "any machine" if summary["arithmetic"] == "exact" else "this machine"
    took = f"{summary['virtual_s']:.1f} virtual seconds in {summary['wall_s']:.1f} s"
    return f"{took}; the digest is that of {of}: {summary['digest']}"
