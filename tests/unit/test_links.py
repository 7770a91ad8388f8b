"""The two ends of a link: order, gaps, duplicates, incarnations; and closes that travel together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurond.links import RESYNC, STEP, Closing, Early, Inbound, Outbound
from topology import wire
from topology.wire import MAX_STIMULI, WireError


def test_frames_in_order_are_accepted_and_nothing_is_counted_as_lost() -> None:
    """A clean link has no gaps and no duplicates."""
    inbound = Inbound()
    assert all(inbound.accept(1, seq) for seq in range(10))
    assert (inbound.received, inbound.gaps, inbound.duplicates, inbound.fenced) == (10, 0, 0, 0)


def test_a_number_that_is_jumped_over_is_a_gap_for_ever() -> None:
    """A frame that comes after its successor is refused, for it was counted as lost."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    assert inbound.accept(1, 3)
    assert inbound.gaps == 2
    assert not inbound.accept(1, 2)
    assert not inbound.accept(1, 3)
    assert (inbound.received, inbound.gaps, inbound.duplicates) == (2, 2, 2)


def test_a_lower_incarnation_is_fenced_and_a_higher_one_begins_at_zero() -> None:
    """Frames of a process that was replaced change nothing; its successor's numbers start anew."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    assert inbound.accept(2, 0)
    assert not inbound.accept(1, 1)
    assert (inbound.received, inbound.gaps, inbound.fenced) == (2, 0, 1)


@given(st.lists(st.integers(0, 30), max_size=60))
def test_received_and_gaps_are_all_that_was_sent_up_to_the_last(order: list[int]) -> None:
    """Whatever order frames come in, received + gaps = the number after the last accepted one."""
    inbound = Inbound()
    accepted = [seq for seq in order if inbound.accept(1, seq)]
    assert accepted == sorted(set(accepted))
    assert inbound.received + inbound.gaps == inbound.expected == (max(accepted) + 1 if accepted else 0)
    assert inbound.received + inbound.duplicates == len(order)


def test_only_the_incarnation_of_the_roster_is_heard() -> None:
    """Once the roster has spoken, a lower incarnation is over and a higher one early; before, it is taken up."""
    inbound = Inbound()
    assert inbound.accept(999, 5)  # nobody has said who the sender is
    inbound.meet(1)
    with pytest.raises(Early):
        inbound.accept(999, 6)
    assert inbound.accept(1, 0)
    inbound.meet(1)
    assert inbound.accept(1, 1)
    assert not inbound.accept(0, 2)
    assert (inbound.received, inbound.fenced) == (3, 1)


def test_numbers_of_each_pair_balance_with_what_is_over() -> None:
    """When an end is started anew its numbers begin at zero, and received + gaps are those of all incarnations."""
    inbound, outbound = Inbound(), Outbound("h1")
    for incarnation in (1, 2):
        inbound.meet(incarnation)
        assert all(inbound.accept(incarnation, seq) for seq in (0, 1, 4))
    assert (inbound.expected, inbound.over) == (5, 5)
    assert inbound.received + inbound.gaps == inbound.over + inbound.expected
    for incarnation in (1, 3):
        outbound.meet(incarnation)
        outbound.send(b"abc")
        outbound.meet(incarnation)
        outbound.send(b"de")
    assert (outbound.incarnation, outbound.seq, outbound.sent, outbound.bytes) == (3, 2, 4, 10)


def test_a_jump_that_no_link_can_make_is_refused() -> None:
    """A number far ahead is not a gap but a damaged header, and costs nothing but itself."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    with pytest.raises(WireError):
        inbound.accept(1, 2**40)
    assert inbound.accept(1, 1)
    assert inbound.gaps == 0


@pytest.mark.parametrize("forged", [[50_000], [50_000, 50_000], [50_000, 90_000, 20_000]])
def test_one_false_number_is_not_believed(forged: list[int]) -> None:
    """A jump that no other frame bears out costs nothing: every true frame is taken, and it is counted as refused."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    assert not any(inbound.accept(1, seq) for seq in forged)
    assert all(inbound.accept(1, seq) for seq in range(1, 200))
    assert not inbound.accept(1, 50_001)  # what was doubted long ago bears nothing out
    assert (inbound.received, inbound.gaps, inbound.duplicates) == (200, 0, len(forged) + 1)


@pytest.mark.parametrize("apart", [1, 2, STEP])
def test_a_great_loss_is_believed_at_the_second_frame(apart: int) -> None:
    """Where thousands were lost, the first frame after them is lost too, and the next is taken."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    assert not inbound.accept(1, 5_000)
    assert inbound.accept(1, 5_000 + apart)
    assert not inbound.accept(1, 5_000)
    assert all(inbound.accept(1, seq) for seq in range(5_001 + apart, 6_000))
    assert inbound.received + inbound.gaps == inbound.expected == 6_000
    assert inbound.gaps == 4_999 + apart


@pytest.mark.parametrize("meets", [True, False])
def test_a_doubt_ends_with_its_incarnation(meets: bool) -> None:
    """A number that was doubted of one process does not vouch for the next one's."""
    inbound = Inbound()
    assert not inbound.accept(1, 50_000)
    if meets:
        inbound.meet(2)
    assert not inbound.accept(2, 50_001)
    assert inbound.accept(2, 0)


def test_a_false_jump_that_was_believed_is_taken_back() -> None:
    """After two forged numbers that agree the true frames are heard again, and the books balance."""
    inbound = Inbound()
    assert inbound.accept(1, 0)
    assert not inbound.accept(1, 50_000)
    assert inbound.accept(1, 50_001)
    taken = [seq for seq in range(1, 200) if inbound.accept(1, seq)]
    assert taken == list(range(RESYNC, 200))
    assert inbound.received + inbound.gaps == inbound.expected == 200


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 5)), max_size=40))
def test_however_many_are_lost_the_books_balance(stretches: list[tuple[int, int]]) -> None:
    """Frames that come in order, with losses of any size between: none but the first after a great one is refused."""
    inbound, seq, refused = Inbound(), 0, 0
    for lost, come in stretches:
        seq += lost
        for _ in range(come):
            refused += not inbound.accept(1, seq)
            seq += 1
    assert refused == inbound.duplicates <= sum(lost > STEP for lost, _ in stretches)
    assert inbound.received == sum(come for _, come in stretches) - refused
    assert inbound.received + inbound.gaps == inbound.expected


def test_a_replay_of_old_frames_is_never_taken() -> None:
    """Frames that were handled once stay duplicates, however many of them come in a row."""
    inbound = Inbound()
    assert all(inbound.accept(1, seq) for seq in range(500))
    assert not any(inbound.accept(1, seq) for seq in range(500))
    assert inbound.duplicates == 500


@pytest.mark.parametrize("again", [2, 1])
def test_a_replay_after_true_losses_is_never_taken(again: int) -> None:
    """Numbers that were truly lost vouch for no frame that was handled, in this incarnation or the next."""
    inbound = Inbound()
    handled = [*range(20), *range(70, 100)]
    assert all(inbound.accept(1, seq) for seq in handled)
    if again == 2:
        assert all(inbound.accept(2, seq) for seq in handled[:20])
        handled = handled[:20]
    assert not any(inbound.accept(again, seq) for seq in handled)
    assert inbound.gaps == 50


def test_outbound_numbers_and_counts() -> None:
    """Each frame takes the next number, and its bytes are counted once."""
    outbound = Outbound("h1")
    assert outbound.send(b"abc").to == "h1"
    outbound.send(b"de")
    assert (outbound.sent, outbound.bytes) == (2, 5)


def test_closes_leave_together_in_order_and_by_kind() -> None:
    """Closes of one link, presentation and urgency are one sorted batch; after `take` there are none."""
    closing = Closing(2, bulk=10)
    closing.add(0, 1, np.array([5, 9]), awaited=False)
    closing.add(0, 1, np.array([2]), awaited=False)
    assert not closing.due
    closing.add(1, 2, np.array([7]), awaited=True)
    assert closing.due
    batches = [(link, shown, awaited, ids.tolist()) for link, shown, awaited, ids in closing.take()]
    assert batches == [(0, 1, False, [2, 5, 9]), (1, 2, True, [7])]
    assert not list(closing.take())
    assert not closing.due


def test_closes_that_no_frame_could_hold_leave_in_several() -> None:
    """Ids too far apart for a frame, or too many, are cut: a forged id must not end the process."""
    closing = Closing(1, bulk=10)
    closing.add(0, 1, np.array([3, 5]), awaited=False)
    closing.add(0, 1, np.array([2**40, 2**40 + 1]), awaited=False)
    closing.add(0, 1, np.arange(10, 10 + MAX_STIMULI), awaited=False)
    batches = [ids for _, _, _, ids in closing.take()]
    frames = [wire.encode(wire.Closes(0, 1, 1, 0, 1, ids)) for ids in batches]
    told = [stimulus for frame in frames for stimulus in wire.decode(frame).ids.tolist()]
    assert told == [3, 5, *range(10, 10 + MAX_STIMULI), 2**40, 2**40 + 1]


def test_closes_are_due_after_a_number_of_finished_stimuli() -> None:
    """Stimuli whose close went another way count too, so that none is held back for ever longer."""
    closing = Closing(1, bulk=10)
    assert not closing.finished(9)
    assert closing.finished(1)
    list(closing.take())
    assert not closing.finished(9)
