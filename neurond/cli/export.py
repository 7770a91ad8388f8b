"""The verb export: the figures of a run for other tools."""

from __future__ import annotations

import shlex
import shutil
import time
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.output import missing, out, say, suggest
from neurond.cli.trained import RunFolder
from neurond.errors import RunError, WrongUse


def export(
    run: RunFolder,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write event files of TensorBoard, into a folder in this one.")
    ] = None,
) -> None:
    """Write the figures of a run over time for another tool. Prints where they are.

    Several runs that are exported to one folder are shown side by side there.
    """
    if tensorboard is None:
        raise WrongUse("export to what? Say --tensorboard DIR")
    from neurond.runs import open_run

    opened = open_run(run)
    try:
        from tensorboardX import summary  # an extra
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
    except ImportError:
        raise missing("tensorboardX") from None
    from monitor.scalars import scalars
    from neurond.cli.report import told

    run_told = told(opened)
    folder = tensorboard / run_told.name
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(f"{folder} is not empty; remove it, or choose another folder")
    n = 0
    part = folder.with_name(f"{folder.name}.part")  # so that what is there is whole
    try:
        part.mkdir(parents=True)
        try:
            writer = EventsWriter(str(part / "events"))  # in this thread: what the disk refuses is known here
            for tag, step, at, value in scalars(run_told):
                writer.write_event(Event(wall_time=at, step=int(step), summary=summary.scalar(tag, value)))
                n += 1
            if run_told.topology:
                text = summary.text("topology", f"```yaml\n{run_told.topology}```")
                writer.write_event(Event(wall_time=time.time(), summary=text))
            writer.close()
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    except OSError as error:
        raise RunError(f"cannot write {folder}: {error.strerror}") from error
    say(f"{n:,} figures of {len(run_told.rows):,} rows")
    out(str(folder))
    suggest(f"tensorboard --logdir {shlex.quote(str(tensorboard))}")
