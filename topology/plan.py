"""What each process of a run is told: the topology, resolved, flat and already checked.

People write a topology (`spec.py`); processes receive a plan. Only the broker holds the whole of it and
hands every process its own part, so a daemon starts without a YAML reader and without a validator.
A group of the topology with `shards: k` is k groups of the plan, each a process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PLAN_VERSION = 1

SOURCE = "source"
"""Name of the process that feeds stimuli, and of the links' first `pre`."""

LOSS_LINK = f"{SOURCE} -> loss"
"""Name of the link on which targets go to the readout, and confirmations come back."""

REPORT_S = 0.5
"""Seconds between two reports of a process at work; rows of figures are written as often."""

BROKER, MONITOR = "broker", "monitor"
"""Names of the process that hands out the plan, and of those who watch and command: beside the plan's own."""

SMALLEST = 1e-12
"""Least threshold, target, share by which a threshold cools, and learning rate above 0: products stay in float32."""

NAME = r"[A-Za-z][A-Za-z0-9_-]{0,31}"
"""Pattern of what a topology and a group may be called."""


@dataclass(frozen=True, slots=True)
class NotifyPlan:
    """How gradients become notifications on one link, or at the loss (`neurond/rules.py`)."""

    rule: str = "stochastic"  # exact | drop | top_k | residual | quantum | stochastic | sampled
    threshold: float = 0.3  # T, in units of dLoss/dActivation of one stimulus
    k: int = 0  # top_k only: neurons notified a stimulus
    clip: float = 0.0  # largest |g| before the rule; 0 is no clip
    noise: float = 0.0  # standard deviation of Gaussian noise added before the rule; 0 is none
    cool: float = 1.0  # T falls with the schedule of the post group's learning rate, to this share; 1 is constant
    adapt: str = "off"  # off | link | neuron: whether T is steered, one T a link or one a neuron
    target: float = 0.2  # `adapt`: share of the gradients that come to the rule that is to be sent
    residual_clip: float = 0.0  # residual, quantum: largest |sum| kept and sent, in units of T; 0 is no clip
    flush: int = 0  # residual, quantum: each neuron's sum is sent once in so many stimuli with a gradient; 0 is never


@dataclass(frozen=True, slots=True)
class OptimizerPlan:
    """How gradients become proposed weight steps (`neurond/optimizers.py`)."""

    kind: str = "sgd"  # sgd | momentum | adagrad | rmsprop | adam
    lr: float = 0.05  # learning rate of one mini-batch of `lr_unit` stimuli
    lr_unit: int = 1  # a stimulus' gradient enters as gradient / lr_unit (the source's volley)
    momentum: float = 0.9
    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 0.9  # rmsprop
    epsilon: float = 1e-8
    schedule: str = "constant"  # constant | linear | cosine | step: lr over the group's own count of stimuli
    horizon: int = 0  # stimuli over which the schedule runs; 0 is unknown, then lr is constant
    warmup: int = 0  # stimuli over which lr rises from nothing at the start
    steps: tuple[float, ...] = ()  # step: shares of the horizon after each of which lr is multiplied by `factor`
    factor: float = 0.1  # step


@dataclass(frozen=True, slots=True)
class UpdatePlan:
    """When proposed steps become weight updates."""

    rule: str = "threshold"  # always | every | threshold | literal
    every: int = 1  # `every`: stimuli between updates
    threshold: float = 0.01  # `threshold`, `literal`: T per connection, in units of the weight
    release: str = "value"  # the same: value (all of it) | quantum (whole multiples of T)
    cool: float = 1.0  # the same: T falls with the schedule of the learning rate, to this share; 1 is constant
    adapt: str = "off"  # `threshold`: off | link | neuron: whether T is steered, one T a link or one a post neuron
    target: float = 0.001  # `adapt`: share of the weights that is to change in `lr_unit` stimuli with a gradient
    residual_clip: float = 0.0  # `threshold`: largest |sum| of a connection, in units of T; 0 is no clip
    flush: int = 0  # `threshold`: each connection's sum is let go once in so many stimuli with a gradient; 0 is never
    trace: float = 0.0  # `literal`: what a trace keeps of itself with each stimulus


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One link between two processes of the plan; spikes go forward on it, notifications backward."""

    index: int  # number of the link on the wire, unique in the run
    pre: str  # process names; SOURCE for the first links
    post: str
    n_pre: int  # neurons of the pre process (of the shard, not of the whole group)
    pre_group: str  # the topology's name for the pre group, and where the shard lies in it
    pre_start: int
    pre_size: int  # neurons of the whole pre group
    coding: str = "fast"  # fast | small
    values: str = "float32"  # float32 | float16 | uint8: forward values; notifications likewise
    notify: NotifyPlan = NotifyPlan()
    gated: bool = False  # pre neurons are relu: one that did not spike has no slope, and needs no notification
    feedback: str = "weights"  # weights | random: what carries errors back, w^T or a fixed random matrix

    @property
    def name(self) -> str:
        """The link as people write it: ``pre -> post``."""
        return f"{self.pre} -> {self.post}"


@dataclass(frozen=True, slots=True)
class LossPlan:
    """The loss that the readout holds."""

    kind: str = "cross-entropy"  # cross-entropy | mse
    notify: NotifyPlan = NotifyPlan(threshold=0.5)
    targets: int = 1  # width of a target: 1 is a class index, else the target vector's size
    confirms: int = 0  # link number of both the targets (source -> readout) and the confirmations back


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Everything that one group process needs to know."""

    name: str  # process name: `h1`, or `h2.0` for a shard
    group: str  # the topology's name
    size: int  # neurons of this process
    start: int  # first neuron of this process within the group
    group_size: int
    fan_in: int  # neurons that feed the whole group, over all its links (initial weights)
    neuron: str  # relu | leaky_relu | tanh | sigmoid | linear
    slope: float  # leaky_relu's slope below zero
    join: str  # match | latest | sum
    init: str  # auto | he | glorot
    optimizer: OptimizerPlan
    update: UpdatePlan
    staleness_decay: float  # gradient scaled by 1 / (1 + staleness_decay * staleness)
    seed: int
    memory: int  # stimuli remembered at most (a power of two); older ones expire
    links_in: tuple[LinkPlan, ...]
    links_out: tuple[LinkPlan, ...]
    loss: LossPlan | None = None  # set for the readout
    journal_s: float = 0.0  # between two writes to the journal; 0: none is kept
    hold: int = 1  # closes that nobody awaits leave once for so many stimuli
    look_ahead: float = 0.0  # momentum, adam: fire with the weights of so many mean stalenesses ahead
    delay_compensation: float = 0.0  # lambda of the correction of stale gradients


@dataclass(frozen=True, slots=True)
class DataPlan:
    """How numbers from outside become inputs, and outputs answers, once the data set is no longer at hand."""

    scale: float = 1.0  # what a raw value is multiplied by, such as 1/255 for pixels
    columns: tuple[str, ...] = ()  # csv with a header: names of the inputs' columns, in the order of the inputs
    label: str = ""  # csv with a header: name of the label's column
    classes: tuple[str, ...] = ()  # names; empty for regression


@dataclass(frozen=True, slots=True)
class DataShape:
    """What a topology must know of its data."""

    features: int  # inputs a stimulus
    classes: int  # 0: regression
    targets: int  # numbers of a regression target; 1 for a class
    train: int  # stimuli of one epoch
    test: int  # stimuli of one evaluation
    reading: DataPlan = DataPlan()


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """Everything that the source process needs to know."""

    data: str  # name of a data set, or npz:PATH, csv:PATH
    data_dir: str | None
    label: str | None  # csv: the label's column
    test: float | None  # share held out where the data set has no test part of its own
    features: int
    classes: int  # 0 for regression
    targets: int  # width of a target, as LossPlan.targets
    one_hot: bool  # targets are one-hot vectors made from classes (mse on labels)
    epochs: float
    window: int  # stimuli in flight at most
    volley: int  # stimuli in a frame
    opening: int  # stimuli over which the window opens from one volley to its full size
    retry_s: float  # unconfirmed after this long: presented again
    eval_every: int  # training stimuli between evaluations; 0 is once an epoch
    seed: int
    links_out: tuple[LinkPlan, ...]
    readout: str
    confirms: int  # link number of targets and confirmations
    reading: DataPlan = DataPlan()  # of no use to the source: for whoever reads the plan of a trained network
    journal_s: float = 0.0  # between two writes to the journal; 0: none is kept
    window_by: str = "stimuli"  # stimuli | gradients: what the window counts
    places: int = 0  # `gradients`: stimuli in flight at most, however few gradients are expected


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run: the source, the groups in an order that follows the links, and where the loss is."""

    version: int
    name: str
    seed: int
    source: SourcePlan
    groups: tuple[GroupPlan, ...]

    @property
    def processes(self) -> tuple[str, ...]:
        """Names of every data process, source first."""
        return (SOURCE, *(g.name for g in self.groups))

    def group(self, name: str) -> GroupPlan:
        """The plan of one group process; KeyError if there is none of that name."""
        for g in self.groups:
            if g.name == name:
                return g
        raise KeyError(name)


def senders(plan: GroupPlan | SourcePlan) -> dict[int, str]:
    """Number of each link of a process -> the process at its other end, who alone sends frames of that link here."""
    ends = {link.index: link.post for link in plan.links_out}
    if isinstance(plan, SourcePlan):
        return ends | {plan.confirms: plan.readout}
    ends |= {link.index: link.pre for link in plan.links_in}
    return ends if plan.loss is None else ends | {plan.loss.confirms: SOURCE}


def to_dict(plan: Plan | GroupPlan | SourcePlan) -> dict[str, Any]:
    """A plan as plain maps and lists, for msgpack and JSON."""
    return asdict(plan)


def _link(d: Mapping[str, Any]) -> LinkPlan:
    return LinkPlan(**{**d, "notify": NotifyPlan(**d["notify"])})


def group_from_dict(d: Mapping[str, Any]) -> GroupPlan:
    """The inverse of `to_dict` for a group."""
    loss = d["loss"]
    return GroupPlan(
        **{
            **d,
            "optimizer": OptimizerPlan(**{**d["optimizer"], "steps": tuple(d["optimizer"].get("steps", ()))}),
            "update": UpdatePlan(**d["update"]),
            "links_in": tuple(_link(x) for x in d["links_in"]),
            "links_out": tuple(_link(x) for x in d["links_out"]),
            "loss": None if loss is None else LossPlan(**{**loss, "notify": NotifyPlan(**loss["notify"])}),
        }
    )


def source_from_dict(d: Mapping[str, Any]) -> SourcePlan:
    """The inverse of `to_dict` for the source."""
    reading: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in d["reading"].items()}
    links_out = tuple(_link(x) for x in d["links_out"])
    return SourcePlan(**{**d, "links_out": links_out, "reading": DataPlan(**reading)})


def plan_from_dict(d: Mapping[str, Any]) -> Plan:
    """The inverse of `to_dict` for a whole plan; ValueError for a plan of another version."""
    if d["version"] != PLAN_VERSION:
        raise ValueError(f"version {d['version']!r} is not {PLAN_VERSION}")
    return Plan(
        version=d["version"],
        name=d["name"],
        seed=d["seed"],
        source=source_from_dict(d["source"]),
        groups=tuple(group_from_dict(g) for g in d["groups"]),
    )
