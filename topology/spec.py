"""The model of a topology: every key that a file may hold, its range, its default and what it means.

`load.py` makes these from YAML, with places for errors. Numbers default to what `plan.py` says, so that
there is one place where a default is written. Types are strict: `4` is not `"4"` and `1` is not `true`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from topology.errors import Marks, Problem, quote
from topology.plan import NotifyPlan, OptimizerPlan, UpdatePlan
from topology.section import (
    NEEDS,
    Amount,
    Cooling,
    Count,
    Duration,
    GroupName,
    Host,
    Interval,
    Memory,
    Name,
    Rate,
    Section,
    Share,
    Stimuli,
    Threshold,
    Wanted,
    fail,
    seconds,
)

_notify, _optimizer, _update = NotifyPlan(), OptimizerPlan(), UpdatePlan()
_STEERED = ("drop", "residual", "quantum", "stochastic", "sampled")
_KEEPING = ("residual", "quantum")


def _version(value: Any) -> Any:
    if value != 1 or isinstance(value, bool):  # true == 1 in Python
        fail(f"unknown format version {quote(value)}", "this neurond reads version 1")
    return value


def _steers(adapt: str, info: ValidationInfo) -> str:
    if adapt != "off" and info.data.get("threshold") == 0:
        fail(f"adapt {quote(adapt)} steers the threshold from where it is, so that must be above 0")
    return adapt


def _clips(clip: float, info: ValidationInfo) -> float:
    if 0 < clip <= 1:
        fail(f"a clip at {clip:g} thresholds would let nothing pass", "use a number above 1, such as 2")
    if clip and info.data.get("threshold") == 0:
        fail(f"a clip at {clip:g} thresholds of 0 would let nothing pass", "use a threshold above 0, or remove it")
    return clip


Adapt = Annotated[Literal["off", "link", "neuron"], AfterValidator(_steers)]
ResidualClip = Annotated[float, Field(ge=0, le=1e9), AfterValidator(_clips)]


class Notify(Section):
    """How gradients become notifications, on a link or at the loss."""

    rule: Literal["exact", "drop", "top_k", "residual", "quantum", "stochastic", "sampled"] = "stochastic"
    """What passes, and what becomes of the rest."""
    threshold: Threshold = _notify.threshold
    """T, in units of dLoss/dActivation of one stimulus: 0, or at least 1e-12. Not for exact and top_k; above 0 for
    quantum."""
    k: Count = 1
    """top_k only, where it must be given: neurons notified a stimulus."""
    clip: Amount = _notify.clip
    """Largest |g| before the rule; 0 is no clip."""
    noise: Amount = _notify.noise
    """Standard deviation of Gaussian noise added before the rule; 0 is none."""
    cool: Cooling = _notify.cool
    """The threshold falls with the schedule of the post group's learning rate, down to this share of it: large where
    errors are large and soon forgotten, small at the end. 1 is a constant threshold."""
    adapt: Adapt = "off"
    """Whether the threshold is steered, from `threshold` on, so that `target` of the gradients is sent: one for the
    link, or one for each neuron. It stays between a thousandth of `threshold` and a thousand times as much."""
    target: Wanted = _notify.target
    """adapt only: notifications wanted, as a share of the gradients of stimuli that have any."""
    residual_clip: ResidualClip = _notify.residual_clip
    """residual and quantum only: largest size of a neuron's sum, in thresholds, above 1; the rest is lost, and
    counted. 0 is no clip."""
    flush: Stimuli = _notify.flush
    """residual and quantum only: once in so many stimuli with a gradient each neuron's sum is sent, whatever its
    size, so that nothing older waits. 0 is never."""

    only: ClassVar = {
        "cool": ("rule", _STEERED),
        "threshold": ("rule", _STEERED),
        "k": ("rule", ("top_k",)),
        "adapt": ("rule", _STEERED),
        "target": ("adapt", ("link", "neuron")),
        "residual_clip": ("rule", _KEEPING),
        "flush": ("rule", _KEEPING),
    }
    needs: ClassVar = {("rule", "top_k"): "k"}

    @field_validator("threshold", mode="after")
    @classmethod
    def _whole_multiples(cls, value: float, info: ValidationInfo) -> float:
        if value == 0 and info.data.get("rule") == "quantum":
            fail("rule 'quantum' sends whole multiples of the threshold, so it must be above 0")
        return value


class LossNotify(Notify):
    """How the loss' gradient becomes notifications: as on a link, with a higher threshold unless said."""

    threshold: Threshold = 0.5
    """T, in units of dLoss/dOutput of one stimulus."""


class Optimizer(Section):
    """How gradients become proposed weight steps."""

    kind: Literal["sgd", "momentum", "adagrad", "rmsprop", "adam"] = "sgd"
    """The optimizer inside each accumulator."""
    lr: Rate = _optimizer.lr
    """Learning rate of a mini-batch of one source volley, min(source.volley, source.window) stimuli: each
    stimulus counts as its share of that batch, so a rate known from batches of 16 suits volleys of 16."""
    momentum: Share = _optimizer.momentum
    """momentum only."""
    beta1: Share = _optimizer.beta1
    """adam only: decay of the mean."""
    beta2: Share = _optimizer.beta2
    """adam only: decay of the mean square."""
    decay: Share = _optimizer.decay
    """rmsprop only: decay of the mean square."""
    epsilon: Annotated[float, Field(gt=0, le=1)] = _optimizer.epsilon
    """adagrad, rmsprop and adam: keeps the step finite."""
    schedule: Literal["constant", "linear", "cosine", "step"] = "constant"
    """The learning rate over the run: the same, down to 0 at the end, or lower by `factor` at each of `steps`."""
    warmup: Stimuli = 0
    """Stimuli over which the learning rate rises from 0 at the start, when errors are large and news is old."""
    steps: Annotated[list[Share], Field(min_length=1, max_length=100)] | None = None
    """schedule step only, where it must be given: shares of the run, such as [0.5, 0.75]."""
    factor: Annotated[float, Field(gt=0, le=1)] = _optimizer.factor
    """schedule step only: what the learning rate is multiplied by at each of them."""

    only: ClassVar = {
        "momentum": ("kind", ("momentum",)),
        "beta1": ("kind", ("adam",)),
        "beta2": ("kind", ("adam",)),
        "decay": ("kind", ("rmsprop",)),
        "epsilon": ("kind", ("adagrad", "rmsprop", "adam")),
        "steps": ("schedule", ("step",)),
        "factor": ("schedule", ("step",)),
    }
    needs: ClassVar = {("schedule", "step"): "steps"}

    @field_validator("steps", mode="after")
    @classmethod
    def _ascending(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and sorted(set(value)) != value:
            fail("steps must ascend")
        return value


class Update(Section):
    """When proposed steps become weight updates."""

    rule: Literal["always", "every", "threshold", "literal"] = "threshold"
    """At once, every n stimuli, or for each connection when its sum of steps exceeds a threshold (with sgd it is
    looked at once a quarter of a volley's stimuli have brought a gradient). literal is the note's own rule: as
    threshold, but with traces for the inputs, and who notifies is each connection that moves, not the link's rule."""
    every: Count = _update.every
    """every only, where it must be given: stimuli between updates."""
    threshold: Threshold = _update.threshold
    """threshold and literal only: T a connection, in units of the weight; 0, or at least 1e-12."""
    release: Literal["value", "quantum"] = "value"
    """threshold and literal only: the whole sum, or whole multiples of the threshold."""
    cool: Cooling = _update.cool
    """threshold and literal only: it falls with the schedule of the learning rate, down to this share of it, so that
    the small steps of the end still become updates. 1 is a constant threshold."""
    adapt: Adapt = "off"
    """threshold only: whether the threshold is steered, from `threshold` on, so that `target` of the weights change:
    one threshold for the weights of a link, or one for those of each post neuron. It stays between a thousandth of
    `threshold` and a thousand times as much."""
    target: Wanted = _update.target
    """adapt only: share of the weights that is to change in a volley of stimuli that all have a gradient."""
    residual_clip: ResidualClip = _update.residual_clip
    """threshold only: largest size of a connection's sum, in thresholds, above 1; the rest is lost, and counted. 0 is
    no clip."""
    flush: Stimuli = _update.flush
    """threshold only: once in so many stimuli with a gradient each connection's sum becomes an update, whatever its
    size, so that nothing older waits. 0 is never."""

    trace: Share = _update.trace
    """literal only: what the trace of an input keeps of itself with each stimulus; 0 is the last input alone."""

    only: ClassVar = {
        "adapt": ("rule", ("threshold",)),
        "target": ("adapt", ("link", "neuron")),
        "residual_clip": ("rule", ("threshold",)),
        "flush": ("rule", ("threshold",)),
        "cool": ("rule", ("threshold", "literal")),
        "every": ("rule", ("every",)),
        "threshold": ("rule", ("threshold", "literal")),
        "trace": ("rule", ("literal",)),
        "release": ("rule", ("threshold", "literal")),
    }
    needs: ClassVar = {("rule", "every"): "every"}

    @field_validator("release", mode="after")
    @classmethod
    def _whole_multiples(cls, value: str, info: ValidationInfo) -> str:
        if value == "quantum" and info.data.get("threshold") == 0:
            fail("release 'quantum' makes whole multiples of the threshold, so that must be above 0")
        return value


class GroupDefaults(Section):
    """What a group may take from `defaults.group`."""

    neuron: Literal["relu", "leaky_relu", "tanh", "sigmoid", "linear"] = "relu"
    """Activation."""
    slope: Annotated[float, Field(ge=0, le=1)] = 0.01
    """leaky_relu only: slope below zero."""
    optimizer: Optimizer = Optimizer()
    """Gradients to steps; merged over `defaults.group.optimizer` key by key."""
    update: Update = Update()
    """Steps to updates; merged over `defaults.group.update` key by key."""
    join: Literal["match", "latest", "sum"] = "match"
    """With several links in, what a stimulus fires with."""
    init: Literal["auto", "he", "glorot"] = "auto"
    """Initial weights; auto is he for relu and leaky_relu, else glorot."""
    staleness_decay: Amount = 0.0
    """A gradient counts 1 / (1 + staleness_decay * staleness); 0 leaves it as it is."""
    look_ahead: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Optimizers momentum and adam only: neurons fire with the weights foreseen for the time when the gradient comes,
    so many times the mean staleness ahead; 1 is that time, 0 the weights as they are."""
    delay_compensation: Amount = 0.0
    """What a stale gradient is corrected by, for the weights have moved since (the lambda of DC-ASGD); 0 is not."""
    memory: Annotated[int, Field(ge=2, le=1 << 24)] | None = None
    """Stimuli remembered at most, a power of two; not given, at least 16 windows."""

    only: ClassVar = {"slope": ("neuron", ("leaky_relu",))}

    @field_validator("look_ahead", mode="after")
    @classmethod
    def _has_velocity(cls, value: float, info: ValidationInfo) -> float:
        optimizer = info.data.get("optimizer")
        if value and optimizer is not None and optimizer.kind not in ("momentum", "adam"):
            hint = "use optimizer.kind momentum or adam"
            fail(f"optimizer {quote(optimizer.kind)} has no velocity to look ahead by", hint, kind=NEEDS)
        return value

    @field_validator("memory", mode="after")
    @classmethod
    def _power_of_two(cls, value: int | None) -> int | None:
        if value is not None and value & (value - 1):
            fail(f"expected a power of two, got {value}", f"did you mean {1 << value.bit_length()}?")
        return value


class Group(GroupDefaults):
    """Neurons that live in one process, or in one process a shard."""

    size: Count
    """Neurons."""
    shards: Annotated[int, Field(ge=1, le=1000)] = 1
    """Processes that share the group's neurons, with no exchange between them."""

    @field_validator("shards", mode="after")
    @classmethod
    def _not_empty(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("size", value):
            fail(f"{value} shards for {info.data['size']} neurons", "a shard owns at least one neuron")
        return value


class Link(Section):
    """A directed connection `pre -> post`: spikes forward, notifications backward."""

    coding: Literal["fast", "small"] | None = None
    """small looks for the fewest bytes, fast does not; not given, fast on ipc and small on tcp."""
    values: Literal["float32", "float16", "uint8"] = "float32"
    """Numbers on the wire, both ways."""
    notify: Notify = Notify()
    """The rule of the way back; merged over `defaults.link.notify` key by key."""
    feedback: Literal["weights", "random"] = "weights"
    """What carries errors back to the pre group: the link's own weights, or a random matrix that never changes
    (feedback alignment), so that no weight is ever read backward."""


class Source(Section):
    """Where the stimuli come from and how they are fed."""

    data: Annotated[str, StringConstraints(min_length=1, max_length=4096)]
    """A data set's name, npz:PATH or csv:PATH."""
    epochs: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Times that the training stimuli are presented; parts of an epoch count."""
    window: Annotated[int, Field(ge=1, le=65536)] = 128
    """Stimuli in flight at most, or gradients, as `window_by` says."""
    window_by: Literal["stimuli", "gradients"] = "stimuli"
    """gradients counts a stimulus that waits for its gradient as one, and one whose loss is not known yet as the
    share
    of those before it that had a gradient; in flight are a quarter of the groups' memory at most."""
    volley: Annotated[int, Field(ge=1, le=4096)] = 16
    """Stimuli in a frame; also the mini-batch that a learning rate refers to."""
    opening: Stimuli = 4000
    """Stimuli over which the window opens from one volley to its full size, at first and after a restart."""
    retry: Duration = "2s"
    """A stimulus that is not confirmed after this long is presented again."""
    eval_every: Stimuli = 0
    """Training stimuli between evaluations; 0 is once an epoch."""
    label: str | None = None
    """csv only: the label's column."""
    test: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Share held out for tests; ignored where the data set has a test part of its own."""

    @field_validator("label", mode="after")
    @classmethod
    def _csv_only(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not info.data.get("data", "csv:").startswith("csv:"):
            fail("label means nothing without csv data", "remove it, or use data csv:PATH")
        return value

    @property
    def retry_s(self) -> float:
        """`retry` in seconds."""
        return seconds(self.retry)


class Loss(Section):
    """What is learned: the loss, and the group whose output it reads (the readout)."""

    reads: str
    """The readout's name; it cannot be sharded."""
    kind: Literal["cross-entropy", "mse"] = "cross-entropy"
    """cross-entropy for classes; mse for numbers, or for classes as one-hot vectors."""
    notify: LossNotify = LossNotify()
    """The loss' gradient passes this rule before anything else happens."""


class Limits(Section):
    """What a process may take of its machine at most, where it runs as a container."""

    cpus: Annotated[float, Field(gt=0, le=1024)] | None = None
    """Cores; 0.5 is half of one."""
    memory: Memory | None = None
    """Memory, such as 256m or 2g. A process that takes more is killed."""


class Topology(Section):
    """A whole network: every default merged in, every value checked."""

    neurond: Annotated[Literal[1], BeforeValidator(_version)]
    """Version of the file format."""
    name: Name = "network"
    """Names runs; without it the file's name is used."""
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    """Seed of weights, order and noise."""
    journal: Interval = "250ms"
    """Time between two writes of each process' journal, from which it goes on after a crash. off: none is kept."""
    source: Source
    groups: Annotated[dict[GroupName, Group], Field(min_length=1)]
    loss: Loss
    links: Annotated[dict[str, Link], Field(min_length=1)]
    """`pre -> post`: body; the body may be empty."""
    place: dict[str, Host] = Field(default_factory=dict)
    """`NAME: HOST`, for `neurond compose --swarm`: which machine runs it; without it, any that has room. NAME is a
    group, a shard such as h2.0 (which wins over its group), `source` or `broker`."""
    limits: dict[str, Limits] = Field(default_factory=dict)
    """`NAME: limits`, for containers. NAME as in `place`."""

    _marks: Marks | None = PrivateAttr(None)

    def __eq__(self, other: object) -> bool:
        """Equal values; where they were written does not matter."""
        return isinstance(other, Topology) and self.written() == other.written()

    __hash__ = None  # type: ignore[assignment]  # holds dicts

    @property
    def journal_s(self) -> float:
        """`journal` in seconds; 0 for off."""
        return 0.0 if self.journal == "off" else seconds(self.journal)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The links as (pre, post), in the order they were written."""
        return tuple((pre, post) for pre, _, post in (link.split() for link in self.links))

    def written(self) -> dict[str, Any]:
        """The whole topology as plain maps, in the order people write them."""
        plain = super().written()
        for key in ("groups", "links", "limits"):
            plain[key] = {name: body.written() for name, body in plain[key].items()}
        for key in ("place", "limits"):
            if not plain[key]:
                del plain[key]
        for name, body in plain["groups"].items():
            first = {"size": body.pop("size"), "neuron": body.pop("neuron"), "shards": body.pop("shards")}
            plain["groups"][name] = first | body
        return plain

    def problem(self, path: tuple[str, ...], message: str, hint: str = "") -> Problem:
        """A problem with the value at `path`, located in the file that it was read from."""
        marks = self._marks or Marks(self.name)
        return marks.problem(path, message, hint)


class Defaults(Section):
    """Values for every group and every link that does not give its own."""

    group: GroupDefaults = GroupDefaults()
    link: Link = Link()


class TopologyFile(Topology):
    """A topology as it is written, before `defaults` are merged in; the model of the JSON Schema."""

    defaults: Defaults = Defaults()
