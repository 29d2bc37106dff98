"""A ledger whose key can be moved and rotated, in one folder, and a keyring that outlives a process."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import books
from tests.books import PERSON, line, order, record
from tests.keystores import FileKeyring, installed
from zenv import credentials
from zenv.ledger import book as ledger
from zenv.ledger import connections, keys, orders, recipients
from zenv.ledger.book import Book

SECRETS = {"client_id": "made-up-id", "client_secret": "made-up"}


@pytest.fixture(autouse=True)
def no_key_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CREDENTIALS_DIRECTORY", "ZENV_KEY_FILE", "ZENV_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(name="keyring", autouse=True)
def keyring_of_files(tmp_path: Path) -> Iterator[FileKeyring]:
    ring = FileKeyring(tmp_path / "ring")
    with installed(ring):
        yield ring


@dataclass(frozen=True)
class Place:
    """Everything of one ledger in one folder: its home, and whatever place its key has."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def store(self, kind: credentials.Kind) -> credentials.KeyStore:
        """The place of this kind in this folder."""
        return credentials.KeyStore(kind, "" if kind == "keyring" else str(self.folder / f"{kind}.key"), "rotating")

    def opened(self) -> Book:
        return ledger.open_book(self.home, "tester", books.Clock())


@pytest.fixture(name="place")
def a_place(tmp_path: Path) -> Place:
    """A ledger with its key in a file, a connection with secrets, and two orders whose recipients are known."""
    made = Place(tmp_path / "made")
    made.folder.mkdir(mode=0o700)
    credentials.create_master_key(made.store("file"))
    ledger.create(made.home, books.COMPANY, made.store("file"), books.Clock())
    with made.opened() as book:
        with book.transaction() as t:
            books.stock.add_warehouse(t, "Main")
        books.add_items(book, "LAMP")
        number = books.connect(book)
        record(
            book, number, order("A-1", line("LAMP", 1)), order("A-2", line("LAMP", 1)), order("A-3", line("LAMP", 1))
        )
        for name in ("A-1", "A-2"):
            tell(book, name)
    return made


def tell(book: Book, *names: str) -> None:
    with book.transaction() as t:
        recipients.record(t, books.AMAZON, [replace(PERSON, order=name) for name in names])


def person(book: Book, name: str) -> dict[str, str]:
    with book.reading() as sql:
        return recipients.recipient(sql, book.keys, orders.find_order(sql, name).id)


def opens(book: Book) -> None:
    """Everything that is sealed opens."""
    assert person(book, "A-1") == person(book, "A-2") == PERSON.personal()
    with book.reading() as sql:
        assert connections.open_secrets(sql, "amazon", book.master_key) == SECRETS


def in_kind(place: Place, kind: credentials.Kind) -> None:
    """Keep the key of this ledger in a place of this kind."""
    if kind == "systemd" and (os.geteuid() != 0 or not shutil.which("systemd-creds")):
        pytest.skip("systemd-creds seals for root only, and on a machine with systemd")
    if kind != "file":
        with place.opened() as book:
            keys.move(book, place.store(kind))


def mark_of(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("SELECT fingerprint FROM wrapped_under").fetchone()[0])
    finally:
        connection.close()
