"""What all tests of the ledger share: hypothesis the same in every run, a clock wound by hand, and an empty
book copied from one made once."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests import books
from zenv.ledger.book import Book

settings.register_profile("ci", derandomize=True, deadline=None, database=None, max_examples=25, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile(os.environ.get("ZENV_HYPOTHESIS", "ci"))


MEMORY = Path("/dev/shm")


def pytest_configure(config: pytest.Config) -> None:
    """Temporary folders lie in memory where that is to be had: each commit waits for the disk, and a disk shared with
    others waits long. `--basetemp` puts them elsewhere, and keeps them."""
    if config.option.basetemp is None and os.access(MEMORY, os.W_OK):
        config.option.basetemp = config.stash[OURS] = tempfile.mkdtemp(prefix="zenv-tests-", dir=MEMORY)


def pytest_unconfigure(config: pytest.Config) -> None:
    if ours := config.stash.get(OURS, None):
        shutil.rmtree(ours, ignore_errors=True)


OURS = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def blank_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is only ever copied (see `books.home_like`)."""
    return books.make_home(tmp_path_factory.mktemp("blank"), books.Clock())


@pytest.fixture
def clock() -> books.Clock:
    return books.Clock()


@pytest.fixture
def home(blank_home: Path, tmp_path: Path) -> Path:
    """The home of an empty ledger."""
    return books.home_like(blank_home, tmp_path / "home")


@pytest.fixture
def book(home: Path, clock: books.Clock) -> Iterator[Book]:
    """An open ledger with two own warehouses, `Main` (filled from first) and `Side`, and no items."""
    with books.opened(home, clock) as found:
        with found.transaction() as t:
            books.stock.add_warehouse(t, "Main", rank=10)
            books.stock.add_warehouse(t, "Side", rank=20)
        yield found
        assert books.findings(found) == []
