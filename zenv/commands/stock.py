"""`zenv stock`: what is where, and everything that changes it."""

from __future__ import annotations

from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Record, Rows, Value

app = commands.noun("What is where, why, and everything that changes it.")

Sku = Annotated[str, typer.Argument(metavar="SKU", help="The item's SKU.")]
Quantity = Annotated[int, typer.Argument(metavar="QUANTITY", help="Units.")]
Warehouse = Annotated[
    str | None, typer.Option("--warehouse", metavar="NAME", help="The warehouse; may be left out while there is one.")
]
Note = Annotated[str, typer.Option("--note", help="A remark for the history.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", help="Book without asking.")]


@app.command()
def levels(
    sku: Annotated[str | None, typer.Argument(metavar="SKU", help="Only this item.")] = None,
    warehouse: Annotated[str | None, typer.Option("--warehouse", metavar="NAME", help="Only this one.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="TIME", help="As it was: 2026-11-22 (its end) or 2026-11-22T14:30.")
    ] = None,
) -> Value:
    """Show how many units are on hand, picked and in transit."""
    from zenv.ledger import views

    home, empty = commands.home(), "No stock: zenv stock receive SKU QUANTITY"
    if sku:
        views.item(home, sku)  # an unknown SKU is an error, not an empty shelf
    if as_of is None:
        return commands.shown(views.levels(home, sku, warehouse, commands.actor()), empty)
    when = f"{commands.moment(as_of):%Y-%m-%d %H:%M:%S.%f}"
    return commands.shown(views.levels_as_of(home, when, sku, warehouse, commands.actor()), empty)


@app.command(context_settings=commands.NUMBERS)
def receive(
    sku: Sku,
    quantity: Quantity,
    warehouse: Warehouse = None,
    reference: Annotated[str, typer.Option("--reference", help="Delivery note or purchase.", show_default=False)] = "",
    note: Note = "",
) -> Value:
    """Book a delivery from a supplier. Waiting orders are filled, oldest first."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.receive(t, sku, warehouse, quantity, reference, note)
    return Done(f"{quantity} x {sku} received.", {"sku": sku, "quantity": quantity})


@app.command(context_settings=commands.NUMBERS)
def adjust(
    sku: Sku,
    change: Annotated[int, typer.Argument(metavar="CHANGE", help="Units more, or fewer: 5 or -3.")],
    why: Annotated[str, typer.Option("--why", metavar="REASON", help="Why; the history shows it. Required.")] = "",
    warehouse: Warehouse = None,
) -> Value:
    """Correct the stock by a number of units, for a reason."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.adjust(t, sku, warehouse, change, why)
    return Done(f"{sku} corrected by {change:+}.", {"sku": sku, "change": change})


@app.command(context_settings=commands.NUMBERS)
def count(
    sku: Sku,
    counted: Annotated[int, typer.Argument(metavar="COUNTED", help="Units found on the shelf.")],
    warehouse: Warehouse = None,
    note: Note = "",
    yes: Yes = False,
) -> Value:
    """Compare a count with the books; the difference is booked when confirmed."""
    from zenv.ledger import stock

    with commands.opened() as book:
        with book.reading() as sql:
            found = stock.count_difference(sql, sku, warehouse, counted)
        preview = Record(vars(found))
        if found.difference and not commands.confirmed(preview, "Book the difference?", yes):
            return commands.unconfirmed(preview)
        with book.transaction() as t:
            booked = stock.book_count(t, sku, warehouse, counted, note)
    return Done(f"{sku} in {booked.warehouse}: {booked.difference:+} booked, now {booked.counted}.", vars(booked))


@app.command(context_settings=commands.NUMBERS)
def transfer(
    sku: Sku,
    quantity: Quantity,
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="The warehouse that sends.")],
    destination: Annotated[str, typer.Option("--to", metavar="NAME", help="The warehouse that receives.")],
    arrives_now: Annotated[bool, typer.Option("--arrives-now", help="It is there already.")] = False,
) -> Value:
    """Send units to another own warehouse; they are in transit until they arrive."""
    from zenv.ledger import stock

    with commands.writing() as t:
        number = stock.transfer(t, sku, source, destination, quantity, arrives_now)
    arrival = "and arrived" if arrives_now else f"under way; when it is there: zenv stock arrive {number}"
    return Done(f"Transfer {number}: {quantity} x {sku} {arrival}.", {"transfer": number})


@app.command()
def transfers() -> Value:
    """List the transfers that have not arrived."""
    from zenv.ledger import views

    return commands.shown(views.transfers(commands.home()), "Nothing is under way.")


@app.command(context_settings=commands.NUMBERS)
def arrive(
    transfer: Annotated[int, typer.Argument(metavar="TRANSFER", help="Its number, see `zenv stock transfers`.")],
    quantity: Annotated[int | None, typer.Option("--quantity", help="Only so many; all without it.")] = None,
) -> Value:
    """Book that a transfer arrived, whole or in part."""
    from zenv.ledger import stock

    with commands.writing() as t:
        stock.arrive(t, transfer, quantity)
    return Done(f"Transfer {transfer} arrived.", {"transfer": transfer})


@app.command()
def history(
    sku: Sku,
    limit: Annotated[int, typer.Option("--limit", help="The last so many movements.")] = 50,
) -> Value:
    """Show every movement of an item, the latest first."""
    from zenv.ledger import views

    home = commands.home()
    views.item(home, sku)  # an unknown SKU is an error, not an empty history
    table = views.movements(home, sku, limit)
    return commands.shown(table, f"Nothing has moved: zenv stock receive {sku} QUANTITY", "sku")


@app.command()
def why(sku: Sku) -> Value:
    """Explain the numbers of an item: on each shelf, available, offered; each is the sum of its terms."""
    from zenv.ledger import why

    with commands.opened() as book, book.reading() as sql:
        numbers = why.explain(sql, sku)
    rows: list[tuple[str, int, str, str]] = []
    for number in numbers:
        rows += [(number.subject, term.quantity, term.label, term.look_at) for term in number.terms]
        rows.append((number.subject, number.number, "= the sum", ""))
    return Rows(("number", "units", "term", "see"), rows, grouped=True)
