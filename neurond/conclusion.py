"""The end of a run, good or bad: its summary, and what the user must know of it, as exceptions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from neurond import runs
from neurond.errors import Diverged, Interrupted, ProcessLost, RunError, TargetNotReached
from topology import checkpoints, exits

if TYPE_CHECKING:
    from broker.spawn import Exit, Spawner
    from monitor.view import View
    from neurond.until import Check


def conclude(
    run: runs.Run,
    view: View,
    ended: Mapping[str, Any],
    check: Check | None,
    interrupted: bool,
    more: Mapping[str, Any] = MappingProxyType({}),
    go_on: str = "--resume",
) -> None:
    """Write ``summary.json``.

    Args:
        run: what has ended.
        view: all that was heard of it.
        ended: the data of the broker's last event.
        check: whether the goal was reached, if there was one.
        interrupted: the user stopped it.
        more: what else goes into the summary.
        go_on: what is to be written before the folder to go on with it, where the verb itself does not.

    Raises:
        Diverged, Interrupted, TargetNotReached: as they say.
        RunError: it was not saved, or the summary cannot be written.

    """
    if check is not None:
        check.ended(view.gauge(check.goal.gauge))
    summary = {
        **view.summary(),
        "why": "interrupted" if interrupted else ended["why"],
        "generation": ended["generation"],
        "save_error": ended.get("save_error"),
        "until": None if check is None else check.goal.text,
        "reached": None if check is None else check.reached,
        **more,
    }
    runs.write_json(run.path / "summary.json", summary)
    if ended["why"] == "diverged":
        raise Diverged(str(ended["process"]), str(ended["message"]), str(ended["hint"]))
    saved = ended["generation"] > 0 and not ended.get("save_error")
    unsaved = str(ended.get("save_error") or "it had not begun")
    if interrupted:
        kept = f"saved; go on with {go_on} {shlex.quote(str(run.path))}" if saved else f"not saved ({unsaved})"
        raise Interrupted(f"interrupted, {kept}", run, saved)
    if not saved:
        raise RunError(f"the run ended but was not saved: {unsaved}")
    if check is not None and not check.reached:
        figure = view.gauge(check.goal.gauge)
        was = "never measured" if figure is None else f"{figure:.4g}"
        raise TargetNotReached(f"{check.goal.text} was not reached: {check.goal.gauge} is {was}", run)


def lost(spawner: Spawner, name: str, why: str) -> ProcessLost:
    """A process is gone or silent: who, why, the last lines of its log, and what there is to go on with."""
    log = spawner.log(name)
    run_dir = log.parents[1]
    saved = checkpoints.manifest_path(run_dir).exists()
    hint = f"go on from the last checkpoint with --resume {shlex.quote(str(run_dir))}" if saved else ""
    return ProcessLost(name, why, spawner.last_lines(name), str(log), hint)


def died(spawner: Spawner, exit: Exit, said: str, often: str = "") -> Exception:
    """A process ended that was not to; `said` is what it told of itself before, if that has come.

    `often`: how often it was started anew before.
    """
    why = said or last_word(spawner, exit.name)
    if exit.code == exits.INVALID:
        from neurond.data import DataError

        return DataError(why)
    return lost(spawner, exit.name, (f"{exit.how}, {why}" if why else exit.how) + often)


def last_word(spawner: Spawner, name: str) -> str:
    """What a process said of itself at its end: its exit may be known before its message has come."""
    last = "".join(spawner.last_lines(name, 1))
    return last.removeprefix("neurond: ") if last.startswith("neurond: ") else ""
