"""What was measured before, in a file: a measurement replaces its own older figures, and the page shows all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.report import Row

Kept = dict[str, dict[str, Any]]
"""By the name of the measurement: the rows, where and when they were measured, and beside what load."""

_HEAD = """\
# Benchmarks

What is promised in numbers, and what was measured: medians, with the least and the largest of n. Written by
`{command}`; what can be measured with one more `--only NAME` replaces its own rows. A goal that is
missed stands here as missed. Every single figure is in `{figures}`.

| What | Goal | Measured | |
|---|---|---|---|
"""
_VERDICTS = {True: "met", False: "**missed**", None: "-"}


def read(path: Path) -> Kept:
    """What the file holds; nothing where there is none yet."""
    found: Kept = json.loads(path.read_text()) if path.exists() else {}
    return found


def measured(rows: Sequence[Row], here: Mapping[str, Any], load: str, *, quick: bool) -> dict[str, Any]:
    """One measurement as it is kept."""
    return {"rows": [asdict(row) for row in rows], "environment": dict(here), "load_before": load, "quick": quick}


def write(path: Path, kept: Kept) -> None:
    """Write all that is kept."""
    path.write_text(json.dumps(kept, indent=1) + "\n")


def page(kept: Kept, figures: str, command: str) -> str:
    """All of it as a page in Markdown: the table, then each row's command and single measurements."""
    table, below = [], []
    for name, one in kept.items():
        quick = " (quick: NOT the promised conditions)" if one["quick"] else ""
        here = one["environment"]
        below += [
            f"\n## {name}{quick}\n",
            f"{here['started'][:10]}, {here['cpus']} cores, Python {here['python']}, NumPy "
            f"{here['packages']['numpy']}; load over 1, 5 and 15 minutes before it {one['load_before']}.",
        ]
        for row in one["rows"]:
            cells = (row["name"], row["goal"], row["measured"], _VERDICTS[row["met"]])
            table.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            below += [f"\n**{row['name']}**: `{row['command']}`", ""] if row["details"] else []
            below += [f"- {line}" for line in row["details"]]
    return _HEAD.format(command=command, figures=figures) + "\n".join([*table, *below]) + "\n"
