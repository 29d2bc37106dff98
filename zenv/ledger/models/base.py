"""What all tables share: STRICT on SQLite, with the column types that STRICT knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.types import Boolean, DateTime, Float, LargeBinary, String


@compiles(String, "sqlite")
def _text(*_: Any, **__: Any) -> str:
    return "TEXT"


@compiles(DateTime, "sqlite")
def _time_as_text(*_: Any, **__: Any) -> str:
    return "TEXT"


@compiles(Boolean, "sqlite")
def _boolean_as_integer(*_: Any, **__: Any) -> str:
    return "INTEGER"


@compiles(Float, "sqlite")
def _real(*_: Any, **__: Any) -> str:
    return "REAL"


@compiles(LargeBinary, "sqlite")
def _blob(*_: Any, **__: Any) -> str:
    return "BLOB"


def strict(*constraints: Any) -> tuple[Any, ...]:
    return (*constraints, {"sqlite_strict": True})


def one_of(column: str, *values: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"known_{column}")
