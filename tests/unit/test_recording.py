"""Recordings: what is written is read, however the file ends; and what a replay of them tells."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.recording import FLUSHED, HEAD, MAGIC, Message, Recorder, Recording, RecordingError
from monitor.replay import Replay
from topology import feed, wire
from topology.sockets import MAX_MESSAGE
from topology.wire import Command, Event, Reply, Telemetry

STATUS = {"run": "digits", "run_dir": "/runs/x", "state": "running", "generation": 0, "processes": {"h1": {}}}


def told(n: int) -> Telemetry:
    """The n-th telemetry of a group."""
    return Telemetry("h1", "group", 1, n, {"updates": n * n}, {"lr": 0.5}, {"source -> h1": {"received": n}})


SAID: list[tuple[float, Message]] = [
    (0.0, Reply("", True, STATUS)),
    (0.0, Event("broker", "joined", {"process": "h1"})),
    *((0.5 * n, told(n)) for n in range(1, 20)),
    (10.0, Reply("", True, {**STATUS, "state": "leaving"})),
    (11.0, Event("broker", "ended", {"why": "finished"})),
]


SAID_ONCE = wire.pack(told(1))


def written(path: Path, said: list[tuple[float, Message]] = SAID, most: float = float("inf")) -> Recorder:
    """A recording of this."""
    with Recorder(path, most) as into:
        for t_s, message in said:
            into.append(t_s, message)
    return into


def read(path: Path) -> tuple[list[tuple[float, Message]], str]:
    """What a recording holds, and why there is no more."""
    with Recording(path) as recording:
        found = list(recording)
        return found, recording.torn


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every message comes back, at its time, and nothing is missing."""
    into = written(tmp_path / "x")
    assert read(tmp_path / "x") == (SAID, "")
    assert (into.messages, into.size) == (len(SAID), (tmp_path / "x").stat().st_size)


def test_cut_off_anywhere(tmp_path: Path) -> None:
    """Wherever the file ends, all that is wholly in it is read, and it says whether something is missing."""
    written(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    most = 0
    for end in range(len(MAGIC), len(whole)):
        (tmp_path / "cut").write_bytes(whole[:end])
        found, torn = read(tmp_path / "cut")
        assert found == SAID[: len(found)]
        assert len(found) >= most
        last_s = found[-1][0] if found else 0.0
        assert torn == f"cut off after {last_s:.1f} s" or (found and whole[:end].endswith(FLUSHED))
        most = len(found)
    assert most >= len(SAID) - 1


def test_damage_anywhere(tmp_path: Path) -> None:
    """Whatever byte is changed, what comes is what was written, up to there, or other messages: never a traceback."""
    written(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    damaged = 0
    for at in range(len(MAGIC), len(whole)):
        (tmp_path / "bad").write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        damaged += bool(read(tmp_path / "bad")[1])
    assert damaged > len(whole) / 2


@pytest.mark.parametrize(
    "record",
    [
        HEAD.pack(0.0, MAX_MESSAGE + 1),
        HEAD.pack(float("nan"), 1) + b"x",
        HEAD.pack(-1.0, 1) + b"x",
        *(HEAD.pack(t_s, len(SAID_ONCE)) + SAID_ONCE for t_s in (float("inf"), 1e300)),
        *(
            HEAD.pack(0.0, len(packed)) + packed
            for wrong in ({"run": 1}, {"run_dir": None}, {"state": []}, {"processes": []}, {"processes": {"h1": 3}})
            for packed in [wire.pack(Reply("", True, {**STATUS, **wrong}))]
        ),
        HEAD.pack(0.0, len(wire.pack(Reply("", True)))) + wire.pack(Reply("", True)),
        HEAD.pack(0.0, 3) + b"abc",
        HEAD.pack(0.0, len(wire.pack(Command("1", "stop")))) + wire.pack(Command("1", "stop")),
    ],
)
def test_records_that_cannot_be(tmp_path: Path, record: bytes) -> None:
    """A record that no recorder writes ends the reading, and takes no memory."""
    (tmp_path / "x").write_bytes(MAGIC + zlib.compress(record))
    found, torn = read(tmp_path / "x")
    assert found == []
    assert torn.startswith("damaged after 0.0 s")


def test_it_is_compact(tmp_path: Path) -> None:
    """Telemetry that hardly changes takes a fraction of what it takes on the wire."""
    into = written(tmp_path / "x", [(float(n), told(n)) for n in range(1000)])
    assert into.size < sum(len(wire.pack(told(n))) for n in range(1000)) / 3


def test_no_larger_than_asked(tmp_path: Path) -> None:
    """A bounded recording stops in time, says so, and is whole as far as it goes."""
    into = written(tmp_path / "x", most=600)
    assert into.full
    assert (tmp_path / "x").stat().st_size == into.size <= 600
    found, torn = read(tmp_path / "x")
    assert (found, torn) == (SAID[: into.messages], "")
    assert 0 < into.messages < len(SAID)


def test_a_recording_of_nothing(tmp_path: Path) -> None:
    """A recorder to which nothing came leaves no file behind, and one that it cannot remove is no fault."""
    for left in (True, False):
        with Recorder(tmp_path / "x"):
            if not left:
                (tmp_path / "x").unlink()
        assert not (tmp_path / "x").exists()


def test_a_disk_that_is_full_keeps_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not even be begun is not left behind, and so not in the way of the next try."""
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - the recorder closes it

    def opened(path: Path, *_: object, **__: object) -> object:
        path.touch()
        return full

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        with pytest.raises(RecordingError, match="No space left"):
            Recorder(tmp_path / "x")
    assert full.closed
    written(tmp_path / "x")


def test_a_disk_that_fails_in_mid_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read any more is one line."""
    written(tmp_path / "x")

    def refused(size: int) -> bytes:
        raise OSError(5, "Input/output error")

    with Recording(tmp_path / "x") as recording:
        monkeypatch.setattr(recording._file, "read", refused, raising=False)
        with pytest.raises(RecordingError, match=r"cannot read .*x: Input/output error"):
            list(recording)


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    """A file that is there is not written over; a folder that is not there is one line."""
    written(tmp_path / "x")
    with pytest.raises(RecordingError, match="there already"):
        Recorder(tmp_path / "x")
    with pytest.raises(RecordingError, match="No such file"):
        Recorder(tmp_path / "nowhere" / "x")


def test_what_is_no_recording(tmp_path: Path) -> None:
    """Another file, one of another version, a folder and nothing at all are told apart, in one line each."""
    (tmp_path / "text").write_text("hello")
    (tmp_path / "later").write_bytes(b"neurond recording 2\n")
    for name, words in (
        ("text", "no recording"),
        ("later", "another version"),
        (".", "directory"),
        ("none", "No such"),
    ):
        with pytest.raises(RecordingError, match=words):
            Recording(tmp_path / name)


# --- the replay of one ----------------------------------------------------------------------------------


@contextmanager
def replayed(speed: float = 1.0) -> Iterator[Replay]:
    """A replay of what was said."""
    yield Replay(SAID, speed, 7, pid=4711)


def heard(frames: list[list[bytes]]) -> list[Message]:
    """The messages of some frames of the feed."""
    return [feed.parse(f).message for f in frames]


def test_each_message_in_its_time() -> None:
    """What is due by a time is sent, in order and once, and the next is known."""
    with replayed() as replay:
        assert heard(list(replay.play(0.0))) == [SAID[1][1]]
        assert heard(list(replay.play(1.2))) == [told(1), told(2)]
        assert replay.due == 1.5
        assert list(replay.play(1.2)) == []
        rest = heard(list(replay.play(99.0)))
        assert [type(m) for m in rest] == [Telemetry] * 17 + [Event]
        assert (replay.due, replay.over) == (None, True)


def test_who_comes_later_is_told_what_was() -> None:
    """A subscriber in mid-play hears the events so far and the last telemetry, as at a broker."""
    with replayed() as replay:
        list(replay.play(3.0))
        assert heard(replay.subscribed(b"")) == [SAID[1][1], told(6)]
        assert replay.subscribed(b"h2") == []


def test_status_is_that_of_its_time() -> None:
    """`status` answers what the broker had answered by then, how fast it is played, and what a process told last."""
    with replayed(4.0) as replay:
        first = replay.answer(Command("1", "status"))
        assert first.data == {**STATUS, "replay": {"speed": 4.0, "pid": 4711, "ended": False}}
        assert not replay.answer(Command("2", "status", "h1")).ok
        list(replay.play(10.5))
        assert replay.answer(Command("3", "status")).data["state"] == "leaving"
        assert replay.answer(Command("4", "status", "h1")).data["h1"]["telemetry"]["seq"] == 19


def test_the_end_is_in_its_status() -> None:
    """From the end on no status is that of a run that goes on, though the last one that was recorded is."""
    said = [(t_s, m) for t_s, m in SAID if not isinstance(m, Reply) or m.data["state"] == "running"]
    replay = Replay(said, 1.0, 7, pid=4711)
    list(replay.play(99.0))
    told = replay.answer(Command("1", "status")).data
    assert (told["state"], told["replay"]["ended"]) == ("ended", True)


def test_a_recording_without_status() -> None:
    """Where the broker's answers are missing, `status` is refused and not answered with nothing."""
    replay = Replay([SAID[1], SAID[-1]], 1.0, 7, pid=4711)
    for t_s in (0.0, 99.0):
        list(replay.play(t_s))
        reply = replay.answer(Command("1", "status"))
        assert (reply.ok, reply.error) == (False, "this recording does not say how the run stood")


def test_nothing_can_be_changed() -> None:
    """Every other command is refused in words."""
    with replayed() as replay:
        reply = replay.answer(Command("1", "stop"))
        assert (reply.ok, reply.error) == (False, "this is a recording, which is only played")
