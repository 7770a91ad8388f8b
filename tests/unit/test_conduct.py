"""The conduct of studies, with runs that are real, if small, and in this process."""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from neurond.errors import Interrupted, RunError
from neurond.experiments import results as kept
from neurond.experiments.conduct import MEASURES, Conduct, duration
from neurond.experiments.results import Results, read
from neurond.experiments.study import Study
from tests.studies import SMALL


def conduct(folder: Path, *studies: Study, seeds: int = 2) -> tuple[Conduct, list[str]]:
    """A conduct of studies whose results are in a folder, and what it will say."""
    said: list[str] = []
    results: list[Results] = [read(folder, study) for study in studies]
    return Conduct(results, seeds, None, said.append), said


async def test_runs_are_made_once(tmp_path: Path) -> None:
    """Every arm is run with one seed before the next; what is there is not run again, and more seeds are added."""
    made, said = conduct(tmp_path, SMALL)
    assert made.left_s() > 0
    await made.run(asyncio.Event(), print)
    arms = [arm.label for arm in SMALL.arms]
    assert [line.partition(": ")[2].partition(",")[0] for line in said] == arms * 2
    assert said[0].startswith("small 1/6: always, seed 0: ")
    assert said[0].endswith(" left")
    assert "left" not in said[-1]
    before = (tmp_path / "small.json").read_bytes()
    made, said = conduct(tmp_path, SMALL)
    assert made.left_s() == 0
    await made.run(asyncio.Event(), print)
    assert said == []
    assert (tmp_path / "small.json").read_bytes() == before
    made, said = conduct(tmp_path, SMALL, seeds=3)
    await made.run(asyncio.Event(), print)
    assert [line.partition(":")[0] for line in said] == ["small 7/9", "small 8/9", "small 9/9"]


async def test_the_same_seed_is_the_same_run(tmp_path: Path) -> None:
    """A run in one process depends on its seed alone, and on that it does depend."""
    for folder in ("one", "two"):
        await conduct(tmp_path / folder, SMALL)[0].run(asyncio.Event(), print)
    one, two = (read(tmp_path / folder, SMALL) for folder in ("one", "two"))
    assert one.alike() == two.alike()
    assert one.alike()[0] != one.alike()[1]


async def test_an_interrupt_loses_the_run_that_goes_on_alone(tmp_path: Path) -> None:
    """What was measured is kept, the rest is said, and the next conduct makes it."""
    made, said = conduct(tmp_path, SMALL)
    stop = asyncio.Event()
    say = made.say

    def said_once(line: str) -> None:
        say(line)
        stop.set()

    made.say = said_once
    with pytest.raises(Interrupted, match="1 run is kept, and the same command makes the other 5"):
        await made.run(stop, print)
    assert len(read(tmp_path, SMALL).runs) == 1
    made, said = conduct(tmp_path, SMALL)
    await made.run(asyncio.Event(), print)
    assert len(said) == 5


async def test_a_disk_that_is_full_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends at the first result that cannot be kept, which is not said to be kept, and makes no others."""
    write, full = kept.write_whole, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def written(path: Path, content: bytes) -> None:
        if path.exists():
            raise full
        write(path, content)

    monkeypatch.setattr(kept, "write_whole", written)
    made, said = conduct(tmp_path, SMALL)
    with pytest.raises(RunError, match=r"cannot write .*small\.json: No space .*; .* another folder with --dir$"):
        await made.run(asyncio.Event(), print)
    assert (len(said), made.failed) == (1, [])
    assert len(made.of[0].runs) == len(read(tmp_path, SMALL).runs) == 1


async def test_a_figure_without_bounds_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of a network that diverged may be infinite; the file that keeps the run can be read again."""

    async def measured(*_: object) -> dict[str, float]:
        return {"test_accuracy": 0.1, "diverged": 1.0, "test_loss": float("inf")}

    monkeypatch.setitem(MEASURES, "alone", measured)
    made, said = conduct(tmp_path, SMALL, seeds=1)
    await made.run(asyncio.Event(), print)
    assert "diverged after " in said[0]
    assert read(tmp_path, SMALL).runs[0].figures == {"test_accuracy": 0.1, "diverged": 1.0}


async def test_a_study_whose_data_is_not_here_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what it needs in one line, and the others go on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lacking = replace(SMALL, name="lacking", settings={**SMALL.settings, "source.data": "mnist"})
    made, said = conduct(tmp_path, lacking, replace(lacking, name="too"), SMALL, seeds=1)
    finished: list[str] = []
    await made.run(asyncio.Event(), lambda results: finished.append(results.study.name))
    assert finished == ["lacking", "too", "small"]
    assert said[0].startswith("lacking is left out: ")
    assert "neurond data fetch mnist" in said[0]
    assert "\n" not in said[0]
    assert said[1] == "too is left out, as lacking is"
    assert len(said) == 5
    assert made.lacking.keys() == {"lacking", "too"}


def test_times_are_told_roughly() -> None:
    """In seconds, minutes or hours, as one would say it."""
    assert [duration(s) for s in (4.4, 89, 91, 3600, 9000)] == ["4 s", "89 s", "2 min", "60 min", "2.5 h"]
