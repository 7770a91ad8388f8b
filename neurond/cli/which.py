"""The options that say which run a verb means, as typer takes them; what follows from them is in `attached`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.daemons import INSECURE_HELP, KEYS_HELP, RUNNING_HELP, WHICH_HELP

# The variable is not typer's to read: it must be told from the option, which excludes --run.
Broker = Annotated[str | None, typer.Option(metavar="ADDRESS", help=WHICH_HELP)]
Run = Annotated[Path | None, typer.Option("--run", metavar="DIR", help=RUNNING_HELP)]
Keys = Annotated[str | None, typer.Option(envvar="NEUROND_KEYS", metavar="DIR", help=KEYS_HELP)]
Insecure = Annotated[bool, typer.Option("--insecure", envvar="NEUROND_INSECURE", help=INSECURE_HELP)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Process = Annotated[str, typer.Argument(metavar="PROCESS", help="As the topology names it: h1, h2.0, source.")]
AnyProcess = Annotated[str, typer.Argument(metavar="[PROCESS]", help="As the topology names it; all if not given.")]
