"""What links and processes are like, as people write it."""

from __future__ import annotations

import pytest

from neurond.conditions import (
    Conditions,
    Latency,
    conditions_of,
    in_words,
    parse_bandwidth,
    parse_latency,
    parse_share,
)
from tests.fault.networks import build
from tests.simulated import Faults
from topology.plan import SOURCE

PLAN = build(0, Faults()).plan


@pytest.mark.parametrize("text", ["50ms±20ms", "50ms+-20ms", " 50 ms ± 20 ms ", "0.05s±0.02s"])
def test_latencies_are_a_mean_and_a_spread(text: str) -> None:
    """With the sign, or with what a keyboard has for it."""
    found = parse_latency(text)
    assert (found.least_s, found.spread_s) == pytest.approx((0.03, 0.02))


def test_a_latency_may_have_no_spread() -> None:
    """Then it is the same for every frame."""
    assert parse_latency("200ms") == Latency(0.2, 0.0)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("50", "did you mean 50ms"),
        ("50ms±", "write 50ms±20ms, or 50ms alone"),
        ("soon", "write 0.5ms, 50ms, 2s or 10m"),
        ("20ms±50ms", "write 20ms±20ms at most"),
        ("", "no duration"),
    ],
)
def test_what_is_no_latency_gets_a_hint(text: str, why: str) -> None:
    """One line that says what to write."""
    with pytest.raises(ValueError, match=why) as raised:
        parse_latency(text)
    assert "\n" not in str(raised.value)


def test_shares_and_bandwidths() -> None:
    """Per cent or a number below 1; bits a second."""
    assert parse_share("1%") == parse_share("0.01") == 0.01
    assert parse_bandwidth("10Mbit") == parse_bandwidth("10 Mbit/s") == 1e7
    with pytest.raises(ValueError, match="did you mean 5%"):
        parse_share("5")
    for text in ("much", "-1%", "1e-3x"):
        with pytest.raises(ValueError, match="no share"):
            parse_share(text)
    for text in ("10MB", "0Mbit", "fast"):
        with pytest.raises(ValueError, match="no bandwidth"):
            parse_bandwidth(text)


def test_a_shard_may_be_unlike_its_group() -> None:
    """That is said of two, and the last word holds."""
    assert conditions_of(PLAN, slow=["a=2", "a.1=3"]).slow == {"a.0": 2.0, "a.1": 3.0}
    found = conditions_of(PLAN, ["a -> b=1s", "a.1 -> b=2s"])
    assert (found.between(("a.0", "b")), found.between(("a.1", "b"))) == (Latency(1.0), Latency(2.0))


def test_a_group_means_all_its_shards() -> None:
    """For links, both ways, and for who is slow; a link of its own overrides what all have."""
    found = conditions_of(PLAN, ["10ms", "a -> b=200ms", "source -> loss=1s"], slow=["a=10", "b=2"])
    assert found.between(("a.0", "b")) == found.between(("b", "a.1")) == Latency(0.2)
    assert found.between((SOURCE, "out")) == found.between(("out", SOURCE)) == Latency(1.0)
    assert found.between(("a.0", "c")) == Latency(0.01)
    assert found.slow == {"a.0": 10.0, "a.1": 10.0, "b": 2.0}
    assert found.busy_s("a.0", 0) == pytest.approx(10 * found.busy_s("c", 0))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"slow": ["d=10"]}, "no process 'd'"),
        ({"slow": ["ouT=10"]}, "did you mean out"),
        ({"slow": ["a"]}, "write h1=10"),
        ({"slow": ["a=0"]}, "write h1=10"),
        ({"latency": ["b -> a=1s"]}, "no link b -> a"),
        ({"latency": ["b=1s"]}, "names no link"),
        ({"churn": "0s"}, "no time at all"),
        ({"down": "5"}, "did you mean 5ms"),
        ({"down": "5s"}, "nobody dies without --churn"),
        ({"latency": ["50ms", "20ms"]}, "the latency of all links was given twice"),
        ({"latency": ["a -> b=50ms", "a->b=20ms"]}, "the latency of 'a->b' was given twice"),
        ({"slow": ["b=2", "b=3"]}, "how slow 'b' is was given twice"),
        ({"latency": [400 * "9" + "ms"]}, "no duration; write"),
        ({"loss": 400 * "9"}, "nothing would come through"),
        ({"slow": [400 * "a" + "=2"]}, "there are"),
        ({"multiplies_per_s": -1.0}, "write 5e9"),
        ({"multiplies_per_s": float("nan")}, "write 5e9"),
        ({"multiplies_per_s": float("inf")}, "write 5e9"),
        ({"slow": ["a=0.1"]}, "slows nobody down"),
        ({"slow": ["a=" + 400 * "9"]}, "for ever; write h1=10"),
        ({"bandwidth": 400 * "9" + "kbit"}, "no bandwidth"),
    ],
)
def test_what_cannot_be_meant_gets_a_hint(options: dict[str, object], why: str) -> None:
    """One line that says what is wrong, and what to write."""
    with pytest.raises(ValueError, match=why) as raised:
        conditions_of(PLAN, **options)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


def test_they_are_told_in_words() -> None:
    """Whatever is not as ever; with nothing said, only that there is no latency."""
    assert in_words(Conditions()) == {"latency": "0ms±0ms"}
    found = in_words(conditions_of(PLAN, ["50ms±20ms"], "1%", "8Mbit", ["b=3"], "10m"))
    expected = {"latency": "50ms±20ms", "loss": 0.01, "bytes_per_s": 1e6, "churn_s": 600.0, "slow b": 3.0}
    assert found == expected
