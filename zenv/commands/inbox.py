"""`zenv inbox`: all that needs a person, each with the one command that settles it."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value

app = typer.Typer(cls=commands.Noun)


@app.callback(invoke_without_command=True)
def list_(ctx: typer.Context) -> Value | None:
    """List what waits for a person, each with the command that settles it."""
    if ctx.invoked_subcommand:
        return None
    from zenv.ledger import views

    return commands.shown(views.inbox(commands.home()), "Nothing waits for you.")


@app.command()
def settle(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="As the list says.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="As the list says.")],
) -> Value:
    """Take an entry off the list once you have seen to it; most settle themselves when their cause is gone."""
    from zenv.ledger import notices

    with commands.writing() as t:
        notices.settle_notice(t, kind, subject)
    return Done(f"Settled: {kind} {subject}.", {"kind": kind, "subject": subject})
