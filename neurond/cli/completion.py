"""The verb `completion`: the script that makes a shell complete verbs and options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from neurond.cli.output import out, say
from neurond.errors import WrongUse

COMPLETE_VARIABLE = "_NEUROND_COMPLETE"
"""How a shell's script asks; the name is typer's own rule."""

HOW = {
    "bash": 'eval "$(neurond completion bash)"   in ~/.bashrc',
    "zsh": 'eval "$(neurond completion zsh)"   in ~/.zshrc, after compinit',
    "fish": "neurond completion fish > ~/.config/fish/completions/neurond.fish",
    "powershell": "neurond completion powershell >> $PROFILE",
}


def completion(
    shell: Annotated[
        str | None, typer.Argument(metavar="[SHELL]", help=f"{', '.join(HOW)}; yours if not given.")
    ] = None,
) -> None:
    """Print the completion script for a shell."""
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    asked = shell or Path(os.environ.get("SHELL", "")).name
    if asked not in HOW:
        what = f"no completion for '{asked}'" if asked else "your shell is not known"
        raise WrongUse(f"{what}; name one of {', '.join(HOW)}")
    out(get_completion_script(prog_name="neurond", complete_var=COMPLETE_VARIABLE, shell=asked))
    say(f"to use it: {HOW[asked]}")
