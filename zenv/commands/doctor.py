"""`zenv doctor`: prove that the books are sound."""

from __future__ import annotations

from dataclasses import replace

import typer

from zenv import commands
from zenv.commands import Value
from zenv.errors import Bug

app = typer.Typer()


@app.command()
def doctor() -> Value:
    """Prove that the books are sound: file, levels, reservations, messages, key."""
    from zenv.ledger import invariants

    with commands.opened() as book:
        findings = invariants.check_all(book)
        book.master_key()
    return replace(commands.rows_of(findings, invariants.Finding, "All is well."), trouble=_trouble(len(findings)))


def _trouble(findings: int) -> Bug | None:
    return (
        Bug(f"{commands.some(findings, 'promise')} broken. Nothing was changed.", "Please report it.")
        if findings
        else None
    )
