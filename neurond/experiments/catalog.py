"""All studies, by name."""

from __future__ import annotations

from collections.abc import Iterable

from neurond.errors import WrongUse
from neurond.experiments import delays, joining, learning, networks, steering, thresholds
from neurond.experiments.study import Study
from topology.errors import guess

PARTS = (
    thresholds,
    learning,
    delays,
    steering,
    joining,
    networks,
)
STUDIES: dict[str, Study] = {study.name: study for part in PARTS for study in part.STUDIES}
"""In the order of the page."""

ALL = "all"


def chosen(names: Iterable[str]) -> list[Study]:
    """The studies of these names, each once, in the order of the page; WrongUse for a name that is none."""
    wanted = list(names)
    for name in wanted:
        if name != ALL and name not in STUDIES:
            raise WrongUse(f"no study {name!r:.40}; {guess(name, [*STUDIES, ALL])}")
    return [study for name, study in STUDIES.items() if name in wanted or ALL in wanted]
