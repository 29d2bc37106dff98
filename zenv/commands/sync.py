"""`zenv sync`: talk to the connected accounts now, and see what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands, output
from zenv.commands import Done, Record, Rows, Value
from zenv.errors import NeedsAttention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zenv.sync import RunResult

app = commands.noun("Talk to the connected accounts now, and see what was said.")

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="See `zenv connections list`.")]
Run = Annotated[int, typer.Argument(metavar="RUN", help="Its number, see `zenv sync history`.")]


@app.command()
def now(
    connection: Connection,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this one, such as orders or stock.")] = None,
    yes_to_zero: Annotated[
        bool, typer.Option("--yes-to-zero", help="Send it even if most listings would be set to nothing left.")
    ] = False,
) -> Value:
    """Run one task of an account, or all of them."""
    from zenv import sync

    with commands.opened() as book, output.progress(connection, commands.manner()) as follow:
        if task is None:
            results = sync.run_all(book, connection, yes_to_zero=yes_to_zero, progress=follow)
        else:
            results = [sync.run(book, connection, task, yes_to_zero=yes_to_zero, progress=follow)]
    return told(results)


def told(results: Sequence[RunResult]) -> Rows:
    """What runs did. What stopped one, or what one set aside, is the trouble and so the exit code."""
    columns = ("run", "task", "outcome", "items", "orders", "sent", "failed", "note")
    rows = [[getattr(result, column) for column in columns] for result in results]
    stopped = [result.error for result in results if result.error is not None]
    aside = [result for result in results if result.outcome != "ok"]
    if stopped or not aside:
        return Rows(columns, rows, "No task.", stopped[0] if stopped else None)
    tasks = ", ".join(result.task for result in aside)
    look = f"zenv sync show {aside[0].run}"
    return Rows(
        columns, rows, trouble=NeedsAttention(f"Some records were set aside by: {tasks}. Nothing was lost.", look)
    )


@app.command()
def plan(connection: Connection) -> Value:
    """Show what would be sent to an account now, and send nothing."""
    from zenv import delivery
    from zenv.ledger import connections

    with commands.opened() as book:
        with book.reading() as sql:
            account = connections.find(sql, connection).id
        planned = delivery.plan(book, account)
    return commands.rows_of(planned, delivery.Planned, "Nothing is owed.")


@app.command()
def history(
    connection: Annotated[str | None, typer.Argument(metavar="CONNECTION", help="Only this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="The last so many.")] = 50,
) -> Value:
    """List the latest runs, also those that found nothing."""
    from zenv.ledger import views

    return commands.shown(views.runs(commands.home(), connection, limit), "None yet: zenv sync now CONNECTION")


@app.command()
def show(run: Run) -> Value:
    """Show a run with the records it set aside, and why."""
    from zenv.ledger import views

    home = commands.home()
    failures = commands.shown(views.run_failures(home, run), "Nothing was set aside.", "run", "connection")
    return Record(views.run(home, run), {"set aside": failures})


@app.command()
def retry(
    message: Annotated[int, typer.Argument(metavar="MESSAGE", help="Its number, as the inbox says.")],
) -> Value:
    """Owe a parked message again, once its cause is mended; it goes with the next run."""
    from zenv import sync

    with commands.opened() as book:
        sync.retry(book, message)
    return Done(f"Message {message} goes with the next run.", {"message": message})
