"""What a process begins with: the machine that its part of the plan asks for, and the state that was saved of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurond import journal
from neurond.changes import fingerprint
from neurond.machine import Machine
from neurond.scribe import Scribe
from topology import checkpoints, exits, wire
from topology.plan import SOURCE, SourcePlan, group_from_dict, source_from_dict

if TYPE_CHECKING:
    from neurond.data import Dataset

_FOREIGN = (ValueError, KeyError, IndexError, TypeError, AttributeError)
"""What reading a plan or a state raises that was written for something else."""


class StartError(Exception):
    """The process cannot start or go on; the message is one line for a person."""

    def __init__(self, message: str, exit_code: int = exits.FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def make_machine(role: str, plan: dict[str, Any], incarnation: int, data_dir: str | None) -> Machine:
    """The machine of a group or of the source; StartError if its plan or its data cannot be used.

    Args:
        role: group | source.
        plan: the process' own part of the run's plan, as the broker sent it.
        incarnation: of the process.
        data_dir: where the source looks for data sets; None for where the plan says.

    """
    try:
        if role == "group":
            from neurond.group import GroupMachine  # the source needs none of it

            return GroupMachine(group_from_dict(plan), incarnation)
        from neurond.source import SourceMachine

        p = source_from_dict(plan)
        return SourceMachine(p, _examples(p, data_dir), incarnation)
    except _FOREIGN as error:
        raise StartError(f"the broker sent a plan of another version: {_what(error)}") from error


def _examples(p: SourcePlan, data_dir: str | None) -> Dataset:
    from neurond import data

    try:
        examples = data.load(p.data, data_dir=data_dir or p.data_dir, label=p.label, test=p.test)
    except data.DataError as error:
        raise StartError(str(error), exits.INVALID) from error
    if examples.x_train.shape[1] != p.features:
        raise StartError(f"{p.data} has {examples.x_train.shape[1]} features, not {p.features}", exits.INVALID)
    return examples


def restore(machine: Machine, run_dir: Path) -> None:
    """Let a machine take up what the last checkpoint holds of it; StartError if that cannot be used."""
    from neurond import checkpoint  # only a resumed run needs it

    try:
        manifest = checkpoints.read_manifest(run_dir)
        machine.restore(checkpoint.read(run_dir, manifest, machine.name))
    except checkpoints.CheckpointError as error:
        raise StartError(str(error)) from error
    except _FOREIGN as error:
        what = f"{run_dir}: {machine.name!r} cannot go on from the last checkpoint: {_what(error)}"
        raise StartError(f"{what}; leave out what was changed, or --resume") from error


def recover(machine: Machine, run_dir: Path) -> wire.Event:
    """Let a machine go on from where the process before it under its name was; the event that says from where.

    From the journal of that one, or else from the last checkpoint, or else from the beginning.
    """
    own = fingerprint(machine.name, machine.durable())
    held = journal.recover(run_dir, machine.name, machine.incarnation, own)
    trouble = held.unusable
    try:
        if held.arrays is not None:
            machine.recover(held.arrays)
            said = f"goes on from the journal of incarnation {held.incarnation}"
            if held.left_records or held.left_bytes:
                trouble.append(f"left out as damaged: records {held.left_records}, bytes {held.left_bytes}")
            return _recovered(machine, "journal", said, trouble, held)
    except _FOREIGN as error:
        trouble.append(_what(error))
    try:
        restore(machine, run_dir)
        source, said = "checkpoint", "goes on from the last checkpoint"
    except StartError as error:
        trouble.append(str(error))
        source, said = "", "starts from the beginning"
    return _recovered(machine, source, said, trouble or ["there is no journal"], held)


def journalled(machine: Machine, run_dir: Path, anew: bool, tell: Callable[[wire.Event], None]) -> Scribe | None:
    """The journal of a machine from now on; None where its plan wants none.

    Args:
        machine: as it begins.
        run_dir: the run folder.
        anew: the first process of its name in this run: what an earlier run has left is removed.
        tell: called with events for the broker.

    """
    if anew:
        with contextlib.suppress(OSError):  # then it cannot be written either, and that is told
            journal.remove(run_dir, machine.name)
    if not machine.plan.journal_s:
        return None
    own = fingerprint(machine.name, machine.durable())
    kept = journal.Journal(run_dir, machine.name, machine.incarnation, own)
    return Scribe(machine, kept, machine.plan.journal_s, tell)


def _recovered(machine: Machine, source: str, said: str, trouble: list[str], held: journal.Recovered) -> wire.Event:
    counted = {"records": held.records, "torn": held.torn}
    counted |= {"left_records": held.left_records, "left_bytes": held.left_bytes}
    counters = machine.telemetry(0.0).counters
    counted["stimuli"] = counters["confirmed" if machine.name == SOURCE else "stimuli"]  # that it goes on from
    why = "; ".join([said, *trouble])
    return wire.Event(machine.name, "journal", {"ok": not trouble, "why": why, "from": source, **counted})


def _what(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)
