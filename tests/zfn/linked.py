"""A client's ledger whose warehouse `Depot` a provider keeps, without the provider: what it would say is handed in.

The link is written as `zfn.links` leaves it once a provider has accepted; tests of linking itself are elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests import books
from zenv import wire
from zenv.facts import ListingFact
from zenv.ledger import connections, listing_facts, stock
from zenv.ledger.book import Book
from zenv.ledger.models import Link
from zenv.ledger.transaction import row
from zenv.ledger.zfn import replay

DEPOT, PROVIDER = "Depot", "Fulfil Ltd"


def link(book: Book, *skus: str) -> int:
    """Have a provider keep the warehouse `Depot`, which it knows these items of; the connection."""
    with book.transaction() as t:
        warehouse = stock.add_warehouse(t, DEPOT, kind="zfn")
        new = connections.NewConnection(
            name=DEPOT, kind="zfn", external_id="provider", region="-", marketplaces=("-",), home_marketplace="-",
            warehouses=("Main",), consent_scope="link", adopt_new=True,
        )  # fmt: skip
        number = connections.add(t, new, {"token": "made-up"}, book.master_key())
        connections.enable(t, DEPOT)
        t.insert(Link, [row(Link, connection_id=number, warehouse_id=warehouse, state="linked", provider=PROVIDER,
                            user_name="tester", fingerprint="1", asked_at=t.now)])  # fmt: skip
    share(book, number, *skus)
    return number


def share(book: Book, connection: int, *skus: str) -> None:
    """The provider has these items."""
    with book.transaction() as t:
        facts = [ListingFact(sku, name=sku, fulfilled_by="channel") for sku in skus]
        listing_facts.record_listings(t, connection, facts)


class Journal:
    """What the provider books of our goods, entry by entry."""

    def __init__(self, book: Book, connection: int) -> None:
        self.book, self.connection, self.entries = book, connection, 0

    def booked(self, *moved: tuple[str, int, str, str, str], order: str | None = None, inbound: str | None = None,
               packages: Sequence[wire.Package] = ()) -> None:  # fmt: skip
        """One transaction of the provider's: (SKU, units, source, destination, reason) each."""
        movements = []
        for sku, quantity, source, destination, reason in moved:
            self.entries += 1
            movements.append(wire.Moved(entry=self.entries, sku=sku, quantity=quantity, source=source,  # type: ignore[arg-type]
                                        destination=destination, reason=reason, order=order, inbound=inbound))  # type: ignore[arg-type]  # fmt: skip
        said = wire.Booked(at=self.book.clock(), movements=movements, packages=list(packages))
        with self.book.transaction() as t:
            replay.record(t, self.connection, said)

    def received(self, sku: str, quantity: int, inbound: str | None = None) -> None:
        """Goods arrive at the provider."""
        self.booked((sku, quantity, "supplier", "on_hand", "received"), inbound=inbound)

    def picked(self, order: str, **units: int) -> None:
        """Units are taken off the provider's shelves for an order."""
        self.booked(*((sku, n, "on_hand", "picked", "picked") for sku, n in units.items()), order=f"c:{order}")

    def shipped(self, order: str, tracking: str = "T1", source: str = "picked", reference: str = "1",
                **lines: tuple[str, int]) -> None:  # fmt: skip
        """A package leaves: line -> (SKU, units)."""
        package = wire.Package(
            order=f"c:{order}", reference=reference, carrier="UPS", service="", tracking=tracking,
            shipped_at=self.book.clock() - timedelta(minutes=1),
            lines=[wire.Packed(line=line.removeprefix("l"), quantity=n) for line, (_, n) in lines.items()],
        )  # fmt: skip
        moved = [(sku, n, source, "customer", "shipped") for sku, n in lines.values()]
        self.booked(*moved, order=f"c:{order}", packages=[package])


def handed(book: Book, connection: int, outcome: Any = "done", **about: Any) -> wire.HandedOrder:
    """Tell the only order that is owed; the provider answers (by default it takes it). What was told."""
    (message,) = books.send(book, connection, "order", outcome, **({"remote_ref": "CO-1-X"} | about))
    order: wire.HandedOrder = message.order
    return order


def state(book: Book, number: str) -> tuple[Any, ...]:
    """(state, version, told, has a wish) of an order's fulfilment; nothing where no provider ships it."""
    found = books.ask(book, "SELECT f.state, f.version, f.told, f.wish <> '' FROM fulfilment f"
                            " JOIN customer_order o ON o.id = f.order_id"
                            " WHERE o.number = ? AND f.state <> 'recalled'", number)  # fmt: skip
    return tuple(found[0]) if found else ()
