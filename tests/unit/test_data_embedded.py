import hashlib
import time
from collections import Counter

import numpy as np
import pytest

from neurond.data import DataError, describe, load


def test_digits_are_the_1797_of_uci() -> None:
    """Every class has as many images as UCI's description of the test part says, and no pixel is above 16."""
    data = load("digits")
    y = np.concatenate([data.y_train, data.y_test])
    assert Counter(y.tolist()) == dict(enumerate([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]))
    assert max(data.x_train.max(), data.x_test.max()) == 16
    assert data.scale == 1 / 16
    assert data.classes == tuple("0123456789")
    assert data.x_train.dtype == np.uint8
    assert data.x_train.flags.c_contiguous


def test_digits_hold_the_same_fifth_out_for_ever() -> None:
    """The held-out rows depend neither on the run's seed nor on the version of NumPy."""
    one, other = load("digits", seed=1), load("digits", seed=2)
    np.testing.assert_array_equal(one.x_test, other.x_test)
    assert len(one.y_test) == 359
    assert hashlib.sha256(one.x_test.tobytes() + bytes(one.y_test.tolist())).hexdigest()[:16] == "ecf0284c9f8e16a0"


def test_digits_parts_share_no_row() -> None:
    """Training and testing part are a partition of the embedded rows."""
    small, large = load("digits", test=0.1), load("digits", test=0.5)
    for data in (small, large):
        assert len(data.x_train) + len(data.x_test) == 1797
        assert describe("digits", test=len(data.x_test) / 1797) == data.shape
    together = np.concatenate([small.x_train, small.x_test]), np.concatenate([large.x_train, large.x_test])
    for rows in together:
        assert Counter(map(bytes, rows)) == Counter(map(bytes, together[0]))


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    """The held-out share lies between 0 and 1, both excluded."""
    with pytest.raises(DataError, match=r"^digits: test must be a share above 0 and below 1"):
        load("digits", test=share)


def test_digits_load_in_milliseconds() -> None:
    """Loading the demo's data is no part of the wait for the first stimulus."""
    load("digits")
    best = min(_seconds(lambda: load("digits")) for _ in range(5))
    assert best < 0.02


def test_xor_is_exclusive_or() -> None:
    """The test part is the truth table, and the training part repeats nothing else."""
    data = load("xor")
    table = {(0, 0): 0, (0, 1): 1, (1, 0): 1, (1, 1): 0}
    assert dict(zip(map(tuple, data.x_test.tolist()), data.y_test.tolist(), strict=True)) == table
    shown = Counter((*x, y) for x, y in zip(data.x_train.tolist(), data.y_train.tolist(), strict=True))
    assert shown == {(*x, y): len(data.x_train) // 4 for x, y in table.items()}
    assert describe("xor") == data.shape


def _seconds(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start
