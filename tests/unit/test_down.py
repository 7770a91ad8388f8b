"""What `neurond down` says of a run that somebody else ends at the same time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neurond import runs
from neurond.cli.attached import Asked
from neurond.cli.down import _saved
from neurond.living import Alive
from tests.zoo import plan_of

SAVED = {"generation": 3, "save_error": None}
UNSAVED = {"generation": 3, "save_error": "No space left on device"}


@pytest.mark.parametrize("state", [None, "running", "leaving", "ended"])
@pytest.mark.parametrize(
    ("ends", "saved"),
    [
        ([("running", {}), ("leaving", SAVED), ("ended", SAVED), ("unwritten", {"events": 1})], True),
        ([("running", {}), ("leaving", UNSAVED), ("left", {})], False),
        ([("running", {}), ("ended", {"generation": 0})], False),
        ([("running", {}), ("ended", SAVED), ("running", {}), ("lost", {})], None),
        ([], None),
    ],
)
def test_whether_a_run_was_saved_is_what_its_events_say(
    tmp_path: Path, state: str | None, ends: list[tuple[str, dict[str, Any]]], saved: bool | None
) -> None:
    """The end of the last part tells; where there is none, only a run that was going can have been saved."""
    runs.write_plan(tmp_path, plan_of("xor"))
    lines = [json.dumps({"t_s": 1.0, "process": "broker", "kind": kind, "data": data}) + "\n" for kind, data in ends]
    (tmp_path / "events.jsonl").write_text("".join(lines))
    status = None if state is None else {"state": state, "run_dir": str(tmp_path), "generation": 2}
    expected = False if saved is None and state == "running" else saved  # for there is no checkpoint
    assert _saved(Asked(Alive("ipc:///nowhere", tmp_path), status)) is expected
