"""The engine: one SQLite file, write transactions that take the lock at once, errors a person can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from zenv.ledger import sqlite


def make_engine(path: Path, busy_seconds: float = 10) -> Engine:
    """An engine whose transactions begin IMMEDIATE, or deferred with the option `reading`.

    SQLAlchemy's own default loses updates (two readers, then two writers), so BEGIN is ours. Parameters never
    reach an exception text.
    """
    url = URL.create("sqlite", database=str(path))  # as a string, a `?` or `%` in the path would be read as URL
    engine = create_engine(url, module=sqlite.module, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        sqlite.prepare(connection, busy_seconds)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get("reading", False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what SQLite says of locks, disks and broken files into zenv's own errors."""
    try:
        yield
    except sqlite.module.DatabaseError as error:
        raise sqlite.plain(error) from None
    except DatabaseError as error:
        said = sqlite.plain(error.orig) if error.orig is not None else error
        raise (error if said is error.orig else said) from None
