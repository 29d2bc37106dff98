"""The All Listings report (GET_MERCHANT_LISTINGS_ALL_DATA) as facts, from Amazon or from a downloaded file.

Columns differ by account, country and year, so only `seller-sku` must be there
(selling-partner-api-models#5216). The report knows neither variations nor which currency its prices are
in: every fact carries `needs_detail`, and the caller names the currency.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import InvalidOperation

from zenv.connectors.amazon.reading import LARGEST_COUNT, clean, gtin, to_money
from zenv.connectors.amazon.tables import Row, cell, read_table
from zenv.errors import BadInput
from zenv.facts import BadRecord, FulfilledBy, ListingFact, Money

REPORT_TYPE = "GET_MERCHANT_LISTINGS_ALL_DATA"
_GTIN_TYPES = ("3", "4")
_ISBN_TYPE = "2"
_WHOLE = re.compile(r"[0-9]{1,10}")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}")


def read_listings(
    chunks: Iterable[bytes],
    *,
    currency: str = "",
    charset: str = "",
    observed_at: datetime | None = None,
) -> Iterator[ListingFact | BadRecord]:
    """The listings of a report, given as bytes in any pieces (an open binary file will do).

    A row that makes no sense becomes a BadRecord with its line number. Raises BadInput when the file has no
    `seller-sku` column, before the first row.
    """
    header, rows = read_table(chunks, charset)
    if "seller-sku" not in header:
        raise BadInput(
            "This is not an All Listings report: it has no column seller-sku.",
            "Download it at Amazon: Inventory > Inventory Reports > All Listings Report, in English.",
        )
    return (_fact(row, header, currency, observed_at) for row in rows)


def _fact(row: Row, header: tuple[str, ...], currency: str, observed_at: datetime | None) -> ListingFact | BadRecord:
    if row.cells is None:
        return _bad(row, "", "it has more cells than the header")
    sku = row.cells.get("seller-sku", "")
    if not sku.strip() or clean(sku) != sku:
        return _bad(row, "", "it has no usable seller-sku")
    quantity = cell(row.cells, "quantity")
    if quantity and not (_WHOLE.fullmatch(quantity) and int(quantity) <= LARGEST_COUNT):
        return _bad(row, sku, "its quantity is not a whole number from 0 up")
    by = _fulfilled_by(row.cells, header, quantity)
    return ListingFact(
        sku=sku,
        name=cell(row.cells, "item-name"),
        asin=_asin(row.cells),
        gtin=_gtin(row.cells),
        fulfilled_by=by,
        status="active" if cell(row.cells, "status").lower() in ("active", "") else "inactive",
        quantity=int(quantity) if quantity and by == "merchant" else None,
        price=_price(cell(row.cells, "price"), currency),
        observed_at=observed_at,
        needs_detail=True,
    )


def _bad(row: Row, sku: str, why: str) -> BadRecord:
    return BadRecord("listing", sku, f"line {row.number} of the report: {why}")


def _fulfilled_by(cells: Mapping[str, str], header: tuple[str, ...], quantity: str) -> FulfilledBy:
    """DEFAULT is the merchant. Without a channel, a row that has a quantity is a merchant's: Amazon's
    rows are empty."""
    channel = cell(cells, "fulfillment-channel").upper()
    if channel:
        return "merchant" if channel == "DEFAULT" else "channel"
    return "merchant" if quantity else "channel"


def _asin(cells: Mapping[str, str]) -> str:
    product = cell(cells, "product-id")
    return cell(cells, "asin1", "asin") or (product if cell(cells, "product-id-type") == "1" else "")


def _gtin(cells: Mapping[str, str]) -> str:
    """`product-id-type`: 1 ASIN, 2 ISBN, 3 UPC, 4 EAN; reports drop the leading zeros of the last two."""
    kind, product = cell(cells, "product-id-type"), cell(cells, "product-id")
    if kind == _ISBN_TYPE:
        return _isbn13(product.replace("-", ""))
    if kind not in _GTIN_TYPES or not product.isdecimal():
        return ""
    return gtin(product.zfill(12 if kind == "3" else 8 if len(product) <= 8 else 13))


def _isbn13(isbn: str) -> str:
    if len(isbn) != 10 or not isbn[:9].isdecimal():
        return gtin(isbn)
    return next((code for digit in "0123456789" if (code := gtin(f"978{isbn[:9]}{digit}"))), "")


def _price(price: str, currency: str) -> Money | None:
    """The price in the currency the caller named; None where either is missing or the number makes no
    sense."""
    if not price or not currency:
        return None
    plain = price.replace(",", ".") if _DECIMAL_COMMA.fullmatch(price) else price.replace(",", "")
    try:
        return to_money(plain, currency)
    except (ValueError, InvalidOperation):
        return None
