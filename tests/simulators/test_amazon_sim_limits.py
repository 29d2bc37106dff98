"""The published usage plans, on the simulator's clock."""

from __future__ import annotations

import threading

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator
from zenv.simulators.amazon.limits import EXTRA, RATES, Throttle
from zenv.simulators.amazon.operations import OPERATIONS


def test_every_operation_of_the_api_has_a_published_rate() -> None:
    assert {operation.name for operation in OPERATIONS if operation.model} == set(RATES)


def test_search_orders_gives_20_at_once_and_then_one_in_179_seconds(sim: AmazonSimulator, api: Api) -> None:
    for _ in range(20):
        answer = api.orders()
        assert answer.status_code == 200
        assert answer.headers["x-amzn-ratelimit-limit"] == "0.0056"
    refused = api.orders()
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["code"] == "QuotaExceeded"
    assert "x-amzn-ratelimit-limit" not in refused.headers
    assert refused.headers["x-amzn-requestid"]
    sim.wind(178)
    assert api.orders().status_code == 429
    sim.wind(1)
    assert api.orders().status_code == 200
    assert api.orders().status_code == 429
    assert not sim.violations
    assert [request.status for request in sim.requests if request.operation == "searchOrders"].count(429) == 3


def test_each_operation_has_a_bucket_of_its_own(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    for _ in range(5):
        assert api.listings().status_code == 200
        assert api.patch_quantity("MUG", quantity=1).status_code == 200
    assert api.listings().status_code == 429
    assert api.patch_quantity("MUG", quantity=1).status_code == 429
    sim.wind(0.2)
    assert api.listings().status_code == 200
    path = f"/listings/2021-08-01/items/{sim.seller_id}/MUG"
    codes = [api.get(path, params={"marketplaceIds": sim.marketplaces[0]}).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]


def test_a_bucket_never_holds_more_than_its_burst(sim: AmazonSimulator, api: Api) -> None:
    assert api.listings().status_code == 200
    sim.wind(3000)
    assert [api.listings().status_code for _ in range(6)] == [200] * 5 + [429]


def test_refusals_for_a_token_carry_no_rate_and_cost_none(sim: AmazonSimulator, api: Api) -> None:
    token = api.headers.pop("x-amz-access-token")
    for _ in range(9):
        assert "x-amzn-ratelimit-limit" not in api.listings().headers
    api.headers["x-amz-access-token"] = token
    assert [api.listings().status_code for _ in range(6)] == [200] * 5 + [429]


def test_bad_requests_and_unknown_things_carry_the_rate(sim: AmazonSimulator, api: Api) -> None:
    assert api.listings(pageSize=99).headers["x-amzn-ratelimit-limit"] == "5"
    unknown = api.get("/orders/2026-01-01/orders/111-1111111-1111111")
    assert (unknown.status_code, unknown.headers["x-amzn-ratelimit-limit"]) == (404, "0.5")


def test_five_listings_feeds_in_five_minutes(sim: AmazonSimulator, api: Api) -> None:
    documents = [api.upload(b"{}") for _ in range(6)]
    codes = [api.create_feed(document).status_code for document in documents]
    assert codes == [202] * 5 + [429]
    sim.wind(60)
    assert api.create_feed(documents[5]).status_code == 202


def test_limits_can_be_switched_off(sim: AmazonSimulator, api: Api) -> None:
    sim.limits = False
    assert {api.orders().status_code for _ in range(40)} == {200}


def test_the_sandbox_gives_5_a_second_and_15_at_once(sim: AmazonSimulator, api: Api) -> None:
    sim.sandbox = True
    codes = [api.orders(createdAfter="TEST_CASE_200").status_code for _ in range(16)]
    assert codes == [200] * 15 + [429]


@pytest.mark.parametrize(("name", "plan"), sorted((RATES | EXTRA).items()))
def test_a_client_that_keeps_exactly_to_a_rate_is_never_refused(
    sim: AmazonSimulator, name: str, plan: tuple[float, int]
) -> None:
    rate, burst = plan
    throttle = Throttle()
    assert all(throttle.take(name, sim.now()) for _ in range(burst))
    for _ in range(50):
        assert not throttle.take(name, sim.now())
        # the clock reads whole milliseconds
        sim.wind(-(-1000 // rate) / 1000)
        assert throttle.take(name, sim.now()), name


def test_tests_and_the_server_may_use_the_simulator_at_once(sim: AmazonSimulator, api: Api) -> None:
    sim.limits = False
    sim.add_listing("MUG", quantity=300)

    def buy() -> None:
        for _ in range(100):
            sim.place_order([("MUG", 1)])

    buyers = [threading.Thread(target=buy) for _ in range(3)]
    for buyer in buyers:
        buyer.start()
    while any(buyer.is_alive() for buyer in buyers):
        assert api.orders().status_code == 200
    assert sim.listings["MUG"].quantity == 0
    assert len(sim.orders) == 300
