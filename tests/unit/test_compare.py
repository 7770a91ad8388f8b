"""What run folders tell, and several of them side by side."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from monitor.compare import Entry, comparison, objects, plain, table
from monitor.report import report
from monitor.scalars import Scalar, scalars
from monitor.told import Told, elapsed
from tests.zoo import plan_of

PLAN = plan_of("xor")
ROWS: list[dict[str, Any]] = [
    {"t_s": 0.5, "stimuli": 10, "loss": 2.0, "updates": 1, "updates_dense": 4},
    {"t_s": 1.0, "stimuli": 20, "test_accuracy": 0.5},
    {"t_s": 1.5, "stimuli": 30, "test_accuracy": 0.5},
    {"t_s": 0.5, "stimuli": 40, "test_accuracy": 0.9, "links": {"a -> b": {"bytes": 3, "back_bytes": 4}}},
]


def run(name: str = "one", path: str = "/runs/one", **figures: Any) -> Told:
    """A run that ended with these figures."""
    return Told(name, path, PLAN, ROWS, figures)


def test_curves_leave_out_what_was_not_measured() -> None:
    """A row without a figure is no point of its curve, and a count is divided by the dense one."""
    assert run().curve("loss") == [(10, 2.0)]
    assert run().of_dense("updates") == [(10, 0.25)]
    assert run().of_dense("spikes") == []
    assert run().of_link("a -> b") == [(40, 7)]


def test_evaluations_are_those_of_the_events() -> None:
    """Events say how many stimuli an evaluation came after; without them it is when the figure changed."""
    assert run().evaluations("test_accuracy") == [(20, 0.5), (40, 0.9)]
    events = [{"t_s": 1.0, "kind": "evaluated", "data": {"stimuli": 18, "test_accuracy": 0.55}}]
    assert Told("one", "", PLAN, ROWS, {}, events).evaluations("test_accuracy") == [(18, 0.55)]


def test_parts_of_a_run_follow_one_another() -> None:
    """Where the clock of a resumed run begins anew, the seconds of its parts are added."""
    assert elapsed(ROWS) == [0.5, 1.0, 1.5, 2.0]
    events = [{"t_s": t_s, "kind": "evaluated", "data": {"test_accuracy": a}} for t_s, a in ((2.0, 0.5), (1.0, 0.75))]
    assert Told("one", "", PLAN, ROWS, {}, events).evaluated_at("test_accuracy") == [(2.0, 0.5), (3.0, 0.75)]


def test_the_clock_of_a_resumed_run_begins_anew() -> None:
    """A time is looked up in the last part of the run, whose first row comes after the clock went back."""
    assert run().stimuli_at(0.1) is None
    assert run().stimuli_at(0.5) == 40
    assert run().stimuli_at(9.0) == 40


def test_the_best_is_told() -> None:
    """In each line the best is marked, whether more or less is better, unless all are alike."""
    entries = [
        Entry(run(test_accuracy=0.5, test_loss=1.0, stimuli=5, gaps=0), {}),
        Entry(run(test_accuracy=0.9, test_loss=2.0, stimuli=5, gaps=3), {}),
    ]
    best = {line.words: line.best for line in table(entries)}
    assert best["test accuracy"] == (False, True)
    assert best["test loss"] == (True, False)
    assert best["stimuli"] == (False, False)
    assert best["gaps"] == (True, False)


def test_the_best_is_one_of_the_same_data() -> None:
    """A network is not better than one that learns something else, and alone it is not the best of anything."""
    xor = [Entry(run(test_accuracy=a), {}) for a in (0.5, 0.9)]
    digits = Entry(Told("d", "/d", plan_of("digits"), ROWS, {"test_accuracy": 0.97}), {})
    best = {line.words: line.best for line in table([*xor, digits])}
    assert best["test accuracy"] == (False, True, False)


def test_runs_of_unlike_length() -> None:
    """Beside a run that is far longer, a short one has room: the axis is logarithmic then, and says so."""

    def page(*ends: int) -> str:
        rows = [[{"t_s": 1.0, "stimuli": n * end, "loss": 1.0} for n in (1, 2, 3)] for end in ends]
        return comparison([Entry(Told(str(i), "", PLAN, r, {}), {}) for i, r in enumerate(rows)])

    def width(text: str) -> float:
        (way,) = re.findall(r'class="line s1" d="M([^"]+)"', text)
        xs = [float(point.split()[0]) for point in way.split("L")]
        return max(xs) - min(xs)

    assert "logarithmic" not in page(10, 100)
    assert "stimuli, logarithmic" in page(10, 1000)
    assert width(page(10, 1000)) > 50 > width(page(10, 190)) > 10


def test_only_settings_that_differ() -> None:
    """A setting that all runs share is left out; one that a run does not have is a dash, and null as data."""
    entries = [Entry(run(), {"seed": 1, "lr": 0.1}), Entry(run(path="/elsewhere"), {"seed": 1, "lr": 0.2, "k": 3})]
    assert plain(entries).splitlines()[-2].split() == ["lr", "0.1", "0.2"]
    assert plain(entries).splitlines()[-1].split() == ["k", "-", "3"]
    assert plain(entries).splitlines()[0].split() == ["/runs/one", "/elsewhere"]
    assert [each["settings"] for each in objects(entries)] == [{"lr": 0.1, "k": None}, {"lr": 0.2, "k": 3}]


def test_a_simulated_run_says_so() -> None:
    """The head of its page has the conditions in words; that of a real one has none."""
    conditions = {"latency": "50ms±20ms", "loss": 0.01, "churn_s": 600.0, "slow h1": 10.0}
    page = report(Told("one", "", PLAN, ROWS, {}, environment={"simulated": conditions}))
    words = "latency 50ms±20ms, 1.00% of the frames lost, each process dies after 600 s on average, slow h1 10.0"
    assert page.count(words) == 2, "in the head and beside the environment"
    assert f"<p>Simulated: {words}.</p>" in page
    assert "imulated" not in report(run())


def test_settings_that_a_run_did_not_keep_to() -> None:
    """A run whose settings were changed while it ran says so, with the last value; of many only how many."""
    changes = [{"t_s": t_s, "process": "h1", "key": "lr", "value": t_s / 10} for t_s in (1.0, 2.0)]
    many = [{"t_s": 1.0, "process": f"h{i}", "key": "lr", "value": 1} for i in range(5)]
    entries = [Entry(Told("a", p, PLAN, ROWS, {}, (), c), {}) for p, c in (("1", changes), ("2", ()), ("3", many))]
    (line,) = (line for line in table(entries) if line.words == "changed while it ran")
    assert line.values == ("h1 lr=0.2", "-", "5 settings")
    assert objects(entries)[0]["changed"] == changes
    assert "changed while" not in plain(entries[1:2] * 2)


def test_more_runs_than_colours() -> None:
    """With more runs than colours all are in the table, and the page says which have no curve."""
    page = comparison([Entry(run(f"run{i}"), {}) for i in range(10)])
    assert "2 more are in the table only" in page
    assert "run9" in page


def test_a_long_story_is_cut() -> None:
    """A run of very many events has a page of bounded size, which says how many are not on it."""
    events = [{"t_s": float(i), "process": "h1", "kind": "lost", "data": {"why": "x"}} for i in range(10_000)]
    page = report(Told("one", "", PLAN, ROWS, {}, events))
    assert "9,700 events between" in page
    assert len(page) < 100_000


def test_routine_is_folded() -> None:
    """Epochs, evaluations and saves do not bury the events that somebody looks for."""
    kinds = ["epoch", "evaluated", "saved", "lost", "epoch"]
    events = [{"t_s": float(i), "process": "p", "kind": kind, "data": {}} for i, kind in enumerate(kinds)]
    page = report(Told("one", "", PLAN, ROWS, {}, events))
    shown, folded = page[page.index("<h2>Events") :].split("<details>", 1)
    assert re.findall(r"<td>p</td><td>(\w+)", shown) == ["lost"]
    assert folded.startswith("<summary>4 events of routine")
    assert re.findall(r"<td>p</td><td>(\w+)", folded) == ["epoch", "evaluated", "saved", "epoch"]


def test_the_histogram_ends_where_nothing_is() -> None:
    """Buckets of staleness are bars with their share, up to the last that has any; few are not shown as none."""
    counts = {"0": 900, "1": 99, "2": 0, "4": 1, "8": 0, "16": 0}
    page = report(run(staleness_counts=counts))
    bars = re.findall(r"<title>(\d+): ([\d,]+)</title>", page)
    assert bars == [("0", "900"), ("1", "99"), ("2", "0"), ("4", "1")]
    chart = page[page.index("Gradients by staleness") :]
    assert re.findall(r">(90 %|10 %|0 %|&lt;1 %)<", chart) == ["90 %", "10 %", "&lt;1 %"]


def test_settings_that_changed_are_told() -> None:
    """A setting that was changed while it ran is in the page: when, whose, and from what to what."""
    change = {"t_s": 1.25, "process": "h1", "key": "lr", "value": 0.2, "before": 0.125}
    page = report(Told("one", "", PLAN, ROWS, {}, (), [change]))
    assert "<td>1.25 s</td><td>h1</td><td>lr</td>" in page
    assert "0.125" in page


def test_a_link_that_sends_everything_is_not_said_to_save() -> None:
    """Few values of dense need not be few bytes of it: both are told, and a dash where nothing dense was counted."""
    counts = {"bytes": 808, "frames": 1, "values": 50, "dense": 200, "dense_bytes": 800}
    page = report(run(links={"h1 -> h2": counts | {"back_bytes": 3, "back_values": 0, "back_dense": 0}}))
    heads = re.findall(r"<th[^>]*>([^<]*)</th>", page[page.index("Traffic by link") :])
    forward, back = (
        dict(zip(heads, re.findall(r"<td[^>]*>(.*?)</td>", row), strict=False))
        for row in re.findall(r"<tr><td>h1 -&gt; h2</td>.*", page)
    )
    assert (forward["values of dense"], forward["bytes of dense"]) == ("25.0 %", "101.0 %")
    assert (back["values of dense"], back["bytes of dense"]) == ("-", "-")


def test_a_run_that_goes_on_says_when_its_links_tell_what_is_missing() -> None:
    """Rows do not count by link what was lost; while there is no summary, the page says where that is to be had."""
    rows = [{"t_s": 1.0, "stimuli": 10, "gaps": 42, "links": {"a -> b": {"bytes": 3, "back_bytes": 4}}}]
    words = "is told by link only at the end of a run"
    assert words in report(Told("one", "", PLAN, rows, {}))
    assert words not in report(Told("one", "", PLAN, rows, rows[0]))


def test_numbers_for_other_tools() -> None:
    """Each figure of a row is a number at its stimuli; times go on where the clock of a resumed run begins anew."""
    told = Told("one", "", PLAN, ROWS, {}, environment={"started": "2030-01-01T00:00:00+00:00"})
    began = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    found = list(scalars(told))
    assert Scalar("loss/train", 10, began - 1.0, 2.0) in found
    assert Scalar("of_dense/updates", 10, began - 1.0, 0.25) in found
    assert Scalar("accuracy/test", 40, began + 0.5, 0.9) in found
    assert [s.at for s in found] == sorted(s.at for s in found)
