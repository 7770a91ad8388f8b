"""The studies as they stand: what they change can be changed, and what they name is there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neurond.errors import WrongUse
from neurond.experiments.catalog import STUDIES, chosen
from neurond.experiments.figures import FIGURES
from neurond.experiments.judge import judge
from neurond.experiments.study import Arm, Lines, Map, Paused, Slowed
from tests.studies import SMALL, made_up
from topology.check import remarks

EACH = pytest.mark.parametrize("name", STUDIES)


@EACH
def test_every_arm_is_a_sound_network(name: str) -> None:
    """Each override of each arm is valid, in full and in short, and makes sense beside the others."""
    study = STUDIES[name]
    for arm in study.arms:
        for quick in (False, True):
            topology = study.topology(arm, quick=quick)
            assert not [str(p) for p in remarks(topology)], arm.label
        if isinstance(arm.during, Slowed):
            assert arm.during.process in topology.groups
        if isinstance(arm.during, Slowed | Paused):
            assert study.for_s is not None, "a process may leave while it is to be stopped"


@EACH
def test_what_a_study_names_is_there(name: str) -> None:
    """Labels are unlike each other; each figure, axis and arm of charts, tables and claims exists."""
    study = STUDIES[name]
    labels = [arm.label for arm in study.arms]
    assert len(set(labels)) == len(labels)
    assert {*study.table, *(chart.figure for chart in study.charts)} <= FIGURES.keys()
    for chart in study.charts:
        if isinstance(chart, Map):
            assert study.axis_y
            assert all(arm.x is not None and arm.y is not None for arm in study.arms)
        if isinstance(chart, Lines):
            assert chart.against in ("", *FIGURES)
            assert chart.against or (study.axis and any(arm.x is not None for arm in study.arms))
    results = made_up(study, 5, lambda _figure, _arm, seed: 0.5 + seed / 100)
    for claim in study.claims:
        assert (claim.least is None) != (claim.most is None)
        assert len(judge(claim, results.alike()).values) == 5, claim.words


@EACH
def test_a_study_takes_minutes(name: str) -> None:
    """By its own estimate a study is done in some minutes with five seeds; a claim is made by five."""
    study = STUDIES[name]
    assert 1 <= 5 * len(study.arms) * study.run_s / 60 <= 12
    assert study.claims


def test_the_print_of_an_arm_tells_what_is_measured() -> None:
    """It is the same for the same arm, and another where anything is that a result depends on, but for the seed."""
    arm = SMALL.arms[0]
    first = SMALL.print_of(arm)
    assert SMALL.print_of(arm) == first
    assert replace(SMALL, settings={**SMALL.settings, "seed": 9}).print_of(arm) == first
    others = (
        SMALL.print_of(SMALL.arms[1]),
        SMALL.print_of(replace(arm, during=Slowed("h1", 0.1, 0.1))),
        SMALL.print_of(arm, quick=True) if SMALL.short else "",
        replace(SMALL, for_s=3.0).print_of(arm),
        replace(SMALL, network="skip").print_of(arm),
        replace(SMALL, by="processes").print_of(arm),
    )
    assert first not in others
    assert SMALL.print_of(Arm("another name", arm.settings, "another line", 3.0)) == first


def test_studies_are_chosen_by_name() -> None:
    """`all` is all, each comes once and in the order of the page, and a name that is none gets a guess."""
    assert [s.name for s in chosen(["all"])] == [*STUDIES]
    assert [s.name for s in chosen(["updates", "sparsity", "updates"])] == ["sparsity", "updates"]
    with pytest.raises(WrongUse, match="no study 'sparsty'; did you mean 'sparsity'"):
        chosen(["sparsty"])
