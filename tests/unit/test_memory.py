"""What a group remembers: joining, expiry, presentations, closes; and what a readout has seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurond.memory import Memory
from neurond.ring import Ring, numbers, side_by_side
from neurond.seen import Seen


def ids(*numbers: int) -> np.ndarray:
    """Stimuli, as frames carry them."""
    return np.array(numbers, np.int64)


def rows(n: int, width: int, value: float = 1.0) -> np.ndarray:
    """The same value for every input of n stimuli."""
    return np.full((n, width), value, np.float32)


def test_a_stimulus_is_ready_when_all_its_inputs_have_come() -> None:
    """With two inputs only the stimuli of which both have come are ready, with the values that came."""
    memory = Memory(8, 2, [3, 1], posts=1)
    slots, ready = memory.arrive(0, ids(1, 2, 3), 1, rows(3, 3, 5.0))
    assert not len(ready)
    slots, ready = memory.arrive(1, ids(2, 3), 1, rows(2, 1, 7.0))
    np.testing.assert_array_equal(ready, [2, 3])
    np.testing.assert_array_equal(memory.inputs[0][slots], [[5, 5, 5, 1], [5, 5, 5, 1]])  # the last feeds the bias
    np.testing.assert_array_equal(memory.inputs[1][slots], [[7], [7]])


def test_the_ring_lets_the_oldest_open_stimulus_expire() -> None:
    """When more stimuli have come than there are slots, those that are still open are forgotten and counted."""
    memory = Memory(8, 2, [1], posts=1)
    for first in (0, 4, 8):
        memory.arrive(0, np.arange(first, first + 4), 1, rows(4, 1))
    assert memory.expired == 4
    assert len(memory) == 8
    slots, known = memory.find(ids(3, 4), 1)
    assert len(numbers(slots)) == 1
    assert known is not None
    np.testing.assert_array_equal(known, [False, True])
    assert memory.late == 1


def test_a_higher_presentation_begins_anew_and_a_lower_one_is_late() -> None:
    """Inputs of different presentations are never joined; what an old one had summed up is gone."""
    memory = Memory(8, 2, [1, 1], posts=1)
    memory.arrive(0, ids(5), 1, rows(1, 1))
    memory.add(slice(0, 1), rows(1, 2, 9.0))
    assert memory.touched.any()
    _, ready = memory.arrive(1, ids(5), 2, rows(1, 1, 2.0))
    assert not len(ready)
    assert not memory.touched.any()
    assert not memory.gradient.any()
    memory.arrive(0, ids(5), 1, rows(1, 1))
    assert memory.late == 1
    slots, ready = memory.arrive(0, ids(5), 2, rows(1, 1, 3.0))
    np.testing.assert_array_equal(ready, [5])
    assert memory.inputs[1][slots][0, 0] == 2.0


def test_the_same_input_twice_is_late_the_second_time() -> None:
    """A frame that is handled twice changes nothing the second time."""
    memory = Memory(8, 2, [1, 1], posts=1)
    memory.arrive(0, ids(5), 1, rows(1, 1, 1.0))
    memory.arrive(0, ids(5), 1, rows(1, 1, 2.0))
    slots, ready = memory.arrive(1, ids(5), 1, rows(1, 1))
    assert len(ready) == 1
    assert memory.inputs[0][slots][0, 0] == 1.0
    assert memory.late == 1


def test_a_stimulus_is_done_once_every_post_group_has_closed_it() -> None:
    """The last close says done, exactly once, in whatever order closes come and however often."""
    memory = Memory(8, 2, [1], posts=2)
    slots, _ = memory.arrive(0, ids(1, 2), 1, rows(2, 1))
    np.testing.assert_array_equal(memory.close(1, slots), [False, False])
    np.testing.assert_array_equal(memory.close(1, slots), [False, False])
    np.testing.assert_array_equal(memory.close(0, memory.pick(slots, np.array([True, False]))), [True])
    np.testing.assert_array_equal(memory.close(0, slots), [False, True])
    memory.forget(slots)
    assert len(memory) == 0


def test_a_slot_that_was_taken_over_is_no_longer_held() -> None:
    """Who kept slots while the ring came round learns which of them have other owners now."""
    memory = Memory(4, 1, [1], posts=1)
    slots, kept = memory.arrive(0, ids(0, 1), 1, rows(2, 1))
    assert memory.holds(slots, kept, 1).all()
    memory.arrive(0, ids(2, 3), 1, rows(2, 1))
    memory.arrive(0, ids(4), 1, rows(1, 1))
    np.testing.assert_array_equal(memory.holds(slots, kept, 1), [False, True])
    assert not memory.holds(slots, kept, 2).any()


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.booleans()), min_size=1, max_size=5))
def test_slots_side_by_side_are_the_same_slots(parts: list[tuple[int, int, bool]]) -> None:
    """Slots joined are those of all parts in their order, and a slice only of what is side by side."""
    slots = [slice(at, at + n) if sliced else np.arange(at, at + n) for at, n, sliced in parts]
    expected = [at + i for at, n, _ in parts for i in range(n)]
    assert numbers(side_by_side(slots)).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 9), min_size=1)), max_size=60), st.booleans())
def test_a_ring_finds_what_a_dict_would(steps: list[tuple[int, set[int]]], apart: bool) -> None:
    """Whatever is begun, in whatever order of ids, near or far, each stimulus is found in its slot or not at all."""
    ring, model = Ring(16), dict[int, int]()
    spread = 1 << 40 if apart else 1
    for first, offsets in steps:
        wanted = ids(*sorted(10 * first * spread + k for k in offsets))
        slots, known = ring.find(wanted)
        assert numbers(slots).tolist() == [model[k] for k in wanted.tolist() if k in model]
        assert (known is None) == all(k in model for k in wanted.tolist())
        if known is not None:
            assert known.tolist() == [k in model for k in wanted.tolist()]
        if known is None:
            ring.forget(slots)
            model = {k: slot for k, slot in model.items() if k not in wanted.tolist()}
            continue
        begun, gone = ring.begin(wanted[~known])
        taken = numbers(begun).tolist()
        assert gone == sum(slot in taken for slot in model.values())
        model = {k: slot for k, slot in model.items() if slot not in taken}
        model |= dict(zip(wanted[~known].tolist(), taken, strict=True))
        assert ring.held == len(model)


@given(st.lists(st.sets(st.integers(0, 3 * Seen.PAGE), min_size=1, max_size=20), max_size=20))
def test_seen_is_a_set(batches: list[set[int]]) -> None:
    """For any ids in any order `add` answers as a set of integers would."""
    seen, model = Seen(), set[int]()
    for batch in batches:
        numbers = sorted(batch)
        np.testing.assert_array_equal(seen.add(ids(*numbers)), [n in model for n in numbers])
        model |= batch


def test_seen_keeps_full_pages_as_numbers() -> None:
    """A run of any length in order costs one open page."""
    seen = Seen()
    for first in range(0, 4 * Seen.PAGE, 4096):
        assert not seen.add(np.arange(first, first + 4096)).any()
    assert len(seen._pages) == 0
    assert seen.add(ids(0, 4 * Seen.PAGE - 1)).all()


@pytest.mark.parametrize("count", [1, 3])
def test_random_traffic_never_leaks_a_slot(count: int) -> None:
    """After any mix of arrivals and closes the slots in use are exactly the stimuli remembered."""
    rng = np.random.default_rng(count)
    memory = Memory(64, 1, [1] * count, posts=1)
    remembered = set[int]()
    for step in range(2000):
        first = step // 4 + int(rng.integers(0, 8))
        batch = np.arange(first, first + int(rng.integers(1, 9)))
        memory.arrive(int(rng.integers(count)), batch, int(rng.integers(1, 3)), rows(len(batch), 1))
        slots, known = memory.find(batch, 1)
        found = batch if known is None else batch[known]
        done = memory.close(0, slots)
        memory.forget(memory.pick(slots, done))
        remembered |= set(batch.tolist())
        remembered -= set(found[done].tolist())
        owned = memory._ring.owner[memory._ring.owner >= 0]
        assert len(set(owned.tolist())) == len(owned) == len(memory)
        assert set(owned.tolist()) <= remembered
