"""People: pseudonymous customers, sealed papers, the owner's own terms, an audit trail that cannot be changed."""

from alembic import op

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE customer (
    id INTEGER NOT NULL,
    pseudonym TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    redacted_at TEXT,
    PRIMARY KEY (id),
    UNIQUE (pseudonym)
)
 STRICT;

CREATE TABLE order_customer (
    order_id INTEGER NOT NULL,
    customer_id INTEGER NOT NULL,
    PRIMARY KEY (order_id),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(customer_id) REFERENCES customer (id)
)
 STRICT;

CREATE INDEX ix_order_customer_customer_id ON order_customer (customer_id);

CREATE TABLE paper (
    id INTEGER NOT NULL,
    order_id INTEGER NOT NULL,
    shipment_id INTEGER,
    kind TEXT NOT NULL,
    type TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT NOT NULL,
    made_at TEXT NOT NULL,
    made_by TEXT NOT NULL,
    destroyed_at TEXT,
    PRIMARY KEY (id),
    CONSTRAINT known_kind CHECK (kind IN ('packing_slip', 'address_label', 'carrier_label')),
    CONSTRAINT known_type CHECK (type IN ('pdf', 'png', 'zpl', 'gif', 'jpeg')),
    CONSTRAINT holds_something CHECK (bytes > 0),
    FOREIGN KEY(order_id) REFERENCES customer_order (id),
    FOREIGN KEY(shipment_id) REFERENCES shipment (id)
)
 STRICT;

CREATE INDEX ix_paper_order_id ON paper (order_id);

CREATE TABLE privacy_term (
    entry TEXT NOT NULL,
    days INTEGER NOT NULL,
    set_at TEXT NOT NULL,
    PRIMARY KEY (entry),
    CONSTRAINT days_not_negative CHECK (days >= 0)
)
 STRICT;

CREATE TABLE audit (
    id INTEGER NOT NULL,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    result TEXT NOT NULL,
    detail TEXT NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_result CHECK (result IN ('done', 'refused', 'failed'))
)
 STRICT;

CREATE INDEX ix_audit_action ON audit (action);
"""

APPEND_ONLY = (
    "CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
    "CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END",
)


def upgrade() -> None:
    """Add the tables."""
    for statement in TABLES.split(";\n"):
        if statement.strip():
            op.execute(statement)
    for trigger in APPEND_ONLY:
        op.execute(trigger)
    # Until now the buyer's own words were kept there, which may name them.
    op.execute("UPDATE customer_order SET buyer_wants_cancel = 'BUYER' WHERE buyer_wants_cancel <> ''")
