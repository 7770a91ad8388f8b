"""Plans of ready networks."""

from __future__ import annotations

from neurond import data
from topology.load import load
from topology.plan import Plan
from topology.resolve import DataShape, resolve


def plan_of(name: str, *overrides: str) -> Plan:
    """The plan of a network of the zoo; `overrides` as `--set` takes them."""
    topology = load(name, overrides)
    shape = data.describe(topology.source.data)
    return resolve(topology, DataShape(shape.features, shape.classes, shape.targets, shape.train, shape.test))
