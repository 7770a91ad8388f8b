"""The verb top: the console of a real run, in a real terminal, in a browser, and as one look."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest

from monitor.console.app import FRAMES_PER_S
from tests.browser import browser
from tests.byhand import ByHand, by_hand
from tests.command import NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.ports import free_ports
from tests.terminal import Terminal, terminal
from tests.waiting import comes, gone, until


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHand]:
    """A run of digits that goes on."""
    with by_hand(tmp_path_factory.mktemp("network"), ENDLESS) as made:
        made.start_broker()
        made.start_processes()
        yield made


@contextmanager
def top(folder: Path, network: ByHand, width: int, height: int, *options: str, **more: str) -> Iterator[Terminal]:
    """`neurond top` in a terminal."""
    with terminal(folder) as made:
        made.start(folder, [*NEUROND, "top", "--broker", network.address, *options], width, height, **more)
        yield made


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60)])
def test_in_a_terminal(tmp_path: Path, network: ByHand, width: int, height: int) -> None:
    """All views of a real run, in terminals of both sizes; q gives the terminal back, and the run goes on."""
    with top(tmp_path, network, width, height) as shown:
        told = shown.shows("h2")
        assert told.startswith(" digits  running  ")
        assert len(told.splitlines()) == height
        # Of the events, what comes at every epoch: those of the start are soon out of sight.
        views = {"2": "h1 -> h2", "3": "a dot is", "4": "against MB", "5": "evaluated", "6": "└─▶ out"}
        for key, words in views.items():
            shown.press(key)
            shown.shows(words)
        shown.press("q")
        assert "digits" not in shown.shows("left with 0")
    assert network.status()["state"] == "running"


def test_commands_of_a_real_run(tmp_path: Path, network: ByHand) -> None:
    """Pause, resume and edit reach the processes, and what was set is an event."""
    with top(tmp_path, network, 100, 30) as shown:
        shown.shows("h2")
        shown.press("p")
        shown.shows(" digits  paused")
        shown.press("p")
        shown.shows(" digits  running")
        shown.press("Down")
        shown.shows(">h1")
        shown.press("e")
        shown.shows("> h1 lr")
        shown.press("0", ".", "0", "7", "Enter")
        shown.shows("h1 lr = 0.07, was ")
        shown.press("Escape")
        until(lambda: "enter sets" not in shown.screen(), "the settings are closed")
        shown.press("5")
        shown.shows("lr = 0.07 (was ")


def test_ascii_without_utf8(tmp_path: Path, network: ByHand) -> None:
    """Where the locale is no UTF-8 the console draws with ASCII alone, by itself; NO_COLOR is heeded."""
    with top(tmp_path, network, 80, 24, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", NO_COLOR="1") as shown:
        assert shown.shows("h2").isascii()
        shown.press("6")
        assert shown.shows("`-> h1").isascii()
        # Greys are left, of the 256 colours that tmux has: the last 24, and what has red, green and blue alike.
        colours = {int(n) for n in re.findall(r"[34]8;5;(\d+)", shown.tell("capture-pane", "-p", "-e"))}
        assert colours
        assert colours <= {*range(16, 232, 43), *range(232, 256)}


def test_a_broker_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    """The console says that nobody answers; Ctrl-C leaves it with 130 and a line."""
    with by_hand(tmp_path) as nobody, top(tmp_path, nobody, 80, 24) as shown:
        shown.shows("no word from the broker at")
        shown.press("C-c")
        assert "neurond: left; the run goes on" in shown.shows("left with 130")


def test_once(tmp_path: Path, network: ByHand) -> None:
    """One look is all views as one JSON object, with rates; without --json the groups and links as text."""
    told = neurond(tmp_path, "top", "--broker", network.address, "--once", "--json")
    assert (told.returncode, told.stderr) == (0, "")
    look = json.loads(told.stdout)
    assert (look["name"], look["state"]) == ("digits", "running")
    assert [group["name"] for group in look["groups"]] == ["source", "h1", "h2", "out"]
    assert all(group["stimuli_per_s"] is not None for group in look["groups"])
    assert [link["link"] for link in look["links"]][:2] == ["source -> h1", "source -> loss"]
    assert len(look["raster"]["h1"]["looks"]) > 0
    text = neurond(tmp_path, "top", "--broker", network.address, "--once", "--ascii")
    assert text.returncode == 0
    assert text.stdout.isascii()
    assert " h1 -> h2 " in text.stdout


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "a console needs a terminal"),
        (("--once", "--web"), 2, "choose one"),
        (("--web", "--listen", "nowhere"), 2, "no HOST:PORT"),
        (("--once", "--broker", "nowhere"), 2, "nowhere"),
    ],
)
def test_wrong_use(tmp_path: Path, options: tuple[str, ...], code: int, words: str) -> None:
    """What cannot be meant is one line, and the code for it."""
    told = neurond(tmp_path, "top", *options)
    assert (told.returncode, told.stdout, len(told.stderr.splitlines())) == (code, "", 1)
    assert words in told.stderr


def test_once_where_nobody_answers(tmp_path: Path) -> None:
    """One look does not wait for ever: it fails with 4 and a line."""
    with by_hand(tmp_path) as nobody:
        told = neurond(tmp_path, "top", "--once", "--json", "--broker", nobody.address)
    assert (told.returncode, told.stdout) == (4, "")
    assert "no broker answers at" in told.stderr


@contextmanager
def web(folder: Path, network: ByHand) -> Iterator[str]:
    """`neurond top --web`, and its URL."""
    listen = f"127.0.0.1:{free_ports(1)}"
    command = [*NEUROND, "top", "--web", "--broker", network.address, "--listen", listen]
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            said = server.stderr.readline()
            assert said.endswith(f"at http://{listen}, read-only; Ctrl-C ends it\n")
            yield f"http://{listen}/"
            server.send_signal(signal.SIGTERM)
            code, rest = server.wait(20), server.stderr.read()
            assert (code, rest) == (0, "")
        finally:
            server.kill()


async def test_in_a_browser(tmp_path: Path, network: ByHand) -> None:
    """The same console in Chromium, which may reach this machine alone; keys work, and it is read-only."""
    with web(tmp_path, network) as url:
        async with browser(tmp_path, url) as page:
            await comes(lambda: page.evaluate("document.body.className.includes('-first-byte')"), "the console")
            await comes(lambda: page.evaluate("document.activeElement.tagName == 'TEXTAREA'"), "it takes keys")

            async def still() -> bytes | None:
                """A picture that does not change for two frames: ages do, unless the display is frozen."""
                before = await page.picture()
                await asyncio.sleep(2.0 / FRAMES_PER_S)
                return before if await page.picture() == before else None

            await page.press(" ")
            groups = await comes(still, "the display is frozen")
            await page.press("6")
            assert await comes(still, "another view") != groups


async def test_other_sites_are_kept_out(tmp_path: Path, network: ByHand) -> None:
    """A page of another site cannot open the socket, nor a name that was bent to this machine."""
    with web(tmp_path, network) as url:
        async with aiohttp.ClientSession() as session:
            for headers in (
                {"Origin": "http://evil.example"},
                {"Host": "evil.example"},
                {"Origin": "http://["},
                {"Host": "[::"},
                {"Host": 'localhost"><b>'},
            ):
                async with session.get(url, headers=headers) as answer:
                    assert answer.status == 403
                async with session.get(f"{url}ws", headers=headers) as answer:
                    assert answer.status == 403
            async with session.get(url) as answer:
                text = await answer.text()
                assert answer.status == 200
            assert "https://" not in text
            async with session.get(f"{url}?fontsize={'9' * 5000}") as answer:
                assert answer.status == 200
            async with session.ws_connect(f"{url}ws?width={'9' * 5000}") as socket:
                await socket.send_str('{"no": "list"}')
                assert (await socket.receive(20.0)).type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.CLOSE)


def test_a_run_with_its_console(tmp_path: Path) -> None:
    """A run in its console: what is killed there is started anew; at the end the summary is on the terminal."""
    with terminal(tmp_path) as shown:
        shown.start(tmp_path, [*NEUROND, "run", "digits", "--watch", "--set", "source.epochs=200"], 100, 30)
        shown.shows("stim/s now")
        shown.press("Down")
        shown.shows(">h1")
        shown.press("k")
        shown.shows("Kill h1 (SIGKILL)?")
        shown.press("y")
        shown.press("5")
        shown.shows("incarnation 2")
        shown.press("C-c")  # stops it in good order
        told = shown.shows("left with 130")
        assert "weight updates" in told
        assert "neurond: interrupted, saved; go on with --resume" in told


@pytest.mark.parametrize("left", [False, True])
def test_a_terminal_that_is_closed(tmp_path: Path, left: bool) -> None:
    """The run leaves with its terminal, also where the console had been left with q for the live display."""
    with terminal(tmp_path) as shown:
        shown.start(tmp_path, [*NEUROND, "run", "digits", "--watch", "--set", "source.epochs=200"], 100, 30)
        shown.shows("stim/s now")
        (run,) = (tmp_path / "runs").iterdir()
        if left:
            shown.press("q")
            shown.shows("eta")
        shell = psutil.Process(int(shown.tell("list-panes", "-F", "#{pane_pid}")))
        processes = [process for process in shell.children(recursive=True) if "run" in process.cmdline()]
        shown.tell("kill-server")
    assert processes
    until(lambda: all(map(gone, processes)), "the run has left")
    assert json.loads((run / "summary.json").read_text())["stimuli"] > 0


def test_a_console_whose_terminal_is_closed(tmp_path: Path, network: ByHand) -> None:
    """It leaves too, at once, and the run goes on."""
    with top(tmp_path, network, 80, 24) as shown:
        shown.shows("stim/s now")
        shell = psutil.Process(int(shown.tell("list-panes", "-F", "#{pane_pid}")))
        processes = shell.children(recursive=True) or [shell]
        shown.tell("kill-server")
    until(lambda: all(map(gone, processes)), "the console has left")
    assert network.processes["broker"].poll() is None
