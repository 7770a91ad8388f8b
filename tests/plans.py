"""Plans of single processes, made without a topology."""

from __future__ import annotations

from typing import Any

from topology.plan import GroupPlan, LinkPlan, OptimizerPlan, UpdatePlan


def group_plan(
    name: str, part: tuple[int, int, int], neuron: str, links_in: tuple[LinkPlan, ...] = (), **changes: Any
) -> GroupPlan:
    """A group process; `part` is (first neuron, neurons, neurons of the group), `changes` any other value."""
    start, size, group_size = part
    values: dict[str, Any] = {
        "name": name,
        "group": name.split(".")[0],
        "size": size,
        "start": start,
        "group_size": group_size,
        "fan_in": sum(link.n_pre for link in links_in),
        "neuron": neuron,
        "slope": 0.1,
        "join": "match",
        "init": "auto",
        "optimizer": OptimizerPlan(),
        "update": UpdatePlan(),
        "staleness_decay": 0.0,
        "seed": 1,
        "memory": 64,
        "links_in": links_in,
        "links_out": (),
    }
    return GroupPlan(**(values | changes))
