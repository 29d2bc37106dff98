"""Opening the books and writing in them.

`with book.transaction() as t:` is the only way to change anything. It takes SQLite's write lock at once, never
spans a network call, and settles what was touched before it commits.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, select

from zenv import credentials, privacy
from zenv.errors import BadInput, KeyUnavailable, NotFound, Refused, WrongLedger
from zenv.ledger import migrations, settle, sqlite
from zenv.ledger.db import make_engine, plain_errors
from zenv.ledger.home import APPLICATION_ID, KEYS, LEDGER
from zenv.ledger.models import Company
from zenv.ledger.transaction import Transaction, row, table, utcnow


@dataclass(frozen=True)
class NewCompany:
    """What `zenv init` asks: name, ISO 3166 country, IANA time zone, ISO 4217 currency."""

    name: str
    country: str
    time_zone: str
    currency: str

    def __post_init__(self) -> None:
        problems = []
        if not self.name.strip():
            problems.append("the company needs a name")
        if not (len(self.country) == 2 and self.country.isalpha() and self.country.isupper()):
            problems.append(f"{self.country!r} is not a country code of two capital letters, such as DE")
        if not (len(self.currency) == 3 and self.currency.isalpha() and self.currency.isupper()):
            problems.append(f"{self.currency!r} is not a currency code of three capital letters, such as EUR")
        if not _is_zone(self.time_zone):
            problems.append(f"{self.time_zone!r} is not a time zone, such as Europe/Berlin")
        if problems:
            raise BadInput("; ".join(problems) + ".")


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


class Book:
    """An open ledger: its folder, its engine, its keys, its clock."""

    def __init__(self, home: Path, actor: str, clock: Callable[[], datetime], busy_seconds: float) -> None:
        self.home = home
        self.actor = actor
        self.clock = clock
        self.engine: Engine = make_engine(home / LEDGER, busy_seconds)
        self.keys = privacy.KeyBook(home / KEYS, self.key)

    @cached_property
    def company(self) -> Company:
        """Whose books these are."""
        with self.reading() as sql:
            found = sql.execute(select(table(Company))).mappings().one()
        return Company(**found)

    def master_key(self) -> bytes:
        """The master key; raises KeyUnavailable, also where this process was given only a part of it."""
        return credentials.whole(self.key())

    def sub_key(self, purpose: str) -> bytes:
        """The key for one purpose ("personal", "pepper"); a part of the master key is enough."""
        return credentials.sub_key(self.key(), purpose)

    def key(self, fingerprint: str = "") -> credentials.Key:
        """The key with this fingerprint, without one the ledger's own: given, or from where it is kept *now*, for
        another process may move or rotate it. Raises KeyUnavailable."""
        place = self.key_place()
        try:
            return credentials.found_key(place[0], fingerprint or place[1])
        except KeyUnavailable:
            again = self.key_place()
            if again == place:
                raise
        return credentials.found_key(again[0], fingerprint or again[1])

    def key_place(self) -> tuple[credentials.KeyStore, str]:
        """Where the master key is kept, and its fingerprint."""
        with self.reading() as sql:
            found = sql.execute(select(table(Company))).one()
        kind = cast(credentials.Kind, found.key_kind)
        return credentials.KeyStore(kind, found.key_detail, found.ledger_id), found.key_fingerprint

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Change the books. Raises Busy when another process keeps the lock, DiskTrouble when the disk fails."""
        with plain_errors(), self.engine.begin() as sql:
            t = Transaction(sql, self.clock(), self.actor, self.keys)
            yield t
            settle.settle(t)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read a consistent state without taking the write lock."""
        with plain_errors(), self.engine.connect().execution_options(reading=True) as sql:
            yield sql

    def close(self) -> None:
        """Give the files back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def create(
    home: Path, company: NewCompany, store: credentials.KeyStore, clock: Callable[[], datetime] = utcnow
) -> None:
    """Start a ledger in `home` (made 0700). The key must be readable from `store` already.

    Raises Refused when there is one, KeyUnavailable when the key cannot be read back. A half-made file is
    removed, so that the command can be run again.
    """
    privacy.private_folder(home)
    path = home / LEDGER
    if path.exists():
        raise Refused(f"There is a ledger in {home} already; it was left as it is.", "zenv status")
    fingerprint = credentials.key_check(credentials.master_key(store))
    fresh = path.with_name(f".{LEDGER}.{uuid.uuid4().hex}")
    try:
        sqlite.make_private(fresh)
        with plain_errors():
            _write_first_page(fresh, company, store, fingerprint, clock)
        _put_in_place(fresh, path, home)
    finally:
        for leftover in home.glob(f"{fresh.name}*"):
            leftover.unlink()


def _put_in_place(fresh: Path, path: Path, home: Path) -> None:
    """Unlike a rename, a link never replaces the ledger that another `zenv init` finished a moment ago."""
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        raise Refused(f"There is a ledger in {home} already; it was left as it is.", "zenv status") from None


def _write_first_page(
    path: Path, company: NewCompany, store: credentials.KeyStore, fingerprint: str, clock: Callable[[], datetime]
) -> None:
    engine = make_engine(path)
    try:
        with engine.connect() as sql:
            sql.exec_driver_sql(f"PRAGMA application_id={APPLICATION_ID}")
            sql.commit()
        migrations.upgrade(engine, path.parent, clock())
        with engine.begin() as sql:
            about = row(Company, id=1, ledger_id=store.name, name=company.name, country=company.country,
                        time_zone=company.time_zone, currency=company.currency, key_kind=store.kind,
                        key_detail=store.detail, key_fingerprint=fingerprint, created_at=clock())  # fmt: skip
            sql.execute(table(Company).insert(), about)
    finally:
        engine.dispose()


def open_book(home: Path, actor: str = "", clock: Callable[[], datetime] = utcnow, busy_seconds: float = 10) -> Book:
    """Open the ledger in `home`, bringing an older one up to date after a backup.

    Raises NotFound when there is none, WrongLedger for another program's or a newer file.
    """
    if not (home / LEDGER).is_file():
        raise NotFound(f"There is no ledger in {home}.", "zenv init")
    privacy.private_folder(home)
    with plain_errors():
        sqlite.open_ours(home / LEDGER).close()
    book = Book(home, actor, clock, busy_seconds)
    try:
        with plain_errors():
            _bring_up_to_date(book)
    except BaseException:
        book.close()
        raise
    return book


def _bring_up_to_date(book: Book) -> None:
    with book.engine.connect().execution_options(reading=True) as sql:
        version = migrations.version_of(sql)
    if version > migrations.NEWEST:
        raise WrongLedger(
            f"This ledger was written by a newer zenv (schema {version}, this one knows {migrations.NEWEST}); "
            "it was left as it is.",
            "pip install --upgrade zenv",
        )
    if version < migrations.NEWEST:
        migrations.upgrade(book.engine, book.home, book.clock())
