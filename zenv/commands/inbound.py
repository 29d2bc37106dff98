"""`zenv inbound`: goods on their way, from a supplier or another warehouse."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from zenv import commands
from zenv.commands import Done, Record, Value
from zenv.errors import UsageError

app = commands.noun("Goods on their way: purchase orders, and transfers step by step.")

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="Its number, see `zenv inbound list`.")]
Line = Annotated[list[str], typer.Option("--line", metavar="SKU=UNITS", help="What is to come; may be repeated.")]
Source = Annotated[str, typer.Option("--from", metavar="NAME", help="The warehouse that sends.")]
Destination = Annotated[
    str, typer.Option("--to", metavar="NAME", help="The warehouse that receives; it may be one that a provider keeps.")
]
State = Literal["requested", "open", "shipped", "closed", "cancelled"]


@app.command("list")
def list_(
    state: Annotated[
        State | None, typer.Option("--state", help="Only these; without it all that have not ended.")
    ] = None,
) -> Value:
    """List goods on their way, the latest first."""
    from zenv.ledger import views

    table = views.inbounds(commands.home(), state, commands.actor())
    return commands.shown(table, "Nothing is on its way: zenv inbound order, or zenv inbound transfer")


@app.command()
def show(number: Number) -> Value:
    """Show what was to come, what was sent and received, and the difference."""
    from zenv.ledger import views

    home = commands.home()
    fields = views.inbound(home, number)
    return Record(fields, {"lines": commands.shown(views.inbound_lines(home, number), "No lines.", "number", "line")})


@app.command()
def order(
    line: Line,
    warehouse: Annotated[
        str | None,
        typer.Option("--warehouse", metavar="NAME", help="Where it is to arrive; it may be one that a provider keeps."),
    ] = None,
    number: Annotated[str, typer.Option("--number", help="Your number for it; else the next one.")] = "",
    supplier: Annotated[str, typer.Option("--supplier", metavar="NAME", help="Whom it comes from.")] = "",
    expected: Annotated[str | None, typer.Option("--expected", metavar="TIME", help="When it should be here.")] = None,
) -> Value:
    """Order goods from a supplier. A provider that keeps the warehouse learns of it at once."""
    from zenv.ledger import inbounds

    at = commands.moment(expected) if expected else None
    with commands.writing() as t:
        made = inbounds.order(t, warehouse, _lines(line), number, supplier, at)
    told = f"{made} is ordered. When it is there: zenv inbound receive {made} (a provider does that for its warehouse)"
    return Done(told, {"number": made})


@app.command()
def transfer(source: Source, destination: Destination, line: Line) -> Value:
    """Begin a transfer between two warehouses: then allocate, pick, ship and receive it.

    To a provider's warehouse it is announced at once, and the provider receives it. Goods are not sent back from there.
    """
    from zenv.ledger import inbounds

    with commands.writing() as t:
        made = inbounds.transfer(t, source, destination, _lines(line))
    return Done(f"Transfer {made} is begun. Next: zenv inbound allocate {made}", {"number": made})


@app.command()
def request(source: Source, destination: Destination, line: Line) -> Value:
    """Ask for a transfer: it waits on the inbox until somebody allocates it, or cancels it."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        made = inbounds.request(t, source, destination, _lines(line))
    return Done(f"Transfer {made} is requested; it waits on the inbox.", {"number": made})


@app.command()
def allocate(number: Number) -> Value:
    """Set the units of a transfer aside on the shelf they leave from; this accepts one that was requested."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        units = inbounds.allocate(t, number)
    return Done(f"{commands.some(units, 'unit')} set aside. Next: zenv inbound pick {number}", {"units": units})


@app.command()
def pick(number: Number) -> Value:
    """Take what is set aside for a transfer off its shelf."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        units = inbounds.pick(t, number)
    return Done(f"{commands.some(units, 'unit')} picked. Next: zenv inbound ship {number}", {"units": units})


@app.command()
def ship(number: Number) -> Value:
    """Book that a transfer has left; its units are in transit until they are received."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        units = inbounds.ship(t, number)
    return Done(f"{commands.some(units, 'unit')} under way.", {"units": units})


@app.command()
def receive(
    number: Number,
    line: Annotated[
        list[str] | None,
        typer.Option("--line", metavar="SKU=UNITS", help="Only these; may be repeated. All that is missing without."),
    ] = None,
) -> Value:
    """Book what arrived of it; once all has come it is closed. A supplier may bring more than was ordered."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        units = inbounds.receive(t, number, commands.quantities(line, "--line"))
    return Done(f"{commands.some(units, 'unit')} of {number} received.", {"number": number, "units": units})


@app.command()
def complete(number: Number) -> Value:
    """Say that no more of it will come: it is closed with less. What is still in transit is written off."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        missing = inbounds.complete(t, number)
    return Done(f"{number} is closed, {commands.some(missing, 'unit')} short.", {"number": number, "missing": missing})


@app.command()
def cancel(number: Number) -> Value:
    """Call it off before anything of it is under way or was received."""
    from zenv.ledger import inbounds

    with commands.writing() as t:
        inbounds.cancel(t, number)
    return Done(f"{number} is cancelled.", {"number": number})


def _lines(words: list[str]) -> dict[str, int]:
    wanted = commands.quantities(words, "--line")
    if wanted is None:
        raise UsageError("Name what is to come.", "add --line SKU=UNITS")
    return wanted
