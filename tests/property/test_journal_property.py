"""Journals under any sequence of changes, cut off anywhere, with any bit turned over."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from neurond import journal
from neurond.changes import HEADER_SIZE, DamagedError, Header, Shadow, contents, fingerprint
from tests.fault.faults import Fault, Place, injects

Arrays = dict[str, np.ndarray[Any, Any]]

ANY_FLOATS = hnp.from_dtype(np.dtype(np.float32))  # NaN, -0 and infinity too


@st.composite
def histories(draw: st.DrawFn) -> list[Arrays]:
    """The states of a process, one after the other: weights, counters, and a list that grows and shrinks."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 12)))
    w = draw(hnp.arrays(np.float32, shape, elements=ANY_FLOATS))
    found: list[Arrays] = []
    for _ in range(draw(st.integers(1, 8))):
        w = w.copy()
        for place in draw(st.sets(st.integers(0, w.size - 1)) | st.just(set(range(w.size)))):
            w.flat[place] = draw(ANY_FLOATS)
        counts = draw(hnp.arrays(np.int64, 3))
        rows = draw(hnp.arrays(np.int64, st.integers(0, 5)))
        found.append({"w": w, "counters": counts, "again": rows, "train_s": np.array([draw(st.floats())])})
    return found


def same(a: Arrays, b: Arrays) -> bool:
    """Equal to the last bit."""
    return a.keys() == b.keys() and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in ((a[k], b[k]) for k in a)
    )


def written(folder: Path, history: list[Arrays]) -> list[Path]:
    """The files of a journal that was told of these states, oldest first."""
    shadow = Shadow()
    kept = journal.Journal(folder, "h1", 1, fingerprint("h1", history[0]))
    for state in history:
        kept.write(shadow.look(state), shadow)
    kept.close()
    return sorted(journal.folder(folder).iterdir(), key=lambda path: int(path.name.split(".")[2]))


@pytest.fixture(autouse=True, scope="module")
def short_files() -> Any:
    """Files so short that most histories need several."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "SHORT", 300)
        patch.setattr(journal, "TIMES", 0)
        yield


@given(histories())
def test_what_was_written_is_recovered(history: list[Arrays]) -> None:
    """An unharmed journal gives the last state to the bit, from two files at most, with nothing left out."""
    with tempfile.TemporaryDirectory() as name:
        assert len(written(Path(name), history)) <= 2
        found = journal.recover(Path(name), "h1", 2, fingerprint("h1", history[0]))
    assert found.arrays is not None
    assert same(found.arrays, history[-1])
    assert (found.torn, found.left_records, found.left_bytes, found.unusable) == (0, 0, 0, [])


@injects(Place.MACHINES, Fault.BAD_JOURNAL)
@given(histories(), st.data())
def test_cut_off_anywhere(history: list[Arrays], data: st.DataObject) -> None:
    """A file that ends anywhere gives a state that was written; what is missing of a record is told."""
    with tempfile.TemporaryDirectory() as name:
        newest = written(Path(name), history)[-1]
        content = newest.read_bytes()
        end = data.draw(st.integers(0, len(content) - 1))
        newest.write_bytes(content[:end])
        found = journal.recover(Path(name), "h1", 2, fingerprint("h1", history[0]))
    if found.arrays is not None:
        assert any(same(found.arrays, state) for state in history)
    assert found.torn or found.left_bytes or found.unusable or _is_whole(content[:end])


def _is_whole(content: bytes) -> bool:
    """It ends where a record does: no reader can tell that there was more."""
    try:
        held = contents(content)
    except DamagedError:
        return False
    return held.first is not None and not held.torn and not held.left_bytes


@injects(Place.MACHINES, Fault.BAD_JOURNAL)
@given(histories(), st.data())
def test_any_bit_turned_over(history: list[Arrays], data: st.DataObject) -> None:
    """A single wrong bit gives a state that was written, or none; never one that was not, and it is told."""
    with tempfile.TemporaryDirectory() as name:
        files = written(Path(name), history)
        harmed = data.draw(st.sampled_from(files))
        content = bytearray(harmed.read_bytes())
        bit = data.draw(st.integers(0, 8 * len(content) - 1))
        content[bit // 8] ^= 1 << bit % 8
        harmed.write_bytes(content)
        found = journal.recover(Path(name), "h1", 2, fingerprint("h1", history[0]))
    if found.arrays is None:
        assert found.unusable
        return
    assert any(same(found.arrays, state) for state in history)
    if not same(found.arrays, history[-1]):
        assert found.left_records or found.left_bytes or found.unusable


@given(histories(), st.data())
def test_the_first_record_may_be_lost(history: list[Arrays], data: st.DataObject) -> None:
    """A wrong bit in the whole state at the beginning of a file loses nothing where there is a file before it."""
    with tempfile.TemporaryDirectory() as name:
        files = written(Path(name), history)
        content = bytearray(files[-1].read_bytes())
        length = int.from_bytes(content[HEADER_SIZE : HEADER_SIZE + 8], "little")
        at = HEADER_SIZE + 24 + data.draw(st.integers(0, length - 1))
        content[at] ^= 1 << data.draw(st.integers(0, 7))
        files[-1].write_bytes(content)
        found = journal.recover(Path(name), "h1", 2, fingerprint("h1", history[0]))
    assert found.unusable == [f"{files[-1].name}: its beginning is damaged"]
    if len(files) > 1:
        assert found.arrays is not None
        assert same(found.arrays, history[-1])
    else:
        assert found.arrays is None


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """Whatever stands in a file, reading it gives what it holds or `DamagedError`."""
    header = Header(1, 1, bytes(16)).pack()
    for tried in (content, header[:4] + content, header + content):
        with contextlib.suppress(DamagedError):
            assert contents(tried).first is None
