"""The verb experiment: studies that are run, judged, drawn and written down."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.topologies import DataDir
from neurond.errors import NeurondError, RunError, WrongUse

if TYPE_CHECKING:
    from neurond.experiments.conduct import Conduct
    from neurond.experiments.judge import Verdict
    from neurond.experiments.results import Results

FOLDER = Path("experiments")


def experiment(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which studies to run, or all; none lists them.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="Runs of each arm.")] = 5,
    quick: Annotated[
        bool, typer.Option("--quick", help="Everything once and short, to see that it works; nothing is judged.")
    ] = False,
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where results and charts are, and are looked for.")
    ] = FOLDER,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page of all studies, from the results in DIR.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON list, an object a study.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Run a study of how networks learn, draw it, and judge its claims; without a name, list the studies.

    A run that DIR holds already is not made again, so whatever ends this, the same command goes on.
    """
    from neurond.experiments.catalog import chosen
    from neurond.experiments.conduct import Conduct
    from neurond.experiments.results import held, read, try_to_write

    wanted = chosen(names or ["all"])
    if page is not None:
        _check(page, folder)
    seeds = 1 if quick else seeds
    where = None if data_dir is None else os.path.abspath(data_dir)  # noqa: PTH100 - runs change no folder
    if not names:
        studies = [read(folder, study, quick=quick) for study in wanted]
        _list(studies, Conduct(studies, seeds, where, say), folder, as_json)
        if page is not None:
            _page(folder, page, quick, seeds)
        return
    from neurond.experiments import draw

    draw.require()  # before an hour of runs, not after it
    with held(folder):
        if page is not None:
            try_to_write(page.parent, "--page")
        conduct = Conduct([read(folder, study, quick=quick) for study in wanted], seeds, where, say)
        _make(conduct, folder, as_json)
        if page is not None:
            _page(folder, page, quick, seeds)
    _end(conduct, names, folder)


def _make(conduct: Conduct, folder: Path, as_json: bool) -> None:
    """Make the runs that are missing, and draw and tell each study as soon as it has them."""
    from neurond.experiments import draw

    if left := conduct.left_s():
        from neurond.experiments.conduct import duration

        say(f"about {duration(left)}; Ctrl-C loses only the run that goes on")
    told = []

    def finished(results: Results) -> None:
        if results.runs:
            paths = draw.draw(results, folder, conduct.seeds)
            told.append(_told(results, conduct.seeds, [results.path, *paths], as_json))

    asyncio.run(_stoppable(conduct, finished))
    if as_json:
        out_json(told)


def _end(conduct: Conduct, names: list[str], folder: Path) -> None:
    """What is missing, as an exception; a study that lacks its data is one only if it was asked for by its name."""
    from neurond.data.dataset import DataError

    if conduct.failed:
        n = len(conduct.failed)
        runs = f"{n} run{'s' if n > 1 else ''} failed ({conduct.failed[0]}{', ...' if n > 1 else ''})"
        raise NeurondError(f"{runs}; the same command tries again")
    if named := [name for name in conduct.lacking if name in names]:
        are = "is" if len(named) == 1 else "are"
        raise DataError(f"{', '.join(named)} {are} left out, as said above; the same command runs what has its data")
    if len(conduct.of) == 1:
        suggest(f"neurond experiment{_options(conduct, folder)}")


def _options(conduct: Conduct, folder: Path) -> str:
    """What a next command must say for it to be of the same runs."""
    from neurond.experiments.study import SEEDS

    quick = any(results.quick for results in conduct.of)
    seeds = "" if quick or conduct.seeds == SEEDS else f" --seeds {conduct.seeds}"
    shown = "" if folder == FOLDER else f" --dir {shlex.quote(str(folder))}"
    return f"{' --quick' if quick else ''}{seeds}{shown}"


async def _stoppable(conduct: Conduct, finished: Callable[[Results], None]) -> None:
    """Ctrl-C, SIGTERM and a terminal that is closed end the one that goes on in good order; twice, at once."""
    from neurond.signals import hangup, heard

    stop = asyncio.Event()
    task = asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        if stop.is_set():
            task.cancel()
        else:
            stop.set()
            say("stopping; Ctrl-C once more to leave at once")

    try:
        with heard(dict.fromkeys((signal.SIGINT, signal.SIGTERM, *hangup()), interrupt)):
            await conduct.run(stop, finished)
    except asyncio.CancelledError:
        raise conduct.interrupted() from None


def _list(studies: list[Results], conduct: Conduct, folder: Path, as_json: bool) -> None:
    """The studies: how much of each there is, how long the rest takes, and what it asks."""
    from neurond.experiments.conduct import duration

    rows: list[dict[str, Any]] = []
    for results in studies:
        wanted = conduct.seeds * len(results.study.arms)
        made = wanted - sum(1 for _ in conduct.missing(results))
        left = conduct.left_s([results])
        rows.append(
            {
                "name": results.study.name,
                "runs": made,
                "of": wanted,
                "left_s": round(left),
                "title": results.study.title,
            }
        )
    if as_json:
        out_json(rows)
        return
    wide = max(len(row["name"]) for row in rows)
    for row in rows:
        runs = f"{row['runs']}/{row['of']}"
        told = f"{duration(row['left_s'])} left" if row["left_s"] else "complete"
        out(f"{row['name']:<{wide}}  {runs:>8} runs  {told:>11}  {row['title']}")
    suggest(f"neurond experiment {rows[0]['name']}{_options(conduct, folder)}")


def _told(results: Results, seeds: int, paths: list[Path], as_json: bool) -> dict[str, Any]:
    """Print what came of a study, unless it is to be JSON, and give that."""
    from neurond.experiments.page import verdicts

    found: list[Verdict] = verdicts(results, seeds)
    if not as_json:
        out(f"{results.study.name}: {results.study.title}")
        for verdict in found:
            out(f"  {verdict.claim.words}")
            out(f"    {verdict.sentence}")
        for path in paths:
            out(f"  {path}")
    return {
        "study": results.study.name,
        "quick": results.quick,
        "claims": [
            {"claim": v.claim.words, "outcome": v.outcome, "told": v.sentence, "values": list(v.values)}
            for v in found
        ],
        "files": [str(path) for path in paths],
    }


def _check(page: Path, folder: Path) -> None:
    """Raise WrongUse if the page would be written over what is no page: a study's results or its chart."""
    from neurond.experiments.catalog import STUDIES
    from neurond.experiments.results import files_of

    try:
        is_another = page.exists() and not page.is_file()
        is_kept = page.resolve() in {file.resolve() for study in STUDIES.values() for file in files_of(folder, study)}
    except (OSError, RuntimeError) as error:  # a folder that cannot be entered, or a link that leads to itself
        raise WrongUse(f"--page {page} cannot be found out about ({error}); name another") from error
    if is_another:
        raise WrongUse(f"--page {page} is not a file; name one that the page can be written to")
    if is_kept:
        raise WrongUse(f"--page {page} is where a study keeps its results or its chart; choose another name")


def _page(folder: Path, page: Path, quick: bool, seeds: int) -> None:
    """Write the page from all results that the folder holds."""
    from neurond.experiments.catalog import STUDIES
    from neurond.experiments.page import page as made
    from neurond.experiments.results import read
    from topology.files import write_whole

    seen_from = os.path.relpath(folder, page.parent)
    command = f"neurond experiment --dir {shlex.quote(str(folder))} --page {shlex.quote(str(page))}"
    studies = [read(folder, study, quick=quick) for study in STUDIES.values()]
    text = made(studies, "" if seen_from == "." else f"{seen_from}/", command, seeds)
    try:
        write_whole(page, text.encode())
    except OSError as error:
        raise RunError(f"cannot write {page}: {error.strerror}; choose another with --page") from error
    out(str(page))
