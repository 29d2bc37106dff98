"""Runs of tasks as a user has them: the real connector over real HTTP against a simulated Amazon, on one clock wound
by hand. In every test here a request that leaves while a transaction is open fails the run."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests import books, killing
from tests.shared_files import SPAPI
from tests.year.company import Clock, Company, company, connect, secrets_of
from zenv import delivery, sync
from zenv.errors import Busy, LoginNeeded, NotFound, Refused, Throttled
from zenv.ledger import connections, linking, messages, orders, recipients, stock, views
from zenv.ledger.book import Book
from zenv.simulators.amazon import AmazonSimulator

DE, FR, IT = "A1PA6795UKMFR9", "A13V1IB3VIYZZH", "APJ6JRA9NG5V4"
HOUR = 3600.0


@contextmanager
def every_request(watch: Callable[[httpx.Request], object]) -> Iterator[None]:
    """Call `watch` before each HTTP request leaves, at the one place all requests pass."""
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        watch(request)
        return original(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", handle)
        yield


def no_transaction(book: Book) -> Callable[[httpx.Request], None]:
    """Neither a writing nor a reading transaction is open (design 5.1)."""

    def watch(request: httpx.Request) -> None:
        out = book.engine.pool.checkedout()  # type: ignore[attr-defined]
        assert out == 0, f"{out} transactions are open while {request.url.path} is asked"

    return watch


def new_sim(clock: Clock) -> AmazonSimulator:
    return AmazonSimulator(7, clock, models=SPAPI if SPAPI.is_dir() else None)


@contextmanager
def opened(sim: AmazonSimulator, clock: Clock, folder: Any, **settings: Any) -> Iterator[Company]:
    """A company with one connection `a`; what Amazon lists becomes items unless `settings` say otherwise."""
    with company([sim], clock, ("Main", "Side"), folder=folder) as c, every_request(no_transaction(c.book)):
        connect(c.book, "a", sim, c.shops[0].url, **({"adopt_new": True} | settings))
        yield c
        assert books.findings(c.book) == []
        assert (sim.channel_accidents, sim.handling_resets) == ([], [])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> AmazonSimulator:
    """A seller of two teapots and a mug."""
    found = new_sim(clock)
    for sku, quantity in (("POT-1", 5), ("POT-2", 8), ("MUG", 20)):
        found.add_listing(sku, name=f"A {sku}", quantity=quantity)
    clock.wind(2 * HOUR)
    return found


@pytest.fixture
def shop(sim: AmazonSimulator, clock: Clock, tmp_path: Any) -> Iterator[Company]:
    """Connected, nothing read yet."""
    with opened(sim, clock, tmp_path) as c:
        yield c
        assert sim.violations == []


@pytest.fixture
def in_step(shop: Company) -> Company:
    """Everything was read once, and Amazon was told what it shows already."""
    assert {result.outcome for result in run_all(shop)} == {"ok"}
    shop.clock.wind(HOUR)
    return shop


def run_all(shop: Company, **options: Any) -> list[sync.RunResult]:
    return sync.run_all(shop.book, "a", shop.world(10**7), **options)


def sim_of(shop: Company) -> AmazonSimulator:
    return shop.shops[0].sim


def connection_id(shop: Company) -> int:
    with shop.book.reading() as sql:
        return int(connections.find(sql, "a").id)


def calls(sim: AmazonSimulator, operation: str) -> list[Any]:
    return [seen for seen in sim.requests if seen.operation == operation]


def set_stock(shop: Company, **units: int) -> None:
    """Count these items (dashes written as underscores) and book the difference."""
    with shop.book.transaction() as t:
        for sku, counted in units.items():
            stock.book_count(t, sku.replace("_", "-"), "Main", counted)


def told(shop: Company) -> dict[str, tuple[int | None, Any]]:
    """SKU -> quantity and handling time as Amazon holds them."""
    return {sku: (one.quantity, one.submitted[0].get("lead_time_to_ship_max_days"))
            for sku, one in sim_of(shop).listings.items() if one.submitted}  # fmt: skip


def stock_states(shop: Company) -> dict[str, str]:
    return dict(books.ask(shop.book, "SELECT l.name, l.stock_state FROM listings l"))


# ---- the record of a run ---------------------------------------------------------------------------------


def test_C1_a_run_that_finds_nothing_leaves_a_record_that_says_why(shop: Company) -> None:
    result = shop.run("a", "orders")
    assert (result.outcome, result.orders) == ("ok", 0)
    shown = books.dicts(views.runs(shop.home, "a"))[0]
    assert (shown["task"], shown["outcome"]) == ("orders", "ok")
    assert "Amazon has no order for createdAfter=" in shown["note"]


def test_C2_one_unreadable_order_is_set_aside_with_its_reason_and_heals_later(shop: Company) -> None:
    sim = sim_of(shop)
    good, odd, last = (sim.place_order([(sku, 1)]) for sku in ("POT-1", "POT-2", "MUG"))
    sim.models = None
    sim.orders[odd].status = "ON_THE_MOON"
    shop.clock.wind(60)
    # the first import asks for open orders only; the changes after it are asked for whatever their status
    assert shop.run("a", "orders").outcome == "ok"
    sim.book.touch(sim.orders[odd], sim.now())
    shop.clock.wind(600)
    result = shop.run("a", "orders")
    assert (result.outcome, result.failed) == ("partial", 1)
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == {good, last}
    ((kind, reference, reason),) = books.ask(shop.book, "SELECT kind, remote_id, reason FROM run_failures")
    assert (kind, reference) == ("order", odd)
    assert "ON_THE_MOON" in reason
    assert ("failed record", f"order {odd}") in books.inbox(shop.book)

    sim.orders[odd].status = "UNSHIPPED"
    sim.book.touch(sim.orders[odd], sim.now())
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"
    assert books.state(shop.book, odd) == "ready"
    assert ("failed record", f"order {odd}") not in books.inbox(shop.book)
    sim.violations.clear()  # a status no model knows


def test_a_record_the_ledger_refuses_does_not_take_its_page_with_it(shop: Company) -> None:
    sim = sim_of(shop)
    sim.add_listing("BAD\x07BELL", name="Unprintable", quantity=1)
    shop.clock.wind(2 * HOUR)
    result = shop.run("a", "items")
    assert (result.outcome, result.items, result.failed) == ("partial", 3, 1)
    assert {sku for (sku,) in books.ask(shop.book, "SELECT sku FROM items")} == {"POT-1", "POT-2", "MUG"}
    sim.violations.clear()


def test_C2_an_order_the_ledger_itself_refuses_does_not_take_its_page_with_it(shop: Company) -> None:
    sim = sim_of(shop)
    first, refused, last = (sim.place_order([(sku, 1)]) for sku in ("POT-1", "POT-2", "MUG"))
    shop.clock.wind(60)
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("CREATE TRIGGER odd BEFORE INSERT ON order_line WHEN NEW.sku = 'POT-2'"
                              " BEGIN SELECT RAISE(ABORT, 'no second pots'); END")  # fmt: skip
    result = shop.run("a", "orders")
    assert (result.outcome, result.orders, result.failed) == ("partial", 2, 1)
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == {first, last}
    assert books.ask(shop.book, "SELECT remote_id, reason FROM run_failures") == [(refused, "no second pots")]
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("DROP TRIGGER odd")
    sim.request_cancel(refused)
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"
    assert books.state(shop.book, refused) == "ready"
    assert ("failed record", f"order {refused}") not in books.inbox(shop.book)


def test_a_throttled_run_is_partial_keeps_what_it_has_and_the_next_goes_on(shop: Company) -> None:
    sim = sim_of(shop)
    placed = {sim.place_order([("MUG", 1)]) for _ in range(3)}
    sim.fault("429", "getOrder")
    shop.clock.wind(60)
    result = shop.run("a", "orders", patience=0)
    assert (result.outcome, result.orders) == ("partial", 3)
    assert isinstance(result.error, Throttled)
    shown = books.dicts(views.runs(shop.home, "a"))[0]
    assert (shown["outcome"], shown["orders"]) == ("partial", 3)
    assert "wait" in shown["note"]
    assert unknown_recipients(shop) == placed
    shop.clock.wind(HOUR)
    assert shop.run("a", "orders").outcome == "ok"
    assert unknown_recipients(shop) == set()


def unknown_recipients(shop: Company) -> set[str]:
    with shop.book.reading() as sql:
        return set(recipients.wanted(sql, connection_id(shop), 100))


def test_an_outage_is_recorded_and_moves_no_cursor(shop: Company) -> None:
    sim = sim_of(shop)
    number = sim.place_order([("MUG", 1)])
    sim.fault("503_html", "searchOrders", times=50)
    result = shop.run("a", "orders")
    assert result.outcome == "failed"
    with shop.book.reading() as sql:
        assert connections.cursor(sql, connection_id(shop), "orders") is None
    sim.faults.clear()
    shop.clock.wind(HOUR)
    assert shop.run("a", "orders").orders == 1
    assert books.state(shop.book, number) == "ready"


def test_refused_credentials_stop_everything_until_the_user_logs_in_again(shop: Company) -> None:
    sim = sim_of(shop)
    sim.revoke()
    results = run_all(shop)
    assert [(result.task, result.outcome) for result in results] == [("orders", "failed")]
    assert isinstance(results[0].error, LoginNeeded)
    assert ("login", "a") in books.inbox(shop.book)
    with pytest.raises(LoginNeeded):
        shop.run("a", "orders")
    asked = len(sim.requests)
    with shop.book.transaction() as t:
        sim.authorise()
        connections.replace_secrets(t, "a", secrets_of(sim), shop.book.master_key())
    assert len(sim.requests) == asked
    assert shop.run("a", "orders").outcome == "ok"
    assert ("login", "a") not in books.inbox(shop.book)


def test_a_disabled_connection_runs_nothing(shop: Company) -> None:
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with pytest.raises(Refused, match="inactive"):
        shop.run("a", "orders")
    assert sim_of(shop).requests == []
    assert views.runs(shop.home, "a").rows == []


def test_two_processes_never_run_the_same_task_at_once(shop: Company) -> None:
    number = sim_of(shop).place_order([("MUG", 1)])
    shop.clock.wind(60)
    with killing.held_at_first_request(killing.Errand(shop.home, "orders", shop.clock.now)) as finish:
        with pytest.raises(Busy, match="orders"):
            shop.run("a", "orders")
        shop.clock.wind(60)
        assert shop.run("a", "verify").outcome == "ok"  # another task is free to run
        assert finish() == 0
    assert books.ask(shop.book, "SELECT number FROM orders") == [(number,)]
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"


def test_a_run_that_was_killed_is_taken_for_dead_when_its_lease_has_ended(shop: Company) -> None:
    assert killing.killed(killing.Errand(shop.home, "orders", shop.clock.now), 1, only="http")
    with pytest.raises(Busy):
        shop.run("a", "orders")
    shop.clock.wind(16 * 60)
    assert shop.run("a", "orders").outcome == "ok"
    assert [row["outcome"] for row in books.dicts(views.runs(shop.home, "a"))] == ["ok", "abandoned"]


def test_C9_a_first_import_that_was_killed_goes_on_with_the_page_it_had_come_to(shop: Company) -> None:
    sim = sim_of(shop)
    sim.limits = False  # time stands still here while the other process works
    placed = {sim.place_order([("MUG", 1)]) for _ in range(8)}
    shop.clock.wind(60)
    errand = killing.Errand(shop.home, "orders", shop.clock.now, (killing.SMALL,))
    assert killing.killed(errand, 5, only="http")  # the login, the first page, then right before the second leaves
    assert len(views.orders(shop.home).rows) == 3
    (first,) = calls(sim, "searchOrders")
    assert "paginationToken" not in first.query
    shop.clock.wind(HOUR)
    later = killing.Errand(shop.home, "orders", shop.clock.now, (killing.SMALL,))
    assert later.run(shop.clock).orders == 5
    walk = [seen.query for seen in calls(sim, "searchOrders") if "createdAfter" in seen.query]
    assert ["paginationToken" in query for query in walk] == [False, True, True]  # no page was asked for again
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == placed


def test_a_task_nobody_knows_is_refused_with_the_names_of_those_there_are(shop: Company) -> None:
    with pytest.raises(NotFound) as error:
        shop.run("a", "laundry")
    assert "orders" in error.value.hint


def test_the_watch_of_these_tests_notices_an_open_transaction(shop: Company) -> None:
    remote = sync.open_connector(shop.book, "a", shop.world())
    with shop.book.reading(), pytest.raises(AssertionError, match="1 transactions are open"):
        remote.check()
    remote.close()


# ---- people ----------------------------------------------------------------------------------------------


def test_A31_a_recipient_is_fetched_only_when_the_order_is_ready_and_is_kept_sealed(shop: Company) -> None:
    sim = sim_of(shop)
    ready = sim.place_order([("MUG", 1)], recipient={"name": "Marker Nameson"})
    pending = sim.place_order([("MUG", 1)], "PENDING", recipient={"name": "Marker Laterson"})
    sim.place_order([("MUG", 1)], fulfilled_by="AMAZON")
    shop.clock.wind(60)
    shop.run("a", "orders")
    asked = [seen.path.split("/")[-1] for seen in calls(sim, "getOrder")]
    assert asked == [ready]
    assert person(shop, ready)["name"] == "Marker Nameson"
    assert person(shop, pending) == {}
    sim.pay(pending)
    shop.clock.wind(600)
    shop.run("a", "orders")
    assert person(shop, pending)["name"] == "Marker Laterson"
    assert len(calls(sim, "getOrder")) == 2  # whom we know already is not asked for again
    assert traces(shop, ["Marker Nameson", "Marker Laterson"]) == []


def person(shop: Company, number: str) -> dict[str, str]:
    with shop.book.reading() as sql:
        order = sql.exec_driver_sql("SELECT id FROM customer_order WHERE number = ?", (number,)).scalar_one()
        return recipients.recipient(sql, shop.book.keys, order)


def traces(shop: Company, markers: list[str], text: str = "") -> list[str]:
    """Which markers stand readable in which file of the home, or in a text."""
    places = {path.name: path.read_bytes() for path in shop.home.rglob("*") if path.is_file()}
    places["text"] = text.encode()
    return [f"{marker} in {name}" for name, content in places.items() for marker in markers
            if marker.encode() in content or marker.encode("utf-16-le") in content]  # fmt: skip


MARKED = {
    "name": "Zarquon Markerson", "companyName": "Markerworks Ltd", "addressLine1": "1 Marker Mews",
    "addressLine2": "Marker Annex", "addressLine3": "Marker Attic", "phone": "+1 555 987 0042",
}  # fmt: skip


def test_I13_no_person_and_no_secret_stands_readable_anywhere_after_everything_ran(
    sim: AmazonSimulator, clock: Clock, tmp_path: Any, caplog: Any, capfd: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {sim.client_secret, sim.refresh_token}

    def collect(request: httpx.Request) -> None:
        secrets.update({request.headers.get("x-amz-access-token", sim.refresh_token), *sim.links})

    with opened(sim, clock, tmp_path) as shop, every_request(collect):
        said: list[str] = [repr(result) for result in everything(shop)]
        assert len(secrets) > 10  # access tokens and addresses of documents
        markers = [*MARKED.values(), "marked@buyer.example", "Marker Greetings", *secrets]
        order = next(iter(sim.orders))
        assert person(shop, order)["line3"] == "Marker Attic"  # it was all there to be told
        said.append(repr(shop.book.keys) + repr(views.order(shop.home, order)))
        out, err = capfd.readouterr()
        text = "\n".join([*said, out, err, caplog.text])
        assert traces(shop, markers, text) == []
        assert traces(shop, ["POT-1"], text) != []
        assert "operation=searchOrders" in caplog.text
    assert traces(shop, markers) == []  # nor in what closing the ledger leaves behind


def everything(shop: Company) -> Iterator[Any]:
    """Each task with and without trouble, a shipment, a cancellation, a login that is refused."""
    sim = sim_of(shop)
    buyer = {"buyerEmail": "marked@buyer.example", "buyerName": "Zarquon Markerson"}
    about: Any = {"recipient": MARKED, "buyer": buyer, "gift_message": "Marker Greetings"}
    first, second = (sim.place_order([("POT-1", 1)], **about) for _ in range(2))
    yield from run_all(shop)
    with shop.book.transaction() as t:
        orders.ship(t, first, [orders.NewPackage("UPS", "1Z1")])
        orders.cancel(t, second, "no_stock")
    for fault in ("500", "half_body", "lost_reply", "invalid_input", "truncated_json", "expired_token", "reset"):
        sim.fault(fault, times=1 if fault == "expired_token" else 2)
        sim.change_address(sim.place_order([("MUG", 1)], **about), MARKED)
        shop.clock.wind(2 * HOUR)
        for result in run_all(shop):
            yield result
            yield from traceback.format_exception(result.error) if result.error else ()
    sim.fault("500", "lwaToken", times=9)
    shop.clock.wind(2 * HOUR)
    yield from run_all(shop)
    sim.revoke()
    yield from run_all(shop)


# ---- stock -----------------------------------------------------------------------------------------------


def test_C16_the_plan_is_what_the_run_then_does(in_step: Company) -> None:
    sim, shop = sim_of(in_step), in_step
    number = sim.place_order([("MUG", 2)])
    shop.run("a", "orders")
    set_stock(shop, POT_1=3, POT_2=0)
    with shop.book.transaction() as t:
        orders.ship(t, number, [orders.NewPackage("UPS", "1Z9")])
    planned = {(one.kind, one.subject, one.was, one.becomes) for one in delivery.plan(shop.book, connection_id(shop))}
    assert planned == {
        ("stock_level", "POT-1", "5", "3 in 2 days"), ("stock_level", "POT-2", "8", "0 in 2 days"),
        ("stock_level", "MUG", "20", "18 in 2 days"), ("shipment", number, "", "1Z9"),
    }  # fmt: skip
    patched, changed = len(calls(sim, "patchListingsItem")), len(sim.quantity_changes)
    for task in ("shipments", "stock"):
        assert shop.run("a", task).outcome == "ok"
    assert len(calls(sim, "patchListingsItem")) - patched == 3
    assert {(one.sku, one.after) for one in sim.quantity_changes[changed:]} == {("POT-1", 3), ("POT-2", 0)}
    assert told(shop)["MUG"] == (18, 2)
    assert [(one.order_id, one.tracking, one.edit) for one in sim.confirmations] == [(number, "1Z9", False)]
    assert delivery.plan(shop.book, connection_id(shop)) == []


def test_A18_submitted_and_applied_are_told_apart_by_reading_back(in_step: Company) -> None:
    shop = in_step
    sim_of(shop).publish_seconds = 1200
    shop.run("a", "stock")
    set_stock(shop, POT_1=2)
    shop.run("a", "stock")
    assert stock_states(shop)["A POT-1"] == "submitted"
    shop.clock.wind(60)
    shop.run("a", "stock")
    assert stock_states(shop)["A POT-1"] == "submitted"  # Amazon took it and does not show it yet
    shop.clock.wind(1300)
    shop.run("a", "stock")
    assert stock_states(shop) == dict.fromkeys(("A POT-1", "A POT-2", "A MUG"), "applied")


def test_a_quantity_edited_at_Amazon_shows_as_a_mismatch_and_resending_settles_it(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    shop.run("a", "stock")
    sim.change_quantity("POT-2", 99)
    shop.clock.wind(HOUR)
    shop.run("a", "verify")
    assert stock_states(shop)["A POT-2"] == "mismatch"
    assert ("mismatch", "POT-2") in books.inbox(shop.book)
    assert books.available(shop.book, "POT-2") == 8  # F12: theirs never becomes ours
    with shop.book.transaction() as t:
        messages.resend(t, "POT-2", "a")
    for _ in range(2):
        shop.run("a", "stock")
        shop.clock.wind(HOUR)
    assert sim.listings["POT-2"].quantity == 8
    assert stock_states(shop)["A POT-2"] == "applied"
    assert ("mismatch", "POT-2") not in books.inbox(shop.book)


def test_A10_handling_time_and_quantity_always_go_together(in_step: Company) -> None:
    shop = in_step
    assert told(shop) == {"POT-1": (5, 2), "POT-2": (8, 2), "MUG": (20, 2)}
    set_stock(shop, POT_1=4)
    shop.run("a", "stock")
    with shop.book.transaction() as t:
        connections.edit(t, "a", handling_days=7)
    shop.run("a", "stock")
    assert told(shop) == {"POT-1": (4, 7), "POT-2": (8, 7), "MUG": (20, 7)}


def test_A26_what_is_told_is_the_sum_of_the_chosen_warehouses_less_the_buffer(in_step: Company) -> None:
    shop = in_step
    with shop.book.transaction() as t:
        stock.receive(t, "POT-1", "Side", 7)
    shop.run("a", "stock")
    assert told(shop)["POT-1"] == (5, 2)
    with shop.book.transaction() as t:
        connections.edit(t, "a", warehouses=("Main", "Side"), buffer=2)
    shop.run("a", "stock")
    assert {sku: quantity for sku, (quantity, _) in told(shop).items()} == {"POT-1": 10, "POT-2": 6, "MUG": 18}


def test_C18_a_listing_in_Amazons_warehouses_is_never_told_a_quantity(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    sim.add_listing("MUG-FBA", name="A MUG-FBA", fulfillment_channel="AMAZON_NA")
    shop.clock.wind(2 * HOUR)
    shop.run("a", "items")
    with shop.book.transaction() as t:
        linked = dict(t.sql.exec_driver_sql("SELECT sku, item_id FROM listing").all())
        fba = t.sql.exec_driver_sql("SELECT id FROM listing WHERE sku = 'MUG-FBA'").scalar_one()
        linking.join(t, {fba: linked["MUG"]})
    set_stock(shop, MUG=3)
    with shop.book.transaction() as t:
        messages.resend(t, "MUG-FBA", "a")
    assert {one.subject for one in delivery.plan(shop.book, connection_id(shop))} == {"MUG"}
    run_all(shop)
    assert sim.listings["MUG"].quantity == 3
    assert {seen.path.split("/")[-1] for seen in calls(sim, "patchListingsItem")} == {"POT-1", "POT-2", "MUG"}
    assert sim.listings["MUG-FBA"].channels == {"AMAZON_NA": None}
    assert stock_states(shop)["A MUG-FBA"] == "not pushed"


# ---- too many zeros --------------------------------------------------------------------------------------


@pytest.fixture
def many(clock: Clock, tmp_path: Any) -> Iterator[Company]:
    """Fifteen items that Amazon was told of."""
    sim = new_sim(clock)
    for number in range(15):
        sim.add_listing(f"SKU-{number}", quantity=4)
    clock.wind(2 * HOUR)
    with opened(sim, clock, tmp_path) as c:
        assert {result.outcome for result in run_all(c)} == {"ok"}
        c.clock.wind(HOUR)
        yield c


def empty(shop: Company, count: int) -> None:
    with shop.book.transaction() as t:
        for number in range(count):
            stock.book_count(t, f"SKU-{number}", "Main", 0)


def zeros(shop: Company) -> int:
    return sum(one.quantity == 0 for one in sim_of(shop).listings.values())


def test_ten_listings_may_go_to_zero_at_once(many: Company) -> None:
    empty(many, 10)
    assert many.run("a", "stock").outcome == "ok"
    assert zeros(many) == 10


def test_more_zeros_at_once_are_held_back_until_a_person_says_yes(many: Company) -> None:
    empty(many, 11)
    with many.book.transaction() as t:
        stock.receive(t, "SKU-14", "Main", 5)
    result = many.run("a", "stock")
    assert (result.outcome, result.failed, zeros(many)) == ("partial", 11, 0)
    assert "11 listings" in result.note
    assert told(many)["SKU-14"] == (9, 2)  # what is no accident goes on
    assert ("mass zero", "a") in books.inbox(many.book)
    many.clock.wind(HOUR)
    assert many.run("a", "stock").outcome == "partial"
    assert zeros(many) == 0
    assert many.run("a", "stock", yes_to_zero=True).outcome == "ok"  # said right after reading the inbox
    assert zeros(many) == 11
    assert ("mass zero", "a") not in books.inbox(many.book)


# ---- where to --------------------------------------------------------------------------------------------


def test_orders_are_read_from_all_marketplaces_but_stock_is_told_to_the_home_marketplace_alone(
    clock: Clock, tmp_path: Any
) -> None:
    sim = new_sim(clock)
    sim.marketplaces = [DE, FR, IT]
    for marketplace in sim.marketplaces:
        sim.add_listing("TEEKANNE", quantity=6, marketplace=marketplace)
    clock.wind(2 * HOUR)
    placed = [sim.place_order([("TEEKANNE", 1)], marketplace=marketplace) for marketplace in (FR, IT)]
    clock.wind(60)
    with opened(sim, clock, tmp_path, region="EU") as shop:
        assert {result.outcome for result in run_all(shop)} == {"ok"}
        assert [books.state(shop.book, number) for number in placed] == ["ready", "ready"]
        set_stock(shop, TEEKANNE=5)
        with shop.book.transaction() as t:
            orders.ship(t, placed[0], [orders.NewPackage("DHL", "JJD1")])
        shop.clock.wind(HOUR)
        run_all(shop)
        shop.clock.wind(HOUR)
        run_all(shop)
    asked = {seen.operation: seen.query.get("marketplaceIds") for seen in sim.requests}
    assert asked["searchOrders"] == [",".join([DE, FR, IT])]
    assert [asked[name] for name in ("patchListingsItem", "searchListingsItems")] == [[DE], [DE]]
    assert sim.listings["TEEKANNE"].quantity == 3  # 5 counted, 1 left, 1 is waited for
    assert [one.order_id for one in sim.confirmations] == placed[:1]
    assert sim.violations == []


def test_in_Amazons_sandbox_the_account_is_checked_and_its_made_up_orders_touch_nothing(
    sim: AmazonSimulator, clock: Clock, tmp_path: Any
) -> None:
    sim.sandbox = True
    with opened(sim, clock, tmp_path, sandbox=True) as shop:
        remote = sync.open_connector(shop.book, "a", shop.world())
        assert remote.check().plan == "PROFESSIONAL"
        remote.close()
        result = shop.run("a", "orders")
        assert result.outcome == "failed"  # its fixed test cases match no real request, and the record says so
        assert "400" in result.note
        assert views.orders(shop.home).rows == []
    asked = [seen.status for seen in sim.requests if seen.operation == "searchOrders"]
    assert set(asked) == {400}
