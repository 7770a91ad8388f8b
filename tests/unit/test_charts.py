"""Charts, the picture of a network and the page that they are put into."""

from __future__ import annotations

import re
from itertools import pairwise, product

import pytest

from monitor import page
from monitor.charts import COLOURS, DRAWN, HEIGHT, WIDTH, Mark, Series, bars, lines, thinned, ticks
from monitor.diagram import diagram
from tests.zoo import plan_of
from topology.load import load


def drawn(*points: tuple[float, float], **options: bool) -> str:
    """A chart of one line."""
    return lines([Series("a", points)], "a chart", str, str, "x", **options)


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (0.02, 0.9), (3.0, 3.0), (0.0, 0.0), (-5.0, 12.0), (1e6, 9e6), (0.96, 0.97)]
)
def test_ticks_are_round_and_enclose(low: float, high: float) -> None:
    """Ticks rise evenly, enclose what is drawn, and are few."""
    found = ticks(low, high)
    steps = {round(b - a, 9) for a, b in pairwise(found)}
    assert len(steps) == 1
    assert found[0] <= low <= high <= found[-1]
    assert 3 <= len(found) <= 7


def test_everything_is_within_the_chart() -> None:
    """No point of a line, in whatever scale, lies outside the picture."""
    for log, log_x in product((False, True), repeat=2):
        text = drawn(*((x, 0.001 + x**3) for x in range(50)), log=log, log_x=log_x)
        (way,) = re.findall(r'class="line s1" d="M([^"]+)"', text)
        for point in way.split("L"):
            x, y = map(float, point.split())
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_nothing_to_draw() -> None:
    """Where there is no point there is no chart, and no figure around it; one point is a dot."""
    assert drawn() == drawn((1.0, 0.0), log=True) == bars([("0", 0)], "bars", str) == ""
    assert page.figure("title", "") == page.charts([""]) == page.section("title", "") == page.table(["a"], []) == ""
    assert 'class="point s1"' in drawn((1.0, 2.0))


def test_long_curves_are_thinned() -> None:
    """However long a curve is, its picture is small, and its first and last point stay."""
    points = [(float(x), float(x)) for x in range(100_000)]
    found = thinned(points, DRAWN)
    assert (found[0], found[-1]) == (points[0], points[-1])
    assert DRAWN * 0.9 < len(found) <= DRAWN + 1
    assert len(drawn(*points)) < 30_000


@pytest.mark.parametrize("at", [1, 3_333, 3_334, 50_000, 99_998])
def test_a_collapse_is_drawn_however_short(at: int) -> None:
    """A single point far below all others, or above, is in the picture of a long curve, in its place."""
    for y in (0.0, 2.0):
        points = [(float(x), y if x == at else 1.0) for x in range(100_000)]
        found = thinned(points, DRAWN)
        assert points[at] in found
        assert found == sorted(found)


def test_text_is_plain() -> None:
    """Whatever a name holds, it is no markup."""
    evil = '<td><script>&"'
    text = lines([Series(evil, [(0, 1), (1, 2)])], evil, str, str, evil, marks=[Mark(0.5, evil)])
    text += page.table([evil], [[evil]]) + page.figure(evil, "<svg/>") + page.page(evil, [page.words(evil)])
    text += page.folded(evil, evil) + page.tiles([(evil, evil)]) + bars([(evil, 3)], evil, lambda _: evil)
    assert "<script" not in text
    assert '&"' not in text


def test_every_series_has_a_colour() -> None:
    """The style sheet has a colour, light and dark, for as many series as a chart may have."""
    for i in range(1, COLOURS + 1):
        assert page.STYLE.count(f"--s{i}: #") == 2
        assert f".line.s{i}," in page.STYLE


@pytest.mark.parametrize("name", ["digits", "skip", "sharded", "deep"])
def test_a_network_as_a_picture(name: str) -> None:
    """Each group is one box, each link of the topology one line, and those that carried more are wider."""
    plan = plan_of(name)
    topology = load(name)
    names = [link.name for group in plan.groups for link in group.links_in]
    plain, wide = diagram(plan, {}), diagram(plan, {link: {"bytes": 10 * i} for i, link in enumerate(names)})
    for text in (plain, wide):
        assert text.count('class="box"') == 1 + len(topology.groups)
        assert text.count('class="link"') == len(topology.links)
    assert len(set(re.findall(r'stroke-width="([\d.]+)"', plain))) == 1
    assert len(set(re.findall(r'stroke-width="([\d.]+)"', wide))) == len(topology.links)
