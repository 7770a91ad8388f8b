"""The table of faults and where they are injected: ``python -m tests.fault.table`` writes it into docs/faults.md.

It is read off the tests themselves: every `injects(...)` in a test file, found in its text and not by running it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.fault.faults import Fault, Place

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "faults.md"
BEGIN, END = "<!-- table: python -m tests.fault.table -->\n", "<!-- end of the table -->\n"


def injected() -> dict[tuple[Fault, Place], list[str]]:
    """Test files, relative to `tests/`, by the fault and the place that they inject it into."""
    found: dict[tuple[Fault, Place], list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        name = str(path.relative_to(TESTS))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "injects":
                place, *faults = [_member(argument, name) for argument in node.args]
                assert isinstance(place, Place), f"{name}:{node.lineno}: a place comes first"
                for fault in faults:
                    assert isinstance(fault, Fault), f"{name}:{node.lineno}: then faults"
                    if name not in found[fault, place]:
                        found[fault, place].append(name)
    return found


def table() -> str:
    """The table as Markdown."""
    found = injected()
    rows = ["| Fault | " + " | ".join(place.value for place in Place) + " |", "|---|" + "---|" * len(Place)]
    for fault in Fault:
        cells = (", ".join(map(_link, found.get((fault, place), ()))) for place in Place)
        rows.append(f"| {fault.value} | " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """The page with the table in it as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + table() + END + after


def _member(node: ast.expr, where: str) -> Fault | Place:
    assert isinstance(node, ast.Attribute), f"{where}:{node.lineno}: Fault.X or Place.X is expected"
    assert isinstance(node.value, ast.Name), f"{where}:{node.lineno}: Fault.X or Place.X is expected"
    kind: type[Fault] | type[Place] = {"Fault": Fault, "Place": Place}[node.value.id]
    return kind[node.attr]


def _link(name: str) -> str:
    return f"[{Path(name).stem.removeprefix('test_')}](../tests/{name})"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
