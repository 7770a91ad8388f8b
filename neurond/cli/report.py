"""The verbs report and compare: what run folders tell, as pages and as a table."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.trained import RunFolder
from neurond.errors import WrongUse

if TYPE_CHECKING:
    from monitor.told import Told
    from neurond.runs import Run

STDOUT = Path("-")


def report(
    run: RunFolder,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="RUN/report.html if not given; - is stdout."),
    ] = None,
) -> None:
    """Write a run as one page of HTML: curves, traffic, staleness, events, settings.

    It opens offline, with all that it needs inside. Prints where it is. A run that still goes on can be reported too,
    as far as it has come.
    """
    from monitor.report import report as made
    from neurond.runs import open_run

    text = made(told(open_run(run)))
    _write(text, run / "report.html" if output is None else output)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folders, two or more.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write a page with the curves of all; - is stdout."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, an object a run.")] = False,
) -> None:
    """Compare runs: their figures and the settings in which they differ, as a table or a page with curves."""
    if len(runs) < 2:
        raise WrongUse("compare takes two runs or more; for one there is neurond report")
    if as_json and output == STDOUT:
        raise WrongUse("both --json and --output - would be stdout: leave one of them out")
    from monitor.compare import Entry, comparison, objects, plain
    from neurond.runs import open_run

    entries = [Entry(told(run), settings(run)) for run in map(open_run, runs)]
    if as_json:
        out_json(objects(entries))
    elif output != STDOUT:
        out(plain(entries))
    if output is not None:
        page = comparison(entries)
        if output == STDOUT:
            out(page)
        else:
            _file(page, output)
            say(f"written: {output}")
    else:
        suggest(f"neurond compare {' '.join(shlex.quote(str(run)) for run in runs)} --output compare.html")


def settings(run: Run) -> dict[str, Any]:
    """The topology of a run laid flat, as `--set` names its values, and what it was simulated under.

    Without the former where it cannot be read, and without the latter where it was real.
    """
    from topology.errors import TopologyError

    try:
        written = run.topology.written()
    except TopologyError:  # none was written, or by another version: the figures can be compared all the same
        written = {}
    simulated = run.environment.get("simulated", {})
    return dict(_flat(written)) | {f"simulated.{key}": value for key, value in simulated.items()}


def _flat(section: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def told(run: Run) -> Told:
    """All that a run folder tells; RunError where something in it is damaged."""
    from monitor.told import Told

    try:
        topology = (run.path / "topology.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # it was killed before that was written
        topology = ""
    read = Told(
        name=run.path.resolve().name,
        path=str(run.path.resolve()),
        plan=run.plan,
        rows=run.metrics,
        summary=run.summary,
        events=run.events,
        changes=run.changed_settings,
        topology=topology,
        environment=run.environment,
    )
    for name, n in run.damaged.items():
        if n:
            say(f"neurond: {run.path / name}: {n:,} line{'s are' if n > 1 else ' is'} damaged, and left out")
    return read


def _write(text: str, path: Path) -> None:
    """The page into its file, whose name is printed, or to stdout."""
    if path == STDOUT:
        out(text)
    else:
        _file(text, path)
        out(str(path))


def _file(text: str, path: Path) -> None:
    from neurond.runs import write_text

    write_text(path, text)
