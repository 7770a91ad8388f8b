"""The map of a package, in the docstring of its `__init__`, names every module."""

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", ["broker", "monitor", "neurond", "topology"])
def test_every_module_stands_in_the_map(package: str) -> None:
    """Whoever adds a module says there what it is for."""
    words = import_module(package).__doc__ or ""
    modules = [m.name for m in (ROOT / package).glob("*.py") if not m.name.startswith("__")]
    assert len(modules) > 5
    assert [m for m in modules if m not in words] == []
