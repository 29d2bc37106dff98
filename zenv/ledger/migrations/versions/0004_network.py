"""The network: users, our standing as a provider, clients and their requests, our own link; orders and goods that two
ledgers hand to each other; whose an item is, and from where an order leaves."""

from alembic import op

revision = "0004"
down_revision = "0003"

NEW = """
CREATE TABLE zenv_user (
    name TEXT NOT NULL,
    administrator INTEGER NOT NULL,
    active INTEGER NOT NULL,
    added_at TEXT NOT NULL,
    PRIMARY KEY (name)
)
 STRICT;

CREATE TABLE standing (
    id INTEGER NOT NULL,
    "plan" TEXT NOT NULL,
    provider TEXT NOT NULL,
    support_contact TEXT NOT NULL,
    address TEXT NOT NULL,
    certificates TEXT NOT NULL,
    may_edit_picked INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_standing CHECK (id = 1),
    CONSTRAINT known_plan CHECK (plan IN ('standard', 'enterprise')),
    CONSTRAINT known_provider CHECK (provider IN ('', 'requested', 'granted')),
    CONSTRAINT known_certificates CHECK (certificates IN ('own', 'public'))
)
 STRICT;

CREATE TABLE client (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    connection_id INTEGER NOT NULL,
    company_id TEXT NOT NULL,
    import_user TEXT NOT NULL,
    state TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    created_at TEXT NOT NULL,
    linked_at TEXT NOT NULL,
    parted_at TEXT,
    PRIMARY KEY (id),
    CONSTRAINT known_state CHECK (state IN ('linked', 'disconnected', 'deactivated', 'deleted')),
    UNIQUE (name),
    UNIQUE (connection_id),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX ix_client_company_id ON client (company_id);

CREATE TABLE link_token (
    id TEXT NOT NULL,
    client_id INTEGER,
    hash BLOB NOT NULL,
    scopes TEXT NOT NULL,
    issued_at TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    last_used_at TEXT,
    revoked_at TEXT,
    used_for TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(client_id) REFERENCES client (id)
)
 STRICT;

CREATE INDEX ix_link_token_client_id ON link_token (client_id);

CREATE TABLE link_request (
    id INTEGER NOT NULL,
    company_id TEXT NOT NULL,
    company_name TEXT NOT NULL,
    user_name TEXT NOT NULL,
    warehouse TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    token_id TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at TEXT NOT NULL,
    reviewed_at TEXT,
    decided_at TEXT,
    decided_by TEXT NOT NULL,
    client_id INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT known_state CHECK (state IN ('pending', 'accepted', 'denied')),
    UNIQUE (token_id),
    FOREIGN KEY(token_id) REFERENCES link_token (id),
    FOREIGN KEY(client_id) REFERENCES client (id)
)
 STRICT;

CREATE UNIQUE INDEX one_pending_request ON link_request (company_id) WHERE state = 'pending';

CREATE TABLE client_journal (
    client_id INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    movement_id INTEGER NOT NULL,
    PRIMARY KEY (client_id, entry),
    FOREIGN KEY(client_id) REFERENCES client (id),
    UNIQUE (movement_id),
    FOREIGN KEY(movement_id) REFERENCES movement (id)
)
 STRICT;

CREATE TABLE link (
    connection_id INTEGER NOT NULL,
    warehouse_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    provider TEXT NOT NULL,
    user_name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    client_number INTEGER,
    asked_at TEXT NOT NULL,
    decided_at TEXT,
    token_expires_at TEXT,
    restores INTEGER NOT NULL,
    PRIMARY KEY (connection_id),
    CONSTRAINT known_state CHECK (state IN ('requested', 'denied', 'linked', 'disconnected', 'deactivated', 'parted')),
    FOREIGN KEY(connection_id) REFERENCES connection (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE UNIQUE INDEX one_link_per_warehouse ON link (warehouse_id) WHERE state IN ('requested', 'linked', 'disconnected');

CREATE TABLE mirrored (
    movement_id INTEGER NOT NULL,
    connection_id INTEGER NOT NULL,
    entry INTEGER NOT NULL,
    PRIMARY KEY (movement_id),
    FOREIGN KEY(movement_id) REFERENCES movement (id),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX mirrored_entry ON mirrored (connection_id, entry);

CREATE TABLE fulfilment (
    order_id INTEGER NOT NULL,
    connection_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    told INTEGER NOT NULL,
    wish TEXT NOT NULL,
    remote_number TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (order_id),
    CONSTRAINT known_state CHECK (state IN ('wanted', 'handed', 'returned', 'recalled', 'taken')),
    CONSTRAINT told_what_was_said CHECK (told <= version),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX ix_fulfilment_connection_id ON fulfilment (connection_id);

CREATE TABLE inbound (
    id INTEGER NOT NULL,
    number TEXT NOT NULL,
    kind TEXT NOT NULL,
    connection_id INTEGER,
    remote_id TEXT,
    source_id INTEGER,
    destination_id INTEGER NOT NULL,
    supplier TEXT NOT NULL,
    state TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at TEXT NOT NULL,
    expected_at TEXT,
    closed_at TEXT,
    version INTEGER NOT NULL,
    told INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_inbound_per_remote_id UNIQUE (connection_id, remote_id),
    CONSTRAINT known_kind CHECK (kind IN ('purchase', 'transfer')),
    CONSTRAINT known_state CHECK (state IN ('requested', 'open', 'shipped', 'closed', 'cancelled')),
    CONSTRAINT told_what_was_said CHECK (told <= version),
    UNIQUE (number),
    FOREIGN KEY(connection_id) REFERENCES connection (id),
    FOREIGN KEY(source_id) REFERENCES warehouse (id),
    FOREIGN KEY(destination_id) REFERENCES warehouse (id)
)
 STRICT;

CREATE TABLE inbound_line (
    id INTEGER NOT NULL,
    inbound_id INTEGER NOT NULL,
    remote_id TEXT NOT NULL,
    item_id INTEGER,
    sku TEXT NOT NULL,
    quantity INTEGER NOT NULL,
    allocated INTEGER NOT NULL,
    picked INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    received INTEGER NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_inbound_line_per_remote_id UNIQUE (inbound_id, remote_id),
    CONSTRAINT brings_something CHECK (quantity > 0),
    CONSTRAINT counts_not_negative CHECK (allocated >= 0 AND picked >= 0 AND sent >= 0 AND received >= 0),
    CONSTRAINT sends_at_most_all CHECK (allocated + picked + sent <= quantity),
    FOREIGN KEY(inbound_id) REFERENCES inbound (id),
    FOREIGN KEY(item_id) REFERENCES item (id)
)
 STRICT;

CREATE INDEX inbound_line_of_item ON inbound_line (item_id);

CREATE INDEX ix_inbound_line_inbound_id ON inbound_line (inbound_id);
"""

MESSAGE = """
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
    CONSTRAINT known_kind CHECK (kind IN ('stock_level', 'shipment', 'cancellation', 'link', 'item', 'inbound', 'order')),
    CONSTRAINT known_state CHECK (state IN ('pending', 'sending', 'sent', 'unknown', 'parked')),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX message_by_state ON message (connection_id, kind, state);
"""
OF_MESSAGE = (
    "id, connection_id, kind, subject, revision, state, sent_revision, attempts, not_before, lease_until, "
    "remote_ref, reason, queued_at"
)

ITEM = """
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
    client_id INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT cost_not_negative CHECK (unit_cost >= 0),
    CONSTRAINT weight_not_negative CHECK (weight_grams >= 0),
    CONSTRAINT sku_not_empty CHECK (sku <> ''),
    UNIQUE (sku),
    FOREIGN KEY(parent_id) REFERENCES item (id),
    FOREIGN KEY(client_id) REFERENCES client (id)
)
 STRICT;

CREATE INDEX ix_item_client_id ON item (client_id);

CREATE INDEX ix_item_gtin ON item (gtin);

CREATE INDEX ix_item_parent_id ON item (parent_id);
"""
OF_ITEM = "id, sku, gtin, name, parent_id, attributes, unit_cost, weight_grams, active, created_at"

WAREHOUSE = """
CREATE TABLE warehouse (
    id INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    rank INTEGER NOT NULL,
    active INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    shared INTEGER NOT NULL,
    keeper TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_kind CHECK (kind IN ('own', 'fba', 'zfs', 'zfn', 'house')),
    UNIQUE (name)
)
 STRICT;
"""
OF_WAREHOUSE = "id, name, kind, rank, active, created_at"

CUSTOMER_ORDER = """
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
    ship_from INTEGER,
    entered_by TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_order_per_remote_id UNIQUE (connection_id, remote_id),
    CONSTRAINT known_state CHECK (state IN ('pending', 'ready', 'part_shipped', 'shipped', 'completed', 'cancelled')),
    CONSTRAINT known_fulfilled_by CHECK (fulfilled_by IN ('merchant', 'channel', 'both')),
    CONSTRAINT known_cancelling CHECK (cancelling IN ('', 'requested', 'accepted', 'refused')),
    UNIQUE (number),
    FOREIGN KEY(connection_id) REFERENCES connection (id),
    FOREIGN KEY(ship_from) REFERENCES warehouse (id)
)
 STRICT;

CREATE INDEX order_by_state ON customer_order (state, placed_at);
"""
OF_CUSTOMER_ORDER = (
    "id, number, connection_id, remote_id, state, channel_status, hold, cancelling, cancel_reason, "
    "buyer_wants_cancel, fulfilled_by, marketplace, service_level, placed_at, updated_at, recorded_at, "
    "ship_by, shipped_at, completed_at, cancelled_at, total, currency, city, region, postcode, country, "
    "replaces, digest"
)

SHIPMENT = """
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
    last_movement INTEGER,
    PRIMARY KEY (id),
    CONSTRAINT one_package_per_reference UNIQUE (order_id, reference),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(warehouse_id) REFERENCES warehouse (id)
)
 STRICT;
"""
OF_SHIPMENT = "id, order_id, reference, warehouse_id, carrier, service, tracking, shipped_at, elsewhere, confirmed_at"


def upgrade() -> None:
    """Add the new tables, and rebuild those that get a column or a code: foreign keys are off, so no child row is
    touched."""
    _make(NEW)
    op.execute("PRAGMA legacy_alter_table=ON")  # or the children would follow the old table to its new name
    _rebuild("message", MESSAGE, OF_MESSAGE, {})
    _rebuild("item", ITEM, OF_ITEM, {})
    _rebuild("warehouse", WAREHOUSE, OF_WAREHOUSE, {"shared": "1", "keeper": "''"})
    _rebuild("customer_order", CUSTOMER_ORDER, OF_CUSTOMER_ORDER, {"entered_by": "''"})
    _rebuild("shipment", SHIPMENT, OF_SHIPMENT, {})
    op.execute("PRAGMA legacy_alter_table=OFF")


def _make(tables: str) -> None:
    for statement in tables.split(";\n"):
        if statement.strip():
            op.execute(statement)


def _rebuild(table: str, ddl: str, columns: str, added: dict[str, str]) -> None:
    """A table as `ddl` says, with the old `columns` of each row and the `added` ones."""
    made, *indexes = [statement for statement in ddl.split(";\n") if statement.strip()]
    op.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    op.execute(made)
    names, values = (", ".join([columns, *part]) for part in (added.keys(), added.values()))
    op.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {table}_before")
    op.execute(f"DROP TABLE {table}_before")  # its indexes go with it, and so their names are free
    for index in indexes:
        op.execute(index)
