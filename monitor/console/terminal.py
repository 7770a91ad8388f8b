"""The terminal that a console draws on, which may be closed while it draws."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from textual.driver import Driver


class Lasting:
    """A file that takes whatever is written, also when nobody reads it any more.

    Textual writes in a thread, which would end with the terminal; the loop would wait for it for ever, and no signal
    would be heard that ends the console.
    """

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Write, if that is still possible."""
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, likewise."""
        with suppress(OSError):
            self._file.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def lasting(driver: type[Driver]) -> type[Driver]:
    """A driver of Textual's that draws on such a file, where it draws on one."""

    class LastingDriver(driver):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            file = getattr(self, "_file", None)
            if file is not None:
                self._file = Lasting(file)

    return LastingDriver
