"""The Sellers API: where the account sells, and on which plan (model sellers.json)."""

from __future__ import annotations

from typing import Any

from .marketplaces import MARKETPLACES
from .state import State
from .wire import Answer, Call

OTHER_CHANNEL = "A2ZV50J4W1RKNI"


def _participation(sim: State, marketplace_id: str) -> dict[str, Any]:
    place = MARKETPLACES[marketplace_id]
    return {
        "marketplace": {
            "id": place.id,
            "name": place.name,
            "countryCode": place.country,
            "defaultCurrencyCode": place.currency,
            "defaultLanguageCode": place.language,
            "domainName": place.domain,
        },
        "storeName": sim.store_name,
        "participation": {"isParticipating": True, "hasSuspendedListings": False},
    }


def _non_amazon(sim: State) -> dict[str, Any]:
    """No Amazon store, but it stands in real lists; searchOrders answers 403 for it (models#5295)."""
    entry = _participation(sim, sim.marketplaces[0])
    entry["marketplace"] |= {"id": OTHER_CHANNEL, "name": "Non-Amazon", "domainName": "non.amazon.example"}
    return entry


def participations(sim: State, call: Call) -> Answer:
    """getMarketplaceParticipations."""
    return Answer(200, {"payload": [*(_participation(sim, m) for m in sim.marketplaces), _non_amazon(sim)]})


def account(sim: State, call: Call) -> Answer:
    """getAccount: the only place that tells the selling plan; it also carries a person's data."""
    address = {
        "addressLine1": "1 Imaginary Lane",
        "city": "Springfield",
        "postalCode": "97477",
        "countryCode": "US",
    }
    payload = {
        "businessType": "PRIVATE_LIMITED",
        "sellingPlan": sim.selling_plan,
        "marketplaceParticipationList": [_participation(sim, m) for m in sim.marketplaces],
        "business": {"name": sim.store_name, "registeredBusinessAddress": address},
        "primaryContact": {"name": "Ottilie Owner-Marker", "address": address},
    }
    return Answer(200, {"payload": payload})
