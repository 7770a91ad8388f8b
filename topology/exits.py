"""Exit codes of every command and process, in one place. Exceptions that know theirs carry it as `exit_code`."""

from __future__ import annotations

OK = 0
FAILED = 1
USAGE = 2  # called in a way that cannot be meant
INVALID = 3  # a topology or data that cannot be used
UNREACHABLE = 4  # nobody answers at the broker's address, or the broker refuses our key
LOST = 5  # a process of the run died or fell silent
MISSED = 6  # the run is over and its target was not reached
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
