"""What a client or a provider does in the kill sweep of the network. Each deed can be given again after it broke off,
as a person would give the command again, or as the next run comes by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from zenv import housekeeping, joining, sync
from zenv.connectors.base import World
from zenv.ledger import inbounds, orders
from zenv.ledger.book import Book
from zenv.ledger.zfn import clients, links

DEPOT = "Depot"
Deed = Callable[[Book, World, str], None]


def rows(book: Book, query: str, *values: object) -> list[tuple[object, ...]]:
    """Ask the ledger itself."""
    with book.reading() as sql:
        return [tuple(row) for row in sql.exec_driver_sql(query, values)]


def run(book: Book, world: World, connection: str, task: str) -> None:
    """A run that must end well."""
    result = sync.run(book, connection, task, world)
    if result.error is not None:
        raise result.error
    assert result.outcome in ("ok", "partial"), result  # partial: a wish was refused


# ---- the client's ----------------------------------------------------------------------------------------


def ask(book: Book, world: World, code: str) -> None:
    """Ask to become a client, and see it told."""
    if rows(book, "SELECT 1 FROM link WHERE state = 'linked'"):
        return
    asked = joining.request(book, DEPOT, code, world)
    if not asked.told:
        run(book, world, DEPOT, "handover")


def hear(book: Book, world: World, _: str) -> None:
    """A run: how the link stands, what the provider has to tell, what it did, and what is owed to it."""
    run(book, world, DEPOT, "provider")


def tell(book: Book, world: World, _: str) -> None:
    """Tell what is owed."""
    run(book, world, DEPOT, "handover")


def hear_and_confirm(book: Book, world: World, _: str) -> None:
    """What the provider shipped, and Amazon is told of it."""
    run(book, world, DEPOT, "provider")
    run(book, world, "a", "shipments")


def rotate(book: Book, world: World, _: str) -> None:
    """A new token."""
    joining.rotate(book, DEPOT, world)


def part(book: Book, world: World, _: str) -> None:
    """End the connection, close the warehouse, say farewell: from where it was left."""
    ((state,),) = rows(book, "SELECT state FROM link")
    if state == "linked":
        joining.disconnect(book, DEPOT, world)
        state = "disconnected"
    if state == "disconnected":
        with book.transaction() as t:
            links.deactivate_warehouse(t, DEPOT)
        state = "deactivated"
    if state == "deactivated":
        run(book, world, DEPOT, "handover")
    housekeeping.CHORES["history"].do(book)


# ---- the provider's --------------------------------------------------------------------------------------


def accept(book: Book, *_: object) -> None:
    """Accept the request that waits, if it still does."""
    with book.transaction() as t:
        for waiting in clients.review(t):
            clients.accept(t, waiting.request, "clerk", True, None)


def ship(book: Book, *_: object) -> None:
    """Pick and ship the client's orders: the first in one parcel, the others in two."""
    first, *others = sorted(str(number) for (number,) in rows(book, "SELECT number FROM customer_order"))
    _ship(book, first, [orders.NewPackage("UPS", f"1Z-{first}")])
    for number in others:
        ((sku,),) = rows(book, "SELECT l.sku FROM order_line l JOIN customer_order o ON o.id = l.order_id"
                               " WHERE o.number = ?", number)  # fmt: skip
        _ship(book, number, [orders.NewPackage("UPS", f"1Z-{number}-{half}", lines={str(sku): 1}) for half in (1, 2)])


def _ship(book: Book, number: str, packages: list[orders.NewPackage]) -> None:
    if rows(book, "SELECT 1 FROM shipment s JOIN customer_order o ON o.id = s.order_id WHERE o.number = ?", number):
        return
    if not rows(book, "SELECT 1 FROM reservation r JOIN order_line l ON l.id = r.line_id JOIN customer_order o"
                      " ON o.id = l.order_id WHERE o.number = ? AND r.picked > 0", number):  # fmt: skip
        with book.transaction() as t:
            orders.pick(t, number)
    with book.transaction() as t:
        orders.ship(t, number, packages)


def receive(book: Book, *_: object) -> None:
    """Take in the goods that were announced."""
    for (number,) in rows(book, "SELECT number FROM inbound WHERE state NOT IN ('closed', 'cancelled')"):
        with book.transaction() as t:
            inbounds.receive(t, str(number))


BY_NAME: dict[str, Deed] = {
    deed.__name__: deed
    for deed in (ask, hear, tell, hear_and_confirm, rotate, part, accept, ship, receive)
}  # fmt: skip

A_DAY = timedelta(days=1).total_seconds()
