"""(i) The fulfilment network: orders handed over to a provider and quantities read back, beside the same requests and
commits by hand.

Provider and client are two ledgers, and the provider's face is served by another process over HTTPS. The base is
`bench.by_hand`: bodies of the same size in the same batches, a commit for each on either side.
"""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import by_hand, ledgers
from bench.measure import Target, compare, heading, say, timed
from zenv import credentials, joining, pulling, sync
from zenv.connectors.base import Task
from zenv.facts import RecipientFact
from zenv.ledger import catalog, orders, stock, users
from zenv.ledger.book import Book, NewCompany, create, open_book
from zenv.ledger.stock import Move
from zenv.ledger.transaction import in_chunks
from zenv.ledger.zfn import clients, links, standing

DEPOT = "Depot"
TARGET = Target(most=5)
SEALED = "by hand, each person sealed under a key"
PAGE = 1000
UNITS = 1000
PERSON = RecipientFact(
    order="", name="Somebody Made Up", line1="1 Imaginary Lane", line2="Floor 2", phone="+1 555 0100", city="Salem",
    region="OR", postcode="97301", country="US", gift_message="Many happy returns",
)  # fmt: skip


@dataclass
class Network:
    """A client, and the ledger of its provider, whose face is served elsewhere."""

    client: Book
    provider: Book


def run(quick: bool) -> None:
    """10,000 orders of two lines, each with a person; 100,000 quantities."""
    count, items = (200, 500) if quick else (10_000, 100_000)
    with ledgers.scratch() as folder, _linked(folder, items) as net:
        _orders(net, folder, count)
        _quantities(net, folder, items)


def _orders(net: Network, folder: Path, count: int) -> None:
    heading(f"(i) {count:,} orders handed over, each with a person")
    skus = [f"SKU-{number:06d}" for number in range(500)]
    for page in in_chunks(range(count), PAGE):
        with net.client.transaction() as t:
            for number in page:
                lines = [orders.NewLine(skus[(number * 7 + place * 131) % 500], 1 + place) for place in range(2)]
                orders.create_order(t, orders.NewOrder(lines, f"T{number:06d}", recipient=PERSON, ship_from=DEPOT))
    taken = timed(lambda: _run(net.client, "handover"))
    ((there, reserved),) = _ask(net.provider, "SELECT (SELECT COUNT(*) FROM fulfilment WHERE state = 'taken'),"
                                              " (SELECT SUM(quantity) FROM reservation)")  # fmt: skip
    assert (there, reserved) == (count, 3 * count), (there, reserved)
    base = {sealed: by_hand.orders(folder, net.provider.home, count, sealed) for sealed in (True, False)}
    medians = {SEALED: base[True], "by hand, persons in plain text": base[False], "zenv": taken}
    compare(medians, SEALED, {"zenv": TARGET})
    say("orders handed over a second", f"{count / taken:,.0f}")


def _quantities(net: Network, folder: Path, items: int) -> None:
    heading(f"(i) {items:,} quantities of a provider that have changed")
    _receive(net.provider)
    read = timed(lambda: _part(net.client, lambda job, _: pulling.pull_stream(job, "events")))
    _demand_equal(net, items)
    _receive(net.provider)
    taken = timed(lambda: _part(net.client, lambda job, _: pulling.take_levels(job, None)))
    _demand_equal(net, items)
    base = by_hand.quantities(folder, net.provider.home, items)
    compare({"by hand": base["events"], "zenv, as its journal": read}, "by hand", {"zenv, as its journal": TARGET})
    compare({"by hand": base["levels"], "zenv, as its levels": taken}, "by hand", {"zenv, as its levels": TARGET})
    say("quantities a second, as its journal", f"{items / read:,.0f}")
    say("quantities a second, as its levels", f"{items / taken:,.0f}")
    say("a run that finds nothing new", f"{timed(lambda: _run(net.client, 'provider')):,.1f} s", "the catalogue again")


def _part(book: Book, work: sync.Work) -> None:
    result = sync.run_part(book, DEPOT, Task("bench", timedelta()), work)
    assert result.outcome == "ok", result


def _run(book: Book, task: str) -> None:
    result = sync.run(book, DEPOT, task)
    assert result.outcome == "ok", result


def _ask(book: Book, query: str) -> list[tuple[Any, ...]]:
    with book.reading() as sql:
        return [tuple(row) for row in sql.exec_driver_sql(query)]


def _demand_equal(net: Network, items: int) -> None:
    """The client has what the provider has."""
    count = "SELECT COUNT(*), SUM(on_hand) FROM level l JOIN warehouse w ON w.id = l.warehouse_id WHERE w.name = "
    (here,), (there,) = _ask(net.client, f"{count} '{DEPOT}'"), _ask(net.provider, f"{count} 'Main'")
    assert here == there and here[0] == items, (here, there)


# ---- two companies ---------------------------------------------------------------------------------------


@contextmanager
def _linked(folder: Path, items: int) -> Iterator[Network]:
    """A client of so many items, all of them shared with its provider, which has plenty of each."""
    with _new(folder / "client") as client, _new(folder / "provider") as provider:
        _make_provider(provider)
        for page in in_chunks(range(items), PAGE):
            with client.transaction() as t:
                catalog.insert_items(t, [_item(number) for number in page])
        with _served(provider):
            with client.transaction() as t:
                links.add_warehouse(t, DEPOT, "zfn")
            joining.request(client, DEPOT, str(standing.invite(provider)))
            with provider.transaction() as t:
                (waiting,) = clients.review(t)
                clients.accept(t, waiting.request, "bench", True, None)
            shared = timed(lambda: _run(client, "provider"))
            _receive(provider)
            _run(client, "provider")
            heading(f"(i) a catalogue of {items:,} items shared with a provider")
            say("items shared a second", f"{items / shared:,.0f}")
            yield Network(client, provider)


def _item(number: int) -> dict[str, Any]:
    return {"sku": f"SKU-{number:06d}", "name": f"Item number {number}", "attributes": "{}", "active": True}


def _new(home: Path) -> Book:
    home.mkdir(mode=0o700)
    store = credentials.KeyStore("file", str(home / "master.key"), "bench")
    credentials.create_master_key(store)
    create(home, NewCompany("Bench", "US", "America/New_York", "USD"), store)
    book = open_book(home, "bench")
    with book.transaction() as t:
        users.begin(t)
        stock.add_warehouse(t, "Main")
    return book


def _make_provider(book: Book) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with book.transaction() as t:
        standing.choose_plan(t, "enterprise")
        standing.enable(t)
        standing.grant(t)
        standing.edit(t, address=f"127.0.0.1:{port}")


def _receive(book: Book) -> None:
    """So many units more of each item of the client's."""
    wanted = [key for (key,) in _ask(book, "SELECT id FROM item ORDER BY id")]
    for page in in_chunks(wanted, PAGE):
        with book.transaction() as t:
            shelf = t.place(stock.warehouse_id(t.sql, "Main"), "on_hand")
            stock.move(t, [Move(item, 1, shelf, UNITS, "received") for item in page])


@contextmanager
def _served(book: Book) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    listens = context.Event()
    process = context.Process(target=serve, args=(book.home, listens), daemon=True)
    process.start()
    assert listens.wait(60)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def serve(home: Path, listens: Any) -> None:
    """The face of a provider, in this process."""
    from zenv.server import serving

    with open_book(home, "bench") as book:
        with book.reading() as sql:
            where = serving.Where(standing.read(sql).address)
        serving.Server(serving.configured(book, where), listens.set).run([serving.bind(where)])
