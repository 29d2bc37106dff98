"""The static sandbox of the Orders API: fixed answers to fixed parameters, whatever the simulator holds."""

from __future__ import annotations

from typing import Any

from .wire import Answer, Call, invalid, missing

_ORDERS = ("902-1845936-5435065", "902-1106328-1059050")


def _order(order_id: str) -> dict[str, Any]:
    return {
        "orderId": order_id,
        "createdTime": "2025-01-01T00:00:00.000Z",
        "lastUpdatedTime": "2025-01-02T00:00:00.000Z",
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": "ATVPDKIKX0DER",
            "marketplaceName": "Amazon.com",
        },
        "fulfillment": {"fulfillmentStatus": "UNSHIPPED", "fulfilledBy": "MERCHANT"},
        "orderItems": [
            {
                "orderItemId": f"{order_id[-7:]}1",
                "quantityOrdered": 1,
                "product": {"asin": "B000000001", "title": "Sandbox Teapot", "sellerSku": "SANDBOX-1"},
            }
        ],
    }


def sandbox_orders(call: Call) -> Answer:
    """searchOrders with createdAfter TEST_CASE_200 or TEST_CASE_400."""
    case = call.one("createdAfter")
    if case != "TEST_CASE_200":
        raise invalid("Could not match input arguments.", broken_rule=False)
    return Answer(200, {"orders": [_order(order_id) for order_id in _ORDERS]})


def sandbox_order(call: Call) -> Answer:
    """getOrder of one of the two fixed orders."""
    if call.params["orderId"] not in _ORDERS:
        raise missing("The sandbox order")
    return Answer(200, {"order": _order(call.params["orderId"])})
