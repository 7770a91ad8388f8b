"""The page of all studies in Markdown, from their results: tables, charts, and verdicts that are computed. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from textwrap import fill

from neurond.experiments.figures import FIGURES
from neurond.experiments.judge import Verdict, judge
from neurond.experiments.results import Results
from neurond.experiments.study import SEEDS, Arm

WIDE = 118  # characters of a line of text
MANY = 12  # rows from which on a table is folded
COMMAND = "neurond experiment {name}"

_INTRODUCTION = """\
# Experiments

Written by `{command}` from the results of the studies.
Every run with all its figures is in `{folder}NAME.json`.

Each study trains small networks, as real processes on one machine unless it says otherwise, with {seeds} seeds where
nothing else is said. What is compared is run side by side, seed by seed. Tables show the mean over the seeds and the
standard deviation; charts the mean, and from the least to the largest seed. Savings are against a dense pass that
sends every activation and gradient and moves every weight. A network that diverged counts as one that guesses.

A claim is a quantity with a bound. It *holds* where the 95 % confidence interval of the quantity's mean over the
seeds (Student's t) lies on the right side of the bound, it *fails* where all of it lies on the wrong side, and is
*not decided* otherwise. The sentences are computed; a claim that fails is shown failing.
"""


def page(studies: Sequence[Results], folder: str, command: str, seeds: int | None = None) -> str:
    """The page.

    Args:
        studies: with their results.
        folder: where results and charts are, seen from the page: empty, or with a slash at its end.
        command: that writes it.
        seeds: how many of the seeds count; all of them if None.

    """
    parts = [_INTRODUCTION.format(command=command, folder=folder, seeds=seeds or SEEDS)]
    parts.append(_summary(studies, seeds))
    for results in studies:
        parts.append("\n".join(_study(results, folder, seeds)))
    parts.append("\n".join(_environments(studies)))
    return "\n".join(parts).rstrip() + "\n"


def verdicts(results: Results, seeds: int | None = None) -> list[Verdict]:
    """What the runs so far say of each claim of a study."""
    alike = results.alike(seeds)
    return [judge(claim, alike, quick=results.quick) for claim in results.study.claims]


def _summary(studies: Sequence[Results], seeds: int | None) -> str:
    rows = ["| Study | Claim | Verdict |", "|---|---|---|"]
    for results in studies:
        name = f"[{results.study.name}](#{_anchor(results.study.title)})"
        for verdict in verdicts(results, seeds):
            rows.append(f"| {name} | {verdict.claim.words} | **{verdict.outcome}** |")
    return "\n".join([*rows, ""])


def _study(results: Results, folder: str, seeds: int | None) -> Iterator[str]:
    study = results.study
    yield f"## {study.title}\n"
    yield fill(study.question, WIDE) + "\n"
    if study.notes:
        yield fill(study.notes, WIDE) + "\n"
    yield f"```sh\n{COMMAND.format(name=study.name)}\n```\n"
    if not results.alike(seeds):
        yield "No runs yet.\n"
        return
    for verdict in verdicts(results, seeds):
        yield f"- {verdict.claim.words}: **{verdict.outcome}**.\n  {verdict.told[:1].upper()}{verdict.told[1:]}."
    yield ""
    name = results.path.name.removesuffix(".json")
    yield f"![{study.title}]({folder}{name}.svg)\n"
    table = _table(results, seeds)
    if len(study.arms) > MANY:
        yield "<details><summary>All figures</summary>\n"
        yield from table
        yield "\n</details>\n"
    else:
        yield from table
        yield ""


def _table(results: Results, seeds: int | None) -> Iterator[str]:
    figures = results.study.table
    heads = [FIGURES[name].label.replace("|", "\\|") for name in figures]
    yield f"| | {' | '.join(heads)} | seeds |"
    yield f"|---|{'---:|' * len(heads)}---:|"
    for arm in results.study.arms:
        cells = [_cell(results, arm, name, seeds) for name in figures]
        yield f"| {arm.label} | {' | '.join(cells)} | {len(results.of(arm.label, seeds))} |"


def _cell(results: Results, arm: Arm, name: str, seeds: int | None) -> str:
    figure = FIGURES[name]
    values = [r.figures[name] for r in results.of(arm.label, seeds) if name in r.figures]
    if not values:
        return "-"
    mean = figure.show(statistics.fmean(values))
    return f"{mean} ± {figure.show(statistics.stdev(values))}" if len(values) > 1 else mean


def _environments(studies: Sequence[Results]) -> Iterator[str]:
    """Where the runs were made; studies that were made in the same place share a line."""
    found: dict[str, list[str]] = {}
    for results in studies:
        for number in sorted({r.where for arm in results.study.arms for r in results.of(arm.label)}):
            e = results.environments[number]
            packages = ", ".join(f"{name} {version}" for name, version in e["packages"].items() if version)
            place = f"Python {e['python']}, {e['cpus']} cores, {e['platform']}; {packages}"
            found.setdefault(place, []).append(results.study.name)
    if found:
        yield "## Where it was measured\n"
    for place, names in found.items():
        yield f"- {place}: {', '.join(names)}"


def _anchor(title: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    kept = "".join(c for c in title.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
