"""`--until` and `--for`: what they understand, and what they say to the rest."""

import re

import pytest

from neurond.until import METRICS, OPERATORS, Check, Target, parse_for, parse_target


@pytest.mark.parametrize(
    ("text", "gauge", "sign", "value"),
    [
        ("acc>=0.97", "test_accuracy", ">=", 0.97),
        ("acc>0.97", "test_accuracy", ">", 0.97),
        ("acc>=97%", "test_accuracy", ">=", 0.97),
        (" accuracy >= .5 ", "test_accuracy", ">=", 0.5),
        ("ACC>=0.9", "test_accuracy", ">=", 0.9),
        ("train_accuracy>=1", "train_accuracy", ">=", 1.0),
        ("loss<=0.1", "test_loss", "<=", 0.1),
        ("loss<1e-3", "test_loss", "<", 0.001),
        ("train_loss<=2", "loss", "<=", 2.0),
    ],
)
def test_targets_are_understood(text: str, gauge: str, sign: str, value: float) -> None:
    """Every way of writing a target that people use gives the gauge, the comparison and the number they mean."""
    target = parse_target(text)
    assert (target.gauge, target.sign, target.value) == (gauge, sign, pytest.approx(value))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "acc>=0.97"),
        ("acc", "acc>=0.97"),
        ("acc=0.97", "acc>=0.97"),
        ("acc>=", "acc>=0.97"),
        ("acc>=high", "acc>=0.97"),
        ("acc>=0.97 and loss<1", "acc>=0.97"),
        ("speed>=3", "known: acc"),
        ("acc>=97", "did you mean acc>=0.97?"),
        ("acc<=0.9", "write acc>=0.9"),
        ("loss>=0.1", "write loss<=0.1"),
        ("loss<=1e999", "too large"),
    ],
)
def test_other_targets_are_refused_with_a_hint(text: str, says: str) -> None:
    """What cannot be meant is refused in one line that says how to write it."""
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        parse_target(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sign", "reached"), [(">=", [0, 1, 1]), (">", [0, 0, 1]), ("<=", [1, 1, 0]), ("<", [1, 0, 0])]
)
def test_reached(sign: str, reached: list[int]) -> None:
    """A target is judged by its own comparison; a figure that was never measured reaches nothing."""
    target = Target("", "loss", sign, 0.5)
    assert [target.reached(x) for x in (0.4, 0.5, 0.6)] == [bool(r) for r in reached]
    assert not target.reached(None)
    assert sign in OPERATORS


def test_every_metric_can_be_a_target() -> None:
    """No name in the table is one that the parser then refuses."""
    for name in METRICS:
        sign = ">=" if "acc" in name else "<="
        assert parse_target(f"{name}{sign}0.5").gauge == METRICS[name]


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60.0), ("500ms", 0.5), ("1.5m", 90.0), ("1h", 3600.0)])
def test_durations(text: str, seconds: float) -> None:
    """Durations with a unit."""
    assert parse_for(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "says"),
    [("60", "did you mean 60s?"), ("soon", "60s"), ("", "60s"), ("-5s", "60s"), ("0s", "no time"), ("5 days", "60s")],
)
def test_other_durations_are_refused_with_a_hint(text: str, says: str) -> None:
    """A number without a unit, or no duration at all, is refused with the way to write it."""
    with pytest.raises(ValueError, match=re.escape(says)):
        parse_for(text)


def test_a_goal_on_held_out_data_is_checked_on_a_still_network() -> None:
    """A good figure during training pauses it; only the same network, measured at rest, ends the run."""
    check = Check(parse_target("acc>=0.9"))
    assert check.look(None) == check.look(0.85) == ""
    assert check.look(0.91) == "check"
    assert check.look(0.92) == ""  # one check at a time
    assert check.evaluated(0.95, still=False) == ""  # an evaluation that was already under way
    assert check.evaluated(0.89, still=True) == "resume"
    assert not check.reached
    assert check.look(0.93) == "check"
    assert check.evaluated(0.9, still=True) == "stop"
    assert check.reached
    assert check.look(0.95) == ""


def test_a_goal_on_training_figures_ends_the_run_at_once() -> None:
    """The running mean of the training loss is what it is; nothing is measured again."""
    check = Check(parse_target("train_loss<=0.1"))
    assert check.look(0.2) == ""
    assert check.look(0.1) == "stop"
    assert check.reached


def test_the_last_evaluation_decides_where_a_run_ends_by_itself() -> None:
    """A run that ends before its check came back has reached the goal if its final figure says so."""
    for figure, reached in ((0.95, True), (0.85, False), (None, False)):
        check = Check(parse_target("acc>=0.9"))
        check.look(0.91)
        check.ended(figure)
        assert check.reached is reached
