"""What happens to a run, and what is to be done about it: the words between `Conductor` and its shell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from topology.wire import Command, Event, Reply

VERBS = ("pause", "resume", "eval", "save", "status", "stop", "get", "set", "kill", "restart", "tap")
"""What a client may ask for."""

EVERYBODY = ("get",)
"""Those that concern every process unless one is named; most concern the source then."""
NAMED = ("set", "kill", "restart", "tap")
"""Those for which a process must be named."""

SAVE_EVERY_S = 10.0  # at least, between a save and the next that an epoch's end asks for

# Deadlines.
DRAIN_S = 10.0
SAVE_S = 10.0  # for the processes to save
MANIFEST_S = 10.0  # for the disk to take the manifest
EXIT_S = 3.0
ASK_S = 5.0  # for whatever else is asked of processes
REJOIN_S = 5.0  # for a process that was lost to come back, where a stop or the last checkpoint waits for it
STOP_S = DRAIN_S + REJOIN_S + SAVE_S + MANIFEST_S + EXIT_S
"""Within this a run that is told to stop has ended, whatever its processes and its disk do."""


class State(Enum):
    """Where a run stands in its life."""

    WAITING = "waiting"
    RUNNING = "running"
    DRAINING = "draining"
    SAVING = "saving"
    LEAVING = "leaving"
    ENDED = "ended"


# --- what happens -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Joined:
    """A process has registered; `missing` names those that have not."""

    name: str
    incarnation: int
    pid: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lost:
    """A registered process is gone or silent."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Said:
    """A process says that something happened."""

    event: Event


@dataclass(frozen=True, slots=True)
class Answered:
    """A process answers a command."""

    name: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Asked:
    """A client asks for something; it gets exactly one `Answer` with the command's id."""

    command: Command


@dataclass(frozen=True, slots=True)
class Written:
    """The manifest of a generation is on disk, or could not be written, and why."""

    generation: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Some time has passed: look at the deadlines."""


Happening = Joined | Lost | Said | Answered | Asked | Written | Tick


# --- what is to be done -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a command to a process."""

    name: str
    command: Command


@dataclass(frozen=True, slots=True)
class TellRoster:
    """Send every live process the roster."""


@dataclass(frozen=True, slots=True)
class Publish:
    """Let every monitor know."""

    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the client whose command had this id."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class WriteManifest:
    """Make a generation the last good checkpoint: what each process replied. `Written` says how it went."""

    generation: int
    parts: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove what was written of a generation that will be no checkpoint."""

    generation: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The run has ended: let the last words go out and exit."""


Action = Tell | TellRoster | Publish | Answer | WriteManifest | Discard | Leave
