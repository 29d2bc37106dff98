"""`zenv doctor`: prove that the books are sound, and mend what is not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands, output
from zenv.commands import Rows, Value
from zenv.errors import Bug, KeyUnavailable, NeedsAttention, UsageError, ZenvError

if TYPE_CHECKING:
    from zenv.ledger.book import Book
    from zenv.ledger.invariants import Finding
    from zenv.ledger.mending import Change

app = typer.Typer(cls=commands.Noun)


@app.callback(invoke_without_command=True)
def check(ctx: typer.Context) -> Value | None:
    """Prove that the books are sound: file, movements, levels, orders, messages, key.

    Each finding names the command that mends it."""
    if ctx.invoked_subcommand:
        return None
    from zenv.ledger.invariants import Finding

    with commands.opened() as book:
        found = findings(book)
    return replace(commands.rows_of(found, Finding, "All is well."), trouble=_trouble(found))


def findings(book: Book) -> list[Finding]:
    """All that is found wrong; a list more is a line more."""
    from zenv.ledger import invariants

    return [
        *invariants.check_all(book),
        *_key(book),
        *_late(),
    ]


def _key(book: Book) -> list[Finding]:
    """The master key can be read, and is the one of these books."""
    from zenv.ledger.invariants import Finding

    try:
        book.master_key()
    except KeyUnavailable as error:
        return [Finding("key", "master key", error.message, error.hint)]
    return []


def _late() -> list[Finding]:
    """No task has broken its bound (A11)."""
    from zenv.ledger import views
    from zenv.ledger.invariants import Finding

    late = views.late(commands.home())
    rows = [dict(zip(late.columns, row, strict=True)) for row in late.rows]
    return [
        Finding(
            "late", f"{row['task']} of {row['connection']}", f"bound: {row['bound']}; {row['why']}", "zenv sync due"
        )
        for row in rows
    ]


def _trouble(found: list[Finding]) -> ZenvError | None:
    """The exit code: a broken promise weighs more than a key that does not open, and that more than a late task."""
    kinds = {one.check for one in found}
    if not kinds:
        return None
    if kinds <= {"late"}:
        return NeedsAttention(f"{commands.some(len(found), 'task')} late. Nothing was changed.", "zenv schedule")
    if kinds <= {"lost", "differs", "untold"}:
        said = f"{commands.some(len(found), 'difference')} to the channel. Nothing was changed."
        return NeedsAttention(said, "Each finding names what mends it.")
    if kinds <= {"late", "key"}:
        (key,) = (one for one in found if one.check == "key")
        return KeyUnavailable(key.text, key.command)
    return Bug(
        f"{commands.some(len(found), 'promise')} broken. Nothing was changed.", "Each finding names what mends it."
    )


@app.command()
def compare(
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="See `zenv connections list`.")],
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="The first day or moment. Required.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="The last day or moment; now without it.")] = "",
) -> Value:
    """Ask a channel for its orders of a period, and say what the books lack or show differently.

    Nothing is changed; orders are chosen by when they were placed, and each finding names the command that mends it.
    """
    from zenv import comparing
    from zenv.ledger.invariants import Finding

    if not since:
        raise UsageError("From when on is to be compared?", "Add --since TIME.")
    start = commands.moment(since, day_begins=True)
    with commands.opened() as book, output.progress(connection, commands.manner()) as follow:
        end = commands.moment(until) if until else book.clock()
        found = comparing.compare(book, connection, start, end, progress=follow)
    return replace(commands.rows_of(found, Finding, "The channel and the books agree."), trouble=_trouble(found))


@app.command()
def mend(
    check: Annotated[str, typer.Argument(metavar="CHECK", help="As the finding says.")],
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="ORDER/PACKAGE, for `packages`.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Mend without asking.")] = False,
) -> Value:
    """Mend what a check has found: all of it in one transaction, after showing it where quantities change."""
    from zenv.ledger import mending

    with commands.opened() as book:
        if warning := mending.warning(check):
            preview = _rows(mending.preview(book, check, subject))
            if preview.rows and not commands.confirmed(preview, f"{warning} Mend this?", yes):
                return commands.unconfirmed(preview)
        return _rows(mending.mend(book, check, subject))


def _rows(changes: list[Change]) -> Rows:
    from zenv.ledger.mending import Change

    return commands.rows_of(changes, Change, "There is nothing to mend.")
