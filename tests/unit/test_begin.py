"""What a process begins with, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker import manifest
from neurond import begin, checkpoint, data, journal
from neurond.changes import Shadow, fingerprint
from neurond.group import GroupMachine
from topology import checkpoints, plan
from topology.load import load
from topology.resolve import resolve


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"optimizer": {"kind": "lion"}}, "unknown optimizer 'lion': one of "),
        ({"update": {"rule": "never"}}, "unknown update rule 'never': one of "),
        ({"optimizer": {"colour": "red"}}, "colour"),
        ({"optimizer": ["sgd"]}, "mapping"),
        ({"size": "many"}, "'str'"),
        ({"links_in": [{}]}, "it has no 'notify'"),
    ],
    ids=str,
)
def test_a_part_of_another_version(change: dict[str, Any], expected: str) -> None:
    """A part of a plan that this version cannot make a machine of is one line, whatever is wrong with it."""
    whole = resolve(load("xor"), data.describe("xor"))
    part = plan.to_dict(whole.groups[0]) | change
    with pytest.raises(begin.StartError, match=r"^the broker sent a plan of another version: ") as error:
        begin.make_machine("group", part, 1, None)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def whole() -> plan.Plan:
    """The plan of a small network."""
    return resolve(load("xor"), data.describe("xor"))


def written(run_dir: Path, group: plan.GroupPlan, weight: float, incarnation: int = 1) -> Path:
    """The journal of a process that had this bias, and was killed; where it is."""
    machine = GroupMachine(group, incarnation)
    durable, shadow = machine.durable(), Shadow()
    kept = journal.Journal(run_dir, group.name, incarnation, fingerprint(group.name, durable))
    for value in (0.5, weight):
        durable["w.source"][:, -1] = value
        kept.write(shadow.look(durable), shadow)
    kept.close()
    return journal.folder(run_dir) / f"{group.name}.{incarnation}.1.journal"


def saved(run_dir: Path, group: plan.GroupPlan, weight: float) -> Path:
    """A checkpoint of a process that had this bias; where it is."""
    machine = GroupMachine(group)
    machine.durable()["w.source"][:, -1] = weight
    part = checkpoint.write(run_dir, "1", group.name, machine.state())
    manifest.write(run_dir, "xor", 1, {group.name: part})
    return checkpoints.folder(run_dir) / part["file"]


def bias(machine: GroupMachine) -> float:
    """The bias that it has now; all of its neurons have the same."""
    (value,) = set(machine.state()["b"].ravel().tolist())
    return float(value)


def test_from_the_journal(tmp_path: Path, whole: plan.Plan) -> None:
    """A process that takes another's place goes on from its journal, not from an older checkpoint, and says so."""
    hidden = whole.group("hidden")
    saved(tmp_path, hidden, 1.0)
    written(tmp_path, hidden, 2.0)
    machine = GroupMachine(hidden, incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert bias(machine) == 2.0
    assert (said.name, said.kind) == ("hidden", "journal")
    counted = {"records": 1, "torn": 0, "left_records": 0, "left_bytes": 0, "stimuli": 0}
    assert said.data == {"ok": True, "why": "goes on from the journal of incarnation 1", "from": "journal", **counted}


def test_from_a_torn_journal(tmp_path: Path, whole: plan.Plan) -> None:
    """The record that it was killed in is no loss to speak of, but it is counted."""
    path = written(tmp_path, whole.group("hidden"), 2.0)
    path.write_bytes(path.read_bytes()[:-1])
    machine = GroupMachine(whole.group("hidden"), incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert (bias(machine), said.data["ok"], said.data["records"]) == (0.5, True, 0)
    assert said.data["torn"] > 0


def test_from_a_damaged_journal(tmp_path: Path, whole: plan.Plan) -> None:
    """What is left out because it is damaged is said, in records and bytes."""
    path = written(tmp_path, whole.group("hidden"), 2.0)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    machine = GroupMachine(whole.group("hidden"), incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert (bias(machine), said.data["ok"], said.data["left_records"]) == (0.5, False, 1)
    left = f"left out as damaged: records 1, bytes {said.data['left_bytes']}"
    assert said.data["why"] == f"goes on from the journal of incarnation 1; {left}"


def test_from_the_checkpoint(tmp_path: Path, whole: plan.Plan) -> None:
    """Where the journal is of no use the last checkpoint is, and both are said."""
    saved(tmp_path, whole.group("hidden"), 1.0)
    written(tmp_path, whole.group("hidden"), 2.0).write_bytes(b"")
    machine = GroupMachine(whole.group("hidden"), incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert (bias(machine), said.data["ok"], said.data["from"]) == (1.0, False, "checkpoint")
    assert said.data["why"] == "goes on from the last checkpoint; hidden.1.1.journal: it is no journal"


def test_from_the_beginning(tmp_path: Path, whole: plan.Plan) -> None:
    """Where nothing is of use a process starts with its first weights, and says why; it does not end the run."""
    saved(tmp_path, whole.group("hidden"), 1.0).write_bytes(b"")
    machine = GroupMachine(whole.group("hidden"), incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert (said.data["ok"], said.data["from"]) == (False, "")
    why = said.data["why"]
    assert why.startswith("starts from the beginning; ")
    assert "is damaged" in why
    first = GroupMachine(whole.group("hidden"))
    assert np.array_equal(machine.durable()["w.source"], first.durable()["w.source"])


def test_from_nothing(tmp_path: Path, whole: plan.Plan) -> None:
    """A process that died before it had written anything leaves nothing to go on from."""
    said = begin.recover(GroupMachine(whole.group("hidden"), incarnation=2), tmp_path)
    assert said.data["why"].startswith(f"starts from the beginning; {tmp_path} has no checkpoint")


def test_from_the_journal_of_another_network(tmp_path: Path, whole: plan.Plan) -> None:
    """A journal of other shapes is not taken up."""
    other = resolve(load("xor", ["groups.hidden.size=3"]), data.describe("xor"))
    written(tmp_path, other.group("hidden"), 2.0)
    machine = GroupMachine(whole.group("hidden"), incarnation=2)
    said = begin.recover(machine, tmp_path)
    assert "hidden.1.1.journal: it is of another network" in said.data["why"]
    assert not said.data["ok"]
