"""Pushing messages in tests: what to tell, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from zenv.connectors.base import Connector
from zenv.errors import ZenvError
from zenv.facts import Message, Receipt, StockLevel
from zenv.simulators.amazon import AmazonSimulator


def level(key: int, sku: str, quantity: int, **more: object) -> StockLevel:
    said = {"product_type": "", "handling_days": 2, "live": None, "fulfilled_by": "merchant"} | more
    return StockLevel(key=key, sku=sku, quantity=quantity, **said)  # type: ignore[arg-type]


def pushed(connector: Connector, messages: Sequence[Message]) -> tuple[list[Receipt], ZenvError | None]:
    """The receipts, and what was raised after them."""
    receipts: list[Receipt] = []
    try:
        receipts.extend(connector.push(messages))
    except ZenvError as error:
        # extend keeps what came before the error
        return receipts, error
    return receipts, None


def outcomes(receipts: Sequence[Receipt]) -> dict[int, str]:
    assert len({receipt.key for receipt in receipts}) == len(receipts), "one receipt a message"
    return {receipt.key: receipt.outcome for receipt in receipts}


def asked(sim: AmazonSimulator, operation: str) -> int:
    return [seen.operation for seen in sim.requests].count(operation)
