"""Two ledgers for the tests of the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import books
from tests.zfn import companies, faces, provider_face, two_books
from tests.zfn.two_books import Two
from zenv.ledger.book import Book


@pytest.fixture
def provider_book(blank_home: Path, tmp_path: Path, clock: books.Clock) -> Iterator[Book]:
    """The ledger of another company, with two own warehouses, that ends without findings."""
    with books.opened(books.home_like(blank_home, tmp_path / "provider"), clock) as found:
        with found.transaction() as t:
            books.stock.add_warehouse(t, "Main", rank=10)
            books.stock.add_warehouse(t, "Side", rank=20)
        yield found
        assert books.findings(found) == []


@pytest.fixture
def served(provider_book: Book) -> Iterator[provider_face.Provider]:
    """The same company as a provider whose face is served, to be taken away and brought back."""
    with provider_face.provider(provider_book) as found:
        yield found


@pytest.fixture
def two(book: Book, provider_book: Book) -> Two:
    """A client with 20 LAMP and 20 BULB in Main, and a provider that knows both items and has none of them."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 20)
    books.receive(book, "BULB", 20)
    return two_books.link(book, provider_book, "LAMP", "BULB")


@pytest.fixture
def provider(book: Book) -> Book:
    """A provider that takes requests, without clients."""
    companies.make_provider(book)
    return book


@pytest.fixture
def face(provider: Book) -> Iterator[faces.Face]:
    """A provider's face on real HTTPS."""
    with faces.served(provider) as found:
        yield found
