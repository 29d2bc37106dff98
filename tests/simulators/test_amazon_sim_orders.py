"""searchOrders and getOrder of the simulated Amazon."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import DELIVERY_ROLE, ORDERS_ROLE, TAX_ROLE, AmazonSimulator, SoldOut

EVERYTHING = "BUYER,RECIPIENT,PROCEEDS,CANCELLATION,FULFILLMENT,PACKAGES,PAYMENT"


@pytest.fixture
def shop(sim: AmazonSimulator) -> AmazonSimulator:
    """A shop with two items."""
    sim.add_listing("MUG", quantity=1000)
    sim.add_listing("HAT", quantity=3)
    return sim


def walk(api: Api, **query: str | int) -> Iterator[list[dict[str, Any]]]:
    """The pages of a search."""
    token: dict[str, str] = {}
    while True:
        answer = api.orders(**query, **token)
        assert answer.status_code == 200, answer.text
        yield answer.json()["orders"]
        if "pagination" not in answer.json():
            return
        token = {"paginationToken": answer.json()["pagination"]["nextToken"]}


def test_an_order_is_3_7_7_digits_and_eats_the_live_quantity(shop: AmazonSimulator) -> None:
    order_id = shop.place_order([("HAT", 2)])
    assert [len(part) for part in order_id.split("-")] == [3, 7, 7]
    assert order_id.replace("-", "").isdecimal()
    assert shop.listings["HAT"].quantity == 1
    with pytest.raises(SoldOut):
        shop.place_order([("HAT", 1), ("HAT", 1)])
    assert shop.listings["HAT"].quantity == 1
    shop.place_order([("HAT", 2)], force=True)
    assert shop.listings["HAT"].quantity == 0
    assert [(c.before, c.after, c.source) for c in shop.quantity_changes] == [
        (3, 1, "order"),
        (1, 0, "order"),
    ]


def test_pages_hold_every_order_once_and_the_last_has_no_pagination(shop: AmazonSimulator, api: Api) -> None:
    placed = {shop.place_order([("MUG", 1)]) for _ in range(25)}
    pages = list(walk(api, maxResultsPerPage=10))
    assert [len(page) for page in pages] == [10, 10, 5]
    seen = [order["orderId"] for page in pages for order in page]
    assert len(seen) == 25
    assert set(seen) == placed
    assert not shop.violations


def test_a_page_that_is_just_full_is_the_last(shop: AmazonSimulator, api: Api) -> None:
    for _ in range(10):
        shop.place_order([("MUG", 1)])
    assert [len(page) for page in walk(api, maxResultsPerPage=10)] == [10]


@pytest.mark.parametrize(
    "query",
    [
        {"createdAfter": "2026-08-01T00:00:00Z", "lastUpdatedAfter": "2026-08-01T00:00:00Z"},
        {"createdAfter": "2026-08-01T00:00:00Z", "lastUpdatedBefore": "2026-08-02T00:00:00Z"},
        {"lastUpdatedAfter": "2026-08-01T00:00:00Z", "lastUpdatedBefore": "2026-07-01T00:00:00Z"},
        {"lastUpdatedAfter": "2026-08-01T00:00:00Z", "lastUpdatedBefore": "2026-09-01T11:58:01Z"},
        {"lastUpdatedAfter": "yesterday"},
        {"maxResultsPerPage": "101"},
        {"maxResultsPerPage": "0"},
        {"fulfillmentStatuses": "OPEN"},
        {"fulfilledBy": "SELLER"},
        {"includedData": "EVERYTHING"},
        {"marketplaceIds": ",".join(["ATVPDKIKX0DER"] * 51)},
        {"paginationToken": "made-up"},
    ],
)
def test_parameters_that_break_a_rule_are_400(shop: AmazonSimulator, api: Api, query: dict[str, str]) -> None:
    answer = api.orders(**query)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "InvalidInput"
    assert shop.violations


def test_neither_after_is_400(shop: AmazonSimulator, api: Api) -> None:
    assert api.get("/orders/2026-01-01/orders").status_code == 400


def test_before_may_be_two_minutes_old_and_is_the_horizon(shop: AmazonSimulator, api: Api) -> None:
    old = shop.place_order([("MUG", 1)])
    shop.wind(60)
    shop.place_order([("MUG", 1)])
    shop.wind(119)
    answer = api.orders(lastUpdatedBefore="2026-09-01T12:00:59Z").json()
    assert [order["orderId"] for order in answer["orders"]] == [old]
    assert answer["lastUpdatedBefore"] == "2026-09-01T12:00:59.000Z"


def test_the_horizon_is_named_after_the_kind_of_search(shop: AmazonSimulator, api: Api) -> None:
    shop.horizon_seconds = 120
    shop.place_order([("MUG", 1)])
    by_creation = api.orders(createdAfter="2026-08-01T00:00:00Z").json()
    assert by_creation == {"orders": [], "createdBefore": "2026-09-01T11:58:00.000Z"}
    shop.wind(120)
    by_update = api.orders().json()
    assert by_update["lastUpdatedBefore"] == "2026-09-01T12:00:00.000Z"
    assert len(by_update["orders"]) == 1


def test_a_token_is_bound_to_its_parameters_except_page_size_and_datasets(shop: AmazonSimulator, api: Api) -> None:
    for _ in range(5):
        shop.place_order([("MUG", 1)])
    token = api.orders(maxResultsPerPage=2).json()["pagination"]["nextToken"]
    more = api.orders(maxResultsPerPage=1, includedData="FULFILLMENT", paginationToken=token)
    assert len(more.json()["orders"]) == 1
    assert not shop.violations
    other = api.orders(maxResultsPerPage=2, fulfilledBy="MERCHANT", paginationToken=token)
    assert other.status_code == 400


def test_a_token_that_was_not_url_encoded_is_400(shop: AmazonSimulator, api: Api) -> None:
    for _ in range(3):
        shop.place_order([("MUG", 1)])
    token = api.orders(maxResultsPerPage=1).json()["pagination"]["nextToken"]
    path = "/orders/2026-01-01/orders?lastUpdatedAfter=2020-01-01T00:00:00Z&maxResultsPerPage=1"
    assert "+" in token
    assert api.get(f"{path}&paginationToken={token}").status_code == 400


def test_a_token_lives_24_hours(shop: AmazonSimulator, api: Api) -> None:
    for _ in range(3):
        shop.place_order([("MUG", 1)])
    token = api.orders(maxResultsPerPage=1).json()["pagination"]["nextToken"]
    shop.wind(24 * 3600)
    api.login()
    assert api.orders(maxResultsPerPage=1, paginationToken=token).status_code == 200
    shop.wind(1)
    assert api.orders(maxResultsPerPage=1, paginationToken=token).status_code == 400


def test_filters_narrow_the_search(shop: AmazonSimulator, api: Api) -> None:
    mine = shop.place_order([("MUG", 1)])
    pending = shop.place_order([("MUG", 1)], status="PENDING")
    theirs = shop.place_order([("MUG", 1)], fulfilled_by="AMAZON")

    def found(**query: str) -> set[str]:
        return {order["orderId"] for order in api.orders(**query).json()["orders"]}

    assert found() == {mine, pending, theirs}
    assert found(fulfilledBy="MERCHANT") == {mine, pending}
    assert found(fulfillmentStatuses="PENDING") == {pending}
    assert found(fulfillmentStatuses="PENDING,UNSHIPPED", fulfilledBy="AMAZON,MERCHANT") == {
        mine,
        pending,
        theirs,
    }
    assert found(marketplaceIds="A1F83G8C2ARO7P") == set()
    assert not shop.violations


def test_arrays_are_comma_separated(shop: AmazonSimulator, api: Api) -> None:
    answer = api.get(
        "/orders/2026-01-01/orders",
        params=[
            ("createdAfter", "2026-01-01T00:00:00Z"),
            ("fulfilledBy", "MERCHANT"),
            ("fulfilledBy", "AMAZON"),
        ],
    )
    assert answer.status_code == 400
    assert any("comma separated" in violation.problem for violation in shop.violations)


def test_datasets_come_only_when_asked_for(shop: AmazonSimulator, api: Api) -> None:
    order_id = shop.place_order([("MUG", 2)], gift_message="Marker gift", recipient={"name": "Marker Name"})
    bare = api.order(order_id, "")
    assert set(bare) == {
        "orderId",
        "createdTime",
        "lastUpdatedTime",
        "programs",
        "salesChannel",
        "orderItems",
    }
    assert set(bare["orderItems"][0]) == {"orderItemId", "quantityOrdered", "product"}
    full = api.order(order_id, EVERYTHING)
    assert full["recipient"]["deliveryAddress"]["name"] == "Marker Name"
    assert full["proceeds"]["grandTotal"] == {"amount": "44.97", "currencyCode": "USD"}
    line = full["orderItems"][0]
    assert line["product"]["price"]["unitPrice"]["amount"] == "19.99"
    assert line["fulfillment"]["packing"]["giftOption"]["giftMessage"] == "Marker gift"
    assert full["fulfillment"]["fulfillmentStatus"] == "UNSHIPPED"
    assert not shop.violations


def test_a_pending_order_has_quantities_but_no_address_and_no_prices(shop: AmazonSimulator, api: Api) -> None:
    order_id = shop.place_order([("MUG", 2)], status="PENDING")
    order = api.order(order_id, EVERYTHING)
    assert order["orderItems"][0]["quantityOrdered"] == 2
    assert not {"recipient", "proceeds", "payment"} & set(order)
    assert "price" not in order["orderItems"][0]["product"]
    shop.pay(order_id)
    assert {"recipient", "proceeds", "payment"} <= set(api.order(order_id, EVERYTHING))


def test_an_order_of_amazons_own_shows_neither_phone_nor_mailbox_nor_packages(shop: AmazonSimulator, api: Api) -> None:
    order_id = shop.place_order([("MUG", 1)], fulfilled_by="AMAZON")
    order = api.order(order_id, EVERYTHING)
    assert "phone" not in order["recipient"]["deliveryAddress"]
    assert set(order["buyer"]) == {"buyerName"}
    assert "packages" not in order
    assert shop.listings["MUG"].quantity == 1000


@pytest.mark.parametrize(("dataset", "role"), [("RECIPIENT", DELIVERY_ROLE), ("BUYER", TAX_ROLE)])
def test_personal_data_needs_a_role(shop: AmazonSimulator, api: Api, dataset: str, role: str) -> None:
    order_id = shop.place_order([("MUG", 1)])
    shop.roles.remove(role)
    assert api.orders(includedData=dataset).status_code == 403
    assert api.orders(includedData="FULFILLMENT").status_code == 200
    shop.missing_role = "omit"
    assert dataset.lower() not in api.order(order_id, dataset)


def test_without_the_orders_role_there_are_no_orders(shop: AmazonSimulator, api: Api) -> None:
    shop.roles.remove(ORDERS_ROLE)
    assert api.orders().status_code == 403


def test_an_unknown_order_is_404(api: Api) -> None:
    assert api.get("/orders/2026-01-01/orders/111-1111111-1111111").status_code == 404


def test_every_change_moves_the_last_update(shop: AmazonSimulator, api: Api) -> None:
    order_id = shop.place_order([("MUG", 2)], status="PENDING")
    item = shop.orders[order_id].lines[0].item_id
    times = [api.order(order_id)["lastUpdatedTime"]]
    deeds = [
        lambda: shop.pay(order_id),
        lambda: shop.change_address(order_id),
        lambda: shop.request_cancel(order_id, "No longer needed"),
        lambda: api.confirm(order_id, {item: 1}),
        lambda: shop.ship_elsewhere(order_id),
        lambda: shop.deliver(order_id),
    ]
    for deed in deeds:
        shop.wind(0.5)
        deed()
        times.append(api.order(order_id)["lastUpdatedTime"])
    assert times == sorted(set(times))
    assert times[1] == "2026-09-01T12:00:00.500Z"
    # only the last change is found, and only once
    assert [order["orderId"] for order in api.orders(lastUpdatedAfter=times[-1]).json()["orders"]] == [order_id]


def test_a_buyers_wish_to_cancel_and_the_cancellation_show_in_the_cancellation_dataset(
    shop: AmazonSimulator, api: Api
) -> None:
    order_id = shop.place_order([("HAT", 1)])
    shop.request_cancel(order_id, "Wrong size")
    asked = api.order(order_id)["orderItems"][0]["cancellation"]
    assert asked == {"cancellationRequest": {"requester": "BUYER", "cancelReason": "Wrong size"}}
    shop.cancel(order_id, by="AMAZON", reason="Fraud")
    order = api.order(order_id)
    assert order["fulfillment"]["fulfillmentStatus"] == "CANCELLED"
    executed = order["orderItems"][0]["cancellation"]["cancellationExecution"]
    assert executed == {"cancelledBy": "AMAZON", "cancelReason": "Fraud"}
    assert [(c.by, c.reason) for c in shop.cancellations] == [("AMAZON", "Fraud")]
    assert shop.listings["HAT"].quantity == 2
    assert not shop.violations


def test_units_of_a_cancelled_pending_order_are_for_sale_again(shop: AmazonSimulator) -> None:
    order_id = shop.place_order([("HAT", 2)], status="PENDING")
    shop.cancel(order_id)
    assert shop.listings["HAT"].quantity == 3


def test_many_changes_do_not_hide_an_order(shop: AmazonSimulator, api: Api) -> None:
    order_ids = [shop.place_order([("MUG", 1)]) for _ in range(3)]
    for _ in range(1200):
        shop.change_address(order_ids[1])
    assert {order["orderId"] for page in walk(api, maxResultsPerPage=2) for order in page} == set(order_ids)


def test_the_static_sandbox_answers_fixed_orders(shop: AmazonSimulator, api: Api) -> None:
    shop.sandbox = True
    answer = api.orders(createdAfter="TEST_CASE_200")
    first, second = answer.json()["orders"]
    assert first["orderId"] != second["orderId"]
    assert api.get(f"/orders/2026-01-01/orders/{first['orderId']}").json()["order"] == first
    assert api.orders(createdAfter="TEST_CASE_400").status_code == 400
