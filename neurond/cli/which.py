"""The options that say which run a verb means, as typer takes them; what follows from them is in `attached`."""

from __future__ import annotations

from typing import Annotated

import typer

from neurond.cli.daemons import INSECURE_HELP, KEYS_HELP, RUNNING_HELP, WHICH_HELP
from neurond.errors import WrongUse

# The variable is not typer's to read: it must be told from the option, which excludes --run.
Broker = Annotated[str | None, typer.Option(metavar="ADDRESS", help=WHICH_HELP)]
Run = Annotated[str | None, typer.Option("--run", metavar="RUN", help=RUNNING_HELP)]
Meant = Annotated[str | None, typer.Argument(metavar="[RUN]", help="The same as --run.")]
Keys = Annotated[str | None, typer.Option(envvar="NEUROND_KEYS", metavar="DIR", help=KEYS_HELP)]
Insecure = Annotated[bool, typer.Option("--insecure", envvar="NEUROND_INSECURE", help=INSECURE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Process = Annotated[str, typer.Argument(metavar="PROCESS", help="As the topology names it: h1, h2.0, source.")]
AnyProcess = Annotated[str, typer.Argument(metavar="[PROCESS]", help="As the topology names it; all if not given.")]


def either(word: str | None, broker: str | None, run: str | None) -> str | None:
    """The run that is meant, by the argument RUN or by --run; WrongUse where it is said twice."""
    if word is not None and (broker is not None or run is not None):
        other = "--run" if broker is None else "--broker"
        raise WrongUse(f"{word!r} and {other} both say which run is meant: leave one of them out")
    return run if word is None else word
