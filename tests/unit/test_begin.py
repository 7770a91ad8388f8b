"""What a process begins with, and what it says when it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from broker.manifest import write_manifest
from neurond import begin, checkpoint, data, journal
from neurond.changes import Shadow, fingerprint
from neurond.group import GroupMachine
from topology import plan
from topology.load import load
from topology.resolve import resolve


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"optimizer": {"kind": "lion"}}, "unknown optimizer 'lion': one of "),
        ({"update": {"rule": "never"}}, "unknown update rule 'never': one of "),
        ({"optimizer": {"colour": "red"}}, "colour"),
        ({"optimizer": ["sgd"]}, "mapping"),
        ({"size": "many"}, "'str'"),
        ({"links_in": [{}]}, "it has no 'notify'"),
    ],
    ids=str,
)
def test_a_part_of_another_version(change: dict[str, Any], expected: str) -> None:
    """A part of a plan that this version cannot make a machine of is one line, whatever is wrong with it."""
    whole = resolve(load("xor"), data.describe("xor"))
    part = plan.to_dict(whole.groups[0]) | change
    with pytest.raises(begin.StartError, match=r"^the broker sent a plan of another version: ") as error:
        begin.make_machine("group", part, 1, None)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
