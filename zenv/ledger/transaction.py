"""One writing transaction: what was touched is settled when it commits, and nobody can forget it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Delete, Insert, Row, Table, Update, bindparam, select, text
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from zenv.ledger.models import Place

if TYPE_CHECKING:
    from zenv.privacy import KeyBook


AnyRow = Row[*tuple[Any, ...]]
"""A row whose columns are read by name."""


def utcnow() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def table(model: type[SQLModel]) -> Table:
    """The SQL table behind a model; bulk work goes through it, not through objects."""
    found: Table = model.__table__  # type: ignore[attr-defined]  # SQLModel adds it at run time
    return found


def row(model: type[SQLModel], **values: Any) -> dict[str, Any]:
    """A full row for a bulk insert: the model's defaults with `values` over them."""
    return _defaults(model) | values


@cache
def _defaults(model: type[SQLModel]) -> dict[str, Any]:
    optional = {name: said.default for name, said in model.model_fields.items() if not said.is_required()}
    # An id is given by the database, except where the row has a fixed one.
    return {name: value for name, value in optional.items() if not (name == "id" and value is None)}


@dataclass
class Transaction:
    """What an operation may use: SQL, the time, who acts, the keys of personal data."""

    sql: Connection
    now: datetime
    actor: str
    keys: KeyBook
    touched: set[int] = field(default_factory=set)
    resting: set[int] = field(default_factory=set)
    """Order lines that gave their units up in this transaction and are not filled again by it."""
    handed: set[int] = field(default_factory=set)
    """Orders of which a provider may have to be told something new (zfn.handing)."""
    _places: dict[tuple[int | None, str], int] = field(default_factory=dict)
    _whereabouts: dict[int, tuple[int | None, str]] = field(default_factory=dict)

    def touch(self, *items: int | None) -> None:
        """Stock or demand of these items changed: fill waiting lines and tell the channels at commit."""
        self.touched.update(item for item in items if item is not None)

    def hand(self, *orders: int) -> None:
        """Something of these orders changed: at commit the provider that ships one of them is owed what is new."""
        self.handed.update(orders)

    def tell(self, connection: int, kind: str, subject: int) -> None:
        """Owe a remote a message about this subject."""
        from zenv.ledger import outbox

        outbox.queue(self, [(connection, kind, subject)])

    def place(self, warehouse: int, state: str) -> int:
        """The id of a warehouse's place in this state."""
        if not self._places:
            self.whereabouts(1)
            self._places = {where: number for number, where in self._whereabouts.items()}
        return self._places[warehouse, state]

    def whereabouts(self, place: int) -> tuple[int | None, str]:
        """The warehouse and state of a place; no warehouse for the world outside."""
        if not self._whereabouts:
            places = table(Place).c
            for number, owner, state in self.sql.execute(select(places.id, places.warehouse_id, places.state)):
                self._whereabouts[number] = (owner, state)
        return self._whereabouts[place]

    def forget_places(self) -> None:
        """A warehouse was added: read the places again."""
        self._places.clear()
        self._whereabouts.clear()

    def insert(self, model: type[SQLModel], rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert full rows (see `row`) in one go."""
        self.many(table(model).insert(), list(rows))

    def many(self, statement: Insert | Update | Delete, rows: Sequence[Mapping[str, Any]]) -> int:
        """Run one statement for each row, all with the same columns; the number of rows it changed.

        The statement is compiled as SQLAlchemy would, but handed to the driver with all its rows at once: its
        own executemany spends more time on parameters than SQLite on the rows.
        """
        if not rows:
            return 0
        sql, read, times, constants = _compiled(statement, tuple(rows[0]))
        filled = rows if not constants else [constants | dict(row) for row in rows]
        values = [read(row) for row in filled] if not times else [_with_times(read(row), times) for row in filled]
        return self.sql.exec_driver_sql(sql, values).rowcount


def _with_times(values: tuple[Any, ...], times: tuple[int, ...]) -> tuple[Any, ...]:
    changed = list(values)
    for place in times:
        if changed[place] is not None:
            changed[place] = as_stored(changed[place])
    return tuple(changed)


Prepared = tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]], tuple[int, ...], dict[str, Any]]
_compiled_before: dict[tuple[int, tuple[str, ...]], tuple[Any, Prepared]] = {}


def _compiled(statement: Insert | Update | Delete, names: tuple[str, ...]) -> Prepared:
    """The statement's text, how to read its parameters from a row, which of them are times, its constants."""
    # Module-level statements live as long as the program; `insert()` of a table is looked up by the table.
    key = (id(statement.table) if isinstance(statement, Insert) and _is_plain(statement) else id(statement), names)
    if key not in _compiled_before:
        compiled = statement.compile(dialect=SQLiteDialect(paramstyle="qmark"), column_keys=list(names))
        order = list(compiled.positiontup or [])
        times = tuple(at for at, name in enumerate(order) if isinstance(compiled.binds[name].type, UTCDateTime))
        constants = {name: compiled.binds[name].value for name in order if name not in names}
        read = itemgetter(*order) if len(order) > 1 else _only(order[0])
        _compiled_before[key] = (statement, (str(compiled), read, times, constants))
    return _compiled_before[key][1]


def _only(name: str) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda row: (row[name],)


def _is_plain(statement: Insert) -> bool:
    return getattr(statement, "_post_values_clause", None) is None


@lru_cache(maxsize=4096)
def as_stored(at: datetime) -> str:
    """A time as the ledger keeps it: UTC, to the microsecond."""
    return at.astimezone(UTC).isoformat(" ", "microseconds")[:26]


_EACH = text("SELECT value FROM json_each(:these)")


def among(column: ColumnElement[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """`column` is one of `values`, however many there are, in one parameter."""
    return column.in_(_EACH.bindparams(bindparam("these", json.dumps(list(values)), unique=True)))


def in_chunks(ids: Iterable[Any], size: int = 500) -> Iterable[list[Any]]:
    """Lists of at most `size`, because a database takes only so many parameters."""
    rest = list(ids)
    for start in range(0, len(rest), size):
        yield rest[start : start + size]
