"""Small studies, and results that nobody measured, for the tests of experiments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from neurond.experiments.figures import FIGURES
from neurond.experiments.judge import lost
from neurond.experiments.results import Result, Results
from neurond.experiments.study import Arm, Claim, Dots, Lines, Study

ENVIRONMENT = {"python": "3.11.0", "platform": "nowhere", "cpus": 2, "packages": {"neurond": "0.1.0"}, "started": "?"}

SMALL = Study(
    name="small",
    title="A small study",
    question="Is it small?",
    network="digits",
    by="alone",
    settings={"source.epochs": 0.2},
    arms=(
        Arm("always", {"defaults.group.update": {"rule": "always"}}, "always"),
        Arm("threshold", {}, "threshold", 0.01),
        Arm("large threshold", {"defaults.group.update.threshold": 0.1}, "threshold", 0.1),
    ),
    axis="threshold",
    table=("test_accuracy", "updates"),
    charts=(Lines("test_error", log_y=True), Dots("updates")),
    claims=(Claim("A threshold costs nothing", lost("threshold", "always"), most=0.5),),
)


def made_up(
    study: Study,
    seeds: int,
    figure: Callable[[str, str, int], float],
    folder: Path = Path("nowhere"),
    quick: bool = False,
) -> Results:
    """Results of a study with every figure of every arm and seed as `figure(name, arm, seed)` says."""
    results = Results(folder / f"{study.name}.json", study, quick, environments=[ENVIRONMENT])
    results.runs = [
        Result(
            arm.label,
            seed,
            results.print_of(arm.label),
            {name: figure(name, arm.label, seed) for name in FIGURES},
            took_s=2.0,
        )
        for seed in range(seeds)
        for arm in study.arms
    ]
    return results
