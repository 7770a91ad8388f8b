"""The verb simulate: train a network in virtual time, over links that are slow and lossy, with processes that die."""

from __future__ import annotations

import math
import os
import shlex
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out_json, say, suggest, words
from neurond.cli.start import RunDir, Seed, Until, wanted, with_seed
from neurond.cli.topologies import DataDir, File, Set
from neurond.conditions import MULTIPLIES_PER_S, conditions_of
from neurond.errors import Interrupted, TargetNotReached, WrongUse
from neurond.signals import noted
from topology.threads import blas_threads

if TYPE_CHECKING:
    from neurond.conditions import Conditions
    from neurond.runs import Run
    from topology.plan import Plan


def simulate(
    file: File,
    latency: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME", help="Of links: 50ms±20ms (or +-); of one alone: 'h1 -> h2=200ms'."),
    ] = None,
    loss: Annotated[str, typer.Option(metavar="SHARE", help="Share of the frames that are lost: 1%.")] = "",
    bandwidth: Annotated[str, typer.Option(metavar="BITS", help="What a link carries each way: 10Mbit.")] = "",
    slow: Annotated[
        list[str] | None, typer.Option(metavar="NAME=TIMES", help="A straggler: h1=10 is ten times slower.")
    ] = None,
    churn: Annotated[str, typer.Option(metavar="TIME", help="How long a process lives on average: 10m.")] = "",
    down: Annotated[str, typer.Option(metavar="TIME", help="How long one that died is away on average: 5s.")] = "",
    frame: Annotated[
        str, typer.Option(metavar="TIME", help="What a process needs for a frame, beside its multiplications: 0.1ms.")
    ] = "",
    multiplies: Annotated[
        float, typer.Option(metavar="N", help="Multiply-adds that a process makes in a second; 0: no limit.")
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
    from monitor.progress import progress
    from neurond import simulate as simulation
    from topology.load import load

    def conditions(plan: Plan) -> Conditions:
        try:
            return conditions_of(plan, latency or (), loss, bandwidth, slow or (), churn, down, frame, multiplies)
        except ValueError as error:
            raise WrongUse(str(error)) from None

    def conclude(finished: Run) -> None:
        shown.finish(finished.summary)
        if not quiet:
            say(_outcome(finished.summary))
        if as_json:
            out_json(finished.summary)

    def told_to_stop() -> bool:
        if told := stopped():
            say("stopping and saving; Ctrl-C once more to leave at once")
        return told

    if epochs is not None and not math.isfinite(epochs):
        raise WrongUse(f"--epochs {epochs:g} is no number of epochs; write 5, or 0.5 for half of one")
    settings = with_seed(set_, seed) + ([] if epochs is None else [f"source.epochs={epochs:g}"])
    topology = load(file, settings, os.environ)
    shown = progress(words(), time.monotonic, quiet=quiet)
    try:
        with shown, noted() as stopped:
            finished = simulation.simulate(
                topology,
                conditions,
                run_dir=run_dir,
                data_dir=data_dir,
                until=target,
                for_s=for_s,
                fast=fast,
                on_view=shown,
                stopped=told_to_stop,
            )
    except KeyboardInterrupt:
        raise Interrupted("interrupted once more: left at once, and the run was not saved") from None
    except (Interrupted, TargetNotReached) as error:
        if error.run is not None:
            conclude(error.run)
        raise  # `main` says the rest
    conclude(finished)
    if not quiet:
        suggest(f"neurond report {shlex.quote(str(finished.path))}")


def _outcome(summary: dict[str, Any]) -> str:
    of = "any machine" if summary["arithmetic"] == "exact" else "this machine"
    took = f"{summary['virtual_s']:.1f} virtual seconds in {summary['wall_s']:.1f} s"
    if summary["undrained"]:
        took += f"; {summary['undrained']:,} stimuli that were under way did not come home, and were given up"
    return f"{took}; the digest is that of {of}: {summary['digest']}"
