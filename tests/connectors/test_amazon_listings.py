"""The stream of items: search, report, new items, the sweep of what is live; against the simulator."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.conftest import Connect
from tests.connectors.contract import facts_of, last_cursor
from zenv.connectors.amazon.reading import parse_time, stamp
from zenv.connectors.amazon.windows import NARROWEST, Window
from zenv.errors import BadInput
from zenv.facts import BadRecord, ListingFact, Page
from zenv.simulators.amazon import AmazonSimulator


def listings(pages: list[Page]) -> list[ListingFact]:
    return [fact for fact in facts_of(pages) if isinstance(fact, ListingFact)]


def skus(pages: list[Page]) -> set[str]:
    return {fact.sku for fact in listings(pages)}


def asked(sim: AmazonSimulator, operation: str) -> int:
    return [seen.operation for seen in sim.requests].count(operation)


def test_A3_a_small_catalogue_comes_whole_by_search_with_quantities(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(70, fba=0.2)
    pages = list(connect().pull("listings", None))
    facts = {fact.sku: fact for fact in listings(pages)}
    assert set(facts) == set(sim.listings)
    for sku, listing in sim.listings.items():
        assert facts[sku].quantity == listing.quantity
        assert facts[sku].fulfilled_by == ("channel" if listing.by_amazon else "merchant")
    assert not any(fact.needs_detail for fact in facts.values())
    assert pages[-1].progress == pages[-1].total == len(sim.listings)
    assert asked(sim, "createReport") == 0 and not sim.violations


def test_A5_variations_come_as_items_linked_to_their_parent(sim: AmazonSimulator, connect: Connect) -> None:
    sim.add_listing("TEA", is_parent=True)
    sim.add_listing("TEA-RED", parent_sku="TEA", variation={"color": "red"}, theme="COLOR")
    facts = {fact.sku: fact for fact in listings(list(connect().pull("listings", None)))}
    assert facts["TEA"].is_parent and facts["TEA"].quantity is None
    assert (facts["TEA-RED"].parent_sku, dict(facts["TEA-RED"].attributes)) == ("TEA", {"color": "red"})


def test_C1_an_empty_shop_says_so(connect: Connect) -> None:
    (*_, last) = connect().pull("listings", None)
    assert "lists no item" in last.why_empty and "since" in json.loads(last.cursor or "")


def test_a_large_catalogue_comes_by_one_report_in_pages_with_progress(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(1100, fba=0.1)
    pages = list(connect().pull("listings", None))
    assert skus(pages) == set(sim.listings)
    assert all(fact.needs_detail for fact in listings(pages))
    assert max(len(page.facts) for page in pages) <= 500
    assert [page.total for page in pages if page.facts] == [len(sim.listings)] * 3
    assert asked(sim, "createReport") == 1 and not sim.violations
    since = parse_time(json.loads(last_cursor(pages) or "")["since"])
    assert since <= sim.now() - timedelta(hours=6), "a report may be a copy of six hours ago"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-8"])
@pytest.mark.parametrize("columns", [27, 49])
def test_the_columns_and_encoding_of_the_report_do_not_matter(
    sim: AmazonSimulator, connect: Connect, encoding: str, columns: int
) -> None:
    sim.fill(1001)
    sim.report_encoding, sim.report_columns = encoding, columns
    assert skus(list(connect().pull("listings", None))) == set(sim.listings)


def test_C9_a_report_that_is_waited_for_survives_a_kill(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(1001)
    first = next(connect().pull("listings", None))
    rest = list(connect().pull("listings", first.cursor))
    assert skus(rest) == set(sim.listings)
    assert asked(sim, "createReport") == 1


def test_a_report_read_in_part_is_read_again_from_the_same_id(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(1100)
    walk = connect().pull("listings", None)
    before = [next(walk), next(walk)]
    assert before[1].facts
    assert skus(list(connect().pull("listings", last_cursor(before)))) == set(sim.listings)
    assert asked(sim, "createReport") == 1


@pytest.mark.parametrize("fault", ["cancelled_report", "fatal_report"])
def test_a_report_that_fails_means_keep_what_is_known_and_ask_again(
    sim: AmazonSimulator, connect: Connect, fault: str
) -> None:
    sim.fill(1001)
    sim.fault(fault)
    pages = list(connect().pull("listings", None))
    assert not facts_of(pages) and "what is known stays" in pages[-1].why_empty
    assert skus(list(connect().pull("listings", last_cursor(pages)))) == set(sim.listings)


def test_a_report_that_takes_too_long_is_looked_at_by_the_next_run(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(1001)
    sim.report_seconds = 3000
    pages = list(connect().pull("listings", None))
    assert "still preparing" in pages[-1].why_empty
    assert skus(list(connect().pull("listings", last_cursor(pages)))) == set(sim.listings)
    assert asked(sim, "createReport") == 1


def test_A12_later_runs_bring_only_new_items(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(30)
    cursor = last_cursor(list(connect().pull("listings", None)))
    sim.wind(4 * 3600)
    sim.add_listing("NEW-1", quantity=3)
    pages = list(connect().pull("listings", cursor))
    assert skus(pages) == {"NEW-1"}
    sim.wind(1200)
    once_more = list(connect().pull("listings", last_cursor(pages)))
    sim.wind(4 * 3600)
    nothing = list(connect().pull("listings", last_cursor(once_more)))
    assert not facts_of(nothing) and "no item created since" in nothing[-1].why_empty


def test_more_than_a_thousand_new_items_are_cut_into_windows(sim: AmazonSimulator, connect: Connect) -> None:
    start = stamp(sim.now())
    for index in range(1500):
        sim.add_listing(f"NEW-{index}", created=sim.now() + timedelta(seconds=4 * index))
    sim.wind(4 * 3600)
    pages = list(connect().pull("listings", json.dumps({"since": start})))
    assert skus(pages) == set(sim.listings)
    halfway = next(index for index, page in enumerate(pages) if page.cursor)
    rest = list(connect().pull("listings", pages[halfway].cursor))
    assert skus(pages[: halfway + 1]) | skus(rest) == set(sim.listings)
    assert not sim.violations


def test_items_made_in_one_second_beyond_a_search_are_said_not_forgotten(
    sim: AmazonSimulator, connect: Connect
) -> None:
    start, moment = stamp(sim.now()), sim.now() + timedelta(seconds=5)
    for index in range(2100):
        sim.add_listing(f"BULK-{index:04d}", created=moment)
    sim.wind(3600)
    pages = list(connect().pull("listings", json.dumps({"since": start})))
    said = [fact for fact in facts_of(pages) if isinstance(fact, BadRecord)]
    assert len(skus(pages)) == 2000
    assert len(said) == 1 and said[0].reason.startswith("100 items")


def test_items_too_young_for_summaries_hold_the_watermark_back_at_most_an_hour(
    sim: AmazonSimulator, connect: Connect
) -> None:
    cursor = last_cursor(list(connect().pull("listings", None)))
    sim.wind(4 * 3600)
    sim.young_seconds = 600
    sim.add_listing("YOUNG-1")
    pages = list(connect().pull("listings", cursor))
    assert listings(pages)[0].needs_detail and not listings(pages)[0].name
    assert sim.now() - parse_time(json.loads(last_cursor(pages) or "")["since"]) == timedelta(hours=1)
    sim.wind(1800)
    (again,) = listings(list(connect().pull("listings", last_cursor(pages))))
    assert again.name and not again.needs_detail


def test_C14_the_sweep_shows_what_is_live_now(sim: AmazonSimulator, connect: Connect) -> None:
    names = sim.fill(1200)
    sim.change_quantity(names[0], 77)
    pages = list(connect().pull("live", None))
    live = {fact.sku: fact.quantity for fact in listings(pages)}
    assert live == {sku: listing.quantity for sku, listing in sim.listings.items()}
    assert pages[-1].cursor == "{}" and pages[-1].total == len(sim.listings)


def test_a_sweep_that_broke_off_goes_on_and_an_old_one_begins_anew(sim: AmazonSimulator, connect: Connect) -> None:
    sim.fill(1200)
    pages = list(connect().pull("live", None))
    halfway = next(index for index, page in enumerate(pages) if page.cursor and page.progress)
    rest = skus(list(connect().pull("live", pages[halfway].cursor)))
    assert skus(pages[: halfway + 1]) | rest == set(sim.listings)
    assert rest != set(sim.listings)
    sim.wind(86_400)
    assert skus(list(connect().pull("live", pages[halfway].cursor))) == set(sim.listings)


def test_H27_named_items_are_fetched_also_those_with_awkward_skus(sim: AmazonSimulator, connect: Connect) -> None:
    awkward = ["A,B", "A/B", "100%", "a b+c", "Ünï", "#?&=", "..", "plain"]
    for sku in awkward:
        sim.add_listing(sku, quantity=4, gtin="4006381333931")
    wanted = [*awkward, "missing", "miss,ing"]
    for kind, whole in (("listing", False), ("detail", True)):
        facts = facts_of(list(connect().fetch(kind, wanted)))
        found = [fact for fact in facts if isinstance(fact, ListingFact)]
        assert [fact.sku for fact in found] == awkward
        assert all(fact.quantity == 4 and bool(fact.gtin) == whole and fact.needs_detail != whole for fact in found)
        assert [fact.remote_id for fact in facts if isinstance(fact, BadRecord)] == ["missing", "miss,ing"]
    assert not sim.violations


def test_skus_with_commas_never_make_a_list_longer_than_amazon_takes(sim: AmazonSimulator, connect: Connect) -> None:
    commas = [f"A,{index}" for index in range(20)]
    for sku in commas:
        sim.add_listing(sku)
    facts = facts_of(list(connect().fetch("listing", commas)))
    assert [fact.sku for fact in facts if isinstance(fact, ListingFact)] == commas
    assert not sim.violations


def test_H70_items_of_a_period_are_those_created_in_it_with_both_ends(sim: AmazonSimulator, connect: Connect) -> None:
    created = []
    for number in range(5):
        created.append(sim.add_listing(f"S-{number}", quantity=1).created)
        sim.wind(60)
    moment = timedelta(milliseconds=1)
    assert skus(list(connect().period("listings", created[1], created[3]))) == {"S-1", "S-2", "S-3"}
    assert skus(list(connect().period("listings", created[1] + moment, created[3] - moment))) == {"S-2"}
    assert skus(list(connect().period("listings", created[4], created[4]))) == {"S-4"}
    assert {page.cursor for page in connect().period("listings", created[0], sim.now())} == {None}
    assert not sim.violations


def test_a_period_that_has_not_begun_at_amazon_is_empty(sim: AmazonSimulator, connect: Connect) -> None:
    """Its clock may be behind ours."""
    later = sim.now() + timedelta(hours=1)
    assert facts_of(list(connect().period("listings", later, later + timedelta(hours=1)))) == []
    assert asked(sim, "searchListingsItems") == 0


def test_H68_a_period_with_more_items_than_a_search_shows_is_read_whole(sim: AmazonSimulator, connect: Connect) -> None:
    sim.limits = False
    begun = sim.now()
    for number in range(1020):
        sim.add_listing(f"S-{number}", quantity=1)
        sim.wind(5)
    assert skus(list(connect().period("listings", begun, sim.now()))) == set(sim.listings)


def test_a_cursor_that_is_none_is_bad_input(connect: Connect) -> None:
    with pytest.raises(BadInput):
        list(connect().pull("listings", '{"since": "never"}'))


MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


@given(MOMENTS, st.timedeltas(timedelta(0), timedelta(days=4000)), st.lists(st.floats(0, 1), max_size=20))
def test_halved_windows_cover_every_moment_and_come_to_an_end(
    start: datetime, width: timedelta, shares: list[float]
) -> None:
    waiting, leaves = [Window(start, start + width)], []
    while waiting:
        window = waiting.pop()
        inside = [share for share in shares if window.start <= start + width * share <= window.end]
        halves = window.halves() if inside else None
        if halves:
            assert all(half.end - half.start < window.end - window.start for half in halves)
            waiting += halves
        else:
            leaves.append(window)
    for share in shares:
        moment = start + width * share
        assert any(leaf.start <= moment <= leaf.end and leaf.end - leaf.start <= NARROWEST for leaf in leaves)


@given(MOMENTS, MOMENTS)
def test_a_window_as_it_is_asked_misses_no_millisecond_between_its_halves(one: datetime, other: datetime) -> None:
    window = Window(min(one, other), max(one, other))
    if halves := window.halves():
        earlier, later = (half.query() for half in halves)
        assert earlier["createdBefore"] == later["createdAfter"]
        assert earlier["createdAfter"] == window.query()["createdAfter"]
        assert later["createdBefore"] == window.query()["createdBefore"]
