"""A run that has ended: what it printed, what its folder holds, and what `eval` and `predict` make of it."""

import csv
import io
import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurond.data import load
from neurond.runs import open_run
from tests.command import environment, neurond

pytestmark = pytest.mark.timeout(120)

WHOLE = ["stimuli", "stimuli_per_s", "notifications", "notifications_dense", "updates", "updates_dense", "bytes"]
PROMISED = [*WHOLE, "bytes_dense", "test_accuracy", "train_s", "staleness_mean", "run"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """A short run to its end: its folder, its JSON and what it said."""
    folder = tmp_path_factory.mktemp("finished")
    done = neurond(folder, "run", "digits", "--set", "source.epochs=2", "--json", "--seed", "3")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return folder, summary, done.stderr


def test_json_has_what_is_promised(finished: tuple[Path, dict[str, Any], str]) -> None:
    """`--json` prints one object with every promised figure: whole counts, and no more than dense."""
    _, summary, _ = finished
    assert set(PROMISED) <= set(summary)
    assert all(type(summary[key]) is int for key in WHOLE)
    assert summary["stimuli"] == 2 * load("digits").shape.train
    for what in ("notifications", "updates", "bytes"):
        assert 0 < summary[what] < summary[f"{what}_dense"]
    assert 0.5 < summary["test_accuracy"] <= 1
    assert summary["unheard"] == []
    assert summary["skipped_share"] == pytest.approx(summary["skipped"] / summary["stimuli"], abs=1e-3)


def test_run_folder_is_complete(finished: tuple[Path, dict[str, Any], str]) -> None:
    """The folder holds the resolved topology with its overrides, rows, logs, a checkpoint, and the same summary."""
    folder, summary, _ = finished
    run = folder / summary["run"]
    assert run.parent == folder / "runs"
    assert json.loads((run / "summary.json").read_text()) == summary
    topology = (run / "topology.yaml").read_text()
    assert "seed: 3" in topology
    assert "epochs: 2" in topology
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["stimuli"] == summary["stimuli"]
    assert rows[-1]["updates"] == summary["updates"]
    manifest = json.loads((run / "checkpoints" / "manifest.json").read_text())
    for process in ("source", "h1", "h2", "out"):
        assert (run / "checkpoints" / manifest["files"][process]["file"]).is_file()
        assert (run / "logs" / f"{process}.log").is_file()


@pytest.mark.parametrize("verb", ["run", "broker"])
def test_a_finished_run_is_not_gone_on_from(finished: tuple[Path, dict[str, Any], str], verb: str) -> None:
    """Whoever is to go on from it says that there is nothing left to do, and what would be."""
    folder, summary, _ = finished
    done = neurond(folder, verb, "--resume", summary["run"], NEUROND_BIND=f"ipc://{folder}/sockets/")
    total = f"{summary['stimuli']:,}"
    said = f"neurond: {summary['run']} is finished, {total} of {total} stimuli; add --set source.epochs=4\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert not (folder / "sockets").exists()


def test_words_go_to_stderr(finished: tuple[Path, dict[str, Any], str]) -> None:
    """Without a terminal: plain lines, the comparison with dense, and the next command, all on stderr."""
    _, summary, said = finished
    assert f"weight updates: {summary['updates']:,} of {summary['updates_dense']:,}, saved" in said
    verbs = ("report", "eval")
    assert said.strip().splitlines()[-2:] == [f"next: neurond {verb} {summary['run']}" for verb in verbs]
    assert "\x1b" not in said


def test_the_next_command_can_be_typed_as_it_stands(finished: tuple[Path, dict[str, Any], str]) -> None:
    """Where `neurond` is in no folder of the PATH, and where the folder's name has a space, the words still run."""
    folder, summary, _ = finished
    shutil.copytree(folder / summary["run"], folder / "my run")
    done = neurond(folder, "eval", "my run", PATH=os.defpath)
    words = shlex.split(done.stderr.strip().splitlines()[-1].removeprefix("next: "))
    assert words[-3:] == ["predict", "my run", "FILE"]
    (folder / "one.csv").write_text(",".join(["0.5"] * 64) + "\n")
    again = [*words[:-1], "one.csv"]
    assert subprocess.run(again, cwd=folder, env=environment(), capture_output=True, check=False).returncode == 0


def test_predict_in_python_takes_what_the_command_takes(finished: tuple[Path, dict[str, Any], str]) -> None:
    """Raw pixels of any kind of number, with or without an image's axes, are what scaled ones are."""
    folder, summary, _ = finished
    run, x = open_run(folder / summary["run"]), load("digits").x_test[:20]
    expected = run.predict(x.astype(np.float32) * np.float32(load("digits").scale))
    for raw in (x, x.astype(int), x.astype(float), x.reshape(20, 8, 8)):
        np.testing.assert_allclose(run.predict(raw), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run.predict(x[0].reshape(8, 8)), expected[:1], rtol=1e-5, atol=1e-6)


def test_eval_agrees_with_the_run(finished: tuple[Path, dict[str, Any], str]) -> None:
    """`eval` from the checkpoint finds the accuracy that the live network measured at its end."""
    folder, summary, _ = finished
    done = neurond(folder, "eval", summary["run"], "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["test_accuracy"] == pytest.approx(summary["test_accuracy"], abs=1e-6)
    assert found["test_loss"] == pytest.approx(summary["test_loss"], rel=1e-3)
    assert len(found["classes"]) == 10
    words = neurond(folder, "eval", summary["run"])
    assert f"test accuracy {100 * summary['test_accuracy']:.2f} %" in words.stdout


def test_predict_writes_a_row_an_input(finished: tuple[Path, dict[str, Any], str]) -> None:
    """`predict` prints CSV with class names as its head: probabilities, and the likeliest class is the answer."""
    folder, summary, _ = finished
    digits = load("digits")
    lines = "\n".join(",".join(str(v) for v in row) for row in digits.x_test)
    (folder / "inputs.csv").write_text(lines + "\n")
    done = neurond(folder, "predict", summary["run"], "inputs.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == len(digits.x_test)
    names = digits.classes
    for row in rows:
        shares = [float(row[name]) for name in names]
        assert sum(shares) == pytest.approx(1, abs=1e-4)
        assert row["class"] == names[shares.index(max(shares))]
    right = sum(row["class"] == names[y] for row, y in zip(rows, digits.y_test, strict=True)) / len(rows)
    assert right == pytest.approx(summary["test_accuracy"], abs=1e-6)
    as_json = json.loads(neurond(folder, "predict", summary["run"], "inputs.csv", "--json").stdout)
    assert [row["class"] for row in as_json] == [row["class"] for row in rows]


def test_predict_from_bad_inputs(finished: tuple[Path, dict[str, Any], str]) -> None:
    """Inputs of another width are one line and 3."""
    folder, summary, _ = finished
    (folder / "narrow.csv").write_text("1,2,3\n4,5,6\n")
    done = neurond(folder, "predict", summary["run"], "narrow.csv")
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "64" in done.stderr


def test_data_of_ones_own_from_anywhere(tmp_path: Path) -> None:
    """A run of a csv beside it is evaluated, used and gone on from in another folder; inputs go by their names."""
    points = [(x / 10, y / 10) for x in range(-9, 10) for y in range(-9, 10) if x != y]
    rows = "".join(f"{x},{y},{'below' if x > y else 'above'}\n" for x, y in points)
    (tmp_path / "points.csv").write_text(f"x,y,side\n{rows}")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    topology = (
        "neurond: 1\nsource: {data: 'csv:points.csv', epochs: 40, window: 8, volley: 4, opening: 0}\n"
        "groups: {h: {size: 8}, out: {size: 2, neuron: linear}}\nloss: {reads: out}\n"
        "defaults: {group: {optimizer: {lr: 0.2}}}\nlinks: {source -> h: , h -> out: }\n"
    )
    (tmp_path / "mine.yaml").write_text(topology)
    done = neurond(tmp_path, "run", "mine.yaml", "--run", "run", "--json")
    assert done.returncode == 0, done.stderr
    accuracy = json.loads(done.stdout)["test_accuracy"]
    assert accuracy > 0.8
    evaluated = neurond(elsewhere, "eval", "../run", "--json")
    assert json.loads(evaluated.stdout)["test_accuracy"] == pytest.approx(accuracy, abs=1e-6), evaluated.stderr
    again = neurond(elsewhere, "run", "--resume", "../run", "--set", "source.epochs=41", "--quiet")
    assert again.returncode == 0, again.stderr

    (tmp_path / "points.csv").unlink()  # the network needs its data no more
    (elsewhere / "new.csv").write_text("y,x\n-0.5,0.5\n0.5,-0.5\n")
    predicted = neurond(elsewhere, "predict", "../run", "new.csv")
    assert predicted.stderr == ""
    assert [row["class"] for row in csv.DictReader(io.StringIO(predicted.stdout))] == ["below", "above"]
    (elsewhere / "new.csv").write_text("y,z\n-0.5,0.5\n")
    wrong = neurond(elsewhere, "predict", "../run", "new.csv")
    assert (wrong.returncode, wrong.stdout) == (3, "")
    assert wrong.stderr == "neurond: new.csv: no column is named 'x', which the network reads\n"
