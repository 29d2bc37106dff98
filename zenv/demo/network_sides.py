"""What the client's ledger says beside what the provider's says and what the simulated Amazon saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zenv.ledger import views
from zenv.simulators.amazon import AmazonSimulator


@dataclass(frozen=True)
class Line:
    """One line of the closing table; None is what a side has no business with."""

    what: str
    client: int | None
    provider: int | None
    amazon: int | None

    @property
    def agrees(self) -> bool:
        """Whether all who know of it say the same."""
        return len({said for said in (self.client, self.provider, self.amazon) if said is not None}) == 1


BOTH = {
    "items of the client": (
        "SELECT COUNT(*) FROM listings WHERE connection = 'Depot' AND item IS NOT NULL",
        "SELECT COUNT(*) FROM items WHERE client IS NOT NULL",
    ),
    "units on the provider's shelves": (
        "SELECT SUM(on_hand) FROM levels WHERE warehouse = 'Depot'",
        "SELECT SUM(on_hand) FROM levels",
    ),
    "units received there": (
        "SELECT SUM(received) FROM inbounds WHERE destination = 'Depot'",
        "SELECT SUM(received) FROM inbounds",
    ),
    "orders the provider ships": (
        "SELECT (SELECT COUNT(*) FROM handovers) + (SELECT COUNT(*) FROM orders WHERE connection = 'Depot')",
        "SELECT COUNT(*) FROM orders",
    ),
    "units it has shipped": (
        "SELECT SUM(units) FROM shipments WHERE warehouse = 'Depot'",
        "SELECT SUM(units) FROM shipments",
    ),
    "entries of the journal": ("SELECT COUNT(*) FROM mirrored", "SELECT COUNT(*) FROM client_journal"),
    "recipients it knows, sealed": (
        "SELECT COUNT(*) FROM personal p JOIN fulfilment f ON f.order_id = p.order_id",
        "SELECT COUNT(*) FROM personal",
    ),
}
"""What the client and the provider each know, as a question to either."""

PRICES = "SELECT COUNT(*) FROM order_lines WHERE price IS NOT NULL OR tax IS NOT NULL"
FOR_SALE = "SELECT SUM(available) FROM items WHERE sku IN (SELECT sku FROM listings WHERE connection = 'amazon-us')"


def compare(provider: Path, client: Path, sim: AmazonSimulator) -> list[Line]:
    """The lines of the closing table; `provider` and `client` are homes."""
    both = [Line(what, _count(client, here), _count(provider, there), None) for what, (here, there) in BOTH.items()]
    tracking = {str(row[0]) for row in views.rows(provider, "SELECT tracking FROM shipments").rows}
    from_there = views.rows(provider, "SELECT COUNT(*) FROM shipments WHERE number LIKE 'CO-%'").rows[0][0]
    confirmed = sum(seen.tracking in tracking for seen in sim.confirmations)
    sold = [listing.quantity or 0 for listing in sim.listings.values() if listing.quantity is not None]
    orders = "SELECT COUNT(*) FROM orders WHERE connection = 'amazon-us'"
    shipped = sum(order.status == "SHIPPED" for order in sim.orders.values())
    return [
        *both,
        Line("prices the provider knows", 0, _count(provider, PRICES), None),
        Line("orders on Amazon", _count(client, orders), None, len(sim.orders)),
        Line("shipped", _count(client, f"{orders} AND state = 'shipped'"), None, shipped),
        Line("packages confirmed with the provider's tracking number",
             _count(client, "SELECT COUNT(*) FROM shipments WHERE told = 'confirmed'"), from_there, confirmed),
        Line("units for sale, on both shelves together", _count(client, FOR_SALE), None, sum(sold)),
        Line("requests against Amazon's rules", 0, None, len(sim.violations)),
    ]  # fmt: skip


def _count(home: Path, question: str) -> int:
    return int(views.rows(home, question).rows[0][0] or 0)


def readable_names(provider: Path, client: Path, sim: AmazonSimulator) -> Line:
    """How many recipients' names can be read in the files of either ledger, which must be closed by now."""
    names = {str(order.recipient["name"]).encode() for order in sim.orders.values()}
    return Line("recipients' names readable in the files", _readable(client, names), _readable(provider, names), 0)


def _readable(home: Path, names: set[bytes]) -> int:
    content = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    return sum(name in content for name in names)
