"""Charts of made-up results."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neurond.experiments import draw
from neurond.experiments.catalog import STUDIES
from neurond.experiments.results import Results
from tests.studies import SMALL, made_up


def figure(name: str, arm: str, seed: int) -> float:
    """A number that differs from arm to arm and seed to seed."""
    return 0.02 + (sum(map(ord, name + arm)) % 50) / 100 + seed / 500


def drawn(results: Results) -> Figure:
    """The charts of a study, as they are before they are a file."""
    canvas = Figure()
    FigureCanvasAgg(canvas)
    with mpl.rc_context(draw.STYLE):
        draw._layout(canvas, results, None)
        canvas.canvas.draw()
    return canvas


@pytest.mark.parametrize("name", STUDIES)
def test_every_chart_has_labelled_axes(name: str) -> None:
    """Each study is drawn: every panel has something in it, and says what both its axes are."""
    results = made_up(STUDIES[name], 3, figure)
    canvas = drawn(results)
    panels = [axes for axes in canvas.axes if axes.get_label() != "<colorbar>"]
    assert len(panels) >= len(STUDIES[name].charts)
    for axes in panels:
        assert axes.has_data()
        assert axes.get_xlabel()
        for scale, label in ((axes.get_xscale(), axes.get_xlabel()), (axes.get_yscale(), axes.get_ylabel())):
            assert (scale == "log") == label.endswith(", log scale")
        assert axes.get_ylabel() or len(axes.get_yticklabels()) == len(STUDIES[name].arms)


def test_rows_of_dots_have_names_and_lines_do_not_run_back() -> None:
    """The study of steered thresholds has both: each row says its arm, and a line is of one learning rate."""
    study = STUDIES["adaptive"]
    lines, dots = drawn(made_up(study, 3, figure)).axes
    assert [label.get_text() for label in dots.get_yticklabels()] == [arm.label for arm in study.arms]
    assert lines.get_title() == "learning rate 0.1"
    at = [arm for arm in study.arms if arm.x == 0.1]
    assert {arm.label.rpartition(", ")[2] for arm in at} == {"rate 0.1"}
    assert sum(len(bars[0].get_xdata()) for bars in lines.containers) == len(at) + 1


def test_a_chart_says_of_how_many_seeds_it_is() -> None:
    """As a range where some arms have fewer so far."""
    results = made_up(SMALL, 3, figure)
    assert drawn(results).get_suptitle() == "A small study; 3 seeds"
    del results.runs[-2:]
    assert drawn(results).get_suptitle() == "A small study; 2 to 3 seeds"
    quick = made_up(SMALL, 1, figure, quick=True)
    assert drawn(quick).get_suptitle() == "A small study; 1 seed; --quick: not a measurement"


def test_the_same_results_are_the_same_files(tmp_path: Path) -> None:
    """SVG and PNG are written, whole, and the SVG is well-formed and does not change from one time to the next."""
    texts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        svg, png = draw.draw(made_up(SMALL, 3, figure, folder), folder)
        assert (svg, png) == (folder / "small.svg", folder / "small.png")
        assert png.read_bytes().startswith(b"\x89PNG")
        ElementTree.fromstring(svg.read_text())
        texts.append(svg.read_text())
    assert texts[0] == texts[1]


def test_a_spread_is_that_of_the_seeds() -> None:
    """Mean, least and largest, in the figure's unit; of the first seeds alone where that is asked for."""
    results = made_up(SMALL, 3, lambda _name, _arm, seed: (0.1, 0.2, 0.6)[seed])
    assert draw.spread(results, SMALL.arms[0], "test_error", None) == pytest.approx((30, 10, 60))
    assert draw.spread(results, SMALL.arms[0], "test_error", 2) == pytest.approx((15, 10, 20))
    results.runs.clear()
    assert draw.spread(results, SMALL.arms[0], "test_error", None) is None
