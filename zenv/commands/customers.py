"""`zenv customers`: who bought, under pseudonyms."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Record, Value

app = commands.noun("Customers under pseudonyms: list, show.")


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", help="How many, those with most orders first.")] = 50,
) -> Value:
    """List customers by pseudonym: their orders, the first and the last, and since when they are forgotten."""
    from zenv.ledger import customers

    return commands.shown(customers.listed(commands.home(), limit), "Nobody is known yet.")


@app.command()
def show(pseudonym: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Such as C-000001.")]) -> Value:
    """Show a customer: their orders, and whether they are still recognised when they come back."""
    from zenv.ledger import customers

    about, orders = customers.shown(commands.home(), pseudonym)
    return Record(about, {"orders": commands.shown(orders, "None.")})
