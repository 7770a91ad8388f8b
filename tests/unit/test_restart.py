"""When a process is started anew, and when it is given up."""

from broker.restart import Restarts


def test_pauses_grow() -> None:
    """The first restart is made at once; each further one waits twice as long, up to the longest pause."""
    restarts = Restarts(most=9, period_s=100.0)
    assert [restarts.died("h1", 0.0) for _ in range(9)] == [0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_given_up_when_it_dies_too_often() -> None:
    """After R restarts within the period the next death is the last."""
    restarts = Restarts(most=3, period_s=30.0)
    assert [restarts.died("h1", now) for now in (0.0, 1.0, 2.0)] == [0.0, 0.25, 0.5]
    assert restarts.died("h1", 29.9) is None
    assert restarts.died("h1", 30.0) == 0.5, "the first of them is forgotten, the others are not"


def test_who_lived_well_begins_anew() -> None:
    """A process whose last restart is a period ago is started anew at once, as if it had never died."""
    restarts = Restarts(most=2, period_s=30.0)
    assert [restarts.died("h1", now) for now in (0.0, 1.0)] == [0.0, 0.25]
    assert [restarts.died("h1", now) for now in (31.25, 31.3)] == [0.0, 0.25]


def test_each_process_for_itself() -> None:
    """The deaths of one process are not counted against another."""
    restarts = Restarts(most=1)
    assert restarts.died("h1", 0.0) == 0.0
    assert restarts.died("h2", 0.0) == 0.0
    assert restarts.died("h1", 0.1) is None


def test_no_restarts() -> None:
    """With none allowed, the first death is the last."""
    assert Restarts(most=0).died("h1", 0.0) is None
