"""The verbs about data: data list, data fetch, data show."""

from __future__ import annotations

from typing import Annotated

import typer

from neurond.cli.output import out, out_json, say, suggest, words
from neurond.cli.topologies import DataDir

FAR = 30.0
"""Inputs beyond this are likely to make a network diverge at the usual learning rates."""

app = typer.Typer()


@app.callback(invoke_without_command=True)
def verbs(context: typer.Context) -> None:
    """List, fetch and look at data sets."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list", epilog="Example: neurond data list")
def list_(
    data_dir: DataDir = None, json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False
) -> None:
    """Say which data sets there are, and which of them are on this machine."""
    from neurond.data import known

    found = known(data_dir)
    if json:
        out_json([d._asdict() for d in found])
        return
    wide = max(len(d.name) for d in found)
    for d in found:
        where = d.where if d.where is not None else f"not here: {d.fetch} ({d.size / 1e6:.0f} MB)"
        out(f"{d.name:<{wide}}  {d.description}  [{where}]")
    say("and your own: csv:PATH, npz:PATH")


@app.command(epilog="Example: neurond data fetch mnist")
def fetch(
    name: Annotated[str, typer.Argument(help="mnist or fashion-mnist.")],
    data_dir: DataDir = None,
    base_url: Annotated[str | None, typer.Option(metavar="URL", help="Fetch the files from this mirror.")] = None,
) -> None:
    """Fetch a data set, checked and resumable. Prints the folder."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

    from neurond import data
    from neurond.data.mnist import command

    console = words()
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def advance(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bars.add_task(file, total=total)
                if not console.is_terminal:
                    say(f"fetching {file}")
            bars.update(tasks[file], completed=done, total=total)

        folder = data.fetch(name, data_dir=data_dir, base_url=base_url, progress=advance)
    out(str(folder))
    suggest(command("show", name, data_dir))


@app.command(epilog="Example: neurond data show csv:flowers.csv --label species")
def show(
    name: Annotated[str, typer.Argument(help="digits, xor, mnist, fashion-mnist, csv:PATH or npz:PATH.")],
    data_dir: DataDir = None,
    label: Annotated[str | None, typer.Option(help="csv: the label's column. The last one if not given.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Show what a network would be given: sizes, classes and how often each occurs, ranges."""
    import numpy as np

    from neurond.data import load

    data = load(name, data_dir=data_dir, label=label)
    shape = data.shape
    low, high = float(data.x_train.min() * data.scale), float(data.x_train.max() * data.scale)
    found: dict[str, object] = {
        "data": name,
        "features": shape.features,
        "train": shape.train,
        "test": shape.test,
        "inputs": [round(low, 6), round(high, 6)],
    }
    if data.classes:
        counts = np.bincount(data.y_train, minlength=len(data.classes))
        found["classes"] = {c: int(n) for c, n in zip(data.classes, counts, strict=True)}
    else:
        found["targets"] = shape.targets
    if json:
        out_json(found)
        return
    out(f"{name}: {shape.train:,} to train on, {shape.test:,} to test on")
    out(f"features: {shape.features:,}, from {low:g} to {high:g}")
    if max(-low, high) > FAR:
        say("warning: numbers are taken as they are, and a network learns best where they are about one: divide them")
    if data.classes:
        listed = ", ".join(f"{c} ({n:,})" for c, n in list(zip(data.classes, counts, strict=True))[:20])
        out(f"classes: {shape.classes}: {listed}{' and more' if shape.classes > 20 else ''}")
    else:
        out(f"targets: {shape.targets} (regression)")
    given = ["data: " + (_quoted(name) if ":" in name else name)]
    if label is not None:
        given.append(f"label: {_quoted(label)}")
    suggest(f"neurond init, then source: {{{', '.join(given)}}}")


def _quoted(word: str) -> str:
    """A word as text in a topology file, whatever is in it."""
    return "'" + word.replace("'", "''").replace("$", "$$") + "'"
