"""Bringing a ledger file to the schema of this version of zenv.

Alembic keeps the order of the steps; each step is native SQL (Alembic's batch mode drops the parent table and
with it, by ON DELETE CASCADE, every child row, the triggers and unnamed checks). All steps of one upgrade run in
one transaction with foreign keys off, are checked, and are preceded by a backup.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from importlib.resources import files
from pathlib import Path

from sqlalchemy import Connection, Engine

from zenv.errors import Bug
from zenv.ledger import sqlite
from zenv.ledger.home import BACKUPS

STEPS = Path(__file__).parent

NEWEST = 4
"""The schema version this zenv writes: the number of the last step (a test compares them)."""


def version_of(connection: Connection) -> int:
    """The schema version of the file."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def upgrade(engine: Engine, home: Path, now: datetime, steps: Path = STEPS, target: str = "head") -> None:
    """Run the missing steps, after a backup when there is something to lose."""
    with engine.connect() as connection:
        version = version_of(connection)
        connection.rollback()
        if version:
            _back_up(connection, home, version, now)
        _outside_transactions(connection, "PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                _run_steps(connection, steps, target)
                _check_foreign_keys(connection)
        finally:
            _outside_transactions(connection, "PRAGMA foreign_keys=ON")


def _outside_transactions(connection: Connection, statement: str, *parameters: str) -> None:
    """Say it to the driver: SQLAlchemy would begin a transaction first, in which these have no effect."""
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute(statement, parameters).close()


def _back_up(connection: Connection, home: Path, version: int, now: datetime) -> None:
    folder = home / BACKUPS
    folder.mkdir(mode=0o700, exist_ok=True)
    copy = folder / f"ledger-schema{version}-{now:%Y%m%dT%H%M%S%f}.db"
    unfinished = copy.with_name(f".{copy.name}.{uuid.uuid4().hex}")  # half a copy must not look like a backup
    try:
        sqlite.make_private(unfinished)
        _outside_transactions(connection, "VACUUM INTO ?", str(unfinished))
        unfinished.rename(copy)
    finally:
        unfinished.unlink(missing_ok=True)


def _run_steps(connection: Connection, steps: Path, target: str) -> None:
    from alembic import command
    from alembic.config import Config

    _drop_views(connection)
    config = Config()
    config.set_main_option("script_location", str(steps).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    _make_views(connection)
    head = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one()
    connection.exec_driver_sql(f"PRAGMA user_version={int(head)}")


def _drop_views(connection: Connection) -> None:
    names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'view'").scalars().all()
    for name in names:
        connection.exec_driver_sql(f'DROP VIEW "{name}"')


def _make_views(connection: Connection) -> None:
    """Views belong to the code, not to a step: they are made anew from `views.sql` at each upgrade."""
    text = files("zenv.ledger").joinpath("views.sql").read_text("utf-8")
    for statement in text.split(";\n"):
        if "CREATE VIEW" in statement:
            connection.exec_driver_sql(statement)


def _check_foreign_keys(connection: Connection) -> None:
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise Bug(f"The upgrade would have left {len(broken)} rows without their parent; nothing was changed.")
