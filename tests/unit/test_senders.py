"""Who sends on which link, as a plan says it."""

from __future__ import annotations

from topology.load import load
from topology.plan import DataShape, senders
from topology.resolve import resolve


def test_the_other_end_of_each_link() -> None:
    """Each link of a process has one process at its other end, and both ends name each other."""
    whole = resolve(load("skip"), DataShape(64, 10, 1, 100, 10))
    ends = {group.name: senders(group) for group in whole.groups} | {"source": senders(whole.source)}
    assert ends["source"][whole.source.confirms] == whole.source.readout
    assert ends[whole.source.readout][whole.source.confirms] == "source"
    for name, links in ends.items():
        for index, other in links.items():
            assert ends[other][index] == name
    assert {index for links in ends.values() for index in links} == {
        *(link.index for group in whole.groups for link in group.links_in),
        whole.source.confirms,
    }
