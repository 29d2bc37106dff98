"""`zenv sync`: talk to the connected accounts now, and see what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands, output
from zenv.commands import Done, Record, Rows, Value
from zenv.errors import NeedsAttention, Throttled, UsageError, ZenvError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from zenv.ledger.book import Book
    from zenv.sync import How, RunResult

app = commands.noun("Talk to the connected accounts now, and see what was said.")

Connection = Annotated[str, typer.Argument(metavar="CONNECTION", help="See `zenv connections list`.")]
Run = Annotated[int, typer.Argument(metavar="RUN", help="Its number, see `zenv sync history`.")]


@app.command()
def now(
    connection: Connection,
    task: Annotated[str | None, typer.Argument(metavar="TASK", help="Only this one, such as orders or stock.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Read a period again: its first day or moment.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Its last day or moment; both ends belong to it.")
    ] = None,
    yes_to_zero: Annotated[
        bool, typer.Option("--yes-to-zero", help="Send it even if most listings would be set to nothing left.")
    ] = False,
    wait: commands.Wait = None,
) -> Value:
    """Run one task of an account, or all of them; with --since and --until, read a period again.

    `housekeeping` stands for zenv's own tasks.

    All marketplaces of the account are read together. Orders of a period are chosen by when they were placed, items by
    when their listing was created, and nothing is sent. Both ends belong to the period. A time without a zone is your
    company's; a day alone begins at its first moment and ends with its last. Orders that had ended before the account
    was connected come only with `--with-fulfilled` (see `zenv connections edit`); known ones are brought up to date
    in any case.

    For cron: `--quiet` prints nothing when all is well. Exit code 0: done, or half-way done because the account's
    rate limit was reached, and the next run goes on from there (a period has no next run: 69). 69: the account cannot
    be reached. 75: the same task is running elsewhere, or this run was told to stop (SIGTERM, the account was
    disabled). 77: a login is needed. 80: records were set aside, `zenv sync show RUN` says why.

    Without `--wait` a task that is running elsewhere is not waited for, and the ledger's lock 10 seconds; with it,
    both so long (the lock, which is held for moments, at least 1 second).
    """
    period = _period(since, until)
    with commands.talking(connection, wait) as (book, how):
        results = _runs(book, connection, task, period, yes_to_zero, how)
        commands.tell_providers(book)
    return told(results, goes_on=period is None)


def _period(since: str | None, until: str | None) -> tuple[datetime, datetime] | None:
    """The period that was asked for, if any; both ends are needed (H70)."""
    if since is None and until is None:
        return None
    if since is None or until is None:
        missing = "--since" if since is None else "--until"
        raise UsageError(f"A period has two ends: {missing} is missing.", f"Add {missing} TIME.")
    return commands.moment(since, day_begins=True), commands.moment(until)


def _runs(
    book: Book, connection: str, task: str | None, period: tuple[datetime, datetime] | None, yes_to_zero: bool, how: How
) -> Sequence[RunResult]:
    from zenv import scheduler, sync

    if connection == scheduler.HOUSEKEEPING:
        return scheduler.do_chores(book, task)
    if period is not None:
        return sync.run_period(book, connection, task, *period, **how)
    if task is None:
        return sync.run_all(book, connection, yes_to_zero=yes_to_zero, **how)
    return [sync.run(book, connection, task, yes_to_zero=yes_to_zero, **how)]


def told(results: Sequence[RunResult], goes_on: bool = True) -> Value:
    """What runs did. What stopped one, or what one set aside, is the trouble and so the exit code; a rate limit is
    none where the next run goes on from there."""
    columns = ("run", "connection", "task", "outcome", "items", "orders", "sent", "failed", "note")
    rows = [[getattr(result, column) for column in columns] for result in results]
    return commands.quietly(Rows(columns, rows, "No task.", trouble(results, goes_on)))


def trouble(results: Sequence[RunResult], goes_on: bool) -> ZenvError | None:
    """What is wrong with these runs, if anything is."""
    for result in results:
        if result.error is not None and not (goes_on and isinstance(result.error, Throttled)):
            return result.error
    aside = [result for result in results if result.failed]
    if not aside:
        return None
    tasks = ", ".join(result.task for result in aside)
    return NeedsAttention(
        f"Some records were set aside by: {tasks}. Nothing was lost.", f"zenv sync show {aside[0].run}"
    )


@app.command()
def due() -> Value:
    """Run what is due by now and come back: for cron and timers, instead of the daemon or beside it."""
    from zenv import crew

    with (
        commands.stoppable() as stop,
        commands.opened() as book,
        output.progress("due", commands.manner()) as follow,
    ):
        results = crew.run_due(book, stop.is_set, watch=follow)
        commands.tell_providers(book)
    return told(results)


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
    """List the latest runs, also those that found nothing, and who ran them; `again` is the run one repeats."""
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
def rerun(run: Run, wait: commands.Wait = None) -> Value:
    """Fetch exactly the records of an earlier run again; the history links the new run to it.

    What is known is brought up to date and nothing is doubled. Messages that were sent are not sent again. Exit codes
    and `--wait` are those of `zenv sync now`.
    """
    from zenv import sync

    with commands.talking(f"run {run}", wait) as (book, how):
        result = sync.rerun(book, run, **how)
    return told([result], goes_on=False)


@app.command()
def retry(
    message: Annotated[int, typer.Argument(metavar="MESSAGE", help="Its number, as the inbox says.")],
) -> Value:
    """Owe a parked message again, once its cause is mended; it goes with the next run."""
    from zenv import sync

    with commands.opened() as book:
        sync.retry(book, message)
    return Done(f"Message {message} goes with the next run.", {"message": message})
