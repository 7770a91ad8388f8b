"""The verbs that look at a run that goes on, and change it: ps, logs, tap, pause, resume, save and the others."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import neurond
from tests.background import Background
from tests.waiting import until


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    """Such a run for the tests that let it go on."""
    sockets = Path(tempfile.mkdtemp(prefix="nt-"))
    run = Background(tmp_path_factory.mktemp("going"), sockets, "--set", "groups.h2.update.adapt=link")
    run.verb("set", "source", "delay.h1=0.05")  # the processor is for the verbs
    yield run
    done = run.verb("down")
    run.end()
    assert list(sockets.iterdir()) == [], done.stderr
    sockets.rmdir()


def events(run: Background) -> list[dict[str, Any]]:
    """What has happened in it, as its folder has it."""
    return [json.loads(line) for line in (run.folder / "run" / "events.jsonl").read_text().splitlines()]


def stands_still(run: Background) -> int:
    """Pause it, and wait until nothing is under way; the stimuli that it has confirmed then."""
    run.verb("pause")
    until(lambda: run.row()["state"] == "paused", "it is paused")
    stimuli: int = until(lambda: (n := run.row()["stimuli"]) == run.row()["stimuli"] and n, "it stands still")
    return stimuli


def test_pause_resume_save(going: Background) -> None:
    """A pause holds the training until `resume`; `save` writes a checkpoint meanwhile."""
    earlier = len(events(going))
    before = stands_still(going)
    generation = json.loads(going.verb("save", "--json").stdout)["generation"]
    manifest = going.folder / "run" / "checkpoints" / "manifest.json"
    assert json.loads(manifest.read_text())["generation"] == generation >= 1
    assert json.loads(going.verb("save", "--json").stdout) == {"generation": generation + 1}
    assert going.row()["stimuli"] == before
    going.verb("resume")
    going.verb("resume")  # it goes on already
    until(lambda: going.row()["stimuli"] > before, "it goes on")
    kinds = [event["kind"] for event in events(going)[earlier:]]
    assert [kind for kind in kinds if kind in ("paused", "resumed")] == ["paused", "resumed"]


def test_the_processes_of_a_run(going: Background) -> None:
    """With a run or a broker named, `ps` lists its processes, and a process that is none gets a guess."""
    address = going.told["broker"]
    for where in (["--run", "run"], ["--broker", address], ["run"], [str(going.folder / "run")], [address]):
        rows = json.loads(going.verb("ps", *where, "--json").stdout)
        assert [row["process"] for row in rows] == ["source", "h1", "h2", "out"]
        assert [row["state"] for row in rows] == ["running"] * 4
        assert all(row["stimuli"] > 0 and row["incarnation"] >= 1 and row["rss_mib"] > 1 for row in rows)
    table = going.verb("ps", "--run", "run").stdout.splitlines()
    assert table[0].split()[:3] == ["PROCESS", "STATE", "PID"]
    said = going.verb("kill", "sorce", code=2).stderr
    assert said == "neurond: no process 'sorce'; did you mean 'source'?\n"
    said = going.verb("ps", "rum", code=2).stderr
    assert said == "neurond: no run 'rum' is alive; did you mean 'run'?\n"
    said = going.verb("ps", "run", "--run", "run", code=2).stderr
    assert said == "neurond: 'run' and --run both say which run is meant: leave one of them out\n"


def test_how_much_passes_on_a_link(going: Background) -> None:
    """`tap --measure` counts what both ends of a link send; a link that is none gets a guess."""
    told = json.loads(going.verb("tap", "h1 -> h2", "--measure", "--json").stdout)
    assert told["link"] == "h1 -> h2"
    for end in ("h1", "h2"):
        assert told[end]["sent_per_s"] > 1
        assert told[end]["bytes_per_s"] > told[end]["sent_per_s"]
        assert told[end]["dense_per_s"] > told[end]["values_per_s"] > 1
        assert (told[end]["gaps"], told[end]["duplicates"], told[end]["fenced"]) == (0, 0, 0)
    said = going.verb("tap", "h1", "out", code=2).stderr
    assert said.startswith("neurond: no link 'h1 -> out'; did you mean 'h")


def test_logs(going: Background) -> None:
    """`logs` prints what each process said, or the last lines of one; a name that is none gets a guess."""
    assert going.verb("logs", "h1", "--lines", "1").stdout.startswith("h1: ")
    everybody = {"broker", "source", "h1", "h2", "out", "supervisor"}

    def who() -> set[str]:
        return {line.split(" | ")[0].strip() for line in going.verb("logs").stdout.splitlines()}

    until(lambda: who() == everybody, "the supervisor has said how far it is, too")
    assert going.verb("logs", "h1", "-n", "1", "--broker", going.told["broker"]).stdout.startswith("h1: ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(going.environment, "NEUROND_BROKER", "ipc:///tmp/neurond-nobody/")
        assert "neurond-nobody" in going.verb("logs", code=4).stderr  # not those of another run
        assert going.verb("logs", "h1", "-n", "1", "--run", "run").stdout.startswith("h1: ")
    said = going.verb("logs", "brokr", code=2).stderr
    assert said == "neurond: no log of a process 'brokr'; did you mean 'broker'?\n"


def test_frames_of_a_link(going: Background) -> None:
    """`tap` shows the next frames each way by their headers; the loss is the end of a link, too."""
    told = json.loads(going.verb("tap", "h1", "h2", "-n", "3", "--json").stdout)
    assert [frame["kind"] for frame in told["h1"]] == ["spikes"] * 3
    assert {frame["kind"] for frame in told["h2"]} <= {"notifications", "closes"}
    assert all(frame["bytes"] > 0 and frame["stimuli"] > 0 for end in ("h1", "h2") for frame in told[end])
    lines = going.verb("tap", "source", "loss", "-n", "1").stdout.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["source to loss", "out back to source"]
    assert [line.split()[3 if at == 0 else 4] for at, line in enumerate(lines)] == ["targets", "confirms"]


def test_settings_are_changed_and_recorded(going: Background) -> None:
    """`set` changes a live process, `get` shows it, the run folder records it, and a successor is told."""
    before = json.loads(going.verb("get", "h1", "--json").stdout)["h1"]
    assert going.verb("get").stdout.splitlines()[0].split()[0] == "source"
    assert json.loads(going.verb("set", "h1", "lr=0.07", "threshold=0.02", "--json").stdout) == {
        "h1": {"lr": 0.07, "threshold": 0.02}
    }
    restarted = json.loads(going.verb("restart", "h1", "--json").stdout)
    assert restarted["is"]["incarnation"] > 1
    assert json.loads(going.verb("get", "h1", "lr", "--json").stdout) == {"h1": {"lr": 0.07}}
    run = neurond.open_run(going.folder / "run")

    def of_h1() -> list[tuple[Any, ...]]:
        rows = [row for row in run.changed_settings if row["process"] == "h1"]  # other tests change others
        return [(row["key"], row["before"], row["value"]) for row in rows]

    until(lambda: len(of_h1()) == 2, "both are recorded")
    assert of_h1() == [("lr", before["lr"], 0.07), ("threshold", before["threshold"], 0.02)]
    first = run.changed_settings[0]
    assert (first["process"], first["key"], first["value"]) == ("source", "delay.h1", 0.05)


def test_a_setting_that_grows_out_of_all_proportion_is_warned_of(going: Background) -> None:
    """A slip of a few zeros can end a training, so it is said; what is only somewhat more is not."""
    stands_still(going)  # for nobody learns with such a rate, which would end the run
    going.verb("set", "out", "threshold=0.0001")
    assert "neurond: " not in going.verb("set", "out", "threshold=0.001").stderr
    warned = going.verb("set", "out", "threshold=0.2").stderr.splitlines()[0]
    assert warned.startswith("neurond: out threshold is over 100 times what it was")
    began = float(json.loads(going.verb("get", "out", "lr", "--json").stdout)["out"]["lr"])
    assert "neurond: " not in going.verb("set", "out", f"lr={began * 50}").stderr
    warned = going.verb("set", "out", f"lr={began * 150}").stderr.splitlines()[0]
    assert warned.startswith(f"neurond: out lr is over 100 times what the topology has, {began:g}; ")
    going.verb("set", "out", f"lr={began}")
    going.verb("resume")


def test_a_run_that_nobody_named_is_named(going: Background) -> None:
    """Verbs that change the one run that is alive say in which folder that is; one that was named is known."""
    for words in (["pause"], ["resume"], ["set", "source", "delay.h1=0.05"], ["restart", "h2"]):
        assert going.verb(*words).stderr.splitlines()[0].endswith(", in run")
        assert ", in run" not in going.verb(*words, "--run", "run").stderr


def test_a_threshold_that_is_steered_says_so(going: Background) -> None:
    """`get` tells it from one that stays, and `set` warns that it moves on from there, and what decides where to."""
    shown = {tuple(line.split()[:2]): line.split()[3:] for line in going.verb("get").stdout.splitlines()}
    assert (shown["h2", "threshold"], shown["h1", "threshold"], shown["h2", "target"]) == (["steered"], [], [])
    assert going.verb("get", "h2", "threshold").stdout.endswith("  steered\n")
    warning = "neurond: h2 threshold is steered on from there; target decides where to"
    assert warning in going.verb("set", "h2", "threshold=0.02").stderr.splitlines()
    assert "steered" not in going.verb("set", "h1", "threshold=0.02").stderr
    assert "steered" not in going.verb("set", "h2", "target=0.1").stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["set", "h1", "lrr=1"], "no setting of h1 'lrr'; did you mean 'lr'?"),
        (["set", "h1", "lr=0.5", "treshold=1"], "no setting of h1 'treshold'; did you mean 'threshold'?"),
        (["set", "h1", "lr=-1"], "lr: "),
        (["set", "h1", "lr=0.5", "threshold=-1"], "threshold: "),
        (["set", "hh1", "lr=1"], "no process 'hh1'; did you mean 'h1'?"),
        (["set", "h1", "flush=5"], "h1 flush cannot be changed while it runs: the topology fixes it"),
        (["get", "h1", "treshold"], "no setting 'treshold'; did you mean 'threshold'?"),
    ],
)
def test_a_setting_that_cannot_be(going: Background, words: list[str], says: str) -> None:
    """A name that is none gets a guess, and nothing is changed, not even what could be."""
    before = going.verb("get", "h1", "--json").stdout
    said = going.verb(*words, code=2).stderr
    assert says in said
    assert len(said.splitlines()) == 1
    assert going.verb("get", "h1", "--json").stdout == before


def test_a_kill_is_followed_until_another_has_the_place(going: Background) -> None:
    """`kill` waits for the process in the place of the one that it killed, and names both."""
    earlier = len(events(going))
    old = going.row()["pids"]["h2"]
    told = json.loads(going.verb("kill", "h2", "--json").stdout)
    assert (told["process"], told["was"]) == ("h2", old)
    assert told["is"]["pid"] == going.row()["pids"]["h2"] != old
    assert 0 < told["took_s"] < 15
    since = events(going)[earlier:]
    lost = [event["data"]["why"] for event in since if (event["process"], event["kind"]) == ("h2", "lost")]
    assert lost == ["killed as it was asked to"]
