"""Topology + DataShape -> Plan: shards become groups, links are numbered, every number is filled in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from topology.blocks import MAX_CELLS, MAX_WIDTH
from topology.check import check_structure
from topology.errors import Marks, Problem, TopologyError
from topology.frames import COALESCED
from topology.graph import graph_of, shard_names, shards
from topology.plan import (
    PLAN_VERSION,
    SOURCE,
    DataShape,
    GroupPlan,
    LinkPlan,
    LossPlan,
    NotifyPlan,
    OptimizerPlan,
    Plan,
    SourcePlan,
    UpdatePlan,
)

if TYPE_CHECKING:
    from topology.spec import Group, Notify, Topology


@dataclass(frozen=True, slots=True)
class _Process:
    """A whole group, or the source, as one or more processes: (name, first neuron, neurons)."""

    group: str
    size: int
    parts: tuple[tuple[str, int, int], ...]


def check_data(topology: Topology, shape: DataShape) -> None:
    """Raise TopologyError, with places, unless the topology's output and loss fit the data."""
    problems = list(_misfits(topology, shape))
    if problems:
        raise TopologyError(problems)


HELD = 4
"""All groups of a chain hold closes back for this part of the memory at most: a stimulus is closed well before the
memory has come round to it."""

PLACES = 4
"""This part of the smallest memory may be in flight where the window counts gradients: others go by meanwhile."""


def resolve(
    topology: Topology,
    shape: DataShape,
    data_dir: str | None = None,
    transport: Literal["ipc", "tcp"] = "ipc",
) -> Plan:
    """The plan of a run.

    Args:
        topology: what a person wrote.
        shape: what the data turned out to be.
        data_dir: folder in which the source looks for the data; None is its own search.
        transport: decides the coding of links that do not say: fast on ipc, small on tcp.

    Returns:
        The plan. Links are numbered as the topology writes them, shard by shard; then come the confirmations.

    Raises:
        TopologyError: if topology and data do not fit each other.

    """
    problems = check_structure(topology.written(), topology._marks or Marks(topology.name))
    if problems:
        raise TopologyError(problems)
    check_data(topology, shape)

    processes = _processes(topology, shape)
    links = tuple(_links(topology, processes, "small" if transport == "tcp" else "fast"))
    one_hot = shape.classes > 0 and topology.loss.kind == "mse"
    targets = shape.classes if one_hot else 1 if shape.classes else shape.targets
    loss = LossPlan(topology.loss.kind, _notify(topology.loss.notify), targets, confirms=len(links))
    source = SourcePlan(
        data=topology.source.data,
        data_dir=data_dir,
        label=topology.source.label,
        test=topology.source.test,
        features=shape.features,
        classes=shape.classes,
        targets=targets,
        one_hot=one_hot,
        epochs=topology.source.epochs,
        window=topology.source.window,
        volley=topology.source.volley,
        opening=topology.source.opening,
        retry_s=topology.source.retry_s,
        eval_every=topology.source.eval_every,
        seed=topology.seed,
        links_out=tuple(link for link in links if link.pre == SOURCE),
        readout=topology.loss.reads,
        confirms=loss.confirms,
        reading=shape.reading,
        journal_s=topology.journal_s,
        window_by=topology.source.window_by,
        places=max(topology.source.window, min(_memory(topology, g) for g in topology.groups.values()) // PLACES),
    )
    groups = tuple(_groups(topology, processes, links, loss, shape.train))
    return Plan(PLAN_VERSION, topology.name, topology.seed, source, groups)


def _processes(topology: Topology, shape: DataShape) -> dict[str, _Process]:
    """The source and every group of the topology, with the processes that each is."""
    processes = {SOURCE: _Process(SOURCE, shape.features, ((SOURCE, 0, shape.features),))}
    for name, group in topology.groups.items():
        names = shard_names(name, group.shards)
        parts = tuple((n, *s) for n, s in zip(names, shards(group.size, group.shards), strict=True))
        processes[name] = _Process(name, group.size, parts)
    return processes


def _groups(
    topology: Topology, processes: dict[str, _Process], links: Sequence[LinkPlan], loss: LossPlan, train: int
) -> Iterator[GroupPlan]:
    """Every group process, in an order that follows the links."""
    graph = graph_of(topology)
    links_in: dict[str, list[LinkPlan]] = {}
    links_out: dict[str, list[LinkPlan]] = {}
    for link in links:
        links_in.setdefault(link.post, []).append(link)
        links_out.setdefault(link.pre, []).append(link)
    depth = graph.depth()
    for name in graph.order():
        group = topology.groups[name]
        memory = _memory(topology, group)
        for process, start, size in processes[name].parts:
            yield GroupPlan(
                name=process,
                group=name,
                size=size,
                start=start,
                group_size=group.size,
                fan_in=sum(processes[pre].size for pre in graph.pre(name)),
                neuron=group.neuron,
                slope=group.slope,
                join=group.join,
                init=group.init,
                optimizer=_optimizer(topology, group, train),
                update=_update(group),
                staleness_decay=group.staleness_decay,
                seed=topology.seed,
                memory=memory,
                links_in=tuple(links_in.get(process, ())),
                links_out=tuple(links_out.get(process, ())),
                loss=loss if name == topology.loss.reads else None,
                journal_s=topology.journal_s,
                hold=max(1, memory // (HELD * depth)),
                look_ahead=group.look_ahead,
                delay_compensation=group.delay_compensation,
            )


def _misfits(topology: Topology, shape: DataShape) -> Iterator[Problem]:
    data = topology.source.data
    readout, kind = topology.loss.reads, topology.loss.kind
    size = topology.groups[readout].size
    at_size = ("groups", readout, "size")
    if shape.train < 1:
        yield topology.problem(("source", "data"), f"'{data}' holds no stimuli to train on")
    if shape.features < 1:
        yield topology.problem(("source", "data"), f"'{data}' holds no inputs")
    if shape.classes == 1:
        yield topology.problem(("source", "data"), f"'{data}' holds one class only")
    elif shape.classes and size != shape.classes:
        message = f"the readout has {size} neurons, but '{data}' has {shape.classes} classes"
        yield topology.problem(at_size, message, f"did you mean {shape.classes}?")
    if not shape.classes and kind == "cross-entropy":
        message = f"cross-entropy is for classes, but '{data}' has numbers to predict"
        yield topology.problem(("loss", "kind"), message, "did you mean 'mse'?")
    if not shape.classes and size != shape.targets:
        message = f"the readout has {size} neurons, but a target of '{data}' has {shape.targets} numbers"
        yield topology.problem(at_size, message, f"did you mean {shape.targets}?")
    yield from _too_large(topology, shape)


def _too_large(topology: Topology, shape: DataShape) -> Iterator[Problem]:
    """What would not fit into one frame: the spikes of a volley."""
    volley = min(topology.source.volley, topology.source.window)
    widths: dict[tuple[str, ...], tuple[int, int, str]] = {("source", "data"): (shape.features, volley, "inputs")}
    for name, group in topology.groups.items():
        largest = max(n for _, n in shards(group.size, group.shards))
        widths["groups", name, "size"] = (largest, max(volley, COALESCED), "neurons in a process")
    for at, (width, stimuli, what) in widths.items():
        if width > MAX_WIDTH:
            hint = "" if at == ("source", "data") else "use shards"
            yield topology.problem(at, f"{width:,} {what} are more than {MAX_WIDTH:,}", hint)
        elif width * stimuli > MAX_CELLS:
            message = f"{stimuli:,} stimuli of {width:,} {what} are more than a frame holds, {MAX_CELLS:,} values"
            hint = "use smaller volleys" if stimuli == volley else "use shards"
            yield topology.problem(at, message, hint)


def _links(topology: Topology, processes: dict[str, _Process], coding: str) -> Iterator[LinkPlan]:
    index = 0
    for (pre, post), link in zip(topology.pairs, topology.links.values(), strict=True):
        for pre_name, pre_start, n_pre in processes[pre].parts:
            for post_name, _, _ in processes[post].parts:
                yield LinkPlan(
                    index=index,
                    pre=pre_name,
                    post=post_name,
                    n_pre=n_pre,
                    pre_group=pre,
                    pre_start=pre_start,
                    pre_size=processes[pre].size,
                    coding=link.coding or coding,
                    values=link.values,
                    notify=_notify(link.notify),
                    gated=pre != SOURCE and topology.groups[pre].neuron == "relu",
                    feedback=link.feedback,
                )
                index += 1


def _notify(notify: Notify) -> NotifyPlan:
    """A rule as the machines read it: T is 0 for rules that have none, k is 0 for all but top_k."""
    return NotifyPlan(
        rule=notify.rule,
        threshold=notify.threshold if notify.rule not in ("exact", "top_k") else 0.0,
        k=notify.k if notify.rule == "top_k" else 0,
        clip=notify.clip,
        noise=notify.noise,
        cool=notify.cool,
        adapt=notify.adapt,
        target=notify.target,
        residual_clip=notify.residual_clip,
        flush=notify.flush,
    )


def _optimizer(topology: Topology, group: Group, train: int) -> OptimizerPlan:
    """The learning rate is that of a mini-batch of one volley, or of the window if that is less."""
    optimizer, source = group.optimizer, topology.source
    return OptimizerPlan(
        kind=optimizer.kind,
        lr=optimizer.lr,
        lr_unit=min(source.volley, source.window),
        momentum=optimizer.momentum,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        decay=optimizer.decay,
        epsilon=optimizer.epsilon,
        schedule=optimizer.schedule,
        horizon=round(source.epochs * train),
        warmup=optimizer.warmup,
        steps=tuple(optimizer.steps or ()),
        factor=optimizer.factor,
    )


def _update(group: Group) -> UpdatePlan:
    update = group.update
    return UpdatePlan(
        rule=update.rule,
        every=update.every,
        threshold=update.threshold,
        release=update.release,
        cool=update.cool,
        adapt=update.adapt,
        target=update.target,
        residual_clip=update.residual_clip,
        flush=update.flush,
        trace=update.trace,
    )


def _memory(topology: Topology, group: Group) -> int:
    """Stimuli a group remembers unless told: the next power of two from 16 windows on, at least 256.

    Most stimuli give their place in the window back at once, so many go by while one waits for its gradient.
    """
    return group.memory or max(256, 1 << (16 * topology.source.window - 1).bit_length())
