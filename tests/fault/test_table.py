"""Every fault of the enum is injected somewhere, and the page says where."""

from __future__ import annotations

import pytest

from tests.fault import table
from tests.fault.faults import Fault


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_every_fault_is_injected(fault: Fault) -> None:
    """There is a test that injects it."""
    assert any(where for (injected, _), where in table.injected().items() if injected is fault)


def test_the_page_is_up_to_date() -> None:
    """docs/faults.md holds the table as the tests have it: python -m tests.fault.table."""
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.BEGIN in text
    assert table.page(text) == text
