"""`zenv warehouses`: where the units are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zenv.reimport import Reimported

app = commands.noun("Where units are: own shelves, ranked by which is emptied first.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The warehouse's name.")]
Rank = Annotated[int | None, typer.Option("--rank", help="Orders are filled from the lowest rank first.")]


@app.command("list")
def list_() -> Value:
    """List the warehouses with what they hold; one that is private only for who keeps it and for administrators."""
    from zenv.ledger import views

    table = views.warehouses(commands.home(), commands.actor())
    return commands.shown(table, "No warehouse yet: zenv warehouses add NAME", "warehouse_id")


@app.command()
def add(
    name: Name,
    rank: Rank = 100,
    private: Annotated[
        bool, typer.Option("--private", help="Only you and administrators view it or request transfers from it.")
    ] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="KIND", help="Who keeps it for you: zfn; without it, you.")
    ] = None,
) -> Value:
    """Add an own warehouse, or (--provider zfn) one that a fulfilment provider is to keep.

    The latter holds nothing before its connection was asked for (`zenv zfn request`) and accepted.
    """
    from zenv.ledger.zfn import links

    with commands.writing() as t:
        links.add_warehouse(t, name, provider, rank=100 if rank is None else rank, shared=not private)
    return Done(f"Warehouse {name} added.", {"warehouse": name, "provider": provider})


@app.command()
def edit(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="The new name.")] = None,
    rank: Rank = None,
    shared: Annotated[
        bool | None,
        typer.Option("--shared/--private", help="Whether all users can view it or request transfers from it."),
    ] = None,
) -> Value:
    """Rename a warehouse, change its rank, or who sees it."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.edit_warehouse(t, name, new_name, rank, shared)
    return Done(f"Warehouse {new_name or name} changed.", {"warehouse": new_name or name})


@app.command()
def deactivate(name: Name) -> Value:
    """Close a warehouse that holds nothing any more; one that a provider keeps is disconnected first."""
    from zenv.ledger.zfn import links

    with commands.writing() as t:
        links.deactivate_warehouse(t, name)
    return Done(f"Warehouse {name} is closed.", {"warehouse": name})


@app.command()
def reactivate(name: Name) -> Value:
    """Open a closed warehouse again; one that a provider kept is an administrator's to open, and is asked for anew."""
    from zenv.ledger.zfn import links

    with commands.writing() as t:
        links.reactivate_warehouse(t, name)
    return Done(f"Warehouse {name} is open again.", {"warehouse": name})


@app.command("reimport-items")
def reimport_items(name: Name, wait: commands.Wait = None) -> Value:
    """Read the catalogues of the accounts that sell from a warehouse again, and link their listings anew.

    Of a warehouse that a provider keeps, it is the provider's catalogue. Every listing is linked to the item with its
    SKU, else with its GTIN; a link to another item than the one with exactly its SKU is replaced. No item is made or
    changed: listings without an item are named and wait on the inbox. The quantities that the accounts show, or that
    the provider has, are fresh afterwards. `--quiet`, `--wait` and exit codes are those of `zenv sync now`; a listing
    without an item is no trouble.
    """
    from zenv import reimport

    with commands.talking(name, wait) as (book, how):
        done = reimport.reimport_items(book, name, **how)
    return commands.quietly(_told(name, done, reimport.without_item(done)))


def _told(warehouse: str, done: Sequence[Reimported], without_item: Sequence[tuple[str, str]]) -> Record:
    from zenv.commands import sync

    columns = ("run", "connection", "outcome", "read", "linked", "replaced", "without_item", "note")
    rows = [
        [one.result.run, one.result.connection, one.result.outcome, one.read, one.remapped.linked,
         one.remapped.replaced, len(one.remapped.without_item), one.result.note]
        for one in done
    ]  # fmt: skip
    unmatched = Rows(("connection", "listing"), without_item, "Every listing has its item.")
    trouble = sync.trouble([one.result for one in done], goes_on=False)
    return Record({"warehouse": warehouse}, {"accounts": Rows(columns, rows), "without an item": unmatched}, trouble)
