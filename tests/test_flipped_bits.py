"""One bit of the file flips, as a dying disk or bad memory does: what the books say of stock and orders is noticed.

Every flip is either found by `zenv doctor`, or changes nothing but the columns of `UNSEEN`, which nothing else in the
ledger contradicts; all tables are compared to know. CI takes a seeded portion (ZENV_SEED), `pytest -m whole` many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DatabaseError

from tests import books
from tests.books import line, order, record
from tests.test_invariants import make_busy
from zenv.errors import WrongLedger
from zenv.ledger import invariants, migrations, sqlite, stock
from zenv.ledger.invariants import Check, file, goods

SEED = int(os.environ.get("ZENV_SEED", "1"))
A_PORTION, MANY = 250, 6000


@dataclass(frozen=True)
class Outcome:
    """Whether a flip was noticed, and the (table, column) it changed."""

    bit: int
    noticed: bool
    changed: frozenset[tuple[str, str]]


def filled(home: Path) -> bytes:
    """The bytes of a ledger that has seen some weeks: everything in one file."""
    with books.opened(home, books.Clock()) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main", rank=10)
            stock.add_warehouse(t, "Side", rank=20)
        make_busy(book)
        books.receive(book, "LAMP", 600)
        books.receive(book, "BULB", 50, "Side")
        for day in range(60):
            record(book, books.AMAZON, order(f"B-{day}", line("LAMP", 2), line("LAMP", 1, 2)))
            books.ship(book, f"B-{day}", tracking=f"T{day}")
            books.make_order(book, ("LAMP", 3))
        books.send(book, books.AMAZON, "shipment")
        assert books.findings(book) == []
    raw = sqlite.module.connect(home / "ledger.db")
    raw.execute("PRAGMA journal_mode=DELETE").fetchall()
    raw.close()
    return (home / "ledger.db").read_bytes()


def flip(ledger: bytes, bit: int, path: Path, checks: tuple[Check, ...] = invariants.CHECKS) -> Outcome:
    """Write the ledger with one bit flipped, and have it examined."""
    content = bytearray(ledger)
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    if noticed(path, checks):
        return Outcome(bit, True, frozenset())
    spoilt = contents(path)
    path.write_bytes(ledger)
    return Outcome(bit, False, frozenset(differences(contents(path), spoilt)))


def noticed(path: Path, checks: tuple[Check, ...]) -> bool:
    """Whether it cannot even be opened, is not of this version, or has a finding."""
    try:
        opened = sqlite.open_ours(path)
        (version,) = opened.execute("PRAGMA user_version").fetchone()
        opened.close()
        return bool(version != migrations.NEWEST or invariants.check_copy(path, books.MORNING, checks))
    except (WrongLedger, DatabaseError, sqlite.module.DatabaseError):
        return True


def contents(path: Path) -> dict[str, dict[Any, dict[str, Any]]]:
    """Every row of every table, by its rowid or key."""
    raw = sqlite.read_only(path)
    raw.text_factory = bytes
    tables = [name.decode() for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {}
    for table in tables:
        cursor = raw.execute(f'SELECT rowid, * FROM "{table}"')
        columns = [column[0] for column in cursor.description]
        found[table] = {row[0]: dict(zip(columns, row, strict=True)) for row in cursor}
    raw.close()
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for table in before.keys() | after.keys():
        old, new = before.get(table, {}), after.get(table, {})
        for key in old.keys() | new.keys():
            if key not in old or key not in new:
                yield table, "a row"
            else:
                yield from ((table, column) for column in old[key] if old[key][column] != new[key][column])


FREE_TEXT = "words for people, or the channel's own; nothing is worked out from them"
WHEN = "a time on its own; orders and movements keep their place by number"
MONEY = "an amount that stands once; the channel says it again with the next fact"
SEALED = "a seal that does not open any more says so when it is opened"
READ_AGAIN = "what the channel showed or was told; it is read and compared again"
SETTING = "a setting, shown by `zenv connections show`"

UNSEEN: dict[tuple[str, str], str] = {
    **{("customer_order", name): FREE_TEXT for name in (
        "channel_status", "hold", "cancel_reason", "buyer_wants_cancel", "marketplace", "service_level", "currency",
        "city", "region", "postcode", "country", "replaces")},
    **{("customer_order", name): WHEN for name in (
        "placed_at", "updated_at", "recorded_at", "ship_by", "shipped_at", "completed_at", "cancelled_at")},
    ("customer_order", "total"): MONEY, ("order_line", "price"): MONEY, ("order_line", "tax"): MONEY,
    ("customer_order", "digest"): READ_AGAIN,
    ("order_line", "sku"): FREE_TEXT, ("order_line", "name"): FREE_TEXT, ("order_line", "listing_id"): READ_AGAIN,
    ("order_comment", "at"): WHEN, ("order_comment", "text"): FREE_TEXT,
    **{("shipment", name): FREE_TEXT for name in ("carrier", "service", "tracking")},
    ("shipment", "shipped_at"): WHEN, ("shipment", "confirmed_at"): WHEN,
    ("shipment", "elsewhere"): "of a confirmed package, which is told to nobody any more",
    ("personal", "sealed"): SEALED, ("personal", "key_id"): SEALED, ("personal", "fetched_at"): WHEN,
    ("secret", "sealed"): SEALED, ("secret", "field"): SEALED,
    **{("item", name): FREE_TEXT for name in ("name", "attributes", "gtin")},
    ("item", "created_at"): WHEN, ("item", "sku"): FREE_TEXT, ("item", "active"): SETTING,
    ("item", "unit_cost"): MONEY, ("item", "weight_grams"): MONEY, ("item", "parent_id"): SETTING,
    **{("warehouse", name): SETTING for name in ("name", "rank", "active")}, ("warehouse", "created_at"): WHEN,
    **{("connection", name): SETTING for name in (
        "name", "kind", "external_id", "region", "marketplaces", "home_marketplace", "endpoint", "sandbox",
        "handling_days", "buffer", "with_fulfilled", "high_frequency", "adopt_new", "consent_scope")},
    **{("connection", name): WHEN for name in ("consent_at", "secret_set_at", "created_at", "opened_at")},
    **{("company", name): SETTING for name in (
        "ledger_id", "name", "country", "time_zone", "currency", "key_kind", "key_detail", "key_fingerprint")},
    ("company", "created_at"): WHEN, ("transfer", "sent_at"): WHEN,
    **{("listing", name): READ_AGAIN for name in (
        "name", "asin", "gtin", "product_type", "parent_sku", "is_parent", "attributes", "price", "currency",
        "needs_detail", "channel_quantity", "submitted", "submitted_handling", "digest", "sku")},
    **{("listing", name): WHEN for name in ("observed_at", "submitted_at", "applied_at", "opened_at",
                                            "first_seen_at")},
    **{("message", name): READ_AGAIN for name in ("revision", "sent_revision", "attempts", "remote_ref", "reason")},
    **{("message", name): WHEN for name in ("not_before", "lease_until", "queued_at")},
    **{("cursor", name): READ_AGAIN for name in ("stream", "position", "moved_at")},
    **{("rate_bucket", name): READ_AGAIN for name in ("key", "tokens", "rate", "at", "closed_until")},
}  # fmt: skip
"""What may change without `zenv doctor` seeing it, and why that is bearable. Everything else must be seen."""

OPEN_COUNTS = {("order_line", "quantity"), ("order_line", "cancelled")}
"""How much was ordered has no second witness while the line is open and more than lies there; the channel knows it."""


@pytest.fixture(scope="module")
def ledger(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return filled(books.home_like(blank_home, tmp_path_factory.mktemp("bits") / "home"))


def judge(ledger: bytes, count: int, path: Path, checks: tuple[Check, ...] = invariants.CHECKS) -> tuple[int, int, int]:
    """Flip so many bits, one at a time; how many were noticed, changed nothing, changed what nobody sees."""
    rng, outcomes = random.Random(SEED), []
    for _ in range(count):
        outcome = flip(ledger, rng.randrange(len(ledger) * 8), path, checks)
        wrong = outcome.changed - UNSEEN.keys() - OPEN_COUNTS
        assert not wrong, f"bit {outcome.bit} (ZENV_SEED={SEED}) changed {sorted(wrong)}, and nobody noticed"
        outcomes.append(outcome)
    seen = sum(outcome.noticed for outcome in outcomes)
    harmless = sum(not outcome.noticed and not outcome.changed for outcome in outcomes)
    return seen, harmless, count - seen - harmless


def test_a_seeded_portion_of_flips_is_found_or_changes_nothing_of_stock_and_orders(
    ledger: bytes, tmp_path: Path
) -> None:
    seen, harmless, unseen = judge(ledger, A_PORTION, tmp_path / "copy.db")
    print(f"of {A_PORTION} flips {seen} were found, {harmless} changed nothing, {unseen} changed free text or a time")
    assert seen > A_PORTION / 10


@pytest.mark.whole
def test_many_flips_are_found_or_change_nothing_of_stock_and_orders(ledger: bytes, tmp_path: Path) -> None:
    seen, harmless, unseen = judge(ledger, MANY, tmp_path / "copy.db")
    print(f"of {MANY} flips {seen} were found, {harmless} changed nothing, {unseen} changed free text or a time")
    assert seen > MANY / 10


COUNTS = {
    "movement": ("item_id", "source_id", "destination_id", "quantity"),
    "level": ("on_hand", "picked", "in_transit"),
    "reservation": ("item_id", "warehouse_id", "quantity", "picked"),
    "order_line": ("item_id", "quantity", "cancelled", "shipped"),
    "shipment_line": ("line_id", "quantity"),
    "shipment": ("order_id",),
    "transfer": ("item_id", "source_id", "destination_id", "quantity", "arrived"),
    "place": ("warehouse_id",),
    "message": ("subject", "connection_id"),
}  # fmt: skip
"""What the books say of stock, quantities and whose they are. (Whose a line is stands in an index as well.)"""


def flipped_cells(ledger: bytes, path: Path, per_column: int, checks: tuple[Check, ...]) -> list[tuple[str, str, int]]:
    """Flip one of the low bits of numbers, each with its index kept right: the flips that go unseen the easiest. Those
    that nobody noticed, as (table, column, rowid)."""
    rng, unseen = random.Random(SEED), []
    for table, column in [(table, column) for table, columns in COUNTS.items() for column in columns]:
        path.write_bytes(ledger)
        cells = ask(path, f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL")
        for _ in range(per_column):
            row, value = rng.choice(cells)
            path.write_bytes(ledger)
            if set_cell(path, table, column, row, value ^ 1 << rng.randrange(4)) and not noticed(path, checks):
                unseen.append((table, column, row))
    return unseen


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    raw = sqlite.read_only(path)
    found: list[tuple[Any, ...]] = raw.execute(query).fetchall()
    raw.close()
    return found


def set_cell(path: Path, table: str, column: str, row: int, value: int) -> bool:
    """Past all rules; False where a unique index has no place for it."""
    raw = sqlite.module.connect(path, isolation_level=None)
    (trigger,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'movement_is_never_changed'").fetchone()
    for statement in ("PRAGMA foreign_keys=OFF", "PRAGMA ignore_check_constraints=ON",
                      "DROP TRIGGER movement_is_never_changed"):  # fmt: skip
        raw.execute(statement)
    try:
        raw.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, row))
    except sqlite.module.IntegrityError:
        return False
    finally:
        raw.execute(trigger)
        raw.close()
    return True


def only_open_counts(ledger: bytes, path: Path, unseen: list[tuple[str, str, int]]) -> bool:
    """Whether all that nobody noticed are counts of lines that are still open."""
    path.write_bytes(ledger)
    still_open = {row for (row,) in ask(path, "SELECT id FROM order_line WHERE quantity > cancelled + shipped")}
    return all((table, column) in OPEN_COUNTS and row in still_open for table, column, row in unseen)


def test_a_flipped_count_is_found_unless_only_the_channel_can_know_it(ledger: bytes, tmp_path: Path) -> None:
    unseen = flipped_cells(ledger, tmp_path / "copy.db", 6, invariants.CHECKS)
    assert only_open_counts(ledger, tmp_path / "copy.db", unseen), unseen


@pytest.mark.whole
def test_many_flipped_counts_are_found_unless_only_the_channel_can_know_them(ledger: bytes, tmp_path: Path) -> None:
    unseen = flipped_cells(ledger, tmp_path / "copy.db", 100, invariants.CHECKS)
    assert only_open_counts(ledger, tmp_path / "copy.db", unseen), unseen


@pytest.mark.parametrize("blind", [(file.file_is_sound, file.movements_are_a_chain),
                                   (file.movements_are_a_chain, goods.levels_are_the_fold_of_movements)],
                         ids=["only the books", "without chain and fold"])  # fmt: skip
def test_a_doctor_without_these_checks_misses_flips(ledger: bytes, tmp_path: Path, blind: tuple[Check, ...]) -> None:
    """The planted mutants: the tests above would notice."""
    left = tuple(check for check in invariants.CHECKS if check not in blind)
    unseen = flipped_cells(ledger, tmp_path / "copy.db", 6, left)
    assert not only_open_counts(ledger, tmp_path / "copy.db", unseen)
