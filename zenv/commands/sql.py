"""`zenv sql`: any question to the ledger, in SQL, read-only."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Value

app = typer.Typer()


@app.command()
def sql(
    statement: Annotated[str, typer.Argument(metavar="STATEMENT", help='Such as "SELECT * FROM levels".')],
) -> Value:
    """Ask the ledger anything in SQL. Nothing can be changed here.

    The views levels, availability, items, listings, orders, order_lines, shipments, movements, transfers,
    warehouses, connections, runs, messages and inbox keep their names and columns from version to version.
    """
    from zenv.ledger import views

    return commands.shown(views.sql(commands.home(), statement), "No rows.")
