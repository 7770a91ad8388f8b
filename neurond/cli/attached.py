"""Which run a verb means, and how its broker is asked. Light: no typer, and no socket before one is needed.

The rule, for every verb that asks a broker:

1. `--broker ADDRESS`, or `--run RUN` for a run by its folder, the name of that, or its broker's address; RUN alone is
   enough for a verb that takes no other argument (neurond/cli/which.py);
2. else NEUROND_BROKER;
3. else the one run of this user that is alive on this machine (neurond/living.py). Where there are several, none is
   guessed: they are named, and the user chooses. A recording that is played is meant only where there is no run;
4. else the address at which a broker that is started by hand listens, `topology.address.DEFAULT`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from neurond.errors import BrokerUnreachable, NeurondError, RunError, WrongUse
from topology import address

if TYPE_CHECKING:
    from monitor.client import Client
    from neurond.living import Alive
    from topology.keys import Keyring

T = TypeVar("T")

BROKER_VARIABLE = "NEUROND_BROKER"
LOOK_S = 1.0  # for a broker to say which run it is of
KNOCK_S = 0.2  # for a port of this machine to be open
KEYS_S = 30.0  # for a broker to make the keys
KEYS_LOOK_S = 0.2  # between two looks for them


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that is alive, and what its broker said of it; None where it does not answer."""

    alive: Alive
    status: Mapping[str, Any] | None

    @property
    def replay(self) -> Mapping[str, Any] | None:
        """The `speed` and the `pid` of a recording that is played there; None of a run."""
        return None if self.status is None else self.status.get("replay")

    @property
    def folder(self) -> Path | None:
        """Its run folder, where it is known; a recording only tells that of the run that it was made of."""
        if self.alive.folder is not None or self.status is None or self.replay is not None:
            return self.alive.folder
        return Path(self.status["run_dir"])

    @property
    def called(self) -> str:
        """What it is called in a list: its folder, or else where its broker is."""
        return self.alive.broker if self.folder is None else shown(self.folder)


def find(
    broker: str | None, run: str | os.PathLike[str] | None, keys: str | None, insecure: bool, *, waits: bool = False
) -> str:
    """The address of the broker that a verb is to ask, by the rule above.

    Args:
        broker: the address that was given, or None.
        run: the run that was given, as `ps` has it, or None.
        keys: folder of the keys, as given.
        insecure: whether tcp is spoken without keys.
        waits: the verb waits for a broker that is not there yet.

    Raises:
        WrongUse: several runs are alive, or none of that name is, or both were given. RunError: nobody runs in that
            folder.
        AddressError: what was given is no address. BrokerUnreachable: nothing is alive here.

    """
    if broker is not None and run is not None:
        raise WrongUse("--broker and --run both say which run is meant: leave one of them out")
    if run is not None:
        return _of_run(str(run), keys, insecure)
    given = broker or os.environ.get(BROKER_VARIABLE)
    if given:
        address.control(given)
        return given
    from neurond.living import alive

    found = alive()
    if not found and not waits and not _knock():
        what = f"no run of yours is alive on this machine, and no broker answers at {address.DEFAULT}"
        raise BrokerUnreachable(f"{what}; another is named with --broker ADDRESS")
    by_hand = _by_hand(found, keys, insecure) if found else []
    if len(found) + len(by_hand) > 1:
        asked = [*asyncio.run(ask_all(found, keys, insecure)), *by_hand]
        asked = real(asked) or asked
        if len(asked) == 1:
            return asked[0].alive.broker
        what = "runs" if real(asked) else "replays"
        raise several([one.called for one in asked], " with --run RUN or --broker ADDRESS", what)
    return found[0].broker if found else address.DEFAULT


def several(names: Sequence[str], how: str, what: str = "runs") -> WrongUse:
    """What to say where one run is meant and several are alive; `how` ends it: the way to tell which."""
    return WrongUse(f"{len(names)} {what} are alive: {', '.join(names)}; say which{how}")


def real(asked: Iterable[Asked]) -> list[Asked]:
    """Those that are runs, not recordings that are played."""
    return [one for one in asked if one.replay is None]


def named(word: str, asked: Iterable[Asked]) -> Asked | None:
    """The one that is meant by a word: its folder, the name of that, or the address of its broker."""
    for one in asked:
        if word in (one.alive.broker, one.called):
            return one
        if one.folder is not None and (word == one.folder.name or Path(word).absolute() == one.folder.absolute()):
            return one
    return None


def everywhere(keys: str | None, insecure: bool) -> list[Asked]:
    """Every run, and replay, of this user on this machine that is alive, as its broker tells it."""
    from neurond.living import alive

    found = alive()
    return [*asyncio.run(ask_all(found, keys, insecure)), *_by_hand(found, keys, insecure)]


async def ask_all(runs: Iterable[Alive], keys: str | None, insecure: bool) -> list[Asked]:
    """What the brokers of these runs say of them, all asked at once."""

    async def asked(one: Alive) -> Asked:
        from monitor.client import Client

        with contextlib.suppress(BrokerUnreachable, ValueError):  # or a key that is missing
            ring = keys_for(one.broker, keys, insecure)
            async with Client(one.broker, ring) as client:
                reply = await client.command("status", timeout_s=LOOK_S)
                return Asked(one, reply.data if reply.ok else None)
        return Asked(one, None)

    return list(await asyncio.gather(*map(asked, runs)))


def keys_for(broker: str, keys: str | None, insecure: bool) -> Keyring | None:
    """The keys of who asks the broker at an address; KeysError if they are missing."""
    from topology.keys import of_client

    return of_client(broker, keys, insecure, asks=True)


def keys_to_watch(broker: str, keys: str | None, insecure: bool) -> Keyring | None:
    """The keys of who watches. Where their folder is empty yet, one that is waited for may be about to make them."""
    from topology.keys import PUBLIC, folder_of, of_client

    place, deadline = folder_of(keys), time.monotonic() + KEYS_S
    while place.is_dir() and not (place / PUBLIC).exists() and not insecure and time.monotonic() < deadline:
        time.sleep(KEYS_LOOK_S)
    return of_client(broker, keys, insecure)


def hear_interrupts() -> None:
    """Let SIGINT be heard, which ends verbs that watch: what a script puts in the background starts deaf to it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


async def command(
    client: Client, verb: str, target: str = "", timeout_s: float = 5.0, typed: str = "", **args: Any
) -> dict[str, Any]:
    """What a run answers to a command; NeurondError with its own words where it refuses.

    A process that is not there is refused here, with a guess: WrongUse. `typed` is the verb that the user typed, if
    that is another.
    """
    if target:
        checked(target, (await client.command("status", timeout_s=timeout_s)).data["processes"], "process")
    reply = await client.command(verb, target, timeout_s=timeout_s, **args)
    if not reply.ok:
        raise NeurondError(f"cannot {typed or verb}: {reply.error}")
    return reply.data


def checked(word: str, known: Iterable[str], what: str) -> str:
    """A word that is known; WrongUse with the closest one, or all of them, if it is not."""
    known = list(known)
    if word not in known:
        from topology.errors import guess

        raise WrongUse(f"no {what} {word!r}; {guess(word, known) or f'there is no {what} at all'}")
    return word


def again(verb: str, broker: str | None, run: str | os.PathLike[str] | None) -> str:
    """The command of a verb for the run that was meant just now: with the option that said which."""
    named = "" if broker is None else f" --broker {shlex.quote(broker)}"
    return f"neurond {verb}{named}" + ("" if run is None else f" --run {shlex.quote(str(run))}")


def with_client(
    work: Callable[[Client], Awaitable[T]],
    broker: str | None,
    run: str | os.PathLike[str] | None,
    keys: str | None,
    insecure: bool,
) -> T:
    """What comes of work with a client of the run that is meant."""
    at = find(broker, run, keys, insecure)
    ring = keys_for(at, keys, insecure)
    from monitor.client import Client

    async def worked() -> T:
        async with Client(at, ring) as client:
            return await work(client)

    return asyncio.run(worked())


def shown(folder: Path) -> str:
    """A folder as the user can type it here: relative where it is below the current one."""
    with contextlib.suppress(ValueError, OSError):
        return str(folder.absolute().relative_to(Path.cwd()))
    return str(folder)


def _by_hand(found: Iterable[Alive], keys: str | None, insecure: bool) -> list[Asked]:
    """The run at the default address, if it is none of those that were found and a broker answers there."""
    from neurond.living import Alive

    if any(one.broker == address.DEFAULT for one in found) or not _knock():
        return []
    asked = asyncio.run(ask_all([Alive(address.DEFAULT)], keys, insecure))
    return [one for one in asked if one.status is not None]  # else it may be anybody's port


def _knock() -> bool:
    """Whether anything listens where a broker that is started by hand does."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", address.DEFAULT_PORT), KNOCK_S):
        return True
    return False


def _of_run(word: str, keys: str | None, insecure: bool) -> str:
    from neurond.living import running

    folder = Path(word)
    told = running(folder)
    if told is not None:
        return told.broker
    if "://" in word:
        address.control(word)  # raises what is wrong with it
        return word
    if not folder.exists() and (asked := everywhere(keys, insecure)):
        if (found := named(word, asked)) is not None:
            return found.alive.broker
        from topology.errors import guess

        raise WrongUse(f"no run {word!r} is alive; {guess(word, [one.called for one in asked])}")
    from neurond.runs import is_held, open_run

    open_run(folder)  # raises what is wrong with it
    if is_held(folder):
        raise RunError(
            f"{folder} is in use, but does not say where its broker is: its disk was full; use --broker ADDRESS"
        )
    raise RunError(f"{folder}: that run is over; neurond ps lists those that are alive")
