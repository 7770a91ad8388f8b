"""Who is alive: the names of a plan, the processes that hold them, and when each was last heard (pure).

A name is held by one live process at a time. Each new process under a name takes the next incarnation, and
a lower one is refused everywhere. `now` is the broker's own clock in seconds; clocks are never compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from broker.incarnations import MOST as MOST_INCARNATIONS
from topology import address
from topology.wire import Hello, Roster

BEAT_TIMEOUT_S = 3.0
START_TIMEOUT_S = 60.0


class RefusedError(ValueError):
    """A process may not take part; the message is what it is told."""


class TakenError(RefusedError):
    """A process that is taken to be alive holds the name."""


@dataclass(slots=True)
class Member:
    """One registered process, as it was last heard."""

    name: str
    role: str
    pid: int
    endpoint: str
    route: bytes  # how the control socket reaches it
    incarnation: int
    heard: float  # s, when it last beat or registered
    progress: int = 0
    moved: float = 0.0  # s, when its progress last grew
    beats: int = 0
    alive: bool = True
    busy_until: float = 0.0  # s, until when silence means nothing


class Registry:
    """The members of one run.

    Args:
        names: the processes that the plan knows; no other may register.
        beat_timeout_s: a process whose last beat is older is silent.
        start_timeout_s: the same for one that has registered but not beaten yet: it is loading its data.
        incarnations: the last of each name that a broker of this run before has given.

    """

    def __init__(
        self,
        names: Iterable[str],
        beat_timeout_s: float = BEAT_TIMEOUT_S,
        start_timeout_s: float = START_TIMEOUT_S,
        incarnations: Mapping[str, int] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.incarnations = dict(incarnations or {})
        """The last incarnation of each name that has had one."""
        self.changes = 0
        """How often somebody has come or gone."""
        self._beat_timeout_s = beat_timeout_s
        self._start_timeout_s = start_timeout_s
        self._members: dict[str, Member] = {}
        self._routes: dict[bytes, str] = {}

    def hello(self, hello: Hello, route: bytes, now: float) -> Member:
        """Register a process, or the same process again; the member that holds the name from now on.

        A process with incarnation 0 gets the next one. One that lived on while the broker was away says which
        it had and keeps it. Raises RefusedError for a name out of plan and an incarnation that has been superseded,
        TakenError for a name that a live process holds.
        """
        if hello.name not in self.names:
            raise RefusedError(f"no process {hello.name!r} in this plan; it has {', '.join(self.names)}")
        old, last = self._members.get(hello.name), self.incarnations.get(hello.name, 0)
        if not address.is_endpoint(hello.endpoint):
            raise RefusedError(f"{hello.endpoint[:80]!r} is no endpoint that its peers could connect to")
        if 0 < hello.incarnation < last:
            raise RefusedError(f"incarnation {hello.incarnation} of {hello.name!r} is over: {last} took its place")
        if old is not None and _same(old, hello, route):
            incarnation = old.incarnation  # it asks again: the answer was lost, or it was thought dead
        elif old is not None and old.alive:
            raise TakenError(f"name {hello.name!r} is taken by pid {old.pid}")
        elif hello.incarnation > last or (old is None and hello.incarnation == last > 0):
            incarnation = hello.incarnation  # it knows better than a broker that has just come
        else:
            incarnation = last + 1
        if incarnation > MOST_INCARNATIONS:
            raise RefusedError(f"{hello.name!r} has been started {MOST_INCARNATIONS} times in this run, which is all")
        self.incarnations[hello.name] = incarnation
        if old is not None:
            self._routes.pop(old.route, None)
        member = Member(hello.name, hello.role, hello.pid, hello.endpoint, route, incarnation, heard=now, moved=now)
        self._members[hello.name] = member
        if old is None or not old.alive or old.incarnation != incarnation:
            self.changes += 1
        self._routes[route] = hello.name
        return member

    def by_route(self, route: bytes) -> Member | None:
        """The member that the control socket reaches by `route`, alive or not."""
        name = self._routes.get(route)
        return None if name is None else self._members[name]

    def member(self, name: str) -> Member | None:
        """The member that holds or held `name`; None if it never registered."""
        return self._members.get(name)

    def beat(self, member: Member, progress: int, now: float) -> None:
        """Note a beat, which also brings a member back that was silent."""
        self.changes += not member.alive
        member.alive = True
        member.heard = now
        member.beats += 1
        if progress != member.progress:
            member.progress, member.moved = progress, now

    def busy(self, name: str, until: float) -> None:
        """Note that a member was asked for what leaves it no time to beat, `until` then (s) or until it `replied`."""
        member = self._members.get(name)
        if member is not None:
            member.busy_until = until

    def replied(self, member: Member, now: float) -> None:
        """Note a member's answer, which is a sign of life."""
        member.heard, member.busy_until = now, 0.0

    def dead(self, name: str) -> None:
        """Note that a process has left or is lost; its name is free for the next incarnation."""
        member = self._members.get(name)
        if member is not None and member.alive:
            member.alive = False
            self.changes += 1

    def silent(self, now: float) -> list[str]:
        """Live members that have not been heard for too long, in the order of the plan."""
        return [m.name for m in self._alive() if now >= self._silent_at(m)]

    @property
    def due(self) -> float:
        """When the next member will be silent, if nothing is heard until then; infinity if nobody is alive."""
        return min(map(self._silent_at, self._alive()), default=inf)

    def heard_all(self, now: float) -> None:
        """Count every live member as heard: for when it was the broker that stood still, and not they."""
        for member in self._alive():
            member.heard = now

    @property
    def alive(self) -> tuple[str, ...]:
        """Names of the live members, in the order of the plan."""
        return tuple(m.name for m in self._alive())

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of the plan that no live process holds."""
        return tuple(n for n in self.names if n not in self.alive)

    def roster(self) -> Roster:
        """Who is alive and where, for every process."""
        peers = {m.name: (m.endpoint, m.incarnation) for m in self._alive()}
        return Roster(peers, not self.missing, self.changes)

    def status(self, now: float) -> dict[str, dict[str, Any]]:
        """What `status` tells a person about each name of the plan; ages in seconds."""
        return {n: self._status(self._members.get(n), now) for n in self.names}

    def _alive(self) -> list[Member]:
        return [m for n in self.names if (m := self._members.get(n)) is not None and m.alive]

    def _silent_at(self, member: Member) -> float:
        patience_s = self._beat_timeout_s if member.beats else self._start_timeout_s
        return max(member.heard + patience_s, member.busy_until)

    @staticmethod
    def _status(member: Member | None, now: float) -> dict[str, Any]:
        if member is None:
            return {"alive": False, "pid": 0, "endpoint": "", "incarnation": 0}
        return {
            "alive": member.alive,
            "role": member.role,
            "pid": member.pid,
            "endpoint": member.endpoint,
            "incarnation": member.incarnation,
            "progress": member.progress,
            "heard_s_ago": round(now - member.heard, 3),
            "moved_s_ago": round(now - member.moved, 3),
        }


def _same(old: Member, hello: Hello, route: bytes) -> bool:
    """Whether the process that says hello is the one that the member already stands for."""
    if (old.pid, old.endpoint) != (hello.pid, hello.endpoint):
        return False
    return old.route == route or 0 < hello.incarnation == old.incarnation
