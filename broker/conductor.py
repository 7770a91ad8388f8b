"""The life of a run: waiting -> running -> draining -> saving -> leaving -> ended (pure).

Events go in, actions come out, in the order in which they are to be done; ``now`` is the broker's own clock
in seconds. Everything that is asked of processes is a `Round` with a deadline, so whatever they do or fail to
do, a run that was told to stop ends within the sum of the deadlines (`STOP_S`).

    waiting    processes register                             a stop ends the run, or waits where it goes on (`again`)
    running    all of them have, once; the source presents    a process that comes back is taken in again
    draining   a stop was asked for; the source finishes what is in flight, evaluates, says `finished`
    saving     the last checkpoint
    leaving    the processes give their final numbers and exit
    ended      nothing more happens
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

from broker import words
from broker.round import Round, Rounds
from topology.plan import BROKER, SOURCE
from topology.wire import Command, Event, Reply

_ACTIVE = (words.State.RUNNING, words.State.DRAINING)


class Conductor:
    """The conductor of one run.

    Args:
        names: every process of the plan.
        generation: the last checkpoint's; the next one is higher.
        again: a broker died in mid-run, and its processes are to register again; a stop waits for them.

    """

    def __init__(self, names: Sequence[str], generation: int = 0, *, again: bool = False) -> None:
        self.state = words.State.WAITING
        self.generation = generation  # last good checkpoint
        self._names = tuple(names)
        self._missing = self._names
        self._alive: set[str] = set()
        self._asked_generation = generation
        self._save_due = 0.0  # an epoch that ends earlier is not saved
        self._rounds = Rounds()
        self._writing: dict[int, Round] = {}
        self._again = again
        self._stop_asked = False  # while it waits for the processes to register again
        self._drain_deadline = inf
        self._drain_args: Mapping[str, Any] = {}
        self._lost_of_late = False  # somebody, since the last save was asked for
        self._save_last_until = 0.0  # the last checkpoint waits so long for those who are missing
        self._finished = False
        self._why = ""
        self._ended: dict[str, Any] = {}
        self._out: list[words.Action] = []

    def handle(self, happening: words.Happening, now: float) -> list[words.Action]:
        """Take in one thing that happened; what is to be done about it, in order."""
        out = self._out = []
        if self.state is words.State.ENDED:
            if isinstance(happening, words.Asked):
                self._refuse(happening.command, "the run has ended")
            return out
        match happening:
            case words.Joined():
                self._joined(happening, now)
            case words.Lost(name, why):
                self._lost(name, why, now)
            case words.Said(event):
                self._said(event, now)
            case words.Answered(name, reply):
                self._rounds.answered(name, reply)
                self._close_rounds(now)
            case words.Asked(command):
                self._asked(command, now)
            case words.Written(generation, error):
                if error:
                    self._out.append(words.Discard(generation))  # not where it is only slow: it may yet be there
                self._written(generation, error, now)
            case words.Tick():
                pass
        self._expire(now)
        return out

    @property
    def due(self) -> float:
        """The next deadline, when a `Tick` has something to do; infinity if there is none."""
        drain = self._drain_deadline if self.state in (words.State.WAITING, words.State.DRAINING) else inf
        if self.state is words.State.SAVING and not self._saving:
            drain = self._save_last_until
        return min(self._rounds.due, drain, *(round.deadline for round in self._writing.values()))

    # --- processes come, speak and go -----------------------------------------------------------------

    def _joined(self, joined: words.Joined, now: float) -> None:
        self._alive.add(joined.name)
        self._missing = joined.missing
        data = {"process": joined.name, "incarnation": joined.incarnation, "pid": joined.pid}
        self._publish("joined", **data)
        if self.state is words.State.WAITING and not self._missing:
            self._complete(now)
            self._out.append(words.TellRoster())
            return
        if self.state is not words.State.WAITING:
            self._out.append(words.TellRoster())
        if self.state is words.State.DRAINING and joined.name == SOURCE:
            self._drain(now)
        elif self.state is words.State.SAVING and not self._missing and not self._saving:
            self._save("", words.SAVE_S, now)

    def _complete(self, now: float) -> None:
        """Every process has registered, once: what was said or asked before, if this is another broker, is due."""
        self.state = words.State.RUNNING
        self._save_due = now + words.SAVE_EVERY_S
        self._publish("running", processes=list(self._names))
        if self._finished:
            self._save_last(now)
        elif self._stop_asked:
            self._begin_to_drain(now)

    def _lost(self, name: str, why: str, now: float) -> None:
        self._alive.discard(name)
        if self.state is words.State.LEAVING:
            self._publish("left", process=name)
        else:
            self._missing = tuple(n for n in self._names if n not in self._alive)
            self._publish("lost", process=name, why=why)
            if self.state is not words.State.WAITING:
                self._out.append(words.TellRoster())
        self._lost_of_late = True
        self._rounds.lost(name, why)
        self._close_rounds(now)
        if name == SOURCE and self.state is words.State.DRAINING:
            self._drain_deadline = min(self._drain_deadline, now + words.REJOIN_S)

    def _said(self, event: Event, now: float) -> None:
        self._out.append(words.Publish(event))
        if event.kind == "diverged" and self.state in (words.State.WAITING, *_ACTIVE, words.State.SAVING):
            # What is in memory is worth less than the last checkpoint: nothing is saved over that.
            abandoned = self._rounds.abandon()
            self._out += [words.Discard(round.generation) for round in abandoned if round.verb == "save"]
            for round in [*abandoned, *self._writing.values()]:
                if round.client:
                    self._out.append(words.Answer(Reply(round.client, False, error=f"{event.name} has diverged")))
            self._writing.clear()
            message, hint = event.data.get("what", "the numbers grew without bound"), event.data.get("hint", "")
            self._end("diverged", now, process=event.name, message=str(message), hint=str(hint))
        elif event.name == SOURCE and event.kind == "epoch" and self.state is words.State.RUNNING:
            if now >= self._save_due and not self._saving:
                self._save("", words.SAVE_S, now)
        elif (event.name, event.kind) == (SOURCE, "finished"):
            self._finished = True  # while a broker that has just come waits for the others, too
            if self.state in _ACTIVE:
                self._save_last(now)

    # --- clients --------------------------------------------------------------------------------------

    def _asked(self, command: Command, now: float) -> None:
        verb = command.verb
        if verb not in words.VERBS:
            self._refuse(command, f"no command {verb!r}; there are {', '.join(words.VERBS)}")
        elif command.target and command.target not in self._names:
            self._refuse(command, f"no process {command.target!r}; there are {', '.join(self._names)}")
        elif verb in words.NAMED and not command.target:
            self._refuse(command, f"{verb} needs a process; there are {', '.join(self._names)}")
        elif verb == "stop":
            self._stop(command, now)
        elif self.state is words.State.WAITING:
            self._refuse(command, f"the network is not complete: waiting for {', '.join(self._missing)}")
        elif self.state in (words.State.SAVING, words.State.LEAVING):
            self._refuse(command, f"the run is {self.state.value}")
        elif verb == "save":
            self._save(command.id, _limit(command, words.SAVE_S), now)
        else:
            everybody = verb in words.EVERYBODY and not command.target
            targets = set(self._names) if everybody else {command.target or SOURCE}
            self._ask(verb, targets, _limit(command, words.ASK_S), now, self._replied, command.args, command.id)

    def _stop(self, command: Command, now: float) -> None:
        if self.state is words.State.WAITING and not self._again:
            self._end("stopped", now)
        elif self.state in (words.State.WAITING, words.State.RUNNING) and not self._stop_asked:
            self._stop_asked = True
            self._why = str(command.args.get("why") or "stopped")
            self._drain_deadline = now + words.DRAIN_S
            self._drain_args = command.args
            if self.state is words.State.RUNNING:
                self._begin_to_drain(now)
        self._out.append(words.Answer(Reply(command.id, True, {"state": self.state.value})))

    def _begin_to_drain(self, now: float) -> None:
        self.state = words.State.DRAINING
        if SOURCE in self._alive:
            self._drain(now)
        else:
            self._drain_deadline = now + words.REJOIN_S

    def _refuse(self, command: Command, why: str) -> None:
        self._out.append(words.Answer(Reply(command.id, False, error=why)))

    def _replied(self, round: Round, now: float) -> None:  # noqa: ARG002 - every round's end is told the time
        self._reply(round, dict(round.data))

    def _reply(self, round: Round, data: dict[str, Any]) -> None:
        if round.client:
            self._out.append(words.Answer(Reply(round.client, not round.errors, data, round.error)))

    def _drain(self, now: float) -> None:
        self._ask("drain", {SOURCE}, words.DRAIN_S, now, self._drained, self._drain_args)

    def _drained(self, round: Round, now: float) -> None:
        """The source has heard of the stop, or cannot; `finished` comes when it is done. A lost one may come back."""
        if round.errors and self.state is words.State.DRAINING and SOURCE in self._alive:
            self._save_last(now)

    # --- checkpoints ----------------------------------------------------------------------------------

    @property
    def _saving(self) -> bool:
        """A save is under way, at the processes or at the disk."""
        return bool(self._writing) or "save" in self._rounds

    def _save(self, client: str, within_s: float, now: float) -> None:
        self._save_due = now + words.SAVE_EVERY_S
        self._asked_generation += 1
        self._lost_of_late = False
        args = {"generation": self._asked_generation, "folder": str(self._asked_generation)}
        self._ask("save", set(self._names), within_s, now, self._saved, args, client, self._asked_generation)

    def _save_last(self, now: float) -> None:
        self.state = words.State.SAVING
        self._save_last_until = now + words.REJOIN_S
        if not self._missing:
            self._save("", words.SAVE_S, now)

    def _saved(self, round: Round, now: float) -> None:
        newest = max(self.generation, *self._writing, 0)
        if not round.errors and round.generation <= newest:
            round.errors[BROKER] = f"generation {newest} was saved meanwhile"
        if round.errors:
            self._out.append(words.Discard(round.generation))
            if self._lost_of_late and self._ends_run(round) and now < self._save_last_until:
                if not self._missing:
                    self._save("", words.SAVE_S, now)
                return  # once more, when whoever was lost is back
            self._save_is_over(round, now)
        else:
            self._writing[round.generation] = round
            round.deadline = now + words.MANIFEST_S
            self._out.append(words.WriteManifest(round.generation, round.data))

    def _written(self, generation: int, error: str, now: float) -> None:
        round = self._writing.pop(generation, None)
        if not error:
            self.generation = max(self.generation, generation)
        if round is None:
            return
        if error:
            round.errors[BROKER] = error
        self._save_is_over(round, now)

    def _save_is_over(self, round: Round, now: float) -> None:
        answer: dict[str, Any] = dict(round.data)
        if round.errors:
            kept = f"generation {self.generation}" if self.generation else "none"
            why = f"generation {round.generation} was not saved: {round.error}"
            self._publish("failed", what="save", why=why, kept=kept)
        else:
            self._publish("saved", generation=round.generation)
            answer = {"generation": round.generation, "processes": round.data}
        self._reply(round, answer)
        if self._ends_run(round):
            self._end(self._why or "finished", now, **({"save_error": round.error} if round.errors else {}))

    def _ends_run(self, round: Round) -> bool:
        """Whether this is the last checkpoint."""
        return self.state is words.State.SAVING and not round.client and round.generation == self._asked_generation

    # --- the end --------------------------------------------------------------------------------------

    def _end(self, why: str, now: float, **data: Any) -> None:
        self.state = words.State.LEAVING
        self._ended = {**data, "why": why, "generation": self.generation}
        self._publish("leaving", **self._ended)  # all that is to be known, should this broker not see the end
        self._ask("exit", set(self._alive), words.EXIT_S, now, self._left)

    def _left(self, round: Round, now: float) -> None:  # noqa: ARG002 - every round's end is told the time
        self.state = words.State.ENDED
        telemetry = [data["telemetry"] for data in round.data.values() if "telemetry" in data]
        self._publish("ended", **self._ended, telemetry=telemetry, errors=dict(round.errors))
        self._out.append(words.Leave())

    # --- rounds ---------------------------------------------------------------------------------------

    def _ask(
        self,
        verb: str,
        names: set[str],
        within_s: float,
        now: float,
        done: Callable[[Round, float], None],
        args: Mapping[str, Any] | None = None,
        client: str = "",
        generation: int = 0,
    ) -> None:
        told = [name for name in self._names if name in names & self._alive]
        missing = sorted(names - self._alive)
        self._out += self._rounds.open(verb, told, missing, now + within_s, done, args or {}, client, generation)
        self._close_rounds(now)

    def _close_rounds(self, now: float) -> None:
        for round in self._rounds.over():
            round.done(round, now)

    def _expire(self, now: float) -> None:
        self._rounds.expire(now)
        self._close_rounds(now)
        for generation, round in list(self._writing.items()):
            if now >= round.deadline:
                self._written(generation, "the disk did not answer", now)
        if self.state in (words.State.WAITING, words.State.DRAINING) and now >= self._drain_deadline:
            self._save_last(now)
        if self.state is words.State.SAVING and not self._saving and now >= self._save_last_until:
            self._save("", words.SAVE_S, now)  # without them, which then is told

    def _publish(self, kind: str, **data: Any) -> None:
        self._out.append(words.Publish(Event(BROKER, kind, data)))


def _limit(command: Command, most_s: float) -> float:
    """Seconds that the client gives the command, at most `most_s`."""
    given = command.args.get("timeout_s", most_s)
    return min(most_s, max(0.0, float(given))) if isinstance(given, int | float) else most_s
