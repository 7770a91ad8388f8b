"""The source's window: what is under way, when it is presented again, when its place is free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurond.flight import Flight
from topology.wire import EVALUATION


def flight(posts: int = 1) -> Flight:
    """Three stimuli under way since t = 0, to be retried after one second."""
    f = Flight(posts, retry_s=1.0)
    f.launch(10, rows(0, 3), now=0.0)
    return f


def rows(first: int, n: int) -> NDArray[np.int64]:
    """Rows of the data, side by side."""
    return np.arange(first, first + n)


def confirm(f: Flight, ids: list[int], pending: list[bool]) -> list[bool]:
    """Which of these count now."""
    counts: list[bool] = f.confirm(np.array(ids, np.int64), np.array(pending, np.bool_)).tolist()
    return counts


def close(f: Flight, ids: list[int], post: int) -> None:
    """A group has closed these."""
    f.close(np.array(ids, np.int64), post)


def test_a_stimulus_without_a_gradient_is_free_when_confirmed() -> None:
    """A confirmation that announces no closes gives the place back, and counts once."""
    f = flight()
    assert confirm(f, [10, 11], [False, False]) == [True, True]
    assert len(f) == 1
    assert confirm(f, [10, 12], [False, False]) == [False, True]
    assert len(f) == 0


def test_a_stimulus_with_a_gradient_waits_for_every_close() -> None:
    """Closes and the confirmation may come in any order; the place is free when all are there."""
    f = flight(posts=2)
    close(f, [10], 0)
    assert confirm(f, [10, 11], [True, True]) == [True, True]
    assert len(f) == 3
    close(f, [10, 11], 1)
    assert len(f) == 2
    close(f, [11, 99], 0)
    assert len(f) == 1


def test_what_is_not_confirmed_is_presented_again_with_growing_pauses() -> None:
    """After 1 s, then 2 s more, then 4: the same stimulus, the next presentation number, its own row."""
    f = flight()
    confirm(f, [10], [False])
    assert f.overdue(0.9) == ({}, 0)
    assert f.overdue(1.0) == ({2: {11: 1, 12: 2}}, 0)
    assert f.overdue(2.9) == ({}, 0)
    confirm(f, [12], [False])
    assert f.overdue(3.0) == ({3: {11: 1}}, 0)
    assert f.overdue(6.9) == ({}, 0)
    assert f.overdue(7.0) == ({4: {11: 1}}, 0)


def test_a_close_that_never_comes_does_not_hold_the_place() -> None:
    """A confirmed stimulus whose closes are lost gives its place back in time, and is counted."""
    f = flight()
    assert confirm(f, [10, 11, 12], [True, False, False]) == [True, True, True]
    assert f.overdue(1.0) == ({}, 1)
    assert len(f) == 0


def test_unconfirmed_are_the_training_rows_that_a_checkpoint_must_repeat() -> None:
    """Confirmed stimuli and evaluation stimuli are not among them."""
    f = flight()
    f.launch(EVALUATION, rows(7, 1), now=0.0)
    confirm(f, [10], [True])
    assert sorted(f.unconfirmed()) == [1, 2]


def test_gradients_that_are_expected() -> None:
    """Pending stimuli count as one each, unconfirmed ones with the share of late that was pending: all, at first."""
    f = flight()
    f.launch(20, rows(0, 7), now=0.0)
    assert f.gradients == 10
    for n in range(40):  # half of them have a gradient, and no evaluation counts
        confirm(f, [1000 + n, 2000 + n], [True, False])
        confirm(f, list(range(EVALUATION, EVALUATION + 50)), [False] * 50)
    for _ in range(200):
        confirm(f, list(range(3000, 3010)), [True, False] * 5)
    assert abs(f.share - 0.5) < 0.1
    confirm(f, [10, 11, 20, 21], [True, True, False, False])
    assert abs(f.gradients - (2 + 6 * f.share)) < 1e-9
    confirm(f, [10], [True])  # said once more
    close(f, [11], 0)
    assert abs(f.gradients - (1 + 6 * f.share)) < 1e-9
    f.overdue(1.0)  # the close of the other one never comes
    assert abs(f.gradients - 6 * f.share) < 1e-9


def test_what_is_new_while_the_roster_is_is_soon_due_too() -> None:
    """Not all may have heard yet who is there: a volley of that moment does not wait for the whole retry."""
    f = flight()
    confirm(f, [10, 11, 12], [False] * 3)
    f.expedite(now=5.0)
    f.launch(20, rows(3, 1), now=5.1)
    assert f.overdue(now=5.3) == ({}, 0)
    assert f.overdue(now=5.4) == ({2: {20: 3}}, 0)
    f.launch(30, rows(4, 1), now=5.5)
    assert 30 not in f.overdue(now=6.0)[0].get(2, {})


def test_volleys_that_are_confirmed_together_or_in_parts() -> None:
    """A frame may hold parts of several volleys, and stimuli between them that nobody launched or that are gone."""
    f = flight(posts=2)
    f.launch(20, rows(3, 4), now=0.0)
    f.launch(EVALUATION, rows(0, 2), now=0.0)
    assert confirm(f, [9, 11, 12, 13, 19, 20, 22, EVALUATION + 1], [True, True] + [False] * 6) == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
        True,
    ]
    assert len(f) == 5
    close(f, [5, 11, 21, 23], 0)
    close(f, [11, 30], 1)
    assert len(f) == 4
    assert sorted(f.unconfirmed()) == [0, 4, 6]
    assert f.overdue(1.0) == ({2: {10: 0, 21: 4, 23: 6, EVALUATION: 0}}, 0)


def test_frames_out_of_order_count_nothing_twice() -> None:
    """Ids that do not ascend, as no process of ours sends them, mean what they mean in order, each once."""
    f = flight(posts=1)
    assert confirm(f, [12, 10, 12, 99, 10], [False, True, False, False, True]) == [True, True, False, False, False]
    assert (len(f), f.gradients) == (2, 1 + f.share)
    close(f, [10, 7, 10], 0)
    assert (len(f), f.gradients) == (1, f.share)
