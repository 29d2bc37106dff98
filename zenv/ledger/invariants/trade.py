"""Orders, packages, and what the channels are owed to be told of them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, text

from zenv.ledger.invariants.finding import Finding, mend


def states_follow_lines(sql: Connection, _: datetime) -> list[Finding]:
    """An order is open exactly while one of its lines is, and part shipped or shipped only if something left."""
    return [
        Finding("orders", row.number, f"the order is {row.state} with {row.open} units open and {row.shipped} shipped",
                mend("orders"))
        for row in sql.execute(text(STATES))
    ]  # fmt: skip


STATES = """
SELECT id, number, state, open, gone AS shipped
  FROM (SELECT o.id, o.number, o.state, SUM(ol.quantity - ol.cancelled - ol.shipped) AS open, SUM(ol.shipped) AS gone
          FROM customer_order o JOIN order_line ol ON ol.order_id = o.id GROUP BY o.id)
 WHERE state <> CASE WHEN open > 0 AND gone > 0 THEN 'part_shipped'
                     WHEN open > 0 THEN CASE state WHEN 'pending' THEN 'pending' ELSE 'ready' END
                     WHEN gone > 0 THEN CASE state WHEN 'completed' THEN 'completed' ELSE 'shipped' END
                     ELSE 'cancelled' END
"""


def shipped_counts_are_their_packages(sql: Connection, _: datetime) -> list[Finding]:
    """What a line says left is what its packages hold; of orders older than the books there may be no package."""
    return [
        Finding("shipments", row.number, f"{row.shipped} units shipped, {row.packed} in packages", mend("shipments"))
        for row in sql.execute(text(PACKED))
    ]


PACKED = """
SELECT o.id AS order_id, o.number, ol.id AS line_id, ol.item_id, ol.shipped, COALESCE(SUM(sl.quantity), 0) AS packed
  FROM order_line ol JOIN customer_order o ON o.id = ol.order_id
  LEFT JOIN connection c ON c.id = o.connection_id
  LEFT JOIN shipment_line sl ON sl.line_id = ol.id
 GROUP BY ol.id
HAVING packed > ol.shipped
    OR (packed < ol.shipped
        AND (c.id IS NULL OR o.placed_at >= MAX(c.created_at, COALESCE(c.opened_at, c.created_at))))
"""


def packages_hold_lines_of_their_own_order(sql: Connection, _: datetime) -> list[Finding]:
    """A package holds nothing of another order."""
    return [
        Finding("shipments", row.number, f"package {row.reference} holds a line of another order", mend("shipments"))
        for row in sql.execute(text(FOREIGN_LINES))
    ]


FOREIGN_LINES = """
SELECT o.number, s.reference, sl.shipment_id, sl.line_id
  FROM shipment_line sl JOIN shipment s ON s.id = sl.shipment_id JOIN customer_order o ON o.id = s.order_id
  JOIN order_line ol ON ol.id = sl.line_id
 WHERE ol.order_id <> s.order_id
"""


def every_package_is_told_or_owed(sql: Connection, _: datetime) -> list[Finding]:
    """I4: a package of a channel's order that the channel has not confirmed is owed to be told, and so is a
    cancellation that was asked for; what was said of an order that a provider ships is told to it or owed. One shipped
    elsewhere was seen at the channel, and so is confirmed."""
    return [
        Finding("messages", row.subject_name, f"the channel is not owed this {row.kind}, so it would never be told",
                mend("messages"))
        for row in sql.execute(text(UNTOLD))
    ]  # fmt: skip


UNTOLD = """
SELECT 'shipment' AS kind, o.connection_id, s.id AS subject, o.number || '/' || s.reference AS subject_name
  FROM shipment s JOIN customer_order o ON o.id = s.order_id JOIN connection c ON c.id = o.connection_id
 WHERE c.kind NOT IN ('zfn', 'zfn_client') AND s.confirmed_at IS NULL
   AND (s.elsewhere OR NOT EXISTS (SELECT 1 FROM message m WHERE m.connection_id = o.connection_id
                                      AND m.kind = 'shipment' AND m.subject = s.id))
UNION ALL
SELECT 'cancellation', o.connection_id, o.id, o.number
  FROM customer_order o JOIN connection c ON c.id = o.connection_id
 WHERE c.kind NOT IN ('zfn', 'zfn_client') AND o.cancelling = 'requested' AND o.state IN ('pending', 'ready')
   AND NOT EXISTS (SELECT 1 FROM fulfilment f WHERE f.order_id = o.id AND f.wish <> '')
   AND NOT EXISTS (SELECT 1 FROM message m
                    WHERE m.connection_id = o.connection_id AND m.kind = 'cancellation' AND m.subject = o.id)
UNION ALL
SELECT 'order', f.connection_id, f.order_id, o.number
  FROM fulfilment f JOIN customer_order o ON o.id = f.order_id JOIN link k ON k.connection_id = f.connection_id
 WHERE f.told < f.version AND f.digest <> x'' AND f.state IN ('wanted', 'handed') AND k.state = 'linked'
   AND NOT EXISTS (SELECT 1 FROM message m
                    WHERE m.connection_id = f.connection_id AND m.kind = 'order' AND m.subject = f.order_id)
"""


def nothing_is_owed_twice(sql: Connection, _: datetime) -> list[Finding]:
    """I3: one message per subject, also where the index that should keep it so is damaged; and its subject, of the
    same connection, is there."""
    return [
        Finding("messages", f"message {row.id}", f"a {row.kind} about nothing there is, or said already",
                mend("messages"))
        for row in sql.execute(text(NEEDLESS))
    ]  # fmt: skip


NEEDLESS = """
SELECT m.id, m.kind
  FROM message m
 WHERE NOT CASE m.kind
       WHEN 'stock_level' THEN EXISTS (SELECT 1 FROM listing l
                                        WHERE l.id = m.subject AND l.connection_id = m.connection_id)
       WHEN 'shipment' THEN EXISTS (SELECT 1 FROM shipment s JOIN customer_order o ON o.id = s.order_id
                                     WHERE s.id = m.subject AND o.connection_id = m.connection_id)
       WHEN 'item' THEN EXISTS (SELECT 1 FROM item i WHERE i.id = m.subject)
       WHEN 'inbound' THEN EXISTS (SELECT 1 FROM inbound b WHERE b.id = m.subject AND b.connection_id = m.connection_id)
       WHEN 'link' THEN m.subject = m.connection_id
       WHEN 'order' THEN EXISTS (SELECT 1 FROM fulfilment f WHERE f.order_id = m.subject
                                                              AND f.connection_id = m.connection_id)
                      OR EXISTS (SELECT 1 FROM customer_order o WHERE o.id = m.subject
                                                                  AND o.connection_id = m.connection_id)
       ELSE EXISTS (SELECT 1 FROM customer_order o WHERE o.id = m.subject AND o.connection_id = m.connection_id) END
UNION ALL
SELECT MAX(m.id), m.kind FROM message m NOT INDEXED
 GROUP BY +m.connection_id, +m.kind, +m.subject HAVING COUNT(*) > 1
"""
