"""The display: what a view looks like on a terminal, in plain lines and without Unicode."""

import io
import math
import re
from xml.etree import ElementTree

import pytest
from rich.cells import cell_len
from rich.console import Console

from monitor.dense import AgainstDense, losses, plain_against_dense
from monitor.figures import compact, duration, percent, sparkline, times
from monitor.picture import frame, svg
from monitor.progress import LIVE_EVERY_S, PLAIN_EVERY_S, LiveProgress, PlainProgress, Silence, progress
from monitor.render import plain, render
from monitor.view import View
from topology.wire import Event, Telemetry


def a_view(groups: int = 3, scale: int = 1, name: str = "digits") -> View:
    """A run in full swing; `scale` multiplies every count."""
    names = [f"hidden-group-{i}.0" for i in range(groups)]
    view = View(["source", *names], name=name, run="runs/x")
    for i in range(8):
        stimuli = i * 1000 * scale
        gauges = {"loss": 2.0 / (i + 1), "train_accuracy": i / 8, "total": 86_220.0 * scale, "epoch": i / 2}
        gauges |= {"in_flight": 128, "cpu_s": i * 0.1, "test_accuracy": 0.5, "train_s": i * 0.25}
        counters = {"confirmed": stimuli, "bytes": stimuli, "bytes_dense": 256 * stimuli}
        view.update(Telemetry("source", "source", 1, i, counters, gauges, {}), i * 0.25)
        for n in names:
            counters = {
                "stimuli": stimuli,
                "skipped": stimuli // 2,
                "spikes": 30 * stimuli,
                "spikes_dense": 64 * stimuli,
                "notifications": stimuli,
                "notifications_dense": 64 * stimuli,
                "updates": stimuli,
                "updates_dense": 6400 * stimuli,
                "staleness_sum": 3 * stimuli,
                "staleness_count": stimuli,
            }
            view.update(Telemetry(n, "group", 1, i, counters, {"queue": 3.0, "cpu_s": i * 0.2}, {}), i * 0.25)
        view.update(Event("broker", "joined", {"process": "source", "pid": 4_194_304}), 0.0)
    return view


def drawn(renderable: object, width: int = 80, height: int = 24, encoding: str = "utf-8") -> str:
    """What a terminal of that size and encoding would show."""
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding)
    Console(file=out, width=width, height=height, no_color=True, _environ={}).print(renderable)
    out.flush()
    return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("scale", [1, 1_000_000])
@pytest.mark.parametrize("width", [40, 50, 60, 79, 80, 100, 120, 200])
def test_frame_fits(width: int, scale: int) -> None:
    """No row is wider than the terminal or wrapped, and no figure is cut, with small counts or huge ones."""
    view = a_view(scale=scale)
    rows = drawn(render(view), width).splitlines()
    assert all(cell_len(row) <= width for row in rows), max(rows, key=cell_len)
    table = next(i for i, row in enumerate(rows) if row.startswith(" process"))
    assert len(rows) == table + 1 + len(view.lines())
    assert "…" not in "".join(rows[:table])
    figures = [row.split()[1:] for row in rows[table + 1 :]]
    assert all("…" not in "".join(row) for row in figures)
    for part in ("loss 0.250", "train 87.5 %", "test 50.0 %", "notifications 64x", "updates 6,400x", "eta 0:20"):
        assert part in "\n".join(rows[:table])


@pytest.mark.parametrize(
    ("width", "there", "not_there"),
    [
        (40, {"process", "state", "stim/s", "updates", "stale"}, {"notif.", "pid"}),
        (60, {"process", "notif.", "queue"}, {"pid", "cpu"}),
        (80, {"pid", "cpu", "spikes"}, {"MiB"}),
        (100, {"pid", "cpu", "MiB"}, set[str]()),
    ],
)
def test_a_narrow_terminal_gets_the_columns_that_matter(width: int, there: set[str], not_there: set[str]) -> None:
    """What matters least is left out first."""
    heads = next(set(row.split()) for row in drawn(render(a_view()), width).splitlines() if " process" in row)
    assert there <= heads
    assert not heads & not_there


def test_a_wide_terminal_is_used() -> None:
    """At 200 columns the bar and the curves are longer, names are whole, and processes stand side by side."""
    view = a_view(groups=40, name="mynet")
    rows = drawn(render(view), 200, 30).splitlines()
    assert cell_len(rows[0]) == 200
    assert len(rows) <= 30
    assert rows[-2].count("hidden-group-") == 2
    assert "more processes" not in rows[-1]
    assert "hidden-group-39.0" in "".join(rows)


def test_a_long_name_leaves_room_for_figures() -> None:
    """The longest name that a network may have is cut before a figure is."""
    for width in (40, 80):
        head = drawn(render(a_view(name="n" * 32)), width).splitlines()[0]
        assert cell_len(head) <= width
        assert "eta 0:20" in head


def test_frame_says_what_matters() -> None:
    """The display names the network and gives stimuli, rate, loss, accuracies, savings and staleness."""
    text = drawn(render(a_view(name="mynet")))
    for part in (
        "mynet",
        "7,000 / 86,220",
        "4,000 stimuli/s",
        "loss 0.250",
        "train 87.5 %",
        "test 50.0 %",
        "notifications 64x",
        "updates 6,400x",
        "bytes 256x",
        "staleness 3.0",
        "4194304",
        "47 %",
    ):
        assert part in text


def test_frame_before_anything_was_heard() -> None:
    """A run that has only begun is drawn with dashes, not with zeros and not with an error."""
    text = drawn(render(View(["source", "h1"], name="digits")))
    assert "loss -" in text
    assert text.count("waiting") == 2


def test_frame_in_ascii() -> None:
    """On a terminal that knows only ASCII nothing else is written."""
    view = a_view(groups=20)
    view.update(Event("hidden-group-1.0", "lost", {"why": "x" * 200}), 3.0)
    assert drawn(render(view), encoding="ascii")
    assert drawn(AgainstDense(view.summary()), encoding="ascii")


def test_many_processes_leave_the_rest_unshown() -> None:
    """More processes than rows: the display stays within the terminal and says how many it left out."""
    text = drawn(render(a_view(groups=40)), height=24)
    assert len(text.splitlines()) <= 24
    assert "more processes" in text


def test_trouble_is_on_the_display() -> None:
    """A lost process is named with its reason."""
    view = a_view()
    view.update(Event("hidden-group-1.0", "lost", {"why": "exit code 9"}), 3.0)
    assert "hidden-group-1.0 lost: exit code 9" in drawn(render(view))


def test_comparison_against_dense() -> None:
    """The summary table sets each count beside its dense equivalent and says how often it was saved."""
    summary = a_view(groups=1).summary()
    text = drawn(AgainstDense(summary))
    for part in (
        "notifications",
        "7,000",
        "448,000",
        "64x",
        "weight updates",
        "6,400x",
        "test accuracy 50.00 %",
    ):
        assert part in text
        assert part in "\n".join(plain_against_dense(summary))


@pytest.mark.parametrize("scale", [1, 1_000_000])
@pytest.mark.parametrize("width", [40, 50, 76, 200])
def test_comparison_fits(width: int, scale: int) -> None:
    """At the end no figure is cut either: a narrow terminal gets short ones, and words in more rows."""
    text = drawn(AgainstDense(a_view(scale=scale).summary()), width)
    assert "…" not in text
    assert all(cell_len(row) <= width for row in text.splitlines())
    assert all(not row or row.startswith(" ") for row in text.splitlines())
    for part in ("notifications", "weight updates", "64x", "6,400x", "test accuracy 50.00 %"):
        assert part in text


def test_losses_are_said_only_when_there_are_some() -> None:
    """The line of losses is empty for a clean run and names each count otherwise."""
    summary = a_view().summary()
    assert losses(summary) == ""
    summary |= {"represented": 2, "gaps": 0, "expired": 1500, "unheard": ["h1"]}
    assert losses(summary) == "counted on the way: 2 presented again, 1,500 expired, no figures from h1"
    assert losses({"restarts": 1, "gaps": 2}) == "counted on the way: 1 restart, 2 gaps"


def test_many_notes_leave_room() -> None:
    """However often processes died, the latest few notes are shown, and how many there were before."""
    view = a_view()
    view.notes = [f"note {i}" for i in range(1000)]
    text = drawn(render(view))
    assert re.findall(r"note (\d+)", text) == ["996", "997", "998", "999"]
    assert "996 more before these:" in text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (None, "-"),
        (0, "0"),
        (99_999, "99,999"),
        (100_000, "100k"),
        (999_499, "999k"),
        (999_500, "1.0M"),
        (1_234_567, "1.2M"),
        (99_949_000, "99.9M"),
        (99_999_999, "100M"),
        (5e9, "5.0G"),
        (7e14, "700T"),
        (7e15, "7000T"),
    ],
)
def test_compact(n: float | None, text: str) -> None:
    """Counts stay short at every size."""
    assert compact(n) == text


def test_words_for_numbers() -> None:
    """Ratios, shares and durations as people write them."""
    assert [times(x) for x in (None, 3.44, 42.4, 1934.2, math.inf)] == ["-", "3.4x", "42x", "1,934x", "all"]
    assert [percent(x) for x in (None, 0.0, 0.9744)] == ["-", "0.0 %", "97.4 %"]
    assert [duration(x) for x in (None, 7.4, 59.6, 3723)] == ["-", "0:07", "1:00", "1:02:03"]


def test_sparkline() -> None:
    """A curve keeps its shape and its latest value, is never wider than asked, and a flat one stays low."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([5, 5, 5], 8) == "▁▁▁"
    assert sparkline([], 8) == ""
    long = sparkline([float(i) for i in range(1000)], 10)
    assert len(long) == 10
    assert long[-1] == "█"
    assert sparkline([1, 0], 4, ascii_only=True).isascii()


def test_picture_is_svg_of_its_own() -> None:
    """The picture is well-formed XML with what the display said, frozen, and loads nothing from anywhere."""
    view = a_view(groups=1)
    shown = frame(view)
    view.update(Telemetry("source", "source", 1, 99, {"confirmed": 86_220}, {}, {}), 9.0)
    drawn_svg = svg([shown, AgainstDense(view.summary())], "neurond run digits")
    root = ElementTree.fromstring(drawn_svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    text = "".join(root.itertext()).replace("\u00a0", " ")
    assert "7,000 / 86,220" in text
    assert "event-driven" in text
    assert "url(http" not in drawn_svg
    assert "@font-face" not in drawn_svg


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time it was turned to."""
        return self.now


def test_plain_lines_are_rare() -> None:
    """Without a terminal: a line every two seconds however often the view changes, and one at the end."""
    clock, lines = Clock(), list[str]()
    view = a_view()
    with PlainProgress(lines.append, clock) as show:
        for i in range(100):
            clock.now = i * 0.1
            view.update(Telemetry("source", "source", 1, 100 + i, {"confirmed": 7000 + i}, {}, {}), 3.0)
            show(view)
    assert len(lines) == int(9.9 / PLAIN_EVERY_S) + 1
    assert lines[-1] == plain(view)
    assert lines[-1].startswith("7,099 stimuli")


def test_plain_lines_tell_each_note_once() -> None:
    """What went wrong is a line as soon as it is known, between the others, and is not repeated."""
    clock, lines = Clock(), list[str]()
    view = a_view()
    view.notes.append("known before the first line")
    with PlainProgress(lines.append, clock) as show:
        show(view)
        assert lines == ["known before the first line"]
        view.update(Event("broker", "failed", {"what": "save", "why": "generation 2 was not saved: full"}), 3.0)
        show(view)
        show(view)
        assert lines[1:] == ["broker failed: generation 2 was not saved: full"]
        view.update(Event("broker", "lost", {"process": "h1", "why": "gone"}), 3.0)  # and nobody showed it any more
    assert lines[2:] == ["h1 lost: gone", plain(view)]


def test_quiet_tells_at_the_end_what_was_not_saved() -> None:
    """With --quiet the last save that failed is one line after the end; nothing else is said."""
    console = Console(file=io.StringIO(), width=20, _environ={})
    view = a_view()
    view.notes.append("sockets are elsewhere")
    with progress(console, Clock(), quiet=True) as show:
        for generation in (2, 3):
            why = f"generation {generation} was not saved: [full]"
            view.update(Event("broker", "failed", {"what": "save", "why": why}), 3.0)
        view.update(Event("broker", "lost", {"process": "h1", "why": "gone"}), 3.0)
        show(view)
        assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    assert console.file.getvalue() == "broker failed: generation 3 was not saved: [full]\n"  # type: ignore[attr-defined]


def test_plain_line_while_waiting() -> None:
    """Before the source speaks, the line says how many processes are there."""
    view = View(["source", "h1"])
    view.update(Event("broker", "joined", {"process": "h1", "pid": 7}), 0.0)
    assert plain(view) == "waiting for processes: 1 of 2"


def test_live_display_is_not_redrawn_for_every_message() -> None:
    """The live display draws at most four times a second, and its last picture is the last state."""
    clock, out = Clock(), io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, _environ={"TERM": "xterm"})
    view = a_view()
    with LiveProgress(console, clock) as show:
        for i in range(100):
            clock.now = i * 0.01
            show(view)
        drawn_before = out.getvalue().count("stimuli/s")
        view.update(Telemetry("source", "source", 1, 999, {"confirmed": 8_642}, {}, {}), 3.0)
        show(view)
    assert drawn_before <= 1.0 / LIVE_EVERY_S + 1
    assert "8,642" in out.getvalue()


def test_display_suits_the_console() -> None:
    """A terminal gets the live display, a pipe plain lines, `quiet` nothing."""
    terminal = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "xterm"})
    pipe = Console(file=io.StringIO(), _environ={})
    assert isinstance(progress(terminal, Clock()), LiveProgress)
    assert isinstance(progress(pipe, Clock()), PlainProgress)
    assert isinstance(progress(terminal, Clock(), quiet=True), Silence)
