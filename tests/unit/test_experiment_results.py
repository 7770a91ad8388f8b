"""The file of a study's results: kept, found again, and void where the study has changed."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from neurond.errors import RunError
from neurond.experiments.results import Result, file_of, held, read
from neurond.experiments.study import Arm
from tests.studies import ENVIRONMENT, SMALL


def kept(folder: Path) -> None:
    """Put two runs into the file of a study."""
    results = read(folder, SMALL)
    for seed, arm in ((1, "always"), (0, "threshold")):
        where = results.here(ENVIRONMENT)
        figures = {"test_accuracy": 0.5 + seed / 10}
        results.add(Result(arm, seed, results.print_of(arm), figures, 1.5, where))


def test_what_was_kept_is_found(tmp_path: Path) -> None:
    """Another reader finds every run with all its figures, in the order of seeds and arms."""
    kept(tmp_path / "new")
    results = read(tmp_path / "new", SMALL)
    assert [(r.arm, r.seed) for r in results.runs] == [("threshold", 0), ("always", 1)]
    found = results.find("always", 1)
    assert found is not None
    assert (found.figures, found.took_s) == ({"test_accuracy": 0.6}, 1.5)
    assert results.find("always", 0) is None
    assert results.alike() == [{"threshold": {"test_accuracy": 0.5}}, {"always": {"test_accuracy": 0.6}}]
    assert results.alike(1) == [{"threshold": {"test_accuracy": 0.5}}]
    assert results.environments == [ENVIRONMENT]
    assert results.here({**ENVIRONMENT, "started": "later"}) == 0
    assert results.here({**ENVIRONMENT, "cpus": 64}) == 1


def test_a_run_of_an_arm_that_has_changed_is_void(tmp_path: Path) -> None:
    """It is not found, and goes from the file with the next run; so do those of an arm that is no more."""
    kept(tmp_path)
    changed = replace(SMALL, arms=(Arm("always", {"groups.h1.size": 9}), Arm("new", {})))
    results = read(tmp_path, changed)
    assert results.find("always", 1) is None
    assert results.alike() == []
    results.add(Result("always", 1, results.print_of("always"), {"test_accuracy": 0.9}))
    again = read(tmp_path, changed)
    assert [(r.arm, r.figures["test_accuracy"]) for r in again.runs] == [("always", 0.9)]


def test_quick_runs_are_kept_apart(tmp_path: Path) -> None:
    """A quick run never takes the place of a measurement, nor is it taken for one."""
    kept(tmp_path)
    quick = read(tmp_path, SMALL, quick=True)
    assert quick.runs == []
    quick.add(Result("always", 1, quick.print_of("always"), {}))
    assert {path.name for path in tmp_path.iterdir()} == {"small.json", "small.quick.json"}
    file_of(tmp_path, SMALL, quick=True).rename(file_of(tmp_path, SMALL))
    with pytest.raises(RunError, match="is damaged"):
        read(tmp_path, SMALL)


def test_a_folder_is_tried_before_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made, and nothing is left in it; one that cannot be made or written into is one line."""
    with held(tmp_path / "new" / "folder"):
        pass
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(RunError, match=r"^cannot make .*file: File exists; choose another with --dir$"),
        held(tmp_path / "file"),
    ):
        pass

    def full(dir: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with (
        pytest.raises(RunError, match=r"^cannot write into .*: No space left .*; choose another with --dir$"),
        held(tmp_path),
    ):
        pass


def test_a_folder_is_held_by_one(tmp_path: Path) -> None:
    """Who keeps a run writes all that it knows of, so a second one is sent away until the first is done."""
    said = r"^another neurond experiment is at work in .*; wait for it, or choose another --dir$"
    with held(tmp_path), pytest.raises(RunError, match=said), held(tmp_path):
        pass
    with held(tmp_path):
        kept(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 1}', '{"format": 1, "study": "other", "quick": false}'])
def test_a_damaged_file_is_one_line(tmp_path: Path, text: str) -> None:
    """It says which, and what to do."""
    file_of(tmp_path, SMALL).write_text(text)
    with pytest.raises(RunError, match=r"small\.json is damaged: .*remove it, and its runs are made again") as error:
        read(tmp_path, SMALL)
    assert "\n" not in str(error.value)


HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("was", "there", "told"),
    [
        ('"where": 0', '"where": 1', "the 'where' of a run"),
        ('"where": 0', '"where": -1', "the 'where' of a run"),
        ('"where": 0', '"where": "0"', "the 'where' of a run"),
        ('"seed": 1', '"seed": 1.0', "the 'seed' of a run"),
        ('"seed": 1', '"seed": true', "the 'seed' of a run"),
        ('"arm": "always"', '"arm": ["always"]', "the 'arm' of a run"),
        *(
            ('"test_accuracy": 0.6', f'"test_accuracy": {x}', "the 'figures' of a run")
            for x in ("null", '"1"', "NaN")
        ),
        *(('"test_accuracy": 0.6', f'"test_accuracy": {x}', "the 'figures' of a run") for x in ("-Infinity", HUGE)),
        *(('"took_s": 1.5', f'"took_s": {x}', "the 'took_s' of a run") for x in ("Infinity", "-1", "null", HUGE)),
        ('"took_s": 1.5, ', "", "the 'took_s' of a run"),
        ('"packages": {', '"packages": [], "other": {', "an environment has no 'packages'"),
        ('"cpus": 2', '"cpus": "2"', "an environment has no 'cpus'"),
        ('"python": ', '"snake": ', "an environment has no 'python'"),
        ('"environments": [', '"environments": [7, ', "its 'environments' are no list"),
        ('"runs": [', '"runs": [[], ', "its 'runs' are no list"),
        ('"runs": [', '"runs": ' + "[" * 100_000, "it is nested too deeply"),
    ],
)
def test_what_no_run_can_be_is_one_line(tmp_path: Path, was: str, there: str, told: str) -> None:
    """A figure that is no number, or a place that is none, is found where the file is read, not where it is used."""
    kept(tmp_path)
    file = file_of(tmp_path, SMALL)
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, there))
    with pytest.raises(RunError, match=rf"small\.json is damaged: {told}.*; remove it, and its runs") as error:
        read(tmp_path, SMALL)
    assert "\n" not in str(error.value)
