"""`zenv orders`: what customers bought, from first sight to completed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from zenv import commands
from zenv.commands import Done, Record, Value, order_papers

app = commands.noun("What customers bought: list, create, allocate, pick, ship, cancel, complete; slips and labels.")
app.add_typer(order_papers.label, name="label")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The order's number.")]
Warehouse = Annotated[str | None, typer.Option("--warehouse", metavar="NAME", help="From this warehouse.")]
Line = Annotated[
    list[str] | None,
    typer.Option("--line", metavar="SKU=UNITS", help="Only these units; may be repeated. All that is open without it."),
]
ShipFrom = Annotated[
    str | None,
    typer.Option("--ship-from", metavar="NAME", help="The warehouse all of it leaves from; a provider's, too."),
]
Reason = Literal["no_stock", "buyer_request", "address_undeliverable", "exchange", "wrong_price"]
State = Literal["pending", "ready", "part_shipped", "shipped", "completed", "cancelled", "on hold", "cancelling"]


@app.command("list")
def list_(
    search: Annotated[str | None, typer.Argument(metavar="WORDS", help="Part of a number.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only orders in this state.")] = None,
    connection: Annotated[str | None, typer.Option("--connection", metavar="NAME", help="Only this account's.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="At most so many, the latest first.")] = 50,
) -> Value:
    """List orders, the latest first."""
    from zenv.ledger import views

    table = views.orders(commands.home(), state, connection, search, limit)
    return commands.shown(table, "No orders: zenv orders create, or zenv sync now")


@app.command()
def show(
    number: Number,
    personal: Annotated[
        bool | None,
        typer.Option(
            "--with-personal-data/--without-personal-data",
            help="Open the sealed recipient, or leave it closed. At a terminal it is opened without being asked; who "
            "looked is in the audit trail.",
            show_default=False,
        ),
    ] = None,
) -> Value:
    """Show an order with its lines and packages; at a terminal also whom it goes to."""
    from zenv.commands import order_edits
    from zenv.ledger import views

    home = commands.home()
    fields = views.order(home, number) | order_edits.handed(number)
    said, trouble = order_papers.recipient(number, order_papers.is_wanted(personal))
    parts = {
        "lines": commands.shown(views.order_lines(home, number), "No lines.", "number", "line"),
        "packages": commands.shown(views.shipments(home, number), "None left yet.", "number"),
        "comments": commands.shown(views.order_comments(home, number), "None."),
    }
    return Record(fields | said, parts, trouble)


@app.command()
def create(
    line: Annotated[
        list[str], typer.Option("--line", metavar="SKU=UNITS[@PRICE]", help="What is ordered; may be repeated.")
    ],
    number: Annotated[str, typer.Option("--number", help="Your number for it; else the next M-number.")] = "",
    ship_by: Annotated[str | None, typer.Option("--ship-by", metavar="TIME", help="When it must leave.")] = None,
    recipient: Annotated[
        bool, typer.Option("--recipient", help="Ask for the recipient, or read NAME=VALUE lines from stdin.")
    ] = False,
    ship_from: ShipFrom = None,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="NAME", help="For a client of yours, from the goods you keep for it."),
    ] = None,
) -> Value:
    """Create an order by hand; its stock is reserved at once, or it waits for stock."""
    from zenv.commands import order_edits, order_files
    from zenv.ledger import orders

    currency = commands.company()["currency"]
    lines = [order_files.new_line(word, currency) for word in line]
    due = commands.moment(ship_by) if ship_by else None
    person = order_files.ask_recipient(number) if recipient else None
    new = orders.NewOrder(lines, number, currency, due, person, ship_from)
    with commands.writing() as t:
        made = order_edits.created(t, new, client)
    return Done(f"Order {made} created.", {"number": made})


@app.command()
def edit(
    number: Annotated[
        list[str], typer.Argument(metavar="NUMBER...", help="The order's number; several for --ship-from.")
    ],
    units: Annotated[
        list[str] | None, typer.Option("--units", metavar="SKU=UNITS", help="So many are ordered now; may be repeated.")
    ] = None,
    ship_by: Annotated[str | None, typer.Option("--ship-by", metavar="TIME", help="When it must leave.")] = None,
    ship_from: ShipFrom = None,
) -> Value:
    """Change what is ordered, when it must leave, or from where.

    An order that a provider has is changed when the provider agrees: it is asked at once, and refuses what it has begun
    to pick unless it allows that. An order of a channel can only be given another warehouse or time.
    """
    from zenv.commands import order_edits

    due = commands.moment(ship_by) if ship_by else None
    return order_edits.edited(number, commands.quantities(units, "--units"), due, ship_from)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header: number, sku, quantity.")],
    yes: Annotated[bool, typer.Option("--yes", help="Book without asking.")] = False,
) -> Value:
    """Import orders from a CSV file: problems are shown line by line first, and the good ones booked when confirmed.

    Columns: number, sku, quantity; and, if you have them, price, ship_by, name, company, line1, line2, line3,
    postcode, city, region, country, phone, email. Lines with the same number are one order. A number that the
    ledger has already is left as it is, so a file can be imported again.
    """
    from zenv.commands import order_files

    sheet = order_files.read(file, commands.company()["currency"])
    with commands.opened() as book:
        preview = order_files.outcome(book, sheet, keep=False)
        if not commands.confirmed(preview, "Book the good orders?", yes):
            return commands.unconfirmed(preview)
        return order_files.outcome(book, sheet, keep=True)


@app.command()
def hold(
    number: Number, reason: Annotated[str, typer.Option("--reason", help="Why; it is shown. Required.")] = ""
) -> Value:
    """Keep an order from being picked and shipped; it keeps its stock."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.hold(t, number, reason)
    return Done(f"Order {number} is on hold.", {"number": number})


@app.command()
def release(number: Number) -> Value:
    """Let an order on hold go on."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.release(t, number)
    return Done(f"Order {number} goes on.", {"number": number})


@app.command()
def allocate(number: Number, warehouse: Warehouse = None) -> Value:
    """Reserve stock for an order, in one warehouse or by rank."""
    from zenv.ledger import orders

    with commands.writing() as t:
        lines = orders.allocate(t, number, warehouse)
    return Done(f"Order {number}: {commands.some(lines, 'line')} with stock.", {"number": number, "lines": lines})


@app.command()
def deallocate(number: Number) -> Value:
    """Give up the reservations of an order; what was picked returns to its shelf."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.deallocate(t, number)
    return Done(f"Order {number} reserves nothing now.", {"number": number})


@app.command()
def pick(number: Number) -> Value:
    """Take the reserved units of an order off their shelves."""
    from zenv.ledger import orders

    with commands.writing() as t:
        units = orders.pick(t, number)
    return Done(f"Order {number}: {commands.some(units, 'unit')} picked.", {"number": number, "units": units})


@app.command()
def unpick(number: Number) -> Value:
    """Put what was picked back on its shelf; it stays reserved."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.unpick(t, number)
    return Done(f"Order {number} is not picked any more.", {"number": number})


@app.command()
def ship(
    number: Number,
    carrier: Annotated[str, typer.Option("--carrier", metavar="NAME", help="Who carries it.", show_default=False)] = "",
    tracking: Annotated[str, typer.Option("--tracking", help="The tracking number.", show_default=False)] = "",
    service: Annotated[str, typer.Option("--service", help="The carrier's service.", show_default=False)] = "",
    line: Line = None,
    warehouse: Warehouse = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="When it left; now without it.")] = None,
) -> Value:
    """Ship one package of an order, with all that is open or only some lines; the channel is told."""
    from zenv.ledger import orders

    package = orders.NewPackage(
        carrier, tracking, service, commands.quantities(line, "--line"), warehouse, commands.moment(at) if at else None
    )
    with commands.writing() as t:
        (reference,) = orders.ship(t, number, [package])
    return Done(f"Order {number}: package {reference} left.", {"number": number, "package": reference})


@app.command()
def cancel(
    number: Number,
    reason: Annotated[Reason, typer.Option("--reason", help="Why, in the words the channels know.")],
    line: Line = None,
) -> Value:
    """Cancel an order, or some units of an order of your own. Its stock is free once the channel has agreed."""
    from zenv.commands import order_edits
    from zenv.ledger import order_changes

    with commands.writing() as t:
        outcome = order_changes.cancel(t, number, reason, commands.quantities(line, "--line"))
    return order_edits.cancelled(number, outcome)


@app.command()
def complete(number: Number) -> Value:
    """Close a shipped order for good."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.complete(t, number)
    return Done(f"Order {number} is completed.", {"number": number})


@app.command()
def comment(number: Number, text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")]) -> Value:
    """Say something under an order."""
    from zenv.ledger import orders

    with commands.writing() as t:
        orders.comment(t, number, text)
    return Done(f"Said under order {number}.", {"number": number})


app.command("slip")(order_papers.slip)
