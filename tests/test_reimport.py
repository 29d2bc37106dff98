"""`zenv warehouses reimport-items`: existing listings are linked anew and no item is made or changed (Z29 to Z34)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import books
from tests.sync.shop import calls, every_request, new_sim, no_transaction, run_all, sim_of
from tests.year.company import PATIENT, Clock, Company, company, connect
from zenv import reimport, sync
from zenv.errors import Busy, LoginNeeded, NotFound, Refused, Stopped
from zenv.ledger import adoption, catalog, connections, listings, runs, views
from zenv.reimport import Reimported
from zenv.simulators.amazon import AmazonSimulator

HOUR = 3600.0
GTIN = "4006381333931"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sim(clock: Clock) -> AmazonSimulator:
    """A seller of two teapots, a mug with a GTIN, and a bowl."""
    found = new_sim(clock)
    for sku, quantity, about in (("POT-1", 5, {}), ("POT-2", 8, {}), ("MUG", 20, {"gtin": GTIN}), ("BOWL", 2, {})):
        found.add_listing(sku, name=f"A {sku}", quantity=quantity, **about)
    clock.wind(2 * HOUR)
    return found


@pytest.fixture
def shop(sim: AmazonSimulator, clock: Clock, tmp_path: Path) -> Iterator[Company]:
    """Connected to Main; POT-1 and POT-2 are items, ten of each, and everything was read and told once. What Amazon
    lists becomes an item from now on."""
    with company([sim], clock, ("Main", "Side"), folder=tmp_path) as c, every_request(no_transaction(c.book)):
        connect(c.book, "a", sim, c.shops[0].url, adopt_new=False)
        for sku in ("POT-1", "POT-2"):
            add(c, sku)
            books.receive(c.book, sku, 10)
        assert {result.outcome for result in run_all(c)} == {"ok"}
        with c.book.transaction() as t:
            connections.edit(t, "a", adopt_new=True)
        clock.wind(HOUR)
        yield c
        assert books.findings(c.book) == []
        assert sim.violations == []


def add(shop: Company, sku: str, **about: Any) -> None:
    with shop.book.transaction() as t:
        catalog.add_item(t, catalog.NewItem(sku, **about))


def again(shop: Company, warehouse: str = "Main", **how: Any) -> list[Reimported]:
    return reimport.reimport_items(shop.book, warehouse, shop.world(PATIENT), **how)


def links(shop: Company) -> dict[str, str | None]:
    return dict(books.ask(shop.book, "SELECT sku, item FROM listings"))


def definitions(shop: Company) -> list[Any]:
    """The items as they are defined, whatever their stock."""
    return shop.rows("SELECT id, sku, gtin, name, parent_id, attributes, unit_cost, weight_grams, active FROM item"
                     " ORDER BY id")  # fmt: skip


def part(shop: Company, sku: str) -> None:
    """A listing and its item are parted, as a person does it."""
    with shop.book.transaction() as t:
        listings.unlink(t, sku)


# ---- what it does ----------------------------------------------------------------------------------------


def test_Z31_number_and_content_of_items_stay_whatever_the_account_adopts(shop: Company) -> None:
    sim_of(shop).add_listing("NEW-AT-AMAZON", name="Nobody here knows it", quantity=4)
    before = definitions(shop)
    (done,) = again(shop)
    assert (done.result.outcome, done.read) == ("ok", 5)
    assert definitions(shop) == before
    assert list(done.remapped.without_item) == ["BOWL", "MUG", "NEW-AT-AMAZON"]
    assert reimport.without_item([done]) == [("a", "BOWL"), ("a", "MUG"), ("a", "NEW-AT-AMAZON")]
    assert ("unlinked", "a") in books.inbox(shop.book)
    assert links(shop) == {"POT-1": "POT-1", "POT-2": "POT-2", "MUG": None, "BOWL": None, "NEW-AT-AMAZON": None}


def test_Z31_an_item_that_lacks_what_its_listing_says_is_not_completed(shop: Company) -> None:
    """The details arrive for the first time with this run."""
    add(shop, "LATE")
    sim_of(shop).add_listing("LATE", name="A late one", gtin="4006381333948", quantity=1)
    before = definitions(shop)
    again(shop)
    assert links(shop)["LATE"] == "LATE" and definitions(shop) == before


def test_Z31_an_item_that_waits_for_details_still_gets_them_from_the_run_that_brings_them(shop: Company) -> None:
    sim, sku = sim_of(shop), "FROM-REPORT"
    sim.add_listing(sku, name="Known by report", gtin="4006381333948", quantity=1)
    with shop.book.transaction() as t:
        from zenv.facts import ListingFact
        from zenv.ledger.listing_facts import record_listings

        record_listings(t, 1, [ListingFact(sku, name="Known by report", quantity=1, needs_detail=True,
                                           observed_at=shop.clock.now)])  # fmt: skip
    before = definitions(shop)
    assert [row[2] for row in before if row[1] == sku] == [None]
    shop.clock.wind(HOUR)
    again(shop)
    assert definitions(shop) == before
    shop.run("a", "items")
    assert [row[2] for row in definitions(shop) if row[1] == sku] == ["4006381333948"]


def test_Z32_every_listing_is_linked_by_sku_or_gtin_also_one_that_was_parted(shop: Company) -> None:
    add(shop, "BECHER", gtin=GTIN)  # links the mug by its GTIN
    part(shop, "MUG")
    part(shop, "POT-1")
    assert links(shop) == {"POT-1": None, "POT-2": "POT-2", "MUG": None, "BOWL": None}
    (done,) = again(shop)
    assert (done.remapped.linked, done.remapped.replaced) == (2, 0)
    assert links(shop) == {"POT-1": "POT-1", "POT-2": "POT-2", "MUG": "BECHER", "BOWL": None}


def test_Z32_a_stale_link_is_replaced_by_the_item_with_exactly_that_sku(shop: Company) -> None:
    number = sim_of(shop).place_order([("POT-1", 2)])
    shop.clock.wind(600)
    shop.run("a", "orders")
    part(shop, "POT-1")
    with shop.book.transaction() as t:
        listings.link(t, "POT-1", "POT-2")
    assert (books.available(shop.book, "POT-1"), books.available(shop.book, "POT-2")) == (10, 8)
    (done,) = again(shop)
    assert (done.remapped.linked, done.remapped.replaced) == (0, 1)
    assert links(shop)["POT-1"] == "POT-1"
    # the open order goes with the listing
    assert (books.available(shop.book, "POT-1"), books.available(shop.book, "POT-2")) == (8, 10)
    assert books.held(shop.book, number) == [("POT-1", "Main", 2, 0)]
    assert "1 linked to another item" in done.result.note


def test_Z32_what_was_shipped_under_a_stale_link_stays_as_it_was(shop: Company) -> None:
    number = sim_of(shop).place_order([("POT-1", 2)])
    shop.clock.wind(600)
    shop.run("a", "orders")
    part(shop, "POT-1")
    with shop.book.transaction() as t:
        listings.link(t, "POT-1", "POT-2")
    books.ship(shop.book, number)
    moved = books.movements(shop.book, "POT-2")
    again(shop)
    assert links(shop)["POT-1"] == "POT-1" and books.movements(shop.book, "POT-2") == moved
    assert books.shelf(shop.book, "POT-2") == (8, 0, 0)


def test_Z32_a_persons_link_to_an_item_of_another_name_stays_where_no_item_has_the_sku(shop: Company) -> None:
    with shop.book.transaction() as t:
        listings.link(t, "BOWL", "POT-2")
        listings.link(t, "MUG", "POT-1")
    add(shop, "BECHER", gtin=GTIN)  # a GTIN is not exactly its SKU
    again(shop)
    assert links(shop) == {"POT-1": "POT-1", "POT-2": "POT-2", "MUG": "POT-1", "BOWL": "POT-2"}


def test_Z32_a_second_time_changes_nothing(shop: Company) -> None:
    part(shop, "POT-1")
    with shop.book.transaction() as t:
        listings.link(t, "POT-1", "POT-2")
    again(shop)
    before = (links(shop), definitions(shop), shop.rows("SELECT * FROM movement"), shop.rows("SELECT * FROM message"))
    (done,) = again(shop)
    assert (done.remapped.linked, done.remapped.replaced, done.result.items) == (0, 0, 0)
    assert before == (links(shop), definitions(shop), shop.rows("SELECT * FROM movement"),
                      shop.rows("SELECT * FROM message"))  # fmt: skip


def test_Z33_the_quantities_the_account_shows_are_fresh_in_the_same_run(shop: Company) -> None:
    part(shop, "POT-1")
    sim_of(shop).change_quantity("POT-1", 77)
    again(shop)
    shown = dict(books.ask(shop.book, "SELECT sku, live FROM listings"))
    assert shown["POT-1"] == 77
    assert books.available(shop.book, "POT-1") == 10  # F12: theirs is looked at and never becomes ours


def test_linking_anew_owes_the_account_the_stock_of_the_item(shop: Company) -> None:
    part(shop, "POT-1")
    books.receive(shop.book, "POT-1", 3)
    shop.run("a", "stock")
    again(shop)
    assert ("stock_level", "POT-1", "pending") in books.owed(shop.book)
    shop.clock.wind(HOUR)
    shop.run("a", "stock")
    assert sim_of(shop).listings["POT-1"].quantity == 13


def test_Z29_the_whole_catalogue_is_read_and_no_cursor_moves(
    sim: AmazonSimulator, clock: Clock, tmp_path: Path
) -> None:
    """More items than one search of Amazon shows."""
    sim.limits, sim.models = False, None
    for number in range(1100):
        sim.add_listing(f"S-{number}", quantity=1)
        clock.wind(5)
    clock.wind(HOUR)
    with company([sim], clock, folder=tmp_path) as c:
        connect(c.book, "a", sim, c.shops[0].url)
        (done,) = again(c)
        assert (done.result.outcome, done.read, len(done.remapped.without_item)) == ("ok", 1104, 1104)
        assert c.rows("SELECT * FROM cursor") == []
        assert calls(sim, "createReport") == []


# ---- which accounts --------------------------------------------------------------------------------------


def test_Z34_a_warehouse_no_live_account_sells_from_is_refused_with_the_way_out(shop: Company) -> None:
    asked = len(sim_of(shop).requests)
    with pytest.raises(Refused, match="Side") as refused:
        again(shop, "Side")
    assert refused.value.hint == "zenv connect amazon"
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with pytest.raises(Refused, match="Main") as refused:
        again(shop)
    assert refused.value.hint == "zenv connections enable a"
    with pytest.raises(NotFound):
        again(shop, "Nowhere")
    assert len(sim_of(shop).requests) == asked


def test_Z34_an_account_that_waits_for_a_login_is_named(shop: Company) -> None:
    with shop.book.transaction() as t:
        connections.needs_login(t, 1)
    with pytest.raises(LoginNeeded) as error:
        again(shop)
    assert error.value.hint == "zenv connections login a"


def test_Z29_every_live_account_of_the_warehouse_is_read_and_one_that_fails_does_not_stop_the_other(
    clock: Clock, tmp_path: Path
) -> None:
    sims = [new_sim(clock), AmazonSimulator(8, clock)]
    for one in sims:
        one.add_listing("POT", quantity=3)
    clock.wind(HOUR)
    with company(sims, clock, folder=tmp_path) as c:
        for name, one, shop in zip("ab", sims, c.shops, strict=True):
            connect(c.book, name, one, shop.url)
        sims[0].fault("503_html", "searchListingsItems", times=100)
        done = again(c)
        assert [(one.result.connection, one.result.outcome, one.read) for one in done] == [
            ("a", "failed", 0), ("b", "ok", 1),
        ]  # fmt: skip
        assert [one["task"] for one in books.dicts(views.runs(c.home))] == ["reimport", "reimport"]


# ---- as a run like any other -----------------------------------------------------------------------------


def test_it_leaves_a_run_in_the_history_that_says_what_it_did(shop: Company) -> None:
    (done,) = again(shop)
    shown = books.dicts(views.runs(shop.home, "a", 1))[0]
    assert (shown["run"], shown["task"], shown["outcome"]) == (done.result.run, "reimport", "ok")
    assert shown["note"] == "4 listings read, 0 linked, 0 linked to another item, 2 without an item"


def test_a_listing_that_cannot_be_taken_is_set_aside_and_a_rerun_heals_it_without_making_an_item(shop: Company) -> None:
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("CREATE TRIGGER odd BEFORE INSERT ON listing WHEN NEW.sku = 'NEW'"
                              " BEGIN SELECT RAISE(ABORT, 'nothing new'); END")  # fmt: skip
    sim_of(shop).add_listing("NEW", quantity=4)
    before = definitions(shop)
    (done,) = again(shop)
    assert (done.result.outcome, done.result.items_failed) == ("partial", 1)
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("DROP TRIGGER odd")
    assert sync.rerun(shop.book, done.result.run, shop.world(PATIENT)).outcome == "ok"
    assert links(shop)["NEW"] is None and definitions(shop) == before
    assert shop.rows("SELECT 1 FROM run_failure WHERE settled_at IS NULL") == []


def test_two_at_once_are_one_too_many(shop: Company) -> None:
    with shop.book.transaction() as t:
        runs.begin(t, 1, "reimport")
    (done,) = again(shop)
    assert done.result.outcome == "not begun" and isinstance(done.result.error, Busy)


def test_told_to_stop_it_leaves_the_links_as_they_were(shop: Company) -> None:
    from threading import Event

    stop = Event()
    part(shop, "POT-1")
    stop.set()
    (done,) = again(shop, stop=stop)
    assert isinstance(done.result.error, Stopped) and done.result.outcome == "partial"
    assert links(shop)["POT-1"] is None


def test_an_account_whose_first_import_is_still_to_come_makes_its_items_then(
    sim: AmazonSimulator, clock: Clock, tmp_path: Path
) -> None:
    """What was listed before is on the inbox, where a person confirms it; it opens with its stock as ever."""
    with company([sim], clock, folder=tmp_path) as c:
        connect(c.book, "a", sim, c.shops[0].url, adopt_new=True)
        again(c)
        assert c.rows("SELECT * FROM item") == []
        with c.book.transaction() as t:
            assert adoption.adopt(t, 1, [row[0] for row in c.rows("SELECT id FROM listing")]) == 4
        assert books.shelf(c.book, "MUG") == (20, 0, 0)
