"""The tables, indexes and views are those this zenv writes: a rule that was changed on the disk lets wrong rows in."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from importlib.resources import files

from sqlalchemy import Connection
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.schema import CreateIndex, CreateTable

from zenv.ledger import migrations
from zenv.ledger.invariants.finding import RESTORE, Finding, mend
from zenv.ledger.models import SQLModel


def rules_are_those_of_this_version(sql: Connection, _: datetime) -> list[Finding]:
    """I10: every table and index stands as this version writes it; what a user added is left alone."""
    said = "it is not as this version of zenv makes it"
    return [Finding("file", name, said, RESTORE) for name in _different(sql, _tables_and_indexes())]


def views_say_what_this_version_says(sql: Connection, _: datetime) -> list[Finding]:
    """I10: what is read through a view is what the view's name promises."""
    return [Finding("views", name, "it is not as this version of zenv makes it", mend("views"))
            for name in _different(sql, {name: _plain(text) for name, text in views().items()})]  # fmt: skip


def _different(sql: Connection, wanted: dict[str, str]) -> list[str]:
    if migrations.version_of(sql) != migrations.NEWEST:
        return []  # whoever opens it brings it up to date, or says that it is newer
    found = sql.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    there = {row.name: _plain(row.sql) for row in found}
    return [name for name, text in wanted.items() if there.get(name) != text]


@cache
def _tables_and_indexes() -> dict[str, str]:
    dialect, wanted = SQLiteDialect(), {}
    for table in SQLModel.metadata.sorted_tables:
        wanted[table.name] = _plain(str(CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            wanted[str(index.name)] = _plain(str(CreateIndex(index).compile(dialect=dialect)))
    return wanted


@cache
def views() -> dict[str, str]:
    """Every view of `views.sql` by name, as the statement that makes it."""
    text = files("zenv.ledger").joinpath("views.sql").read_text("utf-8")
    statements = [part[part.index("CREATE VIEW ") :] for part in text.split(";\n") if "CREATE VIEW " in part]
    return {statement.split()[2]: statement for statement in statements}


def _plain(text: str) -> str:
    """A statement without what is only layout."""
    return " ".join(text.split()).replace("( ", "(").replace(" )", ")").rstrip(";")
