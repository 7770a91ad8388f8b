"""Metrics that a run, or its broker, serves itself; and those who ask for them and never finish."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor import exporter as served
from monitor.exporter import AT_ONCE, Exporter
from monitor.recording import Recording
from tests.byhand import by_hand
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.endless import ENDLESS
from tests.waiting import until


def samples(place: str) -> dict[str, float]:
    """Metric -> the sum over its labels, as Prometheus' own parser reads what is served; empty where nothing is."""
    try:
        with urlopen(place, timeout=DEADLINE_S) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def place_in(said: str) -> str:
    """Where metrics are served, from the words that say so."""
    (place,) = re.findall(r"metrics at (http://127\.0\.0\.1:\d+/metrics)", said)
    return str(place)


def test_a_run_that_serves_and_records(tmp_path: Path) -> None:
    """`run --metrics --record` serves its figures while it goes on, and leaves a recording that is whole."""
    beside = ["--metrics", "127.0.0.1:0", "--record", "run.recording"]
    command = [*NEUROND, "run", "digits", "--set", ENDLESS, "--run", "run", *beside]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        place = place_in(running.stderr.readline())
        first = until(lambda: samples(place).get("neurond_confirmed_total"), "stimuli are counted")
        until(lambda: samples(place)["neurond_confirmed_total"] > first, "more of them")
        found = samples(place)
        assert (found["neurond_broker_up"], found["neurond_process_up"], found["neurond_run_info"]) == (1, 4, 1)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=DEADLINE_S)[1]
        assert running.returncode == 130, said
    assert samples(place) == {}
    with Recording(tmp_path / "run.recording") as recording:
        kinds = [getattr(message, "kind", "") for _, message in recording]
    assert (kinds[-1], recording.torn) == ("ended", "")


def test_a_broker_that_serves(tmp_path: Path) -> None:
    """`broker --metrics` serves the run that it conducts, to its end."""
    with by_hand(tmp_path, ENDLESS) as network:
        network.start_broker("--metrics", "0")
        place = place_in(
            until(lambda: re.findall(".*/metrics\n", (tmp_path / "broker.log").read_text()), "a place")[0]
        )
        network.start_processes()
        until(lambda: samples(place).get("neurond_confirmed_total"), "stimuli are counted")
        assert samples(place)["neurond_broker_up"] == 1
        network.processes["broker"].send_signal(signal.SIGINT)
        network.wait()
        assert samples(place) == {}


def test_a_place_that_is_none(tmp_path: Path) -> None:
    """A place that is none, or is taken, is one line, and nothing has been started or written."""
    with Exporter("127.0.0.1", 0) as taken:
        at = taken.place.removeprefix("http://").removesuffix("/metrics")
        told = neurond(tmp_path, "run", "digits", "--metrics", "99999")
        assert (told.returncode, told.stderr) == (2, "neurond: '99999' is no HOST:PORT, such as 127.0.0.1:9464\n")
        for verb in (["run", "digits"], ["broker", "digits", "--address", "ipc:///tmp/neurond-none/"]):
            told = neurond(tmp_path, *verb, "--metrics", at)
            assert (told.returncode, told.stderr) == (1, f"neurond: cannot serve at {at}: Address already in use\n")
    assert list(tmp_path.iterdir()) == []


@contextmanager
def half_open(place: str, n: int) -> Iterator[list[socket.socket]]:
    """Connections that have asked for half a page each."""
    host, port = place.removeprefix("http://").removesuffix("/metrics").split(":")
    with ExitStack() as stack:
        made = [stack.enter_context(socket.create_connection((host, int(port)), DEADLINE_S)) for _ in range(n)]
        for connection in made:
            connection.sendall(b"GET /metrics HT")
        yield made


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection."""
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_whoever_does_not_finish_asking_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-open connections keep others out only for a while, however slowly they go on: then they are cut off."""
    monkeypatch.setattr(served, "ANSWER_S", 2.0)
    with Exporter("127.0.0.1", 0) as serving, half_open(serving.place, AT_ONCE) as made:

        def dribbled() -> bool:
            for connection in made:
                try:
                    connection.sendall(b"x")
                except OSError:
                    continue
            time.sleep(0.05)  # slower than a flood, faster than any timeout of a single read
            return all(map(closed, made))

        assert samples(serving.place) == {}
        until(dribbled, "all are cut off")
        assert until(lambda: samples(serving.place), "there is room again") == {
            "neurond_broker_up": 0.0,
            "neurond_feed_drops_total": 0.0,
            "neurond_feed_wire_errors_total": 0.0,
        }


def test_a_request_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that is longer than any scraper's is not taken in: it is cut off at once, and the next is served."""
    monkeypatch.setattr(served, "ANSWER_S", 10 * DEADLINE_S)
    with Exporter("127.0.0.1", 0) as serving, half_open(serving.place, 1) as (connection,):
        connection.sendall(b"TP/1.1\r\n")
        assert not closed(connection)
        connection.sendall(b"X: " + b"a" * served.MOST_ASKED + b"\r\n")
        until(lambda: closed(connection), "it is cut off")
        assert samples(serving.place)


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that no thread could be started for take nobody's place for ever."""

    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with Exporter("127.0.0.1", 0) as serving, monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", start)
        assert [samples(serving.place) for _ in range(AT_ONCE)] == [{}] * AT_ONCE
        exhausted.undo()
        assert samples(serving.place)
