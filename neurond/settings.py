"""What may be changed of a process while it runs: the verbs `get` and `set` (pure).

A setting lives as long as its process. The broker hands it on to whoever takes that one's place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

from neurond.machine import Action, Answer, Request, Tell
from topology import wire
from topology.plan import SMALLEST

if TYPE_CHECKING:
    from neurond.dendrites import Dendrites
    from neurond.notifier import Notifier

VERBS = ("get", "set", "adopt")
"""What is asked of them; `adopt` by the broker alone."""


MOST_WHOLE = 2**63
"""What no setting comes near to; a whole number beyond what a float holds cannot even be shown."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One value: how it is read and changed, and what it may be.

    Args:
        read: what it is now.
        change: called with what it is to be, which was found to be allowed.
        least: it may be, in the setting's own unit; not this itself if it must be `above`.
        most: it may be.
        above: whether `least` is out of bounds.
        coarse: whether nothing between 0 and `SMALLEST` will do, which would vanish in float32.
        whole: only whole numbers.
        begun: what the plan has of a value that also changes by itself; None where it changes only when it is set.

    """

    read: Callable[[], float]
    change: Callable[[float], None]
    least: float = 0.0
    most: float = 1e6
    above: bool = False
    coarse: bool = False
    whole: bool = False
    begun: Callable[[], float] | None = None

    def before(self) -> float:
        """What it is by the plan, as long as it has not been set."""
        return self.read() if self.begun is None else self.begun()

    def trouble(self, value: object) -> str:
        """Why this cannot be the value; empty if it can."""
        shown = f"{value!r:.40}" if not isinstance(value, int) or abs(value) < MOST_WHOLE else "so large a number"
        if isinstance(value, int | float) and not isinstance(value, bool):
            fits = self.least <= value <= self.most and not (self.above and value == self.least)
            if fits and self.coarse and 0 < value < SMALLEST:
                zero = "" if self.above else "0, or "
                return f"{zero}a number from {SMALLEST:g} to {self.most:g} is expected, not {shown}"
            if fits and (not self.whole or value == int(value)):
                return ""
        what = "a whole number" if self.whole else "a number"
        bounds = f"above {self.least:g}" if self.above else f"from {self.least:g}"
        most = "" if self.most == inf else f" to {self.most:g}"
        return f"{what} {bounds}{most} is expected, not {shown}"


class Settings:
    """All settings of one process, by key.

    Args:
        name: of the process.

    """

    def __init__(self, name: str) -> None:
        self.changed: dict[str, float] = {}
        """Those that are not as the plan has them any more, or were so once, as they are now."""
        self._planned: dict[str, float] = {}  # of those, what the plan has
        self._name = name
        self._known: dict[str, Setting] = {}

    def add(self, settings: Mapping[str, Setting]) -> None:
        """Take in more of them."""
        self._known |= settings

    def answer(self, request: Request) -> list[Action]:
        """Carry out one of `VERBS`; the answer, and what has happened.

        ``get``: all of them; with the argument ``planned``, as the plan has them. ``set`` has the argument
        ``settings``, each key with its value, all of which are changed or none.
        ``adopt`` has ``settings``, what the process before this one had been told: that is no news, and is not told
        as such.
        """
        match request.verb:
            case "get":
                if request.args.get("planned"):
                    values = {key: self._planned.get(key, s.before()) for key, s in self._known.items()}
                else:
                    values = {key: s.read() for key, s in self._known.items()}
                return [Answer(wire.Reply(request.id, True, values))]
            case "adopt":
                return self._adopt(request)
        return self._set(request)

    def _set(self, request: Request) -> list[Action]:
        wanted = request.args.get("settings")
        if not isinstance(wanted, dict):
            what = "settings should be a map of keys to values"
            return [Answer(wire.Reply(request.id, False, error=what))]
        troubles = list(filter(None, (self._trouble(key, value) for key, value in wanted.items())))
        if troubles:
            return [Answer(wire.Reply(request.id, False, error="; ".join(troubles)))]
        after, events = {}, []
        for key, value in wanted.items():
            before = self._known[key].read()
            after[key] = self._change(key, value)
            events.append(Tell(wire.Event(self._name, "set", {"key": key, "value": after[key], "before": before})))
        return [Answer(wire.Reply(request.id, True, after)), *events]

    def _adopt(self, request: Request) -> list[Action]:
        given = request.args.get("settings")
        # What was set here meanwhile is newer: a process that asks twice for its welcome is told twice.
        wanted = {k: v for k, v in given.items() if k not in self.changed} if isinstance(given, dict) else {}
        troubles = {key: trouble for key, value in wanted.items() if (trouble := self._trouble(key, value))}
        adopted = {key: self._change(key, value) for key, value in wanted.items() if key not in troubles}
        return [Answer(wire.Reply(request.id, not troubles, adopted, "; ".join(troubles.values())))]

    def _change(self, key: str, value: Any) -> float:
        self._planned.setdefault(key, self._known[key].before())
        self._known[key].change(value)
        self.changed[key] = self._known[key].read()
        return self.changed[key]

    def _trouble(self, key: object, value: object) -> str:
        """Why this key cannot have this value; empty if it can."""
        if not isinstance(key, str) or key not in self._known:
            return self._unknown(key)
        trouble = self._known[key].trouble(value)
        return f"{key}: {trouble}" if trouble else ""

    def _unknown(self, key: object) -> str:
        from topology.errors import guess  # only errors need it, and daemons start without it

        if not isinstance(key, str):
            return f"which setting is a word, one of {', '.join(self._known)}"
        return f"no setting '{key:.40}'; {guess(key, self._known)}"


def of_group(dendrites: Dendrites, rules: Mapping[str, Notifier]) -> dict[str, Setting]:
    """The settings of a group's learning.

    ``lr`` is the optimizer's, before its schedule; ``threshold`` that of updates, where the rule has one, as it is
    now, and ``target`` what it is steered by; ``notify.<pre>.threshold``, ``.target`` and ``.clip`` belong to the
    rule that the group applies before it notifies <pre>, of those in `rules`; ``staleness_decay``, ``look_ahead`` and
    ``delay_compensation`` are the group's, where it has them.
    """
    found = {"lr": Setting(lambda: dendrites.lr, dendrites.set_lr, coarse=True)}
    if dendrites.has_threshold:
        above = dendrites.in_thresholds or dendrites.is_steered
        first = partial(float, dendrites.first_threshold)
        found["threshold"] = Setting(
            lambda: dendrites.threshold, dendrites.set_threshold, above=above, coarse=True, begun=first
        )
    if dendrites.is_steered:
        found["target"] = Setting(lambda: dendrites.target, dendrites.set_target, above=True, coarse=True, most=1.0)
    for key in dendrites.against_staleness:
        found[key] = Setting(partial(dendrites.get, key), partial(dendrites.set, key))
    for pre, rule in rules.items():
        found |= _of_rule(f"notify.{pre}", rule)
    return found


def _of_rule(start: str, rule: Notifier) -> dict[str, Setting]:
    def set_threshold(value: float) -> None:
        rule.adjust(threshold=value)

    def set_target(value: float) -> None:
        rule.adjust(target=value)

    def set_clip(value: float) -> None:
        rule.adjust(clip=value)

    found = {f"{start}.clip": Setting(lambda: rule.plan.clip, set_clip)}
    if rule.plan.rule not in ("exact", "top_k"):
        above = rule.plan.rule == "quantum" or rule.steered or rule.plan.residual_clip > 0
        first = partial(float, rule.plan.threshold)
        found[f"{start}.threshold"] = Setting(
            lambda: rule.threshold, set_threshold, above=above, coarse=True, begun=first
        )
    if rule.steered:
        found[f"{start}.target"] = Setting(lambda: rule.plan.target, set_target, above=True, coarse=True, most=1.0)
    return found
