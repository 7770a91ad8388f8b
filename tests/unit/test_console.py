"""The console under a pilot: every view and every key, on screens that no terminal shows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from monitor.console.app import DARK, LIGHT, Console
from monitor.console.commands import CHOOSE, READ_ONLY, RECORDED
from monitor.console.dialogs import Edit, Question, Reading
from monitor.console.display import SAID_S, Display
from monitor.console.keys import KEYS, help_lines
from monitor.console.page import Glyphs, text_of
from monitor.console.views import VIEWS
from monitor.view import View
from tests.waiting import comes
from tests.watched import chain, process, reports, watched
from topology import wire
from topology.address import BrokerUnreachable

NOW = 5.3
HELD = {"lr": 0.05, "threshold": 0.02, "notify.source.threshold": 0.3, "delay.h2": 0.0, "loss.h2": 0.0}


class Run:
    """A run that somebody follows, and a broker that takes commands: it answers, and remembers."""

    def __init__(self, groups: int = 3) -> None:
        self.view: View = watched(chain(groups))
        self.status: dict[str, Any] = {"state": "running"}
        self.answers = True
        self.asked: list[tuple[Any, ...]] = []
        self.error = ""

    async def ask(self, verb: str, target: str = "", **args: Any) -> wire.Reply:
        """As `Client.command`."""
        self.asked.append((verb, target, *args.values()))
        if self.error == "unreachable":
            raise BrokerUnreachable("no broker answers")
        if self.error:
            return wire.Reply("1", False, error=self.error)
        if verb == "tap":
            frame = {"kind": "spikes", "bytes": 90, "stimuli": 2, "values": 20, "first_id": 640, "presentation": 1}
            return wire.Reply("1", True, {target: {"frames": [frame] if target == "source" else []}})
        if verb == "get":
            return wire.Reply("1", True, {target: dict(HELD)})
        return wire.Reply("1", True, {target: args["settings"]} if verb == "set" else {})


@asynccontextmanager
async def shown(
    run: Run, size: tuple[int, int] = (80, 24), *, readonly: bool = False, **options: Any
) -> AsyncIterator[tuple[Console, Pilot[Any]]]:
    """The console of a run, with a pilot at its keys."""
    console = Console(run, lambda: NOW, None if readonly else run.ask, **options)
    async with console.run_test(size=size) as pilot:
        await pilot.pause()
        yield console, pilot


def screen(console: Console) -> str:
    """What is on the screen, as text."""
    width, height = console.size
    lines = console.screen._compositor.render_strips()
    assert len(lines) == height
    assert all(strip.cell_length == width for strip in lines)
    return "\n".join(strip.text.rstrip() for strip in lines)


@pytest.mark.parametrize("light", [False, True])
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_every_view_by_its_digit(size: tuple[int, int], light: bool) -> None:
    """Each digit shows its view, under what the run has reached, and above the keys; in the dark and in the light."""
    marks = ["stim/s now", "back/s", "a dot is a neuron", "accuracy against MB sent", "broker     running", "└─▶ h1"]
    async with shown(Run(), size, light=light) as (console, pilot):
        assert console.theme == (LIGHT if light else DARK)
        for i, (name, mark) in enumerate(zip(VIEWS, marks, strict=True)):
            await pilot.press(str(i + 1))
            assert console.shown.name == name
            told = screen(console)
            assert mark in told
            assert told.startswith(" chain  running  ")
            assert "5,000/100,000" in told
            assert " ? help  q quit" in told.splitlines()[-1]
        await pilot.press("right")
        assert console.shown.name == "groups"
        await pilot.click("#head", offset=(16, 2))
        assert console.shown.name == "links"


async def test_it_draws_again_by_itself() -> None:
    """What is new is on the screen without a key; frozen it is not, and the key lets it go on from now."""
    run = Run()
    async with shown(run) as (console, pilot):

        def report() -> None:
            for report in reports(chain(3), 40):
                run.view.update(report, NOW)

        await pilot.press("space")
        assert "[frozen]" in screen(console)
        report()
        console.repaint()
        await pilot.pause()
        assert "5,000/100,000" in screen(console)
        await pilot.press("space")
        await comes(lambda: "20,000/100,000" in screen(console), "the new picture")
        assert "[frozen]" not in screen(console)


async def test_filter_and_sort() -> None:
    """A slash takes words, and rows without them go; o sorts; escape shows everything again."""
    async with shown(Run(12)) as (console, pilot):
        await pilot.press("slash", *"h1", "enter")
        assert [key for key in console.pane.page.keys if key] == ["h1", "h10", "h11"]
        assert "/h1" in screen(console).splitlines()[-1]
        assert not console.query_one("#filter", Input).display
        await pilot.press("slash", "q")  # a letter for the filter, not a key
        assert "/h1q" not in screen(console)  # it stands in the line that is typed in
        assert "nothing holds 'h1q'" in screen(console)
        await pilot.press("escape")
        assert len(console.pane.page.keys) == 13
        await pilot.press("o", "o", "o", "o")
        assert "stim/s▾" in screen(console)
        await pilot.press("4", "o")
        assert "has an order of its own" in screen(console)


async def test_selecting_rows() -> None:
    """The selection moves, stays in sight, and keeps to its process when rows change places."""
    async with shown(Run(100)) as (console, pilot):
        await pilot.press("down", "down")
        assert console.pane.key == "h2"
        await pilot.press("pagedown")
        assert console.pane.key in screen(console)
        await pilot.press("end")
        assert (console.pane.key, "out" in screen(console)) == ("out", True)
        await pilot.press("home", "down", *"oooooooo")
        assert console.pane.key == "h1"
        await pilot.click("#pane", offset=(5, 3))
        assert console.pane.key == console.pane.page.keys[console.pane.top + 2]
        await pilot.press("6", "home", "down")
        assert console.pane.key == "h1"  # the bend between source and h1 is about nothing


async def test_the_selection_outlives_a_change_of_view() -> None:
    """A process that was chosen stays so in every view that has it, and a link beside it."""
    async with shown(Run()) as (console, pilot):
        await pilot.press("down", "down", "3")
        assert console.pane.key == "h2"
        await pilot.press("2", "down")
        assert console.pane.key == "source -> loss"
        await pilot.press("6")
        assert console.pane.key == "h2"
        await pilot.press("2")
        assert console.pane.key == "source -> loss"


async def test_among_events_a_row_must_be_chosen() -> None:
    """No command goes to whoever happens to have spoken last; a row that was chosen is kept while others come."""
    run = Run()
    run.view.update(wire.Event("h1", "set", {"key": "lr", "value": 0.1}), NOW)
    async with shown(run) as (console, pilot):
        await pilot.press("down", "down", "5")
        assert ">h" not in screen(console)
        for key in ("k", "R", "e"):
            await pilot.press(key)
            assert CHOOSE[:40] in screen(console)
        await pilot.press("up")
        assert console.pane.key == "h1"
        run.view.update(wire.Event("h2", "set", {"key": "lr", "value": 0.1}), NOW)
        console.repaint()
        await pilot.press("R", "y")
        await comes(lambda: run.asked == [("restart", "h1")], "the restart")
        await pilot.press("1")
        assert console.pane.key == "h1"


async def test_events_are_followed_from_the_end() -> None:
    """The latest event is in sight, until one looks at earlier ones."""
    run = Run(100)
    async with shown(run) as (console, pilot):
        await pilot.press("5")
        assert "broker     running" in screen(console)
        await pilot.press("home")
        run.view.update(wire.Event("h1", "set", {"key": "lr", "value": 0.1}), NOW)
        await pilot.pause()
        assert "lr = 0.1" not in screen(console)
        await pilot.press("end")
        console.repaint()
        await pilot.pause()
        assert "lr = 0.1" in screen(console)


async def test_details_and_help() -> None:
    """Enter tells all of a process or a link; a question mark all keys; escape goes back."""
    async with shown(Run(), (100, 40)) as (console, pilot):
        await pilot.press("down", "enter")
        assert isinstance(console.screen, Reading)
        assert "staleness of its gradients" in screen(console)
        await pilot.press("escape", "2", "enter")
        assert "forward, from source: spikes" in screen(console)
        await pilot.press("escape", "question_mark")
        assert "edit thresholds, learning rate, injected latency and loss" in screen(console)
        await pilot.press("escape", "4", "enter")
        assert not isinstance(console.screen, Reading)


async def test_help_is_whole_on_a_small_screen() -> None:
    """At 80 columns no word of the help is cut; what is below is counted, and reached."""
    async with shown(Run()) as (console, pilot):
        await pilot.press("question_mark")
        await comes(lambda: "more rows below" in screen(console), "that there is more")
        box = []
        for key in ("home", "pagedown", "pagedown", "pagedown"):
            await pilot.press(key)
            rows = [row.split("│")[1] for row in screen(console).splitlines() if row.count("│") == 2]
            box += [row for row in rows if "escape closes" not in row]
        assert "rows below" not in screen(console)
        words = " ".join(" ".join(dict.fromkeys(box)).split())
        for line in help_lines(""):
            assert " ".join(line.split()) in words


def test_every_key_has_its_words() -> None:
    """Each key is bound, and docs/console.md has it; over `run --watch`, those that leave say what they do there."""
    table = (Path(__file__).parents[2] / "docs" / "console.md").read_text(encoding="utf-8").splitlines()
    written = {
        name.strip(" `") for line in table if line.startswith("| ") for name in line.split(" | ")[0][2:].split(",")
    }
    bound = Console(Run(), lambda: NOW)._bindings.key_to_bindings
    for key in KEYS:
        assert key.shown.startswith("1 to ") or {*key.shown.split(", ")} <= written
        assert {*key.binds} <= {*bound}
    attached, over = (dict(line.split(None, 1) for line in help_lines("", over=it)[:3]) for it in (False, True))
    assert "the run goes on" in attached["ctrl+c"]
    assert over["ctrl+c"].startswith("stop the run")
    assert "live display" in over["q"]


async def test_frames_of_a_link() -> None:
    """The key f taps both ends of the selected link; of a process it says what it is for."""
    run = Run()
    async with shown(run, (100, 30)) as (console, pilot):
        await pilot.press("f")
        assert "select a link first" in screen(console)
        await pilot.press("2", "f")
        await comes(lambda: isinstance(console.screen, Reading), "the frames")
        await comes(lambda: "h1 to source" in screen(console), "both ways")
        assert "spikes" in screen(console)
        assert "from 640" in screen(console)
        assert "nothing within a second" in screen(console)
        assert [asked[:3] for asked in run.asked] == [
            ("tap", "source", "source -> h1"),
            ("tap", "h1", "source -> h1"),
        ]


def test_a_word_stays_as_long_however_fast_the_recording() -> None:
    """What is said goes by the clock of who reads: that of a recording goes faster, and stands still at its end."""
    at = 0.0
    display = Display(Run(), lambda: NOW, lambda: at, Glyphs(), reads_only=True)
    display.say("the recording is over", "warn")
    assert "the recording is over" in text_of(display.foot(80))
    at = SAID_S + 0.1
    assert "the recording is over" not in text_of(display.foot(80))


async def test_pause_and_resume() -> None:
    """The key p pauses the source, and lets it go on when it is paused."""
    run = Run()
    async with shown(run) as (console, pilot):
        await pilot.press("p")
        await comes(lambda: "the source pauses" in screen(console), "the word")
        process(run.view, "source").state = "paused"
        await pilot.press("p")
        await comes(lambda: "the source goes on" in screen(console), "the word")
        assert run.asked == [("pause", ""), ("resume", "")]


async def test_kill_asks_first() -> None:
    """Nothing is killed or started anew without a yes, and what that would cost is said."""
    run = Run()
    async with shown(run) as (console, pilot):
        await pilot.press("down", "k")
        assert isinstance(console.screen, Question)
        assert "Kill h1 (SIGKILL)?" in screen(console)
        assert "the last quarter of a second of its learning is lost." in screen(console)
        await pilot.press("n")
        assert run.asked == []
        await pilot.press("k", "y")
        await comes(lambda: run.asked == [("kill", "h1")], "the kill")
        await pilot.press("R")
        assert "Start h1 anew?" in screen(console)
        await pilot.press("n")
        assert len(run.asked) == 1
        await pilot.press("R", "y")
        await comes(lambda: run.asked[1:] == [("restart", "h1")], "the restart")
        await pilot.press("2", "k")
        assert "select a process first" in screen(console)


async def test_edit() -> None:
    """A setting is chosen and typed over; what the process has then is shown; what is no number is refused."""
    run = Run()
    async with shown(run) as (console, pilot):
        await pilot.press("down", "e")
        await comes(lambda: isinstance(console.screen, Edit), "the settings")
        await pilot.pause()
        assert "h1 notify.source.threshold" in screen(console)
        await pilot.press("down", *"0.04", "enter")
        await comes(lambda: "h1 threshold = 0.04, was 0.02" in screen(console), "the new value")
        assert run.asked == [("get", "h1"), ("set", "h1", {"threshold": 0.04}), ("get", "h1", True)]
        await pilot.press(*"much", "enter")
        assert "'much' is no number" in screen(console)
        run.error = "h1: threshold must not be negative"
        await pilot.press(*"-1", "enter")
        await comes(lambda: run.error in screen(console), "the refusal")
        await pilot.press("escape")
        assert not isinstance(console.screen, Edit)


async def test_a_setting_that_grows_out_of_all_proportion_is_warned_of() -> None:
    """A slip of a few zeros is said, below what it was, and whole; what is set next says nothing of it."""
    run = Run()
    async with shown(run) as (console, pilot):
        await pilot.press("down", "e")
        await comes(lambda: isinstance(console.screen, Edit), "the settings")
        await pilot.press("down", *"4", "enter")
        await comes(lambda: "h1 threshold = 4, was 0.02" in screen(console), "the new value")
        said = " ".join(screen(console).replace("│", " ").split())
        assert "h1 threshold is over 100 times what it was; a training that diverges ends the run" in said
        await pilot.press(*"0.03", "enter")
        await comes(lambda: "h1 threshold = 0.03, was 4" in screen(console), "the new value")
        assert "over 100 times" not in screen(console)


async def test_edit_a_link() -> None:
    """A link offers what both its ends do on it."""
    run = Run()
    async with shown(run) as (console, pilot):
        await pilot.press("2", "down", "down", "e")
        await comes(lambda: isinstance(console.screen, Edit), "the settings")
        await pilot.pause()
        assert [asked[:2] for asked in run.asked] == [("get", "h1"), ("get", "h2")]
        offered = re.findall(rf"\b(h\d) ({'|'.join(HELD)}) ", screen(console))
        assert offered == [("h1", "delay.h2"), ("h1", "loss.h2")]


async def test_refusals_are_said() -> None:
    """A broker that refuses or is not there is a line of words."""
    run = Run()
    async with shown(run) as (console, pilot):
        for run.error, words in (("not now", "pause: not now"), ("unreachable", "no broker answers")):
            await pilot.press("p")
            await comes(lambda words=words: words in screen(console), words)


async def test_readonly() -> None:
    """A console that only looks sends nothing, offers nothing that would, and says so."""
    run = Run()
    async with shown(run, (120, 24), readonly=True) as (console, pilot):
        assert "[read-only]" in screen(console)
        assert "k kill" not in screen(console)
        for key in ("p", "k", "R", "e"):
            await pilot.press("escape", key)
            assert READ_ONLY in screen(console)
        assert run.asked == []
        titles = [command.title for command in console.get_system_commands(console.screen)]
        assert "View: graph" in titles
        assert not any("ill" in title for title in titles)


async def test_a_recording() -> None:
    """A console of a recording says so and how fast it goes, takes no commands, and says when it is at its end."""
    run = Run()
    run.status["replay"] = {"speed": 4.0, "ended": False}
    async with shown(run) as (console, pilot):
        assert "[replay 4x]" in screen(console)
        assert "k kill" not in screen(console)
        await pilot.press("down")
        for key in ("p", "k", "R", "e", "f"):
            await pilot.press("escape", key)
            assert RECORDED in screen(console)
        assert run.asked == []
        run.status["replay"]["ended"] = True
        console.repaint()
        await pilot.pause()
        assert screen(console).startswith(" chain  recording ended  ")


async def test_palette() -> None:
    """The command palette finds what the keys do."""
    async with shown(Run()) as (console, pilot):
        await pilot.press("ctrl+p", *"view: gra")
        await comes(lambda: "View: graph" in screen(console), "the command")
        await pilot.press("down", "enter")
        await comes(lambda: console.shown.name == "graph", "the view")


async def test_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key s writes what is shown as an SVG that needs nothing from the network, and says where."""
    monkeypatch.chdir(tmp_path)
    async with shown(Run()) as (console, pilot):
        await pilot.press("s")
        (written,) = tmp_path.glob("neurond-chain-*.svg")
        assert f"written: {written.name}" in screen(console)
        drawn = written.read_text(encoding="utf-8")
        assert "@font-face" not in drawn
        assert "h1" in drawn


async def test_picture_in_a_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a browser the picture is downloaded, and the console says so."""
    sent: list[str] = []
    monkeypatch.setattr(Console, "is_web", True)
    monkeypatch.setattr(Console, "deliver_text", lambda *_, save_filename, **__: sent.append(save_filename))
    async with shown(Run()) as (console, pilot):
        await pilot.press("s")
        assert f"your browser downloads {sent[0]}" in screen(console)


async def test_ascii_alone() -> None:
    """Where the terminal has only ASCII, no view, dialog or frame uses anything else."""
    async with shown(Run(), ascii_only=True) as (console, pilot):
        for key in ("2", "3", "4", "5", "6", "question_mark", "1", "enter", "k", "ctrl+p", "slash"):
            await pilot.press("escape", key)
            await pilot.pause()
            filters = console.get_line_filters()
            for strip in console.screen._compositor.render_strips():
                for line_filter in filters:
                    strip = strip.apply_filter(line_filter, console.screen.background_colors[1])
                assert strip.text.isascii(), key
                assert strip.cell_length == 80, key


async def test_light_and_dark() -> None:
    """The key t changes the ground, and the letters with it."""
    async with shown(Run()) as (console, pilot):
        before = console.styles_of[""].color
        await pilot.press("t")
        assert console.theme == LIGHT
        await comes(lambda: console.styles_of[""].color != before, "other letters")


async def test_what_is_not_there_is_said() -> None:
    """A broker without a word, a pause and an end are in the first line."""
    run = Run()
    async with shown(run) as (console, pilot):
        run.answers = False
        console.repaint()
        await pilot.pause()
        assert "no word from the broker" in screen(console)
        run.answers = True
        process(run.view, "source").state = "paused"
        console.repaint()
        await pilot.pause()
        assert " chain  paused " in screen(console)
        run.view.update(wire.Event("broker", "ended", {}), NOW)
        console.repaint()
        await pilot.pause()
        assert " chain  ended " in screen(console)


@pytest.mark.parametrize(("key", "came"), [("q", None), ("ctrl+c", "interrupted")])
async def test_leaving(key: str, came: str | None) -> None:
    """The key q leaves, and Ctrl-C leaves as one that was interrupted."""
    async with shown(Run()) as (console, pilot):
        await pilot.press(key)
    assert console.return_value == came
