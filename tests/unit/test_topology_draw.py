"""Drawings of topologies: what a person sees of a chain, a skip link, a diamond, shards, twelve groups."""

from typing import get_args

import pytest

from topology.draw import draw, mermaid
from topology.load import load, loads
from topology.spec import Update


def graph_lines(text: str) -> list[str]:
    """The part of a drawing between the title and the table of links, without what is said of the groups."""
    lines = text.split("\n\n")[1].splitlines()
    return [line.split("  digits, ")[0].split("  4 relu")[0].split("  10 linear")[0].rstrip() for line in lines]


DIAMOND = """\
neurond: 1
name: diamond
source: {data: digits, epochs: 3}
groups: {a: {size: 4}, b: {size: 4}, c: {size: 4}, out: {size: 10, neuron: linear}}
loss: {reads: out}
links:
  source -> a:
  a -> b:
  a -> c:
  b -> out:
  c -> out: {values: uint8, coding: small, notify: {rule: top_k, k: 3}}
"""


def test_a_diamond() -> None:
    """A lane runs from each sender to the arrows of those that it feeds, and lanes join at the readout."""
    assert graph_lines(draw(loads(DIAMOND))) == [
        "      source",
        "  ┌──┘",
        "  └─▶ a",
        "  ┌──┘",
        "  ├─▶ b",
        "┌─│──┘",
        "│ └─▶ c",
        "│ ┌──┘",
        "└─┴─▶ out",
        "  ┌──┘",
        "  └─▶ loss    cross-entropy",
    ]


def test_a_skip_link_has_its_own_lane() -> None:
    """The group that is passed by is drawn beside the lane that passes it."""
    drawn = draw(load("skip"))
    assert [line.split("  32 relu")[0].split("  64 relu")[0].rstrip() for line in graph_lines(drawn)] == [
        "      source",
        "  ┌──┘",
        "  └─▶ h1",
        "  ┌──┘",
        "  ├─▶ h2",
        "┌─│──┘",
        "└─┴─▶ out",
        "  ┌──┘",
        "  └─▶ loss    cross-entropy",
    ]


def test_sizes_neurons_and_rules_are_shown() -> None:
    """A drawing says what each group is and how each link notifies; the source is told nothing."""
    drawn = draw(loads(DIAMOND, overrides=["groups.a.shards=2", "groups.b.update={rule: every, every: 8}"]))
    assert drawn.startswith("diamond, seed 0\n")
    assert "source  digits, epochs 3, window 128, volley 16\n" in drawn
    assert "a       4 relu in 2 shards, sgd 0.05, update threshold 0.01\n" in drawn
    assert "b       4 relu, sgd 0.05, update every 8\n" in drawn
    assert "out     10 linear, sgd 0.05, update threshold 0.01\n" in drawn
    assert "source -> a  float32\n" in drawn
    assert "a -> b       float32      stochastic 0.3\n" in drawn
    assert "c -> out     uint8 small  top_k 3\n" in drawn
    assert "out -> loss               stochastic 0.5\n" in drawn


@pytest.mark.parametrize("rule", get_args(Update.model_fields["rule"].annotation))
def test_every_update_rule_has_its_words(rule: str) -> None:
    """Whatever rule a group updates by, the drawing says so, with what decides it."""
    more = ["groups.h1.update.every=7"] if rule == "every" else []
    decides = {"always": "", "every": " 7"}.get(rule, " 0.01")
    assert f"update {rule}{decides}\n" in draw(load("digits", [f"groups.h1.update.rule={rule}", *more]))


def test_twelve_groups_fit_a_screen() -> None:
    """A deep chain needs one lane, no line is wide, and no line ends in spaces."""
    drawn = draw(load("deep"))
    assert max(map(len, drawn.splitlines())) <= 80
    assert all(line == line.rstrip() for line in drawn.splitlines())
    assert drawn.count("▶") == 13


def test_every_link_is_in_the_mermaid_text() -> None:
    """Mermaid gets each group and link once, the loss included, under names that are no words of its own."""
    text = mermaid(loads(DIAMOND.replace(" c:", " end:").replace("-> c", "-> end").replace(" c ->", " end ->")))
    assert text.splitlines() == [
        "flowchart TD",
        '  n0(["source<br/>digits, epochs 3, window 128, volley 16"])',
        '  n1["a<br/>4 relu, sgd 0.05, update threshold 0.01"]',
        '  n2["b<br/>4 relu, sgd 0.05, update threshold 0.01"]',
        '  n3["end<br/>4 relu, sgd 0.05, update threshold 0.01"]',
        '  n4["out<br/>10 linear, sgd 0.05, update threshold 0.01"]',
        '  n5(["loss<br/>cross-entropy"])',
        "  n0 --> n1",
        '  n1 -->|"stochastic 0.3"| n2',
        '  n1 -->|"stochastic 0.3"| n3',
        '  n2 -->|"stochastic 0.3"| n4',
        '  n3 -->|"top_k 3"| n4',
        '  n4 -->|"stochastic 0.5"| n5',
    ]
