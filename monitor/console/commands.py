"""The commands of the console: each key asks the broker for something, and what came of it is said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from monitor.console.dialogs import Edit, Question, Reading
from monitor.console.settings import concerning, subjects
from monitor.tapped import tapped
from topology import wire
from topology.address import BrokerUnreachable

if TYPE_CHECKING:
    from monitor.console.app import Console

READ_ONLY = "this console only looks: it was started read-only"
RECORDED = "this is a recording: nothing in it can be changed"
CHOOSE = "choose an event first, with up or a click: a command goes to the process that it is about"
FRAMES = 10  # of each end that are shown

Ask = Callable[..., Awaitable[wire.Reply]]
"""`monitor.client.Client.command`: verb, target, arguments -> reply; BrokerUnreachable where none comes."""


class Commands:
    """What a console can ask of its run.

    Args:
        console: shows the questions and the answers.
        ask: sends a command; None for a console that only looks.

    """

    def __init__(self, console: Console, ask: Ask | None) -> None:
        self._ask = ask
        self._console = console

    @property
    def refusal(self) -> str:
        """Why no command can be sent, in words; "" where one can."""
        if self._ask is None:
            return READ_ONLY
        return RECORDED if "replay" in self._console.watched.status else ""

    def pause(self) -> None:
        """Pause the source, or let it go on."""
        source = self._console.watched.view.source
        if source is not None and source.state == "paused":
            self._send("resume", "", "the source goes on")
        else:
            self._send("pause", "", "the source pauses")

    def kill(self) -> None:
        """Kill the selected process, if the user is sure."""
        target = self._target()
        if not target:
            return
        self._if_sure(
            f"Kill {target} (SIGKILL)?",
            "At most the last quarter of a second of its learning is lost.",
            lambda: self._send("kill", target, f"{target} is killed"),
        )

    def restart(self) -> None:
        """Start the selected process anew, with nothing lost, if the user is sure."""
        target = self._target()
        if target:
            self._if_sure(
                f"Start {target} anew?",
                "Nothing of its learning is lost.",
                lambda: self._send("restart", target, f"{target} starts anew"),
            )

    def edit(self) -> None:
        """Offer the settings of the selected process or link."""
        console = self._console
        key = console.pane.key
        wanted = subjects(console.watched.view, key)
        if self.refusal:
            console.say(self.refusal)
        elif console.pane.follows_end:
            console.say(CHOOSE)
        elif not wanted:
            console.say("select a process or a link first")
        else:
            console.run_worker(self._edit(key, wanted), exclusive=True)

    def frames(self) -> None:
        """Show the next frames of the selected link, both ways."""
        console = self._console
        key = console.pane.key
        ends = subjects(console.watched.view, key)
        if self.refusal:
            console.say(self.refusal)
        elif len(ends) < 2:
            console.say("select a link first, in the view of links")
        else:
            console.say(f"waiting for frames of {key}", "")
            console.run_worker(self._frames(key, ends), exclusive=True)

    def _target(self) -> str:
        """The selected process; "" after a word about why there is none."""
        console = self._console
        key = console.pane.key
        if self.refusal:
            console.say(self.refusal)
        elif console.pane.follows_end:
            console.say(CHOOSE)
        elif key not in {process.name for process in console.watched.view.processes}:
            console.say("select a process first, in the view of groups")
        else:
            return key
        return ""

    def _if_sure(self, words: str, price: str, then: Callable[[], None]) -> None:
        """Ask for a yes."""

        def answered(yes: bool | None) -> None:
            if yes:
                then()

        self._console.push_screen(Question(words, price, self._console.styles_of), answered)

    def _send(self, verb: str, target: str, done: str) -> None:
        """Ask for something, and say what came of it."""
        if self.refusal:
            self._console.say(self.refusal)
            return

        async def asked() -> None:
            reply = await self._reply(verb, target)
            if reply is not None:
                self._console.say(done, "good")

        self._console.run_worker(asked())

    async def _reply(self, verb: str, target: str, **args: Any) -> wire.Reply | None:
        """The reply to a command; None after a word about why there is none."""
        assert self._ask is not None
        try:
            reply = await self._ask(verb, target, **args)
        except BrokerUnreachable as error:
            self._console.say(str(error), "bad")
            return None
        if not reply.ok:
            self._console.say(f"{verb}: {reply.error}", "bad")
            return None
        return reply

    async def _edit(self, key: str, wanted: list[str]) -> None:
        held: dict[str, Mapping[str, Any]] = {}
        for process in wanted:
            reply = await self._reply("get", process)
            if reply is None:
                return
            held.update({name: values for name, values in reply.data.items() if isinstance(values, dict)})
        console = self._console
        found = concerning(console.watched.view, key, held)
        if found:
            console.push_screen(Edit(key, found, self._put, console.styles_of))
        else:
            console.say(f"{key} has nothing that can be set")

    async def _frames(self, link: str, ends: list[str]) -> None:
        replies = await asyncio.gather(*(self._reply("tap", end, link=link, n=FRAMES) for end in ends))
        lines: list[str] = []
        for end, other, reply in zip(ends, reversed(ends), replies, strict=True):
            if reply is None:
                return
            seen = tapped(reply.data[end]["frames"])
            lines += [*([""] if lines else []), f"{end} to {other}", *map("  {}".format, seen)]
        self._console.shown.hush()
        self._console.push_screen(Reading(link, lambda: lines, self._console.styles_of))

    async def _put(self, process: str, key: str, value: float) -> tuple[float, float] | str:
        """Set one setting; its value then and that of the topology, or in words why not."""
        assert self._ask is not None
        try:
            reply = await self._ask("set", process, settings={key: value})
            if not reply.ok:
                return reply.error
            planned = await self._ask("get", process, planned=True)
        except BrokerUnreachable as error:
            return str(error)
        return _value(reply, process, key, value), _value(planned, process, key, 0.0)


def _value(reply: wire.Reply, process: str, key: str, otherwise: float) -> float:
    """A setting, as a process has answered; `otherwise` where it has not said."""
    answered = reply.data.get(process)
    found = answered.get(key) if isinstance(answered, dict) else None
    return float(found) if isinstance(found, int | float) else otherwise
