from collections.abc import Sequence
from typing import Any

import pytest

from broker.conductor import Conductor
from broker.words import (
    DRAIN_S,
    MANIFEST_S,
    REJOIN_S,
    SAVE_EVERY_S,
    SAVE_S,
    STOP_S,
    Action,
    Answer,
    Answered,
    Asked,
    Discard,
    Joined,
    Leave,
    Lost,
    Publish,
    Said,
    State,
    Tell,
    TellRoster,
    Tick,
    WriteManifest,
    Written,
)
from topology.wire import Command, Event, Reply

NAMES = ("source", "h1", "out")


class Network:
    """A conductor with obedient processes: every command is answered, unless its (name, verb) is muted."""

    def __init__(self, generation: int = 0, *, again: bool = False) -> None:
        self.conductor = Conductor(NAMES, generation, again=again)
        self.now = 0.0
        self.muted: set[tuple[str, str]] = set()
        self.refusing: dict[tuple[str, str], str] = {}
        self.disk: str | None = ""  # what a write of the manifest says; None: nothing
        self.done: list[Action] = []

    def feed(self, *happenings: Any) -> None:
        """Take in what happens, and let the processes and the disk react until nobody has more to say."""
        waiting = list(happenings)
        while waiting:
            actions = self.conductor.handle(waiting.pop(0), self.now)
            self.done += actions
            waiting += [reaction for action in actions for reaction in self._react(action)]

    def _react(self, action: Action) -> Sequence[Any]:
        if isinstance(action, Tell):
            name, command = action.name, action.command
            if (name, command.verb) in self.muted:
                return []
            error = self.refusing.get((name, command.verb), "")
            data = {
                "save": {"file": f"{command.args.get('folder')}/{name}.safetensors", "sha256": "0"},
                "exit": {"telemetry": {"name": name}},
            }.get(command.verb, {})
            reactions: list[Any] = [Answered(name, Reply(command.id, not error, data, error))]
            if command.verb == "drain" and not error:
                reactions.append(Said(Event("source", "finished")))
            return reactions
        if isinstance(action, WriteManifest) and self.disk is not None:
            return [Written(action.generation, self.disk)]
        return []

    def start(self) -> None:
        """All processes join."""
        for i, name in enumerate(NAMES):
            self.feed(Joined(name, 1, i, NAMES[i + 1 :]))

    def wait(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            self.feed(Tick())

    def answer_save(self, *names: str) -> None:
        """These muted processes answer the last save after all."""
        saves = {a.name: a.command.id for a in self.done if isinstance(a, Tell) and a.command.verb == "save"}
        self.feed(*(Answered(name, Reply(saves[name], True, {"file": f"1/{name}.safetensors"})) for name in names))

    def ask(self, verb: str, target: str = "", id: str = "q", **args: Any) -> Reply | None:
        """What a client is told, at once or later; None while it waits."""
        self.feed(Asked(Command(id, verb, target, args)))
        return self.answer(id)

    def answer(self, id: str) -> Reply | None:
        """The reply to a client's command so far."""
        replies = [a.reply for a in self.done if isinstance(a, Answer) and a.reply.id == id]
        assert len(replies) <= 1, "a client is answered once"
        return replies[0] if replies else None

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Data of the published events of a kind."""
        return [a.event.data for a in self.done if isinstance(a, Publish) and a.event.kind == kind]

    def told(self, verb: str) -> list[str]:
        """Processes that were told to do this, in order."""
        return [a.name for a in self.done if isinstance(a, Tell) and a.command.verb == verb]

    def manifests(self) -> list[int]:
        """Generations whose manifest was to be written."""
        return [a.generation for a in self.done if isinstance(a, WriteManifest)]

    def discarded(self) -> list[int]:
        """Generations of which nothing is to be left."""
        return [a.generation for a in self.done if isinstance(a, Discard)]

    @property
    def ended(self) -> dict[str, Any]:
        """What the run's one `ended` says; nothing came after it."""
        (data,) = self.events("ended")
        assert isinstance(self.done[-1], Leave)
        return data


@pytest.fixture
def network() -> Network:
    """A network of which nobody has joined."""
    return Network()


@pytest.fixture
def running() -> Network:
    """A network that runs."""
    network = Network()
    network.start()
    return network


def test_runs_when_all_have_joined(network: Network) -> None:
    """The roster goes out once, when the last process has registered, and the run is running."""
    network.feed(Joined("source", 1, 5, ("h1", "out")), Joined("h1", 1, 6, ("out",)))
    assert network.conductor.state is State.WAITING
    assert not any(isinstance(a, TellRoster) for a in network.done)
    network.feed(Joined("out", 1, 7, ()))
    assert network.conductor.state is State.RUNNING
    assert sum(isinstance(a, TellRoster) for a in network.done) == 1
    assert len(network.events("running")) == 1


def test_whole_life(running: Network) -> None:
    """A run that finishes is saved, its processes leave with their numbers, and then it has ended."""
    running.feed(Said(Event("source", "finished")))
    assert running.manifests() == [1]
    assert running.told("save") == list(NAMES)
    assert running.told("exit") == list(NAMES)
    assert running.ended["why"] == "finished"
    assert running.ended["generation"] == 1
    assert [t["name"] for t in running.ended["telemetry"]] == list(NAMES)
    order = [type(a).__name__ for a in running.done if isinstance(a, WriteManifest | Leave)]
    assert order == ["WriteManifest", "Leave"]


def test_an_epoch_is_saved(running: Network) -> None:
    """The end of a long epoch makes a checkpoint of the next generation, and training goes on."""
    for _ in range(3):
        running.wait(SAVE_EVERY_S + 0.1)
        running.feed(Said(Event("source", "epoch", {"epoch": 1})))
    assert running.manifests() == [1, 2, 3]
    assert running.conductor.state is State.RUNNING
    assert [e["generation"] for e in running.events("saved")] == [1, 2, 3]


def test_short_epochs_are_not_all_saved(network: Network) -> None:
    """However short the epochs, their ends save once in `SAVE_EVERY_S`, counted from the start of the training."""
    network.now = 1000.0  # the others took their time to register
    network.start()
    for _ in range(35):
        network.wait(1.0)
        network.feed(Said(Event("source", "epoch")))
    assert network.manifests() == [1, 2, 3]
    network.feed(Said(Event("source", "finished")))
    assert network.ended["generation"] == 4


def test_a_client_saves_when_it_wants_to(running: Network) -> None:
    """A client's save is made at once, and the next epoch's end need not save again."""
    running.wait(SAVE_EVERY_S - 1)
    running.ask("save")
    running.wait(2.0)
    running.feed(Said(Event("source", "epoch")))
    assert running.manifests() == [1]
    running.wait(SAVE_EVERY_S)
    running.feed(Said(Event("source", "epoch")))
    assert running.manifests() == [1, 2]


def test_an_epoch_does_not_save_over_a_save(running: Network) -> None:
    """An epoch that ends while processes still save starts no other save."""
    running.muted.add(("h1", "save"))
    running.ask("save")
    running.now = SAVE_EVERY_S  # the next would be due, and nobody has looked at the deadline yet
    running.feed(Said(Event("source", "epoch")))
    assert running.told("save") == list(NAMES)


def test_an_epoch_does_not_save_while_the_disk_is_busy(running: Network) -> None:
    """An epoch that ends while a manifest is being written starts no other save; the next one does."""
    running.muted.add(("h1", "save"))
    running.disk = None
    running.ask("save")
    running.wait(SAVE_S - 0.5)
    running.answer_save("h1")
    assert running.manifests() == [1]
    running.wait(MANIFEST_S - 1)
    running.feed(Said(Event("source", "epoch")))
    assert running.told("save") == list(NAMES)
    running.feed(Written(1), Said(Event("source", "epoch")))
    assert running.told("save") == list(NAMES) * 2


def test_resumed_generations_go_on() -> None:
    """A run that goes on from generation 7 saves 8 next."""
    network = Network(generation=7)
    network.start()
    network.ask("save")
    assert network.manifests() == [8]


@pytest.mark.parametrize("fault", ["refuses", "silent", "disk", "dead disk", "lost"])
def test_failed_save_keeps_the_last_good_one(running: Network, fault: str) -> None:
    """Unless every process saved and the manifest is on disk, the checkpoint before stays the last good one."""
    running.ask("save", id="good")
    if fault == "refuses":
        running.refusing["h1", "save"] = "no space left"
    elif fault == "silent" or fault == "lost":
        running.muted.add(("h1", "save"))
    else:
        running.disk = "no space left" if fault == "disk" else None
    running.ask("save", id="s")
    if fault == "lost":
        running.feed(Lost("h1", "killed"))
    running.wait(SAVE_S + 0.2)
    reply = running.answer("s")
    assert reply is not None
    assert not reply.ok
    assert reply.error
    assert running.conductor.generation == 1
    assert len(running.events("failed")) == 1
    assert running.events("failed")[0]["kept"] == "generation 1"
    assert running.events("failed")[0]["why"].startswith("generation 2 was not saved: ")
    # While the disk may still be writing the manifest, the files that it names must stay.
    assert running.discarded() == ([] if fault == "dead disk" else [2])
    if "disk" not in fault:
        assert running.manifests() == [1]


def test_failed_last_save_is_told(running: Network) -> None:
    """A run whose last save fails still ends, and says what was not saved."""
    running.refusing["out", "save"] = "no space left"
    running.feed(Said(Event("source", "finished")))
    assert running.ended["save_error"] == "out: no space left"
    assert running.ended["generation"] == 0


def test_stop_drains_saves_and_leaves(running: Network) -> None:
    """A stop is answered at once; then the source drains, everything is saved, and the run ends as stopped."""
    reply = running.ask("stop")
    assert reply is not None
    assert reply.ok
    verbs = [a.command.verb for a in running.done if isinstance(a, Tell)]
    assert verbs == ["drain", *["save"] * 3, *["exit"] * 3]
    assert running.ended["why"] == "stopped"
    assert running.ended["generation"] == 1


def test_stop_while_waiting(network: Network) -> None:
    """A run that never became complete ends at once when told to, without a save."""
    network.feed(Joined("h1", 1, 6, ("source", "out")))
    network.ask("stop")
    assert network.told("exit") == ["h1"]
    assert network.told("save") == []
    assert network.ended["why"] == "stopped"


@pytest.mark.parametrize("verb", ["drain", "save", "exit"])
def test_stop_always_ends(running: Network, verb: str) -> None:
    """Whatever a process does not answer, a run that was told to stop ends within the deadlines' sum."""
    running.muted |= {(name, verb) for name in NAMES}
    running.ask("stop")
    running.wait(STOP_S + 0.5)
    assert running.ended["why"] == "stopped"


def test_stop_when_every_process_is_deaf(running: Network) -> None:
    """Even if nobody answers anything, a stop ends within its time, and says who failed."""
    running.muted |= {(name, verb) for name in NAMES for verb in ("drain", "save", "exit")}
    running.ask("stop")
    running.wait(STOP_S + 0.5)
    assert running.ended["errors"] == dict.fromkeys(NAMES, "no answer to exit")


def test_stop_when_everything_takes_as_long_as_it_may(running: Network) -> None:
    """A drain, a save, a disk and an exit that all use up their time end within that of a stop."""
    running.muted |= {("source", "drain"), *((name, verb) for name in NAMES for verb in ("save", "exit"))}
    running.disk = None
    running.ask("stop")
    running.wait(DRAIN_S + SAVE_S - 0.5)
    running.answer_save(*NAMES)
    assert running.manifests() == [1]
    running.wait(STOP_S - running.now + 0.5)
    assert running.ended["save_error"] == "broker: the disk did not answer"


def test_stop_without_a_source(running: Network) -> None:
    """A stop waits for a source that is lost in the draining, but not for long, and the last save says who misses."""
    running.muted.add(("source", "drain"))
    running.ask("stop")
    running.feed(Lost("source", "killed"))
    running.wait(REJOIN_S - 0.1)
    assert not running.events("ended")
    running.wait(REJOIN_S + 0.5)  # one pause for the draining, one for the save
    assert running.ended["why"] == "stopped"
    assert running.ended["save_error"] == "source: not registered"


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_source_that_comes_back_is_drained(running: Network, when: str) -> None:
    """A stop reaches the successor of a source that was lost before it, or because of it."""
    running.muted.add(("source", "drain"))
    if when == "before":
        running.feed(Lost("source", "killed"))
    running.ask("stop", evaluate=False)
    if when == "while":
        running.feed(Lost("source", "killed"))
    running.wait(REJOIN_S / 2)
    running.muted.clear()
    running.feed(Joined("source", 2, 99, ()))
    last = [a.command.args for a in running.done if isinstance(a, Tell) and a.command.verb == "drain"][-1]
    assert last["evaluate"] is False
    assert running.ended["why"] == "stopped"
    assert "save_error" not in running.ended


def test_the_last_checkpoint_waits_for_who_is_missing(running: Network) -> None:
    """A process that is lost when the run is over, or while it is saved, comes back, and all of it is saved."""
    running.feed(Lost("h1", "killed"), Said(Event("source", "finished")))
    assert running.told("save") == []
    running.muted.add(("out", "save"))
    running.feed(Joined("h1", 2, 99, ()))
    running.feed(Lost("out", "killed"))
    assert not running.events("ended")
    running.muted.clear()
    running.feed(Joined("out", 2, 99, ()))
    assert running.ended["why"] == "finished"
    assert "save_error" not in running.ended
    assert running.conductor.generation == 2
    assert Discard(1) in running.done


def test_a_run_that_finished_while_there_was_no_broker() -> None:
    """A broker that takes the place of one that died hears that the run is over, and ends it once all are there."""
    network = Network(generation=3)
    network.feed(Joined("source", 1, 1, ("h1", "out")), Said(Event("source", "finished")))
    assert network.told("save") == []
    network.feed(Joined("h1", 1, 2, ("out",)), Joined("out", 1, 3, ()))
    assert network.ended["why"] == "finished"
    assert network.conductor.generation == 4


def test_the_last_checkpoint_is_made_again_for_who_is_back_already(running: Network) -> None:
    """A process that was lost while the last checkpoint was made, and is back before that is done, costs none."""
    running.muted |= {("h1", "save"), ("out", "save")}
    running.feed(Said(Event("source", "finished")), Lost("h1", "killed"), Joined("h1", 2, 99, ()))
    assert running.told("save") == list(NAMES)
    running.muted.clear()
    running.answer_save("out")
    assert running.ended["generation"] == 2
    assert "save_error" not in running.ended


@pytest.fixture
def again() -> Network:
    """A network whose broker was started in place of one that died, before its processes have registered again."""
    return Network(generation=3, again=True)


def test_a_stop_that_a_new_broker_is_asked_at_once(again: Network) -> None:
    """A stop that comes before the processes have registered again is answered, and carried out when they have."""
    for id in ("a", "b"):
        reply = again.ask("stop", id=id, why="enough")
        assert reply is not None
        assert reply.ok
    assert again.told("exit") == []
    again.start()
    assert again.told("drain") == ["source"]
    assert again.ended["why"] == "enough"
    assert again.ended["generation"] == 4


def test_a_stop_of_a_new_broker_ends_although_nobody_registers(again: Network) -> None:
    """A stop of a broker that nobody comes back to ends in its time, and says who was missing."""
    again.ask("stop")
    again.wait(STOP_S)
    assert again.ended["why"] == "stopped"
    assert again.ended["save_error"] == "h1, out, source: not registered"


def test_all_that_is_to_be_known_is_said_before_the_processes_leave(running: Network) -> None:
    """A broker that dies while the processes leave has said how the run ended."""
    running.muted |= {(name, "exit") for name in NAMES}
    running.refusing["out", "save"] = "no space left"
    running.feed(Said(Event("source", "finished")))
    assert running.events("leaving") == [{"why": "finished", "generation": 0, "save_error": "out: no space left"}]
    assert running.events("ended") == []


def test_second_stop(running: Network) -> None:
    """A stop that comes while the run is stopping is answered, and starts nothing twice."""
    running.muted.add(("source", "drain"))
    running.ask("stop", id="a")
    running.ask("stop", id="b")
    running.feed(Said(Event("source", "finished")))
    assert running.told("drain") == ["source"]
    assert running.told("save") == list(NAMES)
    assert running.ended["why"] == "stopped"


def test_divergence_saves_nothing(running: Network) -> None:
    """A diverged run ends without a save, with the hint, and a save under way is dropped and answered."""
    running.ask("save", id="good")
    running.muted.add(("h1", "save"))
    assert running.ask("save", id="s") is None
    running.feed(Said(Event("out", "diverged", {"what": "the loss grew", "hint": "lower it", "why": "x"})))
    reply = running.answer("s")
    assert reply is not None
    assert reply.error == "out has diverged"
    assert running.manifests() == [1]
    assert {k: running.ended[k] for k in ("why", "process", "message", "hint", "generation")} == {
        "why": "diverged",
        "process": "out",
        "message": "the loss grew",
        "hint": "lower it",
        "generation": 1,
    }


def test_lost_and_back(running: Network) -> None:
    """A process that is lost is announced, to its peers too, and its successor is taken into the roster again."""
    running.feed(Lost("h1", "no beat for 3 s"))
    assert running.events("lost") == [{"process": "h1", "why": "no beat for 3 s"}]
    assert running.conductor.state is State.RUNNING
    running.feed(Joined("h1", 2, 99, ()))
    assert sum(isinstance(a, TellRoster) for a in running.done) == 3
    assert len(running.events("running")) == 1


@pytest.mark.parametrize("verb", ["pause", "resume", "eval"])
def test_commands_reach_the_source(running: Network, verb: str) -> None:
    """Pausing, resuming and evaluating are asked of the source, and its answer is the client's."""
    reply = running.ask(verb)
    assert reply is not None
    assert reply.ok
    assert running.told(verb) == ["source"]
    assert list(reply.data) == ["source"]


def test_settings_are_asked_of_everybody_or_of_one(running: Network) -> None:
    """`get` without a target is asked of every process; `set` of the one that it names, with its arguments."""
    reply = running.ask("get")
    assert reply is not None
    assert list(reply.data) == ["source", "h1", "out"]
    assert running.told("get") == ["source", "h1", "out"]
    assert running.ask("set", "h1", id="s", settings={"lr": 0.1}) is not None
    (told,) = [a for a in running.done if isinstance(a, Tell) and a.command.verb == "set"]
    assert (told.name, told.command.args) == ("h1", {"settings": {"lr": 0.1}})


def test_unanswered_command(running: Network) -> None:
    """A client is answered within the time that it gave, even if no process answers."""
    running.muted.add(("source", "eval"))
    assert running.ask("eval", timeout_s=1.0) is None
    running.wait(1.1)
    reply = running.answer("q")
    assert reply is not None
    assert reply.error == "source: no answer to eval"


def test_commands_that_cannot_be(running: Network, network: Network) -> None:
    """What is not allowed, or not now, or not of anybody is refused in words."""
    cases = [
        (running, ("reboot", ""), "no command 'reboot'"),
        (running, ("exit", ""), "no command 'exit'"),
        (running, ("eval", "h9"), "no process 'h9'; there are source, h1, out"),
        (running, ("set", ""), "set needs a process; there are source, h1, out"),
        (running, ("adopt", "h1"), "no command 'adopt'"),
        (network, ("save", ""), "the network is not complete: waiting for source, h1, out"),
    ]
    for i, (net, (verb, target), expected) in enumerate(cases):
        reply = net.ask(verb, target, id=str(i))
        assert reply is not None
        assert not reply.ok
        assert reply.error.startswith(expected)
    running.feed(Said(Event("source", "finished")))
    reply = running.ask("eval", id="late")
    assert reply is not None
    assert reply.error == "the run has ended"


def test_late_and_second_replies_count_for_nothing(running: Network) -> None:
    """A reply that comes after its deadline, twice, or to nothing that was asked changes nothing."""
    running.muted.add(("h1", "save"))
    running.ask("save", id="s")
    (tell,) = [a for a in running.done if isinstance(a, Tell) and a.name == "h1"]
    running.wait(SAVE_S + 0.2)
    running.feed(Answered("h1", Reply(tell.command.id, True)), Answered("h1", Reply("never asked", True)))
    assert running.manifests() == []
    assert running.conductor.state is State.RUNNING
