"""Commands to several processes and what they answered, each within its deadline (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from broker.words import Tell
from topology.plan import BROKER
from topology.wire import Command, Reply


@dataclass(slots=True)
class Round:
    """One command to some processes, and their answers until all have come or the deadline has."""

    id: str
    verb: str
    waits_for: set[str]
    deadline: float
    done: Callable[[Round, float], None]
    client: str = ""  # id of the client's command that this answers; "" for the broker's own
    generation: int = 0
    data: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> str:
        """What went wrong, in one line; empty if nothing did."""
        names: dict[str, list[str]] = {}
        for name, error in self.errors.items():
            names.setdefault(error, []).append(name)
        return "; ".join(f"{', '.join(who)}: {error}" for error, who in names.items())


class Rounds:
    """All rounds that are under way. What ends one gives it back, once: its `done` is then to be called."""

    def __init__(self) -> None:
        self._rounds: dict[str, Round] = {}
        self._count = 0

    def __contains__(self, verb: str) -> bool:
        """Whether a command of this kind is under way."""
        return any(round.verb == verb for round in self._rounds.values())

    @property
    def due(self) -> float:
        """The next deadline; infinity if there is none."""
        return min((round.deadline for round in self._rounds.values()), default=inf)

    def open(
        self,
        verb: str,
        told: Iterable[str],
        missing: Iterable[str],
        deadline: float,
        done: Callable[[Round, float], None],
        args: Mapping[str, Any],
        client: str,
        generation: int,
    ) -> list[Tell]:
        """Begin a round: commands to the processes `told`; those `missing` count as errors at once."""
        self._count += 1
        id = f"{BROKER}-{self._count}-{verb}"
        names = list(told)
        round = Round(id, verb, set(names), deadline, done, client, generation)
        round.errors = dict.fromkeys(missing, "not registered")
        self._rounds[id] = round
        return [Tell(name, Command(id, verb, name, dict(args))) for name in names]

    def answered(self, name: str, reply: Reply) -> None:
        """Note an answer; one that comes too late, or a second time, counts for nothing."""
        round = self._rounds.get(reply.id)
        if round is None or name not in round.waits_for:
            return
        round.waits_for.discard(name)
        if reply.ok:
            round.data[name] = reply.data
        else:
            round.errors[name] = reply.error or "refused"

    def lost(self, name: str, why: str) -> None:
        """Note that a process will not answer any more."""
        for round in self._rounds.values():
            if name in round.waits_for:
                round.waits_for.discard(name)
                round.errors[name] = f"lost, {why}"

    def expire(self, now: float) -> None:
        """Note that those who have not answered by their deadline did not."""
        for round in self._rounds.values():
            if now >= round.deadline:
                round.errors |= dict.fromkeys(sorted(round.waits_for), f"no answer to {round.verb}")
                round.waits_for.clear()

    def over(self) -> list[Round]:
        """Those in which nobody is waited for any more, in the order in which they began; they are forgotten here."""
        found = [round for round in self._rounds.values() if not round.waits_for]
        for round in found:
            del self._rounds[round.id]
        return found

    def abandon(self) -> list[Round]:
        """All of them, forgotten here; their `done` is not to be called."""
        found, self._rounds = list(self._rounds.values()), {}
        return found
