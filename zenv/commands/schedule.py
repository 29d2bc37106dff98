"""`zenv schedule`: what has to run how often, when it did, and why it is late."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value

app = typer.Typer(cls=commands.Noun)

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="An account, or `housekeeping`.")]
Task = Annotated[str, typer.Argument(metavar="TASK", help="As the list says.")]


@app.callback(invoke_without_command=True)
def list_(ctx: typer.Context) -> Value | None:
    """List every task with its bound, when it ran, when it runs next, and why it is late.

    The bounds are the longest times between two runs; `every` is your own, shorter one. Late tasks come to the inbox.
    """
    if ctx.invoked_subcommand:
        return None
    from zenv.ledger import views

    return commands.shown(views.schedule(commands.home()), "Nothing is planned yet: zenv sync due", "scheduled",
                          "last_ok_at", "late_at")  # fmt: skip


@app.command()
def every(
    connection: Connection,
    task: Task,
    interval: Annotated[str, typer.Argument(metavar="INTERVAL", help="Such as 90s, 5m or 2h; `default` ends it.")],
) -> Value:
    """Run a task more often than it has to be; a longer time than its bound is refused."""
    from zenv import scheduler

    wish = None if interval == "default" else commands.length_of_time(interval)
    with commands.opened() as book:
        scheduler.choose_interval(book, connection, task, wish)
    sentence = (
        f"{task} of {connection} runs as documented."
        if wish is None
        else f"{task} of {connection} runs every {interval}."
    )
    return Done(sentence, {"connection": connection, "task": task, "seconds": wish and int(wish.total_seconds())})
