"""What the links and the processes of a simulated network are like, and how people write it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from topology.errors import quote
from topology.plan import SOURCE, Plan

FRAME_S = 1e-4
"""A process is busy so long with a frame, beside its products: of the order of a real one. `--frame` says another."""
MULTIPLIES_PER_S = 5e9
"""Multiply-adds a second of one core: a cautious round number. `--multiplies` says another."""
DOWN_S = 5.0
_BITS = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(k|M|G)bit(?:/s)?")
_SCALE = {"k": 1e3, "M": 1e6, "G": 1e9}
_SHARE = re.compile(r"([0-9]*\.?[0-9]+)\s*(%?)")


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a frame is on its way: at least `least_s`, and beyond that exponentially distributed.

    So its mean is `least_s` + `spread_s` and its standard deviation `spread_s`: skewed, as real ones are.
    """

    least_s: float = 0.0
    spread_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a network is like; times in virtual seconds."""

    latency: Latency = Latency()
    links: Mapping[tuple[str, str], Latency] = field(default_factory=dict)
    """(sender, receiver) -> its own latency."""
    loss: float = 0.0
    """Share of frames that are lost."""
    bytes_per_s: float = 0.0
    """What a link carries, each way; 0 is any number."""
    frame_s: float = FRAME_S
    """A process is busy so long with each frame ..."""
    multiplies_per_s: float = MULTIPLIES_PER_S
    """... and makes so many multiply-adds a second; 0 is any number."""
    slow: Mapping[str, float] = field(default_factory=dict)
    """Process -> how many times longer it takes."""
    churn_s: float = 0.0
    """A process lives so long on average; 0: none dies."""
    down_s: float = DOWN_S
    """One that has died is back after so long on average."""

    def between(self, pair: tuple[str, str]) -> Latency:
        """The latency from one process to another."""
        return self.links.get(pair, self.latency) if self.links else self.latency

    def busy_s(self, name: str, multiplied: int) -> float:
        """How long a process is busy with a frame for which it makes so many multiply-adds."""
        busy_s = self.frame_s + (multiplied / self.multiplies_per_s if self.multiplies_per_s else 0.0)
        return busy_s * self.slow.get(name, 1.0)


def conditions_of(
    plan: Plan,
    latency: Iterable[str] = (),
    loss: str = "",
    bandwidth: str = "",
    slow: Iterable[str] = (),
    churn: str = "",
    down: str = "",
    frame: str = "",
    multiplies_per_s: float = MULTIPLIES_PER_S,
) -> Conditions:
    """The conditions that were written for the processes of a plan; ValueError with one line for what is none.

    Args:
        plan: whose processes are named.
        latency: ``50ms``, ``50ms±20ms``, or ``h1 -> h2=200ms`` for a link alone, both ways.
        loss: ``1%`` or ``0.01``.
        bandwidth: ``10Mbit``.
        slow: ``h1=10`` each.
        churn: how long a process lives on average, ``10m``.
        down: how long it takes to come back, ``5s``.
        frame: how long a process is busy with a frame, ``0.1ms``.
        multiplies_per_s: multiply-adds a second.

    """
    general = Latency()
    links: dict[tuple[str, str], Latency] = {}
    said: set[tuple[object, ...]] = set()  # of which links and processes: a group and one of its shards are two
    for text in latency:
        link, is_link, value = text.rpartition("=")
        pairs = _pairs(plan, link, text) if is_link else []
        _once(said, ("latency", *pairs), f"the latency of {quote(link.strip()) if is_link else 'all links'}")
        if is_link:
            links |= dict.fromkeys(pairs, parse_latency(value))
        else:
            general = parse_latency(value)
    slower: dict[str, float] = {}
    for text in slow:
        found = _slow(plan, text)
        _once(said, ("slow", *found), f"how slow {quote(text.partition('=')[0].strip())} is")
        slower |= found
    down_s = _above_zero(down) if down else DOWN_S
    if down and not churn:
        raise ValueError("--down: nobody dies without --churn; write --churn 10m beside it, or leave it out")
    if not 0 <= multiplies_per_s < math.inf:  # nan is neither
        raise ValueError(f"{multiplies_per_s:g} multiply-adds a second are none; write 5e9, or 0 for any number")
    return Conditions(
        general,
        links,
        parse_share(loss) if loss else 0.0,
        parse_bandwidth(bandwidth) / 8 if bandwidth else 0.0,
        _seconds(frame) if frame else FRAME_S,
        multiplies_per_s,
        slower,
        _above_zero(churn) if churn else 0.0,
        down_s,
    )


def parse_latency(text: str) -> Latency:
    """``50ms``, ``50ms±20ms`` or ``50ms+-20ms`` (mean and standard deviation); ValueError for what is none."""
    mean, sign, spread = (part.strip() for part in text.replace("+-", "±").partition("±"))
    if sign and not spread:
        raise ValueError(f"{quote(text)} does not say how wide it spreads; write 50ms±20ms, or 50ms alone")
    mean_s, spread_s = _seconds(mean), _seconds(spread) if sign else 0.0
    if spread_s > mean_s:
        raise ValueError(f"{quote(text)}: a latency cannot spread wider than its mean; write {mean}±{mean} at most")
    return Latency(mean_s - spread_s, spread_s)


def parse_share(text: str) -> float:
    """``1%`` or ``0.01``, below 1; ValueError for what is none."""
    match = _SHARE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quote(text)} is no share; write 1% or 0.01")
    share = float(match[1]) / (100 if match[2] else 1)
    if share >= 1:
        hint = "" if match[2] or share >= 100 else f"; did you mean {text}%?"
        raise ValueError(f"{quote(text)}: nothing would come through{hint}")
    return share


def parse_bandwidth(text: str) -> float:
    """``10Mbit``, ``500kbit`` or ``1Gbit`` in bits a second; ValueError for what is none."""
    match = _BITS.fullmatch(text.strip())
    if match is None or not 0 < float(match[1]) < math.inf:
        raise ValueError(
            f"{quote(text)} is no bandwidth; write 500kbit, 10Mbit or 1Gbit, a second and in each direction"
        )
    return float(match[1]) * _SCALE[match[2]]


def _seconds(text: str) -> float:
    from topology.section import seconds  # late: brings pydantic

    try:
        return seconds(text.strip())
    except ValueError:
        is_number = re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,9}", text.strip())
        hint = f"did you mean {text.strip()}ms?" if is_number else "write 0.5ms, 50ms, 2s or 10m"
        raise ValueError(f"{quote(text.strip())} is no duration; {hint}") from None


def _above_zero(text: str) -> float:
    found = _seconds(text)
    if not found:
        raise ValueError(f"{quote(text)} is no time at all; write 5s, 10m or 2h")
    return found


def _once(said: set[tuple[object, ...]], what: tuple[object, ...], words: str) -> None:
    """Take down what was said; ValueError if it was said before, for only one of the two can be meant."""
    if what in said:
        raise ValueError(f"{words} was given twice; leave one of them out")
    said.add(what)


def _slow(plan: Plan, text: str) -> dict[str, float]:
    """The processes that ``NAME=TIMES`` names, each with how many times slower it is."""
    name, _, times = (part.strip() for part in text.partition("="))
    if not re.fullmatch(r"[0-9]*\.?[0-9]+", times) or float(times) < 1:
        raise ValueError(f"{quote(text)} slows nobody down; write h1=10 for ten times slower")
    if float(times) == math.inf:
        raise ValueError(f"{quote(text)} stops it for ever; write h1=10 for ten times slower")
    return dict.fromkeys(_processes(plan, name, text), float(times))


def _pairs(plan: Plan, link: str, text: str) -> list[tuple[str, str]]:
    """The pairs of processes that a link joins, both ways."""
    pre, arrow, post = (part.strip() for part in link.partition("->"))
    if not arrow:
        raise ValueError(f"{quote(text)} names no link; write 'h1 -> h2=200ms', in quotes")
    pres = set(_processes(plan, pre, text))
    posts = {plan.source.readout} if post == "loss" else set(_processes(plan, post, text))
    joined = [(way.pre, way.post) for group in plan.groups for way in group.links_in]
    joined.append((SOURCE, plan.source.readout))  # targets, and confirmations back
    found = [pair for pair in joined if pair[0] in pres and pair[1] in posts]
    if not found:
        raise ValueError(f"{quote(text)}: there is no link {pre} -> {post}")
    return found + [(post, pre) for pre, post in found]


def _processes(plan: Plan, name: str, text: str) -> list[str]:
    """The process of that name, or all shards of the group."""
    found = [g.name for g in plan.groups if name in (g.name, g.group)]
    if name == SOURCE:
        found = [SOURCE]
    if not found:
        known = sorted({SOURCE, *(g.group for g in plan.groups)})
        close = get_close_matches(name, [*known, *plan.processes], 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known[:8])}"
        raise ValueError(f"{quote(text)}: there is no process {quote(name)}; {hint}")
    return found


def in_words(conditions: Conditions) -> dict[str, str | float]:
    """The conditions, for whoever reads of the run later; what is as ever is left out."""
    plain = Conditions()
    told: dict[str, str | float] = {"latency": _latency_in_words(conditions.latency)}
    told |= {f"latency {pre} -> {post}": _latency_in_words(x) for (pre, post), x in conditions.links.items()}
    for key in ("loss", "bytes_per_s", "frame_s", "multiplies_per_s", "churn_s", "down_s"):
        value = getattr(conditions, key)
        if value != getattr(plain, key):
            told[key] = value
    return told | {f"slow {name}": times for name, times in conditions.slow.items()}


def _latency_in_words(latency: Latency) -> str:
    return f"{1000 * (latency.least_s + latency.spread_s):g}ms±{1000 * latency.spread_s:g}ms"
