"""confirmShipment of the simulated Amazon: effects, edits and refusals."""

from __future__ import annotations

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator


@pytest.fixture
def order_id(sim: AmazonSimulator) -> str:
    """An order of two mugs and one hat, to be shipped."""
    sim.add_listing("MUG", quantity=9)
    sim.add_listing("HAT", quantity=9)
    return sim.place_order([("MUG", 2), ("HAT", 1)])


@pytest.fixture
def items(sim: AmazonSimulator, order_id: str) -> tuple[str, str]:
    """The ids of its two items."""
    mug, hat = (line.item_id for line in sim.orders[order_id].lines)
    return mug, hat


def test_packages_one_by_one_make_the_order_partially_shipped_then_shipped(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    mug, hat = items
    answer = api.confirm(order_id, {mug: 1})
    assert (answer.status_code, answer.content) == (204, b"")
    assert sim.orders[order_id].status == "PARTIALLY_SHIPPED"
    assert api.confirm(order_id, {mug: 1, hat: 1}, "2").status_code == 204
    order = api.order(order_id)
    assert order["fulfillment"]["fulfillmentStatus"] == "SHIPPED"
    assert [line["fulfillment"]["quantityFulfilled"] for line in order["orderItems"]] == [2, 1]
    first, second = order["packages"]
    assert (first["packageReferenceId"], first["carrier"], first["trackingNumber"]) == ("1", "UPS", "1Z999")
    assert second["packageItems"] == [
        {"orderItemId": mug, "quantity": 1},
        {"orderItemId": hat, "quantity": 1},
    ]
    assert [(c.reference, c.items, c.edit) for c in sim.confirmations] == [
        ("1", {mug: 1}, False),
        ("2", {mug: 1, hat: 1}, False),
    ]
    assert not sim.violations


def test_the_same_reference_edits_the_package_and_is_recorded_as_an_edit(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    mug, hat = items
    api.confirm(order_id, {mug: 2, hat: 1})
    assert api.confirm(order_id, {mug: 2, hat: 1}, trackingNumber="NEW").status_code == 204
    assert [(c.tracking, c.edit) for c in sim.confirmations] == [("1Z999", False), ("NEW", True)]
    assert sim.orders[order_id].packages["1"].tracking == "NEW"
    assert sim.orders[order_id].status == "SHIPPED"
    assert [line.shipped for line in sim.orders[order_id].lines] == [2, 1]


def test_an_edit_may_take_units_back(sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]) -> None:
    mug, hat = items
    api.confirm(order_id, {mug: 2, hat: 1})
    assert api.confirm(order_id, {mug: 1, hat: 1}).status_code == 204
    assert sim.orders[order_id].status == "PARTIALLY_SHIPPED"


def test_a_new_reference_for_a_shipped_order_is_package_to_update_not_found(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    sim.ship_elsewhere(order_id)
    answer = api.confirm(order_id, {items[0]: 1}, "7")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "PackageToUpdateNotFound")
    assert not sim.confirmations
    assert not sim.violations


@pytest.mark.parametrize("reference", [1, "0", "-1", "A1", "1.5", ""])
def test_a_package_reference_is_a_string_of_digits(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str], reference: object
) -> None:
    answer = api.confirm(order_id, {items[0]: 1}, reference)
    assert answer.status_code == 400
    if reference == 1:
        assert "fields with invalid type [packageDetail.packageReferenceId]" in answer.text
    assert sim.violations
    assert not sim.confirmations


@pytest.mark.parametrize(
    "detail",
    [
        {"carrierCode": "Other"},
        {"trackingNumber": None},
        {"shipDate": "02/21/2022"},
        {"shipDate": "2026-09-03T00:00:00Z"},
        {"shipDate": "2026-08-01T00:00:00Z"},
        {"orderItems": []},
        {"orderItems": [{"orderItemId": "unknown", "quantity": 1}]},
        {"orderItems": [{"orderItemId": "unknown", "quantity": "1"}]},
    ],
)
def test_details_that_break_a_rule_are_400(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str], detail: dict[str, object]
) -> None:
    assert api.confirm(order_id, {items[0]: 1}, **detail).status_code == 400
    assert not sim.confirmations


def test_another_carrier_is_told_by_name(sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]) -> None:
    assert api.confirm(order_id, {items[0]: 1}, carrierCode="Other", carrierName="Owl Post").status_code == 204
    assert sim.confirmations[0].carrier == "Owl Post"


def test_more_units_than_are_left_is_400(sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]) -> None:
    assert api.confirm(order_id, {items[0]: 3}).status_code == 400
    api.confirm(order_id, {items[0]: 2})
    assert api.confirm(order_id, {items[0]: 1}, "2").status_code == 400
    assert len(sim.confirmations) == 1
    assert not sim.violations


def test_a_cancelled_a_pending_and_a_foreign_order_cannot_be_shipped(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    sim.cancel(order_id)
    pending = sim.place_order([("MUG", 1)], status="PENDING")
    foreign = sim.place_order([("MUG", 1)], fulfilled_by="AMAZON")
    for one in (order_id, pending, foreign):
        item = sim.orders[one].lines[0].item_id
        assert api.confirm(one, {item: 1}).status_code == 400
    assert api.confirm("111-1111111-1111111", {items[0]: 1}).status_code == 404
    assert not sim.confirmations


def test_the_marketplace_must_be_that_of_the_order(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    sim.marketplaces = ["A1F83G8C2ARO7P"]
    assert api.confirm(order_id, {items[0]: 1}).status_code == 400


def test_shipping_in_seller_central_ships_what_is_left_but_is_no_confirmation(
    sim: AmazonSimulator, api: Api, order_id: str, items: tuple[str, str]
) -> None:
    api.confirm(order_id, {items[0]: 1})
    sim.ship_elsewhere(order_id)
    order = sim.orders[order_id]
    assert order.status == "SHIPPED"
    assert order.packages["2"].items == {items[0]: 1, items[1]: 1}
    assert len(sim.confirmations) == 1
    sim.deliver(order_id)
    assert api.order(order_id)["packages"][0]["packageStatus"] == {"status": "DELIVERED"}
