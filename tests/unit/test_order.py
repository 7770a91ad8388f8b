"""The order in which the source presents the training part."""

from __future__ import annotations

import numpy as np
import pytest

from neurond.order import Order


def all_of(order: Order, n: int) -> list[int]:
    """Every row that is left, n at a time."""
    rows: list[int] = []
    while not order.exhausted:
        rows += order.take(min(n, order.left)).tolist()
    return rows


def test_each_epoch_has_every_row_once_and_an_order_of_its_own() -> None:
    """Also where volleys reach from one epoch into the next; a last epoch may be a part of one."""
    rows = all_of(Order(10, 25, seed=1), 4)
    assert sorted(rows[:10]) == sorted(rows[10:20]) == list(range(10))
    assert rows[:10] != rows[10:20]
    assert len(rows) == 25
    assert len(set(rows[20:])) == 5
    assert rows == all_of(Order(10, 25, seed=1), 7) != all_of(Order(10, 25, seed=2), 7)


def test_a_saved_run_goes_on_in_its_order() -> None:
    """First what was under way when it was saved, then what comes after that."""
    whole = all_of(Order(10, 25, seed=1), 1)
    order = Order(10, 25, seed=1)
    order.go_on(13, [9, 2, 5])
    assert order.left == 15
    np.testing.assert_array_equal(order.take(2), [9, 2])
    np.testing.assert_array_equal(order.take(4), [5])
    assert all_of(order, 5) == whole[13:]


def test_rows_of_other_data_are_refused() -> None:
    """Nothing is changed by them."""
    order = Order(10, 25, seed=1)
    with pytest.raises(ValueError, match="other data"):
        order.go_on(20, [3, 10])
    assert order.left == 25
