"""Upgrades: the old file or the new one, never something between, and never a row less.

The steps used here are made for the test: they rebuild a table that has children, triggers, views and unnamed
checks hanging on it, which is what Alembic's batch mode destroys.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from tests import books
from tests.books import line, order, record
from tests.kills import killed_at
from zenv.errors import Bug
from zenv.ledger import chain, migrations, sqlite, views
from zenv.ledger.book import Book
from zenv.ledger.db import make_engine
from zenv.ledger.home import APPLICATION_ID

FIRST, SECOND = migrations.NEWEST + 1, migrations.NEWEST + 2
"""The numbers of the steps that these tests add behind the real ones."""

CHILDREN = """
from alembic import op
revision, down_revision = "FIRST", "NEWEST"
def upgrade():
    op.execute("CREATE TABLE tag (item_id INTEGER NOT NULL REFERENCES item(id) ON DELETE CASCADE, word TEXT NOT NULL,"
               " CHECK (word <> ''), PRIMARY KEY (item_id, word)) STRICT")
    op.execute("INSERT INTO tag SELECT id, 'lamp ' || sku FROM item")
    op.execute("CREATE TRIGGER item_keeps_its_sku BEFORE UPDATE OF sku ON item WHEN old.sku = 'LAMP'"
               " BEGIN SELECT RAISE(ABORT, 'LAMP stays LAMP'); END")
"""

REBUILD = """
from alembic import op
revision, down_revision = "SECOND", "FIRST"
COLUMNS = "id, sku, gtin, name, parent_id, attributes, unit_cost, weight_grams, active, created_at"
def upgrade():
    sql = op.get_bind().exec_driver_sql
    made = sql("SELECT sql FROM sqlite_master WHERE name = 'item'").scalar_one()
    hanging = sql("SELECT sql FROM sqlite_master WHERE tbl_name = 'item' AND type IN ('index', 'trigger')"
                  " AND sql IS NOT NULL").scalars().all()
    made = made.replace("CREATE TABLE item", "CREATE TABLE item_new").replace(
        "client_id INTEGER,", "client_id INTEGER, colour TEXT NOT NULL DEFAULT 'white',"
        " CHECK (length(colour) > 2),")
    op.execute(made)
    op.execute(f"INSERT INTO item_new ({COLUMNS}) SELECT {COLUMNS} FROM item")
    op.execute("DROP TABLE item")
    op.execute("ALTER TABLE item_new RENAME TO item")
    for statement in hanging:
        op.execute(statement)
"""

ORPHANS = """
from alembic import op
revision, down_revision = "SECOND", "FIRST"
def upgrade():
    op.execute("CREATE TABLE survivor (a)")
    op.execute("DELETE FROM item")
"""

BROKEN = """
from alembic import op
revision, down_revision = "SECOND", "FIRST"
def upgrade():
    op.execute("CREATE TABLE survivor (a)")
    op.execute("INSERT INTO nowhere VALUES (1)")
"""


def steps(folder: Path, *added: str) -> Path:
    """The real steps with some more behind them."""
    shutil.copytree(migrations.STEPS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    numbers = {"NEWEST": migrations.NEWEST, "FIRST": FIRST, "SECOND": SECOND}
    for number, text in enumerate(added, FIRST):
        for word, meant in numbers.items():
            text = text.replace(f'"{word}"', f'"{meant:04}"')
        (folder / "versions" / f"{number:04}_test.py").write_text(text)
    return folder


@pytest.fixture
def full(book: Book) -> Book:
    """A ledger with something in most tables."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    amazon = books.connect(book)
    books.list_(book, amazon, "LAMP")
    record(book, amazon, order("A-1", line("LAMP", 2), line("BULB", 3, 2), payment="Paid"))
    books.ship(book, "A-1", {"LAMP": 1})
    return book


def upgrade(book: Book, folder: Path) -> None:
    migrations.upgrade(book.engine, book.home, book.clock(), steps=folder)


def rows(book: Book) -> dict[str, int]:
    """Table -> number of its rows."""
    names = [row[0] for row in books.ask(book, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: books.ask(book, f'SELECT COUNT(*) FROM "{name}"')[0][0] for name in names}


def named(book: Book, kind: str) -> set[str]:
    return {row[0] for row in books.ask(book, "SELECT name FROM sqlite_master WHERE type = ?", kind)}


def version(book: Book) -> int:
    return int(books.ask(book, "PRAGMA user_version")[0][0])


# ---- what is written is what the models say --------------------------------------------------------------


def test_the_newest_version_is_the_last_step() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.STEPS))
    config.set_main_option("path_separator", "os")
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None and int(head) == migrations.NEWEST


def test_a_new_ledger_has_the_tables_and_indexes_of_the_models(book: Book) -> None:
    memory = create_engine("sqlite://", module=sqlite.module)
    with memory.begin() as sql:
        SQLModel.metadata.create_all(sql)
        models = schema(sql.exec_driver_sql(SCHEMA).all())
    memory.dispose()
    made = schema(books.ask(book, SCHEMA))
    del made["alembic_version"]
    assert made == models


SCHEMA = "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL"


def schema(found: list[tuple[str, str]]) -> dict[str, str]:
    return {name: " ".join(text.split()).replace("( ", "(").replace(" )", ")") for name, text in found}


def test_every_table_is_strict(book: Book) -> None:
    loose = books.ask(book, "SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict"
                            " AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'")  # fmt: skip
    assert loose == []


# ---- upgrading -------------------------------------------------------------------------------------------


def test_a_step_that_rebuilds_a_table_with_children_loses_nothing(full: Book, tmp_path: Path) -> None:
    upgrade(full, steps(tmp_path / "two", CHILDREN))
    before, triggers, views, indexes = rows(full), named(full, "trigger"), named(full, "view"), named(full, "index")
    items = books.ask(full, "SELECT * FROM items")
    upgrade(full, steps(tmp_path / "three", CHILDREN, REBUILD))
    assert rows(full) == before
    assert before["tag"] == 2 and before["order_line"] == 2 and before["movement"] > 1
    assert (named(full, "trigger"), named(full, "view"), named(full, "index")) == (triggers, views, indexes)
    assert books.ask(full, "SELECT * FROM items") == items
    assert books.ask(full, "SELECT DISTINCT colour FROM item") == [("white",)]
    assert version(full) == SECOND
    for forbidden in ("UPDATE item SET colour = 'x'", "UPDATE item SET sku = 'x' WHERE sku = 'LAMP'",
                      "INSERT INTO tag VALUES (1, '')", "INSERT INTO tag VALUES (99, 'x')",
                      "UPDATE movement SET quantity = 1", "INSERT INTO item SELECT * FROM item"):  # fmt: skip
        with pytest.raises(Exception, match=r"constraint failed|stays LAMP|append-only"), full.transaction() as t:
            t.sql.exec_driver_sql(forbidden)


def test_the_same_rebuild_with_foreign_keys_on_would_have_taken_the_children_along(full: Book, tmp_path: Path) -> None:
    upgrade(full, steps(tmp_path / "two", CHILDREN))
    with full.engine.connect() as sql:
        sql.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        sql.exec_driver_sql("CREATE TABLE kept AS SELECT * FROM item")
        sql.exec_driver_sql("DROP TABLE item")
        assert sql.exec_driver_sql("SELECT COUNT(*) FROM tag").scalar_one() == 0
        sql.rollback()
    assert rows(full)["tag"] == 2


@pytest.mark.parametrize(("step", "error", "said"), [(ORPHANS, Bug, "without their parent"),
                                                     (BROKEN, Exception, "nowhere")])  # fmt: skip
def test_a_step_that_fails_or_leaves_orphans_changes_nothing(
    full: Book, tmp_path: Path, step: str, error: type[Exception], said: str
) -> None:
    upgrade(full, steps(tmp_path / "two", CHILDREN))
    before, views, shown = rows(full), named(full, "view"), books.ask(full, "SELECT * FROM items")
    with pytest.raises(error, match=said):
        upgrade(full, steps(tmp_path / "three", CHILDREN, step))
    assert (rows(full), named(full, "view"), version(full)) == (before, views, FIRST)
    assert books.ask(full, "SELECT * FROM items") == shown
    with full.reading() as sql:
        assert sql.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_foreign_keys_are_on_again_after_an_upgrade(full: Book, tmp_path: Path) -> None:
    upgrade(full, steps(tmp_path / "three", CHILDREN, REBUILD))
    for _ in range(3):
        with full.reading() as sql:
            assert sql.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_upgrading_what_is_new_already_changes_nothing(full: Book, tmp_path: Path) -> None:
    folder = steps(tmp_path / "three", CHILDREN, REBUILD)
    upgrade(full, folder)
    before = rows(full)
    upgrade(full, folder)
    assert (rows(full), version(full)) == (before, SECOND)


# ---- the backup ------------------------------------------------------------------------------------------


def test_before_an_upgrade_the_old_ledger_is_kept_and_only_its_owner_can_open_it(full: Book, tmp_path: Path) -> None:
    before = rows(full)
    upgrade(full, steps(tmp_path / "two", CHILDREN))
    folder = full.home / "backups"
    (copy,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, copy.stat().st_mode & 0o777) == (0o700, 0o600)
    old = sqlite.read_only(copy)
    assert old.execute("PRAGMA user_version").fetchone() == (migrations.NEWEST,)
    assert old.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {name: old.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in before} == before
    old.close()


def test_a_backup_holds_no_key_of_a_person(full: Book, tmp_path: Path) -> None:
    upgrade(full, steps(tmp_path / "two", CHILDREN))
    (copy,) = (full.home / "backups").iterdir()
    old = sqlite.read_only(copy)
    assert "order_key" not in {row[0] for row in old.execute("SELECT name FROM sqlite_master")}
    old.close()


def test_a_new_ledger_needs_no_backup(book: Book) -> None:
    assert not (book.home / "backups").exists()


# ---- kill -9 ---------------------------------------------------------------------------------------------


def test_a_kill_at_any_statement_of_an_upgrade_leaves_the_old_ledger_or_the_new_one(full: Book, tmp_path: Path) -> None:
    folder = steps(tmp_path / "three", CHILDREN, REBUILD)
    before, items = rows(full), books.ask(full, "SELECT * FROM items")
    full.close()
    outcomes = []
    for statement in range(1, 500):
        home = books.home_like(full.home, tmp_path / f"killed {statement}")
        died = killed_at(statement, home, lambda book: upgrade(book, folder))
        outcomes.append(one_or_the_other(home, before, items))
        if not died:
            break
        with books.opened_any(home) as book:
            upgrade(book, folder)
            assert version(book) == SECOND
        shutil.rmtree(home)
    assert outcomes == sorted(outcomes) and outcomes[-1] == SECOND  # old, old, ..., then new
    assert len(outcomes) > 30


def one_or_the_other(home: Path, before: dict[str, int], items: list[tuple[object, ...]]) -> int:
    """The version of the ledger, which must be whole."""
    with books.opened_any(home) as book:
        found = rows(book)
        assert {name: found[name] for name in before} == before
        assert ("tag" in found) == (version(book) == SECOND)
        assert books.ask(book, "SELECT * FROM items") == items
        assert books.ask(book, "PRAGMA integrity_check") == [("ok",)]
        return version(book)


# ---- every released step over a ledger of its day --------------------------------------------------------


def an_older_ledger(home: Path, version: str) -> Path:
    """A ledger of an earlier schema with an item, a movement of each kind of number, a connection and a run."""
    home.mkdir(mode=0o700)
    sqlite.make_private(home / "ledger.db")
    engine = make_engine(home / "ledger.db")
    migrations.upgrade(engine, home, books.MORNING, target=version)
    with engine.begin() as sql:
        for statement in OF_SCHEMA_1.split(";\n"):
            sql.exec_driver_sql(statement)
        sql.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
    engine.dispose()
    return home


OF_SCHEMA_1 = """
INSERT INTO company VALUES (1, 'id', 'Lamp Shop', 'DE', 'Europe/Berlin', 'EUR', 'file', '/nowhere', 'ff', '2026-01-01');
INSERT INTO item VALUES (1, 'LAMP', NULL, 'A lamp', NULL, '{}', NULL, NULL, 1, '2026-01-01');
INSERT INTO warehouse VALUES (1, 'Main', 'own', 10, 1, '2026-01-01');
INSERT INTO place VALUES (5, 1, 'on_hand'), (6, 1, 'picked'), (7, 1, 'in_transit');
INSERT INTO movement VALUES (1, '2026-01-02 00:00:00.000000', 1, 1, 5, 10, 'received', 'PO', 'clerk', 'Füße'),
                            (2, '2026-01-03 00:00:00.000000', 1, 5, 2, 3, 'shipped', '', 'clerk', '');
INSERT INTO level VALUES (1, 1, 7, 0, 0);
INSERT INTO connection VALUES (1, 'a', 'amazon', 'S', 'EU', 'active', 'M', 'M', '', 0, 2, 0, 0, 0, 0, '2026-01-01',
                               'all', '2026-01-01', '2026-01-01', NULL);
INSERT INTO run VALUES (1, 1, 'orders', '2026-01-04', '2026-01-04', NULL, 'partial', 1, 2, 3, 4, 'said');
INSERT INTO run_failure VALUES (1, 1, 'order', 'A-1', 'odd', NULL)
"""


def test_a_ledger_of_schema_1_loses_nothing_and_its_movements_become_a_chain(tmp_path: Path) -> None:
    with books.opened(an_older_ledger(tmp_path / "old", "0001"), books.Clock()) as book:
        assert version(book) == migrations.NEWEST
        assert books.ask(book, "SELECT * FROM levels") == [("LAMP", "A lamp", "Main", 7, 0, 0)]
        run = books.dicts(views.runs(book.home))[0]
        kept = ("run", "connection", "task", "outcome", "items", "orders", "sent", "failed", "note")
        assert [run[column] for column in kept] == [1, "a", "orders", "partial", 1, 2, 3, 4, "said"]
        assert books.ask(book, "SELECT remote_id FROM run_failures") == [("A-1",)]
        with book.reading() as sql:
            assert chain.broken(sql) == []
        assert books.findings(book) == []
        with pytest.raises(Exception, match="append-only"), book.transaction() as t:
            t.sql.exec_driver_sql("UPDATE movement SET quantity = 1")


def test_a_kill_at_any_statement_of_the_real_upgrade_leaves_the_old_ledger_or_the_new_one(tmp_path: Path) -> None:
    old = an_older_ledger(tmp_path / "old", "0001")
    seen = []
    for statement in range(1, 500):
        home = books.home_like(old, tmp_path / f"killed {statement}")
        died = killed_at(statement, home, lambda book: migrations.upgrade(book.engine, book.home, book.clock()))
        seen.append(sqlite.read_only(home / "ledger.db").execute("PRAGMA user_version").fetchone()[0])
        with books.opened(home, books.Clock()) as book:
            assert version(book) == migrations.NEWEST
            assert len(books.ask(book, "SELECT * FROM movements")) == 2
            assert books.findings(book) == []
        if not died:
            break
    assert seen == sorted(seen) and set(seen) == {1, migrations.NEWEST}
    assert len(seen) > 30
