"""Looking things up: the SQL views over a plain read-only connection, without loading the ORM.

The views and their columns (`views.sql`) are the contract; the functions here only choose rows. Everything is read
whole and the connection closed, because an open read cursor can hold up a writer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenv.errors import BadInput, NotFound
from zenv.ledger import sqlite
from zenv.ledger.home import LEDGER


@dataclass(frozen=True)
class Table:
    """Named columns and rows of plain values."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def first(self) -> dict[str, Any] | None:
        """The first row by column name."""
        return dict(zip(self.columns, self.rows[0], strict=True)) if self.rows else None


def rows(home: Path, query: str, parameters: Sequence[Any] = ()) -> Table:
    """Run a SELECT. Raises NotFound without a ledger, WrongLedger for another program's file."""
    with _reading(home) as connection:
        return _table(connection.execute(query, tuple(parameters)))


def _table(cursor: Any) -> Table:
    return Table(tuple(column[0] for column in cursor.description or ()), cursor.fetchall())


LIST_VIEWS = """zenv sql "SELECT name FROM sqlite_master WHERE type = 'view'\""""


def sql(home: Path, query: str) -> Table:
    """Run a user's own query (`zenv sql`): one question; SQLite itself refuses whatever does more than read."""
    try:
        with _reading(home) as connection:
            connection.set_authorizer(_only_reading)
            found = _table(connection.execute(query))
    except (sqlite.module.Error, sqlite.module.Warning) as error:
        raise BadInput(f"SQLite does not take the query: {error}. zenv sql only reads.", LIST_VIEWS) from None
    if not found.columns:
        raise BadInput("That is no question: nothing was asked for.", LIST_VIEWS)
    return found


def _only_reading(action: int, *_: str | None) -> int:
    lib = sqlite.module
    reads = action in (lib.SQLITE_SELECT, lib.SQLITE_READ, lib.SQLITE_FUNCTION, lib.SQLITE_RECURSIVE)
    return int(lib.SQLITE_OK if reads else lib.SQLITE_DENY)


@contextmanager
def _reading(home: Path) -> Iterator[Any]:
    path = home / LEDGER
    if not path.is_file():
        raise NotFound(f"There is no ledger in {home}.", "zenv init")
    connection = sqlite.open_ours(path)
    try:
        yield connection
    except sqlite.module.DatabaseError as error:
        raise sqlite.plain(error) from None
    finally:
        connection.close()


def _where(**wanted: Any) -> tuple[str, list[Any]]:
    given = {name: value for name, value in wanted.items() if value is not None}
    return " AND ".join(f"{name} = ?" for name in given) or "1", list(given.values())


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"


# ---- one function per question ---------------------------------------------------------------------------


def items(home: Path, search: str | None = None, limit: int = 50) -> Table:
    """Items by SKU, name or GTIN."""
    pattern = _like(search or "")
    return rows(
        home,
        "SELECT sku, gtin, name, parent, on_hand, demand, available, listings, active, client FROM items"
        " WHERE sku LIKE ?1 ESCAPE '\\' OR name LIKE ?1 ESCAPE '\\' OR gtin LIKE ?1 ESCAPE '\\'"
        " ORDER BY sku LIMIT ?2",
        (pattern, limit),
    )


def item(home: Path, sku: str) -> dict[str, Any]:
    """One item; raises NotFound."""
    return _one(rows(home, "SELECT * FROM items WHERE sku = ?", (sku,)), f"item {sku!r}", "zenv items list")


def listings(home: Path, item: str | None = None, connection: str | None = None, limit: int = 1000) -> Table:
    """Listings with what is live, submitted and applied."""
    clause, given = _where(item=item, connection=connection)
    return rows(home, f"SELECT * FROM listings WHERE {clause} ORDER BY connection, sku LIMIT ?", [*given, limit])


def levels(home: Path, sku: str | None = None, warehouse: str | None = None, actor: str | None = None) -> Table:
    """What is on hand, picked and in transit, per item and warehouse, where `actor` sees it (None: everywhere)."""
    clause, given = _where(sku=sku, warehouse=warehouse)
    query = f"SELECT * FROM levels WHERE {clause} AND warehouse NOT IN ({HIDDEN}) ORDER BY sku, warehouse"
    return rows(home, query, [*given, actor])


HIDDEN = """
SELECT w.name FROM warehouse w, (SELECT ? AS actor) me
 WHERE me.actor IS NOT NULL AND NOT w.shared AND w.keeper <> me.actor AND EXISTS (SELECT 1 FROM zenv_user)
   AND me.actor NOT IN (SELECT name FROM zenv_user WHERE administrator AND active)
"""
"""The warehouses a user does not see (Z45); in Python: `stock.sees`."""


AS_OF = f"""
SELECT sku, name, warehouse,
       SUM(CASE WHEN state = 'on_hand' THEN change ELSE 0 END) AS on_hand,
       SUM(CASE WHEN state = 'picked' THEN change ELSE 0 END) AS picked,
       SUM(CASE WHEN state = 'in_transit' THEN change ELSE 0 END) AS in_transit
  FROM (SELECT i.sku, i.name, w.name AS warehouse, p.state, SUM(e.change) AS change
          FROM (SELECT item_id, destination_id AS place_id, quantity AS change FROM movement WHERE at <= ?1
                UNION ALL
                SELECT item_id, source_id, -quantity FROM movement WHERE at <= ?1) e
          JOIN place p ON p.id = e.place_id
          JOIN warehouse w ON w.id = p.warehouse_id
          JOIN item i ON i.id = e.item_id
         GROUP BY e.item_id, e.place_id)
 WHERE (?2 IS NULL OR sku = ?2) AND (?3 IS NULL OR warehouse = ?3) AND warehouse NOT IN ({HIDDEN})
 GROUP BY sku, warehouse
HAVING on_hand <> 0 OR picked <> 0 OR in_transit <> 0
 ORDER BY sku, warehouse
"""


def levels_as_of(
    home: Path, at: str, sku: str | None = None, warehouse: str | None = None, actor: str | None = None
) -> Table:
    """The levels at a moment (UTC, `YYYY-MM-DD HH:MM:SS.ffffff`): the fold of the movements until then, where `actor`
    sees it."""
    return rows(home, AS_OF, (at, sku, warehouse, actor))


def movements(home: Path, sku: str | None = None, limit: int = 100) -> Table:
    """The latest movements, newest first."""
    clause, given = _where(sku=sku)
    return rows(home, f"SELECT * FROM movements WHERE {clause} ORDER BY movement DESC LIMIT ?", [*given, limit])


def transfers(home: Path) -> Table:
    """Transfers with units still under way."""
    return rows(home, "SELECT * FROM transfers WHERE under_way > 0 ORDER BY transfer")


def warehouses(home: Path, actor: str | None = None) -> Table:
    """The warehouses that `actor` sees (None: all), in the order in which orders are filled from them."""
    query = f"SELECT warehouse, kind, rank, active, units, shared FROM warehouses WHERE warehouse NOT IN ({HIDDEN})"
    return rows(home, f"{query} ORDER BY rank, warehouse", (actor,))


def inbounds(home: Path, state: str | None = None, actor: str | None = None) -> Table:
    """Goods on their way (None: those that have not ended), the latest first, where `actor` sees both ends."""
    clause, given = _where(state=state)
    still = clause if state else "state NOT IN ('closed', 'cancelled')"
    seen = f"WITH hidden AS ({HIDDEN}) SELECT number, kind, client, supplier, source, destination, state, made_by,"
    return rows(
        home,
        f"{seen} expected_at, units, sent, received, told FROM inbounds WHERE {still}"
        " AND destination NOT IN hidden AND COALESCE(source, '') NOT IN hidden ORDER BY made_at DESC, number",
        [actor, *given],
    )


def inbound(home: Path, number: str) -> dict[str, Any]:
    """One inbound; raises NotFound."""
    found = rows(home, "SELECT * FROM inbounds WHERE number = ?", (number,))
    return _one(found, f"inbound {number!r}", "zenv inbound list")


def inbound_lines(home: Path, number: str) -> Table:
    """The lines of an inbound: what was to come, and what came."""
    return rows(home, "SELECT * FROM inbound_lines WHERE number = ?", (number,))


def orders(
    home: Path, state: str | None = None, connection: str | None = None, search: str | None = None, limit: int = 50
) -> Table:
    """Orders, newest first; `search` is part of a number."""
    clause, given = _where(state=state, connection=connection)
    if search:
        clause, given = f"{clause} AND number LIKE ? ESCAPE '\\'", [*given, _like(search)]
    return rows(
        home,
        "SELECT number, connection, state, placed_at, ship_by, units, open, total, currency, city, country"
        f" FROM orders WHERE {clause} ORDER BY placed_at DESC, number LIMIT ?",
        [*given, limit],
    )


def order(home: Path, number: str) -> dict[str, Any]:
    """One order; raises NotFound."""
    found = rows(home, "SELECT * FROM orders WHERE number = ?", (number,))
    return _one(found, f"order {number!r}", "zenv orders list")


def handover(home: Path, number: str) -> dict[str, Any] | None:
    """How an order stands that a provider ships, and `why` it refused a change; None where none ships it."""
    return rows(home, HANDOVER, (number,)).first()


HANDOVER = """
SELECT h.*, (SELECT n.text FROM notice n WHERE n.kind = 'change refused' AND n.subject = h.number
                AND n.settled_at IS NULL) AS why
  FROM handovers h WHERE h.number = ?
"""


RECIPIENT_MISSING = """
SELECT COUNT(*) FROM customer_order o LEFT JOIN personal p ON p.order_id = o.id
 WHERE o.number = ?1 AND o.connection_id IS NOT NULL AND o.state IN ('ready', 'part_shipped')
   AND o.fulfilled_by = 'merchant' AND o.cancelling IN ('', 'refused')
   AND (p.order_id IS NULL OR p.fetched_at < '1971')
"""


def recipient_is_missing(home: Path, number: str) -> bool:
    """Whether the order could be shipped, but nobody is known to whom: `recipients.wanted` asks the channel for it."""
    return bool(rows(home, RECIPIENT_MISSING, (number,)).rows[0][0])


def order_lines(home: Path, number: str) -> Table:
    """The lines of an order."""
    return rows(home, "SELECT * FROM order_lines WHERE number = ?", (number,))


def order_comments(home: Path, number: str) -> Table:
    """What was said under an order."""
    return rows(
        home,
        "SELECT c.at, c.text FROM order_comment c JOIN customer_order o ON o.id = c.order_id"
        " WHERE o.number = ? ORDER BY c.id",
        (number,),
    )


def shipments(home: Path, number: str) -> Table:
    """The packages of an order."""
    return rows(home, "SELECT * FROM shipments WHERE number = ? ORDER BY shipped_at", (number,))


def papers(home: Path, number: str) -> Table:
    """The slips and labels of an order, also those that were destroyed; raises NotFound without the order."""
    order(home, number)
    return rows(home, "SELECT * FROM papers WHERE number = ? ORDER BY paper", (number,))


def connections(home: Path) -> Table:
    """All connections."""
    return rows(home, "SELECT * FROM connections ORDER BY connection")


def connection(home: Path, name: str) -> dict[str, Any]:
    """One connection with all its settings; raises NotFound."""
    found = rows(home, "SELECT * FROM connections WHERE connection = ?", (name,))
    return _one(found, f"connection {name!r}", "zenv connections list")


def company(home: Path) -> dict[str, Any]:
    """Whose ledger it is: name, country, time_zone, currency."""
    return _one(rows(home, "SELECT name, country, time_zone, currency FROM company"), "company", "zenv init")


def schedule(home: Path, connection: str | None = None) -> Table:
    """When each task has to run, when it ran, when it runs next, and why it is late or waits."""
    clause, given = _where(connection=connection)
    ordered = "connection = 'housekeeping', connection, scheduled"
    return rows(home, f"SELECT * FROM schedule WHERE {clause} ORDER BY {ordered}", given)


def late(home: Path) -> Table:
    """The tasks that have broken their bound, and why."""
    return rows(
        home,
        "SELECT connection, task, bound, last_ok_at, next_at, why, until_at FROM schedule WHERE late ORDER BY late_at",
    )


def attendance(home: Path) -> Table:
    """Who keeps the schedule, and when they were last seen at it."""
    return rows(home, "SELECT * FROM attendances ORDER BY who")


def run(home: Path, number: int) -> dict[str, Any]:
    """One run; raises NotFound."""
    return _one(rows(home, "SELECT * FROM runs WHERE run = ?", (number,)), f"run {number}", "zenv sync history")


def runs(home: Path, connection: str | None = None, limit: int = 50) -> Table:
    """The latest runs, newest first."""
    clause, given = _where(connection=connection)
    return rows(
        home,
        "SELECT run, connection, task, started_at, ended_at, outcome, items, items_failed, orders, orders_failed,"
        f" sent, failed, note, again, worker FROM runs WHERE {clause} ORDER BY run DESC LIMIT ?",
        [*given, limit],
    )


def run_failures(home: Path, run: int) -> Table:
    """The records a run set aside."""
    return rows(home, "SELECT * FROM run_failures WHERE run = ?", (run,))


def messages(home: Path, connection: str | None = None) -> Table:
    """What is owed to remotes."""
    clause, given = _where(connection=connection)
    return rows(home, f"SELECT * FROM messages WHERE {clause} ORDER BY message", given)


def users(home: Path) -> Table:
    """Our own people."""
    return rows(home, "SELECT * FROM users ORDER BY user")


def clients(home: Path) -> Table:
    """The companies whose goods we keep, and what is next with each."""
    return rows(
        home,
        "SELECT client, name, state, import_user, items, units, open_orders, open_inbounds, owed, last_seen_at, next"
        " FROM clients ORDER BY client",
    )


def requests_waiting(home: Path) -> dict[str, int]:
    """How many requests of companies wait, and how many of those nobody has seen."""
    found = rows(
        home,
        "SELECT COUNT(*) AS requests, COALESCE(SUM(reviewed_at IS NULL), 0) AS new FROM link_requests"
        " WHERE state = 'pending'",
    ).first()
    assert found is not None
    return found


def inbox(home: Path) -> Table:
    """All that needs a person, each with the command that settles it."""
    return rows(home, "SELECT kind, subject, text, command FROM inbox ORDER BY kind, subject")


def inbox_count(home: Path) -> int:
    """How many things wait on the inbox."""
    return int(rows(home, "SELECT COUNT(*) FROM inbox").rows[0][0])


def counts(home: Path) -> dict[str, int]:
    """The numbers of `zenv status`."""
    found = rows(home, COUNTS).first()
    assert found is not None
    return found


COUNTS = """
SELECT (SELECT COUNT(*) FROM item WHERE active) AS items,
       (SELECT COALESCE(SUM(on_hand), 0) FROM levels) AS units_on_hand,
       (SELECT COUNT(*) FROM customer_order WHERE state = 'pending') AS orders_pending,
       (SELECT COUNT(*) FROM customer_order WHERE state = 'ready') AS orders_ready,
       (SELECT COUNT(*) FROM customer_order WHERE state = 'part_shipped') AS orders_part_shipped,
       (SELECT COUNT(*) FROM customer_order WHERE state IN ('shipped', 'completed')) AS orders_shipped,
       (SELECT COUNT(*) FROM customer_order WHERE state = 'cancelled') AS orders_cancelled,
       (SELECT COUNT(*) FROM listing WHERE item_id IS NULL AND status <> 'deleted') AS unconfirmed_items,
       (SELECT COUNT(*) FROM message) AS messages_owed,
       (SELECT COUNT(*) FROM inbox) AS inbox
"""


def _one(found: Table, what: str, hint: str) -> dict[str, Any]:
    first = found.first()
    if first is None:
        raise NotFound(f"There is no {what}.", hint)
    return first
