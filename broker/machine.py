"""The broker without its sockets: messages in, messages out (pure).

What each message means for the registry, the run's life, the clients' requests and the monitors; `server.py`
moves the bytes. ``now`` is the broker's own clock in seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from broker import rights, words
from broker.conductor import Conductor
from broker.registry import BEAT_TIMEOUT_S, Member, RefusedError, Registry, TakenError
from broker.requests import Requests
from broker.settings import Settings
from topology import plan, wire
from topology.fanout import Fanout
from topology.plan import BROKER

TICK_S = 0.5  # between two ticks, at most
STALLED_S = 1.0  # a tick that comes this late: it was the broker that stood still
PROBE_S = 1.0  # for the holder of a name to answer, when another process asks for it
AS_ASKED = {"kill": "killed as it was asked to", "restart": "restarts as it was asked to"}
"""Commands that a process does not outlive, and why it is lost then."""
ANYBODY = ""  # whose key it was, where there are no keys


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the peer that the control socket reaches by `route`."""

    route: bytes
    message: wire.ControlMessage


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send these frames to every monitor that wants them."""

    frames: list[bytes]


@dataclass(frozen=True, slots=True)
class Say:
    """A line for the log."""

    line: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Put down the last incarnation of each name, before anything that follows is done."""

    incarnations: dict[str, int]


Order = Send | Broadcast | Say | Remember | words.WriteManifest | words.Discard | words.Leave


@dataclass(slots=True)
class _Contest:
    """A process asks for a name whose holder is taken to be alive, and the holder was asked whether it is."""

    hello: wire.Hello
    route: bytes
    probe: str  # id of the command that the holder is to answer
    until: float


class BrokerMachine:
    """All that one broker decides. Each method returns the orders that follow, to be carried out as they stand.

    Args:
        the_plan: the whole run.
        run_dir: the run folder, as every process is to know it.
        origin: a number that no other broker of the run has, to tell their events apart.
        generation: the last good checkpoint's, 0 if there is none.
        resume: processes load that checkpoint before the first spike.
        beat_timeout_s: silence after which a process is lost.
        again: a broker of this run died, and its processes may live.
        incarnations: those that it had given.

    """

    def __init__(
        self,
        the_plan: plan.Plan,
        run_dir: str,
        *,
        origin: int,
        generation: int = 0,
        resume: bool = False,
        beat_timeout_s: float = BEAT_TIMEOUT_S,
        again: bool = False,
        incarnations: Mapping[str, int] | None = None,
    ) -> None:
        self.wire_errors = 0
        self.denied = 0  # connections, as the gate counts them
        self.impostors = 0  # messages that their key may not send
        self.drops: Counter[str] = Counter()
        self._rates = rights.Rates()
        self.registry = Registry(the_plan.processes, beat_timeout_s, incarnations=incarnations)
        self._contests: dict[str, _Contest] = {}
        self._run, self._run_dir, self._resume = the_plan.name, run_dir, resume
        self._beat_timeout_s = beat_timeout_s
        self._parts = {g.name: plan.to_dict(g) for g in the_plan.groups}
        self._parts[plan.SOURCE] = plan.to_dict(the_plan.source)
        self._conductor = Conductor(the_plan.processes, generation, again=again)
        self._requests = Requests()
        self._settings = Settings()
        self._leaves: dict[str, wire.Command] = {}  # what each was told that it does not outlive
        self._fanout = Fanout(origin)
        self._ticked: float | None = None
        self._out: list[Order] = []

    # --- what comes in --------------------------------------------------------------------------------

    def control(self, route: bytes, data: bytes, now: float, owner: str | None = ANYBODY) -> list[Order]:
        """Take in a message of the control socket; bytes that are none, or not for a broker, are counted.

        `owner` has the key of the connection that it came on: ANYBODY where there are no keys, None where the key is
        not accepted any more.
        """
        out = self._out = []
        try:
            message = wire.unpack(data)
        except wire.WireError:
            self.wire_errors += 1
            return out
        member = self.registry.by_route(route)
        held = None if member is None else member.name
        if owner != ANYBODY and (owner is None or not rights.may_say(owner, message, held)):
            self._impostor(message, route, now, owner, held)
            return out
        if isinstance(message, wire.Hello | wire.Command) and not self._rates.allow(owner or route, now):
            self.drops["asked too often"] += 1
            return out
        match message:
            case wire.Hello():
                self._hello(message, route, now)
            case wire.Command():
                self._command(message, route, now)
            case wire.Beat() if member is not None:
                was_alive = member.alive
                self.registry.beat(member, message.progress, now)
                if not was_alive:
                    self._joined(member, now)
            case wire.Beat():
                out.append(Send(route, wire.Unknown()))  # it outlived another broker, or its own replacement
            case wire.Reply() if member is not None:
                self.registry.replied(member, now)
                told = self._leaves.get(member.name)
                if told is not None and told.id == message.id and not message.ok:
                    del self._leaves[member.name]
                if not self._defended(member, message):
                    self._happened(words.Answered(member.name, message), now)
            case wire.Event() if member is not None and message.name == member.name:
                self._settings.happened(message)
                self._happened(words.Said(message), now)
                if message.kind == "failed":
                    self._leaves.pop(member.name, None)  # it says itself why
                    self._lost(member.name, str(message.data.get("why", "it failed")), now)
            case _:
                self.wire_errors += 1
        return out

    def telemetry(self, data: bytes, owner: str | None = ANYBODY) -> list[Order]:
        """Take in telemetry: passed on as it is, unless it is none or comes from an incarnation that is over.

        `owner` as for `control`.
        """
        try:
            message = wire.unpack(data)
            if not isinstance(message, wire.Telemetry):
                raise wire.WireError(f"{type(message).__name__} is no telemetry")
        except wire.WireError:
            self.wire_errors += 1
            return []
        if owner not in (ANYBODY, message.name):
            self.impostors += 1
            return []
        member = self.registry.member(message.name)
        if member is None or member.incarnation != message.incarnation:
            self.drops["fenced telemetry"] += 1
            return []
        return [Broadcast(self._fanout.telemetry(message, data))]

    def subscribed(self, topic: bytes) -> list[Order]:
        """A new subscriber is brought up to date; what the others know already they recognise."""
        return [Broadcast(frames) for frames in self._fanout.snapshot(topic)]

    def tick(self, now: float) -> list[Order]:
        """Some time has passed: look at beats and deadlines. Take in all that waits first: it may be a beat."""
        out = self._out = []
        if self._ticked is not None and now - self._ticked > TICK_S + STALLED_S:
            self.registry.heard_all(now)
        self._ticked = now
        if self._watches:
            for name in self.registry.silent(now):
                self._lost(name, f"no beat for {self._beat_timeout_s:g} s", now)
            for name in [name for name, contest in self._contests.items() if now >= contest.until]:
                self._lost(name, f"no answer for {PROBE_S:g} s, and another process asks for its name", now)
        self._happened(words.Tick(), now)
        return out

    def next_tick(self, now: float) -> float:
        """When `tick` is to be called next: at the next deadline, and often enough to notice a stall of our own."""
        silence = self.registry.due if self._watches else inf
        contests = (contest.until for contest in self._contests.values())
        return min(now + TICK_S, silence, self._conductor.due, *contests)

    def unreachable(self, route: bytes, now: float) -> list[Order]:
        """The control socket has no peer of this route any more: the process is gone, or its connection is."""
        out = self._out = []
        member = self.registry.by_route(route)
        if member is not None and member.alive and self._watches:
            self._lost(member.name, "its connection is gone", now)
        return out

    def stop(self, now: float) -> list[Order]:
        """End the run as a client's `stop` would."""
        return self.happened(words.Asked(wire.Command(f"{BROKER}-stop", "stop")), now)

    def written(self, generation: int, error: str, now: float) -> list[Order]:
        """A manifest is on disk, or why it is not."""
        return self.happened(words.Written(generation, error), now)

    def happened(self, happening: words.Happening, now: float) -> list[Order]:
        """Take in something that happened to the run."""
        out = self._out = []
        self._happened(happening, now)
        return out

    @property
    def _watches(self) -> bool:
        """Silence means something: nobody has been told to leave yet."""
        return self._conductor.state not in (words.State.LEAVING, words.State.ENDED)

    # --- what it means --------------------------------------------------------------------------------

    def _hello(self, hello: wire.Hello, route: bytes, now: float) -> None:
        before = self.registry.member(hello.name)
        known = before is not None and before.alive
        try:
            if self._conductor.state in (words.State.LEAVING, words.State.ENDED):
                raise RefusedError("the run is over")
            member = self.registry.hello(hello, route, now)
        except TakenError as error:
            self._contest(hello, route, error, now)
            return
        except RefusedError as error:
            self._refuse(hello, route, error)
            return
        # A process that takes another's place goes on from what that one left.
        recover = member.incarnation > 1 and not hello.incarnation
        resume = self._resume or (recover and self._conductor.generation > 0)
        self._out.append(Remember(dict(self.registry.incarnations)))
        part = self._parts[member.name]
        self._out.append(Send(route, wire.Welcome(member.incarnation, part, self._run_dir, resume, recover)))
        settings = self._settings.registered(hello, member.incarnation)
        if settings is not None:
            self._out.append(Send(route, settings))
        if not known:
            self._joined(member, now)
        elif self._conductor.state is not words.State.WAITING:
            self._out.append(Send(route, self.registry.roster()))

    def _refuse(self, hello: wire.Hello, route: bytes, error: RefusedError) -> None:
        self._out.append(Say(f"refused {hello.name!r}, pid {hello.pid}: {error}"))
        self._out.append(Send(route, wire.Refused(str(error))))

    def _contest(self, hello: wire.Hello, route: bytes, error: TakenError, now: float) -> None:
        """Let the holder of a name speak for itself. Until it has, or has not, the other asks again and again."""
        holder, contest = self.registry.member(hello.name), self._contests.get(hello.name)
        assert holder is not None
        if contest is None:
            probe = f"{BROKER}-probe-{hello.name}-{holder.beats}"
            self._contests[hello.name] = _Contest(hello, route, probe, now + PROBE_S)
            self._out.append(Send(holder.route, wire.Command(probe, "status", hello.name)))
        elif contest.route == route:
            contest.hello = hello
        else:
            self._refuse(hello, route, error)

    def _defended(self, holder: Member, reply: wire.Reply) -> bool:
        """Whether this is a holder's word that it lives; then the other process is refused."""
        contest = self._contests.get(holder.name)
        if contest is None or reply.id != contest.probe:
            return False
        del self._contests[holder.name]
        self._refuse(contest.hello, contest.route, TakenError(f"name {holder.name!r} is taken by pid {holder.pid}"))
        return True

    def _impostor(
        self, message: wire.ControlMessage, route: bytes, now: float, owner: str | None, held: str | None
    ) -> None:
        """A key that may not say this: counted, and its holder told why, unless it asks too often."""
        self.impostors += 1
        if not self._rates.allow(route, now):
            return
        whose = "a key that is revoked" if owner is None else f"the key of {owner!r}"
        if isinstance(message, wire.Command):
            what = f"{whose} may not {message.verb}"
            self._out.append(Send(route, wire.Reply(message.id, False, error=what)))
        else:
            name = message.name if isinstance(message, wire.Hello) else held
            what = whose if owner is None else f"{whose} is not that of {name!r}"
            self._out.append(Send(route, wire.Refused(what)))
        self._out.append(Say(f"refused: {what}"))

    def _joined(self, member: Member, now: float) -> None:
        self._out.append(Say(f"{member.name} joined, incarnation {member.incarnation}, {member.endpoint}"))
        self._happened(words.Joined(member.name, member.incarnation, member.pid, self.registry.missing), now)

    def _lost(self, name: str, why: str, now: float) -> None:
        told = self._leaves.pop(name, None)
        why = why if told is None else AS_ASKED[told.verb]
        self.registry.dead(name)
        self._out.append(Say(f"{name} lost: {why}"))
        self._happened(words.Lost(name, why), now)
        contest = self._contests.pop(name, None)
        if contest is not None:
            self._hello(contest.hello, contest.route, now)

    def _command(self, command: wire.Command, route: bytes, now: float) -> None:
        if not self._requests.is_new(command.id, route):
            answered = self._requests.reply(command.id)
            if answered is not None:
                self._out.append(Send(route, answered))
        elif command.verb == "status" and not command.target:
            self._answer(wire.Reply(command.id, True, self._status(now)))
        else:
            self._out.append(Say(f"asked to {command.verb} {command.target}".rstrip()))
            self._happened(words.Asked(command), now)

    def _status(self, now: float) -> dict[str, Any]:
        return {
            "run": self._run,
            "run_dir": self._run_dir,
            "state": self._conductor.state.value,
            "generation": self._conductor.generation,
            "wire_errors": self.wire_errors,
            "denied": self.denied,
            "impostors": self.impostors,
            "drops": dict(self.drops),
            "processes": self.registry.status(now),
        }

    # --- what is to be done ---------------------------------------------------------------------------

    def _happened(self, happening: words.Happening, now: float) -> None:
        for action in self._conductor.handle(happening, now):
            match action:
                case words.Tell(name, command):
                    self._tell(name, command)
                    if command.verb in AS_ASKED:
                        self._leaves[name] = command
                    if command.verb == "save":  # writing it is done between two beats, and a disk may be slow
                        self.registry.busy(name, now + words.SAVE_S)
                case words.TellRoster():
                    for name in self.registry.alive:
                        self._tell(name, self.registry.roster())
                case words.Publish(event):
                    if event.name == BROKER and event.kind not in ("joined", "lost"):
                        self._out.append(Say(_in_words(event)))
                    self._out.append(Broadcast(self._fanout.event(event)))
                case words.Answer(reply):
                    self._answer(reply)
                case _:
                    self._out.append(action)

    def _tell(self, name: str, message: wire.ControlMessage) -> None:
        member = self.registry.member(name)
        if member is not None:
            self._out.append(Send(member.route, message))

    def _answer(self, reply: wire.Reply) -> None:
        self._out += [Send(route, reply) for route in self._requests.answered(reply)]


def _in_words(event: wire.Event) -> str:
    """An event of the broker's own, for its log."""
    what = f"generation {event.data['generation']}" if event.kind == "saved" else event.data.get("why", "")
    return f"{event.kind} {what}".rstrip()
