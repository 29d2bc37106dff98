"""`zenv zfn ...`, the client's half: our link to a provider that keeps a warehouse for us."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from zenv import commands
from zenv.commands import Done, Value
from zenv.errors import NeedsAttention

Warehouse = Annotated[str, typer.Argument(metavar="WAREHOUSE", help="The warehouse that the provider keeps.")]


def register(app: typer.Typer) -> None:
    """Add the client's verbs to the noun."""
    for verb in (request, reimport, compare, rotate, disconnect):
        app.command()(verb)


def request(
    warehouse: Annotated[
        str, typer.Option("--warehouse", metavar="NAME", help="A saved warehouse, not yet connected.")
    ],
    code: Annotated[str, typer.Option("--code", metavar="CODE", help="The provider's company code, zfn:HOST:PORT/...")],
) -> Value:
    """Ask a provider to keep a warehouse for you (client).

    First save the warehouse: `zenv warehouses add NAME --provider zfn`. The provider sees who asks (`--as USER`) and
    decides; the outcome shows with the next `zenv sync now NAME`. Compare the fingerprint with the provider's, by
    telephone for instance: both show the same.
    """
    from zenv import joining

    with commands.opened() as book:
        asked = joining.request(book, warehouse, code)
    waits = "has the request" if asked.told else "could not be reached and is told the request when it answers"
    return Done(
        f"{asked.provider} {waits}. Fingerprint: {asked.fingerprint}",
        {"warehouse": warehouse, "provider": asked.provider, "fingerprint": asked.fingerprint, "told": asked.told},
    )


def reimport(warehouse: Warehouse, wait: commands.Wait = None) -> Value:
    """Link all items anew to what the provider calls them, and take its quantities (client).

    The same as `reimport-items` of `zenv warehouses`: no item is made, what has no counterpart is named.
    """
    from zenv.commands import warehouses

    return warehouses.reimport_items(warehouse, wait)


def compare(warehouse: Warehouse) -> Value:
    """Hold the books against the provider's journal, and name the first entry that differs (client).

    It asks and changes nothing. Exit code 80: something differs.
    """
    from zenv import comparing, output
    from zenv.ledger.invariants import Finding

    with commands.opened() as book, output.progress(warehouse, commands.manner()) as follow:
        found = comparing.compare_provider(book, warehouse, progress=follow)
    shown = commands.rows_of(found, Finding, "Both tell the same story.")
    if found:
        said = f"The books and the provider's differ in {commands.some(len(found), 'place')}; nothing was changed."
        shown = replace(shown, trouble=NeedsAttention(said, found[0].command))
    return commands.quietly(shown)


def rotate(warehouse: Warehouse) -> Value:
    """Show the provider a new token; the old one stays good for a day (client)."""
    from zenv import joining

    with commands.opened() as book:
        provider = joining.rotate(book, warehouse)
    return Done(f"{provider} knows {warehouse} by a new token.", {"warehouse": warehouse, "provider": provider})


def disconnect(warehouse: Warehouse) -> Value:
    """End the connection of a warehouse that holds nothing any more (client).

    Refused with what is left while units are on hand, picked or in transit there, or orders are with the provider.
    Afterwards `zenv warehouses deactivate WAREHOUSE` closes the warehouse and tells the provider.
    """
    from zenv import joining

    with commands.opened() as book:
        provider = joining.disconnect(book, warehouse)
    return Done(
        f"{warehouse} is disconnected from {provider}. Next: zenv warehouses deactivate {warehouse!r}",
        {"warehouse": warehouse, "provider": provider},
    )
