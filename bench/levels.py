"""(c) Reading the levels of all SKUs, beside a bare read of the level table, while the movements grow.

The movements are made by SQL in the ledger's own tables and folded into levels by SQL, which takes a minute where
booking them would take an hour. A level that is kept is as fast at five million movements as at one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import ledgers
from bench.measure import Target, compare, heading, in_turn, say, timed
from zenv.ledger import sqlite, stock, views
from zenv.ledger.book import open_book
from zenv.ledger.home import LEDGER

ITEMS = 10_000
WAREHOUSES = 5

INSERT_ITEMS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :items)
INSERT INTO item (sku, name, attributes, active, created_at)
SELECT printf('SKU-%05d', i), printf('Item number %d', i), '{}', 1, '2026-01-01 00:00:00.000000' FROM n
"""

# Each movement brings goods to one shelf, so that no fold is ever below zero; the multipliers spread items and places.
INSERT_MOVEMENTS = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last),
     shelf(place, number) AS (SELECT id, row_number() OVER (ORDER BY id) - 1 FROM place WHERE state = 'on_hand')
INSERT INTO movement (at, item_id, source_id, destination_id, quantity, reason, reference, actor, note, digest)
SELECT strftime('%Y-%m-%d %H:%M:%S.000000', 1767225600 + i * 6, 'unixepoch'), 1 + (i * 7919) % :items, 1,
       (SELECT place FROM shelf WHERE number = (i * 31 + i / :items) % :warehouses), 1 + i % 5, 'received',
       'delivery ' || (i / 100), 'bench', '', zeroblob(16)
  FROM n
"""

FOLD = """
INSERT OR REPLACE INTO level (item_id, warehouse_id, on_hand, picked, in_transit)
SELECT m.item_id, p.warehouse_id, SUM(m.quantity), 0, 0 FROM movement m JOIN place p ON p.id = m.destination_id
 GROUP BY m.item_id, p.warehouse_id
"""


def run(quick: bool) -> None:
    """Compare at one and at five million movements."""
    sizes = (20_000, 40_000) if quick else (1_000_000, 5_000_000)
    items = 500 if quick else ITEMS
    seconds: list[float] = []
    with ledgers.scratch() as folder:
        _with_items(folder / "home", items)
        last = 0
        for size in sizes:
            made = timed(lambda: _grow(folder / "home", items, last, size))  # noqa: B023  # called at once
            last = size
            heading(f"(c) levels of {items:,} SKUs in {WAREHOUSES} warehouses after {size:,} movements")
            seconds.append(_measure(folder / "home", items, rounds=2 if quick else 15))
            say("made the movements in", f"{made:,.1f} s", f"ledger of {_megabytes(folder / 'home'):,.0f} MB")
    growth = seconds[1] / seconds[0]
    say(f"all levels at {sizes[1]:,} / at {sizes[0]:,} movements", f"{growth:.2f} x", Target(most=1.2).judge(growth))


def _with_items(home: Path, items: int) -> None:
    with ledgers.new_book(home) as book, book.transaction() as t:
        for number in range(2, WAREHOUSES + 1):
            stock.add_warehouse(t, f"Warehouse {number}", rank=100 + number)
    _run(home, (INSERT_ITEMS, {"items": items}))


def _grow(home: Path, items: int, already: int, until: int) -> None:
    limits = {"first": already + 1, "last": until, "items": items, "warehouses": WAREHOUSES}
    _run(home, (INSERT_MOVEMENTS, limits), (FOLD, {}))


def _run(home: Path, *statements: tuple[str, dict[str, int]]) -> None:
    connection = sqlite.module.connect(home / LEDGER)
    sqlite.prepare(connection, busy_seconds=10)
    connection.execute("PRAGMA cache_size=-262144").close()
    connection.execute("BEGIN IMMEDIATE").close()
    for statement, parameters in statements:
        connection.execute(statement, parameters).close()
    connection.execute("COMMIT").close()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    connection.close()


def _measure(home: Path, items: int, rounds: int) -> float:
    medians = in_turn(
        {
            "bare read of the level table": lambda: timed(lambda: _bare(home, "SELECT * FROM level")),
            "the same with names, in order": lambda: timed(lambda: _bare(home, NAMED)),
            "zenv stock levels, all SKUs": lambda: timed(lambda: views.levels(home)),
            "zenv stock levels, one SKU": lambda: timed(lambda: views.levels(home, "SKU-00042")),
        },
        rounds,
    )
    _check(home, items)
    compare(medians, "bare read of the level table", {"zenv stock levels, all SKUs": Target(most=1.3)})
    ours, named = medians["zenv stock levels, all SKUs"], medians["the same with names, in order"]
    say("zenv / the same with names, in order", f"{ours / named:.2f} x")
    return ours


NAMED = """
SELECT i.sku, i.name, w.name, l.on_hand, l.picked, l.in_transit FROM level l
  JOIN warehouse w ON w.id = l.warehouse_id JOIN item i ON i.id = l.item_id ORDER BY i.sku, w.name
"""


def _bare(home: Path, query: str) -> list[Any]:
    connection = sqlite.read_only((home / LEDGER).absolute())
    try:
        found: list[Any] = connection.execute(query).fetchall()
        return found
    finally:
        connection.close()


def _check(home: Path, items: int) -> None:
    """What is read is what was moved."""
    table = views.levels(home)
    ((moved,),) = _bare(home, "SELECT SUM(quantity) FROM movement")
    column = table.columns.index("on_hand")
    assert sum(row[column] for row in table.rows) == moved
    assert len(table.rows) == items * WAREHOUSES
    with open_book(home) as book, book.reading() as sql:
        assert stock.on_hand(sql, 1, 1) > 0


def _megabytes(home: Path) -> float:
    return (home / LEDGER).stat().st_size / 1e6
