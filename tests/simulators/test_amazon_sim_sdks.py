"""Clients other people wrote read the simulated Amazon: Amazon's own SDK, and the most used one on PyPI."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator

US = "ATVPDKIKX0DER"
ORDERS = {"created_after": "2020-01-01T00:00:00Z", "included_data": ["FULFILLMENT", "RECIPIENT", "PROCEEDS"]}


@pytest.fixture
def shop(sim: AmazonSimulator) -> AmazonSimulator:
    """A family, a single item and three orders."""
    sim.add_listing("CAP", is_parent=True, theme="COLOR")
    sim.add_listing("CAP-RED", quantity=4, parent_sku="CAP", variation={"color": "red"})
    sim.add_listing("MUG", name="A mug", quantity=50)
    for _ in range(3):
        sim.place_order([("MUG", 2)])
    return sim


@pytest.fixture
def amazons_own(shop: AmazonSimulator, api: Api) -> Any:
    """Amazon's SDK, pointed at the simulator."""
    pytest.importorskip("spapi", reason="amzn-sp-api is not installed", exc_type=ImportError)
    from spapi import SPAPIClient, SPAPIConfig

    config = SPAPIConfig(shop.client_id, shop.client_secret, shop.refresh_token, region="NA")
    url = str(api.base_url).rstrip("/")
    client = SPAPIClient(config, oauth_endpoint=f"{url}/auth/o2/token", endpoint=url).api_client
    yield client
    client.rest_client.pool_manager.clear()


def test_amazons_own_sdk_reads_the_orders_page_by_page(shop: AmazonSimulator, amazons_own: Any) -> None:
    from spapi.api.orders_v2026_01_01.get_order_api import GetOrderApi
    from spapi.api.orders_v2026_01_01.search_orders_api import SearchOrdersApi

    search = SearchOrdersApi(amazons_own)
    first = search.search_orders(**ORDERS, max_results_per_page=2, marketplace_ids=[US])
    token = first.pagination.next_token
    second = search.search_orders(**ORDERS, max_results_per_page=2, marketplace_ids=[US], pagination_token=token)
    assert second.pagination is None
    orders = first.orders + second.orders
    assert [order.order_id for order in orders] == list(shop.orders)
    assert orders[0].order_items[0].product.seller_sku == "MUG"
    assert orders[0].order_items[0].quantity_ordered == 2
    assert orders[0].fulfillment.fulfillment_status == "UNSHIPPED"
    assert orders[0].proceeds.grand_total.amount == "44.97"
    one = GetOrderApi(amazons_own).get_order(orders[0].order_id, included_data=["RECIPIENT"]).order
    assert one.recipient.delivery_address.name == shop.orders[one.order_id].recipient["name"]
    assert not shop.violations


def test_amazons_own_sdk_reads_listings_and_patches_them(shop: AmazonSimulator, amazons_own: Any) -> None:
    from spapi.api.listings_items_v2021_08_01.listings_api import ListingsApi
    from spapi.models.listings_items_v2021_08_01 import ListingsItemPatchRequest, PatchOperation

    api = ListingsApi(amazons_own)
    datasets = ["summaries", "attributes", "relationships", "fulfillmentAvailability", "offers"]
    found = api.search_listings_items(shop.seller_id, [US], included_data=datasets, sort_by="sku", sort_order="ASC")
    assert found.number_of_results == 3
    cap, red, mug = found.items
    assert cap.relationships[0].relationships[0].child_skus == ["CAP-RED"]
    assert red.relationships[0].relationships[0].parent_skus == ["CAP"]
    assert (mug.summaries[0].item_name, mug.fulfillment_availability[0].quantity) == ("A mug", 44)
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": 9}]
    patch = PatchOperation(op="merge", path="/attributes/fulfillment_availability", value=value)
    body = ListingsItemPatchRequest(product_type="PRODUCT", patches=[patch])
    assert api.patch_listings_item(shop.seller_id, "MUG", [US], body).status == "ACCEPTED"
    assert shop.listings["MUG"].quantity == 9
    assert not shop.violations


def test_amazons_own_sdk_confirms_a_shipment(shop: AmazonSimulator, amazons_own: Any) -> None:
    from spapi.api.orders_v0.orders_v0_api import OrdersV0Api
    from spapi.models.orders_v0 import ConfirmShipmentOrderItem, ConfirmShipmentRequest, PackageDetail

    order_id, order = next(iter(shop.orders.items()))
    items = [ConfirmShipmentOrderItem(order_item_id=order.lines[0].item_id, quantity=2)]
    detail = PackageDetail(
        package_reference_id="1",
        carrier_code="UPS",
        tracking_number="1Z1",
        ship_date=shop.now(),
        order_items=items,
    )
    body = ConfirmShipmentRequest(package_detail=detail, marketplace_id=US)
    OrdersV0Api(amazons_own).confirm_shipment(order_id, body)
    assert [confirmation.order_id for confirmation in shop.confirmations] == [order_id]
    assert not shop.violations


@pytest.fixture
def community(shop: AmazonSimulator, api: Api, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A factory of python-amazon-sp-api clients that talk to the simulator."""
    pytest.importorskip("sp_api.api", reason="python-amazon-sp-api is not installed", exc_type=ImportError)
    from sp_api.auth import AccessTokenClient
    from sp_api.base import Marketplaces

    host = f"{api.base_url.host}:{api.base_url.port}"
    monkeypatch.setattr(AccessTokenClient, "scheme", "http://")
    monkeypatch.setattr(AccessTokenClient, "host", host)
    account = {
        "refresh_token": shop.refresh_token,
        "lwa_app_id": shop.client_id,
        "lwa_client_secret": shop.client_secret,
    }

    opened: list[Any] = []

    def make(kind: Any) -> Any:
        client = kind(marketplace=Marketplaces.US, credentials=account)
        opened.extend([client, client._auth._transport])
        # it takes the Host header from the ninth letter on, which suits https; an empty user makes up for it
        client.endpoint = f"http://@{host}"
        return client

    yield make
    for one in opened:
        one.close()


def test_the_community_sdk_reads_orders_and_listings(shop: AmazonSimulator, community: Any) -> None:
    from sp_api.api import ListingsItems
    from sp_api.api.orders.orders_2026_01_01 import OrdersV20260101

    orders = community(OrdersV20260101).search_orders(
        createdAfter="2020-01-01T00:00:00Z", includedData=["FULFILLMENT"], maxResultsPerPage=100
    )
    assert [order["orderId"] for order in orders.payload["orders"]] == list(shop.orders)
    item = community(ListingsItems).get_listings_item(
        shop.seller_id, "MUG", marketplaceIds=[US], includedData=["summaries", "fulfillmentAvailability"]
    )
    assert item.payload["summaries"][0]["itemName"] == "A mug"
    assert item.payload["fulfillmentAvailability"][0]["quantity"] == 44
