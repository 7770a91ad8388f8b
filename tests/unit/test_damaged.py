"""Run folders in which something is not what it should be: a full disk, an editor, half a file."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from monitor.compare import Entry, comparison, objects, plain
from monitor.report import report
from monitor.scalars import scalars
from neurond import runs
from neurond.cli.report import told
from neurond.errors import RunError
from tests.watched import watched
from tests.zoo import plan_of

JUNK = [None, "x", True, [], {"a": 1}, -1, 10**40, float("nan"), "\ud800"]
EVENTS = [
    {"t_s": 0.5, "process": "h1", "kind": "set", "data": {"key": "lr", "value": 0.1, "before": 0.2}},
    {
        "t_s": 1.0,
        "process": "source",
        "kind": "evaluated",
        "data": {"stimuli": 500, "still": False, "test_loss": 1.5},
    },
    {"t_s": 1.5, "process": "h1", "kind": "lost", "data": {"why": "silence"}},
    {"t_s": 1.5, "kind": "unwritten", "data": {"events": 3}},
]
ENVIRONMENT = {"python": "3.11", "cpus": 2, "packages": {"numpy": "2"}, "started": "2026-01-01T00:00:00+00:00"}


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    """A run folder with all that a page is made of."""
    view = watched(["source", "h1", "out"])
    runs.write_plan(tmp_path, plan_of("digits"))
    row = view.row() | {"stimuli": 100, "test_accuracy": 0.5, "test_loss": 1.0}
    write(tmp_path, "metrics.jsonl", row, row | {"t_s": row["t_s"] + 1, "stimuli": 200})
    write(tmp_path, "events.jsonl", *EVENTS)
    write(tmp_path, "summary.json", view.summary() | {"stimuli": 200, "train_s": 2.0, "why": "done"})
    write(tmp_path, "environment.json", ENVIRONMENT)
    return runs.open_run(tmp_path)


def write(folder: Path, name: str, *objects: Any) -> None:
    """A file of objects, each in its line."""
    (folder / name).write_text("".join(json.dumps(value) + "\n" for value in objects))


def pages(run: runs.Run) -> None:
    """Make all that is made of a run folder, as it is written."""
    read = told(run)
    made = [report(read), comparison([Entry(read, {})] * 2), plain([Entry(read, {})] * 2)]
    assert all(page.encode() for page in made)
    json.dumps(objects([Entry(read, {})]), allow_nan=False)
    assert all(abs(value) < 1e19 for *_, value in scalars(read))


def changed(whole: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every place in an object, and what is there."""
    for key, value in whole.items():
        yield (*above, key), value
        if isinstance(value, dict):
            yield from changed(value, (*above, key))


def test_what_is_whole_is_read_as_it_was_written(run: runs.Run) -> None:
    """Nothing that a run writes is taken for damage."""
    for name, read in (("metrics.jsonl", run.metrics), ("events.jsonl", run.events)):
        assert read == [json.loads(line) for line in (run.path / name).read_text().splitlines()]
    for name, found in (("summary.json", run.summary), ("environment.json", run.environment)):
        assert found == json.loads((run.path / name).read_text())


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl", "summary.json", "environment.json"])
def test_junk_in_any_place_of_any_file_costs_no_page(run: runs.Run, name: str) -> None:
    """Whatever stands where a figure, a word or a part should be, or if it is missing: the rest is told."""
    objects = [json.loads(line) for line in (run.path / name).read_text().splitlines()]
    pages(run)
    tried = 0
    for i, whole in enumerate(objects):
        for place, _ in changed(whole):
            if name == "metrics.jsonl" and i == 0 and place not in (("t_s",), ("stimuli",)):
                continue  # the last row is enough
            for junk in JUNK if len(place) < 2 else JUNK[:2]:
                damaged = copy.deepcopy(objects)
                parent = damaged[i]
                for key in place[:-1]:
                    parent = parent[key]
                parent[place[-1]] = junk
                write(run.path, name, *damaged)
                tried += 1
                if junk == "\ud800" and name.endswith(".json"):  # half a character, which costs the object
                    with pytest.raises(RunError, match="damaged"):
                        pages(run)
                else:
                    pages(run)
    assert tried > 30


@pytest.mark.parametrize("line", [b"{}", b"[]", b"null", b'{"t_s": null}', b"\xff", b'{"a": \xff}', b"[" * 9999])
@pytest.mark.parametrize("name", ["metrics.jsonl", "events.jsonl"])
def test_a_line_that_is_none_is_left_out_and_counted(
    run: runs.Run, name: str, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lines before and after it are there, and one word says that something is missing."""
    path = run.path / name
    whole = path.read_bytes()
    pages(run)
    assert "damaged" not in capsys.readouterr().err
    n = len(told(run).rows if name == "metrics.jsonl" else told(run).events)
    path.write_bytes(line + b"\n" + whole)
    pages(run)
    assert capsys.readouterr().err == f"neurond: {path}: 1 line is damaged, and left out\n"
    assert len(run.metrics if name == "metrics.jsonl" else run.events) == n


@pytest.mark.parametrize("data", [b"[]", b"3", b'"x"', b"\xff{}", b"{", b"[" * 9999])
@pytest.mark.parametrize("name", ["summary.json", "environment.json"])
def test_a_file_that_holds_no_object_is_named(run: runs.Run, name: str, data: bytes) -> None:
    """It is damaged, which is one line of an error of ours."""
    (run.path / name).write_bytes(data)
    with pytest.raises(RunError, match=rf"{name} is damaged: "):
        told(run)
