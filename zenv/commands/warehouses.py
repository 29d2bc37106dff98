"""`zenv warehouses`: where the units are."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value

app = commands.noun("Where units are: own shelves, ranked by which is emptied first.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The warehouse's name.")]
Rank = Annotated[int | None, typer.Option("--rank", help="Orders are filled from the lowest rank first.")]


@app.command("list")
def list_() -> Value:
    """List the warehouses with what they hold."""
    from zenv.ledger import views

    return commands.shown(
        views.warehouses(commands.home()), "No warehouse yet: zenv warehouses add NAME", "warehouse_id"
    )


@app.command()
def add(name: Name, rank: Rank = 100) -> Value:
    """Add an own warehouse."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.add_warehouse(t, name, rank=100 if rank is None else rank)
    return Done(f"Warehouse {name} added.", {"warehouse": name})


@app.command()
def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="The new name.")] = None,
    rank: Rank = None,
) -> Value:
    """Rename a warehouse or change its rank."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.edit_warehouse(t, name, new_name, rank)
    return Done(f"Warehouse {new_name or name} changed.", {"warehouse": new_name or name})


@app.command()
def deactivate(name: Name) -> Value:
    """Close a warehouse that holds nothing any more."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.deactivate_warehouse(t, name)
    return Done(f"Warehouse {name} is closed.", {"warehouse": name})


@app.command()
def reactivate(name: Name) -> Value:
    """Open a closed warehouse again."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.reactivate_warehouse(t, name)
    return Done(f"Warehouse {name} is open again.", {"warehouse": name})
