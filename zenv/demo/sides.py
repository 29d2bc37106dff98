"""What the ledger says beside what the simulated Amazon saw, line by line: the two are counted independently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zenv.ledger import views
from zenv.simulators.amazon import AmazonSimulator

ALL = 1_000_000
STATES = {"pending": "PENDING", "ready": "UNSHIPPED", "shipped": "SHIPPED", "cancelled": "CANCELLED"}


@dataclass(frozen=True)
class Side:
    """One line of the closing table."""

    what: str
    ledger: int
    amazon: int


def differing(sides: Sequence[Side]) -> list[Side]:
    """The lines on which the two do not agree."""
    return [side for side in sides if side.ledger != side.amazon]


def compare(home: Path, sim: AmazonSimulator, levels_sent: int) -> list[Side]:
    """Every line of the closing table. `levels_sent` is how many stock levels the runs say they have sent."""
    return [*_listings(home, sim), *_orders(home, sim), *_told(home, sim, levels_sent), _persons(home, sim)]


def _listings(home: Path, sim: AmazonSimulator) -> list[Side]:
    listings = views.listings(home, limit=ALL)
    items = _by_sku(views.items(home, limit=ALL))
    sold = [listing for listing in sim.listings.values() if listing.quantity is not None]
    agreeing = sum(items.get(listing.sku, {}).get("available") == listing.quantity for listing in sold)
    return [
        Side("listings", len(listings.rows), len(sim.listings)),
        Side("variations of another item", sum(bool(item["parent"]) for item in items.values()),
             sum(bool(listing.parent_sku) for listing in sim.listings.values())),
        Side("units for sale", sum(int(str(items[listing.sku]["available"])) for listing in sold),
             sum(listing.quantity or 0 for listing in sold)),
        Side("listings that show the ledger's quantity", agreeing, len(sold)),
    ]  # fmt: skip


def _by_sku(table: views.Table) -> dict[str, dict[str, object]]:
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {str(row["sku"]): row for row in rows}


def _orders(home: Path, sim: AmazonSimulator) -> list[Side]:
    found = views.orders(home, limit=ALL)
    state, units = found.columns.index("state"), found.columns.index("units")
    ours = Counter(row[state] for row in found.rows)
    theirs = Counter(order.status for order in sim.orders.values())
    return [
        Side("orders", len(found.rows), len(sim.orders)),
        Side("units ordered", sum(row[units] for row in found.rows),
             sum(line.quantity for order in sim.orders.values() for line in order.lines)),
        *(Side(f"orders {here}", ours[here], theirs[there]) for here, there in STATES.items()),
    ]  # fmt: skip


def _told(home: Path, sim: AmazonSimulator, levels_sent: int) -> list[Side]:
    packages = views.rows(home, "SELECT COUNT(*) FROM shipments WHERE told = 'confirmed'").rows[0][0]
    cancelled = views.rows(home, "SELECT COUNT(*) FROM orders WHERE state = 'cancelled'").rows[0][0]
    patches = sum(seen.operation == "patchListingsItem" and seen.status == 200 for seen in sim.requests)
    by_seller = sum(cancellation.by == "MERCHANT" for cancellation in sim.cancellations)
    return [
        Side("packages confirmed", packages, len(sim.confirmations)),
        Side("cancellations carried out", cancelled, by_seller),
        Side("stock levels sent", levels_sent, patches),
        Side("quantities set on items Amazon ships itself", 0, len(sim.channel_accidents)),
        Side("requests against Amazon's rules", 0, len(sim.violations)),
    ]


def _persons(home: Path, sim: AmazonSimulator) -> Side:
    told = {
        seen.path for seen in sim.requests
        if seen.operation == "getOrder" and seen.status == 200 and "RECIPIENT" in str(seen.query)
    }  # fmt: skip
    sealed = views.rows(home, "SELECT COUNT(*) FROM personal").rows[0][0]
    return Side("recipients fetched, sealed", sealed, len(told))


def readable_names(home: Path, sim: AmazonSimulator) -> Side:
    """How many of the recipients' names can be read in the files of the ledger, which must be closed by now:
    opening a SQLite file of a process by other means drops its locks."""
    content = b"".join(path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file())
    names = {str(order.recipient["name"]) for order in sim.orders.values()}
    return Side("recipients' names readable in the files", sum(name.encode() in content for name in names), 0)
