"""The view: telemetry and events in, lines, totals, rows and the summary out."""

import json
import math
from typing import Any

import pytest

from monitor.dense import losses
from monitor.process import RATE_WINDOW_S
from monitor.view import HISTORY, View
from topology.wire import Event, Telemetry

PROCESSES = ("source", "h1", "out")


def telemetry(
    name: str,
    counters: dict[str, int] | None = None,
    gauges: dict[str, float] | None = None,
    seq: int = 1,
    incarnation: int = 1,
) -> Telemetry:
    """Telemetry of one process, its role told from its name."""
    role = "source" if name == "source" else "group"
    return Telemetry(name, role, incarnation, seq, counters or {}, gauges or {}, {})


def test_unheard_is_none() -> None:
    """Before anything was measured, every figure of the summary is None and none is zero."""
    summary = View(PROCESSES, name="digits", run="runs/x").summary()
    assert summary.pop("name") == "digits"
    assert summary.pop("run") == "runs/x"
    assert summary.pop("unheard") == list(PROCESSES)
    assert set(summary.values()) == {None}


def test_row_leaves_out_what_is_unknown() -> None:
    """A row of metrics.jsonl has no key for what was not measured."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 3}), 0.0)
    row = view.row()
    assert row["updates"] == 3
    assert "notifications" not in row
    assert "test_accuracy" not in row
    assert None not in row["processes"]["h1"].values()


def test_summary_sums_over_processes() -> None:
    """Counters add up over processes, source and groups alike; rates and means come from the totals."""
    view = View(PROCESSES, run="runs/x")
    view.update(
        telemetry(
            "source",
            {"confirmed": 1000, "bytes": 5, "bytes_dense": 50},
            {"train_s": 4.0, "test_accuracy": 0.975, "epoch": 2.0},
        ),
        1.0,
    )
    for name, updates in (("h1", 10), ("out", 30)):
        counters = {
            "updates": updates,
            "updates_dense": 1000,
            "notifications": 2,
            "notifications_dense": 90,
            "bytes": 7,
            "bytes_dense": 70,
            "staleness_sum": 60,
            "staleness_count": 20,
            "gaps": 1,
            "drops": 2,
        }
        view.update(telemetry(name, counters, {"staleness_max": updates}), 1.0)
    summary = view.summary()
    assert summary["stimuli"] == 1000
    assert summary["stimuli_per_s"] == 250
    assert summary["updates"] == 40
    assert summary["updates_dense"] == 2000
    assert summary["notifications"] == 4
    assert summary["bytes"] == 19
    assert summary["bytes_dense"] == 190
    assert summary["staleness_mean"] == 3.0
    assert summary["staleness_max"] == 30
    assert summary["gaps"] == 2
    assert summary["drops"] == 4
    assert summary["test_accuracy"] == 0.975
    assert summary["unheard"] == []
    assert view.saved("updates") == 50.0
    whole = ("stimuli", "stimuli_per_s", "updates", "updates_dense", "notifications", "bytes", "bytes_dense")
    assert all(type(summary[k]) is int for k in whole)


def test_what_a_residual_clip_cut_is_counted_with_the_other_losses() -> None:
    """Rows of metrics and the summary have the clipped sums of all processes, and the words of the end name them."""
    view = View(PROCESSES)
    for name in ("h1", "out"):
        view.update(telemetry(name, {"residual_clipped": 1}), 1.0)
    assert view.row()["residual_clipped"] == 2
    assert losses(view.summary()).startswith("counted on the way: 2 clipped residuals")
    assert losses({"residual_clipped": 1}) == "counted on the way: 1 clipped residual"


def test_nothing_sent_saves_everything() -> None:
    """A rule that never fires saves infinitely many times; where dense is unknown, so is the saving."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 0, "updates_dense": 5, "bytes": 4}), 0.0)
    assert view.saved("updates") == math.inf
    assert view.saved("bytes") is None


def test_older_telemetry_changes_nothing() -> None:
    """A message overtaken by a newer one is ignored."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 9}, seq=2), 0.0)
    view.update(telemetry("h1", {"updates": 4}, seq=1), 1.0)
    assert view.total("updates") == 9


def test_what_happened_before_a_report_may_be_heard_after_it() -> None:
    """A listener that comes late may hear the second incarnation report before it hears of the first one."""
    view = View(PROCESSES)
    view.update(telemetry("h1", incarnation=2), 0.0)
    told = [("joined", {"incarnation": 1}), ("lost", {"why": "killed"}), ("joined", {"incarnation": 2})]
    states = []
    for kind, data in told:
        view.update(Event("h1", kind, data), 0.0)
        states.append(view.processes[1].state)
    assert states == ["running", "lost", "running"]
    view.update(Event("h1", "joined", {"incarnation": 3}), 0.0)
    assert (view.processes[1].state, view.processes[1].incarnation) == ("joined", 3)


def test_counters_survive_a_restart() -> None:
    """A new incarnation counts from zero: what the old one counted stays, and no rate is negative."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"stimuli": 100}, seq=50), 0.0)
    view.update(Event("broker", "lost", {"process": "h1", "why": "killed"}), 0.5)
    assert view.lines()[1].state == "lost"
    view.update(telemetry("h1", {"stimuli": 5}, seq=0, incarnation=2), 1.0)
    assert view.total("stimuli") == 105
    assert view.lines()[1].stimuli_per_s is None
    assert view.lines()[1].state == "running"
    view.update(telemetry("h1", {"stimuli": 500}, seq=51), 1.0)
    assert view.total("stimuli") == 105, "a lower incarnation is refused"


def test_counters_that_go_on_from_a_checkpoint_count_once() -> None:
    """What a new incarnation took up from a checkpoint is in the total already; what it does anew comes on top."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 100}, seq=50), 0.0)
    view.update(telemetry("h1", {"updates": 60}, {"restored": 1.0}, seq=1, incarnation=2), 1.0)
    assert view.total("updates") == 100
    view.update(telemetry("h1", {"updates": 90}, {"restored": 1.0}, seq=2, incarnation=2), 2.0)
    assert view.total("updates") == 130
    view.update(telemetry("h1", {"updates": 60}, {"restored": 1.0}, seq=1, incarnation=3), 3.0)
    assert view.total("updates") == 130


def test_counters_that_were_never_heard_make_no_total_smaller() -> None:
    """A checkpoint that knows more than was heard of the process that made it is believed."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 100}, seq=50), 0.0)
    view.update(telemetry("h1", {"updates": 120}, {"restored": 1.0}, seq=1, incarnation=2), 1.0)
    assert view.total("updates") == 120


@pytest.mark.parametrize("restored", [0.0, 1.0])
def test_stimuli_never_go_back(restored: float) -> None:
    """A source that goes back to its checkpoint, or to the beginning, takes nothing back and counts nothing twice."""
    view = View(PROCESSES)
    view.update(telemetry("source", {"confirmed": 80}, seq=9), 0.0)
    for seq, confirmed in enumerate((50, 70), 1):
        counters = {"confirmed": int(confirmed * restored)}
        view.update(telemetry("source", counters, {"restored": restored}, seq=seq, incarnation=2), seq)
        assert view.stimuli == 80
    view.update(telemetry("source", {"confirmed": 90}, {"restored": restored}, seq=3, incarnation=2), 3.0)
    assert view.stimuli == 90
    assert view.summary()["stimuli"] == 90


def test_what_another_has_seen_counted_is_not_counted_back() -> None:
    """Who tells of a run in the place of another begins where that one was; before anything is heard, nothing is."""
    view = View(PROCESSES, counted=100)
    assert view.stimuli is None
    told = []
    for seq, confirmed in enumerate((80, 90, 120), 1):
        view.update(telemetry("source", {"confirmed": confirmed}, seq=seq, incarnation=2), float(seq))
        told.append(view.stimuli)
    assert told == [100, 100, 120]


def test_restarts_are_counted() -> None:
    """A higher incarnation than the first is a restart, however it is heard of, and so is another broker."""
    view = View(PROCESSES)
    view.update(Event("broker", "joined", {"process": "h1", "incarnation": 4, "pid": 1}), 0.0)
    view.update(telemetry("h1", seq=1, incarnation=4), 0.0)
    view.update(telemetry("out", seq=1), 0.0)
    assert view.summary()["restarts"] == 0
    view.update(Event("broker", "joined", {"process": "h1", "incarnation": 5, "pid": 2}), 1.0)
    view.update(telemetry("h1", seq=1, incarnation=5), 1.0)
    view.update(telemetry("out", seq=1, incarnation=2), 1.0)
    view.update(Event("broker", "joined", {"process": "out", "incarnation": 2, "pid": 3}), 1.0)
    assert view.summary()["restarts"] == view.row()["restarts"] == 2
    view.brokers += 1
    view.update(Event("broker", "joined", {"process": "h1", "incarnation": 5, "pid": 2}), 2.0)
    assert view.summary()["restarts"] == 3


def test_a_source_that_goes_on_is_in_no_state_of_that_name() -> None:
    """That it paused and went on are events; whether it pauses, its reports say."""
    view = View(PROCESSES)
    view.update(telemetry("source", gauges={"paused": 1.0}, seq=1), 0.0)
    for kind in ("paused", "resumed"):
        view.update(Event("source", kind, {"stimuli": 5}), 0.5)
        assert view.lines()[0].state == "paused"
    view.update(telemetry("source", gauges={"paused": 0.0}, seq=2), 1.0)
    assert view.lines()[0].state == "running"


def test_a_death_is_noted_once() -> None:
    """What died is lost until it is back, and the broker's own word of it is no second note."""
    view = View(PROCESSES)
    view.update(telemetry("h1", seq=1), 0.0)
    for _ in range(2):
        view.died("h1", "h1 died; it is started anew")
        assert view.lines()[1].state == "lost"
        view.update(Event("broker", "lost", {"process": "h1", "why": "its connection is gone"}), 1.0)
        view.update(Event("broker", "joined", {"process": "h1", "incarnation": 2, "pid": 2}), 1.0)
        assert view.lines()[1].state == "joined"
    assert view.notes == ["h1 died; it is started anew"] * 2
    view.update(Event("broker", "lost", {"process": "h1", "why": "no beat for 3 s"}), 2.0)
    assert view.notes[2:] == ["h1 lost: no beat for 3 s"]


def test_two_reports_at_once_are_no_rate() -> None:
    """Two reports that are read within milliseconds, as at the start, say nothing of rates or CPU."""
    view = View(PROCESSES)
    for now, cpu_s, stimuli in ((0.0, 0.1, 0), (0.002, 0.2, 100), (0.5, 0.7, 600)):
        view.update(telemetry("h1", {"stimuli": stimuli}, {"cpu_s": cpu_s}, seq=int(now * 1000)), now)
        line = view.lines()[1]
        assert line.cpu is None or line.cpu < 1.1
        assert line.stimuli_per_s is None or line.stimuli_per_s < 1100
    assert line.cpu is not None
    assert max(view.processes[1].rates) < 1100


def test_rates_follow_the_last_seconds() -> None:
    """A rate is the difference of counters over the rate window, not over the whole run."""
    view = View(PROCESSES)
    done = 0
    for i in range(200):
        done += 1000 if i < 150 else 10
        view.update(telemetry("source", {"confirmed": done}, {"cpu_s": i * 0.025}, seq=i), i * 0.1)
    assert 3 * RATE_WINDOW_S < 200 * 0.1
    line = view.lines()[0]
    assert line.stimuli_per_s == pytest.approx(100.0)
    assert line.cpu == pytest.approx(0.25)


def test_eta_is_the_rest_at_the_present_rate() -> None:
    """The time to go is what is left over the present rate; unknown without a rate."""
    view = View(PROCESSES)
    view.update(telemetry("source", {"confirmed": 0}, {"total": 1000.0}, seq=0), 0.0)
    assert view.eta_s is None
    view.update(telemetry("source", {"confirmed": 200}, {"total": 1000.0}, seq=1), 1.0)
    assert view.eta_s == pytest.approx(4.0)


@pytest.mark.parametrize("kind", ["lost", "failed", "diverged"])
def test_trouble_is_noted_in_words(kind: str) -> None:
    """What goes wrong is kept with process and reason, and later telemetry does not hide it."""
    view = View(PROCESSES)
    view.update(telemetry("h1", seq=1), 0.0)
    view.update(Event("h1", kind, {"why": "because"}), 1.0)
    view.update(telemetry("h1", seq=2), 2.0)
    assert view.notes == [f"h1 {kind}: because"]
    assert view.lines()[1].state == kind


def test_what_is_said_of_a_journal_is_noted() -> None:
    """That a journal cannot be kept, that it can again, and what a process went on from: each is a note, in order."""
    view = View(PROCESSES)
    words = ("no journal is kept: No space left on device", "the journal goes on", "goes on from the last checkpoint")
    for why in words:
        view.update(Event("h1", "journal", {"ok": False, "why": why}), 1.0)
    assert view.notes == [f"h1: {why}" for why in words]
    assert view.lines()[1].state == "waiting"


def test_pause_is_shown() -> None:
    """A process that says it is paused is shown so, until it says otherwise."""
    view = View(PROCESSES)
    view.update(telemetry("h1", gauges={"paused": 1}, seq=1), 0.0)
    assert view.lines()[1].state == "paused"
    view.update(telemetry("h1", gauges={"paused": 0}, seq=2), 0.0)
    assert view.lines()[1].state == "running"


def test_final_telemetry_counts() -> None:
    """The telemetry carried by the broker's last event replaces what was heard before, exactly once."""
    view = View(PROCESSES)
    view.update(telemetry("h1", {"updates": 5}, seq=3), 0.0)
    last = {
        "name": "h1",
        "role": "group",
        "incarnation": 1,
        "seq": 4,
        "counters": {"updates": 8},
        "gauges": {},
        "links": {},
    }
    for _ in range(2):
        view.update(Event("broker", "ended", {"telemetry": [last], "why": "finished"}), 1.0)
    assert view.ended
    assert view.total("updates") == 8


def test_evaluations_make_a_curve() -> None:
    """Each evaluation is one point, said once by an event and again by a gauge or not."""
    view = View(PROCESSES)
    view.update(telemetry("source", {"confirmed": 10}, seq=1), 0.0)
    view.update(Event("source", "evaluated", {"test_accuracy": 0.5, "test_loss": 1.0}), 0.1)
    view.update(telemetry("source", {"confirmed": 20}, {"test_accuracy": 0.5, "test_loss": 1.0}, seq=2), 0.2)
    view.update(telemetry("source", {"confirmed": 30}, {"test_accuracy": 0.6, "test_loss": 0.9}, seq=3), 0.3)
    assert view.tests == [(10, 0.5), (30, 0.6)]
    assert view.gauge("test_accuracy") == 0.6


def test_long_history_keeps_its_ends() -> None:
    """However long the run, the curve stays bounded, in order, and keeps its first and latest point."""
    view = View(PROCESSES)
    for i in range(5 * HISTORY):
        view.update(telemetry("source", {"confirmed": i + 1}, {"loss": 1.0 / (i + 1)}, seq=i), float(i))
    xs = [x for x, _ in view.losses]
    assert HISTORY // 2 <= len(xs) <= HISTORY
    assert xs == sorted(xs)
    assert xs[0] == 1
    assert 5 * HISTORY - xs[-1] <= 2


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rows_and_summaries_are_json(bad: float) -> None:
    """A loss that became NaN or infinite is left out: rows and summaries are strict JSON."""
    view = View(PROCESSES)
    gauges = {"loss": bad, "test_accuracy": bad, "train_s": 1.0}
    view.update(telemetry("source", {"confirmed": 3}, gauges), 0.0)
    view.update(Event("source", "evaluated", {"test_accuracy": bad}), 0.0)
    row: Any = json.loads(json.dumps(view.row(), allow_nan=False))
    assert "loss" not in row
    assert json.loads(json.dumps(view.summary(), allow_nan=False))["test_accuracy"] is None


def test_unplanned_process_is_shown() -> None:
    """A process that the plan does not name is shown after those it names, not dropped."""
    view = View(PROCESSES)
    view.update(telemetry("stranger"), 0.0)
    assert [line.name for line in view.lines()] == [*PROCESSES, "stranger"]


def test_skipped_share_is_of_the_readouts_own_stimuli() -> None:
    """A resumed source counts on from before, so the share is taken of what the readout itself handled."""
    view = View(PROCESSES)
    view.update(telemetry("source", {"confirmed": 5000}), 0.0)
    assert view.summary()["skipped_share"] is None
    view.update(telemetry("h1", {"stimuli": 400, "skipped": 0}), 0.0)
    assert view.summary()["skipped_share"] == 0
    view.update(telemetry("out", {"stimuli": 400, "skipped": 300}), 0.0)
    assert view.summary()["skipped_share"] == 0.75


def test_a_save_that_failed_in_mid_run_is_remembered() -> None:
    """The last save that failed is `unsaved`, unless it was the one at the end, which ends the run with an error."""
    view = View(["source"])
    failed = Event("broker", "failed", {"what": "save", "why": "generation 2 was not saved: full"})
    view.update(failed, 0.0)
    view.update(Event("h1", "failed", {"why": "no memory"}), 0.0)
    assert view.unsaved == "broker failed: generation 2 was not saved: full"
    view.update(Event("broker", "ended", {"why": "finished", "generation": 3}), 1.0)
    assert view.unsaved
    view.update(Event("broker", "ended", {"why": "finished", "generation": 1, "save_error": "full"}), 1.0)
    assert not view.unsaved
