"""The verbs put together, with an example each. Nothing that a verb needs is imported before it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli import (
    changing,
    compose,
    daemons,
    datasets,
    doctor,
    down,
    experiment,
    export,
    keys,
    logs,
    metrics,
    monitor,
    processes,
    recordings,
    report,
    run,
    simulate,
    tap,
    top,
    topologies,
    trained,
    up,
)
from neurond.cli.completion import COMPLETE_VARIABLE, completion
from neurond.cli.output import out

EXAMPLES = {
    "run": "neurond run digits --until 'acc>=0.97' --set source.epochs=40",
    "simulate": "neurond simulate digits --latency 50ms±20ms --loss 1% --seed 3",
    "zoo": "neurond zoo",
    "check": "neurond check topology.yaml",
    "expand": "neurond expand digits > topology.yaml",
    "graph": "neurond graph mnist --mermaid",
    "schema": "neurond schema > neurond.schema.json",
    "init": "neurond init topology.yaml",
    "compose": "neurond compose topology.yaml --output docker-compose.yml",
    "eval": "neurond eval runs/20250131-120000-digits",
    "predict": "neurond predict runs/20250131-120000-digits inputs.csv > classes.csv",
    "up": "neurond up digits --detach --set source.epochs=400",
    "down": "neurond down",
    "ps": "neurond ps",
    "logs": "neurond logs h1 --follow",
    "tap": "neurond tap h1 h2 --measure",
    "get": "neurond get h1",
    "set": "neurond set h1 lr=0.05",
    "pause": "neurond pause",
    "resume": "neurond resume",
    "save": "neurond save",
    "restart": "neurond restart h1",
    "kill": "neurond kill h1",
    "report": "neurond report runs/20250131-120000-digits",
    "compare": "neurond compare runs/first runs/second --output compare.html",
    "export": "neurond export runs/20250131-120000-digits --tensorboard tb",
    "experiment": "neurond experiment sparsity --seeds 3",
    "record": "neurond record run.recording --broker tcp://10.0.0.2:5570",
    "replay": "neurond replay run.recording --speed 4",
    "monitor": "neurond monitor",
    "top": "neurond top",
    "metrics": "neurond metrics --broker tcp://10.0.0.2:5570 --listen 127.0.0.1:9464",
    "doctor": "neurond doctor",
    "completion": 'eval "$(neurond completion bash)"',
}


def verbs() -> typer.Typer:
    """The verbs, put together. Nothing that a verb needs is imported before it runs."""
    if COMPLETE_VARIABLE in os.environ:  # a shell asks: `add_completion` would do this, and add two options
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    root = typer.Typer(
        name="neurond",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @root.callback(invoke_without_command=True, epilog="Start with: neurond run digits")
    def top_level(
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
    ) -> None:
        """Neural networks as independent processes that never wait for each other."""
        if version:
            out(f"neurond {_version()}")
            raise typer.Exit
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())
            raise typer.Exit

    t, c = topologies, changing
    panels = (
        ("Train and use", (run.run, simulate.simulate, up.up, down.down, trained.eval_, trained.predict)),
        ("Look at a run", (top.top, processes.ps, logs.logs, tap.tap, monitor.monitor, metrics.metrics)),
        ("Change a run", (c.get, c.set_, c.pause, c.resume, c.save, c.restart, c.kill)),
        ("Look back", (report.report, report.compare, export.export, recordings.record, recordings.replay)),
        ("Study", (experiment.experiment,)),
        ("Topologies", (t.init, t.zoo, t.check, t.expand, t.graph, t.schema, compose.compose)),
        ("This machine", (doctor.doctor, completion)),
    )
    for panel, members in panels:
        for verb in members:
            name = verb.__name__.rstrip("_")
            root.command(name, epilog=f"Example: {EXAMPLES[name]}", rich_help_panel=panel)(verb)
    root.add_typer(
        datasets.app, name="data", help="List, fetch and look at data sets.", rich_help_panel="This machine"
    )
    root.add_typer(
        keys.app, name="keys", help="Make, show and revoke the keys of processes.", rich_help_panel="This machine"
    )
    daemons.add(root, "Processes, one by one (containers start these)")
    return root


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("neurond")
    except PackageNotFoundError:
        import tomllib

        checkout = Path(__file__).parents[2]
        try:
            number = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
        except (OSError, ValueError, KeyError):  # neither installed nor a checkout: copied by hand
            number = "of unknown version"
        return f"{number} (not installed; run from {checkout})"
