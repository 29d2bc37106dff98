"""Random days of transfers and purchase orders between a client and its provider: no unit is lost and none is made.

The oracle is the world: what was really picked up, put on the road and unloaded, never what a ledger thinks of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from tests.books import do, stock
from tests.zfn import two_books
from tests.zfn.linked import DEPOT
from tests.zfn.two_books import Two
from zenv.errors import ZenvError
from zenv.ledger import inbounds
from zenv.ledger.book import Book

FIRST = 20
"""Units of LAMP that the client has to begin with."""

STEPS = ["transfer", "order", "allocate", "pick", "ship", "cancel", "receive", "receive", "complete", "sell",
         "tell", "tell", "hear", "repeat", "repeat"]  # fmt: skip
days = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4), st.integers(1, 9)), max_size=40)


@dataclass
class World:
    """Where the units of LAMP really are: `out` of a transfer have left the client's shelf, `came` to the provider."""

    two: Two
    numbers: list[str] = field(default_factory=list)
    ordered: dict[str, int] = field(default_factory=dict)
    out: dict[str, int] = field(default_factory=dict)
    came: dict[str, int] = field(default_factory=dict)

    @property
    def shelf(self) -> int:
        """Units on the client's own shelf, or on a trolley beside it."""
        return FIRST - sum(self.out.values())

    def step(self, kind: str, which: int, units: int) -> None:
        """Something happens; what a ledger refuses did not."""
        if kind in ("tell", "hear", "repeat"):
            getattr(self.two, kind)()
        elif kind in ("transfer", "order"):
            self.begin(kind, units)
        elif kind == "sell":
            books.make_order(self.two.client, ("LAMP", units))
        elif self.numbers:
            getattr(self, kind)(self.numbers[which % len(self.numbers)], units)

    def begin(self, kind: str, units: int) -> None:
        ends = ("Main", DEPOT) if kind == "transfer" else (DEPOT,)
        number = do(self.two.client, getattr(inbounds, kind), *ends, {"LAMP": units})
        self.numbers.append(number)
        self.ordered[number], self.came[number] = units, 0
        if kind == "transfer":
            self.out[number] = 0

    def allocate(self, number: str, _: int) -> None:
        do(self.two.client, inbounds.allocate, number)

    def pick(self, number: str, _: int) -> None:
        # Nobody picks up what has gone already.
        if number in self.out and self.ordered[number] - self.out[number] <= self.shelf:
            do(self.two.client, inbounds.pick, number)
            self.out[number] = self.ordered[number]

    def ship(self, number: str, _: int) -> None:
        do(self.two.client, inbounds.ship, number)

    def cancel(self, number: str, _: int) -> None:
        do(self.two.client, inbounds.cancel, number)
        if number in self.out:
            self.out[number] = self.came[number]

    def receive(self, number: str, units: int) -> None:
        left = self.ordered[number] - self.came[number]
        if number in self.out:
            left = min(left, self.out[number] - self.came[number] + self.shelf)
        if left:
            do(self.two.provider, inbounds.receive, self.there(number), {"1-LAMP": min(units, left)})
            self.came[number] += min(units, left)
            if number in self.out:
                self.out[number] = max(self.out[number], self.came[number])

    def complete(self, number: str, _: int) -> None:
        do(self.two.provider, inbounds.complete, self.there(number))

    def there(self, number: str) -> str:
        kind, _, bare = number.partition("-")
        return f"{kind}-1-{bare}"


@contextmanager
def a_world(blank: Path, folder: Path) -> Iterator[World]:
    clock = books.Clock()
    with (
        books.opened(books.home_like(blank, folder / "client"), clock) as client,
        books.opened(books.home_like(blank, folder / "provider"), clock) as provider,
    ):
        for book in (client, provider):
            do(book, stock.add_warehouse, "Main")
        books.add_items(client, "LAMP")
        books.receive(client, "LAMP", FIRST)
        yield World(two_books.link(client, provider, "LAMP"))


def written_off(book: Book) -> int:
    """Units that were on the road when the provider said that no more would come."""
    found = "SELECT COALESCE(SUM(quantity), 0) FROM movements WHERE reason = 'adjusted' AND destination = 'adjustment'"
    return int(books.ask(book, found)[0][0])


@given(days)
def test_N13_no_unit_is_lost_or_made_between_the_two(
    blank_home: Path, tmp_path_factory: pytest.TempPathFactory, day: list[tuple[str, int, int]]
) -> None:
    with a_world(blank_home, tmp_path_factory.mktemp("kept")) as world:
        two = world.two
        for step in day:
            with suppress(ZenvError):
                world.step(*step)
            assert two.findings() == []
        for _ in range(3):
            two.tell()
            two.pull()
        assert two.findings() == [] and books.owed(two.client) == set()
        (here, picked, _), (there, _, road) = books.shelf(two.client, "LAMP"), books.shelf(two.client, "LAMP", DEPOT)
        assert there == sum(world.came.values()) == books.shelf(two.provider, "1-LAMP")[0]
        lost = written_off(two.client)
        assert here + picked + road + lost == FIRST - sum(world.came[number] for number in world.out)
