"""The views of the console: what a person reads of processes, links, spikes, curves, events and the graph."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from monitor.console.curves import plot
from monitor.console.details import details, staleness
from monitor.console.head import progress, quality, tab_at, tabs
from monitor.console.page import Glyphs, Look, text_of
from monitor.console.raster import sample
from monitor.console.settings import concerning, parse, subjects, unit
from monitor.console.snapshot import snapshot
from monitor.console.views import VIEWS
from monitor.dense import losses
from monitor.figures import number, percent
from monitor.process import LOST
from monitor.view import View
from tests.watched import chain, heads, process, rows, watched
from topology.wire import Event, Telemetry

NOW = 5.3
PLAIN, ASCII = Glyphs(), Glyphs(ascii_only=True)


def drawn(name: str, view: View, width: int = 80, look: Look | None = None, glyphs: Glyphs = PLAIN) -> list[str]:
    """The rows of a view on 20 rows of a screen."""
    return rows(VIEWS[name](view, NOW, width, 20, glyphs, look or Look()))


@pytest.mark.parametrize("glyphs", [PLAIN, ASCII])
@pytest.mark.parametrize("groups", [2, 12, 100])
@pytest.mark.parametrize("width", [40, 80, 131, 132, 200])
def test_every_view_fits(width: int, groups: int, glyphs: Glyphs) -> None:
    """No row is wider than the screen but of the graph, which is cut; each has its key, and ASCII is kept to."""
    view = watched(chain(groups))
    for name, draw in VIEWS.items():
        page = draw(view, NOW, width, 20, glyphs, Look())
        assert len(page.keys) == len(page.rows), name
        shown = heads(page) + rows(page) + [text_of(progress(view, "running", width, glyphs))]
        shown += [text_of(quality(view, width, glyphs)), text_of(tabs(list(VIEWS), 2, ["frozen"], width, glyphs))]
        assert name == "graph" or max(map(len, shown)) <= width, name
        if glyphs.ascii_only:
            assert "".join(shown).isascii(), name


@pytest.mark.parametrize("name", VIEWS)
def test_a_run_that_nobody_has_heard_of(name: str) -> None:
    """Before the first report no number is shown: there are dashes, or words."""
    told = " ".join(drawn(name, View(["source", "h1"])))
    assert not any(c.isdigit() for c in told.replace("h1", ""))


def test_groups() -> None:
    """A process has its state, its pid, its rates of the last seconds, its queue, its staleness, and a curve."""
    source, h1, *_ = drawn("groups", watched(chain(3)))
    assert source.split()[:9] == ["source", "running", "4000", "1,000", "-", "-", "-", "-", "64"]
    assert h1.split()[:10] == ["h1", "running", "4001", "1,000", "60", "%", "100", "20", "1.2", "2"]
    assert h1.endswith("█████████")
    assert "#########" in drawn("groups", watched(chain(3)), glyphs=ASCII)[1]


def test_a_wide_screen_has_more() -> None:
    """Gradient, learning rate, processor, memory, starts and age come with the room for them."""
    page = VIEWS["groups"](watched(chain(3)), NOW, 200, 20, PLAIN, Look())
    assert heads(page)[0].split()[8:] == [
        "queue", "gradient", "lr", "cpu", "MiB", "starts", "age", "stim/s", "now",
    ]  # fmt: skip
    assert rows(page)[1].split()[9:17] == ["2", "0.25", "0.05", "40", "%", "36", "1", "0.3"]


def test_silence_is_shown() -> None:
    """A process that has said nothing for three seconds is silent, and has no rates."""
    view = watched(chain(3))
    h1 = rows(VIEWS["groups"](view, 9.0, 200, 20, PLAIN, Look()))[1].split()
    assert h1[:5] == ["h1", "silent", "4001", "-", "-"]
    assert "4.0" in h1
    view.update(Event("broker", "lost", {"process": "h1", "why": "no beat"}), 9.0)
    assert drawn("groups", view)[1].split()[1] == "lost"


def test_filter_and_sort() -> None:
    """A filter leaves rows that hold all its words; sorting goes through the columns, and back to the order."""
    view = watched(chain(12))
    assert [row.split()[0] for row in drawn("groups", view, look=Look("h1 RUN"))] == ["h1", "h10", "h11"]
    process(view, "h5").gauges["queue"] = 9.0
    page = VIEWS["groups"](view, NOW, 80, 20, PLAIN, Look(sort=9))
    assert "queue▾" in heads(page)[0]
    assert page.keys[:3] == ["source", "h5", "h1"]  # 64, 9, 2
    look = Look()
    for _ in range(page.columns + 1):
        look = look.sorted_next(page.columns)
    assert look == Look()


def test_links() -> None:
    """A link has both its directions: frames, bytes, the share of dense traffic, what was lost, and its age."""
    shown = {row.split("  ")[0].strip(): row for row in drawn("links", watched(chain(3)))}
    assert list(shown) == ["source -> h1", "source -> loss", "h1 -> h2", "h2 -> out"]
    figures = shown["source -> h1"].removeprefix(" source -> h1").split()
    assert figures == ["120", "60", "60.0", "%", "80", "2", "5.0", "%", "3", "-", "0.3"]
    assert shown["source -> loss"].split()[3:7] == ["120", "6", "100", "%"]


def test_injected_faults_are_seen() -> None:
    """Latency and loss that a process injects on purpose stand beside the link, in its direction."""
    view = watched(chain(3))
    process(view, "h1").gauges |= {"delay_s.h2": 0.05, "loss.h2": 0.1}
    assert "50ms,10%" in drawn("links", view)[2]


def test_a_link_from_before_the_new_counters() -> None:
    """Where a process does not tell what a dense pass would have sent, its share is a dash."""
    view = View(["source", "h1"])
    for n in (1, 2):
        links = {"source -> h1": {"sent": 10 * n, "bytes": 100 * n, "received": 0, "gaps": 0}}
        view.update(Telemetry("source", "source", 1, n, {}, {}, links), n * 0.5)
    assert drawn("links", view)[0].split()[3:] == ["20", "0", "-", "-", "-", "-", "0", "-", "4.3"]


def test_raster() -> None:
    """Spikes are dots, the newest at the right; looks that were lost are hatched, not empty."""
    view = watched(["source", "h1", "out"])
    first = drawn("raster", view)
    assert first[0].split()[:2] == ["h1", "32"]
    assert all("╱" not in row for row in first)
    process(view, "h1").gauges["neurons"] = 300.0
    assert drawn("raster", view)[0].split()[:4] == ["h1", "32", "of", "300"], "a sample is said to be one"
    process(view, "h1").gauges["neurons"] = 40_000.0
    assert drawn("raster", view)[0].split()[:4] == ["h1", "32", "of", "40k"]
    process(view, "h1").looks.extend([LOST] * 32)
    assert all(row.endswith("╱" * 16) for row in drawn("raster", view)[:8])
    assert drawn("raster", view, glyphs=ASCII)[0].endswith("/" * 32)
    assert sample(32, 8) == [0, 4, 8, 12, 16, 20, 24, 28]


@pytest.mark.parametrize(("height", "neurons"), [(19, [32, 32, 10]), (14, [24, 20, 10]), (3, [4, 4, 4])])
def test_a_raster_fills_the_screen(height: int, neurons: list[int]) -> None:
    """What a small group does not need, the others have: no row is empty while neurons are left out."""
    view = watched(chain(3))
    out = process(view, "out")
    out.neurons = 10
    page = VIEWS["raster"](view, NOW, 80, height, PLAIN, Look())
    assert [int(row.split()[1]) for row in rows(page) if row[1:2].strip()] == neurons
    assert len(page.rows) <= height


def test_a_raster_knows_what_was_lost() -> None:
    """Reports carry sixteen looks each; a second without a report is a gap of that length."""
    view = View(["h1"])
    for at in (0.0, 0.5, 2.0):
        view.update(Telemetry("h1", "group", 1, int(at * 2), {}, {}, {}, [3] * 16), at)
    looks = list(process(view, "h1").looks)
    assert (len(looks), looks.count(LOST)) == (80, 32)


def test_what_comes_late_and_at_once_is_not_lost_and_no_burst_of_work() -> None:
    """A console that was stopped for 20 s reads 40 reports at once: all looks are there, and the rate stays."""
    view = View(["h1"])
    told = [Telemetry("h1", "group", 1, n, {"stimuli": 500 * n}, {}, {}, [3] * 16) for n in range(1, 60)]
    for n, report in enumerate(told, 1):
        view.update(report, n * 0.5 if n <= 10 else max(n * 0.5, 25.0 + n / 1e5))
        found = process(view, "h1")
        if n > 50 or 1 < n <= 10:
            assert 900 < (found.rate("stimuli") or 0.0) < 1100
            assert 900 < min(found.rates) <= max(found.rates) < 1100
    assert (len(found.looks), list(found.looks).count(LOST)) == (59 * 16, 0)


def test_curves() -> None:
    """Loss, accuracy, and accuracy against megabytes, with their scales; evaluations are points of their own."""
    view = watched(chain(3))
    view.update(Event("source", "evaluated", {"test_accuracy": 0.9, "stimuli": 2500}), 5.1)
    shown = drawn("curves", view)
    titles = [row.strip() for row in shown if row.startswith((" l", " t"))]
    assert titles == [
        "loss 0.100", "training accuracy 95.0 %, test 90.0 % ●", "training accuracy against MB sent 95.0 %",
    ]  # fmt: skip
    assert shown[7].startswith("  95.0 % │")
    assert sum("●" in row for row in shown[7:12]) == 1
    assert shown[5].split() == ["500", "5,000", "stimuli"]
    assert shown[17].split() == ["0.03", "1.14", "MB"]
    assert len(drawn("curves", view, width=200)) == 20  # side by side
    assert "…" not in drawn("curves", view, width=132)[0]


@pytest.mark.parametrize(("title", "written", "low", "high"), [
    ("accuracy", percent, 0.97113, 0.97142), ("loss", number, 0.01231, 0.01244), ("loss", number, 0.123, 0.456),
])  # fmt: skip
def test_a_scale_tells_its_ends_apart(title: str, written: Callable[..., str], low: float, high: float) -> None:
    """However little a curve rises, the numbers beside it are not the same."""
    found = [text_of(row) for row in plot(title, [(0, low), (9, high)], [], "stimuli", written, 40, 8, PLAIN)]
    ticks = [found[at].split(" │")[0].strip() for at in (1, 6)]
    assert ticks[0] != ticks[1]
    assert {len(row) for row in found} == {40}
    assert [float(tick.removesuffix(" %")) for tick in ticks] == pytest.approx(
        [y * (100 if written is percent else 1) for y in (high, low)], rel=0.005
    )


def test_events() -> None:
    """Whatever happened is one log with times and names, in words; a filter looks at all of it."""
    view = watched(chain(2))
    source = process(view, "source")
    assert drawn("events", view)[0] == "       - source     joined    incarnation 1, pid 4000"
    source.gauges["train_s"] = 6.0
    view.update(Event("source", "evaluated", {"test_accuracy": 0.912, "stimuli": 1}), 7.0)
    source.gauges["train_s"] = 65.2
    view.update(Event("h1", "set", {"key": "lr", "value": 0.02, "before": 0.05}), 65.0)
    source.gauges["train_s"] = 70.0
    view.update(Event("broker", "lost", {"process": "h1", "why": "no beat\nfor 3 s"}), 70.0)
    shown = drawn("events", view)
    assert shown[-3:] == [
        "    0:06 source     evaluated test accuracy 91.2 %, stimuli 1",
        "    1:05 h1         set       lr = 0.02 (was 0.05)",
        "    1:10 h1         lost      no beat for 3 s",
    ]
    assert drawn("events", view, look=Look("set lr")) == shown[-2:-1]
    view.update(Event("h1", "journal", {"ok": True, "why": "kept again"}), 71.0)
    assert drawn("events", view)[-1].endswith("journal   kept again")
    view.update(Event("source", "finished", {"stimuli": 28760, "test_accuracy": 0.97491, "train_s": 72.9}), 73.0)
    assert drawn("events", view)[-1].endswith(" stimuli 28,760, test accuracy 97.5 %, after 1:13")


@pytest.mark.parametrize("speed", [1.0, 4.0])
def test_the_time_of_an_event_is_that_of_training(speed: float) -> None:
    """Who comes late to a run, or to the replay of one, is told the past at once: only what says when has a time."""
    view = View(["source"], late=True, speed=speed)
    view.update(Telemetry("source", "source", 1, 7, {"confirmed": 1}, {"train_s": 61.0}, {}), 10.0)
    view.update(Event("broker", "joined", {}), 10.0 + 0.2 * speed)
    view.update(Event("source", "finished", {"train_s": 59.0}), 10.0 + 0.2 * speed)
    view.update(Event("broker", "saved", {}), 10.0 + 0.4 * speed)
    assert [at for at, _ in view.log] == [None, 59.0, 61.0]


def test_graph() -> None:
    """Who is wired to whom, with the state and the traffic of each; busier lines have a warmer colour."""
    page = VIEWS["graph"](watched(["source", "h1", "out"]), NOW, 80, 20, PLAIN, Look())
    shown = rows(page)
    assert [row[:11].rstrip() for row in shown] == ["     source", " ┌──┘", " └─▶ h1", " ┌──┘", " └─▶ out"]
    assert page.keys == ["source", "", "h1", "", "out"]
    assert shown[2].split()[2:] == ["running", "1,000", "stim/s", "in", "62", "kB/s", "out", "62", "kB/s"]
    roles = {role for row in page.rows for text, role in row if "─" in text}
    assert roles == {"load4"}
    assert rows(VIEWS["graph"](watched(["source", "h1", "out"]), NOW, 80, 20, ASCII, Look()))[2].startswith(" `-> h1")


def test_details() -> None:
    """A process tells its gauges, counters and the histogram of its staleness; a link both its directions."""
    view = watched(chain(2))
    assert staleness(process(view, "h1")) == [("0", 500), ("1", 400), ("2 to 3", 100)]
    told = "\n".join(details(view, NOW, "h1", PLAIN))
    assert "group, running, pid 4001, incarnation 1" in told
    assert "gradient_norm            0.25" in told
    assert "share of dense traffic                 5.00 %" in "\n".join(details(view, NOW, "source -> h1", PLAIN))
    assert details(view, NOW, "nobody", PLAIN) == []


def test_settings_of_a_link_are_those_of_both_its_ends() -> None:
    """A row of links offers what its ends do on it, and nothing of their other links."""
    view = watched(chain(3))
    held = {
        "h1": {"lr": 0.1, "notify.source.threshold": 0.3, "delay.h2": 0.0, "loss.h2": 0, "delay.source": 0.0},
        "h2": {"lr": 0.1, "notify.h1.threshold": 0.2, "notify.h1.clip": 1.0, "delay.h1": 0.0, "delay.out": 0.0},
    }
    assert subjects(view, "h1 -> h2") == ["h1", "h2"]
    assert [(p, key) for p, key, _ in concerning(view, "h1 -> h2", held)] == [
        ("h1", "delay.h2"), ("h1", "loss.h2"),
        ("h2", "notify.h1.threshold"), ("h2", "notify.h1.clip"), ("h2", "delay.h1"),
    ]  # fmt: skip
    assert len(concerning(view, "h1", {"h1": held["h1"]})) == 5
    assert (unit("delay.h2"), unit("loss.h2"), unit("lr")) == ("s", "share, 0 to 1", "")


@pytest.mark.parametrize(("typed", "value"), [(" 0.02 ", 0.02), ("1e-3", 1e-3), ("0,5", 0.5)])
def test_numbers_as_people_type_them(typed: str, value: float) -> None:
    """Spaces, exponents and decimal commas are read."""
    assert parse(typed) == value


@pytest.mark.parametrize("typed", ["", "much", "nan", "inf"])
def test_what_is_no_number_is_said(typed: str) -> None:
    """Words come back, not a number."""
    assert isinstance(parse(typed), str)


def test_routine_is_folded() -> None:
    """However many epochs have gone by, what is no routine stays in sight; a filter finds all."""
    view = watched(chain(2))
    before = len(drawn("events", view))
    view.update(Event("h1", "set", {"key": "lr", "value": 0.02}), 6.0)
    for n in range(60):
        view.update(Event("source", "epoch", {"epoch": n}), 7.0 + n)
        view.update(Event("source", "evaluated", {"test_accuracy": 0.9, "stimuli": n}), 7.0 + n)
    shown = drawn("events", view)
    assert len(shown) == before + 4
    assert shown[before].split()[1:3] == ["h1", "set"]
    assert shown[before + 1].strip() == "... 59 epochs, 59 evaluations"
    assert [row.split()[2] for row in shown[before + 2 :]] == ["epoch", "evaluated"]
    assert len(drawn("events", view, look=Look("evaluated"))) == 60


def test_snapshot_is_json() -> None:
    """All that the views show is one JSON object, without a number that is not one."""
    told = json.loads(json.dumps(snapshot(watched(chain(3)), NOW, {"state": "running"}), allow_nan=False))
    assert (told["state"], told["stimuli"], [g["name"] for g in told["groups"]]) == ("running", 5000, chain(3))
    assert told["replay"] is None
    assert told["groups"][1]["staleness"] == 1.2
    assert told["groups"][0]["spike_share"] is None
    assert told["links"][0]["backward"]["dense_share"] == 0.05
    assert told["raster"]["h1"]["neurons"] == 32
    assert len(told["curves"]["loss"]) == 10
    view = watched(chain(3))
    process(view, "source").state = "paused"
    process(view, "source").gauges["train_s"] = 65.25
    paused = snapshot(view, NOW, {"state": "running"})
    assert (paused["state"], paused["train_s"]) == ("paused", 65.25)
    assert told["events"][-1] == {"t_s": None, "process": "broker", "kind": "running", "words": ""}


def test_a_copy_that_was_kept_makes_no_rate() -> None:
    """Who joins late hears an old report first: the rate is not that of the moment until the next one."""
    view = View(["h1"], late=True)
    for n, at in ((1, 10.0), (2, 10.01), (3, 10.5), (4, 11.0)):
        view.update(Telemetry("h1", "group", 1, n, {"stimuli": 500 * n}, {}, {}), at)
        rate = process(view, "h1").rate("stimuli")
        assert rate is None if n < 3 else 900 < (rate or 0.0) < 1100


def test_the_lines_above_drop_whole_fields() -> None:
    """Where there is no room a figure is left out, never cut; savings of more than a thousand are short."""
    view = watched(["source", "h1", "out"])
    source = process(view, "source")
    source.gauges |= {"train_s": 7966.0, "total": 10_000_000.0, "test_accuracy": 0.972, "loss": 0.123}
    process(view, "h1").counters["updates_dense"] = 1_934_000 * 100
    for width in range(40, 140):
        for line in (progress(view, "running", width, PLAIN), quality(view, width, PLAIN)):
            assert "…" not in text_of(line)
    assert text_of(progress(view, "running", 79, PLAIN)) == (
        " chain  running  0 %  5,000/10,000,000  1,000/s  2:12:46, 2:46:35 left"
    )
    assert text_of(quality(view, 80, PLAIN)).endswith("saved notif. 20x upd. 968kx bytes 5.4x")
    assert text_of(quality(view, 60, PLAIN)) == " loss 0.123  train 95.0 %  test 97.2 %  saved notif. 20x"


def test_what_went_wrong_is_above() -> None:
    """Restarts and stimuli that were given up are in sight at 80 columns, in their colour; else nothing is."""
    view = watched(chain(3))
    assert not any(role == "warn" for _, role in quality(view, 80, PLAIN))
    process(view, "h1").restarts = 2
    process(view, "source").counters["expired"] = 256
    assert ("2 restarts, 256 expired", "warn") in quality(view, 80, PLAIN)
    process(view, "h1").restarts = 1
    assert ("1 restart, 256 expired", "warn") in quality(view, 80, PLAIN)


def test_whatever_was_lost_is_above() -> None:
    """All that the summary counts on the way is there where there is room; else how many kinds more, and no less."""
    view = watched(["source", "h1", "out"])
    process(view, "h1").counters["updates_dense"] = 1_934_000 * 100
    process(view, "h1").restarts = 1
    lines = [text_of(quality(view, width, PLAIN)) for width in range(60, 140)]
    assert all("notif" in line and "upd" in line for line in lines if "bytes" in line)
    assert any("upd" in line and "bytes" not in line for line in lines), "what is sent goes first"
    process(view, "source").counters |= {"represented": 112}
    process(view, "h1").counters |= {"gaps": 16, "fenced": 3, "late": 2}
    said = "1 restart, 112 presented again, 16 gaps, 3 fenced, 2 late"
    assert losses(view.summary()) == f"counted on the way: {said}"
    assert (said, "warn") in quality(view, 200, PLAIN)
    assert ("1 restart, +4", "warn") in quality(view, 80, PLAIN)


def test_tabs_are_where_they_are_drawn() -> None:
    """A click on a view's name finds that view."""
    names = list(VIEWS)
    line = text_of(tabs(names, 0, [], 80, PLAIN))
    assert [tab_at(names, line.index(name)) for name in names] == list(range(6))
    assert tab_at(names, 79) is None
