"""The verb metrics: a real run, served to whoever asks, and to Prometheus itself where that is installed."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from monitor.metrics import COUNTERS, GAUGES, LEFT_OUT, LINKS, PAIR
from monitor.traffic import SUMMED, bucket
from monitor.view import View
from neurond import run as neurond_run
from tests.byhand import by_hand
from tests.command import DEADLINE_S, NEUROND, environment, neurond
from tests.dashboard import DEPLOY, expressions, queried
from tests.endless import ENDLESS
from tests.waiting import until


class Exporter:
    """`neurond metrics` as a child process, at a port of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stderr is not None
        said = process.stderr.readline()
        (self.place,) = re.findall(r"at http://(127\.0\.0\.1:\d+)/metrics", said)

    def text(self) -> str:
        """What a scrape gets."""
        with urlopen(f"http://{self.place}/metrics", timeout=DEADLINE_S) as answer:
            return str(answer.read().decode())

    def samples(self) -> dict[str, float]:
        """Each sample with its labels -> value."""
        lines = [line for line in self.text().splitlines() if not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@contextmanager
def exporter(folder: Path, at: str) -> Iterator[Exporter]:
    """An exporter of the broker there, for the time of a test."""
    command = [*NEUROND, "metrics", "--broker", at, "--insecure", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Exporter(process)
        finally:
            process.kill()


def of(found: dict[str, float], metric: str) -> float:
    """The sum of a metric over its labels."""
    return sum(value for name, value in found.items() if name.partition("{")[0] == metric)


def test_a_run_from_before_its_broker_to_after_its_end(tmp_path: Path) -> None:
    """The exporter serves before there is a broker, while the run goes on, and its last figures afterwards."""
    with by_hand(tmp_path) as network, exporter(tmp_path, network.address) as serving:
        assert serving.samples()["neurond_broker_up"] == 0
        network.start_broker()
        until(lambda: serving.samples()["neurond_broker_up"], "the broker is found")
        network.start_processes()
        until(lambda: of(serving.samples(), "neurond_confirmed_total"), "stimuli are counted")
        network.wait()
        until(lambda: not serving.samples()["neurond_broker_up"], "the broker has left")
        last = serving.samples()
        summary = json.loads((tmp_path / "run" / "summary.json").read_text())
        for key, metric in (("stimuli", "confirmed"), ("updates", "updates"), ("bytes", "sent_bytes")):
            assert of(last, f"neurond_{metric}_total") == summary[key], key
        assert of(last, "neurond_test_accuracy_ratio") == pytest.approx(summary["test_accuracy"], abs=1e-6)
        # No sample of these before something is dropped, or is to be.
        never = {"neurond_broker_drops_total", "neurond_injected_delay_seconds", "neurond_injected_loss_ratio"}
        assert "by the process as" not in serving.text()  # whatever is served has its words
        assert queried() - never - {name.partition("{")[0] for name in last} == set()
        serving.process.send_signal(signal.SIGTERM)
        assert serving.process.wait(DEADLINE_S) == 0


def test_all_that_processes_tell_has_its_words(tmp_path: Path) -> None:
    """Whatever machine, shell, daemon and scribe count and measure is in the tables, so that it has a meaning."""
    seen: list[View] = []
    neurond_run("xor", {"source.epochs": 50, "journal": "20ms"}, run_dir=tmp_path, on_view=seen.append)
    processes = seen[-1].processes
    assert {p.role for p in processes} == {"source", "group"}
    counted = {key for p in processes for key in p.counters if bucket(key) is None}
    assert counted - {*COUNTERS, *SUMMED} == set()
    assert {key for p in processes for key in p.gauges} - {*GAUGES, *LEFT_OUT} == set()
    assert {key for p in processes for link in p.links.values() for key in link} == {*LINKS, *PAIR}
    told = {key for p in processes for key in (*p.counters, *p.gauges)}
    assert {"confirmed", "spikes", "drops", "control_drops", "journal_bytes", "outbox", "restored"} <= told


def test_the_next_run(tmp_path: Path) -> None:
    """A run that begins at the same address when the first has ended is followed from its beginning."""
    # Some seconds each: the exporter asks once a second whose run it is.
    with by_hand(tmp_path, "source.epochs=40") as network, exporter(tmp_path, network.address) as serving:
        for run in ("first", "second"):
            network.start_broker(run=run)
            network.start_processes()
            network.wait()
            stimuli = json.loads((tmp_path / run / "summary.json").read_text())["stimuli"]
            until(lambda n=stimuli: of(serving.samples(), "neurond_confirmed_total") == n, "the last figures")
            until(lambda: not serving.samples()["neurond_broker_up"], "the broker has left")
            found = {label for name in serving.samples() for label in re.findall(r'run="(\w+)"', name)}
            assert found == {run}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_no_fault(tmp_path: Path) -> None:
    """Prometheus' own tool has nothing to say about names, types, units and words, nor about our configuration."""
    with by_hand(tmp_path, ENDLESS) as network, exporter(tmp_path, network.address) as serving:
        network.start_broker()
        network.start_processes()
        until(lambda: of(serving.samples(), "neurond_staleness_count"), "figures of all kinds")
        check = ["promtool", "check"]
        linted = subprocess.run(
            [*check, "metrics"], input=serving.text(), capture_output=True, text=True, check=False
        )
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
    subprocess.run([*check, "config", str(DEPLOY / "prometheus.yml")], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus_itself(tmp_path: Path) -> None:
    """With our configuration Prometheus scrapes the exporter, and finds data for each expression of our dashboard."""
    with by_hand(tmp_path, ENDLESS) as network, exporter(tmp_path, network.address) as serving:
        network.start_broker()
        network.start_processes()
        neurond(tmp_path, "set", "h1", "delay.h2=0.01", "loss.h2=0.01", "--broker", network.address)
        configuration = (DEPLOY / "prometheus.yml").read_text().replace("metrics:9464", serving.place)
        (tmp_path / "prometheus.yml").write_text(configuration)
        with prometheus(tmp_path) as ask:
            until(lambda: ask("max(up)") == 1, "the exporter is up")
            first = until(lambda: ask("sum(neurond_confirmed_total)"), "stimuli are counted")
            until(lambda: (ask("sum(neurond_confirmed_total)") or 0) > first, "more of them")
            saved = "sum(neurond_updates_dense_total) / sum(neurond_updates_total)"
            assert (ask(saved) or 0) > 1
            assert ask("count(neurond_process_up == 1)") == 4
            assert ask("sum(neurond_injected_delay_seconds)") == 0.01
            for name, query in expressions().items():
                if "neurond_broker_drops_total" not in query:  # has no sample before something is dropped
                    until(lambda query=query: ask(query) is not None, f"{name}: {query}")


@contextmanager
def prometheus(folder: Path) -> Iterator[Any]:
    """Prometheus on a port of its own; gives a function from a query to the first number that answers it, or None."""
    command = ["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--log.level=info"]
    with (
        (folder / "prometheus.log").open("w+") as log,
        subprocess.Popen([*command, "--web.listen-address=127.0.0.1:0"], cwd=folder, stderr=log) as process,
    ):

        def port() -> str | None:
            found = re.search(r"[Ll]istening on.*address=127\.0\.0\.1:(\d+)", (folder / "prometheus.log").read_text())
            return None if found is None else found[1]

        def ask(query: str) -> float | None:
            try:
                with urlopen(f"http://127.0.0.1:{at}/api/v1/query?{urlencode({'query': query})}") as answer:
                    result = json.loads(answer.read())["data"]["result"]
            except URLError:
                return None  # it is not ready yet
            numbers = [float(sample["value"][1]) for sample in result]
            return next((number for number in numbers if math.isfinite(number)), None)

        try:
            at = until(port, "prometheus says where it listens")
            yield ask
        finally:
            process.terminate()


def test_a_port_in_use(tmp_path: Path) -> None:
    """A port that somebody else has is one line and 1; a place that is none is one line and 2."""
    with exporter(tmp_path, "tcp://127.0.0.1:1") as serving:
        told = neurond(tmp_path, "metrics", "--insecure", "--listen", serving.place)
        assert (told.returncode, told.stderr) == (
            1,
            f"neurond: cannot serve at {serving.place}: Address already in use\n",
        )
    told = neurond(tmp_path, "metrics", "--insecure", "--listen", "everywhere")
    assert (told.returncode, told.stderr) == (2, "neurond: 'everywhere' is no HOST:PORT, such as 127.0.0.1:9464\n")


def test_without_the_extra(tmp_path: Path) -> None:
    """Where prometheus-client is not installed, one line says how to get it, and the verb leaves with 1."""
    (tmp_path / "prometheus_client.py").write_text("raise ImportError('hidden by a test')\n")
    told = neurond(tmp_path, "metrics", "--insecure")
    assert told.returncode == 1
    how = r"neurond: prometheus-client is not installed: \S+ -m pip install prometheus-client\n"
    assert re.fullmatch(how, told.stderr)
