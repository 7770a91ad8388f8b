from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker import manifest
from neurond import checkpoint, runs
from neurond.errors import RunError
from neurond.weights import initial_bias, link_weights
from tests.zoo import plan_of
from topology.load import load, loads
from topology.plan import Plan
from topology.write import dump

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def save(path: Path, plan: Plan) -> dict[str, dict[str, Any]]:
    """A checkpoint of initial weights and random biases, as the processes and the broker write it."""
    rng = np.random.default_rng(5)
    states, files = {}, {}
    for group in plan.groups:
        state = {f"w.{link.pre}": link_weights(group, link) for link in group.links_in}
        state["b"] = rng.normal(size=initial_bias(group).shape).astype(np.float32)
        states[group.name] = state
        extra = {"count": np.array([1, 2]), "b/m": state["b"], f"w.{group.links_in[0].pre}/pending": state["b"]}
        files[group.name] = checkpoint.write(path, "3", group.name, {**state, **extra})
    manifest.write(path, plan.name, 3, files)
    return states


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    """A run of a network with shards and a skip link, with a checkpoint."""
    plan = plan_of("xor", "groups.hidden.shards=3", "groups.hidden.size=8")
    runs.write_plan(tmp_path, plan)
    save(tmp_path, plan)
    return runs.open_run(tmp_path)


def test_folders_are_unique(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs of one second get folders of their own, under NEUROND_RUNS or runs/ where the user is."""
    monkeypatch.chdir(tmp_path)
    made = [runs.create("xor", now=AT) for _ in range(3)]
    assert [str(p) for p in made] == [f"runs/20300102-030405-xor{end}" for end in ("", "-2", "-3")]
    monkeypatch.setenv("NEUROND_RUNS", str(tmp_path / "elsewhere"))
    assert runs.create("xor", now=AT) == tmp_path / "elsewhere" / "20300102-030405-xor"


def test_a_named_folder_must_be_empty(tmp_path: Path) -> None:
    """A folder that the user names is made if need be, and refused if a run could overwrite what is in it."""
    assert runs.create("xor", tmp_path / "a" / "b").is_dir()
    (tmp_path / "a" / "b" / "thesis.txt").touch()
    with pytest.raises(RunError, match=r"b is not empty; choose another folder, or go on .* --resume"):
        runs.create("xor", tmp_path / "a" / "b")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A run folder that cannot be made is one clear line."""
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"^cannot make a run folder: Not a directory \(.*file/run\)$"):
        runs.create("xor", tmp_path / "file" / "run")


def test_a_folder_is_held_once(tmp_path: Path) -> None:
    """Two runs cannot use one folder at a time, and holding it leaves no file in it."""
    with runs.held(tmp_path):
        with pytest.raises(RunError, match="is in use by another run"), runs.held(tmp_path):
            pass
        assert list(tmp_path.iterdir()) == []
    with runs.held(tmp_path):
        pass


def test_a_full_disk(tmp_path: Path) -> None:
    """A full disk is one clear line; the file that was there stays, and no part of the new one does."""
    runs.write_json(tmp_path / "summary.json", {"a": 1})
    (tmp_path / "summary.json.part").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write .*summary.json: No space left on device; free some space"):
        runs.write_json(tmp_path / "summary.json", {"a": 2})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["summary.json"]


def test_a_full_disk_for_metrics(tmp_path: Path) -> None:
    """A row that cannot be written is one clear line."""
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    metrics = runs.Rows(tmp_path)
    with pytest.raises(RunError, match=r"cannot write .*metrics.jsonl: No space left on device"):
        metrics.append({"stimuli": 1})
    metrics.close()


def test_metrics_come_back(run: runs.Run) -> None:
    """Rows come back in order, also those of a second process, and without a line that a crash cut off."""
    assert run.metrics == []
    for start in (0, 2):
        metrics = runs.Rows(run.path)
        for i in (start, start + 1):
            metrics.append({"t_s": 0.5 * i, "stimuli": i})
        metrics.close()
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"stimu')
    assert [row["stimuli"] for row in run.metrics] == [0, 1, 2, 3]


def test_plan_and_topology_come_back(run: runs.Run) -> None:
    """What is written of a run is read back equal."""
    assert run.plan == plan_of("xor", "groups.hidden.shards=3", "groups.hidden.size=8")
    topology = loads(dump(load("xor")))
    runs.write_text(run.path / "topology.yaml", dump(topology))
    assert run.topology == topology
    assert run.summary == {}
    runs.write_json(run.path / "summary.json", {"test_accuracy": 0.5})
    assert run.summary == {"test_accuracy": 0.5}


def test_weights_are_put_together(run: runs.Run) -> None:
    """Shards come back as one matrix a link and one bias a group, where each neuron stands in its group."""
    whole = plan_of("xor", "groups.hidden.size=8")
    hidden, out = whole.group("hidden"), whole.group("out")
    weights = run.weights
    assert set(weights) == {"source -> hidden", "hidden.bias", "hidden -> out", "out.bias"}
    np.testing.assert_array_equal(weights["source -> hidden"], link_weights(hidden, hidden.links_in[0]))
    np.testing.assert_array_equal(weights["hidden -> out"], link_weights(out, out.links_in[0]))
    parts = runs.load_weights(run)
    biases = [parts[g.name]["b"].ravel() for g in run.plan.groups if g.group == "hidden"]
    np.testing.assert_array_equal(weights["hidden.bias"], np.concatenate(biases))
    assert set(parts["out"]) == {"b", "w.hidden.0", "w.hidden.1", "w.hidden.2"}


def test_predict(run: runs.Run) -> None:
    """Predictions are those of the formula with the merged weights, for one stimulus and for many."""
    w = run.weights
    x = np.random.default_rng(1).normal(size=(5, 2)).astype(np.float32)
    hidden = np.tanh(x @ w["source -> hidden"].T + w["hidden.bias"])
    expected = hidden @ w["hidden -> out"].T + w["out.bias"]
    np.testing.assert_allclose(run.predict(x), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.predict(x[0]), expected[:1], rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="features"):
        run.predict(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("flip", r"3/out.safetensors is damaged: it is not the file that was saved"),
        ("delete", r"cannot read .*3/out.safetensors: No such file or directory"),
        ("garbage", r"3/out.safetensors is damaged"),
        ("manifest", r"manifest.json is damaged"),
        ("entry", r"manifest.json is damaged: it names no file of 'out'"),
        ("none", r"has no checkpoint; a run saves one while it trains and at its end"),
    ],
)
def test_damaged_checkpoints(run: runs.Run, damage: str, expected: str) -> None:
    """A checkpoint that is not what was saved is refused in one line that names the file."""
    named = run.path / "checkpoints" / "manifest.json"
    file = run.path / "checkpoints" / "3" / "out.safetensors"
    entries = json.loads(named.read_text())
    if damage == "flip":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif damage == "delete":
        file.unlink()
    elif damage == "garbage":
        file.write_bytes(b"no tensors")
        entries["files"]["out"]["sha256"] = hashlib.sha256(b"no tensors").hexdigest()
        named.write_text(json.dumps(entries))
    elif damage == "manifest":
        named.write_text("{")
    elif damage == "entry":
        del entries["files"]["out"]
        named.write_text(json.dumps(entries))
    else:
        named.unlink()
    with pytest.raises(RunError, match=expected) as error:
        _ = run.weights
    assert "\n" not in str(error.value)


def test_a_run_to_go_on_from(run: runs.Run) -> None:
    """A run is gone on from where it has a checkpoint that can be read, and refused in words where it has not."""
    assert runs.open_saved(run.path).plan == run.plan
    named = run.path / "checkpoints" / "manifest.json"
    named.write_text("{")
    with pytest.raises(RunError, match=r"manifest.json is damaged"):
        runs.open_saved(run.path)
    named.unlink()
    with pytest.raises(RunError, match="has no checkpoint"):
        runs.open_saved(run.path)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "is not a run folder: it has no plan.json; runs are folders under runs/"),
        ("{", "plan.json is damaged or of another version"),
        (200_000 * "[", "plan.json is damaged or of another version"),
        ('{"version": 9}', "plan.json is damaged or of another version"),
    ],
)
def test_no_run(tmp_path: Path, content: str | None, expected: str) -> None:
    """A folder that holds no run is refused in words."""
    folder = tmp_path / "mine"  # whose neighbours are no run to be guessed
    folder.mkdir()
    if content is not None:
        (folder / "plan.json").write_text(content)
    with pytest.raises(RunError, match=expected):
        runs.open_run(folder)
    with pytest.raises(RunError, match="is no folder"):
        runs.open_run(tmp_path / "nowhere")
