"""The journal of a process in its files: what is recovered of it, also where the disk has not done its part."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurond import changes, journal
from neurond.changes import Shadow
from neurond.journal import Journal, SupersededError

Arrays = dict[str, np.ndarray[Any, Any]]


def beginning() -> Arrays:
    """A small state: weights and a counter."""
    return {"w": np.zeros((20, 30), np.float32), "counters": np.zeros(1, np.int64)}


PRINT = changes.fingerprint("h1", beginning())


class Writer:
    """A process that works and writes its journal."""

    def __init__(self, run_dir: Path, incarnation: int = 1, process: str = "h1") -> None:
        self.arrays = beginning()
        self.shadow = Shadow()
        self.journal = Journal(run_dir, process, incarnation, PRINT)

    def work(self, times: int = 1) -> None:
        """Change one weight and the counter, and write that."""
        for _ in range(times):
            self.arrays["counters"] += 1
            n = int(self.arrays["counters"][0])
            self.arrays["w"].flat[n % 600] = n
            self.journal.write(self.shadow.look(self.arrays), self.shadow)

    def work_all(self) -> None:
        """Change every weight, and write that."""
        self.arrays["w"] += 1
        self.journal.write(self.shadow.look(self.arrays), self.shadow)


def count(found: journal.Recovered) -> int:
    """The counter that was recovered; the weights must be of the same moment."""
    assert found.arrays is not None
    n = int(found.arrays["counters"][0])
    again = beginning()["w"]
    for k in range(1, n + 1):
        again.flat[k % 600] = k
    assert np.array_equal(found.arrays["w"], again)
    return n


def recovered(run_dir: Path, incarnation: int = 2) -> journal.Recovered:
    """What the next incarnation finds."""
    return journal.recover(run_dir, "h1", incarnation, PRINT)


def files(run_dir: Path) -> list[str]:
    """Names of what is in the folder."""
    return sorted(path.name for path in journal.folder(run_dir).iterdir())


def test_what_the_last_write_held(tmp_path: Path) -> None:
    """Each write counts as soon as it has returned, whether the journal is closed or not."""
    writer = Writer(tmp_path)
    for n in range(1, 6):
        writer.work()
        found = recovered(tmp_path)
        assert (count(found), found.records, found.incarnation) == (n, n - 1, 1)
    writer.journal.close()


def test_few_changes_are_few_bytes(tmp_path: Path) -> None:
    """A record holds what has changed and no more: one weight costs less than a tenth of all of them."""
    writer = Writer(tmp_path)
    writer.work()
    before = writer.journal.bytes
    writer.work()
    assert writer.journal.bytes - before < writer.arrays["w"].nbytes / 10
    before = writer.journal.bytes
    writer.work_all()
    assert writer.arrays["w"].nbytes < writer.journal.bytes - before < 1.1 * writer.arrays["w"].nbytes
    before = writer.journal.bytes
    writer.journal.write(writer.shadow.look(writer.arrays), writer.shadow)
    assert writer.journal.bytes == before  # nothing has changed
    writer.journal.close()


def test_a_record_that_was_being_written(tmp_path: Path) -> None:
    """What a process was killed in is cut off and counted as torn; nothing is said to be damaged."""
    writer = Writer(tmp_path)
    writer.work(3)
    writer.journal.close()
    (path,) = journal.folder(tmp_path).iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    found = recovered(tmp_path)
    assert (count(found), found.records, found.left_records, found.left_bytes) == (2, 1, 0, 0)
    assert found.torn > 0
    path.write_bytes(path.read_bytes()[: -found.torn] + bytes(4096))  # as a file system may leave a file that grew
    found = recovered(tmp_path)
    assert (count(found), found.torn, found.left_bytes) == (2, 4096, 0)


def test_damage_in_the_middle(tmp_path: Path) -> None:
    """Replay stops at the first record that is not what was written, and what is left out is counted."""
    writer = Writer(tmp_path)
    writer.work(2)
    (path,) = journal.folder(tmp_path).iterdir()
    good = path.stat().st_size
    writer.work(3)
    writer.journal.close()
    content = bytearray(path.read_bytes())
    content[good + 40] ^= 4
    path.write_bytes(content)
    found = recovered(tmp_path)
    assert (count(found), found.left_records, found.left_bytes, found.torn) == (2, 3, len(content) - good, 0)


def test_compaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has grown too long gives way to the next; two are kept, and none is much longer than it may be."""
    monkeypatch.setattr(journal, "SHORT", 10_000)
    writer = Writer(tmp_path)
    longest = 0
    for n in range(1, 301):
        writer.work()
        sizes = [path.stat().st_size for path in journal.folder(tmp_path).iterdir()]
        longest = max(longest, *sizes)
        assert len(sizes) <= 2
        if n % 50 == 0:
            assert count(recovered(tmp_path)) == n
    writer.journal.close()
    whole = writer.arrays["w"].nbytes
    assert longest < whole + max(journal.SHORT, journal.TIMES * whole) + 1000
    (older, newer) = sorted(journal.folder(tmp_path).iterdir(), key=lambda path: int(path.name.split(".")[2]))
    assert int(newer.name.split(".")[2]) > 2
    content = bytearray(newer.read_bytes())
    content[changes.HEADER_SIZE + 100] ^= 1
    newer.write_bytes(content)
    assert count(recovered(tmp_path)) == 300  # from the one before, and what the damaged one goes on with
    older.unlink()
    assert recovered(tmp_path).arrays is None


def test_an_earlier_incarnation_steps_in(tmp_path: Path) -> None:
    """An incarnation that died before anything of it was on the disk, or whose files are damaged, is passed over."""
    first = Writer(tmp_path)
    first.work(4)
    first.journal.close()
    kept = {path: path.read_bytes() for path in journal.folder(tmp_path).iterdir()}
    (journal.folder(tmp_path) / "h1.2.1.journal.part").write_bytes(b"half of it")
    assert count(recovered(tmp_path, incarnation=3)) == 4
    third = Writer(tmp_path, incarnation=3)
    third.work(1)
    third.journal.close()
    assert files(tmp_path) == ["h1.3.1.journal"]
    assert count(recovered(tmp_path, incarnation=4)) == 1
    for path, content in kept.items():
        path.write_bytes(content)
    (journal.folder(tmp_path) / "h1.3.1.journal").write_bytes(b"")
    found = recovered(tmp_path, incarnation=4)
    assert (count(found), found.incarnation, found.unusable) == (4, 1, ["h1.3.1.journal: it is no journal"])


def test_a_process_that_was_taken_for_dead(tmp_path: Path) -> None:
    """It writes where its successor does not read, harms nothing, and gives up when it sees that there is one."""
    zombie = Writer(tmp_path)
    zombie.work(3)
    successor = Writer(tmp_path, incarnation=2)
    successor.work(5)
    with pytest.raises(OSError, match="the journal was removed"):
        zombie.work()
    with pytest.raises(SupersededError, match="a later incarnation"):
        zombie.work()
    zombie.journal.remove()
    assert files(tmp_path) == ["h1.2.1.journal"]
    successor.work(2)
    assert count(recovered(tmp_path, incarnation=3)) == 7
    successor.journal.close()


def test_an_open_journal_of_the_dead_is_not_read(tmp_path: Path) -> None:
    """Of two incarnations the later one counts, whoever of them wrote last."""
    zombie, successor = Writer(tmp_path), Writer(tmp_path, incarnation=2)
    zombie.work(1)
    kept = (journal.folder(tmp_path) / "h1.1.1.journal").read_bytes()
    successor.work(2)
    (journal.folder(tmp_path) / "h1.1.1.journal").write_bytes(kept)  # as if its removal had been lost
    assert count(recovered(tmp_path, incarnation=3)) == 2
    assert count(recovered(tmp_path, incarnation=1)) == 1
    zombie.journal.close()
    successor.journal.close()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda _: b"", "it is no journal"),
        (lambda _: b"something else altogether" * 4, "it is no journal"),
        (lambda content: content[:3] + b"\x07" + content[4:], "it is of version 7, not 1"),
        (lambda content: content[:5] + b"\x07" + content[6:], "its header is damaged"),
        (lambda content: content[: changes.HEADER_SIZE], "its beginning is damaged"),
    ],
    ids=["empty", "foreign", "version", "header", "header alone"],
)
def test_of_no_use(tmp_path: Path, spoil: Any, why: str) -> None:
    """A file that cannot be used is named, with the reason, and is otherwise as if it were not there."""
    writer = Writer(tmp_path)
    writer.work()
    writer.journal.close()
    (path,) = journal.folder(tmp_path).iterdir()
    path.write_bytes(spoil(path.read_bytes()))
    found = recovered(tmp_path)
    assert (found.arrays, found.unusable) == (None, [f"h1.1.1.journal: {why}"])


def test_of_others(tmp_path: Path) -> None:
    """The journal of another network, of another process, or under another's name is not taken up."""
    Writer(tmp_path).work()
    for process, arrays in [
        ("h2", beginning()),
        ("h1", beginning() | {"w": np.zeros((20, 31), np.float32)}),
        ("h1", beginning() | {"w": np.zeros((20, 30))}),
        ("h1", beginning() | {"b": np.zeros((20, 1), np.float32)}),
    ]:
        found = journal.recover(tmp_path, "h1", 2, changes.fingerprint(process, arrays))
        assert (found.arrays, found.unusable) == (None, ["h1.1.1.journal: it is of another network"])
    (path,) = journal.folder(tmp_path).iterdir()
    path.rename(path.with_name("h1.1.4.journal"))
    assert recovered(tmp_path).unusable == ["h1.1.4.journal: it has the name of another"]
    assert journal.recover(tmp_path, "h1.1", 9, PRINT) == journal.Recovered()  # a shard's name begins alike
    assert journal.recover(tmp_path / "nowhere", "h1", 9, PRINT) == journal.Recovered()


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """What the system refuses to read is named with the system's reason."""
    journal.folder(tmp_path).mkdir()
    (journal.folder(tmp_path) / "h1.1.1.journal").mkdir()
    assert recovered(tmp_path).unusable == ["h1.1.1.journal: Is a directory"]


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may become longer than this: what is beyond it is refused, in the midst of a write too."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room(tmp_path: Path) -> None:
    """A write that is refused half-way leaves what was there; once there is room all of it is written anew."""
    writer = Writer(tmp_path)
    writer.work(2)
    (path,) = journal.folder(tmp_path).iterdir()
    size = path.stat().st_size
    for room in (size + 20, 1000, 0):  # for a part of a record, for a part of the state, for nothing
        with room_for(room), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            writer.work()
        assert (files(tmp_path), path.stat().st_size) == ([path.name], size)
        assert count(recovered(tmp_path)) == 2
    writer.work()
    assert files(tmp_path) == ["h1.1.1.journal", "h1.1.2.journal"]
    assert count(recovered(tmp_path)) == 6
    writer.work()
    writer.journal.close()
    assert count(recovered(tmp_path)) == 7


def test_what_was_never_written_is_not_bridged(tmp_path: Path) -> None:
    """Where writes have failed between two files, the later one's changes are not laid on the earlier one's state."""
    writer = Writer(tmp_path)
    writer.work(2)
    (path,) = journal.folder(tmp_path).iterdir()
    with room_for(path.stat().st_size), pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        writer.work()
    writer.work(2)
    writer.journal.close()
    newer = journal.folder(tmp_path) / "h1.1.2.journal"
    content = bytearray(newer.read_bytes())
    content[changes.HEADER_SIZE + 100] ^= 1
    newer.write_bytes(content)
    found = recovered(tmp_path)
    assert (count(found), found.left_records) == (2, 1)


def test_no_room_to_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long file goes on where there is no room for the next one: nothing fails, and nothing is lost."""
    monkeypatch.setattr(journal, "SHORT", 200)
    monkeypatch.setattr(journal, "TIMES", 0)
    writer = Writer(tmp_path)
    writer.work()
    (journal.folder(tmp_path) / "h1.1.2.journal.part").mkdir()  # stands in the way of the next
    writer.work(4)
    assert count(recovered(tmp_path)) == 5
    (journal.folder(tmp_path) / "h1.1.2.journal.part").rmdir()
    writer.work(60)
    writer.journal.close()
    assert count(recovered(tmp_path)) == 65
    assert len(files(tmp_path)) == 2


def test_removed_under_it(tmp_path: Path) -> None:
    """Whoever removes the files of a live process costs it one write: the next one holds everything."""
    writer = Writer(tmp_path)
    writer.work(2)
    journal.remove(tmp_path, "h1")
    assert files(tmp_path) == []
    with pytest.raises(OSError, match="the journal was removed"):
        writer.work()
    writer.work()
    assert count(recovered(tmp_path)) == 4
    writer.journal.remove()
    assert not journal.folder(tmp_path).exists()


def test_the_folder_of_the_last(tmp_path: Path) -> None:
    """A process that leaves last removes the folder; one that begins just then makes it anew."""
    first, second = Writer(tmp_path, 1, "out"), Writer(tmp_path)
    first.work()
    first.journal.remove()
    assert not journal.folder(tmp_path).exists()
    second.work()
    assert count(recovered(tmp_path)) == 1


def test_only_its_own_are_removed(tmp_path: Path) -> None:
    """A process that leaves removes what it and those before it have written, and nothing of others."""
    for process in ("h1", "h1.0", "out"):
        Writer(tmp_path, 1, process).work()
    Writer(tmp_path, incarnation=3).work()
    Writer(tmp_path, incarnation=2).journal.remove()
    assert files(tmp_path) == ["h1.0.1.1.journal", "h1.3.1.journal", "out.1.1.journal"]
    journal.remove(tmp_path, "h1")
    assert files(tmp_path) == ["h1.0.1.1.journal", "out.1.1.journal"]


def test_of_the_same_incarnation(tmp_path: Path) -> None:
    """Should two processes be given one incarnation, the second goes on from the first, in files of its own."""
    first = Writer(tmp_path)
    first.work(3)
    second = Writer(tmp_path)
    found = recovered(tmp_path, incarnation=1)
    assert count(found) == 3
    second.work(1)
    assert count(recovered(tmp_path, incarnation=1)) == 1
    first.journal.close()
    second.journal.close()
