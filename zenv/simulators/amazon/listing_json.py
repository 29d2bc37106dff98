"""A listing as `listingsItems_2021-08-01` shows it, dataset by dataset."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from .clock import stamp
from .marketplaces import MARKETPLACES
from .records import Listing
from .state import State

Built = list[dict[str, Any]] | dict[str, Any]


def item(sim: State, listing: Listing, marketplaces: list[str], datasets: list[str]) -> dict[str, Any]:
    """One item with the datasets asked for; `marketplaces` are those of the request."""
    places = [m for m in listing.marketplaces if m in marketplaces]
    shown: dict[str, Any] = {"sku": listing.sku}
    for dataset in datasets:
        shown[dataset] = _DATASETS[dataset](sim, listing, places)
    return shown


def _young(sim: State, listing: Listing) -> bool:
    return sim.now() < listing.created + timedelta(seconds=sim.young_seconds)


def _summaries(sim: State, listing: Listing, places: list[str]) -> Built:
    if _young(sim, listing):
        return []
    shared: dict[str, Any] = {
        "asin": listing.asin,
        "productType": listing.product_type,
        "conditionType": "new_new",
        "status": listing.statuses,
        "itemName": listing.name,
        "createdDate": stamp(listing.created),
        "lastUpdatedDate": stamp(listing.updated),
        "mainImage": {"link": f"https://images.example/{listing.asin}.jpg", "height": 500, "width": 500},
    }
    if listing.by_amazon:
        shared["fnSku"] = f"X0{listing.listing_id[-8:]}"
    return [{"marketplaceId": place} | shared for place in places]


def _attributes(sim: State, listing: Listing, places: list[str]) -> Built:
    place = places[0]
    shown: dict[str, Any] = {
        "item_name": [{"value": listing.name, "language_tag": MARKETPLACES[place].language, "marketplace_id": place}],
        "condition_type": [{"value": "new_new", "marketplace_id": place}],
    }
    if listing.submitted:
        shown["fulfillment_availability"] = [dict(entry) for entry in listing.submitted]
    if listing.gtin:
        kind = "upc" if len(listing.gtin) == 12 else "ean"
        number = {"type": kind, "value": listing.gtin, "marketplace_id": place}
        shown["externally_assigned_product_identifier"] = [number]
    if not _young(sim, listing):
        shown |= _family_attributes(listing, place)
    return shown | listing.attributes


def _family_attributes(listing: Listing, place: str) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if listing.is_parent or listing.parent_sku:
        level = "parent" if listing.is_parent else "child"
        shown["parentage_level"] = [{"value": level, "marketplace_id": place}]
        shown["variation_theme"] = [{"name": listing.theme, "marketplace_id": place}]
    if listing.parent_sku:
        relation = {"child_relationship_type": "variation", "parent_sku": listing.parent_sku}
        shown["child_parent_sku_relationship"] = [relation | {"marketplace_id": place}]
    for name, value in listing.variation.items():
        shown[name] = [{"value": value, "marketplace_id": place}]
    return shown


def _relationships(sim: State, listing: Listing, places: list[str]) -> Built:
    relation: dict[str, Any] = {"type": "VARIATION"}
    if listing.is_parent:
        relation["childSkus"] = list(listing.child_skus)
    elif listing.parent_sku:
        relation["parentSkus"] = [listing.parent_sku]
    else:
        return [{"marketplaceId": place, "relationships": []} for place in places]
    if _young(sim, listing):
        return [{"marketplaceId": place, "relationships": []} for place in places]
    if listing.theme:
        names = sorted(listing.variation) or [listing.theme.lower()]
        relation["variationTheme"] = {"theme": listing.theme, "attributes": names}
    return [{"marketplaceId": place, "relationships": [relation]} for place in places]


def _offers(sim: State, listing: Listing, places: list[str]) -> Built:
    if listing.price is None:
        return []
    return [
        {
            "marketplaceId": place,
            "offerType": "B2C",
            "price": {"amount": str(listing.price), "currencyCode": MARKETPLACES[place].currency},
            "audience": {"value": "ALL", "displayName": "Sell on Amazon"},
        }
        for place in places
    ]


def _availability(sim: State, listing: Listing, places: list[str]) -> Built:
    shown: list[dict[str, Any]] = []
    for code, quantity in listing.channels.items():
        entry: dict[str, Any] = {"fulfillmentChannelCode": code}
        if quantity is not None:
            entry["quantity"] = quantity
        shown.append(entry)
    return shown


def _product_types(sim: State, listing: Listing, places: list[str]) -> Built:
    return [{"marketplaceId": place, "productType": listing.product_type} for place in places]


_DATASETS: dict[str, Callable[[State, Listing, list[str]], Built]] = {
    "summaries": _summaries,
    "attributes": _attributes,
    "issues": lambda sim, listing, places: listing.issues,
    "offers": _offers,
    "fulfillmentAvailability": _availability,
    "procurement": lambda sim, listing, places: [],
    "relationships": _relationships,
    "productTypes": _product_types,
}
DATASETS = frozenset(_DATASETS)
