"""Restarts of a process that dies whenever it likes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from broker.restart import Restarts

LIVES = st.lists(st.floats(0.0, 40.0), max_size=60)
"""How long each life of a process lasts, in seconds."""


def restarted(restarts: Restarts, lives: list[float]) -> tuple[list[float], list[float], bool]:
    """When the process was started anew, the pauses before, and whether it was given up at the end."""
    now, when, pauses = 0.0, [], []
    for life in lives:
        now += life
        pause = restarts.died("h1", now)
        if pause is None:
            return when, pauses, True
        now += pause
        when.append(now)
        pauses.append(pause)
    return when, pauses, False


@given(st.integers(0, 8), st.floats(0.5, 60.0), LIVES)
def test_never_more_than_allowed_in_any_period(most: int, period_s: float, lives: list[float]) -> None:
    """Whatever the lives of a process are, no window as long as the period holds more restarts than are allowed."""
    when, _, _ = restarted(Restarts(most, period_s), lives)
    for k, end in enumerate(when):
        assert sum(end - period_s < other <= end for other in when[: k + 1]) <= most


@given(st.integers(1, 8), st.floats(0.5, 60.0), LIVES)
def test_given_up_only_for_a_reason(most: int, period_s: float, lives: list[float]) -> None:
    """A process is given up only if the last restarts, as many as are allowed, lie within one period."""
    when, _, given_up = restarted(Restarts(most, period_s), lives)
    if given_up:
        died = when[-1] + lives[len(when)]
        assert len(when) >= most
        assert when[-most] > died - period_s


@given(st.integers(1, 8), LIVES)
def test_pauses_are_bounded(most: int, lives: list[float]) -> None:
    """No pause is negative or longer than the longest, and after a period without a death there is none."""
    restarts = Restarts(most)
    when, pauses, _ = restarted(restarts, lives)
    assert all(0.0 <= pause <= restarts.longest_s for pause in pauses)
    for k in range(1, len(when)):
        if lives[k] > restarts.period_s:
            assert pauses[k] == 0.0
