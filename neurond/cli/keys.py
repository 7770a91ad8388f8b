"""The verbs about keys: keys init, keys show, keys revoke."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

from neurond.cli.output import out, out_json, say, suggest
from neurond.cli.topologies import File, Set

Folder = Annotated[
    str | None,
    typer.Option(
        "--keys",
        envvar="NEUROND_KEYS",
        metavar="DIR",
        help="Folder of the keys; ./keys if not given.",
        show_default=False,
    ),
]

app = typer.Typer()


@app.callback(invoke_without_command=True)
def verbs(context: typer.Context) -> None:
    """Make, show and revoke the keys that processes need between hosts."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog="Example: neurond keys init digits")
def init(
    file: File,
    keys: Folder = None,
    set_: Set = None,
    force: Annotated[bool, typer.Option("--force", help="Revoke the keys that are there, and make all new.")] = False,
) -> None:
    """Make a pair of keys for each process of a network, and one for clients. Keeps those that are there."""
    from topology.graph import process_names
    from topology.issue import issue
    from topology.keys import PUBLIC, folder_of, names_of
    from topology.load import load

    topology = load(file, set_ or [], os.environ)
    folder = folder_of(keys)
    made, kept = issue(folder, names_of(process_names(topology)), replace=force)
    if kept:
        say(f"kept in {folder}: {', '.join(kept)}")
    if made:
        say(f"made in {folder}: {', '.join(made)}")
        say(f"each process needs {PUBLIC} and its own secret, such as {made[0]}.secret, and no other")
    suggest(f"neurond broker {shlex.quote(file)}" + ("" if keys is None else f" --keys {shlex.quote(keys)}"))


@app.command(epilog="Example: neurond keys show")
def show(
    keys: Folder = None, json: Annotated[bool, typer.Option("--json", help="One JSON list of keys.")] = False
) -> None:
    """Print whose which public key is. Secrets are never shown."""
    from topology.keys import folder_of, read_public

    entries = read_public(folder_of(keys))
    if json:
        out_json([{"name": e.name, "key": e.key, "revoked": e.revoked} for e in entries])
        return
    for entry in entries:
        out(str(entry))


@app.command(epilog="Example: neurond keys revoke h1")
def revoke(
    name: Annotated[str, typer.Argument(help="Whose key: a process, or monitor.", show_default=False)],
    keys: Folder = None,
) -> None:
    """Take a key back: wherever the changed list is, it is accepted no more. Its secret is removed from here."""
    from topology.issue import revoke as take_back
    from topology.keys import PUBLIC, folder_of
    from topology.plan import BROKER

    folder = folder_of(keys)
    take_back(folder, name)
    say(f"revoked: the key of {name}; processes that read {folder / PUBLIC} know within two seconds")
    say(f"copy {folder / PUBLIC} to every other machine; neurond keys init TOPOLOGY makes {name} a new key")
    if name == BROKER:
        say("then start every process anew: each of them knows the broker by the old key")
