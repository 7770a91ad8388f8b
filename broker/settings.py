"""What each process was told to do otherwise than its plan says, for whoever takes its place (pure)."""

from __future__ import annotations

from topology.wire import Command, Event, Hello

MOST = 256
"""Settings kept of one process."""


class Settings:
    """What the processes of a run have told of their settings."""

    def __init__(self) -> None:
        self._settings: dict[str, dict[str, float]] = {}

    def happened(self, event: Event) -> None:
        """Note a change that a process tells of; other events do not matter."""
        key, value = event.data.get("key"), event.data.get("value")
        if event.kind != "set" or not isinstance(key, str) or not isinstance(value, int | float):
            return
        known = self._settings.setdefault(event.name, {})
        if key in known or len(known) < MOST:
            known[key] = value

    def registered(self, hello: Hello, incarnation: int) -> Command | None:
        """What a process is to be told that has just registered, if anything.

        One that lived on while there was no broker says itself what holds.
        """
        if hello.incarnation:
            self._settings[hello.name] = dict(list(hello.settings.items())[:MOST])
            return None
        known = self._settings.get(hello.name)
        if not known:
            return None
        return Command(f"settings-{hello.name}-{incarnation}", "adopt", hello.name, {"settings": dict(known)})
