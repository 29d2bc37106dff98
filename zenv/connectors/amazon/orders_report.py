"""The flat file of all orders, for the history of a first import: shipped orders of the merchant, without
a person.

One report stands for hundreds of calls of three minutes each. It has no line ids, so a line is named
after its SKU (`report:SKU`, then `report:SKU:2`): an order that changes later arrives again from the API
with Amazon's line ids, in place of these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import InvalidOperation

from zenv.connectors.amazon.orders import PAID
from zenv.connectors.amazon.reading import clean, parse_time, to_money
from zenv.connectors.amazon.regions import shop_of_domain
from zenv.connectors.amazon.tables import cell, read_table
from zenv.errors import BadReply
from zenv.facts import BadRecord, Money, OrderFact, OrderLineFact

REPORT_TYPE = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
NEEDED = ("amazon-order-id", "purchase-date", "last-updated-date", "order-status", "sku", "quantity")
KEPT = (
    *NEEDED,
    *("merchant-order-id", "sales-channel", "ship-service-level", "product-name", "item-status"),
    *("currency", "item-price", "item-tax"),
)
"""What is held of a row until its order is complete; a month of a big seller must fit in memory."""

Cells = Mapping[str, str]


def read_shipped_orders(chunks: Iterable[bytes], charset: str = "") -> Iterator[OrderFact | BadRecord]:
    """The shipped orders of the merchant in a report. Raises BadReply when a column it cannot do without
    is missing.

    All rows are read first, because the lines of one order need not stand together.
    """
    header, rows = read_table(chunks, charset)
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise BadReply(f"Amazon's order report has no column {', '.join(missing)}.")
    orders: dict[str, list[Cells]] = {}
    for row in rows:
        if row.cells is None:
            yield BadRecord("order", "", f"line {row.number} of the report has more cells than the header")
        elif _is_wanted(row.cells):
            kept = {name: row.cells[name] for name in KEPT if row.cells.get(name)}
            orders.setdefault(cell(kept, "amazon-order-id"), []).append(kept)
    for remote_id, lines in orders.items():
        yield _order(remote_id, lines)


def _is_wanted(cells: Cells) -> bool:
    """Shipped (also "Shipped - Delivered to Buyer" and its like) by the merchant; Amazon writes Merchant
    or MFN."""
    status = cell(cells, "order-status").lower()
    by = cell(cells, "fulfillment-channel").lower()
    return status.startswith("shipped") and by in ("merchant", "mfn", "default", "seller")


def _order(remote_id: str, rows: list[Cells]) -> OrderFact | BadRecord:
    head = rows[0]
    try:
        placed, updated = _time(head, "purchase-date"), max(_time(row, "last-updated-date") for row in rows)
        lines = tuple(_lines(rows))
    except (ValueError, OverflowError, InvalidOperation):
        return BadRecord("order", remote_id, "a time, a quantity or an amount in the report makes no sense")
    shop = shop_of_domain(cell(head, "sales-channel"))
    reference = cell(head, "merchant-order-id")
    return OrderFact(
        remote_id=remote_id,
        placed_at=placed,
        updated_at=updated,
        state="shipped",
        channel_status="SHIPPED",
        fulfilled_by="merchant",
        marketplace=shop.id if shop else "",
        lines=lines,
        seller_reference="" if reference == remote_id else reference,
        service_level=cell(head, "ship-service-level"),
        payment=PAID,
    )


def _time(cells: Cells, name: str) -> datetime:
    return parse_time(cell(cells, name))


def _lines(rows: list[Cells]) -> Iterator[OrderLineFact]:
    seen: Counter[str] = Counter()
    for row in rows:
        sku = clean(row.get("sku", ""))
        seen[sku] += 1
        quantity = int(cell(row, "quantity") or "0")
        if not 0 <= quantity < 2**31:
            raise ValueError("not a quantity")
        gone = quantity if cell(row, "item-status").lower() == "cancelled" else 0
        yield OrderLineFact(
            remote_id=f"report:{sku}" + (f":{seen[sku]}" if seen[sku] > 1 else ""),
            sku=sku,
            quantity=quantity,
            name=cell(row, "product-name"),
            shipped=quantity - gone,
            cancelled=gone,
            price=_unit_price(row, quantity),
            tax=_amount(row, "item-tax"),
        )


def _amount(row: Cells, name: str) -> Money | None:
    amount, currency = cell(row, name), cell(row, "currency")
    return to_money(amount, currency) if amount and currency else None


def _unit_price(row: Cells, quantity: int) -> Money | None:
    """The report gives the price of the whole line."""
    line = _amount(row, "item-price")
    return Money(line.minor // quantity, line.currency) if line and quantity else None
