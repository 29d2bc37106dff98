"""The world of the simulation: a provider that is really served, its client with an Amazon account, another client.

`Tally` is what is true outside the books: which goods lie where, and which parcels left by which door. The deeds keep
it themselves and never ask the books for it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.network.trouble import Line
from tests.year.company import PATIENT, Clock, Company, Shop, connect, scratch
from tests.year.deeds import Year
from tests.zfn import companies, faces
from zenv import credentials, joining, sync
from zenv.connectors.base import World
from zenv.ledger import book as books
from zenv.ledger import catalog, connections, stock, users
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.zfn import clients, links, standing
from zenv.server.limits import Limits
from zenv.simulators.amazon import AmazonSimulator, serve

DEPOT = "Depot"
OURS, THEIRS = "Lamp Shop", "Alien Ltd"


@dataclass(frozen=True)
class Parcel:
    """A parcel that left by a door (home, depot), with units by item, for an order as both sides name it."""

    door: str
    order: str
    tracking: str
    units: dict[str, int]


@dataclass
class Tally:
    """Units by item: at home (the client's own shelf), in the depot (the provider's), on the road between the two.

    `gone` is what left home for each transfer, `stray` what is on the road for an inbound that the provider has closed.
    """

    home: Counter[str] = field(default_factory=Counter)
    depot: Counter[str] = field(default_factory=Counter)
    road: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    gone: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    came: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    parcels: list[Parcel] = field(default_factory=list)
    dropped: set[str] = field(default_factory=set)
    """Orders that somebody else shipped, and said so in Seller Central."""
    noticed: set[tuple[str, str]] = field(default_factory=set)
    """(kind, subject) of all that was on the client's inbox at some time: a person has seen it."""

    def of_order(self, order: str) -> Counter[str]:
        """Units that left in parcels for an order."""
        units: Counter[str] = Counter()
        for parcel in self.parcels:
            if parcel.order == order:
                units.update(parcel.units)
        return units


@dataclass
class Net(Year):
    """One history of two companies. What it has from `Year` is the client's."""

    provider: Book = field(kw_only=True)
    face: faces.Face = field(kw_only=True)
    other: Book = field(kw_only=True)
    line: Line = field(kw_only=True)
    tally: Tally = field(default_factory=Tally)
    alien: Counter[str] = field(default_factory=Counter)
    """The other client's goods at the provider, by its SKU."""
    away: Counter[str] = field(default_factory=Counter)
    """So many deeds more the client or the provider is away, or the line is down."""
    busy: bool = False
    """A deed in the middle of a request is going on."""

    @property
    def client(self) -> Book:
        return self.company.book

    def there(self, query: str, *values: Any) -> list[Any]:
        """Ask the provider's books."""
        return rows(self.provider, query, *values)


def rows(book: Book, query: str, *values: Any) -> list[Any]:
    """Ask books in SQL."""
    with book.reading() as sql:
        return list(sql.exec_driver_sql(query, values))


def world(book: Book, clock: Clock, patience: float = PATIENT) -> World:
    """The outside of a company; sleeping winds the clock."""
    return World(clock, clock.wind, LedgerBuckets(book.engine, clock), patience)


@contextmanager
def new_book(folder: Path, name: str, clock: Clock, *warehouses: str) -> Iterator[Book]:
    """The books of a company that has just begun."""
    folder.mkdir()
    store = credentials.KeyStore("file", str(folder / "zenv.key"), "network")
    credentials.create_master_key(store)
    books.create(folder / "home", books.NewCompany(name, "US", "America/New_York", "USD"), store, clock)
    with books.open_book(folder / "home", "clerk", clock) as book:
        with book.transaction() as t:
            users.begin(t)
            for rank, warehouse in enumerate(warehouses):
                stock.add_warehouse(t, warehouse, rank=rank)
        yield book


@contextmanager
def net(seed: int, rng: Any, clock: Clock, story: list[str], line: Line) -> Iterator[Net]:
    """Three companies and an Amazon; nobody is linked yet."""
    sim = AmazonSimulator(10 * seed + 1, clock, publish_seconds=rng.choice((0, 0, 300)))
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        provider = stack.enter_context(new_book(folder / "provider", "Fulfil Inc", clock, "Main", "Side"))
        other = stack.enter_context(new_book(folder / "other", THEIRS, clock, "Main"))
        client = stack.enter_context(new_book(folder / "client", OURS, clock, "Main"))
        companies.make_provider(provider)
        face = stack.enter_context(faces.served(provider, Limits(lambda: clock().timestamp())))
        with provider.transaction() as t:
            standing.edit(t, address=f"127.0.0.1:{face.port}")
        line.port = face.port
        company = Company(folder / "client", client, clock, [Shop("a", sim, stack.enter_context(serve(sim)))])
        yield Net(seed, rng, company, story=story, provider=provider, face=face, other=other, line=line)


def link(n: Net, book: Book) -> None:
    """A company asks the provider to keep its depot, is accepted, and hears of it."""
    out = world(book, n.company.clock)
    n.line.speaker = "client" if book is n.client else "other"
    with book.transaction() as t:
        links.add_warehouse(t, DEPOT, "zfn", rank=50)
    joining.request(book, DEPOT, str(standing.invite(n.provider)), out)
    with n.provider.transaction() as t:
        (waiting,) = clients.review(t)
        clients.accept(t, waiting.request, "clerk", True, None)
    result = sync.run(book, DEPOT, "provider", out)
    assert result.outcome == "ok", result
    n.line.speaker = "client"
    n.company.clock.wind(1)


def open_the_shop(n: Net, skus: tuple[str, ...]) -> None:
    """The client's Amazon account: what it sells lies on the own shelf."""
    (shop,) = n.company.shops
    for sku in skus:
        units = n.rng.randint(2, 6)
        shop.sim.add_listing(sku, quantity=units)
        n.outside.thing["a", sku] = sku
        n.tally.home[sku] = n.tally.came[sku] = units
    connect(n.client, "a", shop.sim, shop.url, adopt_new=True, warehouses=("Main",))
    for task in ("items", "orders"):
        assert n.company.run("a", task).outcome == "ok"
        n.company.clock.wind(60)


def sell_from_the_depot(n: Net) -> None:
    """Amazon is told what lies in the depot, too."""
    with n.client.transaction() as t:
        number = connections.find(t.sql, "a").id
        connections.choose_warehouses(t, number, ("Main", DEPOT))


def make_items(book: Book, *skus: str) -> None:
    """Items without stock."""
    with book.transaction() as t:
        for sku in skus:
            catalog.add_item(t, catalog.NewItem(sku, name=f"a thing of {book.company.name}"))
