"""Simulated networks with faults drawn by a seed, and the books that must be right whatever they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neurond import data
from neurond.group import GroupMachine
from neurond.links import Inbound
from neurond.machine import Machine
from neurond.source import SourceMachine
from tests.simulated import Faults, Network
from topology.load import loads
from topology.resolve import DataShape, resolve

TOPOLOGY = """
neurond: 1
name: faulty
seed: {seed}
source: {{data: digits, epochs: 0.1, test: 0.05, window: {window}, volley: {volley}, opening: 100{retry}}}
groups:
  a: {{size: 12, neuron: relu, shards: 2{memory}}}
  b: {{size: 9, neuron: tanh}}
  c: {{size: 8, neuron: relu}}
  out: {{size: 10, neuron: linear}}
loss: {{reads: out, kind: cross-entropy, notify: {loss_rule}}}
defaults:
  group: {{join: {join}, optimizer: {{kind: sgd, lr: {lr}}}, update: {{rule: {update}, threshold: 0.001}}}}
  link: {{notify: {rule}}}
links: {{source -> a: , a -> b: , a -> c: , b -> out: , c -> out: , source -> out: }}
"""
RULES = ("stochastic", "exact", "drop", "residual", "quantum")


def notify(rule: str, threshold: float) -> str:
    """A rule as YAML; one that has no threshold must not be given one."""
    return "{rule: exact}" if rule == "exact" else f"{{rule: {rule}, threshold: {threshold}}}"


def build(
    seed: int,
    faults: Faults,
    retry: str = ", retry: 500ms",
    volleys: int | None = None,
    join: str = "match",
    lr: float = 0.05,
    update: str = "threshold",
) -> Network:
    """A network whose volleys, window (in volleys, if not given) and rules the seed draws."""
    rng = np.random.default_rng(seed)
    volley = int(rng.choice([1, 4, 16]))
    text = TOPOLOGY.format(
        seed=seed,
        volley=volley,
        window=volley * (volleys or int(rng.choice([1, 2, 4]))),
        retry=retry,
        join=join,
        lr=lr,
        update=update,
        rule=notify(RULES[seed % len(RULES)], 0.05),
        memory=", memory: 128" if seed % 3 == 0 else "",
        loss_rule=notify(RULES[seed // 5 % len(RULES)], 0.2),
    )
    examples = data.load("digits", test=0.05)
    shape = DataShape(64, 10, 1, len(examples.x_train), len(examples.x_test))
    return Network(resolve(loads(text), shape), examples, seed, faults)


def draw_faults(seed: int) -> Faults:
    """Every fourth run has clean links; the others have some of everything."""
    if seed % 4 == 0:
        return Faults(delay_s=0.01)
    rng = np.random.default_rng([seed, 1])
    drop, double, reorder, delay, stall = rng.uniform(0, [0.1, 0.1, 0.3, 0.05, 0.002])
    return Faults(drop, double, reorder, delay, stall=stall, stall_s=1.5)  # three times as long as `retry`


def inbounds(machine: Machine) -> list[Inbound]:
    """Every receiving end of a process."""
    if isinstance(machine, GroupMachine):
        return machine._wiring.inbounds()
    assert isinstance(machine, SourceMachine)
    return [*machine._closes_in, machine._confirms_in]


def check_books(network: Network) -> None:
    """Every frame is accounted for, and nothing is remembered that should not be."""
    plan = network.plan
    # sent + doubled = handled + refused as not in order + dropped, for each pair of processes
    taken: dict[tuple[str, str], int] = {}
    for name, machine in network.machines.items():
        for link, counted in machine.telemetry(network.now).links.items():
            pre, post = (end.strip() for end in link.split("->"))
            post = plan.source.readout if post == "loss" else post
            pair = (post, pre) if name == pre else (pre, post)
            taken[pair] = taken.get(pair, 0) + counted["received"] + counted["duplicates"]
            assert counted["fenced"] == 0
        assert network.counters(name)["wire_errors"] == 0
    for pair, sent in network.sent.items():
        assert sent + network.doubled[pair] == taken[pair] + network.dropped[pair], pair

    # gaps: all that was sent before the last frame that was taken, and did not come in its turn
    for name, machine in network.machines.items():
        for inbound in inbounds(machine):
            assert inbound.received + inbound.gaps == inbound.expected, name

    for name, group in network.groups.items():
        counters = network.counters(name)
        assert len(group.memory) <= group.plan.memory
        if network.faults.drop == 0:
            assert counters["late"] == counters["expired"] == 0
            assert len(group.memory) == 0, f"{name} never forgot {len(group.memory)} stimuli"
            assert counters["stimuli"] == network.counters("source")["presented"]


def draw_disasters(seed: int) -> Faults:
    """Processes are killed and cut off in the course of a run, beside all that a messenger can do."""
    rng = np.random.default_rng([seed, 2])
    messenger = draw_faults(seed)
    kill, down, cut, cut_for, journal, news = rng.uniform(0, [0.1, 1.0, 0.1, 3.0, 1.0, 0.1])
    disasters = {"kill": kill, "down_s": down, "cut": cut, "cut_s": cut_for, "journal_s": journal, "news_s": news}
    # Slow enough for a run to last some seconds.
    return replace(messenger, **disasters, delay_s=messenger.delay_s + 0.02)


def check_books_of_the_dead(network: Network) -> None:
    """Every frame is accounted for, whoever was killed: handled, refused, dropped on the way, or lost in a death."""
    handled = refused = 0
    for machine in (*network.machines.values(), *network.buried):
        told = machine.telemetry(network.now)
        handled += sum(counted["received"] + counted["duplicates"] for counted in told.links.values())
        refused += told.counters["fenced"]
        assert told.counters["wire_errors"] == 0
        for inbound in inbounds(machine):
            assert inbound.received + inbound.gaps == inbound.over + inbound.expected, machine.name
    came = sum(network.sent.values()) + sum(network.doubled.values()) - sum(network.dropped.values())
    assert came == handled + refused + network.lost_in_death
    for name, group in network.groups.items():
        assert len(group.memory) <= group.plan.memory, name
