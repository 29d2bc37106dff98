"""searchListingsItems, getListingsItem and patchListingsItem of `listingsItems_2021-08-01`."""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from .catalogue import Catalogue
from .listing_json import DATASETS, item
from .patches import Origin, issues_of, submit
from .records import Listing
from .state import State
from .wire import Answer, Call, forbidden, invalid, missing

CAP = 1000
_STATUSES = frozenset({"BUYABLE", "DISCOVERABLE"})
_KINDS = ("ASIN", "EAN", "FNSKU", "GTIN", "ISBN", "JAN", "MINSAN", "SKU", "UPC")
_SORT_KEYS: dict[str, Callable[[Listing], Any]] = {
    "sku": lambda listing: listing.sku,
    "createdDate": lambda listing: (listing.created, listing.sku),
    "lastUpdatedDate": lambda listing: (listing.updated, listing.sku),
}


def _places(sim: State, call: Call) -> list[str]:
    """The marketplaces asked for; the seller in the path must be the one of the token."""
    if call.params["sellerId"] != sim.seller_id:
        raise forbidden("The seller id does not belong to the access token.")
    call.need("marketplaceIds")
    places = call.many("marketplaceIds")
    if strange := [place for place in places if place not in sim.marketplaces]:
        raise forbidden(f"The seller does not sell in marketplace {strange[0]}.")
    return places


def get(sim: State, call: Call) -> Answer:
    """getListingsItem."""
    places = _places(sim, call)
    datasets = call.many("includedData", DATASETS) or ["summaries"]
    listing = sim.listings.get(call.params["sku"])
    if listing is None or not set(places) & set(listing.marketplaces):
        raise missing(f"SKU '{call.params['sku']}' in marketplace {places[0]}")
    return Answer(200, item(sim, listing, places, datasets))


def search(sim: State, call: Call) -> Answer:
    """searchListingsItems: at most 20 a page and 1,000 in all, however many `numberOfResults` says."""
    places = _places(sim, call)
    datasets = call.many("includedData", DATASETS) or ["summaries"]
    size = call.whole("pageSize", 10, 20)
    print_ = _fingerprint(call)
    token = call.one("pageToken")
    if token is None:
        skus, total, offset = *_find(sim, call, places), 0
    else:
        skus, total, offset = _resume(sim, token, print_)
    shown = [sim.listings[sku] for sku in skus[offset : offset + size] if sku in sim.listings]
    content: dict[str, Any] = {
        "numberOfResults": total,
        "items": [item(sim, listing, places, datasets) for listing in shown],
    }
    pagination = {}
    if offset + size < len(skus):
        pagination["nextToken"] = _remember(sim, print_, skus, total, offset + size)
    if offset:
        pagination["previousToken"] = _remember(sim, print_, skus, total, max(0, offset - size))
    if pagination:
        content["pagination"] = pagination
    return Answer(200, content)


def _fingerprint(call: Call) -> str:
    asked = {name: values for name, values in call.query.items() if name != "pageToken"}
    return json.dumps(asked, sort_keys=True)


def _remember(sim: State, print_: str, skus: list[str], total: int, offset: int) -> str:
    token = sim.new_id("page+/")
    sim.searches[token] = (json.dumps([print_, total]), skus, offset)
    if len(sim.searches) > 2000:
        del sim.searches[next(iter(sim.searches))]
    return token


def _resume(sim: State, token: str, print_: str) -> tuple[list[str], int, int]:
    if token not in sim.searches:
        raise invalid("The pageToken is not valid.")
    kept, skus, offset = sim.searches[token]
    former, total = json.loads(kept)
    if former != print_:
        raise invalid("The pageToken belongs to other parameters.")
    return skus, total, offset


def _find(sim: State, call: Call, places: list[str]) -> tuple[list[str], int]:
    wanted = set(places)
    tests = _tests(call)
    found = [
        listing
        for listing in _candidates(sim, call)
        if not wanted.isdisjoint(listing.marketplaces) and all(test(listing) for test in tests)
    ]
    key = _SORT_KEYS[call.choice("sortBy", tuple(_SORT_KEYS), "lastUpdatedDate")]
    first = heapq.nlargest if call.choice("sortOrder", ("ASC", "DESC"), "DESC") == "DESC" else heapq.nsmallest
    return [listing.sku for listing in first(CAP, found, key=key)], len(found)


def _candidates(sim: State, call: Call) -> Iterable[Listing]:
    identifiers, kind = call.many("identifiers", most=20), call.one("identifiersType")
    ways = [name for name in ("identifiers", "variationParentSku", "packageHierarchySku") if call.one(name)]
    if len(ways) > 1 or bool(identifiers) != bool(kind):
        raise invalid("identifiers need identifiersType and exclude variationParentSku and packageHierarchySku.")
    if kind is not None and kind not in _KINDS:
        raise invalid(f"Invalid value for identifiersType: {kind}.")
    if parent_sku := call.one("variationParentSku"):
        parent = sim.listings.get(parent_sku)
        return [sim.listings[sku] for sku in parent.child_skus if sku in sim.listings] if parent else []
    if call.one("packageHierarchySku"):
        return []
    if kind == "SKU":
        return [sim.listings[sku] for sku in dict.fromkeys(identifiers) if sku in sim.listings]
    if identifiers:
        return [one for one in sim.listings.values() if not {one.asin, one.gtin}.isdisjoint(identifiers)]
    return sim.listings.values()


def _tests(call: Call) -> list[Callable[[Listing], bool]]:
    """The filters of the query, as tests of a listing."""
    tests = [
        *_since(call, "created", lambda listing: listing.created),
        *_since(call, "lastUpdated", lambda listing: listing.updated),
    ]
    if with_status := set(call.many("withStatus", _STATUSES)):
        tests.append(lambda listing: not with_status.isdisjoint(listing.statuses))
    if without := set(call.many("withoutStatus", _STATUSES)):
        tests.append(lambda listing: without.isdisjoint(listing.statuses))
    if severities := set(call.many("withIssueSeverity", frozenset({"WARNING", "ERROR"}))):
        tests.append(lambda listing: any(issue["severity"] in severities for issue in listing.issues))
    return tests


def _since(call: Call, name: str, field: Callable[[Listing], datetime]) -> list[Callable[[Listing], bool]]:
    after, before = call.time(f"{name}After"), call.time(f"{name}Before")
    tests: list[Callable[[Listing], bool]] = []
    if after is not None:
        tests.append(lambda listing: field(listing) >= after)
    if before is not None:
        tests.append(lambda listing: field(listing) <= before)
    return tests


def patch(sim: Catalogue, call: Call) -> Answer:
    """patchListingsItem: ACCEPTED is a promise, the live quantity follows after `publish_seconds`."""
    _places(sim, call)
    preview = call.one("mode")
    if preview not in (None, "VALIDATION_PREVIEW"):
        raise invalid(f"Invalid value for mode: {preview}.")
    call.many("includedData", frozenset({"identifiers", "issues"}))
    body = call.json()
    patches = body.get("patches")
    if not body.get("productType") or not isinstance(patches, list) or not patches:
        raise invalid("productType and at least one patch are required.")
    sku = call.params["sku"]
    issues = issues_of(sim, sku, patches)
    failed = any(issue["severity"] == "ERROR" for issue in issues)
    submission_id = sim.new_id("sub")
    if not failed and not preview:
        submit(sim, sku, patches, Origin("patch", submission_id), call.at)
    status = "INVALID" if failed else "VALID" if preview else "ACCEPTED"
    return Answer(200, {"sku": sku, "status": status, "submissionId": submission_id, "issues": issues})
