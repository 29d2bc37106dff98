"""One order, as Amazon shows it now."""

from __future__ import annotations

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import GET_ORDER
from zenv.connectors.amazon.orders import Payload
from zenv.connectors.amazon.reading import record


def get_order(api: Api, order: str, datasets: str) -> Payload:
    """The order with these datasets. Raises NotFound, and Refused where a dataset takes a role we lack."""
    return record(api.call(GET_ORDER, {"order": order}, params={"includedData": datasets}), "order")
