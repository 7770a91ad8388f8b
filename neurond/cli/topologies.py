"""The verbs about topology files: init, zoo, check, expand, graph, schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurond.cli.output import out, out_json, say, suggest
from neurond.errors import WrongUse

if TYPE_CHECKING:
    from topology.plan import Plan
    from topology.spec import Topology

File = Annotated[
    str, typer.Argument(metavar="FILE", help="A topology file, or the name of a ready network, such as digits.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override any value, such as groups.h1.optimizer.lr=0.02."),
]
DataDir = Annotated[
    Path | None,
    typer.Option(envvar="NEUROND_DATA", metavar="DIR", help="Where mnist and fashion-mnist lie.", show_default=False),
]

STARTER = """\
# A neural network as independent processes. Change it, then:
#   neurond check {file}
#   neurond run {file}
neurond: 1                     # version of the file format
name: {name}
seed: 1                        # initial weights, and the order of stimuli

source:
  data: digits                 # built in; or mnist, fashion-mnist, csv:PATH, npz:PATH
  epochs: 30
  window: 64                   # stimuli in flight at most: more is faster, and staler

groups:                        # each group is a process of its own; with `shards: 2` it is two
  h1:  {{size: 64, neuron: relu}}
  out: {{size: 10, neuron: linear}}            # one neuron a class

loss:                          # what the readout is judged by; its gradient passes a threshold too
  reads: out
  kind: cross-entropy
  notify: {{rule: stochastic, threshold: 0.5}}

defaults:                      # for every group and link that does not say otherwise
  group:
    optimizer: {{kind: sgd, lr: 0.1, schedule: cosine}}
    update: {{rule: threshold, threshold: 0.01}}   # a weight changes once the sum of its steps exceeds this
  link:
    notify: {{rule: stochastic, threshold: 0.3}}   # smaller gradients are sent rarely, and count for more

links:                         # spikes go along them, gradient notifications back
  source -> h1:
  h1 -> out:
"""


def planned(file: str, overrides: list[str] | None, data_dir: Path | None) -> tuple[Topology, Plan]:
    """The topology of a verb's arguments and its plan, checked against its data. Raises what `main` explains."""
    from neurond import launch
    from topology.load import load

    topology = load(file, overrides or (), os.environ)
    return topology, launch.planned(topology, launch.path_text(data_dir))[1]


def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Topology files, or names of networks.")],
    set_: Set = None,
    data_dir: DataDir = None,
) -> None:
    """Say everything that is wrong with a topology, with line and column, or that it is ready to run."""
    from neurond.data import DataError
    from topology.check import remarks
    from topology.errors import TopologyError

    problems: TopologyError | DataError | None = None
    for file in files:
        try:
            topology, plan = planned(file, set_, data_dir)
        except (TopologyError, DataError) as error:
            if problems is not None:
                say(str(problems))  # all files are checked; the last error is said by `main`, with the exit code
            problems = error
        else:
            weights = sum(g.size * (sum(link.n_pre for link in g.links_in) + 1) for g in plan.groups)
            for remark in remarks(topology):
                say(f"warning: {remark}")
            say(f"{file}: fine: {len(plan.processes)} processes, {weights:,} weights")
    if problems is not None:
        raise problems
    suggest(f"neurond run {files[0]}")


def expand(file: File, set_: Set = None) -> None:
    """Print the topology with every default written out, as YAML."""
    from topology.load import load
    from topology.write import dump

    out(dump(load(file, set_ or (), os.environ)))


def graph(
    file: File,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As a Mermaid flowchart, for Markdown.")] = False,
    set_: Set = None,
) -> None:
    """Draw who is wired to whom."""
    from topology import draw
    from topology.load import load

    topology = load(file, set_ or (), os.environ)
    out(draw.mermaid(topology) if mermaid else draw.draw(topology))


def zoo(as_json: Annotated[bool, typer.Option("--json", help="One JSON list.")] = False) -> None:
    """List the networks that are ready to run by name."""
    from topology.load import describe, load
    from topology.load import zoo as names

    found = [(name, describe(name), load(name, env={})) for name in names()]
    if as_json:
        out_json(
            [
                {
                    "name": name,
                    "description": words,
                    "data": topology.source.data,
                    "groups": {group: body.size for group, body in topology.groups.items()},
                }
                for name, words, topology in found
            ]
        )
        return
    wide = max(len(name) for name, _, _ in found)
    for name, words, topology in found:
        out(f"{name:<{wide}}  {len(topology.groups):>2} groups  {words}")
    suggest("neurond run digits, or neurond expand digits > mine.yaml to change it")


def schema() -> None:
    """Print the JSON Schema of topology files, for editors."""
    from topology.write import json_schema

    out(json.dumps(json_schema(), indent=2))


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path("topology.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> None:
    """Write a small commented topology to start from."""
    text = STARTER.format(file=file, name=_name(file))
    try:
        with file.open("w" if force else "x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise WrongUse(f"{file} is there already; choose another name, or overwrite it with --force") from None
    say(f"wrote {file}")
    suggest(f"neurond run {file}")


def _name(file: Path) -> str:
    """A network name from a file name: letters, digits, - and _, beginning with a letter."""
    name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in file.stem)[:32]
    return name if name[:1].isalpha() else "network"
