"""What a run starts from, and what is refused before any process is started."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from broker import manifest
from neurond import begin, checkpoint, data, launch, runs
from neurond.errors import RunError, WrongUse
from neurond.group import GroupMachine
from neurond.source import SourceMachine
from neurond.until import parse_target
from topology.load import load, loads
from topology.plan import DataPlan
from topology.write import dump


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a run that was saved as generation 3 before it had trained."""
    topology = load("xor")
    run, _ = launch.prepare(topology, tmp_path / "run", None, None)
    runs.write_plan(run.path, run.plan)
    runs.write_text(run.path / "topology.yaml", dump(topology))
    machines = [SourceMachine(run.plan.source, data.load("xor")), *map(GroupMachine, run.plan.groups)]
    files = {m.name: checkpoint.write(run.path, "3", m.name, m.state()) for m in machines}
    manifest.write(run.path, run.plan.name, 3, files)
    return run.path


def test_a_goal_that_no_run_can_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A regression has no accuracy, so none is waited for; a loss it has."""
    (tmp_path / "line.csv").write_text("a,y\n" + "".join(f"{k},{k / 2 + 0.25}\n" for k in range(40)))
    text = "neurond: 1\nsource: {data: 'csv:line.csv'}\ngroups: {out: {size: 1, neuron: linear}}\n"
    monkeypatch.chdir(tmp_path)
    topology = loads(text + "loss: {reads: out, kind: mse}\nlinks: {source -> out: }\n")
    with pytest.raises(WrongUse, match="a regression has no accuracy"):
        launch.prepare(topology, tmp_path / "run", None, None, until=parse_target("acc>=0.9"))
    assert not (tmp_path / "run").exists()
    launch.prepare(topology, tmp_path / "run", None, None, until=parse_target("loss<=0.1"))


def test_a_folder_that_no_message_can_name_is_refused(tmp_path: Path) -> None:
    """A name that is not UTF-8 is told in one line, before anything is made."""
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/d\xff")
    with pytest.raises(RunError, match="not UTF-8"):
        launch.prepare(load("xor"), folder, None, None)
    assert not list(tmp_path.iterdir())


def test_a_sound_checkpoint_is_gone_on_from(saved: Path) -> None:
    """A run is gone on from in its own folder; a later generation that a crash left half-written is no trouble."""
    half = saved / "checkpoints" / "4"
    half.mkdir()
    shutil.copy(saved / "checkpoints" / "3" / "hidden.safetensors", half)
    (half / "out.safetensors.part").write_bytes(b"half")
    run, topology = launch.prepare(None, None, saved, None)
    assert run.path == saved
    assert topology == load("xor")


def damage_source(run: Path) -> None:
    """Cut the source's file short."""
    file = run / "checkpoints" / "3" / "source.safetensors"
    file.write_bytes(file.read_bytes()[:-8])


def lose_group(run: Path) -> None:
    """Remove a group's file."""
    (run / "checkpoints" / "3" / "hidden.safetensors").unlink()


def lose_generation(run: Path) -> None:
    """Remove all of the generation that the manifest names."""
    shutil.rmtree(run / "checkpoints" / "3")


def forget_source(run: Path) -> None:
    """Take the source from the manifest."""
    file = run / "checkpoints" / "manifest.json"
    entries = json.loads(file.read_text())
    del entries["files"]["source"]
    file.write_text(json.dumps(entries))


def empty_source(run: Path) -> None:
    """Save the source anew with a count that is not there."""
    plan = runs.open_run(run).plan
    machines = [SourceMachine(plan.source, data.load("xor")), *map(GroupMachine, plan.groups)]
    states = {m.name: m.state() for m in machines}
    states["source"]["next"] = states["source"]["next"][:0]
    manifest.write(run, "xor", 4, {name: checkpoint.write(run, "4", name, state) for name, state in states.items()})


def edit_plan(group: int, key: str, value: object) -> Callable[[Path], None]:
    """Change a value of a group of the plan."""

    def edit(run: Path) -> None:
        file = run / "plan.json"
        plan = json.loads(file.read_text())
        plan["groups"][group][key] = value
        file.write_text(json.dumps(plan))

    return edit


def edit_topology(old: str, new: str) -> Callable[[Path], None]:
    """Change the text of the topology."""

    def edit(run: Path) -> None:
        file = run / "topology.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    return edit


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (damage_source, r"3/source.safetensors is damaged: it is not the file that was saved \(SHA-256 differs\)$"),
        (lose_group, r"cannot read .*3/hidden.safetensors: No such file or directory$"),
        (lose_generation, r"cannot read .*3/hidden.safetensors: No such file or directory$"),
        (forget_source, r"manifest.json is damaged: it names no file of 'source'$"),
        (empty_source, r"'source' cannot go on from the last checkpoint: index 0 is out of bounds"),
        (
            edit_plan(0, "size", "many"),
            r"plan.json is damaged or of another version: .*groups\[0\].size cannot be 'many'",
        ),
        (
            edit_plan(0, "size", 17),
            r"plan.json and the last checkpoint are of different networks: 'w.source' of 'hidden'",
        ),
        (
            edit_plan(0, "name", "out"),
            r"plan.json is damaged or of another version: 'out' is fed by 'hidden', which is",
        ),
        (edit_plan(1, "loss", None), r"plan.json is damaged or of another version: 'out' is no readout$"),
        (edit_topology("size: 16", "size: 17"), r"'hidden' cannot go on from the last checkpoint: .*shape \(16, 3\)"),
        (
            edit_topology("kind: sgd", "kind: momentum"),
            r"'hidden' cannot go on .*: the checkpoint has no 'w.source/velocity'",
        ),
    ],
)
def test_what_cannot_be_gone_on_from(saved: Path, damage: Callable[[Path], None], expected: str) -> None:
    """A damaged file, manifest, plan or topology is one line before anything is started, and changes nothing."""
    damage(saved)
    before = {path: path.stat().st_mtime_ns for path in saved.rglob("*")}
    with pytest.raises(RunError, match=expected) as error:
        launch.prepare(None, None, saved, None)
    assert "\n" not in str(error.value)
    assert {path: path.stat().st_mtime_ns for path in saved.rglob("*")} == before


@pytest.mark.parametrize("damage", [damage_source, forget_source, empty_source])
def test_a_process_says_the_same(saved: Path, damage: Callable[[Path], None]) -> None:
    """A process that is to go on from what cannot be used says the line that a run would have said."""
    damage(saved)
    with pytest.raises(RunError) as refused:
        launch.prepare(None, None, saved, None)
    source = SourceMachine(runs.open_run(saved).plan.source, data.load("xor"))
    with pytest.raises(begin.StartError) as failed:
        begin.restore(source, saved)
    assert str(failed.value) == str(refused.value)


def test_paths_hold_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of a run keeps whole paths, and names and scale of what the network was trained on."""
    (tmp_path / "a.csv").write_text("x,y,z\n1,2,no\n3,4,yes\n5,6,no\n")
    monkeypatch.chdir(tmp_path)
    topology = load("xor", ["source.data=csv:a.csv", "source.label=z"])
    run, located = launch.prepare(topology, "run", None, "sets")
    assert located.source.data == run.plan.source.data == f"csv:{tmp_path}/a.csv"
    assert run.plan.source.data_dir == f"{tmp_path}/sets"
    assert run.plan.source.reading == DataPlan(1.0, ("x", "y"), "z", ("no", "yes"))
    runs.write_plan(run.path, run.plan)
    assert runs.open_run(run.path).plan == run.plan


def test_data_is_looked_for_where_it_was(saved: Path) -> None:
    """A resumed run finds its data where the first one did, unless it is told where else."""
    first = runs.open_run(saved).plan
    source = replace(first.source, data_dir="/earlier")
    runs.write_plan(saved, replace(first, source=source))
    assert launch.prepare(None, None, saved, None)[0].plan.source.data_dir == "/earlier"
    assert launch.prepare(None, None, saved, "/now")[0].plan.source.data_dir == "/now"
