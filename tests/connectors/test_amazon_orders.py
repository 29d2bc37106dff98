"""The stream of orders: watermark, token, first import and history, against the simulator."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.connectors.conftest import Connect
from tests.connectors.contract import facts_of, last_cursor
from tests.connectors.test_http import Server, answer, wire
from tests.connectors.world import US, HandClock
from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.order_cursor import OVERLAP, TOKEN_LIFE, OrderCursor, read_order_cursor
from zenv.connectors.amazon.order_stream import pull_orders
from zenv.connectors.amazon.reading import parse_time, stamp
from zenv.connectors.base import Terms
from zenv.errors import BadInput, BadReply, Unreachable
from zenv.facts import BadRecord, OrderFact, Page, RecipientFact
from zenv.simulators.amazon import DELIVERY_ROLE, TAX_ROLE, AmazonSimulator

NOW = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)


def orders(sim: AmazonSimulator, number: int) -> list[str]:
    sku = "MUG-1" if "MUG-1" in sim.listings else sim.add_listing("MUG-1", quantity=100_000).sku
    return [sim.place_order([(sku, 1)]) for _ in range(number)]


def ids(pages: list[Page]) -> list[str]:
    return [fact.remote_id for fact in facts_of(pages) if isinstance(fact, OrderFact)]


def queries(sim: AmazonSimulator) -> list[dict[str, str]]:
    return [{k: v[0] for k, v in seen.query.items()} for seen in sim.requests if seen.operation == "searchOrders"]


def test_A4_the_first_import_brings_open_orders_and_then_changes(sim: AmazonSimulator, connect: Connect) -> None:
    first, second, third = orders(sim, 3)
    sim.ship_elsewhere(first)
    cursor = last_cursor(list(connect().pull("orders", None)))
    sim.wind(900)
    sim.cancel(second)
    pages = list(connect().pull("orders", cursor))
    assert {fact.remote_id: fact.state for fact in facts_of(pages) if isinstance(fact, OrderFact)} == {
        first: "shipped",
        second: "cancelled",
        third: "ready",
    }
    assert [query.get("fulfillmentStatuses") is not None for query in queries(sim)] == [True, False]
    assert not sim.violations


def test_H48_one_walk_covers_all_marketplaces_and_asks_for_no_person(sim: AmazonSimulator, connect: Connect) -> None:
    sim.marketplaces.append("A2EUQ1WTGCTBG2")
    orders(sim, 1)
    list(connect().pull("orders", None))
    (query,) = queries(sim)
    assert query["marketplaceIds"] == f"{US},A2EUQ1WTGCTBG2"
    assert query["includedData"] == "FULFILLMENT,PROCEEDS,CANCELLATION,PAYMENT,PACKAGES"
    assert query["fulfilledBy"] == "MERCHANT"


def test_a_marketplace_amazon_does_not_know_is_never_asked_for(sim: AmazonSimulator, connect: Connect) -> None:
    list(connect(marketplaces=(US, "A2ZV50J4W1RKNI")).pull("orders", None))
    assert queries(sim)[0]["marketplaceIds"] == US


def test_the_watermark_is_amazons_horizon_on_the_first_page(sim: AmazonSimulator, connect: Connect) -> None:
    sim.horizon_seconds = 600
    orders(sim, 150)
    sim.wind(1200)
    began = sim.now()
    cursor = last_cursor(list(connect().pull("orders", None)))
    assert parse_time(json.loads(cursor or "")["since"]) == began - timedelta(seconds=600)


def test_later_pages_that_name_a_later_horizon_do_not_move_the_watermark() -> None:
    clock = HandClock()
    early, late = (stamp(clock.now() - timedelta(minutes=minutes)) for minutes in (9, 3))
    server = Server(
        answer(200, {"orders": [], "pagination": {"nextToken": "t"}, "lastUpdatedBefore": early}),
        answer(200, {"orders": [], "lastUpdatedBefore": late}),
    )
    plain = wire(server, clock)
    api = Api(plain, Terms("teapots", "NA", "A1", (US,), US), plain.world)
    pages = list(pull_orders(api, '{"since": "2026-08-31T00:00:00.000Z"}'))
    assert json.loads(last_cursor(pages) or "") == {"since": early}


def test_the_watermark_never_passes_the_start_of_the_run(sim: AmazonSimulator, connect: Connect) -> None:
    sim.horizon_seconds = -3600
    cursor = last_cursor(list(connect().pull("orders", None)))
    assert parse_time(json.loads(cursor or "")["since"]) <= sim.now()


def test_C1_a_run_that_brings_nothing_says_which_window_was_empty(connect: Connect) -> None:
    (page,) = connect().pull("orders", '{"since": "2026-09-01T11:00:00Z"}')
    assert "lastUpdatedAfter=2026-09-01T10:55" in page.why_empty


def test_C9_a_walk_is_resumed_by_its_token_within_a_day_and_begun_anew_after(
    sim: AmazonSimulator, connect: Connect
) -> None:
    placed = orders(sim, 250)
    before = [next(walk) for walk in [connect().pull("orders", None)]]
    sim.wind(TOKEN_LIFE.total_seconds() - 60)
    assert sorted({*ids(before), *ids(list(connect().pull("orders", before[-1].cursor)))}) == sorted(placed)
    sim.wind(3600)
    again = list(connect().pull("orders", before[-1].cursor))
    assert sorted(ids(again)) == sorted(placed)
    assert not sim.violations


def test_a_token_amazon_no_longer_takes_begins_the_walk_anew(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 150)
    page = next(connect().pull("orders", None))
    spoiled = json.loads(page.cursor or "") | {"token": "2+/bm90aGluZw=="}
    assert sorted(ids(list(connect().pull("orders", json.dumps(spoiled))))) == sorted(placed)


def test_a_walk_that_goes_round_is_stopped_and_the_watermark_stays(sim: AmazonSimulator, connect: Connect) -> None:
    orders(sim, 150)
    start = '{"since": "2026-08-31T00:00:00Z"}'
    sim.fault("duplicate_page", times=1000)
    pages: list[Page] = []
    with pytest.raises(BadReply, match="same page"):
        pages.extend(connect().pull("orders", start))
    sim.faults.clear()
    cursor = json.loads(last_cursor(pages, start) or "")
    assert parse_time(cursor["since"]) == parse_time(json.loads(start)["since"])


def test_one_duplicated_page_is_only_read_twice(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 250)
    sim.fault("duplicate_page")
    assert set(ids(list(connect().pull("orders", None)))) == set(placed)


def test_an_order_that_changes_during_the_walk_is_in_the_next_run(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 250)
    start = '{"since": "2026-08-31T00:00:00Z"}'
    sim.fault("shifting_page")
    sim.wind(60)
    pages = list(connect().pull("orders", start))
    sim.wind(900)
    later = list(connect().pull("orders", last_cursor(pages, start)))
    assert set(ids(pages + later)) == set(placed)


def test_a_400_that_heals_is_asked_again_with_fewer_datasets(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 3)
    sim.fault("invalid_input", "searchOrders")
    assert ids(list(connect().pull("orders", None))) == placed
    assert queries(sim)[1]["includedData"] == "FULFILLMENT,CANCELLATION"


def test_H75_a_period_asks_for_orders_whatever_became_of_them(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 3)
    begun = sim.now()
    sim.ship_elsewhere(placed[0])
    sim.cancel(placed[1])
    sim.wind(600)
    pages = list(connect().period("orders", begun, begun))
    states = {fact.remote_id: fact.state for fact in facts_of(pages) if isinstance(fact, OrderFact)}
    assert states == dict(zip(placed, ("shipped", "cancelled", "ready"), strict=True))
    assert "fulfillmentStatuses" not in queries(sim)[0]
    assert not sim.violations


def test_a_period_that_goes_round_is_stopped(sim: AmazonSimulator, connect: Connect) -> None:
    begun = sim.now()
    orders(sim, 150)
    sim.wind(600)
    sim.fault("duplicate_page", times=1000)
    with pytest.raises(BadReply, match="same page"):
        list(connect().period("orders", begun, sim.now()))


def test_H75_with_fulfilled_the_history_comes_by_one_report(sim: AmazonSimulator, connect: Connect) -> None:
    placed = orders(sim, 4)
    for order in placed[:2]:
        sim.ship_elsewhere(order)
    sim.cancel(placed[2])
    pages = list(connect(with_fulfilled=True).pull("orders", None))
    states = {fact.remote_id: fact.state for fact in facts_of(pages) if isinstance(fact, OrderFact)}
    assert states == {placed[0]: "shipped", placed[1]: "shipped", placed[3]: "ready"}
    assert "since" in json.loads(last_cursor(pages) or "")
    assert not sim.violations


def test_a_history_that_waits_for_its_report_is_resumed_without_asking_twice(
    sim: AmazonSimulator, connect: Connect
) -> None:
    for order in orders(sim, 2):
        sim.ship_elsewhere(order)
    walk = connect(with_fulfilled=True).pull("orders", None)
    waiting = [next(walk), next(walk)]
    rest = list(connect(with_fulfilled=True).pull("orders", last_cursor(waiting)))
    assert len(ids(rest)) == 2
    assert [seen.operation for seen in sim.requests].count("createReport") == 1


def test_a_history_without_data_lets_the_stream_go_on_and_says_why(sim: AmazonSimulator, connect: Connect) -> None:
    pages = list(connect(with_fulfilled=True).pull("orders", None))
    assert "CANCELLED" in pages[-1].why_empty
    assert set(json.loads(last_cursor(pages) or "")) == {"since"}


def test_a_history_report_amazon_forgot_lets_the_stream_go_on(connect: Connect) -> None:
    cursor = '{"since": "2026-09-01T00:00:00Z", "report": "404"}'
    (page,) = connect(with_fulfilled=True).pull("orders", cursor)
    assert "forgotten" in page.why_empty and set(json.loads(page.cursor or "")) == {"since"}


def test_a_report_whose_answer_is_lost_is_looked_for(sim: AmazonSimulator, connect: Connect) -> None:
    sim.ship_elsewhere(orders(sim, 1)[0])
    sim.fault("lost_reply", "createReport")
    assert len(ids(list(connect(with_fulfilled=True).pull("orders", None)))) == 1
    assert [seen.operation for seen in sim.requests].count("createReport") == 1


def test_an_unreachable_first_page_moves_no_cursor(sim: AmazonSimulator, connect: Connect) -> None:
    orders(sim, 2)
    sim.fault("503_html", "searchOrders", times=50)
    pages: list[Page] = []
    with pytest.raises(Unreachable):
        pages.extend(connect().pull("orders", None))
    assert pages == []


def test_H65_named_orders_are_fetched_and_unknown_ones_are_set_aside(sim: AmazonSimulator, connect: Connect) -> None:
    (order,) = orders(sim, 1)
    facts = facts_of(list(connect().fetch("order", [order, "111-1111111-1111111"])))
    assert isinstance(facts[0], OrderFact)
    assert facts[1] == BadRecord("order", "111-1111111-1111111", "Amazon does not know this order")


def test_C8_a_recipient_is_fetched_and_a_missing_address_is_said(sim: AmazonSimulator, connect: Connect) -> None:
    ready, pending = orders(sim, 1)[0], sim.place_order([("MUG-1", 1)], status="PENDING")
    there, absent = facts_of(list(connect().fetch("recipient", [ready, pending])))
    assert isinstance(there, RecipientFact) and there.name and there.line1 and there.email
    assert absent == BadRecord("recipient", pending, "Amazon gave no delivery address")


@pytest.mark.parametrize("missing_role", ["403", "omit"])
def test_without_the_buyers_role_the_address_still_comes(
    sim: AmazonSimulator, connect: Connect, missing_role: str
) -> None:
    sim.missing_role = missing_role
    sim.roles.discard(TAX_ROLE)
    (fact,) = facts_of(list(connect().fetch("recipient", orders(sim, 1))))
    assert isinstance(fact, RecipientFact) and fact.line1 and not fact.email


@pytest.mark.parametrize(("missing_role", "said"), [("403", DELIVERY_ROLE), ("omit", "no delivery address")])
def test_without_the_delivery_role_every_order_says_so(
    sim: AmazonSimulator, connect: Connect, missing_role: str, said: str
) -> None:
    sim.missing_role = missing_role
    sim.roles.discard(DELIVERY_ROLE)
    facts = facts_of(list(connect().fetch("recipient", orders(sim, 2))))
    assert all(isinstance(fact, BadRecord) and said in fact.reason for fact in facts)


def test_what_is_no_list_of_orders_is_a_bad_reply(connect: Connect) -> None:
    with pytest.raises(BadInput):
        list(connect().pull("orders", "nonsense"))
    with pytest.raises(BadInput):
        list(connect().pull("orders", "{}"))


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
TOKENS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(MOMENTS, MOMENTS, TOKENS)
def test_a_cursor_survives_being_written_down(since: datetime, horizon: datetime, token: str) -> None:
    cursor = OrderCursor(since=since, token=token, horizon=horizon, token_at=since)
    assert read_order_cursor(cursor.dumps(), since) == cursor
    assert read_order_cursor(cursor.dumps(), since + TOKEN_LIFE) == cursor.beginning()


@given(st.lists(st.tuples(MOMENTS, st.lists(TOKENS, max_size=4)), min_size=1, max_size=6))
def test_the_watermark_never_goes_back_and_windows_overlap(runs: list[tuple[datetime, list[str]]]) -> None:
    cursor = OrderCursor(after=NOW - timedelta(days=30))
    former: datetime | None = None
    for horizon, tokens in runs:
        for token in tokens:
            query = cursor.query()
            cursor = cursor.turned(token, horizon, NOW)
            assert cursor.query() == query
        cursor = cursor.turned("", horizon, NOW)
        assert cursor.since is not None and not cursor.token
        assert former is None or cursor.since >= former
        assert parse_time(cursor.query()["lastUpdatedAfter"]) == cursor.since - OVERLAP
        former = cursor.since
