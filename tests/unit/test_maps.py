"""The map of a package, in the docstring of its `__init__`, names every module, and no other."""

import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "package",
    [
        "broker",
        "monitor",
        "monitor.console",
        "neurond",
        "neurond.cli",
        "neurond.data",
        "neurond.experiments",
        "tests.bench",
        "topology",
    ],
)
def test_a_map_names_every_module(package: str) -> None:
    """Whoever adds or removes a module says there what it is for."""
    named = set(re.findall(r"\b(\w+)\.py\b", import_module(package).__doc__ or ""))
    modules = {m.stem for m in (ROOT / package.replace(".", "/")).glob("*.py")}
    assert len(modules) > 5
    assert named - {"__main__"} == modules - {"__init__", "__main__"}
