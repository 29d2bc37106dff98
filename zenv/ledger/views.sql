-- The read contract: these views keep their names and columns from one version of zenv to the next.
-- Anyone may read them (`zenv sql`, or any SQLite tool); list commands read nothing else.
-- Money is in minor units beside its currency. Times are UTC.

CREATE VIEW warehouses AS
SELECT w.id AS warehouse_id, w.name AS warehouse, w.kind, w.rank, w.active,
       (SELECT COALESCE(SUM(l.on_hand + l.picked + l.in_transit), 0) FROM level l WHERE l.warehouse_id = w.id) AS units,
       w.shared, w.keeper
  FROM warehouse w;

CREATE VIEW open_lines AS
SELECT ol.id AS line_id, o.id AS order_id, o.number, o.state, o.hold, o.placed_at, ol.item_id, ol.listing_id, ol.sku,
       ol.quantity - ol.cancelled - ol.shipped AS open,
       r.warehouse_id, COALESCE(r.quantity, 0) AS reserved, COALESCE(r.picked, 0) AS picked
  FROM order_line ol
  JOIN customer_order o ON o.id = ol.order_id
  LEFT JOIN reservation r ON r.line_id = ol.id
 WHERE o.state IN ('pending', 'ready', 'part_shipped') AND o.fulfilled_by = 'merchant'
   AND ol.quantity - ol.cancelled - ol.shipped > 0;

CREATE VIEW levels AS
SELECT i.sku, i.name, w.name AS warehouse, l.on_hand, l.picked, l.in_transit
  FROM level l
  JOIN warehouse w ON w.id = l.warehouse_id
  JOIN item i ON i.id = l.item_id;

CREATE VIEW availability AS
SELECT i.id AS item_id, i.sku, i.name,
       COALESCE(s.on_hand, 0) AS on_hand, COALESCE(s.picked, 0) AS picked, COALESCE(s.in_transit, 0) AS in_transit,
       COALESCE(d.demand, 0) AS demand, COALESCE(d.waiting, 0) AS waiting,
       MAX(0, COALESCE(s.on_hand, 0) - COALESCE(d.unpicked, 0)
              - (SELECT COALESCE(SUM(n.allocated), 0) FROM inbound_line n WHERE n.item_id = i.id)) AS available
  FROM item i
  LEFT JOIN (SELECT l.item_id, SUM(l.on_hand) AS on_hand, SUM(l.picked) AS picked, SUM(l.in_transit) AS in_transit
               FROM level l JOIN warehouse w ON w.id = l.warehouse_id
              WHERE w.kind IN ('own', 'zfn') GROUP BY l.item_id) s ON s.item_id = i.id
  LEFT JOIN (SELECT item_id, SUM(open) AS demand, SUM(open - reserved) AS waiting, SUM(open - picked) AS unpicked
               FROM open_lines WHERE item_id IS NOT NULL GROUP BY item_id) d ON d.item_id = i.id;

CREATE VIEW items AS
SELECT i.sku, i.gtin, i.name, p.sku AS parent, i.attributes, i.unit_cost,
       (SELECT currency FROM company) AS currency, i.weight_grams, i.active,
       a.on_hand, a.demand, a.available,
       (SELECT COUNT(*) FROM listing l WHERE l.item_id = i.id) AS listings, c.name AS client
  FROM item i
  JOIN availability a ON a.item_id = i.id
  LEFT JOIN item p ON p.id = i.parent_id
  LEFT JOIN client c ON c.id = i.client_id;

CREATE VIEW listings AS
SELECT c.name AS connection, l.sku, i.sku AS item, l.name, l.asin, l.gtin, l.fulfilled_by, l.status, l.parent_sku AS parent,
       l.attributes, l.price, l.currency, l.channel_quantity AS live, l.observed_at, l.submitted, l.submitted_at, l.applied_at,
       CASE WHEN l.item_id IS NULL THEN 'unlinked'
            WHEN l.fulfilled_by <> 'merchant' OR l.is_parent THEN 'not pushed'
            WHEN l.submitted IS NULL THEN 'never sent'
            WHEN l.applied_at IS NULL THEN 'submitted'
            WHEN l.channel_quantity <> l.submitted THEN 'mismatch'
            ELSE 'applied' END AS stock_state
  FROM listing l
  JOIN connection c ON c.id = l.connection_id
  LEFT JOIN item i ON i.id = l.item_id;

CREATE VIEW movements AS
SELECT m.id AS movement, m.at, i.sku, m.quantity,
       COALESCE(sw.name || ' ', '') || sp.state AS source,
       COALESCE(dw.name || ' ', '') || dp.state AS destination,
       m.reason, m.reference, m.actor, m.note
  FROM movement m
  JOIN item i ON i.id = m.item_id
  JOIN place sp ON sp.id = m.source_id LEFT JOIN warehouse sw ON sw.id = sp.warehouse_id
  JOIN place dp ON dp.id = m.destination_id LEFT JOIN warehouse dw ON dw.id = dp.warehouse_id;

CREATE VIEW transfers AS
SELECT t.id AS transfer, i.sku, s.name AS source, d.name AS destination, t.quantity, t.arrived,
       t.quantity - t.arrived AS under_way, t.sent_at
  FROM transfer t
  JOIN item i ON i.id = t.item_id
  JOIN warehouse s ON s.id = t.source_id
  JOIN warehouse d ON d.id = t.destination_id;

CREATE VIEW inbounds AS
SELECT b.number, CASE WHEN b.source_id IS NULL THEN 'purchase' ELSE 'transfer' END AS kind, k.name AS client, b.supplier,
       s.name AS source, d.name AS destination, b.state, b.made_by, b.made_at, b.expected_at, b.closed_at,
       (SELECT SUM(quantity) FROM inbound_line WHERE inbound_id = b.id) AS units,
       (SELECT SUM(sent) FROM inbound_line WHERE inbound_id = b.id) AS sent,
       (SELECT SUM(received) FROM inbound_line WHERE inbound_id = b.id) AS received,
       COALESCE((SELECT CASE m.state WHEN 'parked' THEN 'refused' ELSE 'waits' END FROM message m
                  WHERE m.connection_id = b.connection_id AND m.kind = 'inbound' AND m.subject = b.id),
                CASE WHEN b.told > 0 THEN 'told' ELSE '' END) AS told
  FROM inbound b
  JOIN warehouse d ON d.id = b.destination_id
  LEFT JOIN warehouse s ON s.id = b.source_id
  LEFT JOIN client k ON k.connection_id = b.connection_id;

CREATE VIEW inbound_lines AS
SELECT b.number, n.remote_id AS line, n.sku, i.sku AS item, i.name, n.quantity, n.allocated, n.picked, n.sent, n.received,
       n.received - n.quantity AS difference
  FROM inbound_line n
  JOIN inbound b ON b.id = n.inbound_id
  LEFT JOIN item i ON i.id = n.item_id;

CREATE VIEW orders AS
SELECT o.number, COALESCE(c.name, '') AS connection,
       CASE WHEN o.hold <> '' AND o.state IN ('pending', 'ready', 'part_shipped') THEN 'on hold'
            WHEN o.cancelling = 'requested' OR (o.cancelling = 'accepted' AND o.state <> 'cancelled') THEN 'cancelling'
            ELSE o.state END AS state,
       o.hold, o.channel_status, o.marketplace, o.placed_at, o.ship_by, o.shipped_at, o.completed_at, o.cancelled_at,
       (SELECT SUM(quantity) FROM order_line WHERE order_id = o.id) AS units,
       (SELECT SUM(quantity - cancelled - shipped) FROM order_line WHERE order_id = o.id) AS open,
       o.total, o.currency, o.city, o.region, o.postcode, o.country, w.name AS ship_from, o.entered_by
  FROM customer_order o
  LEFT JOIN connection c ON c.id = o.connection_id
  LEFT JOIN warehouse w ON w.id = o.ship_from;

CREATE VIEW order_lines AS
SELECT o.number, ol.remote_id AS line, ol.sku, i.sku AS item, ol.name, ol.quantity, ol.cancelled, ol.shipped,
       w.name AS warehouse, COALESCE(r.quantity, 0) AS reserved, COALESCE(r.picked, 0) AS picked, ol.price, ol.tax, o.currency
  FROM order_line ol
  JOIN customer_order o ON o.id = ol.order_id
  LEFT JOIN item i ON i.id = ol.item_id
  LEFT JOIN reservation r ON r.line_id = ol.id
  LEFT JOIN warehouse w ON w.id = r.warehouse_id;

CREATE VIEW shipments AS
SELECT o.number, s.reference AS package, w.name AS warehouse, s.carrier, s.service, s.tracking, s.shipped_at,
       (SELECT SUM(quantity) FROM shipment_line WHERE shipment_id = s.id) AS units,
       CASE WHEN o.connection_id IS NULL OR c.kind IN ('zfn', 'zfn_client') THEN 'nobody to tell'
            WHEN s.elsewhere THEN 'shipped elsewhere'
            WHEN s.confirmed_at IS NOT NULL THEN 'confirmed'
            ELSE COALESCE((SELECT m.state FROM message m WHERE m.kind = 'shipment' AND m.subject = s.id), 'not told') END AS told,
       s.confirmed_at
  FROM shipment s
  JOIN customer_order o ON o.id = s.order_id
  LEFT JOIN connection c ON c.id = o.connection_id
  LEFT JOIN warehouse w ON w.id = s.warehouse_id;

CREATE VIEW handovers AS
SELECT o.number, k.provider, w.name AS warehouse, f.state, f.remote_number, f.version, f.told,
       f.wish <> '' OR f.told < f.version AS waits,
       EXISTS (SELECT 1 FROM notice n WHERE n.kind = 'change refused' AND n.subject = o.number
                  AND n.settled_at IS NULL) AS refused
  FROM fulfilment f
  JOIN customer_order o ON o.id = f.order_id
  JOIN link k ON k.connection_id = f.connection_id
  LEFT JOIN warehouse w ON w.id = o.ship_from
 WHERE f.state <> 'recalled';

CREATE VIEW connections AS
SELECT c.name AS connection, c.kind, c.external_id, c.region, c.status, c.marketplaces, c.home_marketplace, c.endpoint, c.sandbox,
       (SELECT GROUP_CONCAT(w.name, ', ') FROM stock_source s JOIN warehouse w ON w.id = s.warehouse_id
         WHERE s.connection_id = c.id) AS stock_from,
       c.handling_days, c.buffer, c.with_fulfilled, c.high_frequency, c.adopt_new, c.consent_at, c.consent_scope,
       180 - CAST(julianday('now') - julianday(c.secret_set_at) AS INTEGER) AS secret_days_left,
       (SELECT COUNT(*) FROM listing l WHERE l.connection_id = c.id) AS listings,
       (SELECT COUNT(*) FROM message m WHERE m.connection_id = c.id) AS owed
  FROM connection c;

CREATE VIEW runs AS
SELECT r.id AS run, COALESCE(c.name, 'housekeeping') AS connection, r.task, r.started_at, r.ended_at, r.outcome,
       r.items, r.orders, r.sent, r.failed, r.note, r.items_failed, r.orders_failed, r.worker, r.again
  FROM run r
  LEFT JOIN connection c ON c.id = r.connection_id;

CREATE VIEW run_failures AS
SELECT f.run_id AS run, COALESCE(c.name, 'housekeeping') AS connection, f.kind, f.remote_id, f.reason, f.settled_at
  FROM run_failure f
  JOIN run r ON r.id = f.run_id
  LEFT JOIN connection c ON c.id = r.connection_id;

CREATE VIEW messages AS
SELECT m.id AS message, c.name AS connection, m.kind,
       CASE m.kind WHEN 'stock_level' THEN (SELECT l.sku FROM listing l WHERE l.id = m.subject)
                   WHEN 'shipment' THEN (SELECT o.number || '/' || s.reference FROM shipment s
                                           JOIN customer_order o ON o.id = s.order_id WHERE s.id = m.subject)
                   WHEN 'item' THEN (SELECT i.sku FROM item i WHERE i.id = m.subject)
                   WHEN 'inbound' THEN (SELECT b.number FROM inbound b WHERE b.id = m.subject)
                   WHEN 'link' THEN c.name
                   ELSE (SELECT o.number FROM customer_order o WHERE o.id = m.subject) END AS subject,
       m.state, m.attempts, m.not_before, m.remote_ref, m.reason, m.queued_at
  FROM message m
  JOIN connection c ON c.id = m.connection_id;

CREATE VIEW attendances AS
SELECT a.who, a.host, a.pid, a.started_at, a.seen_at, a.ended_at, a.state,
       a.ended_at IS NULL AND a.seen_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-3 minutes') AS here,
       a.seen_at > strftime('%Y-%m-%d %H:%M:%f', 'now', '-20 minutes') AS lately
  FROM attendance a;

CREATE VIEW schedule AS
SELECT s.id AS scheduled, COALESCE(c.name, 'housekeeping') AS connection, s.task,
       CASE WHEN s.at_midnight THEN 'midnight' WHEN s.longest % 3600 = 0 THEN (s.longest / 3600) || ' h'
            ELSE (s.longest / 60) || ' min' END AS bound,
       CASE WHEN s.every IS NULL THEN '' WHEN s.every % 3600 = 0 THEN (s.every / 3600) || ' h'
            WHEN s.every % 60 = 0 THEN (s.every / 60) || ' min' ELSE s.every || ' s' END AS every,
       s.last_at, s.last_ok_at, s.next_at, s.late_at,
       COALESCE(c.status, 'active') = 'active' AND s.late_at < strftime('%Y-%m-%d %H:%M:%f', 'now') AS late,
       CASE WHEN c.status = 'needs_login' THEN 'waiting for a login'
            WHEN c.status <> 'active' THEN 'disabled'
            WHEN b.open_until > strftime('%Y-%m-%d %H:%M:%f', 'now') THEN 'breaker open after ' || b.failures || ' failed runs'
            WHEN EXISTS (SELECT 1 FROM run r WHERE r.connection_id IS s.connection_id AND r.task = s.task
                          AND r.outcome = 'running' AND r.lease_until >= strftime('%Y-%m-%d %H:%M:%f', 'now')) THEN 'running'
            WHEN s.waits = 'throttled' THEN 'throttled'
            WHEN s.waits = 'failed' THEN 'failed ' || CASE s.failures WHEN 1 THEN 'once' ELSE s.failures || ' times in a row' END
            WHEN s.next_at > strftime('%Y-%m-%d %H:%M:%f', 'now') THEN ''
            WHEN EXISTS (SELECT 1 FROM attendances a WHERE a.here AND a.who = 'daemon')
              OR EXISTS (SELECT 1 FROM attendances a WHERE a.lately AND a.who = 'sync due') THEN 'about to start'
            ELSE COALESCE('daemon off since ' || substr((SELECT MAX(a.seen_at) FROM attendance a), 1, 16) || ' UTC',
                          'no daemon yet') END AS why,
       CASE WHEN c.status <> 'active' THEN NULL
            WHEN b.open_until > strftime('%Y-%m-%d %H:%M:%f', 'now') THEN b.open_until
            WHEN s.waits IN ('throttled', 'failed') AND s.next_at > strftime('%Y-%m-%d %H:%M:%f', 'now') THEN s.next_at END AS until_at
  FROM scheduled_task s
  LEFT JOIN connection c ON c.id = s.connection_id
  LEFT JOIN breaker b ON b.connection_id = s.connection_id
 WHERE COALESCE(c.status, 'active') <> 'removed';

CREATE VIEW audit_trail AS
SELECT a.id AS entry, a.at, a.actor, a.action, a.subject, a.result, a.detail FROM audit a;

CREATE VIEW papers AS
SELECT p.id AS paper, o.number, s.reference AS package, p.kind, p.type, p.bytes, p.made_at, p.made_by, p.destroyed_at
  FROM paper p
  JOIN customer_order o ON o.id = p.order_id
  LEFT JOIN shipment s ON s.id = p.shipment_id;

CREATE VIEW customers AS
SELECT c.pseudonym AS customer, c.first_seen_at, c.redacted_at,
       (SELECT COUNT(*) FROM order_customer oc WHERE oc.customer_id = c.id) AS orders,
       (SELECT MAX(o.placed_at) FROM order_customer oc JOIN customer_order o ON o.id = oc.order_id
         WHERE oc.customer_id = c.id) AS last_order_at
  FROM customer c;

CREATE VIEW links AS
SELECT w.name AS warehouse, c.name AS connection, k.provider, k.state, k.user_name AS requested_by, k.fingerprint,
       k.client_number, k.asked_at, k.decided_at, k.token_expires_at,
       (SELECT COUNT(*) FROM message m WHERE m.connection_id = c.id) AS owed
  FROM link k
  JOIN connection c ON c.id = k.connection_id
  JOIN warehouse w ON w.id = k.warehouse_id;

CREATE VIEW users AS
SELECT u.name AS user, u.administrator, u.active, u.added_at FROM zenv_user u;

CREATE VIEW clients AS
SELECT c.id AS client, c.name, c.state, c.import_user, c.fingerprint, c.linked_at, c.parted_at,
       (SELECT COUNT(*) FROM item i WHERE i.client_id = c.id) AS items,
       (SELECT COALESCE(SUM(l.on_hand + l.picked + l.in_transit), 0) FROM level l JOIN item i ON i.id = l.item_id
         WHERE i.client_id = c.id) AS units,
       (SELECT COUNT(*) FROM customer_order o WHERE o.connection_id = c.connection_id
           AND o.state IN ('pending', 'ready', 'part_shipped')) AS open_orders,
       (SELECT COUNT(*) FROM inbound b WHERE b.connection_id = c.connection_id
           AND b.state IN ('requested', 'open', 'shipped')) AS open_inbounds,
       (SELECT COUNT(*) FROM message m WHERE m.connection_id = c.connection_id) AS owed,
       (SELECT MAX(t.last_used_at) FROM link_token t WHERE t.client_id = c.id) AS last_seen_at,
       CASE c.state WHEN 'disconnected' THEN 'the client deactivates its warehouse'
                    WHEN 'deactivated' THEN 'zenv zfn delete "' || c.name || '"' ELSE '' END AS next
  FROM client c;

CREATE VIEW link_requests AS
SELECT r.id AS request, r.company_name AS company, r.user_name AS user, r.warehouse, r.fingerprint, r.state, r.asked_at,
       r.reviewed_at, r.decided_at, r.decided_by, c.name AS client
  FROM link_request r
  LEFT JOIN client c ON c.id = r.client_id;

CREATE VIEW inbox AS
SELECT 'login' AS kind, c.name AS subject, 'Amazon no longer accepts the credentials of ' || c.name AS text,
       'zenv connections login ' || c.name AS command
  FROM connection c WHERE c.status = 'needs_login' AND c.kind <> 'zfn'
UNION ALL
SELECT 'login', k.warehouse, k.provider || ' no longer accepts our token for ' || k.warehouse || ': ask it for another',
       'zenv zfn request --warehouse ''' || k.warehouse || ''' --code CODE'
  FROM links k JOIN connection c ON c.name = k.connection WHERE c.status = 'needs_login'
UNION ALL
SELECT 'token', k.warehouse, 'the token for ' || k.warehouse || ' at ' || k.provider || ' is good for '
       || MAX(0, CAST(julianday(k.token_expires_at) - julianday('now') AS INTEGER)) || ' more days',
       'zenv zfn rotate ''' || k.warehouse || ''''
  FROM links k WHERE k.state = 'linked' AND julianday(k.token_expires_at) - julianday('now') < 30
UNION ALL
SELECT 'secret', c.name, 'the client secret of ' || c.name || ' expires in '
       || MAX(0, 180 - CAST(julianday('now') - julianday(c.secret_set_at) AS INTEGER)) || ' days',
       'zenv connections login ' || c.name
  FROM connection c
 WHERE c.status <> 'needs_login' AND c.kind = 'amazon' AND julianday('now') - julianday(c.secret_set_at) > 150
UNION ALL
SELECT 'unlinked', c.name, COUNT(*) || ' listings of ' || c.name || ' match no item'
       || CASE WHEN SUM(EXISTS (SELECT 1 FROM order_line ol JOIN customer_order o ON o.id = ol.order_id
                                 WHERE ol.listing_id = l.id AND o.state IN ('pending', 'ready', 'part_shipped'))) > 0
               THEN '; orders wait for them' ELSE '' END,
       'zenv items unconfirmed'
  FROM listing l JOIN connection c ON c.id = l.connection_id
 WHERE l.item_id IS NULL AND l.status <> 'deleted' GROUP BY c.id
UNION ALL
SELECT 'cancel request', o.number, 'the buyer of ' || o.number || ' asks to cancel', 'zenv orders cancel ' || o.number || ' --reason buyer_request'
  FROM customer_order o
 WHERE o.buyer_wants_cancel <> '' AND o.cancelling = '' AND o.state IN ('pending', 'ready', 'part_shipped')
UNION ALL
SELECT 'cancel refused', o.number, 'the cancellation of ' || o.number || ' was refused', 'zenv orders show ' || o.number
  FROM customer_order o WHERE o.cancelling = 'refused' AND o.state IN ('pending', 'ready', 'part_shipped')
UNION ALL
SELECT 'backorder', l.number, 'order ' || l.number || ' waits for ' || (l.open - l.reserved) || ' x ' || l.sku,
       CASE WHEN w.kind = 'zfn'
            THEN 'zenv inbound order --line ' || l.sku || '=' || (l.open - l.reserved) || ' --warehouse ''' || w.name || ''''
            ELSE 'zenv stock receive ' || l.sku || ' ' || (l.open - l.reserved) END
  FROM open_lines l JOIN customer_order o ON o.id = l.order_id LEFT JOIN warehouse w ON w.id = o.ship_from
 WHERE l.item_id IS NOT NULL AND l.open > l.reserved
UNION ALL
SELECT 'transfer request', b.number, b.made_by || ' asks for ' || b.units || ' units from ' || b.source || ' to '
       || b.destination || CASE w.keeper WHEN '' THEN '' ELSE '; ' || w.keeper || ' keeps ' || b.source END,
       'zenv inbound allocate ' || b.number
  FROM inbounds b JOIN warehouses w ON w.warehouse = b.source WHERE b.state = 'requested'
UNION ALL
SELECT 'parked', v.kind || ' ' || v.subject, v.connection || ' refused ' || v.kind || ' ' || v.subject || ': ' || v.reason,
       'zenv sync retry ' || v.message
  FROM messages v WHERE v.state = 'parked'
UNION ALL
SELECT 'mismatch', l.sku, l.connection || ' shows ' || l.live || ' of ' || l.sku || ' where it was told ' || l.submitted,
       'zenv items resend ' || l.sku || ' --connection ' || l.connection
  FROM listings l WHERE l.stock_state = 'mismatch'
UNION ALL
SELECT 'failed record', f.kind || ' ' || f.remote_id, f.connection || ': ' || f.kind || ' ' || f.remote_id || ': ' || f.reason,
       'zenv sync show ' || f.run
  FROM run_failures f WHERE f.settled_at IS NULL
UNION ALL
SELECT 'late', s.connection, GROUP_CONCAT(s.task, ', ') || ' of ' || s.connection || CASE COUNT(*) WHEN 1 THEN ' is' ELSE ' are' END
       || ' late: ' || CASE s.why WHEN '' THEN 'it did not end' ELSE s.why END,
       CASE WHEN s.why = 'no daemon yet' OR s.why LIKE 'daemon off%' THEN 'zenv sync due'
            WHEN s.why LIKE 'breaker%' OR s.why LIKE 'failed%' THEN 'zenv sync now ' || s.connection
            ELSE 'zenv schedule' END
  FROM schedule s WHERE s.late AND s.why <> 'waiting for a login' GROUP BY s.connection, s.why
UNION ALL
SELECT 'link request', CAST(r.id AS TEXT), r.company_name || ' asks to become a client (' || r.user_name || ')',
       'zenv zfn requests'
  FROM link_request r WHERE r.state = 'pending' AND r.reviewed_at IS NULL
UNION ALL
SELECT n.kind, n.subject, n.text, n.command FROM notice n
 WHERE n.settled_at IS NULL
   AND NOT (n.kind IN ('change refused', 'returned')
            AND EXISTS (SELECT 1 FROM customer_order o WHERE o.number = n.subject
                           AND (o.state IN ('shipped', 'completed') OR (n.kind = 'returned' AND o.state = 'cancelled'))));
