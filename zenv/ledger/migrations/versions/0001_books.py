"""The first schema: every table of the books, the places outside, and movements that cannot be changed."""

from alembic import op

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE company (
    id INTEGER NOT NULL,
    ledger_id TEXT NOT NULL,
    name TEXT NOT NULL,
    country TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    currency TEXT NOT NULL,
    key_kind TEXT NOT NULL,
    key_detail TEXT NOT NULL,
    key_fingerprint TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_company CHECK (id = 1)
)
 STRICT;

CREATE TABLE connection (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    external_id TEXT NOT NULL,
    region TEXT NOT NULL,
    status TEXT NOT NULL,
    marketplaces TEXT NOT NULL,
    home_marketplace TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    sandbox INTEGER NOT NULL,
    handling_days INTEGER NOT NULL,
    buffer INTEGER NOT NULL,
    with_fulfilled INTEGER NOT NULL,
    high_frequency INTEGER NOT NULL,
    adopt_new INTEGER NOT NULL,
    consent_at TEXT NOT NULL,
    consent_scope TEXT NOT NULL,
    secret_set_at TEXT NOT NULL,
    created_at TEXT NOT NULL,
    opened_at TEXT,
    PRIMARY KEY (id),
    CONSTRAINT one_connection_per_account UNIQUE (kind, external_id, region),
    CONSTRAINT known_status CHECK (status IN ('saved', 'active', 'inactive', 'needs_login', 'removed')),
    CONSTRAINT buffer_not_negative CHECK (buffer >= 0),
    CONSTRAINT handling_days_0_to_30 CHECK (handling_days BETWEEN 0 AND 30),
    UNIQUE (name)
)
 STRICT;

CREATE TABLE item (
    id INTEGER NOT NULL,
    sku TEXT NOT NULL,
    gtin TEXT,
    name TEXT NOT NULL,
    parent_id INTEGER,
    attributes TEXT NOT NULL,
    unit_cost INTEGER,
    weight_grams INTEGER,
    active INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT cost_not_negative CHECK (unit_cost >= 0),
    CONSTRAINT weight_not_negative CHECK (weight_grams >= 0),
    CONSTRAINT sku_not_empty CHECK (sku <> ''),
    UNIQUE (sku),
    FOREIGN KEY(parent_id) REFERENCES item (id)
)
 STRICT;

CREATE INDEX ix_item_gtin ON item (gtin);

CREATE INDEX ix_item_parent_id ON item (parent_id);

CREATE TABLE notice (
    id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    command TEXT NOT NULL,
    noticed_at TEXT NOT NULL,
    settled_at TEXT,
    PRIMARY KEY (id),
    CONSTRAINT noticed_once UNIQUE (kind, subject)
)
 STRICT;

CREATE TABLE rate_bucket (
    "key" TEXT NOT NULL,
    tokens REAL NOT NULL,
    rate REAL NOT NULL,
    at REAL NOT NULL,
    closed_until REAL NOT NULL,
    PRIMARY KEY ("key")
)
 STRICT;

CREATE TABLE warehouse (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    rank INTEGER NOT NULL,
    active INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_kind CHECK (kind IN ('own', 'fba', 'zfs', 'zfn', 'house')),
    UNIQUE (name)
)
 STRICT;

CREATE TABLE cursor (
    connection_id INTEGER NOT NULL,
    stream TEXT NOT NULL,
    position TEXT NOT NULL,
    moved_at TEXT NOT NULL,
    PRIMARY KEY (connection_id, stream),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE TABLE customer_order (
    id INTEGER NOT NULL,
    number TEXT NOT NULL,
    connection_id INTEGER,
    remote_id TEXT,
    state TEXT NOT NULL,
    channel_status TEXT NOT NULL,
    hold TEXT NOT NULL,
    cancelling TEXT NOT NULL,
    cancel_reason TEXT NOT NULL,
    buyer_wants_cancel TEXT NOT NULL,
    fulfilled_by TEXT NOT NULL,
    marketplace TEXT NOT NULL,
    service_level TEXT NOT NULL,
    placed_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    ship_by TEXT,
    shipped_at TEXT,
    completed_at TEXT,
    cancelled_at TEXT,
    total INTEGER,
    currency TEXT NOT NULL,
    city TEXT NOT NULL,
    region TEXT NOT NULL,
    postcode TEXT NOT NULL,
    country TEXT NOT NULL,
    replaces TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_order_per_remote_id UNIQUE (connection_id, remote_id),
    CONSTRAINT known_state CHECK (state IN ('pending', 'ready', 'part_shipped', 'shipped', 'completed', 'cancelled')),
    CONSTRAINT known_fulfilled_by CHECK (fulfilled_by IN ('merchant', 'channel', 'both')),
    CONSTRAINT known_cancelling CHECK (cancelling IN ('', 'requested', 'accepted', 'refused')),
    UNIQUE (number),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX order_by_state ON customer_order (state, placed_at);

CREATE TABLE level (
    item_id INTEGER NOT NULL,
    warehouse_id INTEGER NOT NULL,
    on_hand INTEGER NOT NULL,
    picked INTEGER NOT NULL,
    in_transit INTEGER NOT NULL,
    PRIMARY KEY (item_id, warehouse_id),
    CONSTRAINT never_below_zero CHECK (on_hand >= 0 AND picked >= 0 AND in_transit >= 0),
    FOREIGN KEY(item_id) REFERENCES item (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE listing (
    id INTEGER NOT NULL,
    connection_id INTEGER NOT NULL,
    item_id INTEGER,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    asin TEXT NOT NULL,
    gtin TEXT NOT NULL,
    product_type TEXT NOT NULL,
    fulfilled_by TEXT NOT NULL,
    status TEXT NOT NULL,
    parent_sku TEXT NOT NULL,
    is_parent INTEGER NOT NULL,
    attributes TEXT NOT NULL,
    price INTEGER,
    currency TEXT NOT NULL,
    needs_detail INTEGER NOT NULL,
    channel_quantity INTEGER,
    observed_at TEXT,
    submitted INTEGER,
    submitted_handling INTEGER,
    submitted_at TEXT,
    applied_at TEXT,
    opened_at TEXT,
    first_seen_at TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_listing_per_sku UNIQUE (connection_id, sku),
    CONSTRAINT known_fulfilled_by CHECK (fulfilled_by IN ('merchant', 'channel', 'both')),
    CONSTRAINT known_status CHECK (status IN ('active', 'inactive', 'deleted')),
    CONSTRAINT submitted_not_negative CHECK (submitted >= 0),
    FOREIGN KEY(connection_id) REFERENCES connection (id),
    FOREIGN KEY(item_id) REFERENCES item (id)
)
 STRICT;

CREATE INDEX ix_listing_item_id ON listing (item_id);

CREATE TABLE message (
    id INTEGER NOT NULL,
    connection_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    state TEXT NOT NULL,
    sent_revision INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    not_before TEXT,
    lease_until TEXT,
    remote_ref TEXT NOT NULL,
    reason TEXT NOT NULL,
    queued_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_message_per_subject UNIQUE (connection_id, kind, subject),
    CONSTRAINT known_kind CHECK (kind IN ('stock_level', 'shipment', 'cancellation')),
    CONSTRAINT known_state CHECK (state IN ('pending', 'sending', 'sent', 'unknown', 'parked')),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX message_by_state ON message (connection_id, kind, state);

CREATE TABLE place (
    id INTEGER NOT NULL,
    warehouse_id INTEGER,
    state TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_place_per_state UNIQUE (warehouse_id, state),
    CONSTRAINT known_state CHECK ((warehouse_id IS NULL AND state IN ('supplier', 'customer', 'adjustment', 'opening')) OR (warehouse_id IS NOT NULL AND state IN ('on_hand', 'picked', 'in_transit'))),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE run (
    id INTEGER NOT NULL,
    connection_id INTEGER NOT NULL,
    task TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    lease_until TEXT,
    outcome TEXT NOT NULL,
    items INTEGER NOT NULL,
    orders INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_outcome CHECK (outcome IN ('running', 'ok', 'partial', 'failed', 'abandoned')),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX ix_run_connection_id ON run (connection_id);

CREATE TABLE secret (
    connection_id INTEGER NOT NULL,
    field TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (connection_id, field),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE TABLE stock_source (
    connection_id INTEGER NOT NULL,
    warehouse_id INTEGER NOT NULL,
    PRIMARY KEY (connection_id, warehouse_id),
    FOREIGN KEY(connection_id) REFERENCES connection (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE transfer (
    id INTEGER NOT NULL,
    item_id INTEGER NOT NULL,
    source_id INTEGER NOT NULL,
    destination_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    arrived INTEGER NOT NULL,
    sent_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT transfers_something CHECK (quantity > 0),
    CONSTRAINT arrives_at_most_all CHECK (arrived >= 0 AND arrived <= quantity),
    FOREIGN KEY(item_id) REFERENCES item (id),
    FOREIGN KEY(source_id) REFERENCES warehouse (id),
    FOREIGN KEY(destination_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE movement (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    item_id INTEGER NOT NULL,
    source_id INTEGER NOT NULL,
    destination_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    reason TEXT NOT NULL,
    reference TEXT NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT moves_something CHECK (quantity > 0),
    CONSTRAINT two_ends CHECK (source_id <> destination_id),
    CONSTRAINT known_reason CHECK (reason IN ('opening', 'received', 'adjusted', 'counted', 'transferred', 'arrived', 'picked', 'unpicked', 'shipped', 'returned')),
    FOREIGN KEY(item_id) REFERENCES item (id),
    FOREIGN KEY(source_id) REFERENCES place (id),
    FOREIGN KEY(destination_id) REFERENCES place (id)
)
 STRICT;

CREATE INDEX movement_by_reference ON movement (reference);

CREATE INDEX movement_of_item ON movement (item_id, at);

CREATE TABLE order_comment (
    id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    at TEXT NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT said_once UNIQUE (order_id, text),
    FOREIGN KEY(order_id) REFERENCES customer_order (id)
)
 STRICT;

CREATE TABLE order_line (
    id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    remote_id TEXT NOT NULL,
    listing_id INTEGER,
    item_id INTEGER,
    sku TEXT NOT NULL,
    name TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    shipped INTEGER NOT NULL,
    price INTEGER,
    tax INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT one_line_per_remote_id UNIQUE (order_id, remote_id),
    CONSTRAINT counts_not_negative CHECK (quantity >= 0 AND cancelled >= 0 AND shipped >= 0),
    CONSTRAINT not_more_than_ordered CHECK (cancelled + shipped <= quantity),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(listing_id) REFERENCES listing (id),
    FOREIGN KEY(item_id) REFERENCES item (id)
)
 STRICT;

CREATE INDEX ix_order_line_listing_id ON order_line (listing_id);

CREATE INDEX ix_order_line_order_id ON order_line (order_id);

CREATE INDEX open_line_of_item ON order_line (item_id) WHERE cancelled + shipped < quantity;

CREATE TABLE personal (
    order_id INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    sealed BLOB NOT NULL,
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (order_id),
    FOREIGN KEY(order_id) REFERENCES customer_order (id)
)
 STRICT;

CREATE TABLE run_failure (
    id INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    remote_id TEXT NOT NULL,
    reason TEXT NOT NULL,
    settled_at TEXT,
    PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES run (id)
)
 STRICT;

CREATE INDEX ix_run_failure_run_id ON run_failure (run_id);

CREATE TABLE shipment (
    id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    reference TEXT NOT NULL,
    warehouse_id INTEGER,
    carrier TEXT NOT NULL,
    service TEXT NOT NULL,
    tracking TEXT NOT NULL,
    shipped_at TEXT NOT NULL,
    elsewhere INTEGER NOT NULL,
    confirmed_at TEXT,
    PRIMARY KEY (id),
    CONSTRAINT one_package_per_reference UNIQUE (order_id, reference),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE reservation (
    line_id INTEGER NOT NULL,
    item_id INTEGER NOT NULL,
    warehouse_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    picked INTEGER NOT NULL,
    PRIMARY KEY (line_id),
    CONSTRAINT reserves_something CHECK (quantity > 0),
    CONSTRAINT picks_at_most_all CHECK (picked >= 0 AND picked <= quantity),
    FOREIGN KEY(line_id) REFERENCES order_line (id),
    FOREIGN KEY(item_id) REFERENCES item (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE INDEX reservation_by_shelf ON reservation (item_id, warehouse_id);

CREATE TABLE shipment_line (
    shipment_id INTEGER NOT NULL,
    line_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    PRIMARY KEY (shipment_id, line_id),
    CONSTRAINT ships_something CHECK (quantity > 0),
    FOREIGN KEY(shipment_id) REFERENCES shipment (id),
    FOREIGN KEY(line_id) REFERENCES order_line (id)
)
 STRICT;
"""

OUTSIDE = (
    "INSERT INTO place (id, warehouse_id, state) VALUES"
    " (1, NULL, 'supplier'), (2, NULL, 'customer'), (3, NULL, 'adjustment'), (4, NULL, 'opening')"
)

APPEND_ONLY = (
    "CREATE TRIGGER movement_is_never_changed BEFORE UPDATE ON movement"
    " BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END",
    "CREATE TRIGGER movement_is_never_deleted BEFORE DELETE ON movement"
    " BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END",
)


def upgrade() -> None:
    """Make an empty ledger."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    op.execute(OUTSIDE)
    for trigger in APPEND_ONLY:
        op.execute(trigger)
