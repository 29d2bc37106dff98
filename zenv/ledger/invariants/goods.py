"""Stock and what is set aside of it."""

from __future__ import annotations

from datetime import datetime
from shlex import quote

from sqlalchemy import Connection, text

from zenv.ledger.invariants.finding import Finding, mend


def levels_are_the_fold_of_movements(sql: Connection, _: datetime) -> list[Finding]:
    """I5: every level equals what its movements add up to."""
    return [
        Finding("levels", f"{row.sku} {row.state} in {row.warehouse}",
                f"the level says {row.level}, the movements say {row.folded}", mend("levels"))
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
SELECT i.sku, w.name AS warehouse, b.item_id, b.warehouse_id, b.state, b.level, b.folded FROM (
  SELECT item_id, warehouse_id, state, SUM(level) AS level, SUM(folded) AS folded FROM (
    SELECT item_id, warehouse_id, state, units AS level, 0 AS folded FROM told
    UNION ALL SELECT item_id, warehouse_id, state, 0, units FROM folded)
  GROUP BY item_id, warehouse_id, state) b
  JOIN item i ON i.id = b.item_id JOIN warehouse w ON w.id = b.warehouse_id WHERE b.level <> b.folded
"""


def transfers_are_their_movements(sql: Connection, _: datetime) -> list[Finding]:
    """I5: of each transfer as many units left and arrived as its movements say."""
    return [
        Finding("transfers", f"transfer {row.id}",
                f"it says {row.arrived} of {row.quantity} arrived, the movements say {row.came} of {row.went}",
                mend("transfers"))
        for row in sql.execute(text(TRANSFERRED))
    ]  # fmt: skip


TRANSFERRED = """
SELECT t.id, t.quantity, t.arrived,
       COALESCE(SUM(CASE WHEN m.reason = 'transferred' THEN m.quantity END), 0) AS went,
       COALESCE(SUM(CASE WHEN m.reason = 'arrived' THEN m.quantity END), 0) AS came
  FROM transfer t
  LEFT JOIN movement m ON m.reference = 'transfer ' || t.id AND m.item_id = t.item_id
                      AND m.reason IN ('transferred', 'arrived')
 GROUP BY t.id
HAVING went <> t.quantity OR came <> t.arrived
"""


def inbound_lines_are_their_movements(sql: Connection, _: datetime) -> list[Finding]:
    """I5: of each inbound as much was picked, sent and received as its movements say."""
    return [
        Finding("inbounds", f"inbound {row.number}",
                f"of {row.sku} it says {row.picked} picked, {row.sent} sent, {row.received} received, the movements say"
                f" {row.in_hands}, {row.gone}, {row.came}", mend("inbounds"))
        for row in sql.execute(text(INBOUND))
    ]  # fmt: skip


# What a provider received of our transfer while the books had none of it here came from outside, and counts as sent.
INBOUND = """
WITH line AS (
  SELECT inbound_id, item_id, MIN(sku) AS sku, SUM(quantity) AS quantity, SUM(picked) AS picked, SUM(sent) AS sent,
         SUM(received) AS received
    FROM inbound_line WHERE item_id IS NOT NULL GROUP BY inbound_id, item_id),
moved AS (
  SELECT b.id AS inbound_id, m.item_id,
         SUM(CASE WHEN d.warehouse_id = b.source_id AND d.state = 'picked' THEN m.quantity
                  WHEN s.warehouse_id = b.source_id AND s.state = 'picked' THEN -m.quantity ELSE 0 END) AS in_hands,
         SUM(CASE WHEN d.warehouse_id = b.destination_id AND (s.warehouse_id = b.source_id OR s.state = 'supplier')
                  THEN m.quantity ELSE 0 END) AS gone,
         SUM(CASE WHEN d.warehouse_id = b.destination_id AND d.state = 'on_hand'
                  THEN m.quantity ELSE 0 END) AS came
    FROM inbound b JOIN movement m ON m.reference = b.number AND m.reason <> 'counted'
    JOIN place s ON s.id = m.source_id JOIN place d ON d.id = m.destination_id
   GROUP BY b.id, m.item_id)
SELECT b.id, b.number, line.item_id, line.sku, b.source_id, line.picked, line.sent, line.received,
       COALESCE(in_hands, 0) AS in_hands, COALESCE(came, 0) AS came,
       CASE WHEN b.source_id IS NULL THEN line.sent ELSE MIN(line.quantity, COALESCE(gone, 0)) END AS gone
  FROM line JOIN inbound b ON b.id = line.inbound_id
  LEFT JOIN moved ON moved.inbound_id = b.id AND moved.item_id = line.item_id
 WHERE (line.picked <> COALESCE(in_hands, 0) OR line.received <> COALESCE(came, 0)
        OR (b.source_id IS NOT NULL AND line.sent <> MIN(line.quantity, COALESCE(gone, 0))))
   AND b.number NOT IN (SELECT number FROM customer_order)
"""


def nothing_is_reserved_twice(sql: Connection, _: datetime) -> list[Finding]:
    """I6: what is set aside for orders and transfers fits on its shelf, what was picked is in the picker's hands. A
    provider's hands may hold more: what nobody wants any more, until it has put that back."""
    return [
        Finding("reservations", row.sku, f"{row.reserved} units reserved, {row.there} there", mend("reservations"))
        for query in (RESERVED, PICKED)
        for row in sql.execute(text(query))
    ]


RESERVED = """
SELECT r.item_id, r.warehouse_id, i.sku, r.units AS reserved, COALESCE(l.on_hand, 0) AS there
  FROM (SELECT item_id, warehouse_id, SUM(units) AS units FROM (
          SELECT item_id, warehouse_id, quantity - picked AS units FROM reservation
          UNION ALL SELECT n.item_id, b.source_id, n.allocated FROM inbound_line n JOIN inbound b ON b.id = n.inbound_id
                     WHERE n.allocated > 0)
         GROUP BY item_id, warehouse_id) r
  JOIN item i ON i.id = r.item_id
  LEFT JOIN level l ON l.item_id = r.item_id AND l.warehouse_id = r.warehouse_id
 WHERE r.units > COALESCE(l.on_hand, 0)
"""

PICKED = """
SELECT s.item_id, s.warehouse_id, i.sku, SUM(s.reserved) AS reserved, SUM(s.there) AS there
  FROM (SELECT item_id, warehouse_id, picked AS reserved, 0 AS there FROM reservation
        UNION ALL SELECT n.item_id, b.source_id, n.picked, 0 FROM inbound_line n JOIN inbound b ON b.id = n.inbound_id
                   WHERE n.picked > 0
        UNION ALL SELECT item_id, warehouse_id, 0, picked FROM level) s
  JOIN item i ON i.id = s.item_id JOIN warehouse w ON w.id = s.warehouse_id
 GROUP BY s.item_id, s.warehouse_id
HAVING SUM(s.reserved) > SUM(s.there) OR (w.kind = 'own' AND SUM(s.reserved) < SUM(s.there))
"""


def reservations_belong_to_open_lines(sql: Connection, _: datetime) -> list[Finding]:
    """I6: a line holds no more than it still needs, and of its own item."""
    return [
        Finding("reservations", row.number, f"{row.reserved} units reserved for {row.open} open", mend("reservations"))
        for row in sql.execute(text(OVERHELD))
    ]


OVERHELD = """
SELECT r.item_id, r.warehouse_id, o.number, r.quantity AS reserved, ol.quantity - ol.cancelled - ol.shipped AS open
  FROM reservation r JOIN order_line ol ON ol.id = r.line_id JOIN customer_order o ON o.id = ol.order_id
 WHERE r.quantity > ol.quantity - ol.cancelled - ol.shipped OR o.state IN ('completed', 'cancelled')
    OR ol.item_id IS NULL OR r.item_id <> ol.item_id
"""


def begun_lines_get_their_rest(sql: Connection, _: datetime) -> list[Finding]:
    """I6: a line that is filled in part waits only for what is not free on its shelf."""
    return [
        Finding("reservations", row.number, f"a line waits for {row.missing} units while {row.free} are free",
                mend("reservations"))
        for row in sql.execute(text(HALF_FILLED))
    ]  # fmt: skip


HALF_FILLED = """
SELECT r.item_id, o.number, ol.quantity - ol.cancelled - ol.shipped - r.quantity AS missing, l.on_hand - u.units AS free
  FROM reservation r
  JOIN order_line ol ON ol.id = r.line_id JOIN customer_order o ON o.id = ol.order_id
  JOIN level l ON l.item_id = r.item_id AND l.warehouse_id = r.warehouse_id
  JOIN (SELECT item_id, warehouse_id, SUM(units) AS units FROM (
          SELECT item_id, warehouse_id, quantity - picked AS units FROM reservation
          UNION ALL SELECT n.item_id, b.source_id, n.allocated FROM inbound_line n JOIN inbound b ON b.id = n.inbound_id
                     WHERE n.allocated > 0)
         GROUP BY item_id, warehouse_id) u
    ON u.item_id = r.item_id AND u.warehouse_id = r.warehouse_id
 WHERE r.quantity < ol.quantity - ol.cancelled - ol.shipped AND o.state IN ('pending', 'ready', 'part_shipped')
   AND o.fulfilled_by = 'merchant' AND free >= missing
"""


def provider_warehouses_are_shared(sql: Connection, _: datetime) -> list[Finding]:
    """Z44: all users see a warehouse that a provider keeps, and can request transfers to it."""
    hidden = "SELECT name FROM warehouse WHERE kind = 'zfn' AND active AND NOT shared ORDER BY name"
    return [
        Finding("shared", name, "not all users can view or request transfers from it, and a provider keeps it",
                f"zenv warehouses edit {quote(name)} --shared")
        for name in sql.execute(text(hidden)).scalars()
    ]  # fmt: skip
