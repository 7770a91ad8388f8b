"""The verb simulate: the same digest on any processor, a run folder to look back at, and words for what is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from neurond.runs import open_run
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from topology import exits

pytestmark = pytest.mark.timeout(300)  # a process a run, beside whatever else the machine does

EVERYTHING = """
neurond: 1
name: everything
seed: 4
source: {data: digits, epochs: 0.4, window: 32, volley: 8}
groups:
  a: {size: 24, neuron: tanh, update: {adapt: neuron, target: 0.01}}
  b: {size: 16, neuron: sigmoid, optimizer: {kind: momentum, lr: 0.02}, look_ahead: 1, delay_compensation: 0.5}
  c: {size: 16, neuron: relu, join: latest, optimizer: {kind: adam, lr: 0.003}}
  out: {size: 10, neuron: linear}
loss: {reads: out, kind: cross-entropy}
defaults:
  group: {optimizer: {kind: sgd, lr: 0.1, schedule: cosine}, update: {threshold: 0.001}}
  link: {notify: {rule: stochastic, threshold: 0.05, noise: 0.01}}
links:
  source -> a:
  a -> b: {notify: {rule: drop, adapt: neuron, target: 0.1}}
  a -> c: {feedback: random}
  b -> c:
  b -> out: {notify: {adapt: link, target: 0.2}}
  c -> out:
"""
BAD = ("--latency", "20ms±10ms", "--loss", "1%", "--churn", "30s", "--down", "1s", "--bandwidth", "5Mbit")
PROCESSORS = {
    "as it is": {},
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "Prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "plain loops": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX2 FMA3", "OPENBLAS_CORETYPE": "Nehalem"},
}
"""As what kind of processor NumPy and its BLAS are to see this one; where they do not know it, they say so."""


def simulated(folder: Path, *options: str, **variables: str) -> dict[str, Any]:
    """The summary of a simulated run."""
    done = neurond(folder, "simulate", *options, "--quiet", "--json", PYTHONWARNINGS="ignore", **variables)
    assert done.returncode == exits.OK, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


@pytest.fixture
def topology(tmp_path: Path) -> str:
    """A file that has every kind of neuron and what else comes of functions that are not plain sums and products."""
    (tmp_path / "everything.yaml").write_text(EVERYTHING, encoding="utf-8")
    return "everything.yaml"


def test_the_digest_is_that_of_any_processor(tmp_path: Path, topology: str) -> None:
    """With BLAS and NumPy for other processors every delivery and weight is the same; plain arithmetic differs."""
    exact = {name: simulated(tmp_path, topology, *BAD, **v)["digest"] for name, v in PROCESSORS.items()}
    assert len(set(exact.values())) == 1, exact
    fast = [simulated(tmp_path, topology, *BAD, "--fast", **v) for v in PROCESSORS.values()]
    assert {summary["arithmetic"] for summary in fast} == {"fast"}
    if len({summary["digest"] for summary in fast}) == 1:
        pytest.skip("this processor knows no other way to compute")


def test_a_simulated_run_is_a_run(tmp_path: Path) -> None:
    """Its figures add up, its folder is read like any other, and what looks back at runs takes it."""
    options = ["digits", "--latency", "50ms+-20ms", "--loss", "1%", "--seed", "3", "--epochs", "4", "--run", "one"]
    summary = simulated(tmp_path, *options)
    assert summary["stimuli"] == 4 * 1438
    assert summary["test_accuracy"] > 0.85
    assert summary["why"] == "finished"
    assert summary["frames"] == summary["frames_delivered"] + summary["frames_lost"]
    assert 0 < summary["frames_lost"] < 0.02 * summary["frames"]
    assert summary["represented"] > 0
    assert summary["bytes"] + summary["eval_bytes"] > sum(t["bytes"] for t in summary["links"].values()) > 0
    assert sum(summary["staleness_counts"].values()) > 0
    assert [e["stimuli"] for e in summary["evaluations"]][-1] == summary["stimuli"]
    times = [e["t_s"] for e in summary["evaluations"]]
    assert times == sorted(times)
    assert summary["virtual_s"] > summary["train_s"] > 10

    run = open_run(tmp_path / "one")
    assert run.summary == summary
    assert run.environment["simulated"]["latency"] == "50ms±20ms"
    assert [row["t_s"] for row in run.metrics] == sorted(row["t_s"] for row in run.metrics)
    assert {"running", "epoch", "evaluated", "finished", "ended"} <= {event["kind"] for event in run.events}
    evaluated = neurond(tmp_path, "eval", "one", "--json")
    assert json.loads(evaluated.stdout)["test_accuracy"] == pytest.approx(summary["test_accuracy"], abs=0.005)

    assert simulated(tmp_path, *options[:-1], "two")["digest"] == summary["digest"]
    options[options.index("--seed") + 1] = "4"
    other = simulated(tmp_path, *options[:-1], "three")
    assert other["digest"] != summary["digest"]
    assert neurond(tmp_path, "report", "one").returncode == exits.OK
    assert neurond(tmp_path, "compare", "one", "three", "--output", "both.html").returncode == exits.OK
    assert (tmp_path / "both.html").stat().st_size > 10_000


def test_runs_are_compared_with_their_conditions(tmp_path: Path) -> None:
    """Those that differ are among the settings that do, and the others are not."""
    for name, latency in (("one", "10ms"), ("two", "20ms")):
        simulated(tmp_path, "xor", "--epochs", "2", "--latency", latency, "--loss", "1%", "--run", name)
    done = neurond(tmp_path, "compare", "one", "two", "--json")
    found = [run["settings"] for run in json.loads(done.stdout)]
    assert found == [{"simulated.latency": "10ms±0ms"}, {"simulated.latency": "20ms±0ms"}]


def test_processes_die_and_come_back(tmp_path: Path) -> None:
    """Each death is an event and a restart, every stimulus counts once, and what was counted is not counted twice."""
    options = ("digits", "--epochs", "3", "--latency", "10ms", "--churn", "20s", "--down", "1s", "--run", "one")
    summary = simulated(tmp_path, *options)
    assert summary["deaths"] > 2
    assert summary["stimuli"] == 3 * 1438
    events = open_run(tmp_path / "one").events
    assert sum(event["kind"] == "left" for event in events) == summary["deaths"]
    assert sum(event["kind"] == "joined" for event in events) == 4 + summary["restarts"]
    assert summary["deaths"] - 1 <= summary["restarts"] <= summary["deaths"], "the last may have come too late"
    assert summary["updates"] < summary["updates_dense"]
    assert summary["skipped_share"] < 1


def test_a_goal_ends_it(tmp_path: Path) -> None:
    """Reached, it is over at once; not reached, the exit code says so, and the summary is there all the same."""
    reached = simulated(tmp_path, "digits", "--until", "acc>=0.8")
    assert reached["reached"] is True
    assert reached["why"] == "stopped"
    assert reached["epochs"] < 10
    missed = neurond(tmp_path, "simulate", "digits", "--epochs", "1", "--until", "acc>=0.999", "--json")
    assert missed.returncode == exits.MISSED
    assert json.loads(missed.stdout)["reached"] is False
    assert "acc>=0.999 was not reached" in missed.stderr
    short = simulated(tmp_path, "digits", "--latency", "20ms", "--for", "3s")
    assert short["why"] == "stopped"
    assert 3 <= short["virtual_s"] < 8


@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "99%"),
        ("--latency", "24h"),
        ("--bandwidth", "0.001kbit"),
        ("--multiplies", "1e-300"),
        ("--churn", "1s", "--down", "24h"),
        ("--churn", "1s", "--down", "1s"),
    ],
)
def test_it_ends_though_nothing_comes_home(tmp_path: Path, options: tuple[str, ...]) -> None:
    """What does not come home in ten virtual minutes is given up, counted and told; the rest is saved."""
    done = neurond(tmp_path, "simulate", "xor", "--for", "2s", *options, "--json")
    assert done.returncode == exits.OK, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["why"], summary["generation"]) == ("stopped", 1)
    assert summary["virtual_s"] < 700
    assert ("did not come home" in done.stderr) == (summary["undrained"] > 0)
    if "--loss" in options:
        assert summary["undrained"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_saved(tmp_path: Path, number: signal.Signals) -> None:
    """As --for does, with a checkpoint, a summary and the way to go on with it; exit code 130."""
    command = [*NEUROND, "simulate", "digits", "--epochs", "9999", "--run", "one", "--json"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            ends = time.monotonic() + DEADLINE_S
            while not (tmp_path / "one" / "events.jsonl").exists():
                assert process.poll() is None
                assert time.monotonic() < ends
                time.sleep(0.05)
            process.send_signal(number)
            out, err = process.communicate(timeout=DEADLINE_S)
        finally:
            process.kill()
    assert process.returncode == exits.INTERRUPTED, err
    assert "stopping and saving" in err
    assert err.splitlines()[-1] == "neurond: interrupted, saved; go on with neurond run --resume one"
    summary = json.loads(out)
    assert (summary["why"], summary["generation"]) == ("interrupted", 1)
    assert open_run(tmp_path / "one").summary == summary


def test_it_says_what_it_does(tmp_path: Path) -> None:
    """Without --json the outcome is in words on stderr, and nothing is on stdout."""
    done = neurond(tmp_path, "simulate", "xor", "--epochs", "5")
    assert done.returncode == exits.OK
    assert done.stdout == ""
    assert "virtual seconds in" in done.stderr
    assert "the digest is that of any machine: " in done.stderr
    assert "neurond report runs/" in done.stderr


def test_a_used_folder(tmp_path: Path) -> None:
    """The verb has no --resume, so what is said names the one that has."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "plan.json").touch()
    done = neurond(tmp_path, "simulate", "xor", "--run", "one")
    assert done.returncode == exits.FAILED
    assert "choose another folder, or go on from it with neurond run --resume one\n" in done.stderr


def test_divergence_is_told(tmp_path: Path) -> None:
    """As of a real run: in one line, with a hint."""
    done = neurond(tmp_path, "simulate", "digits", "--set", "defaults.group.optimizer.lr=1000", "--quiet")
    assert done.returncode == exits.FAILED
    assert "diverged" in done.stderr
    assert "lower the learning rate" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--latency", "50"), "did you mean 50ms?"),
        (("--latency", "1s±2s"), "cannot spread wider than its mean"),
        (("--loss", "3"), "did you mean 3%?"),
        (("--slow", "h9=10"), "there is no process 'h9'"),
        (("--bandwidth", "10MB"), "write 500kbit, 10Mbit or 1Gbit"),
        (("--churn", "often"), "'often' is no duration"),
        (("--multiplies", "-1"), "write 5e9"),
        (("--multiplies", "nan"), "write 5e9"),
        (("--epochs", "nan"), "is no number of epochs; write 5"),
        (("--epochs", "inf"), "is no number of epochs; write 5"),
        (("--for", "0s"), "no time at all"),
        (("--until", "soon"), "'soon' is no target"),
    ],
)
def test_what_cannot_be_meant(tmp_path: Path, options: tuple[str, str], said: str) -> None:
    """One line on stderr with a hint, exit code 2, and no folder."""
    done = neurond(tmp_path, "simulate", "digits", *options)
    assert done.returncode == exits.USAGE
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
