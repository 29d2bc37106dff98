"""An Item of the Listings API 2021-08-01 as a ListingFact, and the searches that find items.

What is live for sale stands in `fulfillmentAvailability`; the attribute of a like name is only what was
once submitted (selling-partner-api-models#5327). A search pages through at most 1,000 items, so larger
sets are cut into windows of creation time. Items are read for the home marketplace, where quantities are
shared with the rest of the region (#4356).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import GET_LISTING, SEARCH_LISTINGS
from zenv.connectors.amazon.reading import (
    Unreadable,
    batches,
    clean,
    count,
    gtin,
    money,
    part,
    rows,
    sku_of,
    text,
    words,
)
from zenv.errors import NotFound
from zenv.facts import BadRecord, FulfilledBy, ListingFact, Money, Page

Payload = Mapping[str, Any]

CAP = 1000
BATCH = 20
MERCHANT_CHANNEL = "DEFAULT"
LIVE = "summaries,relationships,fulfillmentAvailability"
WHOLE = "summaries,attributes,relationships,fulfillmentAvailability,productTypes,offers"
_PLACING = frozenset({"marketplace_id", "language_tag", "audience", "unit"})


def listing_or_bad(item: Payload, home: str, seen_at: datetime) -> ListingFact | BadRecord:
    """The listing, or why it cannot be read."""
    try:
        return listing_fact(item, home, seen_at)
    except Unreadable as error:
        return BadRecord("listing", clean(key_of(item))[:100], str(error))


def listing_fact(item: Payload, home: str, seen_at: datetime) -> ListingFact:
    """Translate an item. `needs_detail` when its attributes were not asked for, or it is too young to have a summary.

    Raises Unreadable.
    """
    sku = sku_of(item, "sku")
    if not sku:
        raise Unreadable("sku is missing")
    summary = _of_home(rows(item, "summaries"), home)
    family = _family(item, home)
    kinds = _of_home(rows(item, "productTypes"), home)
    live = rows(item, "fulfillmentAvailability")
    channels = {text(entry, "fulfillmentChannelCode"): entry for entry in live}
    attributes = _attributes(item)
    is_parent = bool(words(family, "childSkus")) or _value(attributes, "parentage_level", home) == "parent"
    return ListingFact(
        sku=sku,
        name=text(summary, "itemName"),
        asin=text(summary, "asin"),
        gtin=_gtin(attributes),
        product_type=text(summary, "productType") or text(kinds, "productType"),
        fulfilled_by=_fulfilled_by(set(channels), is_parent),
        # an item that is out of stock is still DISCOVERABLE; one too young for a summary is not known to be closed
        status="inactive" if summary and not words(summary, "status") and not is_parent else "active",
        quantity=count(channels.get(MERCHANT_CHANNEL, {}), "quantity"),
        parent_sku=next(iter(words(family, "parentSkus")), ""),
        is_parent=is_parent,
        variation_theme=text(family, "variationTheme", "theme"),
        attributes=_variation(attributes, family, home),
        price=_price(item, home),
        observed_at=seen_at,
        needs_detail="attributes" not in item or not summary,
    )


def _of_home(entries: Sequence[Payload], home: str) -> Payload:
    """The entry of the home marketplace, else the first, else nothing."""
    at_home = (entry for entry in entries if entry.get("marketplaceId") == home)
    return next(at_home, entries[0] if entries else {})


def _family(item: Payload, home: str) -> Payload:
    relations = rows(_of_home(rows(item, "relationships"), home), "relationships")
    return next((one for one in relations if one.get("type") == "VARIATION"), {})


def _fulfilled_by(channels: set[str], is_parent: bool) -> FulfilledBy:
    """Merchant only where DEFAULT stands alone. Where nothing is said, nothing must be pushed: an item in
    Amazon's warehouses would get a second, merchant leg (selling-partner-api-models#2633)."""
    if is_parent or channels == {MERCHANT_CHANNEL}:
        return "merchant"
    return "both" if MERCHANT_CHANNEL in channels else "channel"


def _attributes(item: Payload) -> Payload:
    attributes = part(item, "attributes")
    return attributes if isinstance(attributes, Mapping) else {}


def _variation(attributes: Payload, family: Payload, home: str) -> dict[str, str]:
    """The values of the attributes the variation theme names, such as color."""
    names = words(family, "variationTheme", "attributes")
    return {name: value for name in names if (value := _value(attributes, name, home))}


def _entries(attributes: Payload, name: str) -> list[Payload]:
    entries = attributes.get(name)
    return [one for one in entries if isinstance(one, Mapping)] if isinstance(entries, list) else []


def _value(attributes: Payload, name: str, home: str) -> str:
    """The value for the home marketplace; some attributes nest it, as {"size": {"value": "M"}}."""
    here = (one for one in _entries(attributes, name) if one.get("marketplace_id", home) == home)
    return _scalar(next(here, {}))


def _scalar(value: object) -> str:
    if isinstance(value, Mapping):
        known = value.get("value")
        others = (inner for key, inner in value.items() if key not in _PLACING)
        return _scalar(known) if known is not None else next(filter(None, map(_scalar, others)), "")
    if isinstance(value, list):
        return next(filter(None, map(_scalar, value)), "")
    return text({"value": str(value)}, "value") if isinstance(value, str | int | float) else ""


def _gtin(attributes: Payload) -> str:
    numbers = (one.get("value") for one in _entries(attributes, "externally_assigned_product_identifier"))
    return next(filter(None, (gtin(number) for number in numbers if isinstance(number, str))), "")


def _price(item: Payload, home: str) -> Money | None:
    offers = [offer for offer in rows(item, "offers") if offer.get("offerType") != "B2B"]
    return money(_of_home(offers, home), "price")


def search(api: Api, **params: str) -> dict[str, Any]:
    """One page of a search, in the home marketplace unless the parameters name another."""
    place = {} if "marketplaceIds" in params else {"marketplaceIds": api.home}
    return api.call(SEARCH_LISTINGS, params={**place, "pageSize": str(BATCH), **params})


def pages_after(api: Api, answer: dict[str, Any], **params: str) -> Iterator[dict[str, Any]]:
    """This page of a search and all that follow it."""
    while True:
        yield answer
        token = text(answer, "pagination", "nextToken")
        if not token:
            return
        answer = search(api, **params, pageToken=token)


def fetch_listings(api: Api, skus: Sequence[str], datasets: str) -> Iterator[Page]:
    """Exactly these items, 20 a page; one that Amazon does not have becomes a BadRecord."""
    read = 0
    for batch in batches(skus, BATCH):
        # seen when the request left: a sale on its way back must not count as known to Amazon's answer
        items = {key_of(item): (item, api.wire.sent_at) for item in _items(api, batch, datasets)}
        read += len(batch)
        facts = [_fact(api, *items[sku]) if sku in items else _unknown(sku) for sku in batch]
        yield Page(facts, None, read, len(skus))


def _fact(api: Api, item: Payload, seen_at: datetime) -> ListingFact | BadRecord:
    return listing_or_bad(item, api.home, seen_at)


def key_of(item: Payload) -> str:
    """The SKU to tell items apart by, even where it makes no sense."""
    return str(item.get("sku"))


def _unknown(sku: str) -> BadRecord:
    return BadRecord("listing", sku, "Amazon has no item with this SKU in the home marketplace")


def _items(api: Api, skus: Sequence[str], datasets: str) -> Iterator[Payload]:
    """A SKU with a comma cannot stand in a comma separated list; it is asked for alone."""
    alone = [sku for sku in skus if "," in sku]
    together = [sku for sku in skus if "," not in sku]
    if together:
        answer = search(api, identifiers=",".join(together), identifiersType="SKU", includedData=datasets)
        yield from rows(answer, "items")
    for sku in alone:
        if item := get_listing(api, sku, datasets):
            yield item


def get_listing(api: Api, sku: str, datasets: str) -> Payload | None:
    """One item; None when Amazon does not have it."""
    params = {"marketplaceIds": api.home, "includedData": datasets}
    try:
        return api.call(GET_LISTING, {"sku": sku}, params=params)
    except NotFound:
        return None
