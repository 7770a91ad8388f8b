"""What watches a network of containers: lines, the display and the console, the exporter, Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.containers.compose import Stack, docker
from tests.endless import ENDLESS
from tests.terminal import terminal
from tests.waiting import DEADLINE_S, until

STANDIN = "neurond-tests/prometheus"
DOCKERFILE = """\
FROM {base}
COPY prometheus /bin/prometheus
RUN install --directory --owner nobody /prometheus
USER nobody
ENTRYPOINT ["/bin/prometheus"]
"""


def test_lines_for_logs(stack: Stack) -> None:
    """The service monitor tells of the run in plain lines, and leaves with 0 at the end."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    assert "monitor" not in stack.containers()
    stack("--profile", "monitor", "up", "--detach", "monitor")
    watching = stack.containers()["monitor"]["Id"]

    def logged() -> str:
        told = docker("logs", watching)
        return told.stdout + told.stderr

    until(lambda: "stimuli  " in logged(), "its progress")
    stack("kill", "-s", "SIGINT", "broker")
    assert docker("wait", watching, timeout_s=DEADLINE_S).stdout == "0\n"
    assert "test accuracy 9" in logged()
    assert "\x1b" not in logged()  # what moves the cursor would do so in the log of the whole stack


def test_the_console(stack: Stack, tmp_path: Path) -> None:
    """`run --rm monitor top` is the console in the user's terminal: it commands, and q lets the run go on."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    chosen = {key: stack.environment[key] for key in ("NEUROND_BASE", "NEUROND_IMAGE")}
    with terminal(tmp_path) as shown:
        shown.start(tmp_path, stack.command("run", "--rm", "monitor", "top"), 110, 30, **chosen)
        shown.shows("h2       running")
        shown.press("p")
        shown.shows("source   paused")
        shown.press("p")
        stack.train(1000)
        shown.press("q")
        shown.shows("left with 0")
    stack.train(1000)


def test_the_display(stack: Stack, tmp_path: Path) -> None:
    """`run --rm monitor` is the live display in the user's terminal, to the end of the run."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    chosen = {key: stack.environment[key] for key in ("NEUROND_BASE", "NEUROND_IMAGE")}
    with terminal(tmp_path) as shown:
        shown.start(tmp_path, stack.command("run", "--rm", "monitor"), 110, 30, **chosen)
        until(lambda: re.search(r"h1 +running", shown.screen()), "the live display")
        stack("kill", "-s", "SIGINT", "broker")
        assert "test accuracy 9" in shown.shows("left with 0")


def test_rows_for_programs_and_for_a_moment(stack: Stack) -> None:
    """`run --rm monitor monitor --json` gives rows; leaving it does not stop the run."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    command = stack.command("run", "--rm", "-T", "monitor", "monitor", "--json")
    with subprocess.Popen(command, env=stack.environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        rows = [json.loads(watching.stdout.readline()) for _ in range(3)]
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=DEADLINE_S)
    assert rows[0]["stimuli"] < rows[2]["stimuli"]
    assert set(rows[0]["processes"]) == {"source", "h1", "h2", "out"}
    stack.train(1000)


def test_the_exporter(stack: Stack) -> None:
    """The service metrics serves the run to its own networks, and to nobody outside."""
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack("--profile", "metrics", "up", "--detach", "metrics")
    code = (
        "from urllib.request import urlopen; print(urlopen('http://metrics:9464/metrics', timeout=5).read().decode())"
    )

    def scraped() -> str:
        return stack("exec", "-T", "metrics", "python", "-c", code, check=False).stdout

    until(lambda: re.search(r"^neurond_confirmed_total\{.*\} [1-9]", scraped(), re.MULTILINE), "figures")
    assert "neurond_broker_up 1.0" in scraped()
    assert stack.containers()["metrics"]["HostConfig"]["PortBindings"] == {}


@pytest.fixture
def prometheus(base: str, tmp_path: Path) -> Iterator[str]:
    """An image with Debian's Prometheus in the place of the official one, which is not to be had everywhere."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    shutil.copy(program, folder / "prometheus")
    (folder / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    docker("build", "--tag", STANDIN, str(folder), timeout_s=120)
    yield STANDIN
    docker("rmi", "--force", STANDIN)


def test_prometheus(prometheus: str, stack: Stack) -> None:
    """The profile metrics brings a Prometheus that scrapes the exporter and answers on this machine alone."""
    stack.environment["NEUROND_PROMETHEUS"] = prometheus
    stack.write("digits", "--set", ENDLESS)
    stack.start()
    stack("--profile", "metrics", "up", "--detach", "metrics", "prometheus")
    query = "http://127.0.0.1:9090/api/v1/query?" + urlencode({"query": "sum(rate(neurond_confirmed_total[5s]))"})

    def rate() -> float:
        try:
            with urlopen(query, timeout=DEADLINE_S) as answer:
                result = json.loads(answer.read())["data"]["result"]
        except (URLError, ConnectionError):
            return 0.0  # it is not ready yet
        return float(result[0]["value"][1]) if result else 0.0

    until(lambda: rate() > 0, "stimuli a second, from Prometheus")
    ports = stack.containers()["prometheus"]["NetworkSettings"]["Ports"]
    assert ports == {"9090/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}]}
