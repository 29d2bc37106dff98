"""What must always be true of the books: small checks, run by `zenv doctor` and by the tests alike.

Each answers with findings; none changes anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, text

from zenv.ledger.book import Book


@dataclass(frozen=True)
class Finding:
    """A promise that does not hold, for what, and the command that goes on from there."""

    check: str
    subject: str
    text: str
    command: str


def check_all(book: Book) -> list[Finding]:
    """Every finding of every check, in their order."""
    with book.reading() as sql:
        return [finding for check in CHECKS for finding in check(sql)]


def file_is_sound(sql: Connection) -> list[Finding]:
    """SQLite itself finds nothing wrong with the file, and every row has its parent (I10)."""
    said = sql.exec_driver_sql("PRAGMA integrity_check").scalars().all()
    orphans = sql.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    damaged = [Finding("file", "ledger.db", line, "restore a backup") for line in said if line != "ok"]
    return damaged + [Finding("file", str(row[0]), "a row without its parent", "restore a backup") for row in orphans]


def levels_are_the_fold_of_movements(sql: Connection) -> list[Finding]:
    """I5: every level equals what its movements add up to."""
    return [
        Finding("levels", f"{row.sku} {row.state} in {row.warehouse}",
                f"the level says {row.level}, the movements say {row.folded}", f"zenv stock history {row.sku}")
        for row in sql.execute(text(FOLD))
    ]  # fmt: skip


FOLD = """
WITH told AS (
  SELECT item_id, warehouse_id, 'on_hand' AS state, on_hand AS units FROM level
  UNION ALL SELECT item_id, warehouse_id, 'picked', picked FROM level
  UNION ALL SELECT item_id, warehouse_id, 'in_transit', in_transit FROM level),
folded AS (
  SELECT e.item_id, p.warehouse_id, p.state, SUM(e.change) AS units FROM (
    SELECT item_id, destination_id AS place_id, quantity AS change FROM movement
    UNION ALL SELECT item_id, source_id, -quantity FROM movement) e
  JOIN place p ON p.id = e.place_id
  WHERE p.warehouse_id IS NOT NULL GROUP BY e.item_id, p.warehouse_id, p.state)
SELECT i.sku, w.name AS warehouse, b.state, b.level, b.folded FROM (
  SELECT item_id, warehouse_id, state, SUM(level) AS level, SUM(folded) AS folded FROM (
    SELECT item_id, warehouse_id, state, units AS level, 0 AS folded FROM told
    UNION ALL SELECT item_id, warehouse_id, state, 0, units FROM folded)
  GROUP BY item_id, warehouse_id, state) b
  JOIN item i ON i.id = b.item_id JOIN warehouse w ON w.id = b.warehouse_id WHERE b.level <> b.folded
"""


def nothing_is_reserved_twice(sql: Connection) -> list[Finding]:
    """I6: unpicked reservations fit on their shelf, picked ones are in the picker's hands."""
    return [
        Finding(
            "reservations", row.sku, f"{row.reserved} units reserved, {row.there} there", f"zenv items why {row.sku}"
        )
        for query in (RESERVED, PICKED)
        for row in sql.execute(text(query))
    ]


RESERVED = """
SELECT i.sku, r.units AS reserved, COALESCE(l.on_hand, 0) AS there
  FROM (SELECT item_id, warehouse_id, SUM(quantity - picked) AS units FROM reservation GROUP BY item_id, warehouse_id) r
  JOIN item i ON i.id = r.item_id
  LEFT JOIN level l ON l.item_id = r.item_id AND l.warehouse_id = r.warehouse_id
 WHERE r.units > COALESCE(l.on_hand, 0)
"""

PICKED = """
SELECT i.sku, COALESCE(r.units, 0) AS reserved, l.picked AS there
  FROM level l
  JOIN item i ON i.id = l.item_id
  LEFT JOIN (SELECT item_id, warehouse_id, SUM(picked) AS units FROM reservation GROUP BY item_id, warehouse_id) r
    ON r.item_id = l.item_id AND r.warehouse_id = l.warehouse_id
 WHERE COALESCE(r.units, 0) <> l.picked
"""


def reservations_belong_to_open_lines(sql: Connection) -> list[Finding]:
    """A line holds no more than it still needs."""
    return [
        Finding("reservations", row.number, f"{row.reserved} units reserved for {row.open} open",
                f"zenv orders show {row.number}")
        for row in sql.execute(text(OVERHELD))
    ]  # fmt: skip


OVERHELD = """
SELECT o.number, r.quantity AS reserved, ol.quantity - ol.cancelled - ol.shipped AS open
  FROM reservation r JOIN order_line ol ON ol.id = r.line_id JOIN customer_order o ON o.id = ol.order_id
 WHERE r.quantity > ol.quantity - ol.cancelled - ol.shipped OR o.state IN ('completed', 'cancelled')
    OR r.item_id <> ol.item_id
"""


def shipped_counts_are_their_packages(sql: Connection) -> list[Finding]:
    """What a line says left since we keep its stock is what its packages hold."""
    return [
        Finding("shipments", row.number, f"{row.shipped} units shipped, {row.packed} in packages",
                f"zenv orders show {row.number}")
        for row in sql.execute(text(PACKED))
    ]  # fmt: skip


PACKED = """
SELECT o.number, ol.shipped, COALESCE(SUM(sl.quantity), 0) AS packed
  FROM order_line ol JOIN customer_order o ON o.id = ol.order_id
  LEFT JOIN shipment_line sl ON sl.line_id = ol.id
 GROUP BY ol.id
HAVING packed > ol.shipped
"""


def states_follow_lines(sql: Connection) -> list[Finding]:
    """An order is open exactly while one of its lines is."""
    return [
        Finding("orders", row.number, f"the order is {row.state} with {row.open} units open",
                f"zenv orders show {row.number}")
        for row in sql.execute(text(STATES))
    ]  # fmt: skip


STATES = """
SELECT o.number, o.state, SUM(ol.quantity - ol.cancelled - ol.shipped) AS open
  FROM customer_order o JOIN order_line ol ON ol.order_id = o.id
 GROUP BY o.id
HAVING (open > 0) <> (o.state IN ('pending', 'ready', 'part_shipped'))
"""

CHECKS: tuple[Callable[[Connection], list[Finding]], ...] = (
    file_is_sound,
    levels_are_the_fold_of_movements,
    nothing_is_reserved_twice,
    reservations_belong_to_open_lines,
    shipped_counts_are_their_packages,
    states_follow_lines,
)
