"""The verbs report and compare, of real runs: what the pages hold, and that they need nothing from outside."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from neurond.runs import open_run
from tests.browser import NAMES
from tests.command import DEADLINE_S, neurond

VOID = {"meta"}
"""Elements without an end."""
OUTSIDE = {"href", "src", "srcset", "data", "action", "xlink:href", "background", "poster"}
"""Attributes that make a browser fetch something, or lead away."""
SECTIONS = ["Curves", "Against a dense network", "Network", "Traffic by link", "Staleness", "Processes", "Events"]
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)


class Page(HTMLParser):
    """A page as a browser would read it; fails where it is not well-formed or refers to something outside."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.counts: dict[str, int] = {}
        self.feed(text)
        self.close()
        assert self.open == []
        assert not re.search(r"url\(|@import|<script", text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not OUTSIDE & {name for name, _ in attrs}, (tag, attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data)


def test_a_run_as_a_page(digits_run: Path, tmp_path: Path) -> None:
    """The page is one file beside the run's, well-formed, refers to nothing outside, and has the run's figures."""
    folder = tmp_path / "a <b>&amp; run"
    shutil.copytree(digits_run, folder)
    told = neurond(tmp_path, "report", folder.name)
    assert (told.returncode, told.stdout, told.stderr) == (0, f"{folder.name}/report.html\n", "")
    page = Page((folder / "report.html").read_text())
    assert page.texts["h2"] == [*SECTIONS, "Settings", "Environment"]
    assert page.texts["title"][0] == "a <b>&amp; run · neurond"
    run = open_run(folder)
    cells = page.texts["td"]
    assert {f"{run.summary[key]:,}" for key in ("updates", "notifications", "bytes", "spikes")} <= set(cells)
    for link in run.summary["links"].values():
        assert {f"{link['bytes']:,}", f"{link['back_bytes']:,}"} <= set(cells)
    assert f"{100 * run.summary['test_accuracy']:.2f} %" in page.texts["b"]
    assert [e["kind"] for e in run.events if e["kind"] in cells] == [e["kind"] for e in run.events]
    assert "source: {data: digits" in "".join(page.texts["pre"])
    assert page.counts["svg"] >= 6


def test_a_run_that_was_killed(digits_run: Path, tmp_path: Path) -> None:
    """Where there is nothing but the plan and some rows there is a page all the same, and it says so."""
    for name in ("plan.json", "metrics.jsonl"):
        shutil.copy(digits_run / name, tmp_path / name)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"t_s": 99, "stim')
    told = neurond(tmp_path, "report", ".", "--output", "-")
    assert (told.returncode, told.stderr) == (0, "")
    page = Page(told.stdout)
    assert any("not come to its end" in text for text in page.texts["p"])
    assert "Not recorded." in page.texts["p"]
    (tmp_path / "metrics.jsonl").unlink()
    told = neurond(tmp_path, "report", ".", "--output", "empty.html")
    assert told.returncode == 0, told.stderr
    Page((tmp_path / "empty.html").read_text())


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_browser_opens_it(digits_run: Path, tmp_path: Path) -> None:
    """A browser that reaches nothing shows the page, and has nothing to complain of."""
    assert neurond(tmp_path, "report", str(digits_run), "--output", "page.html").returncode == 0
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-server=127.0.0.1:1", "--enable-logging=stderr"]
    place = [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(
        [str(BROWSER), *flags, *place],
        env={"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert [title for title in SECTIONS if f"<h2>{title}</h2>" in shown.stdout] == SECTIONS
    assert not re.search(r"CONSOLE|Refused|violates", shown.stderr), shown.stderr


def test_two_runs_compared(digits_run: Path, tmp_path: Path) -> None:
    """Figures of each run are in a table, then the settings in which they differ; the page has a curve of each."""
    shutil.copytree(digits_run, tmp_path / "one")
    shutil.copytree(digits_run, tmp_path / "two")
    topology = tmp_path / "two" / "topology.yaml"
    topology.write_text(topology.read_text().replace("size: 32", "size: 33"))
    told = neurond(tmp_path, "compare", "one", "two")
    rows = [line.split() for line in told.stdout.splitlines()]
    accuracy = f"{100 * open_run(digits_run).summary['test_accuracy']:.2f}"
    assert rows[0] == ["one", "two"]
    assert rows[1] == ["test", "accuracy", accuracy, "%", accuracy, "%"]
    assert rows[-1] == ["groups.h2.size", "32", "33"]
    assert told.stderr.endswith("compare one two --output compare.html\n")
    data = json.loads(neurond(tmp_path, "compare", "one", "two", "--json").stdout)
    assert [each["settings"] for each in data] == [{"groups.h2.size": 32}, {"groups.h2.size": 33}]
    told = neurond(tmp_path, "compare", "one", "two", "--output", "both.html")
    assert told.stderr == "written: both.html\n"
    text = (tmp_path / "both.html").read_text()
    assert Page(text).texts["th"] == ["one", "two"]
    assert text.count('class="line s1"') == text.count('class="line s2"') > 4


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    """One run, and a folder that is no run, are one line each, and 2."""
    told = neurond(tmp_path, "compare", ".")
    assert (told.returncode, told.stderr) == (
        2,
        "neurond: compare takes two runs or more; for one there is neurond report\n",
    )
    told = neurond(tmp_path, "compare", ".", "nowhere")
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 1)
    told = neurond(tmp_path, "report", ".")
    assert (told.returncode, len(told.stderr.splitlines())) == (2, 1)
