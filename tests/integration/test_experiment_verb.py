"""The verb experiment, with studies through real processes: made, drawn, written down, interrupted, gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from neurond.cli import app
from neurond.experiments import catalog
from neurond.experiments.catalog import STUDIES
from neurond.experiments.delays import LATENCY, STRAGGLERS
from neurond.experiments.processes import measured
from neurond.experiments.results import held
from neurond.experiments.study import Arm, Late, Paused, Slowed
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.studies import SMALL


@pytest.mark.timeout(120)
def test_a_quick_study_through_real_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two arms train as processes; results, charts and page are there, marked as quick; the second time is free."""
    monkeypatch.chdir(tmp_path)
    study = STUDIES["sparsity"]
    arms = tuple(arm for arm in study.arms if arm.label in ("exact", "stochastic 0.4"))
    few = replace(study, arms=arms, claims=study.claims[:2])
    monkeypatch.setattr(catalog, "STUDIES", {few.name: few})
    command = ["experiment", "sparsity", "--quick", "--dir", "found", "--page", "page.md"]
    said = []
    for arguments in (command, [*command, "--json"]):
        with pytest.raises(SystemExit) as left:
            app.main(arguments)
        assert left.value.code == 0
        said.append(capsys.readouterr())
    runs = json.loads((tmp_path / "found/sparsity.quick.json").read_text())["runs"]
    assert [(run["arm"], run["seed"]) for run in runs] == [("exact", 0), ("stochastic 0.4", 0)]
    exact, stochastic = (run["figures"] for run in runs)
    assert exact["stimuli"] == stochastic["stimuli"] > 700
    assert stochastic["notifications"] < exact["notifications"] / 2
    assert exact["updates"] > 0
    assert "sparsity 1/2: exact, seed 0: " in said[0].err
    assert "--quick is no measurement" in said[0].out
    assert said[0].err.splitlines()[-1].endswith(" experiment --quick --dir found")
    assert (tmp_path / "found/sparsity.quick.svg").is_file()
    assert (tmp_path / "found/sparsity.quick.png").is_file()
    page = (tmp_path / "page.md").read_text()
    assert "found/sparsity.quick.svg" in page
    assert "**not judged**" in page
    assert "1/2" not in said[1].err
    told, path = said[1].out.splitlines()
    assert path == "page.md"
    assert [claim["outcome"] for claim in json.loads(told)[0]["claims"]] == ["not judged"] * 2


@pytest.mark.timeout(120)
def test_an_interrupted_study_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in the midst of a run of processes ends with 130, says what is kept, and leaves nothing behind."""
    command = [*NEUROND, "experiment", "stragglers", "--quick", "--dir", "found"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("stragglers 1/9: "):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, out) == (130, "")
    said = "neurond: interrupted; 1 run is kept, and the same command makes the other 8"
    assert err.splitlines()[-1] == said
    assert len(json.loads((tmp_path / "found/stragglers.quick.json").read_text())["runs"]) == 1


IN_STEP = next(arm.settings for arm in LATENCY.arms if arm.label.startswith("in step, batch 16"))


@pytest.mark.timeout(120)
async def test_late_links_are_late() -> None:
    """With one volley in flight and 100 ms on each of six ways, few come home but those before links were late."""
    study = replace(LATENCY, for_s=3.0)
    found = await measured(study, Arm("late", IN_STEP, during=Late(0.1)), 0, False, None, asyncio.Event())
    quiet = await measured(study, Arm("quiet", IN_STEP), 0, False, None, asyncio.Event())
    assert 16 <= found["stimuli"] < quiet["stimuli"] / 5
    assert 0 < found["test_accuracy"] < 1
    assert found["staleness"] == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("during", [Slowed("h1", 0.01, 0.49), Paused(0.01, 0.49)])
async def test_stopped_processes_stand_still(during: Slowed | Paused) -> None:
    """A volley that waits for a process that stands still comes home when that goes on; nobody is taken for dead."""
    study = replace(STRAGGLERS, for_s=3.0)
    disturbed = await measured(study, Arm("slow", IN_STEP, during=during), 0, False, None, asyncio.Event())
    quiet = await measured(study, Arm("quiet", IN_STEP), 0, False, None, asyncio.Event())
    assert 16 <= disturbed["stimuli"] < quiet["stimuli"] / 2
    assert disturbed["restarts"] == 0


async def test_a_network_that_diverges_is_a_result() -> None:
    """It is told, and its accuracy is that of guessing; the study goes on."""
    study = replace(SMALL, by="processes", settings={"source.epochs": 3})
    wild = {"defaults.group.optimizer.lr": 1000.0, "defaults.group.update": {"rule": "always"}}
    found = await measured(study, Arm("wild", wild), 0, False, None, asyncio.Event())
    assert (found["diverged"], found["test_accuracy"]) == (1, 0.1)
    assert "test_loss" not in found


async def test_the_last_weights_are_judged_by_both_parts() -> None:
    """A study of fit has the gap between the training and the test part, as `neurond eval` would find it."""
    study = replace(SMALL, by="processes", fit=True, settings={"source.epochs": 3})
    found = await measured(study, Arm("fit", {}), 0, False, None, asyncio.Event())
    assert found["accuracy_gap"] == pytest.approx(found["fit_accuracy"] - found["test_accuracy"])
    assert found["loss_gap"] == pytest.approx(found["test_loss"] - found["fit_loss"])
    assert found["fit_accuracy"] > 0.8


def test_studies_are_listed(tmp_path: Path) -> None:
    """Without a name the verb lists all studies, what there is of each, and how long the rest takes."""
    told = neurond(tmp_path, "experiment")
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*STUDIES]
    assert all("0/" in line and " left " in line for line in lines)
    assert told.stderr.endswith(" experiment sparsity\n")
    quick = neurond(tmp_path, "experiment", "--quick", "--dir", "a b")
    assert quick.stderr.endswith(" experiment sparsity --quick --dir 'a b'\n")
    few = neurond(tmp_path, "experiment", "--seeds", "3")
    assert few.stderr.endswith(" experiment sparsity --seeds 3\n")
    rows = json.loads(neurond(tmp_path, "experiment", "--json", "--seeds", "3").stdout)
    assert [row["of"] for row in rows] == [3 * len(study.arms) for study in STUDIES.values()]
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_is_one_line(tmp_path: Path) -> None:
    """A name that is none, a study without its data, a folder that cannot be, no matplotlib: each has its code."""
    wrong = neurond(tmp_path, "experiment", "sparcity")
    assert (wrong.returncode, wrong.stderr) == (2, "neurond: no study 'sparcity'; did you mean 'sparsity'?\n")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    lacking = neurond(tmp_path, "experiment", "sparsity-mnist", "--quick", **cache)
    assert lacking.returncode == 3
    assert lacking.stdout == ""
    *before, last = lacking.stderr.splitlines()
    assert "neurond data fetch mnist" in before[-1]
    told = "sparsity-mnist is left out, as said above; the same command runs what has its data"
    assert last == f"neurond: {told}"
    (tmp_path / "file").write_text("")
    unwritable = neurond(tmp_path, "experiment", "cancelling", "--quick", "--dir", "file/below")
    assert unwritable.returncode == 1
    assert unwritable.stderr.splitlines()[-1].startswith("neurond: cannot ")
    unmade = neurond(tmp_path, "experiment", "cancelling", "--quick", "--dir", "/proc/nowhere")
    assert (unmade.returncode, unmade.stdout) == (1, "")
    assert unmade.stderr.startswith("neurond: cannot make /proc/nowhere: ")
    with held(tmp_path / "busy"):
        second = neurond(tmp_path, "experiment", "cancelling", "--quick", "--dir", "busy")
        assert neurond(tmp_path, "experiment", "--quick", "--dir", "busy").returncode == 0
    said = "neurond: another neurond experiment is at work in busy; wait for it, or choose another --dir\n"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", said)
    unseen = neurond(tmp_path, "experiment", "cancelling", "--quick", "--dir", "found", "--page", "none/page.md")
    said = "neurond: cannot write into none: No such file or directory; choose another with --page\n"
    assert (unseen.returncode, unseen.stdout, unseen.stderr) == (1, "", said)
    assert list((tmp_path / "found").iterdir()) == []
    (tmp_path / "matplotlib.py").write_text("raise ImportError('hidden by a test')\n")
    path = os.pathsep.join([str(tmp_path), environment()["PYTHONPATH"]])
    without = neurond(tmp_path, "experiment", "cancelling", PYTHONPATH=path)
    said = "neurond: matplotlib is not installed: pip install 'neurond[experiments]'\n"
    assert (without.returncode, without.stdout, without.stderr) == (1, "", said)


@pytest.mark.parametrize("names", [(), ("cancelling",)])
def test_a_page_is_not_written_over_results(tmp_path: Path, names: tuple[str, ...]) -> None:
    """What a study keeps, by whatever path, is left alone, and nothing is begun; nor can a folder be a page."""
    (tmp_path / "found").mkdir()
    (tmp_path / "link").symlink_to("found")
    for name in ("literal.json", "literal.quick.json", "sparsity.svg", "traffic.png"):
        (tmp_path / "found" / name).write_text("kept")
        told = neurond(tmp_path, "experiment", *names, "--quick", "--dir", "found", "--page", f"link/{name}")
        assert (told.returncode, told.stdout) == (2, "")
        said = f"neurond: --page link/{name} is where a study keeps its results or its chart; choose another name\n"
        assert told.stderr == said
        assert (tmp_path / "found" / name).read_text() == "kept"
    told = neurond(tmp_path, "experiment", *names, "--dir", "found", "--page", "found")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "neurond: --page found is not a file; name one that the page can be written to\n"
    assert len([*(tmp_path / "found").iterdir()]) == 4
    (tmp_path / "loop").symlink_to("loop")
    told = neurond(tmp_path, "experiment", *names, "--dir", "found", "--page", "loop/page.md")
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (2, "", 1)
