"""Always on: when tasks are due, breakers, who keeps the schedule, what a run brought; movements form a chain;
housekeeping has runs of its own; a master key can be rotated."""

from hashlib import blake2b

from alembic import op

revision = "0002"
down_revision = "0001"

NEW = """
CREATE TABLE attendance (
    who TEXT NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    ended_at TEXT,
    state TEXT NOT NULL,
    PRIMARY KEY (who),
    CONSTRAINT known_who CHECK (who IN ('daemon', 'sync due'))
)
 STRICT;

CREATE TABLE breaker (
    connection_id INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    opened_at TEXT,
    open_until TEXT,
    why TEXT NOT NULL,
    PRIMARY KEY (connection_id),
    CONSTRAINT failures_not_negative CHECK (failures >= 0),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE TABLE scheduled_task (
    id INTEGER NOT NULL,
    connection_id INTEGER,
    task TEXT NOT NULL,
    longest INTEGER NOT NULL,
    at_midnight INTEGER NOT NULL,
    every INTEGER,
    next_at TEXT NOT NULL,
    late_at TEXT NOT NULL,
    last_at TEXT,
    last_ok_at TEXT,
    failures INTEGER NOT NULL,
    waits TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT longest_is_a_time CHECK (longest > 0),
    CONSTRAINT only_shorter CHECK (every > 0 AND every <= longest),
    CONSTRAINT failures_not_negative CHECK (failures >= 0),
    CONSTRAINT known_waits CHECK (waits IN ('', 'throttled', 'failed', 'stopped')),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE UNIQUE INDEX one_row_per_task ON scheduled_task (coalesce(connection_id, 0), task);
"""

COMPANY = """
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
    next_key_fingerprint TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT one_company CHECK (id = 1)
)
 STRICT;
"""

RUN = """
CREATE TABLE run (
    id INTEGER NOT NULL,
    connection_id INTEGER,
    task TEXT NOT NULL,
    worker TEXT NOT NULL,
    again INTEGER,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    lease_until TEXT,
    outcome TEXT NOT NULL,
    items INTEGER NOT NULL,
    items_failed INTEGER NOT NULL,
    orders INTEGER NOT NULL,
    orders_failed INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT known_outcome CHECK (outcome IN ('running', 'ok', 'partial', 'failed', 'abandoned')),
    FOREIGN KEY(connection_id) REFERENCES connection (id)
)
 STRICT;

CREATE INDEX ix_run_connection_id ON run (connection_id);
"""

RUN_RECORDS = """
CREATE TABLE run_records (
    id INTEGER NOT NULL,
    run_id INTEGER NOT NULL,
    kind TEXT NOT NULL,
    remote_ids TEXT NOT NULL,
    PRIMARY KEY (id),
    FOREIGN KEY(run_id) REFERENCES run (id)
)
 STRICT;

CREATE INDEX ix_run_records_run_id ON run_records (run_id);
"""

MOVEMENT = """
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
    digest BLOB NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT moves_something CHECK (quantity > 0),
    CONSTRAINT two_ends CHECK (source_id <> destination_id),
    CONSTRAINT known_reason CHECK (reason IN ('opening', 'received', 'adjusted', 'counted', 'transferred', 'arrived', 'picked', 'unpicked', 'shipped', 'returned')),
    FOREIGN KEY(item_id) REFERENCES item (id),
    FOREIGN KEY(source_id) REFERENCES place (id),
    FOREIGN KEY(destination_id) REFERENCES place (id)
)
 STRICT;

CREATE INDEX movement_of_item ON movement (item_id, at);

CREATE INDEX movement_by_reference ON movement (reference);
"""

APPEND_ONLY = (
    "CREATE TRIGGER movement_is_never_changed BEFORE UPDATE ON movement"
    " BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END",
    "CREATE TRIGGER movement_is_never_deleted BEFORE DELETE ON movement"
    " BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END",
)

OF_A_COMPANY = "id, ledger_id, name, country, time_zone, currency, key_kind, key_detail, key_fingerprint, created_at"
OF_A_RUN = "id, connection_id, task, started_at, ended_at, lease_until, outcome, items, orders, sent, failed, note"
OF_A_MOVEMENT = "at, item_id, source_id, destination_id, quantity, reason, reference, actor, note"


def upgrade() -> None:
    """Add the new tables, and rebuild those that get a column: foreign keys are off, so no child row is touched."""
    _make(NEW)
    op.execute("PRAGMA legacy_alter_table=ON")  # or the children would follow the old table to its new name
    _rebuild("company", COMPANY, OF_A_COMPANY, {"next_key_fingerprint": "''"})
    _rebuild("run", RUN, OF_A_RUN, {"worker": "''", "items_failed": "0", "orders_failed": "0"})
    _chain()
    op.execute("PRAGMA legacy_alter_table=OFF")
    _make(RUN_RECORDS)


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
    op.execute(f"DROP TABLE {table}_before")  # its indexes and triggers go with it, and so their names are free
    for index in indexes:
        op.execute(index)


def _chain() -> None:
    """Give every movement its digest: of the row, and of the digest before it (zenv.ledger.chain, as it was then)."""
    made, *indexes = [statement for statement in MOVEMENT.split(";\n") if statement.strip()]
    op.execute("ALTER TABLE movement RENAME TO movement_before")
    op.execute(made)
    sql, digest = op.get_bind(), bytes(16)
    found = sql.exec_driver_sql(f"SELECT id, {OF_A_MOVEMENT} FROM movement_before ORDER BY id")
    for rows in found.partitions(5000):
        linked = []
        for number, *values in rows:
            said = "\x1f".join([digest.hex(), *map(str, values)])
            digest = blake2b(said.encode(), digest_size=16).digest()
            linked.append((number, *values, digest))
        sql.exec_driver_sql(
            f"INSERT INTO movement (id, {OF_A_MOVEMENT}, digest) VALUES (?,?,?,?,?,?,?,?,?,?,?)", linked
        )
    op.execute("DROP TABLE movement_before")
    for statement in (*indexes, *APPEND_ONLY):
        op.execute(statement)
