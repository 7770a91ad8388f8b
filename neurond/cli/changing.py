"""The verbs that look into a process of a live run or change it: get, set, pause, resume, save, restart, kill."""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Container, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurond.cli.attached import BROKER_VARIABLE, again, checked, command, shown, with_client
from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.which import AnyProcess, AsJson, Broker, Insecure, Keys, Meant, Process, Run, either
from neurond.errors import BrokerUnreachable, NeurondError, WrongUse

if TYPE_CHECKING:
    from monitor.client import Client

ASK_S = 6.0  # for a process to answer; the broker says sooner that it does not
SAVE_S = 22.0  # for all to be saved, and for the disk to take the manifest
BACK_S = 10.0  # for a process to be started anew, after the longest pause of the supervisor's
ENDED_S = 3.0  # a broker that is silent for so long has left with its run
LOOK_S = 0.05  # between two looks

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")

LIVE = frozenset(
    ("lr", "threshold", "target", "clip", "staleness_decay", "look_ahead", "delay_compensation", "window", "retry")
)
"""Keys of the topology that a live process may have a setting of."""

Settings = Mapping[str, Mapping[str, float]]


def get(
    process: AnyProcess = "",
    key: Annotated[str, typer.Argument(metavar="[KEY]", help="Such as lr; all if not given.")] = "",
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Print what can be changed of a process while it runs, and what it is set to."""

    async def asked(client: Client) -> Settings:
        names = (await client.command("status", timeout_s=ASK_S)).data["processes"]  # in the order of the plan
        told = await command(client, "get", process, timeout_s=ASK_S)
        return {name: told[name] for name in names if name in told}

    told = with_client(asked, broker, run, keys, insecure)
    steered = {(name, key) for name, settings in told.items() for key in settings if _target(key, settings)}
    if key:
        checked(key, sorted({known for settings in told.values() for known in settings}), "setting")
        told = {name: {key: settings[key]} for name, settings in told.items() if key in settings}
    _print(told, as_json, steered)
    if not as_json and told:
        name, settings = next(iter(told.items()))
        suggest(again(f"set {name} {next(iter(settings), 'KEY')}=VALUE", broker, run))


def set_(
    process: Process,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="Such as lr=0.05.")],
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Change a process while it runs; it is recorded in the run folder, in events.jsonl."""
    wanted = _values(process, values)

    async def changed(client: Client) -> tuple[Mapping[str, float], dict[str, float], Mapping[str, float], str]:
        before: Mapping[str, float] = (await command(client, "get", process, timeout_s=ASK_S, typed="set"))[process]
        for key in wanted:
            if key not in before:
                _let_no_fixed(process, key)
            checked(key, before, f"setting of {process}")
        try:
            after = (await command(client, "set", process, timeout_s=ASK_S, settings=wanted))[process]
        except NeurondError as error:
            raise WrongUse(str(error)) from error
        planned = (await command(client, "get", process, timeout_s=ASK_S, typed="set", planned=True))[process]
        return before, after, planned, await _guessed(client, broker, run)

    now, after, planned, where = with_client(changed, broker, run, keys, insecure)
    before = {key: now[key] for key in wanted}
    _print({process: after}, as_json)
    from monitor.slip import slip

    for key, value in before.items():
        if warning := slip(f"{process} {key}", value, after[key], planned[key]):
            say(f"neurond: {warning}")
        if target := _target(key, now):
            say(f"neurond: {process} {key} is steered on from there; {target} decides where to")
    if not as_json:
        say("; ".join(f"{process} {key} was {value:g}" for key, value in before.items()) + where)
        back = " ".join(f"{key}={value:g}" for key, value in before.items())
        suggest(again(f"set {process} {back}", broker, run))


def pause(
    meant: Meant = None,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
) -> None:
    """Let the source present nothing new; what is under way comes home."""
    run = either(meant, broker, run)
    _, where = _tell("pause", broker, run, keys, insecure)
    say(f"paused; the processes live on{where}")
    suggest(again("resume", broker, run))


def resume(
    meant: Meant = None,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
) -> None:
    """Go on after a pause."""
    run = either(meant, broker, run)
    _, where = _tell("resume", broker, run, keys, insecure)
    say(f"goes on{where}")
    suggest(again("ps", broker, run))


def save(
    meant: Meant = None,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint now, beside the training."""
    run = either(meant, broker, run)
    told, _ = _tell("save", broker, run, keys, insecure, timeout_s=SAVE_S)
    generation = told["generation"]
    if as_json:
        out_json({"generation": generation})
    else:
        out(f"checkpoint {generation}")
        suggest(again("status", broker, run))


def restart(
    process: Process,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Let a process write its journal and leave; whoever started it starts it anew, and it goes on from there."""
    _anew("restart", process, broker, run, keys, insecure, as_json)


def kill(
    process: Process,
    broker: Broker = None,
    run: Run = None,
    keys: Keys = None,
    insecure: Insecure = False,
    as_json: AsJson = False,
) -> None:
    """Kill a process as `kill -9` does, to see what follows; whoever started it starts it anew."""
    _anew("kill", process, broker, run, keys, insecure, as_json)


def _tell(
    verb: str, broker: Broker, run: Run, keys: Keys, insecure: bool, timeout_s: float = ASK_S
) -> tuple[dict[str, Any], str]:
    async def told(client: Client) -> tuple[dict[str, Any], str]:
        return await command(client, verb, timeout_s=timeout_s), await _guessed(client, broker, run)

    return with_client(told, broker, run, keys, insecure)


def _anew(verb: str, process: str, broker: Broker, run: Run, keys: Keys, insecure: bool, as_json: bool) -> None:
    async def done(client: Client) -> tuple[dict[str, Any], dict[str, Any] | None, float, str]:
        where = await _guessed(client, broker, run)  # the run may end with the process
        before = (await client.command("status", timeout_s=ASK_S)).data["processes"]
        checked(process, before, "process")
        began = time.monotonic()
        await command(client, verb, process, timeout_s=ASK_S)
        after = await _back(client, process, before[process]["incarnation"], began + BACK_S)
        return before[process], after, time.monotonic() - began, where

    before, after, took_s, where = with_client(done, broker, run, keys, insecure)
    if as_json:
        told = None if after is None else {"pid": after["pid"], "incarnation": after["incarnation"]}
        out_json({"process": process, "was": before["pid"], "is": told, "took_s": round(took_s, 3)})
    elif after is not None:
        say(f"{process}, pid {before['pid']}, is gone; pid {after['pid']} has its place after {took_s:.1f} s{where}")
        suggest(again("ps", broker, run))
    if after is None:
        what = f"{process} is gone, and nobody has its place after {took_s:.0f} s"
        raise NeurondError(f"{what}: the run has ended with it, or whoever started it is to start it again")


async def _guessed(client: Client, broker: Broker, run: Run) -> str:
    """The folder of a run that nobody named, for the end of a line: it may be another than was thought of."""
    if broker or run or os.environ.get(BROKER_VARIABLE):
        return ""
    folder = (await client.command("status", timeout_s=ASK_S)).data.get("run_dir")
    return f", in {shown(Path(folder))}" if folder else ""


async def _back(client: Client, process: str, incarnation: int, until: float) -> dict[str, Any] | None:
    """What the broker tells of the next process of this name; None if there is none in time, or no run any more."""
    while (left_s := until - time.monotonic()) > 0:
        try:
            told = (await client.command("status", timeout_s=min(left_s, ENDED_S))).data
        except BrokerUnreachable:
            return None
        found: dict[str, Any] = told["processes"][process]
        if found["alive"] and found["incarnation"] > incarnation:
            return found
        if told["state"] in ("leaving", "ended"):
            return None
        await asyncio.sleep(LOOK_S)
    return None


def _values(process: str, words: list[str]) -> dict[str, float]:
    """The settings that were written as KEY=VALUE; WrongUse for what is none."""
    wanted = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            meant = f"; write {words[0]}={words[1]}" if len(words) == 2 and "=" not in "".join(words) else ""
            raise WrongUse(f"{word!r} should be KEY=VALUE{meant}")
        if key in wanted:
            raise WrongUse(f"{process} {key} is given twice: {' '.join(words)}")
        wanted[key] = _number(text, process, key)
    return wanted


def _let_no_fixed(process: str, key: str) -> None:
    """WrongUse for a key of the topology that no live process can change."""
    from topology.spec import Group, Link, Notify, Optimizer, Source, Update  # only errors need it, and it is slow

    known = {name for section in (Group, Link, Notify, Optimizer, Source, Update) for name in section.model_fields}
    if key.rpartition(".")[2] in known - LIVE:
        what = f"{process} {key} cannot be changed while it runs: the topology fixes it"
        raise WrongUse(f"{what}; 'neurond get {process}' prints what can be")


def _number(text: str, process: str, key: str) -> float:
    """A plain decimal number; WrongUse for what Python would read as one besides, or could not hold."""
    plain = NUMBER.fullmatch(text)
    value = float(text) if plain else math.nan
    if not math.isfinite(value) or (not value and plain and plain[1].strip("0.")):  # inf, or less than can be held
        _let_no_fixed(process, key)
        raise WrongUse(f"{process} {key}: a number such as 0.05 is expected, not {text!r:.40}")
    return value


def _target(key: str, settings: Mapping[str, float]) -> str:
    """The setting that a threshold is steered by; "" where it is not steered, or no threshold."""
    start, _, last = key.rpartition(".")
    target = f"{start}.target" if start else "target"
    return target if last == "threshold" and target in settings else ""


def _print(settings: Settings, as_json: bool, steered: Container[tuple[str, str]] = ()) -> None:
    """A line a setting; of those that are `steered`, by process and key, it says so."""
    if as_json:
        out_json(settings)
        return
    wide = max((len(name) for name in settings), default=0)
    long = max((len(key) for its in settings.values() for key in its), default=0)
    for name, its in settings.items():
        for key, value in its.items():
            out(f"{name:<{wide}}  {key:<{long}}  {value:g}" + ("  steered" if (name, key) in steered else ""))
