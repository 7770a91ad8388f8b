"""What a study is, as data: arms that are compared, what is measured and drawn of them, and what is claimed.

An arm is a network of the zoo with some values changed, and perhaps something that is done to it while it trains.
Each arm is run once for each seed. A figure is a number of one run (`figures.py` has all of them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from topology.spec import Topology

Settings = Mapping[str, Any]
"""Values of a topology by their names, as `--set` takes them; a mapping replaces a whole section."""

Figures = Mapping[str, float]
"""The figures of one run, by name."""

Alike = Mapping[str, Figures]
"""The figures of all arms of one seed, by the arms' labels."""

By = Literal["processes", "alone", "simulated"]
"""What runs a study: real processes (`processes.py`), or this one, where none tells what is counted (`alone.py`), or
where time is virtual (`virtual.py`)."""

SEEDS = 5


@dataclass(frozen=True, slots=True)
class Late:
    """Every frame between any two processes, both ways, is late by so many seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class Slowed:
    """One process, named as in the plan, runs for `on_s`, then is stopped (SIGSTOP) for `off_s`, over and over."""

    process: str
    on_s: float
    off_s: float


@dataclass(frozen=True, slots=True)
class Paused:
    """Now and then one of the groups, drawn by the seed, is stopped (SIGSTOP) for `lasts_s`.

    Between two pauses lie `every_s` on average, exponentially distributed.
    """

    every_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulated network is like (`neurond simulate`); times in virtual seconds.

    Args:
        latency_s: mean of the way of a frame.
        spread_s: its standard deviation.
        loss: share of the frames that are lost.
        churn_s: how long a process lives on average; 0: none dies.
        down_s: how long one that died is away on average.

    """

    latency_s: float
    spread_s: float
    loss: float = 0.0
    churn_s: float = 0.0
    down_s: float = 5.0


Disturbance = Late | Slowed | Paused | Simulated


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the things that are compared.

    Args:
        label: its name, unlike any other in the study.
        settings: what is changed of the study's network.
        line: which line of a chart it belongs to.
        x: where it stands on the study's axis; None for what has no place there: it is drawn as a level.
        y: where it stands on the second axis of a map.
        during: what is done to it while it trains; processes are stopped in studies alone that end by their time.

    """

    label: str
    settings: Settings = field(default_factory=dict)
    line: str = ""
    x: float | None = None
    y: float | None = None
    during: Disturbance | None = None


@dataclass(frozen=True, slots=True)
class Lines:
    """A figure against the study's axis, or against another figure (`against`); a line for each `Arm.line`.

    Against a figure, `at` draws those arms alone that stand there on the study's axis, or have no place on it.
    """

    figure: str
    against: str = ""
    at: float | None = None
    log_x: bool = True
    log_y: bool = False


@dataclass(frozen=True, slots=True)
class Map:
    """A figure as a colour over both axes of the study, a panel for each `Arm.line`."""

    figure: str


@dataclass(frozen=True, slots=True)
class Dots:
    """A figure of each arm, a row each in their order."""

    figure: str
    log: bool = False


Chart = Lines | Map | Dots


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number that is computed from the runs of one seed.

    Args:
        words: what it is.
        of: computes it; a KeyError says that a run it needs is not there.
        unit: behind the number, such as ``points``.
        ratio: whether it is one: then its mean is geometric, and so is its interval.

    """

    words: str
    of: Callable[[Alike], float]
    unit: str = ""
    ratio: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that is true if a quantity is at least, or at most, a bound."""

    words: str
    quantity: Quantity
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """What is asked, and all that is needed to answer it.

    Args:
        name: what `neurond experiment` calls it.
        title: a heading.
        question: what the note of 2016 claims, or what is asked; in full sentences.
        network: of the zoo.
        arms: what is compared; all of them are run with one seed before the next.
        axis: what `Arm.x` is, with its unit.
        axis_y: what `Arm.y` is.
        settings: what is changed of the network in every arm.
        short: what is changed of it besides with `--quick`.
        for_s: ends each run after so many seconds of training, for it has no other end.
        by: what runs it, as `By` says.
        fit: whether the last weights are judged by the training part too.
        table: the figures in its table, by name.
        charts: what is drawn, side by side.
        claims: what is judged.
        run_s: about how long a run takes on two idle cores, for the first estimate.
        notes: what a reader must know of how it was measured.

    """

    name: str
    title: str
    question: str
    network: str
    arms: tuple[Arm, ...]
    table: tuple[str, ...]
    charts: tuple[Chart, ...]
    claims: tuple[Claim, ...]
    axis: str = ""
    axis_y: str = ""
    settings: Settings = field(default_factory=dict)
    short: Settings = field(default_factory=dict)
    for_s: float | None = None
    by: By = "processes"
    fit: bool = False
    run_s: float = 3.0
    notes: str = ""

    def overrides(self, arm: Arm, *, quick: bool = False) -> dict[str, Any]:
        """All that is changed of the network for an arm."""
        return {**self.settings, **arm.settings, **(self.short if quick else {})}

    def topology(self, arm: Arm, seed: int | None = None, *, quick: bool = False) -> Topology:
        """What an arm trains, with the zoo's own seed if None is given; TopologyError if that cannot be."""
        from neurond.api import topology_of

        own = {} if seed is None else {"seed": seed}
        found = topology_of(self.network, {**self.overrides(arm, quick=quick), **own}, None)
        assert found is not None
        return found

    def print_of(self, arm: Arm, *, quick: bool = False) -> str:
        """What tells whether a result is still one of this arm: a digest of all in it that is not as by default.

        A result that was measured before a value of the arm changed is of no use any more. A key that a later version
        adds, with a default that leaves things as they were, makes no difference.
        """
        written = self.topology(arm, quick=quick).model_dump(mode="json", exclude_defaults=True)
        written.pop("seed", None)
        during = None if arm.during is None else repr(arm.during)
        whole = [written, during, self.seconds(quick=quick), self.by]
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]

    def seconds(self, *, quick: bool = False) -> float | None:
        """After how many seconds of training a run ends; None where it ends by itself."""
        return min(self.for_s, 1.5) if quick and self.for_s is not None else self.for_s
