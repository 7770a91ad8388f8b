"""Whether a frame is from whom it says: the key that proved its connection against the link that it names (pure)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from topology import wire


class Guard:
    """Looks at every frame of an inbox with keys.

    Args:
        owner: tells whose a public key is, None for one that is not accepted any more.
        senders: link number -> the process at its other end.

    """

    __slots__ = ("_owner", "_senders")

    def __init__(self, owner: Callable[[str], str | None], senders: Mapping[int, str]) -> None:
        self._owner = owner
        self._senders = senders

    def admits(self, key: str, frame: bytes) -> bool:
        """Whether a frame is of a link whose other end holds the key that proved the frame's connection."""
        owner = self._owner(key)
        return owner is not None and owner == self._senders.get(wire.link_of(frame))
