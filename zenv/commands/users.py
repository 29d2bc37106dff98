"""`zenv users`: your own people, by the names given with `--as`."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value

app = commands.noun("Your own people, by the names given with --as: list, add, deactivate.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The name they give with --as.")]


@app.command("list")
def list_() -> Value:
    """List the users. While there is none, whoever acts is an administrator."""
    from zenv.ledger import views

    return commands.shown(views.users(commands.home()), "No user yet: zenv users add NAME")


@app.command()
def add(
    name: Name,
    administrator: Annotated[
        bool, typer.Option("--administrator", help="They may choose the plan, grant functions and add users.")
    ] = False,
) -> Value:
    """Add a user, or let a deactivated one act again; administrators only."""
    from zenv.ledger import users

    with commands.writing() as t:
        users.add(t, name, administrator)
    return Done(f"{name} is a user{' and an administrator' if administrator else ''}.", {"user": name})


@app.command()
def deactivate(name: Name) -> Value:
    """Let a user act no more; the name stays in the history. Administrators only."""
    from zenv.ledger import users

    with commands.writing() as t:
        users.deactivate(t, name)
    return Done(f"{name} is deactivated.", {"user": name})
