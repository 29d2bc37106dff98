"""`zenv restore`: put a backup in the place of the ledger."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value

if TYPE_CHECKING:
    from zenv.ledger.restore import Restored

app = typer.Typer()


@app.command()
def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The backup; without it all backups are listed.")
    ] = None,
    other_ledger: Annotated[
        bool, typer.Option("--other-ledger", help="Take it even if it is the ledger of another company.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Restore without asking.")] = False,
) -> Value:
    """Go back to a backup; the present ledger is kept beside it. What may have been told since is looked up first."""
    from zenv.ledger import backup, restore
    from zenv.ledger.transaction import utcnow

    home = commands.home()
    if file is None:
        return commands.rows_of(backup.kept(home), backup.Kept, "There are no backups yet: zenv backup")
    chosen = file.expanduser().absolute()
    preview = commands.rows_of(restore.compare(home, chosen, other_ledger), restore.Difference, "")
    if not commands.confirmed(preview, "Replace the present ledger?", yes):
        return commands.unconfirmed(preview)
    return _said(restore.restore(home, chosen, utcnow, other_ledger))


def _said(done: Restored) -> Done:
    kept = f" The replaced ledger is kept: {done.replaced}." if done.replaced else ""
    looked_up = f" {done.looked_up} messages are looked up before they are told." if done.looked_up else ""
    mend = " zenv doctor finds something in it." if done.findings else ""
    then = "".join(f"zenv sync now {name}, then " for name in done.connections)
    next_ = f" Next: {then}count what was received or moved by hand since."
    sentence = f"Restored: {done.orders:,} orders, {done.movements:,} movements.{kept}{looked_up}{mend}{next_}"
    return Done(sentence, dataclasses.asdict(done))
