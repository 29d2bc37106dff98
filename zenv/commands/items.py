"""`zenv items`: what is counted, and the listings that sell it on each connection."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value, stock
from zenv.errors import NeedsAttention, NotFound, UsageError
from zenv.money import amount

if TYPE_CHECKING:
    from zenv.ledger.catalog import Preview
    from zenv.ledger.item_files import Sheet

app = commands.noun("What you sell, and the listings that sell it on each connection.")

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The item's SKU.")]
Listing = Annotated[str, typer.Argument(metavar="LISTING", help="The SKU of the listing, as the marketplace has it.")]
Connection = Annotated[
    str | None, typer.Option("--connection", metavar="NAME", help="Which account, when several list that SKU.")
]
Name = Annotated[str | None, typer.Option("--name", help="What people call it.")]
Gtin = Annotated[str | None, typer.Option("--gtin", help="EAN, UPC or GTIN; the check digit is checked.")]
Parent = Annotated[str | None, typer.Option("--parent", metavar="SKU", help="The item this is a variation of.")]
Attribute = Annotated[
    list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="Such as color=red; may be repeated.")
]
UnitCost = Annotated[str | None, typer.Option("--unit-cost", metavar="AMOUNT", help="In the company's currency.")]
Weight = Annotated[int | None, typer.Option("--weight", metavar="GRAMS", help="Of one unit.")]
Client = Annotated[
    str | None, typer.Option("--client", metavar="NAME", help="Whose goods they are, where you are a provider.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Book without asking.")]


def _given(
    name: str | None, gtin: str | None, parent: str | None, attribute: list[str] | None, cost: str | None,
    weight: int | None,
) -> dict[str, Any]:  # fmt: skip
    """The fields of an item that were given on the command line."""
    from zenv.ledger.item_files import read_amount

    fields = {
        "name": name,
        "gtin": gtin,
        "parent": parent,
        "attributes": commands.pairs(attribute, "--attribute") or None,
        "unit_cost": None if cost is None else read_amount(cost, commands.company()["currency"]),
        "weight_grams": weight,
    }
    return {field: value for field, value in fields.items() if value is not None}


@app.command("list")
def list_(
    search: Annotated[str | None, typer.Argument(metavar="WORDS", help="Part of a SKU, name or GTIN.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many.")] = 200,
) -> Value:
    """List items with their stock, demand and what is available."""
    from zenv.ledger import views

    return commands.shown(views.items(commands.home(), search, limit), "No items: zenv items add, or zenv items import")


@app.command()
def show(sku: Sku) -> Value:
    """Show an item with its stock and its listings."""
    from zenv.ledger import views

    home = commands.home()
    parts = {
        "stock": commands.shown(views.levels(home, sku, actor=commands.actor()), "None.", "sku", "name"),
        "listings": commands.shown(views.listings(home, item=sku), "Sold nowhere.", "item", "name"),
    }
    return Record(views.item(home, sku), parts)


@app.command()
def add(
    sku: Sku,
    name: Name = None,
    gtin: Gtin = None,
    parent: Parent = None,
    attribute: Attribute = None,
    unit_cost: UnitCost = None,
    weight: Weight = None,
    client: Client = None,
) -> Value:
    """Add an item by hand. A client's gets the client's number before its SKU, and appears in the client's books."""
    from zenv.ledger.catalog import NewItem
    from zenv.ledger.zfn import client_items

    new = NewItem(sku=sku, **_given(name, gtin, parent, attribute, unit_cost, weight))
    with commands.writing() as t:
        made = client_items.add(t, new, client)
    return Done(f"Item {made} added.", {"sku": made})


@app.command()
def edit(
    sku: Sku,
    new_sku: Annotated[str | None, typer.Option("--sku", metavar="NEW", help="A new SKU for it.")] = None,
    name: Name = None,
    gtin: Gtin = None,
    parent: Parent = None,
    attribute: Attribute = None,
    unit_cost: UnitCost = None,
    weight: Weight = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help="Whether it is sold at all.")] = None,
) -> Value:
    """Change what is known of an item."""
    from zenv.ledger import catalog

    changes = _given(name, gtin, parent, attribute, unit_cost, weight)
    changes |= {} if active is None else {"active": active}
    changes |= {} if new_sku is None else {"sku": new_sku}
    with commands.writing() as t:
        catalog.edit_item(t, sku, **changes)
    return Done(f"Item {new_sku or sku} changed.", {"sku": new_sku or sku})


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; only `sku` is required.")],
    amazon_listings: Annotated[
        bool, typer.Option("--amazon-listings", help="FILE is Amazon's All Listings report, as downloaded.")
    ] = False,
    warehouse: Annotated[
        str | None, typer.Option("--warehouse", metavar="NAME", help="Where the quantities of new items are.")
    ] = None,
    yes: Yes = False,
) -> Value:
    """Import items from a file: what would change is shown first, line by line, and booked when confirmed.

    Columns: sku, gtin, name, parent, attributes (color=red;size=L), unit_cost, weight, active, quantity.
    Quantities become the first stock of new items only. Lines with a problem are left out and named.
    """
    from zenv.ledger import catalog

    sheet = _read(file, amazon_listings)
    with commands.opened() as book:
        with book.reading() as sql:
            preview = _told(catalog.preview(sql, sheet))
        if not commands.confirmed(preview, "Book this?", yes):
            return commands.unconfirmed(preview)
        with book.transaction() as t:
            booked = _told(catalog.apply(t, sheet, warehouse))
    left_out = len(booked.parts["problems"].rows)
    trouble = NeedsAttention(f"{commands.some(left_out, 'line')} left out.", "Mend them and import the file again.")
    return dataclasses.replace(booked, trouble=trouble) if left_out else booked


def _read(file: Path, amazon_listings: bool) -> Sheet:
    from zenv.connectors.amazon.listings_report import read_listings
    from zenv.ledger import item_files

    if not amazon_listings:
        return item_files.read_items_csv(file, commands.company()["currency"])
    try:
        with file.open("rb") as report:
            return item_files.sheet_from_listings(read_listings(report))
    except OSError as error:
        raise NotFound(f"{file} cannot be read: {error.strerror}.") from None


def _told(found: Preview) -> Record:
    """What a sheet does: the counts, then each change and each problem."""
    changes = [
        (
            change.line.line_number,
            change.line.sku,
            field.field,
            _said(field.field, field.old),
            _said(field.field, field.new),
        )
        for change in found.changed
        for field in change.fields
    ]
    counts = {
        "new": len(found.new),
        "changed": len(found.changed),
        "same": found.same,
        "opening_units": found.opening_units,
        "quantities_left_out": found.quantities_left_out,
    }
    problems = [(problem.line_number, problem.reason) for problem in found.problems]
    parts = {
        "changes": Rows(("line", "sku", "field", "old", "new"), changes, "None."),
        "problems": Rows(("line", "reason"), problems, "None."),
    }
    return Record(counts, parts)


def _said(field: str, stored: Any) -> Any:
    return amount(stored, commands.company()["currency"]) if field == "unit_cost" and stored is not None else stored


@app.command()
def unconfirmed() -> Value:
    """List the listings that match no item, with the item each may be."""
    from zenv.ledger import listings

    with commands.opened() as book, book.reading() as sql:
        waiting = listings.suggestions(sql)
    return commands.rows_of(waiting, listings.Unconfirmed, "Every listing has its item.")


@app.command()
def confirm(
    listing: Annotated[str | None, typer.Argument(metavar="LISTING", help="The SKU of the listing.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are left.")] = False,
    connection: Connection = None,
) -> Value:
    """Make a new item of a listing that matches none, or of all of them."""
    from zenv.ledger import listings

    if (listing is None) is not everything:
        raise UsageError("Give the SKU of a listing, or --all.", "zenv items unconfirmed")
    with commands.writing() as t:
        made = listings.confirm(t, listing, connection)
    return Done(f"{commands.some(made, 'new item')} made.", {"items": made})


@app.command()
def link(
    listing: Listing, item: Annotated[str, typer.Argument(metavar="ITEM", help="The item it sells.")],
    connection: Connection = None,
) -> Value:  # fmt: skip
    """Say that a listing sells an item you have: its orders and stock are now that item's."""
    from zenv.ledger import listings

    with commands.writing() as t:
        listings.link(t, listing, item, connection)
    return Done(f"{listing} sells {item}.", {"listing": listing, "item": item})


@app.command()
def unlink(listing: Listing, connection: Connection = None) -> Value:
    """Part a listing from its item; it waits in `zenv items unconfirmed` again."""
    from zenv.ledger import listings

    with commands.writing() as t:
        listings.unlink(t, listing, connection)
    return Done(f"{listing} sells no item now.", {"listing": listing})


@app.command()
def resend(
    listing: Listing,
    connection: Annotated[str, typer.Option("--connection", help="The account that shows it wrongly.")],
) -> Value:
    """Tell a channel the quantity of a listing again, because somebody changed it there."""
    from zenv.ledger import messages

    with commands.writing() as t:
        messages.resend(t, listing, connection)
    return Done(
        f"{listing} is told again with the next run. Next: zenv sync now {connection} stock", {"listing": listing}
    )


app.command("why")(stock.why)
