"""The page of all studies."""

from __future__ import annotations

import re
from pathlib import Path

from neurond.experiments.catalog import STUDIES
from neurond.experiments.page import page
from neurond.experiments.results import Results
from tests.studies import SMALL, made_up

ROOT = Path(__file__).parents[2]


def accuracy(worse: float):
    """An accuracy of 0.9, less `worse` for the arm that the claim is about."""

    def figure(name: str, arm: str, seed: int) -> float:
        return 0.9 - (worse if arm == "threshold" else 0) + seed / 1000

    return figure


def test_a_claim_that_fails_is_shown_failing() -> None:
    """The verdict is computed, and stands with its figures above and below."""
    failing = page([made_up(SMALL, 5, accuracy(0.02))], "experiments/", "neurond experiment")
    assert "| [small](#a-small-study) | A threshold costs nothing | **fails** |" in failing
    assert (
        "- A threshold costs nothing: **fails**.\n  The accuracy that threshold loses against always is 2.00"
        in failing
    )
    assert "**holds**" not in failing
    holding = page([made_up(SMALL, 5, accuracy(0.0))], "experiments/", "neurond experiment")
    assert "| [small](#a-small-study) | A threshold costs nothing | **holds** |" in holding


def test_each_study_has_its_command_chart_and_figures() -> None:
    """What makes it again, what it looks like, mean and deviation of each arm, and where it was measured."""
    text = page([made_up(SMALL, 5, accuracy(0.02))], "experiments/", "neurond experiment")
    assert "```sh\nneurond experiment small\n```" in text
    assert "![A small study](experiments/small.svg)" in text
    assert "| threshold | 88.20 ± 0.16 | 0.88 ± 0.00 | 5 |" in text
    assert "- Python 3.11.0, 2 cores, nowhere; neurond 0.1.0: small" in text
    assert "| threshold | 88.05 ± 0.07 | 0.88 ± 0.00 | 2 |" in page([made_up(SMALL, 5, accuracy(0.02))], "", "", 2)


def test_what_was_not_run_is_not_judged() -> None:
    """A study without runs is on the page, without a verdict; so is one whose runs were quick."""
    none = page([Results(Path("small.json"), SMALL)], "", "")
    assert "No runs yet." in none
    assert "| A threshold costs nothing | **not judged** |" in none
    quick = page([made_up(SMALL, 1, accuracy(0.0), quick=True)], "", "")
    assert "| A threshold costs nothing | **not judged** |" in quick
    assert "--quick is no measurement" in quick


def test_the_page_in_docs_has_every_study() -> None:
    """docs/experiments.md, as `neurond experiment` has written it, asks every question that there is."""
    text = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert [name for name in STUDIES if f"\nneurond experiment {name}\n" not in text] == []


def test_each_table_in_docs_is_one() -> None:
    """As many cells in its head as in the rule below it, or a reader sees only bars."""
    lines = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8").splitlines()
    rules = [n for n, line in enumerate(lines) if re.fullmatch(r"\|[-:|]+\|", line)]
    assert len(rules) > 1
    for n in rules:
        assert len(re.findall(r"(?<!\\)\|", lines[n - 1])) == lines[n].count("|"), lines[n - 1]
