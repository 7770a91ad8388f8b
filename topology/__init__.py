"""What a network is, and every word that its processes exchange. Imports none of our other packages.

    errors.py   Problem, TopologyError: what is wrong, and where
    section.py  what all mappings of a topology file have in common (pydantic)
    spec.py     the model of a topology (pydantic)
    read.py     YAML 1.2 text -> plain maps with places
    scalars.py  what a YAML scalar means; ${VAR}
    load.py     text -> Topology, or TopologyError with every problem
    explain.py  what pydantic found, in plain words
    check.py    the topology as a whole: unknown groups, cycles, groups left out
    graph.py    pure queries: pre and post groups, order, cycles, shards
    resolve.py  Topology + DataShape -> Plan
    draw.py     a topology as text or mermaid; lanes.py its lines
    write.py    Topology -> YAML text; JSON Schema; reference.py the page of docs/
    plan.py     what each process is told; sound.py whether a plan that was read is one
    wire.py     every message; frames.py, blocks.py their bytes on the data plane, packing.py on the control plane
    feed.py     what the broker sends to those who watch; fanout.py what it keeps for those who come later, and
                lives.py of the incarnations of a process (pure)
    address.py  where sockets are; names.py connections to hosts by their names
    keys.py     the keys of processes, in files; issue.py makes and revokes them
    sockets.py  every socket that there is; greeting.py what one says before any handshake; gate.py who comes in on
                tcp, and zap.py who may
    exits.py    exit codes; threads.py threads of a process' BLAS
    process.py  what every process does alike: its loop, its tether, its words; watchdog.py ends one that hangs
    files.py    files that appear whole; checkpoints.py where a run's checkpoints are, and the last good one
    zoo/        ready networks

Functions are imported from their modules (`from topology.load import load`); the classes that everyone names
are here too. They load on first use: a daemon that needs `topology.wire` and `topology.plan` must not pay for
pydantic and ruamel (65 ms and 8 MiB).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from topology.errors import Problem, TopologyError
    from topology.graph import Graph
    from topology.plan import DataShape, Plan
    from topology.spec import Topology

__all__ = ["DataShape", "Graph", "Plan", "Problem", "Topology", "TopologyError"]

_HOME = {
    "DataShape": "plan",
    "Graph": "graph",
    "Plan": "plan",
    "Problem": "errors",
    "Topology": "spec",
    "TopologyError": "errors",
}


def __getattr__(name: str) -> Any:
    """A class of `__all__`, from the module where it lives."""
    if name not in _HOME:
        raise AttributeError(f"module 'topology' has no attribute {name!r}")
    return getattr(import_module(f"topology.{_HOME[name]}"), name)
